"""Label Studio's regions back to outputs: what a person annotated, in the words in which a model would say it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prelabel.outputs import (
    Box,
    Choice,
    Choices,
    DateTime,
    Ellipse,
    FrameSpan,
    Keypoint,
    Mask,
    Number,
    Output,
    ParagraphSpan,
    Polygon,
    Polyline,
    Preference,
    Rating,
    Raw,
    Segment,
    SeriesSegment,
    Span,
    Taxonomy,
    Text,
    Unit,
)

Region = Mapping[str, Any]
Value = Mapping[str, Any]


def to_outputs(regions: Iterable[Region]) -> list[Output]:
    """One output for each region, in their order, with its control's name and its id; relations are left out.

    Places in images are in pixels where the region says the image's size (it does where Label Studio's editor drew it),
    else in percent; spans are characters, of hypertext those of its visible text; audio is in seconds, video in frames
    counted from 1. A region of another type (tracks in videos, rankings, chats ...) comes as `Raw`. Scores are those of
    the region, where it has one.
    """
    found: list[Output] = []
    for region in regions:
        value, kind = region.get("value"), str(region.get("type") or "")
        if kind == "relation" or not isinstance(value, Mapping):
            continue
        read = _READERS.get(kind) or _READERS.get(kind.removesuffix("labels"))
        try:
            made = read(value, region, _label(value, kind)) if read is not None else None
        except (KeyError, TypeError, ValueError, IndexError):
            made = None  # not as Label Studio writes it
        found.append(made if made is not None else Raw(dict(region), control=region.get("from_name")))
    return found


def _label(value: Value, kind: str) -> str | None:
    """The first label of a region; None where it has none of its own."""
    said = value.get(kind) if kind.endswith("labels") else value.get("labels")
    return str(said[0]) if isinstance(said, list) and said else None


def _named(region: Region) -> dict[str, Any]:
    score = region.get("score")
    return {
        "control": region.get("from_name"),
        "id": region.get("id"),
        "score": float(score) if isinstance(score, int | float) and not isinstance(score, bool) else None,
    }


# -- images


def _scale(region: Region) -> tuple[float, float, Unit]:
    width, height = region.get("original_width"), region.get("original_height")
    if isinstance(width, int | float) and isinstance(height, int | float) and width > 0 and height > 0:
        return width / 100.0, height / 100.0, Unit.PIXEL
    return 1.0, 1.0, Unit.PERCENT


def _page(region: Region) -> dict[str, Any]:
    index = region.get("item_index")
    return {"page": int(index)} if isinstance(index, int) else {}


def _box(value: Value, region: Region, label: str | None) -> Output:
    fx, fy, unit = _scale(region)
    x, y, width, height = (float(value[side]) for side in ("x", "y", "width", "height"))
    turned = float(value.get("rotation") or 0.0)
    return Box(
        x * fx, y * fy, width * fx, height * fy, label, unit=unit, rotation=turned, **_page(region), **_named(region)
    )


def _ellipse(value: Value, region: Region, label: str | None) -> Output:
    fx, fy, unit = _scale(region)
    x, y, rx, ry = (float(value[side]) for side in ("x", "y", "radiusX", "radiusY"))
    turned = float(value.get("rotation") or 0.0)
    return Ellipse(
        x * fx, y * fy, rx * fx, ry * fy, label, unit=unit, rotation=turned, **_page(region), **_named(region)
    )


def _polygon(value: Value, region: Region, label: str | None) -> Output:
    fx, fy, unit = _scale(region)
    points = tuple((float(x) * fx, float(y) * fy) for x, y in value["points"])
    return Polygon(points, label, unit=unit, **_page(region), **_named(region))


def _vector(value: Value, region: Region, label: str | None) -> Output:
    fx, fy, unit = _scale(region)
    points = tuple((float(point["x"]) * fx, float(point["y"]) * fy) for point in value["vertices"])
    return Polyline(points, label, unit=unit, closed=bool(value.get("closed")), **_page(region), **_named(region))


def _keypoint(value: Value, region: Region, label: str | None) -> Output:
    fx, fy, unit = _scale(region)
    size = float(value.get("width") or 0.5)
    return Keypoint(
        float(value["x"]) * fx, float(value["y"]) * fy, label, unit=unit, size=size, **_page(region), **_named(region)
    )


def _brush(value: Value, region: Region, label: str | None) -> Output:
    from prelabel import masks  # noqa: PLC0415 (NumPy is imported by those who read masks)

    width, height = int(region["original_width"]), int(region["original_height"])
    inside = masks.decode_rle(value["rle"], width=width, height=height)
    return Mask(inside, label, **_page(region), **_named(region))


def _bitmask(value: Value, region: Region, label: str | None) -> Output:
    from prelabel import masks  # noqa: PLC0415 (as above)

    return Mask(masks.from_data_url(value["imageDataURL"]), label, **_page(region), **_named(region))


# -- text and time


def _span(value: Value, region: Region, label: str | None) -> Output:
    whole = value.get("globalOffsets")
    if isinstance(whole, Mapping):
        return Span(int(whole["start"]), int(whole["end"]), label, **_named(region))
    return Span(int(value["start"]), int(value["end"]), label, **_named(region))


def _paragraph(value: Value, region: Region, label: str | None) -> Output:
    first, last = int(value["start"]), int(value["end"])
    start, end = int(value["startOffset"]), int(value["endOffset"])
    return ParagraphSpan(first, start, end, label, end_paragraph=last, **_named(region))


def _heard(value: Value, region: Region, label: str | None) -> Output:
    """``labels`` are on audio (numbers in seconds) or on text (offsets)."""
    if "channel" in value or "original_length" in region:
        return _segment(value, region, label)
    return _span(value, region, label)


def _segment(value: Value, region: Region, label: str | None) -> Output:
    channel = value.get("channel")
    return Segment(
        float(value["start"]),
        float(value["end"]),
        label,
        channel=int(channel) if isinstance(channel, int) else None,
        **_named(region),
    )


def _series(value: Value, region: Region, label: str | None) -> Output:
    end = None if value.get("instant") else value["end"]
    return SeriesSegment(value["start"], end, label, **_named(region))


def _timeline(value: Value, region: Region, label: str | None) -> Output:
    (stretch,) = value["ranges"]
    return FrameSpan(int(stretch["start"]), int(stretch["end"]), label, **_named(region))


# -- answers


def _of(region: Region, value: Value) -> dict[str, Any]:
    """An answer about a drawn region says where that is and has its id."""
    drawn = any(side in value for side in ("x", "start", "points", "rle", "vertices"))
    return {**_named(region), "id": None, "of": region.get("id")} if drawn else _named(region)


def _choices(value: Value, region: Region, _label: str | None) -> Output:
    said = [each[-1] if isinstance(each, list) else each for each in value["choices"]]
    if len(said) == 1:
        return Choice(str(said[0]), **_of(region, value))
    return Choices(tuple(map(str, said)), **_of(region, value))


def _taxonomy(value: Value, region: Region, _label: str | None) -> Output:
    return Taxonomy(tuple(tuple(map(str, path)) for path in value["taxonomy"]), **_of(region, value))


def _text(value: Value, region: Region, _label: str | None) -> Output:
    said = value["text"]
    return Text(tuple(map(str, said)) if isinstance(said, list) else str(said), **_of(region, value))


_READERS: Mapping[str, Callable[[Value, Region, str | None], Output]] = {
    "rectangle": _box,
    "ellipse": _ellipse,
    "polygon": _polygon,
    "vector": _vector,
    "keypoint": _keypoint,
    "brush": _brush,
    "bitmask": _bitmask,
    "labels": _heard,
    "hypertext": _span,
    "paragraph": _paragraph,
    "paragraphs": _paragraph,
    "timeseries": _series,
    "timeline": _timeline,
    "choices": _choices,
    "taxonomy": _taxonomy,
    "textarea": _text,
    "rating": lambda value, region, _: Rating(int(value["rating"]), **_of(region, value)),
    "number": lambda value, region, _: Number(float(value["number"]), **_of(region, value)),
    "datetime": lambda value, region, _: DateTime(str(value["datetime"]), **_of(region, value)),
    "pairwise": lambda value, region, _: Preference(value["selected"], **_named(region)),
}
