"""A run's data rows as candidates of a strategy: what it needs, and nothing that it does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from prelabel.runs.answers import Answers, Floats, Ints
from prelabel.runs.held import Split
from prelabel.runs.items import Said
from prelabel.runs.opinions import Opinions, aligned, opinions, voted
from prelabel.runs.selections import LABELED
from prelabel.selection import STRATEGIES, Candidates, Ranking, SelectionError, mix, out_of_sample_probabilities, rank
from prelabel.selection.strategies import DEFAULT_SHARES

if TYPE_CHECKING:
    from prelabel.runs.registry import Registry

PROBABILITIES = frozenset({"margin", "entropy", "divergence"})
VOTES = frozenset({"disagreement"})
EMBEDDINGS = frozenset({"diversity"})


@dataclass(frozen=True)
class Choosing:
    """What a run, and others, say of the data rows to choose from.

    Attributes:
        registry: has the runs, their items collected.
        run: the run's number.
        others: numbers of other runs.
        encoder: the name under which embeddings are.
        question: which question's probabilities.
        splits: only data rows in these splits.
        only: only these data rows.
    """

    registry: Registry
    run: int
    others: tuple[int, ...] = ()
    encoder: str | None = None
    question: str | None = None
    splits: tuple[Split, ...] = ()
    only: frozenset[int] | None = field(default=None, repr=False)

    def rank(
        self, strategy: str, *, count: int | None = None, seed: int = 0, shares: Mapping[str, float] | None = None
    ) -> Ranking:
        """Data rows in the order of the named strategy.

        Raises:
            SelectionError: there is no such strategy, or it lacks its input.
            RequestError: no such question.
        """
        if strategy not in STRATEGIES:
            raise SelectionError(f"No strategy is called {strategy!r}.", hint=f"There are: {', '.join(STRATEGIES)}.")
        if strategy != "mix":
            if shares is not None:
                raise SelectionError(f"{strategy} has no shares.", hint="Use the strategy mix.")
            return rank(self.candidates((strategy,)), strategy, count=count, seed=seed)
        parts = DEFAULT_SHARES if shares is None else shares
        if LABELED in parts:
            raise SelectionError(
                "mislabeling chooses among labeled tasks and cannot be mixed with strategies for unlabeled ones.",
                hint="Use it by itself.",
            )
        return mix(self.candidates(parts), count=count, seed=seed, shares=parts)

    def candidates(self, strategies: Iterable[str]) -> Candidates:
        """The data rows that these strategies choose among, with what they need."""
        wanted = set(strategies)
        if LABELED in wanted:
            return self._labeled
        open_ = ~self._said.labeled
        ids = self._said.numbers[open_]
        given: dict[str, Any] = {"scores": self._said.scores[open_]}
        answers = self._said.answers(self.question) if self._needs_probabilities(wanted) else None
        if answers is not None:
            given["probabilities"] = answers.probabilities[open_]
        if wanted & VOTES:
            given["votes"] = tuple(voted((self._said, *self._theirs), ids))
        if "divergence" in wanted:
            first, *rest = aligned((self._said, *self._theirs), ids, self.question)
            given["probabilities"] = first
            given["others"] = tuple(one for one in rest if one is not None)
        if wanted & EMBEDDINGS and self.encoder is not None:
            given["embeddings"] = self.registry.vectors(self.encoder, ids)
            given["labeled_embeddings"] = self._centres(given["embeddings"])
        return Candidates(ids=ids, **given)

    @cached_property
    def _said(self) -> Opinions:
        return opinions(self.registry, self.run, splits=self.splits, only=self._is_candidate)

    @cached_property
    def _theirs(self) -> tuple[Opinions, ...]:
        return tuple(opinions(self.registry, other, only=self._is_candidate) for other in self.others)

    def _is_candidate(self, said: Said) -> bool:
        return self.only is None or said.data_row.id in self.only

    def _needs_probabilities(self, wanted: set[str]) -> bool:
        """Confidences are enough for the least confident, unless there are none."""
        if wanted & PROBABILITIES:
            return True
        return "least_confident" in wanted and bool(np.isnan(self._said.scores).all())

    def _centres(
        self, candidates: np.ndarray[Any, np.dtype[np.float32]]
    ) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        """Embeddings of all that the run has labeled already."""
        labeled = self.registry.labeled_rows(self.run)
        if not labeled.size or self.encoder is None:
            return None
        found = self.registry.vectors(self.encoder, labeled)
        return found if found.shape[1] == candidates.shape[1] else None

    @cached_property
    def labels(self) -> Answers | None:
        """The question of which labels are doubted."""
        return self._said.answers(self.question, labels=self.encoder is not None)

    @cached_property
    def _labeled(self) -> Candidates:
        """Labeled data rows, with probabilities of models that have not seen their labels."""
        answers = self.labels
        if answers is None or not answers.exclusive:
            raise SelectionError(
                "mislabeling needs a question with classes that exclude each other"
                + (", and probabilities of them." if self.encoder is None else ", and labels."),
                hint="Let the model return a distribution, or give an encoder; for boxes and spans use "
                "`prelabel runs worst RUN --view candidate_mislabels`.",
            )
        there = np.flatnonzero(answers.labels >= 0)
        ids, labels = self._said.numbers[there], answers.labels[there]
        if self.encoder is not None:
            return Candidates(ids=ids, labels=labels, probabilities=self._cross_validated(ids, labels, answers))
        probabilities = answers.probabilities[there].copy()
        # what a run was trained on it believes
        probabilities[self._said.training[there]] = np.nan
        return Candidates(ids=ids, labels=labels, probabilities=probabilities)

    def _cross_validated(self, ids: Ints, labels: Ints, answers: Answers) -> Floats:
        assert self.encoder is not None  # noqa: S101 (see the caller)
        vectors = self.registry.vectors(self.encoder, ids)
        known = ~np.isnan(vectors).any(axis=1)
        found = np.full((len(ids), len(answers.classes)), np.nan)
        if known.any():
            said = out_of_sample_probabilities(vectors[known], labels[known])
            spread = np.zeros((int(known.sum()), len(answers.classes)))
            spread[:, np.unique(labels[known])] = said.probabilities  # its classes are sorted, too
            spread[np.isnan(said.probabilities).any(axis=1)] = np.nan
            found[known] = spread
        return found


__all__ = ["Choosing"]
