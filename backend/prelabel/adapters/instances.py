"""Things found in an image, by column (boxes, masks, outlines, turned boxes, keypoints), to what the config holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import urandom
from typing import Any

import numpy as np

from prelabel import outputs as o
from prelabel.adapters.bare import SHARED_WITH_BOXES
from prelabel.adapters.menu import Menu
from prelabel.adapters.points import PointNames, keypoints
from prelabel.adapters.values import as_plane
from prelabel.outlines import filled

_SLACK = 1e-4


@dataclass(slots=True)
class Instances:
    """Columns of one length N, or None: ``labels``; ``scores`` [N]; ``boxes`` [N, 4], two corners; ``masks``, N planes;
    ``rings``, of each the outlines [points, 2] of its parts; ``quads`` [N, 4, 2], the corners of turned boxes;
    ``points`` [N, K, 2] with ``point_scores`` [N, K]. Coordinates are in ``unit``. ``size`` is the image's width and
    height where it is known.
    """

    menu: Menu
    raw: Any
    labels: list[str] | None = None
    scores: Any = None
    boxes: Any = None
    masks: Any = None
    rings: Sequence[Sequence[Any]] | None = None
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
        self._need_labels()
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

    def _need_labels(self) -> None:
        """Things without labels are refused where every control that would take them has several to choose from."""
        if self.labels is not None or all(
            column is None for column in (self.boxes, self.masks, self.rings, self.quads)
        ):
            return
        controls = [control for kind in (o.Mask, o.Polygon, o.Box) for control in self.menu.takes(kind)]
        holders = [self.menu.config.label_control(control) for control in controls]
        own = all(holder is control for holder, control in zip(holders, controls, strict=True))
        if controls and own and not any(self.menu.only_label(control) for control in controls):
            many = f"{controls[-1]} has {len(controls[-1].labels)} labels"
            raise self.menu.refuse(self.raw, f"holds {self._held()} without labels, and {many}")

    def _number(self) -> int:
        columns = {
            "boxes": self.boxes, "masks": self.masks, "outlines": self.rings, "turned boxes": self.quads,
            "keypoints": self.points, "labels": self.labels, "scores": self.scores,
        }  # fmt: skip
        lengths = {name: len(column) for name, column in columns.items() if column is not None}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{number} {name}" for name, number in lengths.items())
            raise self.menu.refuse(self.raw, f"has columns of different lengths ({told})")
        return next(iter(lengths.values()), 0)

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
        """Outlines as masks."""
        if self.size is None:
            raise self.menu.refuse(self.raw, "has outlines without the image's size, and the config wants pixels")
        scale = self.size if self.unit is o.Unit.FRACTION else (1, 1)
        width, height = self.size
        return [
            filled([np.asarray(ring) * scale for ring in parts if len(ring)], width=width, height=height)
            for parts in self.rings or ()
        ]

    def _outlines(self, shares: list[float | None]) -> list[o.Output]:
        if not self._controls(o.Polygon):
            return []
        rings = self.rings
        if rings is None and self.masks is not None:
            return self._planes(shares, self.masks)  # the conversion to regions draws their outlines
        if rings is None:
            rings = [] if self.quads is None else [[quad] for quad in self.quads]
        return [polygon for at, parts in enumerate(rings) for polygon in self._polygons(at, parts, shares[at])]

    def _polygons(self, at: int, parts: Sequence[Any], share: float | None) -> list[o.Output]:
        """A polygon for each part of one thing, the others below the first, as with the parts of a mask."""
        first = urandom(5).hex() if len(parts) > 1 else None
        return [
            o.Polygon(
                tuple((float(x), float(y)) for x, y in np.asarray(ring).tolist()),
                self._label(at),
                self.unit,
                score=share,
                control=self.menu.control_name,
                id=None if rank else first,
                of=first if rank else None,
            )
            for rank, ring in enumerate(parts)
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
        if not self.rings or not all(len(ring) for parts in self.rings for ring in parts):
            return []
        rings = [np.concatenate([np.asarray(ring, dtype=np.float64) for ring in parts]) for parts in self.rings]
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
