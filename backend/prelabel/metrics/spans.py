"""Spans of text: strict, exact, partial and by type (SemEval-2013), and how far the boundaries are off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from prelabel.errors import SettingsError
from prelabel.metrics import semeval
from prelabel.metrics.counting import ratio
from prelabel.metrics.libraries import library
from prelabel.metrics.matches import one_to_one
from prelabel.metrics.matching import Both
from prelabel.metrics.overlap import iou_pairs

Scheme = Literal["strict", "exact", "partial", "type"]
SCHEMES: Mapping[Scheme, str] = {"strict": "strict", "exact": "exact", "partial": "partial", "type": "ent_type"}
"""SemEval-2013's schemes, by our names and nervaluate's."""


@dataclass(frozen=True, slots=True)
class SpanScore:
    """``possible`` = correct + incorrect + partial + missed, ``actual`` = correct + incorrect + partial + spurious."""

    correct: int
    incorrect: int
    partial: int
    missed: int
    spurious: int
    half: bool = False
    """Whether a partial match counts one half (schemes partial and type of SemEval-2013)."""

    @property
    def precision(self) -> float | None:
        """Right ones over ``actual``."""
        return ratio(self._right, self.correct + self.incorrect + self.partial + self.spurious)

    @property
    def recall(self) -> float | None:
        """Right ones over ``possible``."""
        return ratio(self._right, self.correct + self.incorrect + self.partial + self.missed)

    @property
    def f1(self) -> float | None:
        """2 x right ones over ``actual`` + ``possible``."""
        both = 2 * (self.correct + self.incorrect + self.partial) + self.missed + self.spurious
        return ratio(2 * self._right, both)

    @property
    def _right(self) -> float:
        return self.correct + 0.5 * self.partial if self.half else self.correct

    def __add__(self, other: SpanScore) -> SpanScore:
        """Of other documents; by the same scheme."""
        return SpanScore(
            self.correct + other.correct, self.incorrect + other.incorrect, self.partial + other.partial,
            self.missed + other.missed, self.spurious + other.spurious, self.half or other.half,
        )  # fmt: skip

    def as_json(self) -> dict[str, float | None]:
        """Counts and ratios."""
        return {
            "correct": self.correct, "incorrect": self.incorrect, "partial": self.partial, "missed": self.missed,
            "spurious": self.spurious, "precision": self.precision, "recall": self.recall, "f1": self.f1,
        }  # fmt: skip


NOTHING = SpanScore(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Overlapping spans of one class, paired best first. Means in characters; start and end of prediction minus
    annotation, so negative is too early. None without a pair."""

    pairs: int
    exact: int
    start_error: float | None
    end_error: float | None
    absolute_error: float | None

    def __add__(self, other: Boundaries) -> Boundaries:
        """Of other documents."""
        pairs = self.pairs + other.pairs

        def mean(first: float | None, second: float | None) -> float | None:
            return ratio((first or 0.0) * self.pairs + (second or 0.0) * other.pairs, pairs)

        return Boundaries(
            pairs,
            self.exact + other.exact,
            mean(self.start_error, other.start_error),
            mean(self.end_error, other.end_error),
            mean(self.absolute_error, other.absolute_error),
        )

    def as_json(self) -> dict[str, float | None]:
        """All numbers."""
        return {
            "pairs": self.pairs, "exact": self.exact, "start_error": self.start_error, "end_error": self.end_error,
            "absolute_error": self.absolute_error,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class SpanScores:
    """Scores of the run and of each class, by scheme."""

    all: Mapping[Scheme, SpanScore]
    classes: Mapping[str, Mapping[Scheme, SpanScore]]
    boundaries: Boundaries

    def __add__(self, other: SpanScores) -> SpanScores:
        """Of other data rows: all scores come from counts."""
        return SpanScores(
            _sum(self.all, other.all),
            {
                name: _sum(self.classes.get(name, {}), other.classes.get(name, {}))
                for name in sorted({*self.classes, *other.classes})
            },
            self.boundaries + other.boundaries,
        )

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "all": {scheme: score.as_json() for scheme, score in self.all.items()},
            "classes": {
                name: {scheme: score.as_json() for scheme, score in scores.items()}
                for name, scores in self.classes.items()
            },
            "boundaries": self.boundaries.as_json(),
        }


