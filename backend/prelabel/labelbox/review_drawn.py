"""A drawn region's geometry as a row has it, and rows that are made of several regions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prelabel import masks
from prelabel.labelbox.assets import AssetFacts, Plane
from prelabel.labelbox.config_reading import Drawn
from prelabel.labelbox.config_tags import GROUPS
from prelabel.labelbox.review_boxed import BOXED, Boxed
from prelabel.labelbox.review_masks import PALETTE, from_outline, to_composite, to_png
from prelabel.labelbox.review_notes import notes_of
from prelabel.labelbox.review_shapes import (
    Lost,
    box_back,
    point_back,
    ring_back,
    tokens_inside,
    vertices_back,
)
from prelabel.masks import Bools

Region = Mapping[str, Any]
_MASKS = frozenset({"raster-segmentation", "superpixel"})
_SAME = 1e-3
"""Percent by which a box may differ and still be the one that was sent."""


def object_body(region: Region, tool: Drawn, facts: AssetFacts, lost: list[str]) -> dict[str, Any]:
    """The part of a row that holds the geometry: ``bbox``, ``polygon``, ``location``, ``segments`` ...

    For parts of video and DICOM masks: ``mask`` as pixels, which `Parts` puts together.

    Raises:
        Lost: it has no counterpart.
    """
    value = region.get("value") or {}
    if "sequence" in value:
        return _sequence(region, tool, facts, lost)
    if tool.tool == "named-entity":
        return _document_entity(region, facts, lost) if facts.asset == "document" else _entity(value, facts)
    body = _drawn(region, value, tool, facts, lost)
    if facts.asset == "dicom":
        frame = int(region.get("item_index") or 0) + 1
        to_name = str(region.get("to_name", ""))
        group = to_name if to_name in facts.groups or to_name in GROUPS else facts.groups[0]
        if "mask" in body:
            return {"groupKey": group, "index": frame, "mask": body["mask"]}
        return {"groupKey": group, "frame": frame, "keyframe": body}
    if "mask" in body:
        body["mask"] = {"png": to_png(body["mask"])}
    return body


def _drawn(region: Region, value: Mapping[str, Any], tool: Drawn, facts: AssetFacts, lost: list[str]) -> dict[str, Any]:
    if "rle" in value or "imageDataURL" in value:
        return {"mask": _mask(region, value)}
    size = _size(region)
    if facts.asset == "document":
        index = int(region.get("item_index") or 0)
        unit = str(notes_of(region).get("unit") or "")
        if not unit:
            unit = "POINTS" if facts.page_plane(index, "POINTS") is not None else "PERCENT"
        plane = facts.page_plane(index, unit)
        if plane is None and unit == "PIXELS" and size is not None:
            plane = Plane(0.0, 0.0, *size)
        extra: dict[str, Any] = {"page": index + facts.first_box_page, "unit": unit}
    else:
        plane, extra = facts.plane(size), {}
    if plane is None:
        raise Lost("the size of its picture is not known")
    if "vertices" in value:
        points = vertices_back(value, plane)
        if value.get("closed"):
            return {"polygon": [*points, points[0]], **extra} if points else {**extra, "polygon": points}
        return {"line": points, **extra}
    if "points" in value:
        return {"polygon": ring_back(value["points"], plane), **extra}
    if tool.tool == "point":
        return {"point": point_back(value["x"], value["y"], plane), **extra}
    if "width" in value and "height" in value:
        if value.get("rotation"):
            lost.append("its rotation was left out: the row has the box around it")
            value = _unturned(value, size or (1, 1))
        return {"bbox": box_back(value, plane), **extra}
    raise Lost(f"a {region.get('type')} has no counterpart in Labelbox")


def _size(region: Region) -> tuple[float, float] | None:
    width, height = region.get("original_width"), region.get("original_height")
    return (float(width), float(height)) if width and height else None


def _unturned(value: Mapping[str, Any], size: tuple[float, float]) -> dict[str, float]:
    """The upright box around a rectangle that is turned clockwise around its top-left corner, in percent."""
    sx, sy = size[0] / 100.0, size[1] / 100.0
    angle = math.radians(float(value["rotation"]))
    width, height = float(value["width"]) * sx, float(value["height"]) * sy
    corners = [
        (u * math.cos(angle) - v * math.sin(angle), u * math.sin(angle) + v * math.cos(angle))
        for u, v in ((0, 0), (width, 0), (width, height), (0, height))
    ]
    left, top = min(x for x, _ in corners), min(y for _, y in corners)
    right, bottom = max(x for x, _ in corners), max(y for _, y in corners)
    return {
        "x": float(value["x"]) + left / sx,
        "y": float(value["y"]) + top / sy,
        "width": (right - left) / sx,
        "height": (bottom - top) / sy,
    }


def _mask(region: Region, value: Mapping[str, Any]) -> Bools:
    size = _size(region)
    try:
        if "imageDataURL" in value:
            return masks.from_data_url(str(value["imageDataURL"]))
        if size is None:
            raise Lost("the size of its picture is not known")
        return masks.decode_rle(value["rle"], width=int(size[0]), height=int(size[1]))
    except ValueError as error:
        raise Lost(f"its mask cannot be read: {error}") from error


# --- entities
def _entity(value: Mapping[str, Any], facts: AssetFacts) -> dict[str, Any]:
    """Characters of a text or message; Label Studio's end lies behind the last one, Labelbox's is the last."""
    if facts.asset == "conversational":
        first, last = int(value["start"]), int(value["end"])
        if first != last:
            raise Lost(f"it runs from message {first} to {last}, and an entity lies in one message")
        if first >= len(facts.messages):
            raise Lost(f"the id of message {first} (counted from 0) is not known")
        start, end = int(value["startOffset"]), int(value["endOffset"])
        more = {"messageId": facts.messages[first].id}
    else:
        offsets = value.get("globalOffsets") or value
        start, end = int(offsets["start"]), int(offsets["end"])
        more = {}
    if end <= start:
        raise Lost("it holds no character")
    return {"location": {"start": start, "end": end - 1}, **more}


def _document_entity(region: Region, facts: AssetFacts, lost: list[str]) -> dict[str, Any]:
    """Token ids: those that were sent while the box is where it was, else those whose centre lies in it."""
    value = region.get("value") or {}
    told = notes_of(region).get("selection")
    if isinstance(told, Mapping):
        box = [value.get(key) for key in ("x", "y", "width", "height")]
        if all(abs(float(a or 0) - float(b)) < _SAME for a, b in zip(box, told["box"], strict=True)):
            return {"textSelections": [{key: one for key, one in told.items() if key != "box"}]}
    page = int(region.get("item_index") or 0) + 1
    if not facts.tokens:
        raise Lost("the text layer is not known, so its tokens are not either")
    tokens = tokens_inside(facts, page, value)
    if not tokens:
        raise Lost(f"no token of page {page} lies in it")
    groups = dict.fromkeys(token.group for token in tokens)
    return {
        "textSelections": [
            {"tokenIds": [token.id for token in tokens if token.group == group], "groupId": group, "page": page}
            for group in groups
        ]
    }


# --- video
def _sequence(region: Region, tool: Drawn, facts: AssetFacts, lost: list[str]) -> dict[str, Any]:
    """Keyframes to segments: one ends at a keyframe that is not ``enabled``, the last may run to the video's end."""
    value = region["value"]
    sequence = sorted(value["sequence"], key=lambda one: int(one["frame"]))
    plane = facts.plane(_size(region))
    boxed: Boxed | None = None
    if tool.tool in BOXED and "vertices" not in sequence[0]:
        boxed = Boxed(notes_of(region).get("shapes") or {})
        if tool.tool in _MASKS:
            size = (facts.width, facts.height) if facts.width and facts.height else None
            return {"outlines": [(int(one["frame"]), boxed.mask(one, size)) for one in sequence]}
    elif tool.tool in _MASKS:
        if not (facts.width and facts.height):
            raise Lost("the size of its picture is not known")
        pixels = Plane(0.0, 0.0, facts.width, facts.height)
        return {
            "outlines": [
                (
                    int(one["frame"]),
                    from_outline(
                        [pixels.back(float(v["x"]), float(v["y"])) for v in one["vertices"]], facts.width, facts.height
                    ),
                )
                for one in sequence
            ]
        }
    if plane is None:
        raise Lost("the size of the video's picture is not known")
    segments: list[dict[str, Any]] = []
    open_segment: list[dict[str, Any]] | None = None
    for one in sequence:
        if open_segment is None:
            open_segment = []
            segments.append({"keyframes": open_segment})
        shape = _keyframe(one, tool, plane) if boxed is None else boxed.keyframe(one, tool.tool, plane)
        open_segment.append({"frame": int(one["frame"]), **shape})
        if not one.get("enabled", True):
            open_segment = None
    last_frame = int(value.get("framesCount") or facts.frames_count or 0)
    if open_segment and last_frame > open_segment[-1]["frame"]:
        open_segment.append({**open_segment[-1], "frame": last_frame})
    if any(one.get("rotation") for one in sequence):
        lost.append("its rotation was left out: boxes of Labelbox are upright")
    return {"segments": segments}


