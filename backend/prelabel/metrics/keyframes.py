"""Keyframes of a video object to a box for every frame in which it is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Box = tuple[float, ...]
"""``(x1, y1, x2, y2)``, or ``(x, y, width, height, degrees)`` for one that is turned about its top-left corner."""


@dataclass(frozen=True, slots=True)
class Keyframe:
    """``box`` at ``frame``; ``enabled`` False: it is there in this frame and gone after it."""

    frame: int
    box: Box
    enabled: bool = True


def interpolated(keyframes: Iterable[Keyframe], last: int | None = None) -> dict[int, Box]:
    """Every frame from the first keyframe on, linear between two keyframes, nothing after a disabled one.

    An enabled last keyframe holds until ``last`` (a video's number of frames), or ends the object where that is None.
    Label Studio shows a region in the frame of its disabled keyframe (its editor's ``isInLifespan``).
    """
    boxes: dict[int, Box] = {}
    life: list[Keyframe] = []
    for keyframe in sorted(keyframes, key=lambda keyframe: keyframe.frame):
        life.append(keyframe)
        if not keyframe.enabled:
            boxes.update(_filled(life, keyframe.frame))
            life = []
    if life:
        boxes.update(_filled(life, max(life[-1].frame, last or 0)))
    return boxes


def _filled(life: Sequence[Keyframe], last: int) -> dict[int, Box]:
    at = np.arange(life[0].frame, last + 1)
    known = [keyframe.frame for keyframe in life]
    columns = [np.interp(at, known, side).tolist() for side in zip(*(keyframe.box for keyframe in life), strict=True)]
    return dict(zip(at.tolist(), zip(*columns, strict=True), strict=True))


def around(points: Iterable[Sequence[float]]) -> tuple[float, float, float, float]:
    """The box around points ``(x, y)``."""
    xs, ys = zip(*points, strict=True)
    return (min(xs), min(ys), max(xs), max(ys))
