"""Data rows in the order in which they are worth looking at: Labelbox's built-in slices, computed from matches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prelabel.analysis import View
from prelabel.errors import RequestError
from prelabel.metrics.counting import count
from prelabel.metrics.matches import Matches

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankedRow:
    """A data row and the number that it is ranked by."""

    row_id: str
    value: float


@dataclass(frozen=True, eq=False)
class _Rows:
    """Numbers of each data row; NaN where undefined."""

    tp: Floats
    fp: Floats
    fn: Floats
    tn: Floats
    iou: Floats
    lowest: Floats
    mislabel: Floats


def _ratio(part: Floats, whole: Floats) -> Floats:
    found: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return found


VIEWS: Mapping[View, tuple[Callable[[_Rows], Floats], bool, str]] = {
    "true_positives": (lambda rows: rows.tp, True, "most true positives first"),
    "false_positives": (lambda rows: rows.fp, True, "most false positives first"),
    "false_negatives": (lambda rows: rows.fn, True, "most false negatives first"),
    "low_precision": (lambda rows: _ratio(rows.tp, rows.tp + rows.fp), False, "lowest precision first"),
    "low_recall": (lambda rows: _ratio(rows.tp, rows.tp + rows.fn), False, "lowest recall first"),
    "low_f1": (lambda rows: _ratio(2 * rows.tp, 2 * rows.tp + rows.fp + rows.fn), False, "lowest F1 first"),
    "low_iou": (lambda rows: rows.iou, False, "lowest IoU first"),
    "low_confidence": (lambda rows: rows.lowest, False, "the least sure prediction first"),
    "candidate_mislabels": (
        lambda rows: rows.mislabel,
        True,
        "rows with a false positive, the surest first: where the model may be right and the annotation wrong",
    ),
}
"""Each view: what a row is ranked by, whether the largest comes first, and what it is for. Labelbox prints 'descending'
for its low-* slices; the lowest first is what is meant."""


def ranked(
    matches: Matches, view: str, *, confidence: float = 0.5, iou: float = 0.5, limit: int | None = None
) -> list[RankedRow]:
    """The rows of a view, in its order.

    Rows for which the number is undefined are left out, and so are those that have none of what a counting view counts.
    Only rows with a prediction and an annotation take part, except in ``low_confidence``, where those without an
    annotation do too: what to label next is among them.

    Args:
        view: a name in `VIEWS`.
        limit: how many at most.

    Raises:
        RequestError: there is no such view.
    """
    found = next((name for name in VIEWS if name == view), None)
    if found is None:
        raise RequestError(f"there is no view {view!r}.", hint=f"There are {', '.join(VIEWS)}.")
    of, largest_first, _ = VIEWS[found]
    value = of(_numbers(matches, confidence, iou))
    keep = ~np.isnan(value) & ((value > 0) if largest_first else True)
    if view != "low_confidence":
        keep &= matches.counted
    places = np.flatnonzero(keep)
    order = places[np.argsort(-value[places] if largest_first else value[places], kind="stable")][:limit]
    return [RankedRow(matches.row_ids[place], float(value[place])) for place in order.tolist()]


def _numbers(matches: Matches, confidence: float, iou: float) -> _Rows:
    made, size = count(matches, confidence, iou), len(matches.row_ids)
    cells = made.cells
    tp, fp, fn, overlap = (
        np.bincount(cells.row, part, minlength=size).astype(np.float64)
        for part in (cells.tp, cells.fp, cells.fn, cells.iou)
    )
    classes = np.bincount(cells.row, minlength=size).astype(np.float64)
    columns = matches.columns
    lowest = np.full(size, np.inf)
    np.minimum.at(lowest, matches.prediction_row, columns.prediction_confidence)
    lowest[np.isinf(lowest)] = np.nan
    return _Rows(
        tp, fp, fn, np.full(size, np.nan), _ratio(overlap, classes), lowest, _surest_wrong(matches, confidence, iou)
    )


def _surest_wrong(matches: Matches, confidence: float, iou: float) -> Floats:
    """The highest confidence of a row's false positives; NaN for a row without one."""
    from prelabel.analysis.mistakes import verdicts  # noqa: PLC0415 (that module ranks nothing and needs no view)

    wrong = verdicts(matches, confidence=confidence, iou=iou).wrong
    surest = np.full(len(matches.row_ids), -np.inf)
    np.maximum.at(surest, matches.prediction_row[wrong], matches.columns.prediction_confidence[wrong])
    surest[np.isinf(surest)] = np.nan
    return surest
