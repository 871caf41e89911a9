"""What kind of mistake each wrong prediction and each missed annotation is.

The kinds are those of TIDE (Bolya et al., 2020, https://arxiv.org/abs/2008.08115), taken from the pairs that overlap:

| kind | a prediction that is wrong because |
|---|---|
| ``class`` | it lies where an annotation of another class does (for spans: the *type* error) |
| ``localisation`` | it overlaps an annotation of its class, but too little (for spans: the *boundary* error) |
| ``class_and_localisation`` | it overlaps one of another class, too little |
| ``duplicate`` | its annotation has a better prediction already |
| ``background`` | there is nothing |

and ``missed`` is an annotation without a prediction that none of these explains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prelabel.metrics.matches import Matches, one_to_one
from prelabel.metrics.summary import class_names

Kind = Literal["class", "localisation", "class_and_localisation", "duplicate", "background", "missed"]
KINDS: tuple[Kind, ...] = ("class", "localisation", "class_and_localisation", "duplicate", "background", "missed")
FOREGROUND = 0.1
"""A prediction that overlaps nothing more than this is background (TIDE's value)."""
RIGHT, UNCOUNTED = -1, -2


@dataclass(frozen=True, eq=False)
class Verdicts:
    """For each prediction the number of its mistake in `KINDS`, `RIGHT` or `UNCOUNTED`; which annotations are missed.

    ``partner`` is the annotation that explains each prediction, -1 where none does.
    """

    matches: Matches
    kind: NDArray[np.int64]
    partner: NDArray[np.int64]
    missed: NDArray[np.bool_]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """The predictions that are false positives."""
        found: NDArray[np.bool_] = self.kind >= 0
        return found

    def counts(self) -> dict[str, dict[Kind, int]]:
        """For each class that has mistakes, how many of each kind; a wrong class counts for the predicted one."""
        columns = self.matches.columns
        names = class_names(columns.classes)
        found: dict[str, Counter[Kind]] = {}
        for place in np.flatnonzero(self.wrong).tolist():
            found.setdefault(names[columns.prediction_class[place]], Counter())[KINDS[self.kind[place]]] += 1
        for place in np.flatnonzero(self.missed).tolist():
            found.setdefault(names[columns.annotation_class[place]], Counter())["missed"] += 1
        return {name: {kind: found[name][kind] for kind in KINDS if found[name][kind]} for name in sorted(found)}

    def rows(self, kind: Kind) -> Iterator[tuple[str, int]]:
        """Data rows with a mistake of that kind, and how many they have, the most first."""
        if kind == "missed":
            where = self.matches.annotation_row[self.missed]
        else:
            where = self.matches.prediction_row[self.kind == KINDS.index(kind)]
        numbers = np.bincount(where, minlength=len(self.matches.row_ids))
        for place in np.argsort(-numbers, kind="stable").tolist():
            if not numbers[place]:
                return
            yield self.matches.row_ids[place], int(numbers[place])


def verdicts(
    matches: Matches, *, confidence: float = 0.5, iou: float = 0.5, foreground: float = FOREGROUND
) -> Verdicts:
    """Judge every prediction from ``confidence`` on, in rows that have predictions and annotations.

    Args:
        iou: a match has an IoU above it, and is of one class.
        foreground: see `FOREGROUND`; 0 counts every overlap, which is what suits spans.
    """
    columns, rows = matches.columns, matches.counted
    kept = (columns.prediction_confidence >= confidence) & rows[matches.prediction_row]
    order = matches.best_first
    order = order[kept[columns.pair_prediction[order]]]
    p, a, overlap = columns.pair_prediction[order], columns.pair_annotation[order], columns.pair_iou[order]
    same = columns.prediction_class[p] == columns.annotation_class[a]

    hits = np.flatnonzero(same & (overlap > iou))
    taken = hits[one_to_one(p[hits], a[hits])]
    ours, ours_iou = _best(p[same], a[same], overlap[same], len(kept))
    others, others_iou = _best(p[~same], a[~same], overlap[~same], len(kept))
    kind = np.where(kept, KINDS.index("background"), UNCOUNTED).astype(np.int64)
    partner = np.full(len(kept), -1, dtype=np.int64)
    for name, is_it, theirs in (  # TIDE's order, the last one wins
        ("class_and_localisation", others_iou > foreground, others),
        ("duplicate", ours_iou > iou, ours),
        ("class", others_iou > iou, others),
        ("localisation", (ours_iou > foreground) & (ours_iou <= iou), ours),
    ):
        kind[is_it] = KINDS.index(name)
        partner[is_it] = theirs[is_it]
    kind[p[taken]] = RIGHT
    partner[p[taken]] = a[taken]

    missed = rows[matches.annotation_row].copy()
    missed[a[taken]] = False
    explained = partner[(kind == KINDS.index("class")) | (kind == KINDS.index("localisation"))]
    missed[explained] = False
    return Verdicts(matches, kind, partner, missed)


def _best(
    prediction: NDArray[np.int32], annotation: NDArray[np.int32], iou: NDArray[np.float64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each prediction the annotation that it overlaps most (-1: none), and how much. Pairs come best first."""
    partner, best = np.full(size, -1, dtype=np.int64), np.zeros(size)
    partner[prediction[::-1]] = annotation[::-1]
    best[prediction[::-1]] = iou[::-1]
    return partner, best
