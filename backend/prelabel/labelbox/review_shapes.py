"""Geometry of NDJSON rows to outputs in percent, and a region's value back to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prelabel.labelbox.assets import AssetFacts, Plane, Token
from prelabel.outputs import Box, Keypoint, Output, Polygon, Polyline, Track, TrackBox, TrackLine, Unit, VectorTrack

Points = list[tuple[float, float]]
_EDGE = 1e-6


class Lost(Exception):  # noqa: N818 (a signal inside this package, not an error that leaves it)
    """This row or region has no counterpart; the text says why. The others are not affected."""


def shape_output(body: Mapping[str, Any], plane: Plane, rest: Mapping[str, Any], lost: list[str]) -> Output:
    """A box, polygon, point or line of a row (or of one keyframe) as an output in percent.

    Args:
        body: has one of ``bbox``, ``polygon``, ``point``, ``line``.
        plane: where its coordinates lie.
        rest: label, control, id, score, meta and page of the output.
        lost: gets a sentence when the geometry is cut at the edge.
    """
    if "bbox" in body:
        x, y, width, height = box_percent(body["bbox"], plane)
        note_cut([(x, y), (x + width, y + height)], lost)
        return Box(x, y, width, height, unit=Unit.PERCENT, **rest)
    if "point" in body:
        x, y = plane.percent(float(body["point"]["x"]), float(body["point"]["y"]))
        return Keypoint(x, y, unit=Unit.PERCENT, **rest)
    if "polygon" in body or "line" in body:
        points = points_percent(body.get("polygon") or body["line"], plane)
        note_cut(points, lost)
        if "line" in body:
            return Polyline(tuple(points), unit=Unit.PERCENT, **rest)
        return Polygon(tuple(points), unit=Unit.PERCENT, **rest)
    raise Lost("it has no geometry that is known here")


def box_percent(box: Mapping[str, Any], plane: Plane) -> tuple[float, float, float, float]:
    """Left, top, width, height in percent. On a map heights may be negative: the corners count, not their order."""
    left, top = float(box["left"]), float(box["top"])
    one = plane.percent(left, top)
    other = plane.percent(left + float(box["width"]), top + float(box["height"]))
    x, y = min(one[0], other[0]), min(one[1], other[1])
    return x, y, max(one[0], other[0]) - x, max(one[1], other[1]) - y


def points_percent(points: Sequence[Mapping[str, Any]], plane: Plane) -> Points:
    """``[{x, y}, ...]`` in percent."""
    return [plane.percent(float(point["x"]), float(point["y"])) for point in points]


def note_cut(points: Sequence[tuple[float, float]], lost: list[str]) -> None:
    """Say so when points lie outside the picture, where Label Studio has none."""
    if any(not -_EDGE <= value <= 100 + _EDGE for point in points for value in point):
        lost.append("what lies outside the picture was cut off")


# --- tracks
def track_output(
    segments: Sequence[Mapping[str, Any]], plane: Plane, rest: Mapping[str, Any], lost: list[str]
) -> Output:
    """Segments of keyframes as a track: the last keyframe of each segment is not ``enabled``, so that nothing is
    interpolated to the next segment."""
    boxes: list[TrackBox] = []
    lines: list[TrackLine] = []
    for segment in segments:
        keyframes = sorted(segment["keyframes"], key=lambda one: int(one["frame"]))
        for keyframe in keyframes:
            frame, enabled = int(keyframe["frame"]), keyframe is not keyframes[-1]
            if frame < 1:
                raise Lost(f"it begins in frame {frame}, and Label Studio counts frames from 1")
            if "bbox" in keyframe:
                x, y, width, height = box_percent(keyframe["bbox"], plane)
                note_cut([(x, y), (x + width, y + height)], lost)
                boxes.append(TrackBox(frame, x, y, width, height, enabled=enabled))
            else:
                closed = "polygon" in keyframe
                points = points_percent(_points_of(keyframe), plane)
                note_cut(points, lost)
                if closed and len(points) > 1 and points[0] == points[-1]:
                    points = points[:-1]
                lines.append(TrackLine(frame, tuple(points), closed, enabled))
    if boxes:
        return Track(tuple(boxes), unit=Unit.PERCENT, **rest)
    return VectorTrack(tuple(lines), unit=Unit.PERCENT, **rest)


def _points_of(keyframe: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if "point" in keyframe:
        return [keyframe["point"]]
    points: Sequence[Mapping[str, Any]] = keyframe.get("line") or keyframe.get("polygon") or ()
    return points


# --- tokens
def tokens_box(tokens: Sequence[Token]) -> tuple[float, float, float, float]:
    """The smallest box around tokens of one page: left, top, width, height in percent."""
    left, top = min(t.left for t in tokens), min(t.top for t in tokens)
    right, bottom = max(t.left + t.width for t in tokens), max(t.top + t.height for t in tokens)
    return left, top, right - left, bottom - top


def tokens_inside(facts: AssetFacts, page: int, value: Mapping[str, Any]) -> list[Token]:
    """Tokens of a page (from 1) whose centre lies in a region's box."""
    x, y = float(value["x"]), float(value["y"])
    right, bottom = x + float(value["width"]), y + float(value["height"])
    return [
        token
        for token in facts.tokens
        if token.page == page
        and x - _EDGE <= token.left + token.width / 2 <= right + _EDGE
        and y - _EDGE <= token.top + token.height / 2 <= bottom + _EDGE
    ]


# --- back
def box_back(value: Mapping[str, Any], plane: Plane) -> dict[str, float]:
    """A region's rectangle as ``{top, left, height, width}``; on a map ``top`` is the smallest latitude, as the SDK
    writes it."""
    one = plane.back(float(value["x"]), float(value["y"]))
    other = plane.back(float(value["x"]) + float(value["width"]), float(value["y"]) + float(value["height"]))
    left, top = min(one[0], other[0]), min(one[1], other[1])
    return {
        "top": top,
        "left": left,
        "height": round(max(one[1], other[1]) - top, 12),
        "width": round(max(one[0], other[0]) - left, 12),
    }


def point_back(x: float, y: float, plane: Plane) -> dict[str, float]:
    """A point as ``{x, y}``."""
    found = plane.back(float(x), float(y))
    return {"x": found[0], "y": found[1]}


def vertices_back(value: Mapping[str, Any], plane: Plane) -> list[dict[str, float]]:
    """The vertices of a line as ``[{x, y}, ...]``."""
    return [point_back(vertex["x"], vertex["y"], plane) for vertex in value.get("vertices") or ()]


def ring_back(points: Sequence[Sequence[float]], plane: Plane) -> list[dict[str, float]]:
    """A polygon as ``[{x, y}, ...]`` with its first point repeated at the end, as the SDK writes it."""
    ring = [point_back(x, y, plane) for x, y in points]
    return ring if not ring or ring[0] == ring[-1] else [*ring, ring[0]]
