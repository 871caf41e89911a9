"""Questions with one answer: accuracy, per class, macro and micro, kappa; with several: share that is wholly right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from prelabel.metrics.answers import answer_pairs
from prelabel.metrics.counting import ratio
from prelabel.metrics.libraries import library
from prelabel.metrics.matching import Both
from prelabel.metrics.texts import sure


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One answer. ``support``: how often it is annotated."""

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True, slots=True)
class QuestionScores:
    """One question over the things that both sides answered (``pairs``). ``unanswered``: annotated, not predicted.

    ``kappa``: Cohen's kappa, None where all answers are one class. ``macro_f1``: mean over the classes in which it is
    defined; ``micro_f1``: accuracy, for a question with one answer. For several answers ``accuracy`` is the share of
    exactly equal sets, and there is no kappa.
    """

    pairs: int
    unanswered: int
    accuracy: float | None
    macro_f1: float | None
    micro_f1: float | None
    kappa: float | None
    classes: Mapping[str, ClassScores]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def question_scores(rows: Mapping[str, Both], *, confidence: float = 0.5) -> dict[str, QuestionScores]:
    """Scores by question.

    Raises:
        SettingsError: scikit-learn is not installed.
    """
    answers = Answers()
    answers.add(rows, confidence=confidence)
    return answers.scores()


AnswerSets = tuple[frozenset[str], frozenset[str]]
"""What was predicted and what was annotated."""


@dataclass(slots=True)
class Answers:
    """Answers to questions of many data rows, a page at a time; each distinct pair of answers is kept once."""

    said: dict[str, list[AnswerSets]] = field(default_factory=dict)
    unanswered: dict[str, int] = field(default_factory=dict)
    several: set[str] = field(default_factory=set)
    known: dict[AnswerSets, AnswerSets] = field(default_factory=dict)

    def add(self, rows: Mapping[str, Both], *, confidence: float = 0.5) -> None:
        """Take the answers of these data rows, without the predictions below ``confidence``."""
        for pair in answer_pairs(sure(rows, confidence), {"choice"}):
            if not all(one.exclusive for one in (*pair.predicted, *pair.annotated)):
                self.several.add(pair.question)
            answers = self.said.setdefault(pair.question, [])
            if pair.predicted and pair.annotated:
                both = (
                    frozenset(one.feature for one in pair.predicted),
                    frozenset(one.feature for one in pair.annotated),
                )
                answers.append(self.known.setdefault(both, both))
            elif pair.annotated:
                self.unanswered[pair.question] = self.unanswered.get(pair.question, 0) + 1

    def scores(self) -> dict[str, QuestionScores]:
        """Scores by question.

        Raises:
            SettingsError: scikit-learn is not installed.
        """
        return {
            question: _scores(pairs, self.unanswered.get(question, 0), one_answer=question not in self.several)
            for question, pairs in self.said.items()
        }


def compare_choices(predicted: Sequence[str], annotated: Sequence[str]) -> QuestionScores:
    """One answer each: ``predicted[i]`` against ``annotated[i]``."""
    pairs = [(frozenset((ours,)), frozenset((theirs,))) for ours, theirs in zip(predicted, annotated, strict=True)]
    return _scores(pairs, 0, one_answer=True)


def _scores(pairs: Sequence[AnswerSets], unanswered: int, *, one_answer: bool) -> QuestionScores:
    if not pairs:
        return QuestionScores(0, unanswered, None, None, None, None, {})
    metrics = library("sklearn.metrics")
    names = sorted({name for pair in pairs for side in pair for name in side})
    # One column more: scikit-learn takes a single one for a yes-or-no question.
    ours, theirs = ([[*(name in pair[side] for name in names), False] for pair in pairs] for side in (0, 1))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        theirs, ours, labels=list(range(len(names))), zero_division=math.nan
    )
    classes = {
        name: ClassScores(_known(precision[place]), _known(recall[place]), _known(f1[place]), int(support[place]))
        for place, name in enumerate(names)
    }
    right = sum(len(a & b) for a, b in pairs)
    defined = [one.f1 for one in classes.values() if one.f1 is not None]
    kappa = None
    if one_answer and len(names) > 1:
        kappa = _known(
            metrics.cohen_kappa_score(*([min(pair[side]) for pair in pairs] for side in (1, 0)), labels=names)
        )
    return QuestionScores(
        len(pairs),
        unanswered,
        sum(a == b for a, b in pairs) / len(pairs),
        sum(defined) / len(defined) if defined else None,
        ratio(2 * right, sum(len(a) + len(b) for a, b in pairs)),
        kappa,
        classes,
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
