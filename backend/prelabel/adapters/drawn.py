"""Mappings that describe one region (a span, a segment, a box, a mask) to that output."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from prelabel import outputs as o
from prelabel.adapters.menu import Menu
from prelabel.adapters.values import as_list, as_plane, is_plane, numbers, plain

_STRETCHES: tuple[type[o.Output], ...] = (o.Span, o.Segment, o.SeriesSegment, o.FrameSpan)
_ALIASES: Mapping[str, str] = {
    "entity_group": "label",
    "entity": "label",
    "class": "label",
    "class_name": "label",
    "category": "label",
    "confidence": "score",
    "probability": "score",
    "generated_text": "text",
    "summary_text": "text",
    "transcription": "text",
    "translation_text": "text",
}
"""Other names under which frameworks give a region's label, score and text."""
CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom"))
_SIZES = ("x", "y", "width", "height")


def renamed(given: Mapping[Any, Any]) -> dict[str, Any]:
    """The mapping under our own names for label, score and text."""
    said = dict(given)
    for key in given:
        if key in _ALIASES:
            said.setdefault(_ALIASES[key], said.pop(key))
    labels = said.get("labels")
    if "label" not in said and isinstance(labels, list | tuple) and len(labels) == 1 and isinstance(labels[0], str):
        said["label"] = labels[0]
    return said


def drawn(given: Mapping[Any, Any], menu: Menu) -> o.Output | None:
    """A region by its keys; None where ``given`` describes none.

    Raises:
        OutputError: it does, but a value is malformed or may mean two things.
    """
    said = renamed(given)
    times = numbers(said["timestamp"], 2) if "timestamp" in said else None
    if times is not None:
        said["start"], said["end"] = times
    kind, geometry = _geometry(said, given, menu)
    if kind is None:
        return None
    said.update(geometry)
    return made(kind, said, given, menu)


def _geometry(  # noqa: PLR0911 (one return a kind)
    said: Mapping[str, Any], given: Any, menu: Menu
) -> tuple[type[o.Output] | None, Mapping[str, Any]]:
    """The kind of output that the keys speak of, and those of its fields that have other names or types there."""
    if "start" in said and "end" in said:
        if "paragraph" in said and menu.takes(o.ParagraphSpan):
            return o.ParagraphSpan, {}
        return stretch(menu, said.get("label")), {}
    if "mask" in said and is_plane(said["mask"]):
        return o.Mask, {"array": as_plane(said["mask"])}
    if "points" in said:
        lines = menu.takes(o.Polyline) and not menu.takes(o.Polygon)
        return (o.Polyline if lines else o.Polygon), {"points": _points(said["points"], given, menu)}
    box = _box(said, given, menu)
    if box is not None:
        return o.Box, box
    if "x" in said and "y" in said and menu.takes(o.Keypoint):
        return o.Keypoint, {}
    return None, {}


def stretch(menu: Menu, label: Any) -> type[o.Output] | None:
    """What start and end mean: characters, seconds, values of a time column or frames, by the config's objects."""
    kinds = [kind for kind in _STRETCHES if menu.takes(kind)]
    if len(kinds) > 1 and label is not None:
        kinds = [kind for kind in kinds if any(menu.knows(control, str(label)) for control in menu.takes(kind))]
    return kinds[0] if len(kinds) == 1 else None


def _box(said: Mapping[str, Any], given: Any, menu: Menu) -> dict[str, Any] | None:
    if "xyxy" in said or "box" in said:
        corners = said.get("xyxy", said.get("box"))
        if isinstance(corners, Mapping):
            corners = _corners(corners)
        four = numbers(corners, 4)
        if four is not None:
            return between(*four)
    four = numbers(_corners(said), 4)
    if four is not None:
        return between(*four)
    four = numbers(said.get("xywh"), 4)
    if four is not None:
        return dict(zip(_SIZES, four, strict=True))
    if "width" in said and all(key in said for key in _SIZES):
        return {}
    four = numbers([said.get(key) for key in ("left", "top", "width", "height")], 4)
    if four is not None:
        return dict(zip(_SIZES, four, strict=True))
    if "bbox" in said:
        raise menu.refuse(given, "has a bbox, which may be two corners or a corner and a size: call it xyxy or xywh")
    return None


def _corners(said: Mapping[str, Any]) -> list[Any] | None:
    """Two corners under any of their names."""
    return next(([said[key] for key in keys] for keys in CORNERS if all(key in said for key in keys)), None)


def between(x1: float, y1: float, x2: float, y2: float) -> dict[str, Any]:
    """A box's fields from two corners."""
    return {"x": min(x1, x2), "y": min(y1, y2), "width": abs(x2 - x1), "height": abs(y2 - y1)}


def _points(points: Any, given: Any, menu: Menu) -> tuple[tuple[float, float], ...]:
    rows = points.tolist() if is_plane(points) else as_list(points)
    pairs = [numbers(row, 2) for row in rows] if isinstance(rows, list) else [None]
    if None in pairs:
        raise menu.refuse(given, "has points that are not pairs of numbers")
    return tuple((pair[0], pair[1]) for pair in pairs if pair is not None)


@lru_cache(maxsize=64)
def _fields(kind: Any) -> tuple[frozenset[str], frozenset[str]]:
    """Names of all fields, and of those that must be given."""
    fields = dataclasses.fields(kind)
    missing = dataclasses.MISSING
    needed = (f.name for f in fields if f.default is missing and f.default_factory is missing)
    return frozenset(f.name for f in fields), frozenset(needed)


def made(kind: type[o.Output], said: Mapping[str, Any], raw: Any, menu: Menu) -> o.Output:
    """An output of ``kind`` from the keys that it has; others are left aside."""
    described: Any = kind  # mypy takes the class's own __hash__ for its metaclass's
    fields, needed = _fields(described)
    values = {key: plain(value) for key, value in said.items() if value is not None and key in fields}
    if not needed <= values.keys():
        raise menu.refuse(raw, f"lacks {', '.join(sorted(needed - values.keys()))} for a {kind.__name__}")
    if "label" in values:
        values["label"] = str(values["label"])
    if "unit" in values:
        if values["unit"] not in [unit.value for unit in o.Unit]:
            raise menu.refuse(raw, "has a unit other than pixel, fraction and percent")
        values["unit"] = o.Unit(values["unit"])
    if "score" in values:
        values["score"] = menu.share(values["score"], raw)
    if menu.only is not None:
        values["control"] = menu.only.name
    return kind(**values)
