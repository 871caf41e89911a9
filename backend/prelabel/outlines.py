"""Masks to polygons: one ring for each part, with its holes cut out of it; and polygons to masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prelabel.masks import Bools, to_box

Ring = NDArray[np.float64]


def rings(mask: Bools, tolerance: float = 1.0) -> list[Ring]:
    """The outlines ``[points, 2]`` of a mask's parts in pixels, the largest part first; at most ``tolerance`` off.

    A ring that has holes walks to each of them and back on the same line, so that it encloses the part without them,
    whether a drawing fills by winding or by parity. Parts and holes of no more than twice the tolerance in width and
    height are left out (the largest part never is). The mask is looked at in doubled size, so that lines one pixel
    wide have an outline too; that adds 0.25 pixels to the tolerance.
    """
    import cv2  # noqa: PLC0415 (imported by those who need outlines)

    if not mask.any():
        return []
    x1, y1, x2, y2 = to_box(mask)
    part = np.ascontiguousarray(mask[y1:y2, x1:x2]).view(np.uint8)
    doubled = np.repeat(np.repeat(part, 2, axis=0), 2, axis=1)
    contours, tree = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parents = tree[0][:, 3]
    outer = sorted(np.flatnonzero(parents < 0).tolist(), key=lambda i: -cv2.contourArea(contours[i]))
    found: list[Ring] = []
    for rank, i in enumerate(outer):
        if rank and not _matters(contours[i], tolerance):
            continue
        ring = _simple(contours[i], tolerance, keep=True)
        if ring is None:
            continue
        inside = [contours[j] for j in np.flatnonzero(parents == i).tolist()]
        inner = [each for each in inside if _matters(each, tolerance, around=2)]
        holes = [hole for hole in (_simple(each, tolerance) for each in inner) if hole is not None]
        found.append((_with_holes(ring, holes) + 0.5) / 2 + (x1, y1))
    return found


def _matters(contour: Any, tolerance: float, around: int = 0) -> bool:
    """Whether it is large enough; ``around``: how many of the doubled pixels are not its own, but of those around."""
    sides = np.ptp(contour.reshape(-1, 2), axis=0) + 1 - around
    return bool(sides.max() > 4 * tolerance)


def _simple(contour: Any, tolerance: float, *, keep: bool = False) -> Ring | None:
    """The contour with fewer points; None where fewer than three are left (with ``keep`` a finer one is tried)."""
    import cv2  # noqa: PLC0415 (as above)

    simple = cv2.approxPolyDP(contour, 2 * tolerance, closed=True)
    if len(simple) < 3 and keep:
        simple = cv2.approxPolyDP(contour, 0.5, closed=True)
    return simple.reshape(-1, 2).astype(np.float64) if len(simple) >= 3 else None


def _with_holes(ring: Ring, holes: list[Ring]) -> Ring:
    """One ring around what ``ring`` encloses and no hole does, by a cut to the nearest point of each hole."""
    for hole in holes:
        inner = hole[::-1] if _area(hole) * _area(ring) > 0 else hole
        distances = ((ring[:, None, :] - inner[None, :, :]) ** 2).sum(axis=2)
        here, there = np.unravel_index(int(distances.argmin()), distances.shape)
        way = np.concatenate((inner[there:], inner[: there + 1]))
        ring = np.concatenate((ring[: here + 1], way, ring[here:]))
    return ring


def filled(outlines: Sequence[Any], *, width: int, height: int) -> Bools:
    """The pixels whose centres lie inside rings ``[points, 2]`` (in pixels), filled by parity.

    OpenCV and Pillow fill the pixels under the line as well, which makes a shape larger by about half a pixel all
    around.
    """
    turns = np.zeros((height, width + 1), dtype=np.uint8)
    for outline in outlines:
        here = np.asarray(outline, dtype=np.float64).reshape(-1, 2)
        there = np.roll(here, -1, axis=0)
        falls = (here[:, 1] > there[:, 1])[:, None]
        upper, lower = np.where(falls, there, here), np.where(falls, here, there)
        first, after = (np.ceil(end[:, 1] - 0.5).clip(0, height).astype(np.int64) for end in (upper, lower))
        crossed = after - first
        edge = np.repeat(np.arange(len(here)), crossed)
        rows = np.arange(crossed.sum()) - np.repeat(np.cumsum(crossed) - crossed, crossed) + first[edge]
        along = lower - upper
        x = upper[edge, 0] + (rows + 0.5 - upper[edge, 1]) * along[edge, 0] / along[edge, 1]
        np.bitwise_xor.at(turns, (rows, np.ceil(x - 0.5).clip(0, width).astype(np.int64)), 1)
    inside: Bools = np.bitwise_xor.accumulate(turns, axis=1)[:, :width].view(np.bool_)
    return inside


def _area(ring: Ring) -> float:
    """Twice the signed area."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
