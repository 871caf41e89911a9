"""What a run says of its data rows as arrays: confidences, probabilities of one question's answers, votes, labels."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from prelabel.errors import PrelabelError, RequestError
from prelabel.labelbox.ontology import Ontology
from prelabel.metrics.instances import Instance
from prelabel.runs.answers import Answers, Floats, Ints, Question
from prelabel.runs.held import Item, OntologyRow, Split
from prelabel.runs.items import Said
from prelabel.runs.scores import Instances, Scores

Bools = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)
_ANSWERED = frozenset({"choices", "taxonomy", "pairwise", "radio", "checklist"})
"""Kinds of items that answer a question with one or some of its choices."""


@dataclass(frozen=True, eq=False)
class Opinions:
    """Data rows of a run; entry i of every array belongs to ``numbers[i]``.

    Attributes:
        numbers: the registry's numbers of the data rows ``[n]``, rising.
        scores: the lowest confidence of what is predicted ``[n]``; NaN where none is stated.
        labeled: whether people labeled it ``[n]``.
        training: whether it is in the split ``training`` ``[n]``.
        votes: what was predicted in one word ``[n]``: the answers, and how many things of each class were drawn; None
            where nothing was predicted. Two runs agree where their votes are equal.
        questions: those that have probabilities or answers.
    """

    numbers: Ints
    scores: Floats
    labeled: Bools
    training: Bools
    votes: tuple[str | None, ...]
    questions: Mapping[str, Question] = field(repr=False)

    def __len__(self) -> int:
        return len(self.numbers)

    def answers(self, question: str | None = None, *, labels: bool = False) -> Answers | None:
        """The answers to a question; None: to the only one that there is. None when there is none.

        ``labels`` asks for questions that people answered, instead of those with probabilities.

        Raises:
            RequestError: there are several, or none of that name.
        """
        known = {name: one for name, one in self.questions.items() if (one.label_row if labels else one.row)}
        said = "people answered" if labels else "the run states probabilities for"
        if question is None:
            if len(known) > 1:
                raise RequestError(
                    f"{said} several questions: {', '.join(sorted(known))}.",
                    hint="Say which: --question NAME, or `question=`.",
                )
            return next(iter(known.values())).answers(len(self)) if known else None
        if question not in known:
            raise RequestError(
                f"{said} no question {question!r}.",
                hint=f"There is {', '.join(sorted(known))}." if known else "Use least_confident or random.",
            )
        return known[question].answers(len(self))


class _Options:
    """How many choices questions have, where that is known."""

    def __init__(self, ontology: OntologyRow | None, instances: Instances) -> None:
        self._config = instances.config
        self._ontology = Ontology.from_json(ontology.body) if ontology is not None else None
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, question: str) -> tuple[str, ...]:
        if question not in self._known:
            control = self._config.control(question) if self._config is not None else None
            node = self._ontology.classification(question) if self._ontology is not None else None
            if control is not None:
                self._known[question] = tuple(control.labels)
            else:
                self._known[question] = tuple(one.value for one in node.options) if node is not None else ()
        return self._known[question]


@dataclass(slots=True)
class _Reading:
    instances: Instances
    options: _Options
    questions: dict[str, Question] = field(default_factory=dict)

    def question(self, name: str) -> Question:
        if name not in self.questions:
            self.questions[name] = Question(name)
        return self.questions[name]

    def answered(self, item: Item, media_type: str) -> list[Instance]:
        """The choices in an item that are about the whole data row."""
        if item.kind not in _ANSWERED:
            return []
        try:
            found = self.instances.of_items([item], media_type)
        except PrelabelError:
            return []
        return [one for one in found if one.kind == "choice" and not one.scope]

    def predicted(self, at: int, item: Item, said: Sequence[Instance]) -> None:
        """Probabilities: those that the model stated, else what a confidence alone says."""
        if item.distribution is not None and said:
            classes, exclusive = item.distribution.get("classes"), bool(item.distribution.get("exclusive", True))
            if isinstance(classes, Mapping):
                self.question(said[0].question).predicted(at, classes, exclusive=exclusive)
            return
        if item.confidence is None:
            return
        for one in said:
            if not one.exclusive:
                self.question(one.question).predicted(at, {one.feature: one.confidence}, exclusive=False)
                continue
            others = [name for name in self.options.of(one.question) if name != one.feature]
            if len(others) == 1:  # of two the one is what the other is not
                both = {one.feature: one.confidence, others[0]: 1 - one.confidence}
                self.question(one.question).predicted(at, both, exclusive=True)


def opinions(
    registry: Scores, run: int, *, splits: Sequence[Split] = (), only: Callable[[Said], bool] = lambda _: True
) -> Opinions:
    """What a run says of its data rows, read in batches.

    Only answers about a whole data row are a question's; an answer without a distribution has one where there are two
    choices and a confidence.

    Args:
        registry: has the run.
        run: its number; collect it first.
        splits: only data rows in these splits.
        only: which data rows.
    """
    ontology = registry.ontology_of_run(run)
    instances = Instances(ontology)
    reading = _Reading(instances, _Options(ontology, instances))
    numbers, scores = array("q"), array("d")
    labeled, training = bytearray(), bytearray()
    votes: list[str | None] = []
    names: dict[str, str] = {}
    for said in registry.said(run, splits=splits):
        if not only(said):
            continue
        at, media_type = len(numbers), said.data_row.media_type
        numbers.append(said.data_row.id)
        labeled.append(said.labeled)
        training.append(said.split == "training")
        known = [item.confidence for item in said.predictions if item.confidence is not None]
        scores.append(min(known, default=float("nan")))
        answers: list[str] = []
        drawn: Counter[str] = Counter()
        for item in said.predictions:
            chosen = reading.answered(item, media_type)
            reading.predicted(at, item, chosen)
            answers += [f"{one.question}={one.feature}" for one in chosen]
            if not chosen:
                drawn[item.feature] += 1
        vote = "; ".join([*sorted(answers), *(f"{name} x {times}" for name, times in sorted(drawn.items()))])
        votes.append(names.setdefault(vote, vote) if said.predicted else None)  # equal ones are one string
        for item in said.annotations:
            for one in reading.answered(item, media_type):
                reading.question(one.question).labeled(at, one.feature, exclusive=one.exclusive)
    return Opinions(
        np.array(numbers, np.int64),
        np.array(scores, np.float64),
        np.array(labeled, np.bool_),
        np.array(training, np.bool_),
        tuple(votes),
        reading.questions,
    )


def voted(runs: Sequence[Opinions], numbers: Ints) -> list[Ints]:
    """The runs' votes on data rows as integers, equal ones for equal votes; -1 where a run has none."""
    codes: dict[str, int] = {}
    found: list[Ints] = []
    for run in runs:
        mine = np.array([-1 if vote is None else codes.setdefault(vote, len(codes)) for vote in run.votes], np.int64)
        found.append(at_numbers(run.numbers, mine, numbers, -1))
    return found


