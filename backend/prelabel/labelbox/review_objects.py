"""Drawn NDJSON rows to outputs: boxes, lines, masks, entities, tracks, with the answers nested in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prelabel.labelbox.assets import AssetFacts, Plane
from prelabel.labelbox.config_reading import Bound, Drawn
from prelabel.labelbox.ontology import Ontology, Tool, ToolNode
from prelabel.labelbox.review_answers import find_asked, outputs_of
from prelabel.labelbox.review_boxed import BOXED, boxed_masks, boxed_shapes
from prelabel.labelbox.review_masks import of_color, read_pixels
from prelabel.labelbox.review_notes import derived, meta
from prelabel.labelbox.review_said import find_node, read_said
from prelabel.labelbox.review_shapes import Lost, shape_output, tokens_box, track_output
from prelabel.labelbox.rows import Row
from prelabel.labeling import ControlTag, fold
from prelabel.masks import Bools, Bytes, to_polygon
from prelabel.outputs import Box, Mask, Output, ParagraphSpan, Span, Text, TrackLine, Unit, VectorTrack

_BOXES: frozenset[Tool] = frozenset({"rectangle"})
_MASKS: frozenset[Tool] = frozenset({"raster-segmentation", "superpixel"})
TOOLS: Mapping[str, frozenset[Tool]] = {
    "bbox": _BOXES,
    "polygon": frozenset({"polygon"}),
    "point": frozenset({"point"}),
    "line": frozenset({"line"}),
    "mask": _MASKS,
    "location": frozenset({"named-entity"}),
    "textSelections": frozenset({"named-entity"}),
}
"""The key of a row's geometry to the tools that make it."""


@dataclass(slots=True)
class Found:
    """What one row becomes, and what is done to its regions afterwards."""

    outputs: list[Output] = field(default_factory=list)
    place: Mapping[str, Any] | None = None
    """Where the answers stand: they are no answers of the whole task, and have no region with a label."""
    one_id: str = ""
    geometry: bool = False
    one_vertex: bool = False

    def finish(self, region: dict[str, Any]) -> None:
        if self.place is not None:
            region["value"] = {**self.place, **region["value"]}
        if self.one_id:
            region["id"] = self.one_id
        if self.one_vertex:
            for keyframe in region["value"].get("sequence") or ():
                keyframe["vertices"] = keyframe["vertices"][:1]


