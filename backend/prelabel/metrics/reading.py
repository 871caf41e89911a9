"""Label Studio's result regions, of a prediction or an annotation, to instances; Labelbox's are read by `rows`.

Regions with one ``id`` are one thing: a bare shape and its ``labels``, and what was answered about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from prelabel import masks
from prelabel.errors import DataError
from prelabel.labeling import LabelingConfig
from prelabel.metrics.instances import Instance, Kind
from prelabel.metrics.keyframes import Box, Keyframe, around, interpolated
from prelabel.metrics.rows import instances_of_rows

__all__ = ["instances_of_regions", "instances_of_rows"]

Region = Mapping[str, Any]
Size = tuple[float, float]
ANSWERS = frozenset(
    ("choices", "taxonomy", "rating", "number", "datetime", "textarea", "pairwise", "ranker", "chatmessage",
     "reactcode")
)  # fmt: skip
"""Region types that answer a question rather than draw something."""
NO_SIZE = 100.0
"""Percent stay percent where Label Studio keeps no size (video, PDF): an overlap does not depend on the scale."""


def instances_of_regions(
    result: Iterable[Region], *, config: LabelingConfig | None = None, size: tuple[float, float] | None = None
) -> list[Instance]:
    """All that a Label Studio ``result`` says, in its order.

    Percent become pixels of ``original_width`` x ``original_height``. An answer about a region has that region's id
    as its scope; pages, channels and paragraphs are scopes too (page and channel 0 are the empty scope, because Label
    Studio leaves them out as often as not). A region with several labels is several instances; one without takes its
    control's name.

    Args:
        result: regions as Label Studio stores them.
        config: the labeling config; says which choices exclude each other and completes nested ones to their path.
            Without it a single choice counts as exclusive.
        size: width and height of a video, of which Label Studio keeps none. Without it, a box that turns is taken for
            one of a square picture.

    Raises:
        DataError: a region lacks what its type needs; the message names the region.
    """
    regions = list(result)
    groups: dict[str, list[Region]] = {}
    for index, region in enumerate(regions):
        if region.get("type") != "relation":
            groups.setdefault(str(region.get("id") or f"#{index}"), []).append(region)
    found: list[Instance] = []
    for region_id, group in groups.items():
        found += _group(region_id, group, config, size or (NO_SIZE, NO_SIZE))
    for region in regions:
        if region.get("type") == "relation":
            found += _relation(region)
    return found


def _group(region_id: str, group: Sequence[Region], config: LabelingConfig | None, size: Size) -> Iterator[Instance]:
    drawn = [region for region in group if region.get("type") not in ANSWERS]
    try:
        if drawn:
            yield from _drawn(region_id, drawn, size)
        for region in group:
            if region.get("type") in ANSWERS:
                yield from _answers(region, config, region_id, region_id if drawn else "")
            elif region.get("value", {}).get("ocrtext"):
                yield _answer("text", _text(region["value"]["ocrtext"]), region, region_id, region_id)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"region {region_id!r} of type {group[0].get('type')!r} cannot be read: {type(error).__name__}: {error}.",
            hint="Compare it with a region that Label Studio exports for the same control.",
        ) from error


# --- what is drawn
@dataclass(frozen=True, slots=True)
class _Shape:
    kind: Kind
    value: Any
    scope: str = ""


def _drawn(region_id: str, drawn: Sequence[Region], size: Size) -> Iterator[Instance]:
    # Of a bare shape and its labels the shape knows its type; labels alone (text, audio) are told by their value.
    first = next((region for region in drawn if region["type"] != "labels"), drawn[0])
    holder = next((region for region in drawn if _labels(region)), first)
    score = next((region["score"] for region in drawn if region.get("score") is not None), None)
    if score is None:
        score = first["value"].get("score")
    for label in _labels(holder) or (str(first.get("from_name", "")),):
        for shape in _shapes(first, size):
            yield Instance(
                shape.kind, label, shape.value, str(holder.get("from_name", "")), shape.scope,
                1.0 if score is None else float(score), id=region_id,
            )  # fmt: skip


def _labels(region: Region) -> tuple[str, ...]:
    value = region["value"]
    said = value.get(region["type"]) or value.get("labels")
    return tuple(str(label) for label in said) if isinstance(said, list) else ()


def _shapes(region: Region, size: Size) -> list[_Shape]:
    value = region["value"]
    if "ranges" in value:
        return [_Shape("frames", (int(one["start"]), int(one["end"]))) for one in value["ranges"]]
    if "sequence" in value:
        return [_Shape("track", _track(value, size))]
    if "rle" in value or "imageDataURL" in value or "vertices" in value or "points" in value or "x" in value:
        return [_image(region, value)]
    return [_time_or_text(region, value)]


def _image(region: Region, value: Mapping[str, Any]) -> _Shape:  # noqa: PLR0911 (one per shape)
    width = float(region.get("original_width") or NO_SIZE)
    height = float(region.get("original_height") or NO_SIZE)
    sx, sy = width / 100, height / 100
    page = region.get("item_index") or value.get("pageIndex")
    scope = str(page) if page else ""
    if "rle" in value:
        return _Shape("mask", masks.decode_rle(value["rle"], width=int(width), height=int(height)), scope)
    if "imageDataURL" in value:
        return _Shape("mask", masks.from_data_url(value["imageDataURL"]), scope)
    if "vertices" in value:
        points = tuple((point["x"] * sx, point["y"] * sy) for point in value["vertices"])
        return _Shape("polygon" if value.get("closed") and len(points) > 2 else "polyline", points, scope)
    if "points" in value:
        return _Shape("polygon", tuple((x * sx, y * sy) for x, y in value["points"]), scope)
    x, y = value["x"] * sx, value["y"] * sy
    if "radiusX" in value:
        radii = (value["radiusX"] * sx, value["radiusY"] * sy)
        return _Shape("ellipse", (x, y, *radii, float(value.get("rotation") or 0)), scope)
    if "height" not in value:
        return _Shape("point", (x, y), scope)
    w, h, rotation = value["width"] * sx, value["height"] * sy, float(value.get("rotation") or 0)
    if rotation % 360:
        return _Shape("rotated_box", (x, y, w, h, rotation), scope)
    return _Shape("box", (x, y, x + w, y + h), scope)


def _track(value: Mapping[str, Any], size: Size) -> dict[int, Box]:
    sequence = value["sequence"]
    turns = any(float(one.get("rotation") or 0) for one in sequence)
    return interpolated(
        (Keyframe(int(one["frame"]), _frame_box(one, size, turns), bool(one.get("enabled", True))) for one in sequence),
        int(value["framesCount"]) if value.get("framesCount") else None,
    )


def _frame_box(one: Mapping[str, Any], size: Size, turns: bool) -> Box:
    sx, sy = size[0] / 100, size[1] / 100
    if "vertices" in one:
        return around([(point["x"] * sx, point["y"] * sy) for point in one["vertices"]])
    x, y, width, height = one["x"] * sx, one["y"] * sy, one["width"] * sx, one["height"] * sy
    if turns:
        return (x, y, width, height, float(one.get("rotation") or 0))
    return (x, y, x + width, y + height)


def _time_or_text(region: Region, value: Mapping[str, Any]) -> _Shape:
    if "globalOffsets" in value:
        offsets = value["globalOffsets"]
        return _Shape("span", (int(offsets["start"]), int(offsets["end"])))
    if "startOffset" in value:
        begin, end = int(value["startOffset"]), int(value["endOffset"])
        if value["start"] == value["end"]:
            return _Shape("span", (begin, end), str(value["start"]))
        length = len(value.get("text") or "") or max(end - begin, 0)
        return _Shape("span", (begin, begin + length), f"{value['start']}-{value['end']}")
    is_time = (
        region["type"] == "timeserieslabels" or "channel" in value or "instant" in value or "original_length" in region
    )
    if not is_time and isinstance(value["start"], int) and isinstance(value["end"], int):
        return _Shape("span", (value["start"], value["end"]))
    channel = value.get("channel")
    begins = _time(value["start"])
    ends = begins if value.get("end") is None else _time(value["end"])
    return _Shape("segment", (begins, ends), str(channel) if channel else "")


def _time(value: float | str) -> float:
    """Seconds or a number of the time column; dates become seconds since 1970, without a zone taken as UTC."""
    if not isinstance(value, str):
        return float(value)
    try:
        return float(value)
    except ValueError:
        when = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()


def _relation(region: Region) -> Iterator[Instance]:
    ends = (str(region["from_id"]), str(region["to_id"]))
    direction = region.get("direction") or "right"
    value = ends[::-1] if direction == "left" else ends
    for label in region.get("labels") or ("relation",):
        question = "relation, both ways" if direction == "bi" else "relation"
        yield Instance("relation", str(label), value, question, id=str(region.get("id") or ""))


# --- what is answered
def _answer(  # noqa: PLR0917 (an instance's parts in their order)
    kind: Kind, value: Any, region: Region, region_id: str, scope: str, name: str = ""
) -> Instance:
    question, score = name or str(region.get("from_name", "")), region.get("score")
    return Instance(kind, question, value, question, scope, 1.0 if score is None else float(score), id=region_id)


def _answers(region: Region, config: LabelingConfig | None, region_id: str, scope: str) -> Iterator[Instance]:
    value, said = region["value"], region["type"]
    if said in {"choices", "taxonomy", "pairwise"}:
        yield from _choices(region, config, region_id, scope)
    elif said == "ranker":
        for bucket, items in value["ranker"].items():
            one = _answer("ranking", tuple(map(str, items)), region, region_id, scope)
            if len(value["ranker"]) > 1:
                one = _answer("ranking", one.value, region, region_id, scope, f"{one.question}/{bucket}")
            yield one
    elif said == "reactcode":
        for key, part in value["reactcode"].items():
            name = f"{region.get('from_name', '')}/{key}"
            is_number = isinstance(part, int | float) and not isinstance(part, bool)
            yield _answer("number" if is_number else "text", part if is_number else str(part), region, region_id, scope,
                          name)  # fmt: skip
    elif said == "chatmessage":
        message = value["chatmessage"]
        yield _answer("text", str(message["content"]), region, region_id, scope,
                      f"{region.get('from_name', '')}/{message['role']}")  # fmt: skip
    else:
        key, kind, make = _PLAIN[said]
        yield _answer(kind, make(value[key]), region, region_id, scope)


def _text(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


_PLAIN: Mapping[str, tuple[str, Kind, Callable[[Any], Any]]] = {
    "rating": ("rating", "rating", float),
    "number": ("number", "number", float),
    "datetime": ("datetime", "datetime", _text),
    "textarea": ("text", "text", _text),
}
"""Key in the value, kind, and what makes the instance's value of it."""


def _choices(region: Region, config: LabelingConfig | None, region_id: str, scope: str) -> Iterator[Instance]:
    said = region["value"]["selected" if region["type"] == "pairwise" else region["type"]]
    answers = [said] if isinstance(said, str) else list(said)
    question = str(region.get("from_name", ""))
    control = config.control(question) if config is not None else None
    exclusive = region["type"] == "pairwise" or (len(answers) == 1 if control is None else not control.multiple)
    score = region.get("score")
    for answer in answers:
        name = answer if isinstance(answer, str) else "/".join(map(str, answer))
        entry = control.find(name) if control is not None else None
        if entry is not None and len(entry.path) > 1:
            name = "/".join(entry.path)
        yield Instance("choice", name, name, question, scope, 1.0 if score is None else float(score), exclusive,
                       region_id)  # fmt: skip
