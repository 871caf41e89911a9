"""How much two instances cover each other: intersection over union (IoU), 0..1, for every family of values.

A function takes the values of one family and gives the pairs that overlap: which of the first, which of the second,
and the IoU of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prelabel import masks
from prelabel.metrics.instances import Instance
from prelabel.metrics.libraries import library

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Pairs = tuple[Ints, Ints, Floats]
BUFFER = 70.0
"""How far points and lines are grown before they are compared, in units of the image: Labelbox's reference."""
ELLIPSE_SIDES = 128
TURNED = 5
"""Numbers of a track's box that turns."""
FAMILIES: Mapping[str, str] = {
    "box": "area", "rotated_box": "area", "ellipse": "area", "polygon": "area", "mask": "area",
    "polyline": "line", "rating": "number",
}  # fmt: skip
"""Kinds that can be compared with each other; the others only with their own."""


def family(kind: str) -> str:
    """Instances overlap only within one family."""
    return FAMILIES.get(kind, kind)


def iou_pairs(first: Sequence[Instance], second: Sequence[Instance], buffer: float = BUFFER) -> Pairs:
    """The pairs of two groups of one family that overlap at all, ordered by ``first``."""
    if not first or not second:
        return _none()
    kind = family(first[0].kind)
    if kind == "area":
        return _areas(first, second)
    if kind in {"line", "point"}:
        return _shapes(first, second, buffer)
    compare = _COMPARE.get(kind, _equal)
    return compare([one.value for one in first], [one.value for one in second], buffer)