@dataclass(frozen=True, slots=True)
class Objects:
    """Converts the rows of one data row that draw something.

    Each method raises `Lost` where a row has no counterpart, and adds to ``lost`` a sentence for a part of it.
    """

    ontology: Ontology
    bound: Bound
    facts: AssetFacts

    # --- tools
    def drawn(self, name: str, tools: frozenset[Tool], group: str = "") -> Drawn:
        fitting = [one for one in self.bound.tools if one.tool in tools]
        if group:
            fitting = [one for one in fitting if one.control is not None and one.control.to_name[:1] == (group,)]
        exact = next((one for one in fitting if one.name == name), None)
        found = exact or next((one for one in fitting if fold(one.name) == fold(name)), None)
        if found is None:
            raise Lost(f"the labeling config has no {' or '.join(sorted(tools))} {name!r}" + (group and f" in {group}"))
        return found

    def tool(self, name: str, tools: frozenset[Tool]) -> ToolNode | None:
        return next((tool for tool in self.ontology.tools if tool.name == name and tool.tool in tools), None)

    def nested(
        self, holder: Mapping[str, Any], tool: ToolNode | None, drawn: Drawn, of: str, lost: list[str]
    ) -> list[Output]:
        """Answers about an object; they get its region's id."""
        found: list[Output] = []
        for entry in holder.get("classifications") or ():
            said = read_said(entry, find_node(tool.questions if tool else (), entry))
            asked = find_asked(drawn.questions, said.name)
            if asked is None:
                lost.append(f"the labeling config has no control for {said.name!r} below {drawn.name!r}")
            else:
                found += outputs_of(said, asked, of, of, lost)
        return found

    def object(self, row: Row, key: str, drawn: Drawn, region_id: str, lost: list[str]) -> list[Output]:
        body = row.body
        rest: dict[str, Any] = {
            "label": drawn.stored,
            "control": name_of(drawn.control),
            "id": region_id,
            "score": body.get("confidence"),
        }
        metrics = body.get("customMetrics") or ()
        if key == "textSelections":
            return self._document_entity(row, rest, lost)
        if key == "location":
            start, end = int(body["location"]["start"]), int(body["location"]["end"])
            return [self._entity(body, start, end, {**rest, "meta": meta(metrics)}, lost)]
        if key == "mask":
            pixels = self._mask(body["mask"], lost)
            return [Mask(pixels, **rest, meta=meta(metrics))]
        page: int | None = None
        unit = ""
        if self.facts.asset == "document":
            page, unit = int(body.get("page") or 0) - self.facts.first_box_page, str(body.get("unit") or "POINTS")
            if page < 0 or (self.facts.pages and page >= len(self.facts.pages)):
                raise Lost(f"page {body.get('page')} is not in the document of {len(self.facts.pages)} pages")
            plane = self.facts.page_plane(page, unit)
        else:
            plane = self.facts.plane()
        if plane is None:
            raise Lost(f"the size of its {'page in ' + unit if unit else 'picture'} is not known")
        rest |= {"meta": meta(metrics, unit=unit), "page": page}
        return [shape_output(body, plane, rest, lost)]

    def _entity(self, body: Mapping[str, Any], start: int, end: int, rest: dict[str, Any], lost: list[str]) -> Output:
        """A span; Labelbox's ``end`` is the last character, Label Studio's the one behind it."""
        text = self.facts.text if self.facts.asset == "text" else None
        if "messageId" not in body:
            if text is not None and start < len(text) <= end:
                lost.append(f"its end {end} is beyond the last character, {len(text) - 1}, and was moved there")
            return Span(start, end + 1, **rest)
        index = self.facts.message_index(str(body["messageId"]))
        if index is None:
            raise Lost(f"there is no message {body['messageId']!r} in the conversation")
        said = self.facts.messages[index].text
        if said is not None and start < len(said) <= end:
            lost.append(f"its end {end} is beyond the last character, {len(said) - 1}, and was moved there")
        return ParagraphSpan(index, start, end + 1, **rest)

    def _document_entity(self, row: Row, rest: dict[str, Any], lost: list[str]) -> list[Output]:
        """A box around the tokens of each selection; entity pages count from 1."""
        by_id = {token.id: token for token in self.facts.tokens}
        found: list[Output] = []
        for number, selection in enumerate(row.body["textSelections"]):
            ids = [str(one) for one in selection.get("tokenIds") or ()]
            tokens = [by_id[one] for one in ids if one in by_id]
            if len(tokens) < len(ids):
                lost.append(f"the text layer does not have {len(ids) - len(tokens)} of its {len(ids)} tokens")
            if not tokens:
                continue
            x, y, width, height = tokens_box(tokens)
            note = meta(
                row.body.get("customMetrics") or () if not number else (),
                row=rest["id"],
                selection={**selection, "box": [x, y, width, height]},
            )
            text = " ".join(token.text for token in tokens if token.text)
            page = int(selection["page"]) - 1
            part = {**rest, "id": derived(rest["id"], number) if found else rest["id"], "meta": note, "page": page}
            found.append(Box(x, y, width, height, unit=Unit.PERCENT, **part))
            if text and self.bound.token_text is not None:
                found.append(Text(text, control=self.bound.token_text.name, of=part["id"]))
        if not found:
            raise Lost("none of its tokens is in the text layer")
        return found

    def _mask(self, holder: Mapping[str, Any], lost: list[str]) -> Bools:
        try:
            mask = of_color(read_pixels(holder, self.facts.images), holder.get("colorRGB"))
        except ValueError as error:
            raise Lost(str(error)) from error
        if not mask.any():
            raise Lost(f"no pixel of its picture has the colour {holder.get('colorRGB')}")
        facts = self.facts.facts()
        if facts.width and facts.height and mask.shape != (facts.height, facts.width):
            lost.append(f"its picture of {mask.shape[1]} x {mask.shape[0]} pixels was scaled to the asset's size")
        return mask

    # --- video and DICOM
    def track(self, row: Row, region_id: str, lost: list[str]) -> Found:
        segments = [one for one in row.body["segments"] if one.get("keyframes")]
        if not segments:
            raise Lost("it has no keyframes")
        keyframes = [keyframe for segment in segments for keyframe in segment["keyframes"]]
        key = next((key for key in ("bbox", "line", "point", "polygon") if key in keyframes[0]), "bbox")
        group = str(row.body.get("groupKey") or "") if self.facts.asset == "dicom" else ""
        drawn = self.drawn(row.name, TOOLS[key], group)
        plane = self.facts.plane()
        if plane is None:
            raise Lost("the size of its picture is not known")
        metrics = row.body.get("customMetrics") or ()
        rest: dict[str, Any] = {"label": drawn.stored, "control": name_of(drawn.control), "score": row.confidence}
        tool = self.tool(row.name, TOOLS[key])
        if self.facts.asset == "dicom":
            return self._slices(segments, {**rest, "id": region_id}, plane, (tool, drawn), lost)
        answered = [keyframe for keyframe in keyframes if keyframe.get("classifications")]
        frames: dict[str, list[int]] = {}
        said: dict[str, Any] = {}
        for keyframe in answered:
            for entry in keyframe["classifications"]:
                name = str(entry.get("name") or entry.get("schemaId"))
                if name in said and said[name] != entry:
                    lost.append(
                        f"the answer to {name!r} in frame {keyframe['frame']} differs from the one before; a region of"
                        " Label Studio has one"
                    )
                    continue
                said[name] = entry
                frames.setdefault(name, []).append(int(keyframe["frame"]))
        rest |= {"id": region_id, "meta": meta(metrics, answered=frames)}
        boxed = drawn.tool in BOXED and _draws_boxes(drawn)
        doubled = key == "point" and not boxed
        outputs: list[Output] = [(boxed_shapes if boxed else track_output)(segments, plane, rest, lost)]
        if doubled and isinstance(outputs[0], VectorTrack):
            outputs = [_doubled(outputs[0])]
        outputs += self.nested({"classifications": list(said.values())}, tool, drawn, region_id, lost)
        return Found(outputs, geometry=True, one_vertex=doubled)

    def _slices(
        self,
        segments: Sequence[Mapping[str, Any]],
        rest: dict[str, Any],
        plane: Plane,
        tool: tuple[ToolNode | None, Drawn],
        lost: list[str],
    ) -> Found:
        """A region on each slice with a keyframe; slices count from 1, pages of an ``Image`` from 0."""
        outputs: list[Output] = []
        for number, segment in enumerate(segments):
            for keyframe in segment["keyframes"]:
                frame = int(keyframe["frame"])
                part = rest["id"] if not outputs else derived(rest["id"], number, frame)
                note = meta(row=rest["id"], segment=number)
                page = self._slice(frame)
                outputs.append(shape_output(keyframe, plane, {**rest, "id": part, "meta": note, "page": page}, lost))
                outputs += self.nested(keyframe, *tool, part, lost)
        return Found(outputs, geometry=True)

    def _slice(self, frame: int) -> int:
        if frame < 1:
            raise Lost(f"there is no slice {frame}; they count from 1")
        return frame - 1

    def frame_masks(self, row: Row, region_id: str, lost: list[str]) -> list[Output]:
        """Masks of a DICOM's slices, pixel by pixel; masks of a video's frames as outlines, one track an instance."""
        masks = row.body["masks"]
        frames: list[tuple[int, Bytes]] = []
        for frame in masks["frames"]:
            pixels = self._pixels(frame, lost)
            if pixels is not None:
                frames.append((int(frame["index"]), pixels))
        if not frames:
            raise Lost("none of its frames can be read")
        found: list[Output] = []
        group = str(row.body.get("groupKey") or "") if self.facts.asset == "dicom" else ""
        for number, instance in enumerate(masks["instances"]):
            drawn = self.drawn(str(instance.get("name") or ""), _MASKS, group)
            color = [int(one) for one in instance["colorRGB"]]
            there = [(index, mask) for index, pixels in frames if (mask := of_color(pixels, color)).any()]
            if not there:
                lost.append(f"no frame has the colour {color} of instance {number}")
                continue
            rest: dict[str, Any] = {"label": drawn.stored, "control": name_of(drawn.control)}
            if group or self.facts.asset == "dicom":
                for index, mask in there:
                    note = meta(row=region_id, color=color, instance=number)
                    part = region_id if not found else derived(region_id, number, index)
                    found.append(Mask(mask, **rest, id=part, meta=note, page=self._slice(index)))
            else:
                note = meta(row=region_id, color=color, instance=number)
                part = region_id if not found else derived(region_id, number)
                rest |= {"id": part, "meta": note}
                found.append(boxed_masks(there, rest) if _draws_boxes(drawn) else _outlines(there, rest, lost))
        if not found:
            raise Lost("no instance has a pixel")
        return found

    def _pixels(self, frame: Mapping[str, Any], lost: list[str]) -> Bytes | None:
        try:
            return read_pixels(frame, self.facts.images)
        except ValueError as error:
            lost.append(f"frame {frame['index']}: {error}")
            return None


