"""Two runs on the same data rows: how they differ, for each class and slice, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prelabel.metrics.bootstrap import Difference, Interval, Name, difference, interval
from prelabel.metrics.counting import count
from prelabel.metrics.matches import Matches
from prelabel.metrics.summary import class_names

ALL = ""
"""The slice of all rows, and the class of all classes."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of a comparison: a slice and a class (`ALL`: all of them) in both runs.

    ``p`` of ``difference`` is of this line alone; ``p_adjusted`` allows for all the lines that were looked at (Holm
    1979), so that one in twenty is not always significant.
    """

    slice: str
    feature: str
    rows: int
    first: Interval
    second: Interval
    difference: Difference
    p_adjusted: float | None

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "slice": self.slice,
            "class": self.feature,
            "data_rows": self.rows,
            "first": self.first.as_json(),
            "second": self.second.as_json(),
            "difference": self.difference.as_json(),
            "p_adjusted": self.p_adjusted,
        }


def compare(
    first: Matches,
    second: Matches,
    *,
    metric: Name = "f1",
    confidence: float = 0.5,
    iou: float = 0.5,
    slices: Mapping[str, Collection[str]] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> list[Compared]:
    """The second run against the first, on the rows that count in both (a prediction and an annotation each).

    Args:
        metric: ``f1``, ``precision`` or ``recall``.
        slices: data rows by the slice's name; all of them are compared beside the whole.

    Returns:
        First all rows and classes, then each class, then each slice and its classes. Lines of which both runs have
        nothing are left out.
    """
    both = [row for row in _counting(first) if row in set(_counting(second))]
    tables = [_table(run, both, confidence, iou) for run in (first, second)]
    features = sorted({feature for table in tables for feature in table})
    groups = {ALL: range(len(both))} | {
        name: [place for place, row in enumerate(both) if row in chosen]
        for name, chosen in ((name, frozenset(rows)) for name, rows in (slices or {}).items())
    }
    lines = []
    for name, places in groups.items():
        for feature in (ALL, *features):
            ours, theirs = (_columns(table, feature, places, len(both)) for table in tables)
            if ours.any() or theirs.any():
                lines.append(
                    Compared(
                        name,
                        feature,
                        len(places),
                        interval(ours, metric, resamples=resamples, seed=seed),
                        interval(theirs, metric, resamples=resamples, seed=seed),
                        difference(ours, theirs, metric, resamples=resamples, seed=seed),
                        None,
                    )
                )
    return _adjusted(lines)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p values of one family, adjusted by Holm's step-down method; None stays None and does not count."""
    known = sorted((value, place) for place, value in enumerate(values) if value is not None)
    found: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (value, place) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - rank)))
        found[place] = highest
    return found


def _adjusted(lines: list[Compared]) -> list[Compared]:
    adjusted = holm([line.difference.p for line in lines])
    return [
        Compared(line.slice, line.feature, line.rows, line.first, line.second, line.difference, p)
        for line, p in zip(lines, adjusted, strict=True)
    ]


def _counting(matches: Matches) -> list[str]:
    return [matches.row_ids[place] for place in np.flatnonzero(matches.counted).tolist()]


def _table(matches: Matches, rows: Sequence[str], confidence: float, iou: float) -> dict[str, Floats]:
    """TP, FP, FN ``[rows, 3]`` of each class."""
    place_of = {row: place for place, row in enumerate(rows)}
    to = np.array([place_of.get(row, -1) for row in matches.row_ids], dtype=np.int64)
    cells = count(matches, confidence, iou).cells
    found: dict[str, Floats] = {}
    for number, feature in enumerate(class_names(matches.columns.classes)):
        ours = (cells.cls == number) & (to[cells.row] >= 0)
        table = np.zeros((len(rows), 3))
        table[to[cells.row[ours]]] = np.column_stack((cells.tp[ours], cells.fp[ours], cells.fn[ours]))
        found[feature] = table
    return found


def _columns(table: Mapping[str, Floats], feature: str, places: Sequence[int], size: int) -> Floats:
    nothing = np.zeros((size, 3))
    whole = sum(table.values(), nothing) if feature == ALL else table.get(feature, nothing)
    return whole[list(places)]
