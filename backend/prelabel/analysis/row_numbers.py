"""Numbers of each data row from its matches: what conditions on data rows ask for."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from prelabel.analysis.conditions import Field
from prelabel.metrics.counting import Cells, count
from prelabel.metrics.matches import ClassKey, Matches, one_to_one

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class RowNumbers:
    """One column for each field, one entry for each row of the matches; NaN where undefined.

    All rows count, also those of which one side says nothing. A prediction below ``confidence`` is ignored in every
    field but ``confidence`` and ``max_confidence``; a match has an IoU above ``iou``. Ratios are those of the data
    row's counts; its IoU is the mean over its classes (Labelbox's rule).
    """

    def __init__(self, matches: Matches, confidence: float = 0.5, iou: float = 0.5) -> None:
        self.matches = matches
        self._confidence = confidence
        self._iou = iou
        self._known: dict[Field, Floats] = {}

    def column(self, field: Field) -> Floats:
        """The field of each row; its key is a class: a feature, or ``question/feature``."""
        if field not in self._known:
            self._known[field] = self._column(field)
        return self._known[field]

    def _column(self, field: Field) -> Floats:
        columns, matches = self.matches.columns, self.matches
        wanted = _named(columns.classes, field.key)
        if field.name in {"confidence", "max_confidence", "fp_confidence"}:
            of = wanted[columns.prediction_class] & (self._wrong if field.name == "fp_confidence" else True)
            rows, values = matches.prediction_row[of], columns.prediction_confidence[of]
            return self._lowest(rows, values) if field.name == "confidence" else -self._lowest(rows, -values)
        if field.name == "predictions":
            return self._tally(matches.prediction_row[self._kept & wanted[columns.prediction_class]])
        if field.name == "annotations":
            return self._tally(matches.annotation_row[wanted[columns.annotation_class]])
        if field.name == "tn":
            return self._true_negatives(wanted)
        cells = self._cells
        ours = wanted[cells.cls] if len(cells.cls) else np.zeros(0, dtype=np.bool_)
        if field.name == "iou":
            return _ratio(self._tally(cells.row[ours], cells.iou[ours]), self._tally(cells.row[ours]))
        tp, fp, fn = (self._tally(cells.row[ours], part[ours]) for part in (cells.tp, cells.fp, cells.fn))
        part, whole = {
            "tp": (tp, None),
            "fp": (fp, None),
            "fn": (fn, None),
            "precision": (tp, tp + fp),
            "recall": (tp, tp + fn),
            "f1": (2 * tp, 2 * tp + fp + fn),
        }[field.name]
        return part if whole is None else _ratio(part, whole)

    @cached_property
    def _cells(self) -> Cells:
        return count(self.matches, self._confidence, self._iou, all_rows=True).cells

    @cached_property
    def _kept(self) -> Bools:
        kept: Bools = self.matches.columns.prediction_confidence >= self._confidence
        return kept

    @cached_property
    def _wrong(self) -> Bools:
        """Predictions that are false positives; the same pairs as `prelabel.metrics.counting.count` takes."""
        columns, order = self.matches.columns, self.matches.best_first
        p, a = columns.pair_prediction[order], columns.pair_annotation[order]
        hit = self._kept[p] & (columns.pair_iou[order] > self._iou)
        hit &= columns.prediction_class[p] == columns.annotation_class[a]
        wrong = self._kept.copy()
        wrong[p[hit][one_to_one(p[hit], a[hit])]] = False
        return wrong

    def _true_negatives(self, wanted: Bools) -> Floats:
        """Choices that neither side says, of the questions that one side answers; NaN for a row without a question."""
        columns, kept = self.matches.columns, self._kept
        cls = np.concatenate((columns.prediction_class[kept], columns.annotation_class)).astype(np.int64)
        row = np.concatenate((self.matches.prediction_row[kept], self.matches.annotation_row)).astype(np.int64)
        unit = np.concatenate((columns.prediction_unit[kept], columns.annotation_unit)).astype(np.int64)
        cls, row, unit = cls[unit >= 0], row[unit >= 0], unit[unit >= 0]
        if not cls.size:
            return np.full(len(self.matches.row_ids), np.nan)
        numbers = {key.question: place for place, key in enumerate(columns.classes)}
        question = np.array([numbers[key.question] for key in columns.classes])
        choices = np.array([key.sort == "choice" for key in columns.classes]) & wanted
        options = np.bincount(question[choices], minlength=len(question))  # of each question, those asked for
        units = int(unit.max()) + 1
        asked, first = np.unique(row * units + unit, return_index=True)
        asked_row, there = asked // units, options[question[cls[first]]]
        said = np.unique((row * units + unit) * len(choices) + cls)
        said_row = said[choices[said % len(choices)]] // len(choices) // units
        found = self._tally(asked_row, there) - self._tally(said_row)
        found[self._tally(asked_row, there) == 0] = np.nan
        return found

    def _tally(self, rows: NDArray[np.integer], weights: NDArray[np.generic] | None = None) -> Floats:
        return np.bincount(rows, weights, minlength=len(self.matches.row_ids)).astype(np.float64)

    def _lowest(self, rows: NDArray[np.integer], values: Floats) -> Floats:
        found = np.full(len(self.matches.row_ids), np.inf)
        np.minimum.at(found, rows, values)
        found[np.isinf(found)] = np.nan
        return found


def _named(classes: tuple[ClassKey, ...], name: str | None) -> Bools:
    """Which classes are meant: all without a name, else every one that is called so."""
    return np.array(
        [name is None or name in (key.feature, f"{key.question}/{key.feature}") for key in classes], dtype=np.bool_
    )


def _ratio(part: Floats, whole: Floats) -> Floats:
    found: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return found


__all__ = ["RowNumbers"]