def span_scores(rows: Mapping[str, Both], *, confidence: float = 0.5) -> SpanScores:
    """Scores of all spans; each scope of a data row (a message, a paragraph) is a document.

    Spans without characters take no part. It is nervaluate that counts, or where it is not installed
    `prelabel.metrics.semeval`; the numbers are the same.

    Args:
        confidence: predictions below are ignored.
    """
    documents: dict[tuple[str, str], tuple[list[Any], list[Any]]] = {}
    for row, both in rows.items():
        for side, instances in enumerate(both):
            for one in instances:
                if one.kind == "span" and one.value[0] < one.value[1] and (side or one.confidence >= confidence):
                    documents.setdefault((row, one.scope), ([], []))[side].append(one)
    features = sorted({one.feature for both in documents.values() for side in both for one in side})
    if not features:
        return SpanScores(dict.fromkeys(SCHEMES, NOTHING), {}, _boundaries(documents))
    try:
        nervaluate = library("nervaluate")
    except SettingsError:
        scores = _counted(documents, features)
    else:
        scores = _evaluated(nervaluate, documents, features)
    return SpanScores(scores.pop(""), scores, _boundaries(documents))


Documents = Mapping[tuple[str, str], tuple[list[Any], list[Any]]]


def _evaluated(nervaluate: Any, documents: Documents, features: Sequence[str]) -> dict[str, dict[Scheme, SpanScore]]:
    """By feature; the empty one is all."""
    # nervaluate takes ends as inclusive, and its list of documents must not begin with an empty one.
    true, said = (
        [
            [{"label": one.feature, "start": one.value[0], "end": one.value[1] - 1} for one in both[side]]
            for both in documents.values()
        ]
        for side in (1, 0)
    )
    made = nervaluate.Evaluator(true, said, tags=list(features), loader="dict").evaluate()
    parts = {"": made["overall"]} | {feature: made["entities"][feature] for feature in features}
    return {
        feature: {scheme: _score(vars(part[name]), scheme) for scheme, name in SCHEMES.items()}
        for feature, part in parts.items()
    }


def _counted(documents: Documents, features: Sequence[str]) -> dict[str, dict[Scheme, SpanScore]]:
    """As `_evaluated`."""
    found: dict[str, dict[Scheme, SpanScore]] = {
        feature: dict.fromkeys(SCHEMES, NOTHING) for feature in ("", *features)
    }
    for both in documents.values():
        sides = [[semeval.Entity(one.value[0], one.value[1], one.feature) for one in side] for side in both]
        for feature in ("", *{one.label for side in sides for one in side}):
            said, there = ([one for one in side if feature in {"", one.label}] for side in sides)
            for scheme in SCHEMES:
                found[feature][scheme] += _score(semeval.count(said, there, scheme), scheme)
    return found


def _sum(first: Mapping[Scheme, SpanScore], second: Mapping[Scheme, SpanScore]) -> dict[Scheme, SpanScore]:
    return {scheme: first.get(scheme, NOTHING) + second.get(scheme, NOTHING) for scheme in SCHEMES}


def _score(counts: Mapping[Any, Any], scheme: Scheme) -> SpanScore:
    correct, incorrect, partial, missed, spurious = (
        int(counts[name]) for name in ("correct", "incorrect", "partial", "missed", "spurious")
    )
    return SpanScore(correct, incorrect, partial, missed, spurious, scheme in {"partial", "type"})


def _boundaries(documents: Mapping[tuple[str, str], tuple[list[Any], list[Any]]]) -> Boundaries:
    off: list[tuple[int, int]] = []
    for predicted, annotated in documents.values():
        i, j, iou = iou_pairs(predicted, annotated)
        same = np.array([predicted[p].feature == annotated[a].feature for p, a in zip(i, j, strict=True)], dtype=bool)
        i, j, iou = i[same], j[same], iou[same]
        order = np.argsort(-iou, kind="stable")
        i, j = i[order], j[order]
        for place in np.flatnonzero(one_to_one(i, j)).tolist():
            ours, theirs = predicted[i[place]].value, annotated[j[place]].value
            off.append((ours[0] - theirs[0], ours[1] - theirs[1]))
    if not off:
        return Boundaries(0, 0, None, None, None)
    errors = np.array(off)
    means = errors.mean(axis=0)
    exact = int((errors == 0).all(axis=1).sum())
    return Boundaries(len(off), exact, float(means[0]), float(means[1]), float(np.abs(errors).mean()))