def _draws_boxes(drawn: Drawn) -> bool:
    return drawn.control is not None and drawn.control.tag == "VideoRectangle"


def name_of(control: ControlTag | None) -> str | None:
    return control.name if control is not None else None


def _doubled(track: VectorTrack) -> VectorTrack:
    """A track of points as lines between a point and itself: outputs know no shorter line."""
    return dataclasses.replace(
        track, lines=tuple(dataclasses.replace(line, points=line.points * 2) for line in track.lines)
    )


def _outlines(frames: Sequence[tuple[int, Bools]], rest: dict[str, Any], lost: list[str]) -> Output:
    """Masks of a video's frames as closed lines; each frame stands for itself, since masks are not interpolated."""
    lines: list[TrackLine] = []
    for index, mask in frames:
        if index < 1:
            raise Lost(f"it begins in frame {index}, and Label Studio counts frames from 1")
        outline = to_polygon(mask, tolerance=0.5)
        if outline is None or len(outline.points) < 3:
            lost.append(f"its mask in frame {index} is too thin for an outline")
            continue
        if outline.holes or outline.others:
            lost.append(f"frame {index}: {outline.holes} holes were filled, {outline.others} further parts left out")
        height, width = mask.shape
        points = tuple((x * 100.0 / width, y * 100.0 / height) for x, y in outline.points)
        lines.append(TrackLine(index, points, closed=True, enabled=False))
    lost.append("its masks became outlines")
    return VectorTrack(tuple(lines), unit=Unit.PERCENT, **rest)