def aligned_box_iou(first: Floats, second: Floats) -> Floats:
    """IoU of ``first[i]`` and ``second[i]``, both ``[n, 4]`` as x1, y1, x2, y2; 0 where neither has an area."""
    width = np.minimum(first[:, 2], second[:, 2]) - np.maximum(first[:, 0], second[:, 0])
    height = np.minimum(first[:, 3], second[:, 3]) - np.maximum(first[:, 1], second[:, 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    return _ratio(shared, box_areas(first) + box_areas(second) - shared)


def box_areas(boxes: Floats) -> Floats:
    """Areas of ``[n, 4]`` boxes."""
    areas: Floats = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def _ratio(shared: Floats, whole: Floats) -> Floats:
    found: Floats = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return np.minimum(found, 1.0)


def _none() -> Pairs:
    return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)


def _overlapping(i: Ints, j: Ints, iou: Floats) -> Pairs:
    keep = iou > 0
    return i[keep], j[keep], iou[keep]


def _all_pairs(first: int, second: int) -> tuple[Ints, Ints]:
    return np.repeat(np.arange(first), second), np.tile(np.arange(second), first)


# --- areas, lines, points
def _areas(first: Sequence[Instance], second: Sequence[Instance]) -> Pairs:
    kinds = {one.kind for one in (*first, *second)}
    if kinds == {"box"}:
        i, j = _all_pairs(len(first), len(second))
        a, b = (np.asarray([one.value for one in side], dtype=np.float64) for side in (first, second))
        return _overlapping(i, j, aligned_box_iou(a[i], b[j]))
    if "mask" in kinds:
        return _masks(first, second)
    return _shapes(first, second, 0.0)


def _shapes(first: Sequence[Instance], second: Sequence[Instance], buffer: float) -> Pairs:
    shapely = library("shapely")
    a, b = (np.array([shape_of(one, buffer) for one in side], dtype=object) for side in (first, second))
    j, i = shapely.STRtree(a).query(b, predicate="intersects")
    order = np.lexsort((j, i))
    i, j = i[order].astype(np.int64), j[order].astype(np.int64)
    shared = shapely.area(shapely.intersection(a[i], b[j]))
    return _overlapping(i, j, _ratio(shared, shapely.area(a)[i] + shapely.area(b)[j] - shared))


def shape_of(instance: Instance, buffer: float = BUFFER) -> Any:
    """The instance as a Shapely geometry, valid and with an area; points and lines are grown by ``buffer``."""
    shapely = library("shapely")
    value = instance.value
    if instance.kind == "point":
        return shapely.buffer(shapely.Point(value), buffer, quad_segs=16)
    if instance.kind == "polyline":
        line = shapely.LineString(value) if len(value) > 1 else shapely.Point(value[0])
        return shapely.buffer(line, buffer, quad_segs=16)
    if instance.kind == "box":
        return shapely.box(*value)
    if instance.kind == "rotated_box":
        ring = _rotated_box(*value)
    elif instance.kind == "ellipse":
        ring = _ellipse(*value)
    else:
        ring = np.asarray(value, dtype=np.float64)
    if len(ring) < 3:
        return shapely.Polygon()
    return shapely.make_valid(shapely.Polygon(ring), method="structure", keep_collapsed=False)


def _rotated_box(x: float, y: float, width: float, height: float, degrees: float) -> Floats:
    """Corners; degrees are clockwise around (x, y), with y downwards, as Label Studio turns rectangles."""
    turn = math.radians(degrees)
    along = np.array([math.cos(turn), math.sin(turn)])
    down = np.array([-along[1], along[0]])
    corner = np.array([x, y])
    return np.array([corner, corner + width * along, corner + width * along + height * down, corner + height * down])


def _ellipse(x: float, y: float, rx: float, ry: float, degrees: float) -> Floats:
    around = np.arange(ELLIPSE_SIDES) * (2 * math.pi / ELLIPSE_SIDES)
    turn = math.radians(degrees)
    across, up = rx * np.cos(around), ry * np.sin(around)
    return np.column_stack(
        (x + across * math.cos(turn) - up * math.sin(turn), y + across * math.sin(turn) + up * math.cos(turn))
    )


def _masks(first: Sequence[Instance], second: Sequence[Instance]) -> Pairs:
    """By pixels. What is no mask is drawn on the masks' grid: a pixel is inside where its centre is."""
    size = next(one.value.shape for one in (*second, *first) if one.kind == "mask")
    a, b = ([_drawn(one, size) for one in side] for side in (first, second))
    boxes_a, boxes_b = ([masks.to_box(one) if one.any() else (0, 0, 0, 0) for one in side] for side in (a, b))
    sizes_a, sizes_b = ([int(np.count_nonzero(one)) for one in side] for side in (a, b))
    i, j = _all_pairs(len(a), len(b))
    shared = np.zeros(len(i))
    for place, (one, other) in enumerate(zip(i.tolist(), j.tolist(), strict=True)):
        left, top = (max(boxes_a[one][side], boxes_b[other][side]) for side in (0, 1))
        right, bottom = (min(boxes_a[one][side], boxes_b[other][side]) for side in (2, 3))
        if left < right and top < bottom:
            shared[place] = np.count_nonzero(a[one][top:bottom, left:right] & b[other][top:bottom, left:right])
    whole = np.asarray(sizes_a, dtype=np.float64)[i] + np.asarray(sizes_b, dtype=np.float64)[j] - shared
    return _overlapping(i, j, _ratio(shared, whole))


def _drawn(instance: Instance, size: tuple[int, int]) -> Bools:
    if instance.kind == "mask":
        return masks.resize(masks.binary(instance.value), width=size[1], height=size[0])
    shapely = library("shapely")
    x, y = np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5)
    inside: Bools = shapely.contains_xy(shape_of(instance), x, y)
    return inside


# --- text, time, video
def _intervals(first: Sequence[Any], second: Sequence[Any], extra: float = 0.0) -> Pairs:
    """Intervals with exclusive ends (``extra`` 0) or inclusive ones (1); instants only equal themselves."""
    i, j = _all_pairs(len(first), len(second))
    a, b = (np.asarray(side, dtype=np.float64).reshape(-1, 2) for side in (first, second))
    shared = np.maximum(np.minimum(a[i, 1], b[j, 1]) - np.maximum(a[i, 0], b[j, 0]) + extra, 0)
    whole = (a[:, 1] - a[:, 0] + extra)[i] + (b[:, 1] - b[:, 0] + extra)[j] - shared
    iou = _ratio(shared, whole)
    iou[(a[i] == b[j]).all(axis=1)] = 1.0
    return _overlapping(i, j, iou)


