"""Data rows in the order in which they are worth looking at: Labelbox's built-in slices, computed from matches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from prelabel.analysis import View
from prelabel.analysis.conditions import Field
from prelabel.analysis.row_numbers import RowNumbers
from prelabel.errors import RequestError
from prelabel.metrics.matches import Matches


@dataclass(frozen=True, slots=True)
class RankedRow:
    """A data row and the number that it is ranked by."""

    row_id: str
    value: float


VIEWS: Mapping[View, tuple[Field, bool, str]] = {
    "true_positives": (Field("tp"), True, "most true positives first"),
    "false_positives": (Field("fp"), True, "most false positives first"),
    "true_negatives": (Field("tn"), True, "most true negatives first: choices that neither side says"),
    "false_negatives": (Field("fn"), True, "most false negatives first"),
    "low_precision": (Field("precision"), False, "lowest precision first"),
    "low_recall": (Field("recall"), False, "lowest recall first"),
    "low_f1": (Field("f1"), False, "lowest F1 first"),
    "low_iou": (Field("iou"), False, "lowest IoU first"),
    "low_confidence": (Field("confidence"), False, "the least sure prediction first"),
    "candidate_mislabels": (
        Field("fp_confidence"),
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
    field, largest_first, _ = VIEWS[found]
    value = RowNumbers(matches, confidence, iou).column(field)
    keep = ~np.isnan(value) & ((value > 0) if largest_first else True)
    if view != "low_confidence":
        keep &= matches.counted
    places = np.flatnonzero(keep)
    order = places[np.argsort(-value[places] if largest_first else value[places], kind="stable")][:limit]
    return [RankedRow(matches.row_ids[place], float(value[place])) for place in order.tolist()]
