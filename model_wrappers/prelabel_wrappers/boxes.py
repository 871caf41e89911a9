"""Which of overlapping boxes stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Corners = NDArray[np.float64]

Shares = Callable[[int, "NDArray[np.int64]"], "NDArray[np.float64]"]
"""The share by which one box, by its number, overlaps each of others."""


def distinct(corners: Corners, classes: NDArray[Any], overlap: float, shares: Shares | None = None) -> list[int]:
    """Which boxes stay, best first: none overlaps a better one of its class by more than ``overlap``.

    ``shares`` says by how much they do; default: the intersection over the union of upright boxes.
    """
    import numpy as np

    shares = shares or upright(corners)
    left: NDArray[np.int64] = np.arange(len(corners))
    kept: list[int] = []
    while len(left):
        best, left = int(left[0]), left[1:]
        kept.append(best)
        left = left[(shares(best, left) <= overlap) | (classes[left] != classes[best])]
    return kept


def upright(corners: Corners) -> Shares:
    """Intersection over union of boxes ``[N, 4]`` (two corners)."""
    import numpy as np

    sides = np.maximum(corners[:, 2:] - corners[:, :2], 0)
    areas = sides[:, 0] * sides[:, 1]

    def shares(one: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
        shared = np.minimum(corners[one, 2:], corners[others, 2:]) - np.maximum(corners[one, :2], corners[others, :2])
        common = np.prod(np.maximum(shared, 0), axis=1)
        union = areas[one] + areas[others] - common
        found: NDArray[np.float64] = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
        return found

    return shares


def likeness(four: Corners, angles: NDArray[np.float64]) -> Shares:
    """How alike turned boxes are, 0..1, taken for normal distributions: https://arxiv.org/abs/2106.06072.

    ``four`` are centre and size ``[N, 4]``, ``angles`` radians. Ultralytics drops turned boxes by it.
    """
    import numpy as np

    across, down = four[:, 2] ** 2 / 12, four[:, 3] ** 2 / 12
    cos, sin = np.cos(angles), np.sin(angles)
    a, b, c = across * cos**2 + down * sin**2, across * sin**2 + down * cos**2, (across - down) * cos * sin
    spread = np.maximum(a * b - c**2, 0)

    def shares(one: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
        dx, dy = (four[others, :2] - four[one, :2]).T
        sa, sb, sc = a[one] + a[others], b[one] + b[others], c[one] + c[others]
        whole = np.maximum(sa * sb - sc**2, 1e-7)
        apart = (sa * dy**2 + sb * dx**2 - 2 * sc * dx * dy) / whole / 4
        wider = np.log(whole / (4 * np.sqrt(spread[one] * spread[others]) + 1e-7) + 1e-7) / 2
        distance = np.clip(apart + wider, 1e-7, 100.0)
        found: NDArray[np.float64] = 1 - np.sqrt(np.maximum(1 - np.exp(-distance), 0))
        return found

    return shares
