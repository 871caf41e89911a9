"""Segments, frame ranges and tracks: how well they cover each other in time, and how far their ends are off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from prelabel.metrics.answers import scope_of
from prelabel.metrics.counting import ratio
from prelabel.metrics.instances import Instance
from prelabel.metrics.matches import one_to_one
from prelabel.metrics.matching import Both, align
from prelabel.metrics.overlap import iou_pairs

TimeKind = Literal["segment", "frames", "track"]
TIME_KINDS: tuple[TimeKind, ...] = get_args(TimeKind)


@dataclass(frozen=True, slots=True)
class TimeScores:
    """Instances of one class that overlap at all are paired best first (the overlap of tracks is that of their boxes).

    Attributes:
        predicted, annotated, pairs: numbers of them.
        matched: pairs with an IoU above the threshold.
        iou: mean over annotations; one without a pair has 0. None without an annotation.
        paired_iou: mean over the pairs; None without one.
        start_error, end_error: mean absolute difference over the pairs, in seconds (segments) or frames.
    """

    predicted: int
    annotated: int
    pairs: int
    matched: int
    iou: float | None
    paired_iou: float | None
    start_error: float | None
    end_error: float | None

    def as_json(self) -> dict[str, float | None]:
        """All numbers."""
        return {
            "predicted": self.predicted, "annotated": self.annotated, "pairs": self.pairs, "matched": self.matched,
            "iou": self.iou, "paired_iou": self.paired_iou, "start_error": self.start_error,
            "end_error": self.end_error,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class TimeSummary:
    """One kind: all classes together, and each."""

    all: TimeScores
    classes: Mapping[str, TimeScores] = field(hash=False)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**self.all.as_json(), "classes": {name: one.as_json() for name, one in self.classes.items()}}


def time_scores(
    rows: Mapping[str, Both], kind: TimeKind, *, confidence: float = 0.5, iou: float = 0.5
) -> TimeSummary | None:
    """Scores of one kind; None where it does not occur. Predictions below ``confidence`` are ignored."""
    tally = TimeTally(kind)
    tally.add(rows, confidence=confidence, iou=iou)
    return tally.summary()


@dataclass(slots=True)
class TimeTally:
    """Scores of many data rows, a page at a time. ``sums``, by class: predicted, annotated, pairs, matched, sum of
    IoU, of start and of end errors."""

    kind: TimeKind
    sums: dict[str, list[float]] = field(default_factory=dict)

    def add(self, rows: Mapping[str, Both], *, confidence: float = 0.5, iou: float = 0.5) -> None:
        """Take the instances of these data rows."""
        for both in rows.values():
            there = align(*both) if any(one.kind == self.kind and one.scope for one in both[0]) else {}
            objects = {one.id for one in both[0] if one.id}
            groups: dict[tuple[str, str], tuple[list[Instance], list[Instance]]] = {}
            for side, instances in enumerate(both):
                for one in instances:
                    if one.kind == self.kind and (side or one.confidence >= confidence):
                        scope = one.scope if side else scope_of(one, there, objects)
                        groups.setdefault((one.feature, scope), ([], []))[side].append(one)
            for (feature, _), (ours, theirs) in groups.items():
                sums = self.sums.setdefault(feature, [0.0] * 7)
                for place, value in enumerate(_compared(ours, theirs, iou)):
                    sums[place] += value

    def summary(self) -> TimeSummary | None:
        """Of all added so far; None where the kind does not occur."""
        if not self.sums:
            return None
        whole = [sum(column) for column in zip(*self.sums.values(), strict=True)]
        return TimeSummary(_scores(whole), {name: _scores(self.sums[name]) for name in sorted(self.sums)})


def _compared(ours: Sequence[Instance], theirs: Sequence[Instance], threshold: float) -> list[float]:
    i, j, overlap = iou_pairs(ours, theirs)
    order = np.argsort(-overlap, kind="stable")
    i, j, overlap = i[order], j[order], overlap[order]
    taken = one_to_one(i, j)
    i, j, overlap = i[taken], j[taken], overlap[taken]
    off = np.array(
        [np.abs(np.subtract(_ends(ours[p]), _ends(theirs[a]))) for p, a in zip(i.tolist(), j.tolist(), strict=True)]
    ).reshape(-1, 2)
    start, end = off.sum(axis=0).tolist()
    return [len(ours), len(theirs), len(i), int((overlap > threshold).sum()), float(overlap.sum()), start, end]


def _ends(one: Instance) -> tuple[float, float]:
    if one.kind == "track":
        return (min(one.value), max(one.value)) if one.value else (0.0, 0.0)
    return float(one.value[0]), float(one.value[1])


def _scores(sums: Sequence[float]) -> TimeScores:
    predicted, annotated, pairs, matched = (int(value) for value in sums[:4])
    return TimeScores(
        predicted, annotated, pairs, matched, ratio(sums[4], annotated),
        *(ratio(value, pairs) for value in sums[4:7]),
    )  # fmt: skip