def _tracks(first: Sequence[Any], second: Sequence[Any], buffer: float) -> Pairs:
    """Sum of the intersections over sum of the unions, over all frames of either (spatio-temporal IoU)."""
    if any(len(box) == TURNED for value in (*first, *second) for box in value.values()):
        return _turned_tracks(first, second, buffer)
    a, b = ([_track(value, buffer) for value in side] for side in (first, second))
    totals_a, totals_b = (np.array([box_areas(boxes).sum() for _, boxes in side]) for side in (a, b))
    i, j = _all_pairs(len(a), len(b))
    shared = np.zeros(len(i))
    for place, (one, other) in enumerate(zip(i.tolist(), j.tolist(), strict=True)):
        _, at_a, at_b = np.intersect1d(a[one][0], b[other][0], assume_unique=True, return_indices=True)
        boxes_a, boxes_b = a[one][1][at_a], b[other][1][at_b]
        corner = np.maximum(boxes_a[:, :2], boxes_b[:, :2])
        sides = np.maximum(np.minimum(boxes_a[:, 2:], boxes_b[:, 2:]) - corner, 0)
        shared[place] = sides.prod(axis=1).sum()
    return _overlapping(i, j, _ratio(shared, totals_a[i] + totals_b[j] - shared))


def _turned_tracks(first: Sequence[Any], second: Sequence[Any], buffer: float) -> Pairs:
    """The same with boxes that turn, as polygons."""
    shapely = library("shapely")
    a, b = ([dict(_polygons(value, buffer)) for value in side] for side in (first, second))
    totals_a, totals_b = (np.array([shapely.area(list(one.values())).sum() for one in side]) for side in (a, b))
    i, j = _all_pairs(len(a), len(b))
    shared = np.zeros(len(i))
    for place, (one, other) in enumerate(zip(i.tolist(), j.tolist(), strict=True)):
        frames = sorted(a[one].keys() & b[other].keys())
        ours, theirs = ([side[frame] for frame in frames] for side in (a[one], b[other]))
        shared[place] = shapely.area(shapely.intersection(ours, theirs)).sum() if frames else 0.0
    return _overlapping(i, j, _ratio(shared, totals_a[i] + totals_b[j] - shared))


def _polygons(value: Mapping[int, Sequence[float]], buffer: float) -> Iterator[tuple[int, Any]]:
    shapely = library("shapely")
    straight = {frame: box for frame, box in value.items() if len(box) != TURNED}
    frames, boxes = _track(straight, buffer)
    yield from zip(frames.tolist(), shapely.box(*boxes.T), strict=True)
    for frame, box in value.items():
        if len(box) == TURNED:
            x, y, width, height, degrees = box
            yield frame, shapely.Polygon(_rotated_box(x, y, width, height, degrees))


def _track(value: Mapping[int, Sequence[float]], buffer: float) -> tuple[Ints, Floats]:
    frames = np.fromiter(value.keys(), dtype=np.int64, count=len(value))
    boxes = np.asarray(list(value.values()), dtype=np.float64).reshape(-1, 4)
    flat = (boxes[:, 0] == boxes[:, 2]) | (boxes[:, 1] == boxes[:, 3])
    boxes[flat] += np.array([-buffer, -buffer, buffer, buffer])
    return frames, boxes


def _tokens(first: Sequence[Any], second: Sequence[Any], _: float) -> Pairs:
    """Shared ids over all ids (Jaccard)."""
    a, b = ([set(value) for value in side] for side in (first, second))
    i, j = _all_pairs(len(a), len(b))
    found = [len(one & other) / (len(one | other) or 1) for one in a for other in b]
    return _overlapping(i, j, np.asarray(found, dtype=np.float64))


def _equal(first: Sequence[Any], second: Sequence[Any], _: float) -> Pairs:
    """1 where two answers are the same, as Labelbox compares free text."""
    i, j = _all_pairs(len(first), len(second))
    same = [one == other for one in first for other in second]
    return _overlapping(i, j, np.asarray(same, dtype=np.float64))


_COMPARE: Mapping[str, Callable[[Sequence[Any], Sequence[Any], float], Pairs]] = {
    "span": lambda a, b, _: _intervals(a, b),
    "segment": lambda a, b, _: _intervals(a, b),
    "frames": lambda a, b, _: _intervals(a, b, 1.0),
    "track": _tracks,
    "tokens": _tokens,
}
