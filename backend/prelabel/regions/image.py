"""Boxes, ellipses, polygons, points, lines and masks to values in percent of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prelabel.errors import OutputError
from prelabel.labeling import ObjectTag
from prelabel.outputs import Box, Ellipse, Keypoint, Mask, Polygon, Polyline, Unit
from prelabel.regions.target import Shape, Target, Unfit, finite, size_unknown, tidy
from prelabel.tasks import Facts

if TYPE_CHECKING:
    from prelabel.masks import Bools

Point = tuple[float, float]
EDGE = 1e-6
"""Percent by which rounding may put an edge outside."""
OUTSIDE = "it lies wholly outside the image"


def page_size(facts: Facts, page: int | None) -> tuple[int, int] | None:
    """Width and height in pixels of the image, or of one page of it; None where unknown."""
    if facts.pages:
        if not 0 <= (page or 0) < len(facts.pages):
            raise Unfit(f"there is no page {page}; the image has {len(facts.pages)} (counted from 0)")
        return facts.pages[page or 0]
    if facts.width and facts.height:
        return facts.width, facts.height
    return None


def to_percent(unit: Unit | str, size: tuple[int, int] | None, shown: ObjectTag) -> tuple[float, float]:
    """What to multiply x and y with.

    Raises:
        OutputError: pixels, and the size is not known; or a unit that is none.
    """
    if not isinstance(unit, Unit):  # "percent" is as good as Unit.PERCENT
        try:
            unit = Unit(unit)
        except ValueError as error:
            known = ", ".join(one.value for one in Unit)
            raise OutputError(f"there is no unit {unit!r}.", hint=f"There are {known}.") from error
    if unit is Unit.PERCENT:
        return 1.0, 1.0
    if unit is Unit.FRACTION:
        return 100.0, 100.0
    if size is None:
        raise size_unknown(shown)
    return 100.0 / size[0], 100.0 / size[1]


def picture_extra(target: Target, size: tuple[int, int] | None, page: int | None) -> dict[str, Any]:
    """What stands beside a region's value: the image's size, and the page."""
    extra: dict[str, Any] = {}
    if size is not None:
        extra = {"original_width": int(size[0]), "original_height": int(size[1]), "image_rotation": 0}
    if page is not None and target.control.tag != "OcrLabels":
        extra["item_index"] = int(page)
    elif len(target.facts.pages) > 1:
        extra["item_index"] = 0
    return extra


def box(output: Box, target: Target) -> Shape:
    """A rectangle, clipped to the image; a rotated one is shrunk to its visible part when its corner lies outside."""
    size = page_size(target.facts, output.page)
    fx, fy = to_percent(output.unit, size, target.shown)
    finite(output.x, output.y, output.width, output.height, output.rotation)
    x, y, width, height = output.x * fx, output.y * fy, output.width * fx, output.height * fy
    rotation = output.rotation % 360
    if width <= 0 or height <= 0:
        raise Unfit(f"its width and height must be above 0, got {output.width} and {output.height}")
    if rotation:
        x, y, width, height, rotation = _clip_rotated((x, y, width, height), rotation, size or (1, 1))
    else:
        right, bottom = min(x + width, 100.0), min(y + height, 100.0)
        x, y = max(x, 0.0), max(y, 0.0)
        width, height = right - x, bottom - y
        if width <= 0 or height <= 0:
            raise Unfit(OUTSIDE)
    value: dict[str, Any] = {
        "x": tidy(x),
        "y": tidy(y),
        "width": tidy(width),
        "height": tidy(height),
        "rotation": tidy(rotation),
    }
    if target.control.tag == "OcrLabels":
        value["ocrtext"] = output.text or ""
        value["pageIndex"] = (output.page or 0) + 1
    return Shape(value, picture_extra(target, size, output.page))


def _clip_rotated(
    rectangle: tuple[float, float, float, float], rotation: float, size: tuple[int, int]
) -> tuple[float, float, float, float, float]:
    """A turned rectangle as Label Studio takes it: x, y, width, height, rotation.

    What is not wholly visible becomes the tightest rectangle of the same direction around what is. Label Studio turns a
    rectangle clockwise around its top-left corner, in pixels, while all four numbers are percent of the unturned image:
    so this happens in pixels (``size``). It refuses corners beyond 100 % and sides above, so the rectangle is described
    from another of its corners where need be.
    """
    x, y, width, height = rectangle
    sx, sy = size[0] / 100.0, size[1] / 100.0
    x0, y0, w, h = x * sx, y * sy, width * sx, height * sy
    corners = _corners(x0, y0, w, h, rotation)
    ring = [(px / sx, py / sy) for px, py in corners]
    seen = clip_ring(ring)
    if len(set(seen)) < 3:
        raise Unfit(OUTSIDE)
    if any(not -EDGE <= value <= 100 + EDGE for point in ring for value in point):
        cos, sin = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
        along = [(px * sx - x0) * cos + (py * sy - y0) * sin for px, py in seen]
        across = [(py * sy - y0) * cos - (px * sx - x0) * sin for px, py in seen]
        left, top = min(along), min(across)
        w, h = max(along) - left, max(across) - top
        if w < EDGE or h < EDGE:
            raise Unfit(OUTSIDE)
        corners = _corners(x0 + left * cos - top * sin, y0 + left * sin + top * cos, w, h, rotation)
    for turn, (px, py) in enumerate(corners):
        sides = (h / sx, w / sy) if turn % 2 else (w / sx, h / sy)
        found = (px / sx, py / sy, *sides)
        if max(found) <= 100 + EDGE:
            return *(min(value, 100.0) for value in found), (rotation + 90 * turn) % 360  # type: ignore[return-value]
    raise Unfit("turned as it is, its sides are longer than the image, which Label Studio does not take")


def _corners(x: float, y: float, width: float, height: float, rotation: float) -> list[Point]:
    """The corners of a rectangle turned clockwise around its first one."""
    cos, sin = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    return [
        (x + u * cos - v * sin, y + u * sin + v * cos) for u, v in ((0, 0), (width, 0), (width, height), (0, height))
    ]


def ellipse(output: Ellipse, target: Target) -> Shape:
    """An ellipse; radii are cut at half the image, which is all that Label Studio takes."""
    size = page_size(target.facts, output.page)
    fx, fy = to_percent(output.unit, size, target.shown)
    finite(output.x, output.y, output.radius_x, output.radius_y, output.rotation)
    x, y, radius_x, radius_y = output.x * fx, output.y * fy, output.radius_x * fx, output.radius_y * fy
    if radius_x <= 0 or radius_y <= 0:
        raise Unfit(f"its radii must be above 0, got {output.radius_x} and {output.radius_y}")
    if not (0 <= x <= 100 and 0 <= y <= 100):
        raise Unfit("its centre lies outside the image")
    value = {
        "x": tidy(x),
        "y": tidy(y),
        "radiusX": tidy(min(radius_x, 50.0)),
        "radiusY": tidy(min(radius_y, 50.0)),
        "rotation": tidy(output.rotation % 360),
    }
    return Shape(value, picture_extra(target, size, output.page))


def polygon(output: Polygon, target: Target) -> Shape:
    """A closed ring of at least three points, clipped to the image."""
    size = page_size(target.facts, output.page)
    points = _scaled(output.points, output.unit, size, target)
    if len(points) > 1 and points[0] == points[-1]:
        points = points[:-1]
    return _ring(points, target, size, output.page)


def _ring(points: list[Point], target: Target, size: tuple[int, int] | None, page: int | None) -> Shape:
    if len(set(points)) < 3:
        raise Unfit(f"a polygon needs at least 3 different points, got {len(set(points))}")
    points = clip_ring(points)
    if len(set(points)) < 3:
        raise Unfit(OUTSIDE)
    value = {"points": [[tidy(x), tidy(y)] for x, y in points], "closed": True}
    return Shape(value, picture_extra(target, size, page))


def clip_ring(points: list[Point]) -> list[Point]:
    """A ring cut at the four edges of 0..100 (Sutherland and Hodgman's algorithm); untouched when it lies inside."""
    if all(0 <= x <= 100 and 0 <= y <= 100 for x, y in points):
        return points
    for axis, limit, sign in ((0, 0.0, 1), (0, 100.0, -1), (1, 0.0, 1), (1, 100.0, -1)):
        kept: list[Point] = []
        for i, here in enumerate(points):
            before = points[i - 1]
            inside, was_inside = sign * (here[axis] - limit) >= 0, sign * (before[axis] - limit) >= 0
            if inside != was_inside:
                along = (limit - before[axis]) / (here[axis] - before[axis])
                cut = before[1 - axis] + along * (here[1 - axis] - before[1 - axis])
                kept.append((limit, cut) if axis == 0 else (cut, limit))
            if inside:
                kept.append(here)
        points = kept
    return points


def _scaled(points: Sequence[Sequence[float]], unit: Unit, size: tuple[int, int] | None, target: Target) -> list[Point]:
    fx, fy = to_percent(unit, size, target.shown)
    scaled = []
    for point in points:
        if len(point) != 2:
            raise Unfit(f"a point is (x, y), got {len(point)} numbers")
        finite(point[0], point[1])
        scaled.append((float(point[0]) * fx, float(point[1]) * fy))
    return scaled


def keypoint(output: Keypoint, target: Target) -> Shape:
    """One point inside the image."""
    size = page_size(target.facts, output.page)
    ((x, y),) = _scaled(((output.x, output.y),), output.unit, size, target)
    finite(output.size)
    if not (0 <= x <= 100 and 0 <= y <= 100):
        raise Unfit("it lies outside the image")
    return Shape({"x": tidy(x), "y": tidy(y), "width": tidy(output.size)}, picture_extra(target, size, output.page))


def polyline(output: Polyline, target: Target) -> Shape:
    """The vertices of a line; those outside are moved to the nearest edge."""
    size = page_size(target.facts, output.page)
    points = _scaled(output.points, output.unit, size, target)
    return Shape({"vertices": vertices(points), "closed": output.closed}, picture_extra(target, size, output.page))


def vertices(points: list[Point]) -> list[dict[str, Any]]:
    """Label Studio's linked vertices of a line in percent, moved into the image."""
    if len(points) < 2:
        raise Unfit(f"a line needs at least 2 points, got {len(points)}")
    if all(x < 0 or x > 100 or y < 0 or y > 100 for x, y in points):
        raise Unfit(OUTSIDE)
    return [
        {
            "id": f"v{i}",
            "x": tidy(min(max(x, 0.0), 100.0)),
            "y": tidy(min(max(y, 0.0), 100.0)),
            "prevPointId": f"v{i - 1}" if i > 1 else None,
            "isBezier": False,
        }
        for i, (x, y) in enumerate(points, start=1)
    ]


def mask(output: Mask, target: Target) -> Shape:
    """Pixels as the control takes them: RLE bytes, a PNG, or the box around them (for polygons see `outlines`)."""
    from prelabel import masks  # noqa: PLC0415 (NumPy is imported by those who send masks)

    inside, size = _pixels(output, target)
    tag = target.control.tag.lower()
    if tag.startswith("bitmask"):
        return Shape({"imageDataURL": masks.to_data_url(inside)}, picture_extra(target, size, output.page))
    if tag.startswith("rectangle"):
        x1, y1, x2, y2 = masks.to_box(inside)
        rectangle = Box(x1, y1, x2 - x1, y2 - y1, page=output.page)
        return _with_size(rectangle, target, size)
    return Shape({"format": "rle", "rle": masks.encode_rle(inside)}, picture_extra(target, size, output.page))


def outlines(output: Mask, target: Target) -> list[Shape]:
    """A polygon for each part of a mask, the largest first, without its holes."""
    from prelabel.outlines import rings  # noqa: PLC0415 (as above)

    inside, size = _pixels(output, target)
    found = [
        _ring([(x, y) for x, y in (ring * (100.0 / size[0], 100.0 / size[1])).tolist()], target, size, output.page)
        for ring in rings(inside, output.tolerance)
    ]
    if not found:
        raise Unfit("the mask is too thin for a polygon")
    return found


def _pixels(output: Mask, target: Target) -> tuple[Bools, tuple[int, int]]:
    """What is inside, as large as the image where its size is known; and that size."""
    from prelabel import masks  # noqa: PLC0415 (as above)
    from prelabel.adapters.values import plain  # noqa: PLC0415 (as above)

    try:
        inside = masks.binary(plain(output.array), output.threshold)
    except ValueError as error:
        raise OutputError(
            f"a mask cannot be read: {error}", hint="Give an array [height, width] of bool, int or 0..1."
        ) from error
    size = page_size(target.facts, output.page)
    if size is not None:
        inside = masks.resize(inside, width=size[0], height=size[1])
    if not inside.any():
        raise Unfit("the mask is empty")
    height, width = inside.shape
    return inside, (width, height)


def _with_size(output: Box, target: Target, size: tuple[int, int]) -> Shape:
    """`box` for a size that the mask itself tells."""
    fx, fy = 100.0 / size[0], 100.0 / size[1]
    value = {
        "x": tidy(output.x * fx),
        "y": tidy(output.y * fy),
        "width": tidy(output.width * fx),
        "height": tidy(output.height * fy),
        "rotation": 0,
    }
    return Shape(value, picture_extra(target, size, output.page))
