"""Labelbox's NDJSON bodies to instances: objects, answers by frame, time or message, nested questions, relationships.

Formats: Labelbox's import payloads. Character ends are inclusive there and exclusive here; times of audio are
milliseconds there and seconds here; frames are inclusive at both ends on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prelabel.errors import DataError
from prelabel.labelbox.assets import POINTS_PER_INCH, AssetFacts
from prelabel.labelbox.review_masks import of_color, read_pixels
from prelabel.masks import Bytes
from prelabel.metrics.instances import Instance, Kind
from prelabel.metrics.keyframes import Box, Keyframe, around, interpolated

Body = Mapping[str, Any]
ReadImage = Callable[[str], bytes]


def instances_of_rows(
    bodies: Iterable[Body],
    *,
    asset: str | None = None,
    read_image: ReadImage | None = None,
    facts: AssetFacts | None = None,
) -> list[Instance]:
    """All that the NDJSON lines of one data row say, in their order; metric rows say nothing.

    Boxes and points are in the asset's own unit (pixels, degrees). Boxes on a document's pages are in percent of the
    page, whose index from 0 is their scope (empty for 0); where that does not follow from their unit and what is known
    of the page, in points or pixels, and the scope says so (``"2 POINTS"``). A nested question's scope is the object's
    uuid, or the path ``question/answer`` that leads to it. A text with frames or times is an interval of the question's
    class and, scoped to it, the text.

    Args:
        bodies: lines as dicts, names in either form (``name`` or ``schemaId``).
        asset: ``"audio"``: the frames of an answer are milliseconds and become segments in seconds. Lines for audio
            and video look alike.
        read_image: gives the bytes of the image that a mask's ``instanceURI`` points at.
        facts: the sizes of a document's pages, and the number of its first page in boxes.

    Raises:
        DataError: a line lacks what its kind needs, or has a mask by URL and there is no ``read_image``.
    """
    found: list[Instance] = []
    pictures = _Pictures(read_image)
    for index, body in enumerate(bodies):
        reader = _Reader(body, str(body.get("uuid") or f"#{index}"), asset, pictures, facts or AssetFacts("document"))
        try:
            found += reader.instances()
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OSError) as error:
            raise DataError(
                f"line {index + 1} ({_name(body) or 'no name'}) cannot be read: {type(error).__name__}: {error}.",
                hint="Check the line against Labelbox's payload of its kind.",
            ) from error
    return found


def _name(node: Body) -> str:
    return str(node.get("name") or node.get("schemaId") or "")


def _confidence(node: Body, otherwise: float = 1.0) -> float:
    said = node.get("confidence")
    return otherwise if said is None else float(said)


@dataclass(frozen=True, slots=True)
class _Reader:
    """One line."""

    body: Body
    id: str
    asset: str | None
    pictures: _Pictures
    facts: AssetFacts

    def instances(self) -> list[Instance]:
        body = self.body
        scope = str(body["messageId"]) if body.get("messageId") is not None else ""
        if "metricValue" in body or "metricName" in body:
            return []
        if "answer" in body or "answers" in body:
            return list(self._question(body, scope))
        if "relationship" in body:
            return [self._relationship(body["relationship"])]
        if "messageEvaluationTask" in body:
            return list(self._message_task(body["messageEvaluationTask"]))
        if "masks" in body:
            return list(self._video_masks(body["masks"]))
        found = list(self._object(body, scope))
        for node in body.get("classifications") or ():
            found += self._question(node, self.id)
        return found

    # --- objects
    def _object(self, body: Body, scope: str) -> Iterator[Instance]:
        plain = Instance("box", _name(body), None, _name(body), scope, _confidence(body), id=self.id)
        if body.get("groupKey"):
            plain = replace(plain, scope=str(body["groupKey"]))
        if "bbox" in body:
            box = _bbox(body["bbox"])
            yield self._on_page(plain, box) if "page" in body or "unit" in body else replace(plain, value=box)
        elif "polygon" in body:
            yield replace(plain, kind="polygon", value=_points(body["polygon"]))
        elif "line" in body:
            yield replace(plain, kind="polyline", value=_points(body["line"]))
        elif "point" in body:
            yield replace(plain, kind="point", value=_points([body["point"]])[0])
        elif "mask" in body:
            mask = body["mask"]
            yield replace(plain, kind="mask", value=of_color(self.pictures.of(mask, self.id), mask.get("colorRGB")))
        elif "location" in body:
            at = body["location"]
            yield replace(plain, kind="span", value=(int(at["start"]), int(at["end"]) + 1))
        elif "textSelections" in body:
            for selection in body["textSelections"]:
                tokens = tuple(map(str, selection["tokenIds"]))
                yield replace(plain, kind="tokens", value=tokens, scope=str(selection.get("page") or ""))
        elif "segments" in body:
            yield from self._track(body["segments"], plain)
        else:
            raise KeyError("no geometry and no answer")

    def _track(self, segments: Sequence[Body], plain: Instance) -> Iterator[Instance]:
        boxes: dict[int, Box] = {}
        nested: list[Instance] = []
        for segment in segments:
            boxes.update(interpolated(Keyframe(int(one["frame"]), _frame_box(one)) for one in segment["keyframes"]))
            for one in segment["keyframes"]:
                for node in one.get("classifications") or ():
                    nested += self._question(node, f"{self.id}/frame {one['frame']}")
        yield replace(plain, kind="track", value=boxes)
        yield from nested

    def _on_page(self, plain: Instance, box: tuple[float, float, float, float]) -> Instance:
        index, unit = (
            int(self.body.get("page") or 0) - self.facts.first_box_page,
            str(self.body.get("unit") or "PIXELS"),
        )
        scope = str(index) if index else ""
        plane = self.facts.page_plane(index, unit) if index >= 0 else None
        if plane is not None:
            return replace(plain, scope=scope, value=(*plane.percent(*box[:2]), *plane.percent(*box[2:])))
        grow = POINTS_PER_INCH if unit == "INCHES" else 1.0
        scope = f"{scope} {'POINTS' if unit == 'INCHES' else unit}".strip()
        return replace(plain, scope=scope, value=tuple(side * grow for side in box))

    def _video_masks(self, said: Body) -> Iterator[Instance]:
        group = f"{self.body['groupKey']} " if self.body.get("groupKey") else ""
        for frame in said["frames"]:
            pixels = self.pictures.of(frame, self.id)
            for one in said["instances"]:
                inside = of_color(pixels, one["colorRGB"])
                if inside.any():
                    scope = f"{group}frame {frame['index']}"
                    yield Instance("mask", _name(one), inside, _name(one), scope, id=f"{self.id}/{frame['index']}")

    # --- questions
    def _question(self, node: Body, scope: str, otherwise: float = 1.0) -> Iterator[Instance]:
        said = node["answer"] if "answer" in node else node["answers"]
        name, confidence = _name(node), _confidence(node, otherwise)
        if isinstance(said, str):
            yield Instance("text", name, said, name, scope, confidence, id=self.id)
            for inner in node.get("classifications") or ():
                yield from self._question(inner, _below(scope, name))
            return
        exclusive = isinstance(said, Mapping)
        for number, answer in enumerate([said] if isinstance(said, Mapping) else said):
            ranges = answer.get("frames") or node.get("frames")
            if ranges:
                yield from self._during(answer, ranges, name, scope, _confidence(answer, confidence), number)
                continue
            option = _name(answer)
            yield Instance(
                "choice", option, option, name, scope, _confidence(answer, confidence), exclusive, self.id
            )  # fmt: skip
            for inner in answer.get("classifications") or ():
                yield from self._question(inner, _below(scope, f"{name}/{option}"))

    def _during(  # noqa: PLR0917 (what is known of the question so far)
        self, answer: Body, ranges: Sequence[Body], name: str, scope: str, confidence: float, number: int
    ) -> Iterator[Instance]:
        """An answer that holds for some frames or times: an interval each, and what it says nested in it."""
        text = answer.get("value")
        for place, one in enumerate(ranges):
            inside = f"{self.id}:{scope}:{name}:{number}:{place}".replace("/", ":")
            value: tuple[float, float] = (int(one["start"]), int(one["end"]))
            if self.asset == "audio":
                value = (value[0] / 1000, value[1] / 1000)
            kind: Kind = "segment" if self.asset == "audio" else "frames"
            feature = name if text is not None else _name(answer)
            yield Instance(kind, feature, value, name, scope, confidence, id=inside)
            if text is not None:
                yield Instance("text", name, str(text), name, inside, confidence, id=self.id)
            if place == 0:
                for inner in answer.get("classifications") or ():
                    yield from self._question(inner, inside)

    # --- the rest
    def _relationship(self, said: Body) -> Instance:
        question = "relation, both ways" if said.get("type") == "bidirectional" else "relation"
        source = str(said.get("source") or said["sourceOntologyName"])
        return Instance("relation", _name(self.body) or "relation", (source, str(said["target"])), question, id=self.id)

    def _message_task(self, task: Body) -> Iterator[Instance]:
        data, name = task["data"], _name(self.body)
        plain = Instance("choice", "", "", name, str(data["parentMessageId"]), _confidence(self.body), id=self.id)
        if task["format"] == "message-ranking":
            ranked = sorted(data["rankedMessages"], key=lambda one: one["order"])
            yield replace(plain, kind="ranking", feature=name, value=tuple(str(one["messageId"]) for one in ranked))
        elif task["format"] == "message-multi-selection":
            for one in data["selectedMessages"]:
                yield replace(plain, feature=str(one["messageId"]), value=str(one["messageId"]))
        else:
            said = str(data["messageId"])
            yield replace(plain, feature=said, value=said, exclusive=True)


def _below(scope: str, name: str) -> str:
    return f"{scope}/{name}" if scope else name


def _bbox(box: Body) -> tuple[float, float, float, float]:
    """Sides in rising order: geographic boxes come with negative heights too."""
    x = sorted((float(box["left"]), float(box["left"]) + float(box["width"])))
    y = sorted((float(box["top"]), float(box["top"]) + float(box["height"])))
    return (x[0], y[0], x[1], y[1])


def _points(said: Iterable[Body]) -> tuple[tuple[float, float], ...]:
    return tuple((float(point["x"]), float(point["y"])) for point in said)


def _frame_box(keyframe: Body) -> tuple[float, float, float, float]:
    if "bbox" in keyframe:
        return _bbox(keyframe["bbox"])
    return around(_points(keyframe["line"] if "line" in keyframe else [keyframe["point"]]))


class _Pictures:
    """Pixels of masks' pictures; several masks in a row that share one decode it once."""

    def __init__(self, read_image: ReadImage | None) -> None:
        self._read_image = read_image
        self._last: tuple[str, Bytes] | None = None

    def of(self, holder: Body, mask: str) -> Bytes:
        """[height, width] or [height, width, 3] of what ``png``, ``imBytes`` or ``instanceURI`` say."""
        address = "" if holder.get("png") or holder.get("imBytes") else str(holder["instanceURI"])
        if not address:
            return read_pixels(holder, {})
        if self._last is None or self._last[0] != address:
            self._last = address, read_pixels(holder, {address: self._fetched(address, mask)})
        return self._last[1]

    def _fetched(self, address: str, mask: str) -> bytes:
        if self._read_image is None:
            raise DataError(
                f"the pixels of mask {mask!r} are at {address!r}, which nobody may read.",
                hint="Give read_image=..., a function from URL to the image's bytes.",
            )
        return self._read_image(address)
