"""Matches to what people look at: counts, precision, recall, F1, IoU and confusion, per class, data row and run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from prelabel.metrics.counting import NONE, Counted, Counts, count, ratio, totals
from prelabel.metrics.matches import ClassKey, Matches, RowMatches, one_to_one

__all__ = ["Average", "ConfusionCell", "Counts", "Curve", "CurvePoint", "Summary", "curve", "summarize"]

Rows = Mapping[str, RowMatches] | Matches
NO_CLASS = "None"
"""The class of predictions without an annotation, and of annotations without a prediction."""


@dataclass(frozen=True, slots=True)
class Average:
    """Means; ``macro``: over classes in which the number is defined, ``micro``: from the counts of all classes."""

    precision: float | None
    recall: float | None
    f1: float | None

    @classmethod
    def over(cls, parts: Iterable[Counts]) -> Average:
        """The mean over these."""
        some = list(parts)
        return cls(
            _mean([part.precision for part in some]),
            _mean([part.recall for part in some]),
            _mean([part.f1 for part in some]),
        )

    def as_json(self) -> dict[str, float | None]:
        """The three numbers."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


@dataclass(frozen=True, slots=True)
class ConfusionCell:
    """How often ``annotated`` was predicted as ``predicted``, and in which data rows; None is a class of its own."""

    annotated: str | None
    predicted: str | None
    count: int
    rows: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Summary:
    """Everything at one confidence and one IoU threshold.

    What classes are called: see `class_names`.
    """

    confidence: float
    iou: float
    row_ids: tuple[str, ...]
    names: tuple[str, ...]
    counted: Counted

    @cached_property
    def classes(self) -> dict[str, Counts]:
        """Each class over all rows that count; its IoU is the mean over the rows that have the class."""
        sums = totals(self.counted.cells, len(self.names))
        return {
            name: Counts(
                int(sums["tp"][place]), int(sums["fp"][place]), int(sums["fn"][place]),
                None if self.counted.tn[place] == NONE else int(self.counted.tn[place]),
                None if math.isnan(sums["iou"][place]) else float(sums["iou"][place]),
            )
            for place, name in enumerate(self.names)
        }  # fmt: skip

    @cached_property
    def run(self) -> Counts:
        """All classes together; the IoU is the mean over data rows of the mean over their classes."""
        parts = list(self.classes.values())
        known = [part.tn for part in parts if part.tn is not None]
        ious = [one.iou for one in self.rows.values() if one.iou is not None]
        return Counts(
            sum(part.tp for part in parts), sum(part.fp for part in parts), sum(part.fn for part in parts),
            sum(known) if known else None, sum(ious) / len(ious) if ious else None,
        )  # fmt: skip

    @property
    def micro(self) -> Average:
        """From the counts of all classes."""
        return Average(self.run.precision, self.run.recall, self.run.f1)

    @cached_property
    def macro(self) -> Average:
        """The mean over classes."""
        return Average.over(self.classes.values())

    @cached_property
    def rows(self) -> dict[str, Counts]:
        """Each data row that counts and is not empty; its IoU is the mean over its classes (Labelbox's rule)."""
        cells = self.counted.cells
        size = len(self.row_ids)
        number = np.bincount(cells.row, minlength=size)
        columns = [np.bincount(cells.row, part, minlength=size) for part in (cells.tp, cells.fp, cells.fn, cells.iou)]
        present = np.flatnonzero(number)
        table = zip(present.tolist(), *(column[present].tolist() for column in columns), number[present].tolist(),
                    strict=True)  # fmt: skip
        return {
            self.row_ids[row]: Counts(int(tp), int(fp), int(fn), None, iou / classes)
            for row, tp, fp, fn, iou, classes in table
        }

    def row_classes(self) -> Iterator[tuple[str, str, Counts]]:
        """Data row, class and counts, for each class that a row has."""
        cells = self.counted.cells
        columns = (cells.row, cells.cls, cells.tp, cells.fp, cells.fn, cells.iou)
        for row, cls, tp, fp, fn, iou in zip(*(column.tolist() for column in columns), strict=True):
            yield self.row_ids[row], self.names[cls], Counts(tp, fp, fn, None, iou)

    @cached_property
    def confusion(self) -> tuple[ConfusionCell, ...]:
        """The cells that are not 0, by annotated and predicted class, None last."""
        made, size = self.counted, len(self.names) + 1
        annotated = np.where(made.confused_annotation == NONE, size - 1, made.confused_annotation)
        predicted = np.where(made.confused_prediction == NONE, size - 1, made.confused_prediction)
        key = annotated * size + predicted
        order = np.lexsort((made.confused_row, key))
        keys, starts = np.unique(key[order], return_index=True)
        names = (*self.names, None)
        cells = []
        for cell, places in zip(keys.tolist(), np.split(order, starts)[1:], strict=True):
            rows = np.unique(made.confused_row[places])
            inside = tuple(self.row_ids[row] for row in rows.tolist())
            cells.append(ConfusionCell(names[cell // size], names[cell % size], len(places), inside))
        return tuple(cells)

    def as_json(self, *, rows: bool = True) -> dict[str, Any]:
        """JSON-ready; undefined is None. Without ``rows`` its size does not depend on the number of data rows."""
        cells: list[dict[str, Any]] = []
        for cell in self.confusion:
            one: dict[str, Any] = {
                "annotated": NO_CLASS if cell.annotated is None else cell.annotated,
                "predicted": NO_CLASS if cell.predicted is None else cell.predicted,
                "count": cell.count,
            }
            cells.append({**one, "rows": list(cell.rows)} if rows else one)
        found: dict[str, Any] = {
            "confidence": self.confidence,
            "iou": self.iou,
            "data_rows": int(self.counted.rows.sum()),
            "run": self.run.as_json(),
            "micro": self.micro.as_json(),
            "macro": self.macro.as_json(),
            "classes": {name: counts.as_json() for name, counts in self.classes.items()},
            "confusion": cells,
        }
        if rows:
            found["rows"] = {row_id: counts.as_json() for row_id, counts in self.rows.items()}
        return found


def summarize(rows: Rows, confidence: float = 0.5, iou: float = 0.5, *, all_rows: bool = False) -> Summary:
    """Counts at these thresholds, by Labelbox's rules.

    A prediction below ``confidence`` is ignored; one without a confidence has 1. A match is of one class and has an IoU
    above ``iou``; matching is greedy, best first, one to one. A data row counts when it has at least one prediction
    (of any confidence) and one annotation.

    Args:
        all_rows: count rows with only predictions or only annotations too.
    """
    matches = rows if isinstance(rows, Matches) else Matches.of(rows)
    made = count(matches, confidence, iou, all_rows=all_rows)
    return Summary(confidence, iou, matches.row_ids, class_names(matches.columns.classes), made)


def class_names(classes: Sequence[ClassKey]) -> tuple[str, ...]:
    """What each class is called: its feature; where others are called so too, ``question/feature``, and if need be
    with what it is, as in ``note/note (choice)``. No two have one name."""
    levels = [0] * len(classes)
    while True:
        names = tuple(_called(key, level) for key, level in zip(classes, levels, strict=True))
        often = Counter(names)
        shared = [place for place, name in enumerate(names) if often[name] > 1 and levels[place] < MOST_EXACT]
        if not shared:
            return names
        for place in shared:
            levels[place] += 1


MOST_EXACT = 3


def _called(key: ClassKey, level: int) -> str:
    if level == MOST_EXACT:
        return f"{key.question!r}/{key.feature!r} ({key.sort})"
    name = f"{key.question}/{key.feature}" if level and key.question else key.feature
    return f"{name} ({key.sort})" if level > 1 else name


# --- over thresholds
@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One class at one confidence threshold."""

    confidence: float
    tp: int
    fp: int
    fn: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision and recall of one class over confidence thresholds. ``best``: highest F1, the lowest such threshold."""

    points: tuple[CurvePoint, ...]
    best: CurvePoint | None

    @classmethod
    def of(cls, counts: Iterable[tuple[float, int, int, int]]) -> Curve:
        """From confidence, TP, FP and FN at each threshold."""
        points = tuple(
            CurvePoint(at, tp, fp, fn, ratio(tp, tp + fp), ratio(tp, tp + fn), ratio(2 * tp, 2 * tp + fp + fn))
            for at, tp, fp, fn in counts
        )
        return cls(points, _best(points))

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        best = None if self.best is None else asdict(self.best)
        return {"points": [asdict(point) for point in self.points], "best": best}


def curve(
    rows: Rows, iou: float = 0.5, *, thresholds: Sequence[float] | None = None, all_rows: bool = False
) -> dict[str, Curve]:
    """For each class its counts at each confidence threshold (0 to 1 by 0.02 when None), matched anew at each."""
    matches = rows if isinstance(rows, Matches) else Matches.of(rows)
    at = [place / 50 for place in range(51)] if thresholds is None else sorted(thresholds)
    names = class_names(matches.columns.classes)
    found: list[list[tuple[float, int, int, int]]] = [[] for _ in names]
    for threshold, tp, predicted, annotated in _counts_at(matches, at, iou, all_rows=all_rows):
        for points, right, said, there in zip(found, tp, predicted, annotated, strict=True):
            points.append((threshold, right, said - right, there - right))
    return {name: Curve.of(points) for name, points in zip(names, found, strict=True)}


def _counts_at(
    matches: Matches, thresholds: Sequence[float], iou: float, *, all_rows: bool
) -> Iterator[tuple[float, list[int], list[int], list[int]]]:
    """Threshold, and for each class TP, predictions and annotations."""
    columns, size = matches.columns, len(matches.columns.classes)
    rows = np.ones(len(matches.row_ids), dtype=np.bool_) if all_rows else matches.counted
    counted = rows[matches.prediction_row]
    order = matches.best_first
    p, a = columns.pair_prediction[order], columns.pair_annotation[order]
    keep = (columns.prediction_class[p] == columns.annotation_class[a]) & (columns.pair_iou[order] > iou) & counted[p]
    p, a = p[keep], a[keep]
    annotated = np.bincount(columns.annotation_class[rows[matches.annotation_row]], minlength=size).tolist()
    for threshold in thresholds:
        said = columns.prediction_confidence >= threshold
        sure = said[p]
        matched = p[sure][one_to_one(p[sure], a[sure])]
        tp = np.bincount(columns.prediction_class[matched], minlength=size).tolist()
        predicted = np.bincount(columns.prediction_class[said & counted], minlength=size).tolist()
        yield threshold, tp, predicted, annotated


def _best(points: Sequence[CurvePoint]) -> CurvePoint | None:
    defined = [point for point in points if point.f1 is not None]
    return max(defined, key=lambda point: (point.f1 or 0.0, -point.confidence), default=None)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
