"""Matches to counts per data row and class at one confidence and IoU threshold; no geometry, no loop over pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prelabel.metrics.matches import Matches, one_to_one

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NONE = -1
"""The class of what has no partner, in a confusion."""


def ratio(part: float, whole: float) -> float | None:
    """``part / whole``; None where that is undefined."""
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class Counts:
    """How often it was right. ``tn`` is None for what is drawn or written: what was rightly not drawn has no number.

    ``iou`` is the mean IoU; None where nothing was predicted and nothing annotated.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int | None = None
    iou: float | None = None

    @property
    def precision(self) -> float | None:
        """TP / (TP + FP)."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """TP / (TP + FN)."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """2 TP / (2 TP + FP + FN)."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def as_json(self) -> dict[str, float | int | None]:
        """All numbers; undefined is None."""
        return {
            "tp": self.tp, "fp": self.fp, "fn": self.fn, "tn": self.tn,
            "precision": self.precision, "recall": self.recall, "f1": self.f1, "iou": self.iou,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Cells:
    """One entry for each data row and class that it has, ordered by row and class: indices, counts, mean IoU."""

    row: Ints
    cls: Ints
    tp: Ints
    fp: Ints
    fn: Ints
    iou: Floats


@dataclass(frozen=True, eq=False)
class Counted:
    """Everything that a summary is made of.

    ``confused_*``: one entry for each prediction and annotation that counts, those with a partner together: class
    annotated and class predicted (`NONE`: no partner), and its row. ``tn``: for each class; `NONE` where undefined.
    """

    cells: Cells
    rows: Bools
    confused_annotation: Ints
    confused_prediction: Ints
    confused_row: Ints
    tn: Ints


def count(matches: Matches, confidence: float, iou: float, *, all_rows: bool = False) -> Counted:
    """Count at these thresholds: a prediction below ``confidence`` is ignored; a match has an IoU above ``iou``.

    Matching is greedy, best IoU first, one to one, within a class. Because better pairs go first, what a higher IoU
    threshold matches is a part of what a lower one matches. What is left is matched across classes the same way.
    """
    columns = matches.columns
    rows = np.ones(len(matches.row_ids), dtype=np.bool_) if all_rows else matches.counted
    kept = (columns.prediction_confidence >= confidence) & rows[matches.prediction_row]
    asked = rows[matches.annotation_row]
    order = matches.best_first
    order = order[kept[columns.pair_prediction[order]]]
    p, a, overlap = columns.pair_prediction[order], columns.pair_annotation[order], columns.pair_iou[order]
    same = columns.prediction_class[p] == columns.annotation_class[a]
    same_p, same_a, same_iou = p[same], a[same], overlap[same]
    paired = one_to_one(same_p, same_a)
    same_p, same_a, same_iou = same_p[paired], same_a[paired], same_iou[paired]
    right = same_iou > iou

    cells = _cells(matches, kept, asked, (same_p, same_iou, right))
    partner = np.full(len(kept), NONE, dtype=np.int64)
    partner[same_p[right]] = same_a[right]
    free_a = asked.copy()
    free_a[same_a[right]] = False
    cross = ~same & (overlap > iou)
    p, a = p[cross], a[cross]
    open_pairs = (partner[p] == NONE) & free_a[a]
    p, a = p[open_pairs], a[open_pairs]
    confused = one_to_one(p, a)
    partner[p[confused]] = a[confused]
    free_a[a[confused]] = False

    ours, theirs = np.flatnonzero(kept), np.flatnonzero(free_a)
    annotated = np.append(columns.annotation_class, np.int32(NONE))[partner[ours]]  # no partner is -1: the one appended
    return Counted(
        cells,
        rows,
        np.concatenate((annotated, columns.annotation_class[theirs])).astype(np.int64),
        np.concatenate((columns.prediction_class[ours], np.full(len(theirs), NONE))).astype(np.int64),
        np.concatenate((matches.prediction_row[ours], matches.annotation_row[theirs])).astype(np.int64),
        _true_negatives(matches, kept, asked),
    )


def _cells(matches: Matches, kept: Bools, asked: Bools, paired: tuple[NDArray[np.int32], Floats, Bools]) -> Cells:
    columns, classes = matches.columns, max(len(matches.columns.classes), 1)
    p_key = matches.prediction_row.astype(np.int64) * classes + columns.prediction_class
    a_key = (matches.annotation_row.astype(np.int64) * classes + columns.annotation_class)[asked]
    matched, overlap, right = paired
    keys = np.unique(np.concatenate((p_key[kept], a_key)))

    def tally(of: Ints, weights: Floats | None = None) -> NDArray[np.float64]:
        return np.bincount(np.searchsorted(keys, of), weights, minlength=len(keys)).astype(np.float64)

    predicted, annotated = tally(p_key[kept]), tally(a_key)
    tp = tally(p_key[matched[right]])
    return Cells(
        keys // classes,
        keys % classes,
        tp.astype(np.int64),
        (predicted - tp).astype(np.int64),
        (annotated - tp).astype(np.int64),
        # Labelbox pairs off everything, overlapping or not, so that the mean is over the larger of the two numbers.
        tally(p_key[matched], overlap) / np.maximum(predicted, annotated),
    )


def _true_negatives(matches: Matches, kept: Bools, asked: Bools) -> Ints:
    """For each choice: answered questions in which neither side says it."""
    columns = matches.columns
    names = columns.classes
    numbers: dict[str, int] = {}
    question = np.array(
        [numbers.setdefault(key.question, len(numbers)) if key.sort == "choice" else NONE for key in names],
        dtype=np.int64,
    )
    found = np.full(len(names), NONE, dtype=np.int64)
    if not numbers:
        return found
    cls = np.concatenate((columns.prediction_class[kept], columns.annotation_class[asked])).astype(np.int64)
    row = np.concatenate((matches.prediction_row[kept], matches.annotation_row[asked])).astype(np.int64)
    unit = np.concatenate((columns.prediction_unit[kept], columns.annotation_unit[asked])).astype(np.int64)
    chosen = unit >= 0
    cls, row, unit = cls[chosen], row[chosen], unit[chosen]
    place = row * (int(unit.max(initial=0)) + 1) + unit
    answers = np.unique(place * len(names) + cls) % len(names)
    said = np.bincount(answers, minlength=len(names))
    first = np.unique(place * len(numbers) + question[cls])
    units = np.bincount(first % len(numbers), minlength=len(numbers))
    is_choice = question >= 0
    found[is_choice] = units[question[is_choice]] - said[is_choice]
    return found


def totals(cells: Cells, classes: int) -> Mapping[str, NDArray[np.float64]]:
    """Counts of each class over all rows, and the mean over its rows' IoU (NaN without a row)."""

    def tally(weights: NDArray[np.generic] | None) -> NDArray[np.float64]:
        return np.bincount(cells.cls, weights, minlength=classes).astype(np.float64)

    rows = tally(None)
    mean = np.divide(tally(cells.iou), rows, out=np.full(classes, np.nan), where=rows > 0)
    return {"tp": tally(cells.tp), "fp": tally(cells.fp), "fn": tally(cells.fn), "iou": mean}
