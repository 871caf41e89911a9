"""Strategies by name: from candidates to the order in which to label them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from prelabel.selection.arms import CONTROL, deal, turns
from prelabel.selection.candidates import Candidates, Ranking, SelectionError, ranking
from prelabel.selection.disagreeing import disagreement, divergence
from prelabel.selection.diversity import diversity
from prelabel.selection.mislabeling import suspicions
from prelabel.selection.uncertainty import entropy, least_confident, margin


class Strategy(Protocol):
    """From candidates to a ranking; ``count`` is how many will be labeled, ``seed`` decides ties and lots."""

    def __call__(self, candidates: Candidates, *, count: int | None = None, seed: int = 0) -> Ranking: ...


def by_lot(candidates: Candidates, *, count: int | None = None, seed: int = 0) -> Ranking:
    """In random order, the same for the same seed: what every other strategy has to beat."""
    places = np.random.default_rng(seed).permutation(len(candidates))
    return ranking(candidates.ids, 1.0 - places / max(1, len(candidates)), seed)


def mislabeling(candidates: Candidates, *, count: int | None = None, seed: int = 0) -> Ranking:
    """Labeled tasks whose label is probably wrong; what has no label is without.

    See `prelabel.selection.mislabeling.suspicions`.
    """
    if candidates.labels is None or candidates.probabilities is None:
        raise SelectionError(
            "mislabeling needs labels, and probabilities from models that have not seen them.",
            hint="Make the probabilities with prelabel.selection.out_of_sample_probabilities(features, labels).",
        )
    return ranking(candidates.ids, suspicions(candidates.labels, candidates.probabilities).score, seed)


DEFAULT_SHARES: Mapping[str, float] = {"least_confident": 0.8, CONTROL: 0.2}
"""What `mix` does where no shares are given."""


def mix(
    candidates: Candidates, *, count: int | None = None, seed: int = 0, shares: Mapping[str, float] | None = None
) -> Ranking:
    """Several strategies by shares, one of them ``random``: the control arm that shows whether the others help.

    Args:
        candidates: the tasks to choose from.
        count: how many will be labeled; None orders all.
        seed: for lots and ties; another one in each round.
        shares: part of the picks per strategy, in any unit; default 80 % ``least_confident``, 20 % ``random``.

    The control arm's tasks are drawn by lot from all candidates before the others choose, so they are a fair sample,
    and the arms take turns, so the comparison holds wherever labeling stops. `Ranking.arms` says who picked which; once
    they are labeled, `prelabel.selection.arm_report` compares. Pick i of n, from 0, has priority ``1 - i / n``; what
    was not picked has 0.

    Raises:
        SelectionError: no share for ``random``, an unknown name, or a strategy lacks its input.
    """
    shares = DEFAULT_SHARES if shares is None else shares
    unknown = sorted(set(shares) - set(_SINGLE))
    if unknown:
        raise SelectionError(f"No strategy is called {unknown[0]!r}.", hint=f"There are: {', '.join(_SINGLE)}.")
    if not shares.get(CONTROL, 0.0) > 0:
        raise SelectionError(
            "A mix needs a share for `random`, its control arm.", hint='For example {"margin": 0.8, "random": 0.2}.'
        )
    number = len(candidates)
    turn = turns(shares, number if count is None else min(count, number))
    rankings = {name: _SINGLE[name](candidates, count=len(turn), seed=seed) for name in dict.fromkeys(turn)}
    picks, arms = deal(rankings, turn, number)
    priority, names = np.zeros(number), [""] * number
    priority[picks] = 1.0 - np.arange(len(picks)) / max(1, number)
    for index, arm in zip(picks, arms, strict=True):
        names[int(index)] = arm
    return ranking(candidates.ids, priority, seed, tuple(names))


_SINGLE: Mapping[str, Strategy] = {
    "least_confident": least_confident,
    "margin": margin,
    "entropy": entropy,
    "disagreement": disagreement,
    "divergence": divergence,
    "diversity": diversity,
    "mislabeling": mislabeling,
    CONTROL: by_lot,
}

STRATEGIES: Mapping[str, Strategy] = {**_SINGLE, "mix": mix}
"""Every strategy by name; docs/what-to-label-next.md says which one when."""


def rank(candidates: Candidates, strategy: str, *, count: int | None = None, seed: int = 0) -> Ranking:
    """Candidates in the order of the named strategy.

    Raises:
        SelectionError: there is no such strategy, or the candidates lack what it needs.
    """
    if strategy not in STRATEGIES:
        raise SelectionError(f"No strategy is called {strategy!r}.", hint=f"There are: {', '.join(STRATEGIES)}.")
    return STRATEGIES[strategy](candidates, count=count, seed=seed)