def _keyframe(one: Mapping[str, Any], tool: Drawn, plane: Plane) -> dict[str, Any]:
    if "vertices" not in one:
        return {"bbox": box_back(one, plane)}
    points = vertices_back(one, plane)
    if tool.tool == "point":
        return {"point": points[0]}
    if tool.tool == "polygon":
        return {"polygon": [*points, points[0]]}
    return {"line": points}


# --- rows of several regions
class Parts:
    """Rows while their regions come in; ``base`` makes the beginning of a row."""

    def __init__(self, base: Callable[[str | None, str | None], dict[str, Any]]) -> None:
        self._base = base
        self._rows: dict[str, dict[str, Any]] = {}
        self._masks: dict[str, list[tuple[int, Bools, Sequence[int]]]] = {}

    def add(self, region: Region, row: dict[str, Any], body: dict[str, Any], entries: Sequence[dict[str, Any]]) -> None:
        """Add a region's row, or add the region to the row it is a part of."""
        uuid, notes = str(row["uuid"]), notes_of(region)
        if "outlines" in body or "index" in body:
            self._add_masks(row, body, notes)
        elif "frame" in body:
            self._add_slice(row, body, notes, entries)
        elif "segments" in body:
            _place_answers(body["segments"], entries, notes.get("answered") or {})
            self._rows[uuid] = {**row, **body}
        elif "textSelections" in body and uuid in self._rows:
            self._rows[uuid]["textSelections"] += body["textSelections"]
        else:
            self._rows[uuid] = {**row, **body, **({"classifications": list(entries)} if entries else {})}

    def _add_slice(
        self, row: dict[str, Any], body: dict[str, Any], notes: Mapping[str, Any], entries: Sequence[dict[str, Any]]
    ) -> None:
        known = self._rows.setdefault(str(row["uuid"]), {**row, "groupKey": body["groupKey"], "segments": {}})
        keyframe = {"frame": body["frame"], **body["keyframe"]}
        if entries:
            keyframe["classifications"] = list(entries)
        known["segments"].setdefault(int(notes.get("segment") or 0), []).append(keyframe)

    def _add_masks(self, row: dict[str, Any], body: dict[str, Any], notes: Mapping[str, Any]) -> None:
        uuid, name = str(row["uuid"]), row.pop("name")
        known = self._rows.setdefault(uuid, {**row, "masks": {"frames": [], "instances": []}})
        if "groupKey" in body:
            known["groupKey"] = body["groupKey"]
        instances = known["masks"]["instances"]
        color = list(notes.get("color") or PALETTE[len(instances) % len(PALETTE)])
        if {"colorRGB": color, "name": name} not in instances:
            instances.append({"colorRGB": color, "name": name})
        frames = body.get("outlines") or [(body["index"], body["mask"])]
        self._masks.setdefault(uuid, []).extend((index, mask, color) for index, mask in frames)

    def rows(self, dropped: list[str]) -> list[dict[str, Any]]:
        """All rows, in the order in which their first regions came."""
        for uuid, row in self._rows.items():
            if isinstance(row.get("segments"), dict):
                ordered = [row["segments"][number] for number in sorted(row["segments"])]
                row["segments"] = [{"keyframes": sorted(one, key=lambda k: int(k["frame"]))} for one in ordered]
            if uuid not in self._masks:
                continue
            by_frame: dict[int, list[tuple[Bools, Sequence[int]]]] = {}
            for index, mask, color in self._masks[uuid]:
                by_frame.setdefault(index, []).append((mask, color))
            row["masks"]["frames"] = [
                {"index": index, "imBytes": to_composite(by_frame[index])} for index in sorted(by_frame)
            ]
            if row.pop("customMetrics", None):
                dropped.append(f"row {uuid}: custom metrics of masks in frames were left out.")
        return list(self._rows.values())


def _place_answers(
    segments: Sequence[Mapping[str, Any]],
    entries: Sequence[dict[str, Any]],
    frames: Mapping[str, Sequence[int]],
) -> None:
    """Put a track's answers on the keyframes that had them; a person's, on the first of each segment."""
    keyframes = [keyframe for segment in segments for keyframe in segment["keyframes"]]
    firsts = [segment["keyframes"][0] for segment in segments]
    for entry in entries:
        told = frames.get(str(entry["name"]), ())
        for keyframe in [one for one in keyframes if one["frame"] in told] or firsts:
            keyframe.setdefault("classifications", []).append(entry)
