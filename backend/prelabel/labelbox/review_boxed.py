"""Lines, points, polygons and masks of a video as moving boxes, which is all that Label Studio's editor draws there.

The shape of each keyframe stays in the region's ``meta``. On the way back it lies in the box as it lay in the one that
was sent: a box that was not touched gives the very shape, one that was moved or stretched takes its shape along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prelabel.labelbox.assets import Plane
from prelabel.labelbox.ontology import Tool
from prelabel.labelbox.review_masks import read_pixels, to_png
from prelabel.labelbox.review_notes import KEY, meta
from prelabel.labelbox.review_shapes import Lost, note_cut, points_percent
from prelabel.masks import Bools, Bytes
from prelabel.outputs import Track, TrackBox, Unit

BOXED: frozenset[Tool] = frozenset({"point", "line", "polygon", "raster-segmentation", "superpixel"})
"""Tools whose tracks in a video are boxes around their shapes."""
_SAME = 1e-3
"""Percent by which a box may differ and still be the one that was sent."""
_SIDE = 2.0
"""Percent of the picture: the least width and height of a box, so that a person can see and grasp it."""

Box = tuple[float, float, float, float]
"""Left, top, width, height in percent."""


# --- to Label Studio
def boxed_shapes(
    segments: Sequence[Mapping[str, Any]], plane: Plane, rest: Mapping[str, Any], lost: list[str]
) -> Track:
    """Segments of keyframes with ``line``, ``point`` or ``polygon`` as a track of the boxes around them.

    Args:
        segments: the row's; the last keyframe of each ends it.
        plane: where the coordinates lie.
        rest: what the output has besides; its ``meta`` gets the shapes.
        lost: gets a sentence when something lies outside the picture.
    """
    boxes: list[TrackBox] = []
    shapes: dict[str, Any] = {}
    for segment in segments:
        keyframes = sorted(segment["keyframes"], key=lambda one: int(one["frame"]))
        for keyframe in keyframes:
            frame = int(keyframe["frame"])
            key = next(key for key in ("line", "point", "polygon") if key in keyframe)
            shapes[str(frame)] = keyframe[key]
            points = points_percent([keyframe[key]] if key == "point" else keyframe[key], plane)
            note_cut(points, lost)
            boxes.append(_at(frame, _around(points), enabled=keyframe is not keyframes[-1]))
    return _track(boxes, rest, shapes=shapes)


def boxed_masks(frames: Sequence[tuple[int, Bools]], rest: Mapping[str, Any]) -> Track:
    """Masks [height, width] by frame as a track of the boxes around them; each frame stands for itself."""
    boxes: list[TrackBox] = []
    shapes: dict[str, Any] = {}
    for frame, mask in frames:
        height, width = mask.shape
        top, left, bottom, right = _edges(mask)
        box = (left * 100.0 / width, top * 100.0 / height, right * 100.0 / width, bottom * 100.0 / height)
        boxes.append(_at(frame, _around([box[:2], box[2:]]), enabled=False))
        shapes[str(frame)] = {"png": to_png(mask[top:bottom, left:right]), "box": [left, top, right, bottom],
                              "size": [width, height]}  # fmt: skip
    return _track(boxes, rest, shapes=shapes)


def _at(frame: int, box: Box, *, enabled: bool) -> TrackBox:
    if frame < 1:
        raise Lost(f"it begins in frame {frame}, and Label Studio counts frames from 1")
    return TrackBox(frame, *box, enabled=enabled)


def _track(boxes: Sequence[TrackBox], rest: Mapping[str, Any], **notes: Any) -> Track:
    held = rest.get("meta") or {}
    more = meta(**{**held.get(KEY, {}), **notes}) or {}
    return Track(tuple(boxes), unit=Unit.PERCENT, **{**rest, "meta": {**held, **more}})


def _around(points: Sequence[Sequence[float]]) -> Box:
    """The box around points, inside the picture, and not too small to be seen."""
    sides = []
    for axis in (0, 1):
        along = [min(max(point[axis], 0.0), 100.0) for point in points]
        low, high = min(along), max(along)
        if high - low < _SIDE:
            low = min(max((low + high - _SIDE) / 2, 0.0), 100.0 - _SIDE)
            high = low + _SIDE
        sides.append((low, high - low))
    (left, width), (top, height) = sides
    return left, top, width, height


def _edges(mask: Bools) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


# --- to NDJSON
@dataclass(frozen=True, slots=True)
class Boxed:
    """What a region's ``meta`` kept of the shapes that were sent, by frame."""

    shapes: Mapping[str, Any]

    def _nearest(self, frame: int) -> Any:
        """The shape sent for a frame, else for the last one before it, else for the first."""
        frames = sorted(int(one) for one in self.shapes)
        before = [one for one in frames if one <= frame]
        found = before[-1] if before else frames[0] if frames else None
        return None if found is None else self.shapes[str(found)]

    def keyframe(self, one: Mapping[str, Any], tool: Tool, plane: Plane) -> dict[str, Any]:
        """A keyframe's shape: ``{"line": ...}``, ``{"point": ...}`` or ``{"polygon": ...}``.

        Raises:
            Lost: a person drew the box, and a box is no line.
        """
        box = _box(one)
        shape = self._nearest(int(one["frame"]))
        if shape is None or isinstance(shape, list) != (tool != "point") or (tool == "point" and "x" not in shape):
            return _of_a_box(box, tool, plane)  # a person drew it, or said that it is something else
        sent = [shape] if tool == "point" else shape
        points = points_percent(sent, plane)
        old = _around(points)
        if max(abs(a - b) for a, b in zip(box, old, strict=True)) >= _SAME:
            moved = [_moved(point, old, box) for point in points]
            sent = [dict(zip("xy", plane.back(*point), strict=True)) for point in moved]
        found = [dict(point) for point in sent]
        return {tool: found[0] if tool == "point" else found}

    def mask(self, one: Mapping[str, Any], size: tuple[int, int] | None) -> Bools:
        """A keyframe's pixels [height, width]; a box that a person drew is filled.

        Args:
            one: the keyframe.
            size: width and height of the picture, where nothing was sent that says them.

        Raises:
            Lost: nobody knows the size.
        """
        import cv2  # noqa: PLC0415 (imported by those who convert masks)

        box, shape = _box(one), self._nearest(int(one["frame"]))
        if not isinstance(shape, Mapping) or "png" not in shape:
            shape = None  # a person drew it, or said that it is a mask
        width, height = shape["size"] if shape is not None else size or (0, 0)
        if not (width and height):
            raise Lost("the size of its picture is not known")
        pixels = Plane(0.0, 0.0, width, height)
        corners: Sequence[tuple[float, float]] = [box[:2], (box[0] + box[2], box[1] + box[3])]
        inside: Bytes = np.ones((1, 1), dtype=np.uint8)
        if shape is not None:
            inside = (read_pixels(shape, {}) > 0).astype(np.uint8)
            left, top, right, bottom = shape["box"]
            sent = [pixels.percent(left, top), pixels.percent(right, bottom)]
            corners = [_moved(corner, _around(sent), box) for corner in sent]
        (left, top), (right, bottom) = ([round(edge) for edge in pixels.back(*corner)] for corner in corners)
        across, down = max(right - left, 1), max(bottom - top, 1)
        fitted = cv2.resize(inside, (across, down), interpolation=cv2.INTER_NEAREST) > 0
        canvas = np.zeros((height, width), dtype=np.bool_)
        x, y = max(left, 0), max(top, 0)
        part = fitted[y - top : height - top, x - left : width - left]
        canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
        return canvas


def _box(one: Mapping[str, Any]) -> Box:
    return float(one["x"]), float(one["y"]), float(one["width"]), float(one["height"])


def _moved(point: Sequence[float], old: Box, new: Box) -> tuple[float, float]:
    """Where a point of one box lies in the other."""
    return (
        new[0] + (point[0] - old[0]) / old[2] * new[2],
        new[1] + (point[1] - old[1]) / old[3] * new[3],
    )


def _of_a_box(box: Box, tool: Tool, plane: Plane) -> dict[str, Any]:
    x, y, width, height = box
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
    if tool == "point":
        return {"point": dict(zip("xy", plane.back(x + width / 2, y + height / 2), strict=True))}
    if tool == "polygon":
        return {"polygon": [dict(zip("xy", plane.back(*corner), strict=True)) for corner in corners]}
    raise Lost("a person drew it, and a box does not say where its line runs")
