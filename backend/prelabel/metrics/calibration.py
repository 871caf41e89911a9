"""Whether confidences mean what they say: expected calibration error, reliability bins, Brier score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prelabel.metrics.matches import Matches, RowMatches, one_to_one


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Predictions with a confidence of at least ``low`` and below ``high`` (the last bin: up to 1)."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """``ece``: mean over bins, weighted by their size, of \\|accuracy - mean confidence\\| (Naeini et al. 2015);
    ``mce``: the largest of them; ``brier``: mean of (confidence - right)². None without predictions."""

    count: int
    ece: float | None
    mce: float | None
    brier: float | None
    bins: tuple[ReliabilityBin, ...]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "bins": [asdict(one) for one in self.bins]}


def calibrate(confidence: ArrayLike, right: ArrayLike, *, bins: int = 10) -> Calibration:
    """Of predictions with these confidences (0..1), ``right`` says which were right (bool), in bins of equal width."""
    sure = np.asarray(confidence, dtype=np.float64).reshape(-1)
    hit = np.asarray(right, dtype=np.float64).reshape(-1)
    place = np.clip((sure * bins).astype(np.int64), 0, bins - 1)
    number = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, sure, minlength=bins), np.bincount(place, hit, minlength=bins))
    means = [np.divide(one, number, out=np.full(bins, np.nan), where=number > 0) for one in sums]
    found = tuple(
        ReliabilityBin(
            at / bins, (at + 1) / bins, int(number[at]),
            float(means[0][at]) if number[at] else None, float(means[1][at]) if number[at] else None,
        )
        for at in range(bins)
    )  # fmt: skip
    if not sure.size:
        return Calibration(0, None, None, None, found)
    full = number > 0
    gaps = np.abs(means[1] - means[0])[full]
    return Calibration(
        sure.size,
        float((gaps * number[full]).sum() / sure.size),
        float(gaps.max()),
        float(((sure - hit) ** 2).mean()),
        found,
    )


def calibration(
    rows: Mapping[str, RowMatches] | Matches, iou: float = 0.5, *, bins: int = 10, all_rows: bool = False
) -> Calibration:
    """Calibration of all predictions: right is what matches an annotation of its class at that IoU threshold."""
    matches = rows if isinstance(rows, Matches) else Matches.of(rows)
    counted = np.ones(len(matches.row_ids), dtype=np.bool_) if all_rows else matches.counted
    used = counted[matches.prediction_row]
    return calibrate(matches.columns.prediction_confidence[used], right_ones(matches, iou)[used], bins=bins)


def right_ones(matches: Matches, iou: float = 0.5) -> NDArray[np.bool_]:
    """For each prediction whether it matches, whatever its confidence."""
    columns, order = matches.columns, matches.best_first
    p, a = columns.pair_prediction[order], columns.pair_annotation[order]
    keep = (columns.prediction_class[p] == columns.annotation_class[a]) & (columns.pair_iou[order] > iou)
    p, a = p[keep], a[keep]
    right = np.zeros(len(columns.prediction_class), dtype=np.bool_)
    right[p[one_to_one(p, a)]] = True
    return right
