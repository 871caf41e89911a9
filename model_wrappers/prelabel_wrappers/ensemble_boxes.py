"""Weighted boxes fusion: boxes of several detectors that mean one thing become one box.

Source: Solovyev, Wang, Gabruseva, "Weighted boxes fusion: Ensembling boxes from different object detection models"
(2021). The numbers are those of its authors' package ensemble-boxes, whose Numba this does without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Fused:
    """One box: corners left, top, right, bottom; its score; which detectors saw it."""

    corners: tuple[float, float, float, float]
    score: float
    seen_by: frozenset[int]


def fuse(
    corners: NDArray[np.float64],
    scores: NDArray[np.float64],
    detectors: NDArray[np.int64],
    weights: NDArray[np.float64],
    overlap: float,
) -> list[Fused]:
    """Boxes of one label, the surest first.

    Args:
        corners: ``[N, 4]``, of all detectors.
        scores: ``[N]``, 0..1.
        detectors: ``[N]``, which one said each box.
        weights: of each detector; a detector that says nothing here counts too, since it was asked.
        overlap: intersection over union from which two boxes are one.
    """
    import numpy as np

    worth = scores * weights[detectors]
    fused = np.zeros((0, 4))
    clusters: list[list[int]] = []
    for at in np.argsort(-worth, kind="stable").tolist():
        overlaps = _overlaps(fused, corners[at])
        best = int(overlaps.argmax()) if len(overlaps) else -1
        if best < 0 or overlaps[best] <= overlap:
            clusters.append([at])
            fused = np.vstack([fused, corners[at]])
            continue
        clusters[best].append(at)
        share = worth[clusters[best]]
        if share.sum() > 0:
            fused[best] = (corners[clusters[best]] * share[:, None]).sum(axis=0) / share.sum()
    whole = float(weights.sum())
    found = [
        Fused(
            (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
            float(worth[cluster].mean() * min(len(cluster), whole) / whole),
            frozenset(detectors[cluster].tolist()),
        )
        for box, cluster in zip(fused, clusters, strict=True)
    ]
    return sorted(found, key=lambda each: -each.score)


def _overlaps(boxes: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of each of ``boxes`` with ``box``."""
    import numpy as np

    corner = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    inside = np.clip(corner, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - inside
    result: NDArray[np.float64] = np.divide(inside, areas, out=np.zeros_like(inside), where=areas > 0)
    return result
