"""What is chosen from, and what a choice looks like: candidates as arrays, a ranking of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from prelabel.errors import PrelabelError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class SelectionError(PrelabelError):
    """A strategy lacks an input, or an array has the wrong shape or range."""

    status = 422


@dataclass(frozen=True, eq=False, kw_only=True)
class Candidates:
    """The tasks to choose from; row i of every array belongs to ``ids[i]``.

    Attributes:
        ids: task ids ``[n]``.
        probabilities: the run's probability of each class ``[n, classes]``, at least two classes that exclude each
            other; rows sum to 1. A row of NaN has no prediction.
        scores: how sure the run is, 0..1 ``[n]``; NaN has no prediction. Used where there are no probabilities.
        embeddings: ``[n, d]``; a row with NaN, or of zeros, has none.
        labeled_embeddings: embeddings of what is labeled already ``[m, d]``; what is chosen keeps away from them.
        others: what other runs say of the same tasks, one array per run: predicted classes ``[n]`` (integers, -1 for
            none) or probabilities ``[n, classes]``.
        votes: what every run, this one too, says of the tasks in one word, one array per run: integers ``[n]``, -1 for
            none. ``disagreement`` takes these before ``probabilities`` and ``others``.
        labels: the label's class ``[n]`` (integers, -1 for none), for the suspicion of wrong labels. The
            ``probabilities`` must then come from models that have not seen these labels
            (`prelabel.selection.out_of_sample_probabilities`).

    Raises:
        SelectionError: lengths, ranges or sums are not these.
    """

    ids: Ints
    probabilities: Floats | None = None
    scores: Floats | None = None
    embeddings: NDArray[np.floating] | None = None
    labeled_embeddings: NDArray[np.floating] | None = None
    others: tuple[Floats | Ints, ...] = ()
    votes: tuple[Ints, ...] = ()
    labels: Ints | None = None

    def __post_init__(self) -> None:
        self._take_lists()
        if np.ndim(self.ids) != 1 or len(np.unique(self.ids)) != len(self.ids):
            raise SelectionError("ids must be one list of different ids.", hint="Give each task once.")
        for name, rows, dimensions in (
            ("probabilities", self.probabilities, 2),
            ("scores", self.scores, 1),
            ("embeddings", self.embeddings, 2),
            ("labels", self.labels, 1),
        ):
            if rows is not None and (np.ndim(rows) != dimensions or len(rows) != len(self.ids)):
                raise SelectionError(
                    f"{name} has the shape {np.shape(rows)}, but there are {len(self.ids)} candidates.",
                    hint=f"Give one {'row' if dimensions == 2 else 'number'} per candidate, in the order of ids.",
                )
        if self.probabilities is not None:
            check_probabilities(self.probabilities, "probabilities")
        if self.scores is not None and np.any((self.scores < 0) | (self.scores > 1) | np.isinf(self.scores)):
            raise SelectionError("scores must lie within 0 and 1.", hint="NaN means: no prediction.")
        for at, other in enumerate(self.others):
            classes = np.ndim(other) == 1 and np.issubdtype(np.asarray(other).dtype, np.integer)
            if not (classes or np.ndim(other) == 2) or len(other) != len(self.ids):
                raise SelectionError(
                    f"others[{at}], {np.asarray(other).dtype} {np.shape(other)}, does not suit {len(self)} candidates.",
                    hint="Give predicted classes [n] (integers, -1 for none) or probabilities [n, classes].",
                )
            if np.ndim(other) == 2:
                check_probabilities(other.astype(np.float64), f"others[{at}]")
        if any(np.shape(vote) != (len(self.ids),) for vote in self.votes):
            raise SelectionError("votes must have one number per candidate from every run.", hint="-1 means: none.")
        centres = self.labeled_embeddings
        if centres is not None and self.embeddings is not None and np.shape(centres)[1:] != self.embeddings.shape[1:]:
            raise SelectionError(
                f"labeled_embeddings has the shape {np.shape(centres)}, embeddings {self.embeddings.shape}.",
                hint="Both must come from the same encoder.",
            )

    def _take_lists(self) -> None:
        for name in ("ids", "probabilities", "scores", "embeddings", "labeled_embeddings", "labels"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, np.asarray(given))
        for name in ("others", "votes"):
            object.__setattr__(self, name, tuple(map(np.asarray, getattr(self, name))))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def predicted(self) -> Bools:
        """Whether the run has a prediction ``[n]``, from probabilities or else scores."""
        if self.probabilities is not None:
            return ~missing(self.probabilities)
        if self.scores is not None:
            return np.asarray(~np.isnan(self.scores))
        return np.zeros(len(self), dtype=bool)


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranking:
    """Candidates in the order in which to label them.

    Attributes:
        ids: the candidates' ids ``[n]``, as they were given.
        priority: 0..1 ``[n]``, 1 is to be labeled first; NaN where the strategy can say nothing.
        order: indices of the candidates that have a priority, first to label first; ties in random (seeded) order.
        without: indices of the others, a bucket of their own, in random (seeded) order: no prediction is not a
            prediction with confidence 0. Decide apart whether to predict or to label them.
        arms: for a mix: which strategy chose it ``[n]``, "" where none did.
    """

    ids: Ints
    priority: Floats
    order: Ints
    without: Ints
    arms: tuple[str, ...] = ()

    def first(self, count: int) -> Ints:
        """The ids of the ``count`` candidates to label first."""
        return np.asarray(self.ids[self.order[:count]])


def ranking(ids: Ints, priority: Floats, seed: int, arms: tuple[str, ...] = ()) -> Ranking:
    """Priorities to a ranking; equal ones in an order drawn from ``seed``."""
    shuffled = np.random.default_rng(seed).permutation(len(priority))
    known = shuffled[~np.isnan(priority[shuffled])]
    order = known[np.argsort(-priority[known], kind="stable")]
    without = shuffled[np.isnan(priority[shuffled])]
    return Ranking(ids=ids, priority=priority, order=order, without=without, arms=arms)


def missing(rows: Floats) -> Bools:
    """Which rows say nothing: those with NaN; over the last axis."""
    return np.asarray(np.isnan(rows).any(axis=-1))


def check_probabilities(rows: Floats, name: str) -> None:
    """Refuse what is not a distribution per row over at least two classes (a row of NaN is one that is missing)."""
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise SelectionError(
            f"{name} has the shape {rows.shape}: it needs a column for each of at least two classes.",
            hint="For a yes-or-no question give both: p and 1 - p.",
        )
    known = rows[~missing(rows)]
    if np.any((known < -1e-6) | (known > 1 + 1e-6)) or np.any(np.abs(known.sum(axis=1) - 1) > 1e-3):
        raise SelectionError(
            f"{name} has rows that are no distribution: each must lie within 0 and 1 and sum to 1.",
            hint="Where several classes may hold at once, give scores instead, and use least_confident.",
        )
