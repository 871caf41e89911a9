"""Boxes of detectors without anchors, as their network leaves them: scores and distances at several resolutions.

PicoDet's form (PaddleDetection), and that of others after https://arxiv.org/abs/2006.04388: for each resolution the
scores ``[N, classes]`` of its cells; then, in the same order, ``[N, 4 * bins]``: how probable each distance, in steps
of the resolution, is from the cell's middle to the left, upper, right and lower side of its box.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prelabel.errors import ModelLoadError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STEPS = (4, 8, 16, 32, 64, 128)
"""Pixels of the input that a cell may be wide."""


def is_pyramid(shapes: Sequence[Sequence[Any]]) -> bool:
    """Whether tensors of these shapes (with or without the batch dimension) are one."""
    half = len(shapes) // 2
    sides = [list(shape)[-2:] for shape in shapes]
    if half < 2 or len(shapes) % 2 or any(len(shape) not in {2, 3} for shape in shapes):
        return False
    if not all(isinstance(size, int) for side in sides for size in side):
        return False
    scores, distances = sides[:half], sides[half:]
    bins = {width for _, width in distances}
    alike = [cells for cells, _ in scores] == [cells for cells, _ in distances]
    return alike and len({width for _, width in scores}) == 1 and len(bins) == 1 and min(bins) % 4 == 0 < min(bins) - 4


def decoded(
    row: Sequence[NDArray[Any]], net: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Corners in pixels of the input, score and class of each cell; ``net`` is the input's (width, height)."""
    import numpy as np

    half = len(row) // 2
    shares = np.concatenate([np.asarray(each, dtype=np.float64) for each in row[:half]])
    corners = np.concatenate([_corners(np.asarray(each, dtype=np.float64), net) for each in row[half:]])
    return corners, shares.max(axis=1), shares.argmax(axis=1).astype(np.int64)


def _corners(table: NDArray[np.float64], net: tuple[int, int]) -> NDArray[np.float64]:
    import numpy as np

    step = _step(len(table), net)
    columns, rows = (math.ceil(side / step) for side in net)
    middle = (np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2) + 0.5) * step
    bins = table.reshape(len(table), 4, -1)
    powers = np.exp(bins - bins.max(axis=2, keepdims=True))
    far = (powers / powers.sum(axis=2, keepdims=True)) @ np.arange(bins.shape[2]) * step
    found: NDArray[np.float64] = np.concatenate([middle - far[:, :2], middle + far[:, 2:]], axis=1)
    return found


def _step(cells: int, net: tuple[int, int]) -> int:
    for step in _STEPS:
        if math.ceil(net[0] / step) * math.ceil(net[1] / step) == cells:
            return step
    raise ModelLoadError(
        f"{cells} cells are no resolution of an image of {net[0]}x{net[1]} pixels.", hint="Check --opt size."
    )
