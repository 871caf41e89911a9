"""Summaries of parts of a run, added up: what they are made of is kept, not their rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from prelabel.metrics.counting import NONE, Counts, totals
from prelabel.metrics.matches import ClassKey
from prelabel.metrics.summary import Average, Summary, class_names

Cell = tuple[ClassKey | None, ClassKey | None]
"""Annotated and predicted class; None: no partner."""


@dataclass(frozen=True, slots=True)
class Confused:
    """How often ``annotated`` was predicted as ``predicted``; None is 'none of them'."""

    annotated: str | None
    predicted: str | None
    count: int


@dataclass(slots=True)
class _Class:
    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int | None = None
    iou: float = 0.0
    rows: int = 0

    def counts(self) -> Counts:
        return Counts(self.tp, self.fp, self.fn, self.tn, self.iou / self.rows if self.rows else None)


@dataclass(slots=True)
class Totals:
    """Counts of each class, of the run and of the confusion. ``rows``: data rows so far."""

    rows: int = 0
    _iou: float = 0.0
    _iou_rows: int = 0
    _classes: dict[ClassKey, _Class] = field(default_factory=dict)
    _cells: Counter[Cell] = field(default_factory=Counter)

    def add(self, part: Summary, keys: tuple[ClassKey, ...]) -> None:
        """One more part, whose classes are ``keys``."""
        made, size = part.counted, len(keys)
        self.rows += int(made.rows.sum())
        sums, often = totals(made.cells, size), np.bincount(made.cells.cls, minlength=size)
        for place, key in enumerate(keys):
            total = self._classes.setdefault(key, _Class())
            total.tp += int(sums["tp"][place])
            total.fp += int(sums["fp"][place])
            total.fn += int(sums["fn"][place])
            if made.tn[place] != NONE:
                total.tn = (total.tn or 0) + int(made.tn[place])
            if often[place]:
                total.iou += float(sums["iou"][place]) * int(often[place])
                total.rows += int(often[place])
        known = np.bincount(made.cells.row, minlength=len(part.row_ids))
        ious = np.bincount(made.cells.row, made.cells.iou, minlength=len(part.row_ids))
        self._iou += float((ious[known > 0] / known[known > 0]).sum())
        self._iou_rows += int((known > 0).sum())
        ends = (*keys, None)
        pairs = np.column_stack((made.confused_annotation, made.confused_prediction))
        cells, counts = np.unique(pairs, axis=0, return_counts=True)
        for (annotated, predicted), count in zip(cells.tolist(), counts.tolist(), strict=True):
            self._cells[ends[annotated], ends[predicted]] += count  # no partner is -1: the last

    @property
    def names(self) -> dict[ClassKey, str]:
        """What the classes are called, in the order of their keys."""
        keys = sorted(self._classes)
        return dict(zip(keys, class_names(keys), strict=True))

    def classes(self) -> dict[str, Counts]:
        """By name; the IoU is the mean over the rows that have the class."""
        return {name: self._classes[key].counts() for key, name in self.names.items()}

    def run(self) -> Counts:
        """All classes together; the IoU is the mean over data rows of the mean over their classes."""
        parts = list(self._classes.values())
        known = [part.tn for part in parts if part.tn is not None]
        return Counts(
            sum(part.tp for part in parts), sum(part.fp for part in parts), sum(part.fn for part in parts),
            sum(known) if known else None, self._iou / self._iou_rows if self._iou_rows else None,
        )  # fmt: skip

    def macro(self) -> Average:
        """The mean over classes."""
        return Average.over(self.classes().values())

    def confusion(self) -> tuple[Confused, ...]:
        """The cells that are not 0."""
        names: dict[ClassKey | None, str | None] = {key: name for key, name in self.names.items()}  # noqa: C416 (wider)
        names[None] = None
        cells = [Confused(names[a], names[p], count) for (a, p), count in self._cells.items()]
        return tuple(
            sorted(cells, key=lambda cell: (cell.annotated is None, cell.annotated or "", cell.predicted or ""))
        )


__all__ = ["Confused", "Totals"]