def aligned(runs: Sequence[Opinions], numbers: Ints, question: str | None) -> list[Floats | None]:
    """The runs' probabilities of one question on data rows, columns in one order; None for a run without any."""
    said = [run.answers(question) for run in runs]
    classes = list(dict.fromkeys(name for one in said if one is not None for name in one.classes))
    found: list[Floats | None] = []
    for run, one in zip(runs, said, strict=True):
        if one is None:
            found.append(None)
            continue
        spread = np.zeros((len(run), len(classes)))
        spread[:, [classes.index(name) for name in one.classes]] = one.probabilities
        spread[np.isnan(one.probabilities).any(axis=1)] = np.nan
        found.append(at_numbers(run.numbers, spread, numbers, np.nan))
    return found


def at_numbers(known: Ints, values: NDArray[Scalar], wanted: Ints, otherwise: float) -> NDArray[Scalar]:
    """``values`` (by rising ``known`` numbers) for the ``wanted`` numbers; ``otherwise`` where one is not known."""
    shape = (len(wanted), *values.shape[1:])
    found = np.full(shape, otherwise, dtype=values.dtype)
    if len(known):
        places = np.clip(np.searchsorted(known, wanted), 0, len(known) - 1)
        there = known[places] == wanted
        found[there] = values[places[there]]
    return found


__all__ = ["Answers", "Opinions", "aligned", "at_numbers", "opinions", "voted"]
