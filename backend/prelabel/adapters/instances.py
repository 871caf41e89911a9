"""Things found in an image, by column (boxes, masks, outlines, turned boxes, keypoints), to what the config holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from prelabel import outputs as o
from prelabel.adapters.bare import SHARED_WITH_BOXES
from prelabel.adapters.menu import Menu
from prelabel.adapters.points import PointNames, keypoints
from prelabel.adapters.values import as_plane

_SLACK = 1e-4


@dataclass(slots=True)
class Instances:
    """Columns of one length N, or None: ``labels``; ``scores`` [N]; ``boxes`` [N, 4], two corners; ``masks``, N planes;
    ``rings``, N outlines [points, 2]; ``quads`` [N, 4, 2], the corners of turned boxes; ``points`` [N, K, 2] with
    ``point_scores`` [N, K]. Coordinates are in ``unit``. ``size`` is the image's width and height where it is known.
    """

    menu: Menu
    raw: Any
    labels: list[str] | None = None
    scores: Any = None
    boxes: Any = None
    masks: Any = None
    rings: Sequence[Any] | None = None
    quads: Any = None
    points: Any = None
    point_scores: Any = None
    point_names: PointNames = None
    unit: o.Unit = o.Unit.PIXEL
    size: tuple[int, int] | None = None
    any_label: bool = False
    """Whether controls that have none of the labels are good enough."""

    def outputs(self) -> list[o.Output]:
        """The most exact form that the config holds: mask, outline, turned box, box; and keypoints beside it.

        Raises:
            OutputError: it holds none of them, or the columns do not fit each other.
        """
        number = self._number()
        if not number:
            return []
        shares = self._shares(number)
        found = self._drawn(shares)
        if not found:  # each is then dropped with its reason
            self.any_label = True
            found = self._drawn(shares)
        if self.points is not None and self.menu.takes(o.Keypoint):
            found += keypoints(
                self.menu, self.raw, self.points, self.point_scores, self.point_names, self.labels, self.unit
            )
        elif not found:
            raise self.menu.refuse(self.raw, f"holds {self._held()}, which no control of the labeling config takes")
        return found

    def _drawn(self, shares: list[float | None]) -> list[o.Output]:
        return self._pixels(shares) or self._outlines(shares) or self._turned(shares) or self._straight(shares)

    def _held(self) -> str:
        forms = {"boxes": self.boxes, "masks": self.masks, "outlines": self.rings, "turned boxes": self.quads}
        held = [name for name, column in (forms | {"keypoints": self.points}).items() if column is not None]
        return " and ".join(held)

    def _number(self) -> int:
        columns = (self.boxes, self.masks, self.rings, self.quads, self.points, self.labels, self.scores)
        lengths = {len(column) for column in columns if column is not None}
        if len(lengths) > 1:
            raise self.menu.refuse(self.raw, "has columns of different lengths")
        return lengths.pop() if lengths else 0

    def _shares(self, number: int) -> list[float | None]:
        if self.scores is None:
            return [None] * number
        shares = np.asarray(self.scores, dtype=np.float64).reshape(-1)
        whole = np.isfinite(shares)
        if len(shares) != number or ((shares < -_SLACK) | (shares > 1 + _SLACK)).any():
            raise self.menu.refuse(self.raw, "has a score that is not within 0 to 1 (apply softmax or sigmoid first)")
        said = shares.clip(0.0, 1.0).tolist()
        return [score if known else None for score, known in zip(said, whole.tolist(), strict=True)]

    def _label(self, at: int) -> str | None:
        return self.labels[at] if self.labels is not None else None

    def _controls(self, kind: type[o.Output], *, pixels: bool | None = None) -> bool:
        controls = self.menu.takes_labels(kind, None if self.any_label else self.labels)
        if pixels is not None:
            controls = [control for control in controls if control.tag.startswith(SHARED_WITH_BOXES) is not pixels]
        return bool(controls)

    def _pixels(self, shares: list[float | None]) -> list[o.Output]:
        if (self.masks is None and self.rings is None) or not self._controls(o.Mask, pixels=True):
            return []
        return self._planes(shares, self.masks if self.masks is not None else self._filled())

    def _planes(self, shares: list[float | None], planes: Any) -> list[o.Output]:
        name = self.menu.control_name
        return [
            o.Mask(_plane(plane), self._label(at), score=shares[at], control=name) for at, plane in enumerate(planes)
        ]

    def _filled(self) -> list[Any]:
        """Outlines as masks; OpenCV comes with label-studio-sdk."""
        import cv2  # noqa: PLC0415 (only where outlines become pixels)

        if self.size is None:
            raise self.menu.refuse(self.raw, "has outlines without the image's size, and the config wants pixels")
        planes = []
        for ring in self.rings or ():
            plane = np.zeros((self.size[1], self.size[0]), dtype=np.uint8)
            scale = self.size if self.unit is o.Unit.FRACTION else (1, 1)
            if len(ring):
                cv2.fillPoly(plane, [np.round(np.asarray(ring) * scale).astype(np.int32)], 1)
            planes.append(plane.astype(np.bool_))
        return planes

    def _outlines(self, shares: list[float | None]) -> list[o.Output]:
        if not self._controls(o.Polygon):
            return []
        rings, name = self.rings, self.menu.control_name
        if rings is None and self.masks is not None:
            return self._planes(shares, self.masks)  # the conversion to regions draws their outlines
        if rings is None:
            rings = self.quads
        return [
            o.Polygon(
                tuple((float(x), float(y)) for x, y in np.asarray(ring).tolist()),
                self._label(at),
                self.unit,
                score=shares[at],
                control=name,
            )
            for at, ring in enumerate(() if rings is None else rings)
        ]

    def _turned(self, shares: list[float | None]) -> list[o.Output]:
        if self.quads is None or not self._controls(o.Box):
            return []
        name = self.menu.control_name
        return [
            turned(quad, self._label(at), unit=self.unit, score=shares[at], control=name)
            for at, quad in enumerate(np.asarray(self.quads, dtype=np.float64).reshape(-1, 4, 2).tolist())
        ]

    def _straight(self, shares: list[float | None]) -> list[o.Output]:
        if not self._controls(o.Box):
            return []
        if self.boxes is not None:
            corners = np.asarray(self.boxes, dtype=np.float64)
            if corners.ndim != 2 or corners.shape[1] != 4:
                raise self.menu.refuse(self.raw, f"has boxes of the shape {list(corners.shape)} instead of [N, 4]")
            scores = None if self.scores is None else np.array(shares, dtype=np.float64)
            return [o.Boxes(corners, self.labels, scores, self.unit, control=self.menu.control_name)]
        if self.masks is not None:
            return self._planes(shares, self.masks)
        if not self.rings or not all(len(ring) for ring in self.rings):
            return []
        rings = [np.asarray(ring, dtype=np.float64).reshape(-1, 2) for ring in self.rings]
        around = np.array([np.concatenate((ring.min(axis=0), ring.max(axis=0))) for ring in rings])
        return replace(self, boxes=around)._straight(shares)


def _plane(plane: Any) -> Any:
    """One mask ``[height, width]``; a channel of its own in front is taken away."""
    plane = as_plane(plane)
    return plane[0] if plane.ndim == 3 and plane.shape[0] == 1 else plane


def turned(quad: Sequence[Sequence[float]], label: str | None = None, **rest: Any) -> o.Box:
    """A rectangle from its four corners in their order, in pixels; straight ones come out straight.

    Of the four corners that could be the first, the one is taken by which it is turned least.
    """
    (ax, ay), (bx, by), _, (dx, dy) = quad
    if (bx - ax) * (dy - ay) - (by - ay) * (dx - ax) < 0:  # against the clock
        quad = [quad[0], quad[3], quad[2], quad[1]]
    least: tuple[float, o.Box] | None = None
    for first in range(4):
        (ax, ay), (bx, by), (cx, cy) = (quad[(first + step) % 4] for step in range(3))
        angle = math.degrees(math.atan2(by - ay, bx - ax))
        if least is None or abs(angle) < least[0] - 1e-9:
            width, height = math.hypot(bx - ax, by - ay), math.hypot(cx - bx, cy - by)
            rotation = 0.0 if abs(angle) < 1e-3 else angle % 360
            least = abs(angle), o.Box(ax, ay, width, height, label, rotation=rotation, **rest)
    assert least is not None  # noqa: S101 (four were tried)
    return least[1]
