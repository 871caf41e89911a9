"""How far several runs disagree about each candidate, 0..1."""

from __future__ import annotations

import numpy as np

from prelabel.selection.candidates import Candidates, Floats, Ints, Ranking, SelectionError, missing, ranking
from prelabel.selection.uncertainty import entropies, unit


def disagreement(candidates: Candidates, *, count: int | None = None, seed: int = 0) -> Ranking:
    """Where runs choose different classes: the entropy of their votes.

    As a part of the greatest possible, ``log(min(runs, classes))``. Two runs either agree (0) or do not (1), and equal
    ones come by lot. A task that fewer than two runs predicted is without. Source: Dagan and Engelson,
    *Committee-Based Sampling for Training Probabilistic Classifiers* (1995), equation 2.
    """
    runs = candidates.votes if len(candidates.votes) > 1 else _runs(candidates, "disagreement")
    votes = np.stack([_vote(run) for run in runs])
    widths = [run.shape[1] for run in runs if run.ndim == 2]
    classes = max([2, *widths, int(votes.max(initial=-1)) + 1])
    there = votes >= 0
    voters = there.sum(axis=0)
    # -sum over classes of p log p is the mean over voters of -log p(their class); classes may be as many as tasks
    same = [np.sum((votes == vote) & there, axis=0) for vote in votes]
    shares = np.where(there, np.stack(same) / np.maximum(voters, 1), 1.0)
    spread = -np.log(shares).sum(axis=0) / np.maximum(voters, 1)
    greatest = np.log(np.maximum(np.minimum(voters, classes), 2))
    return ranking(candidates.ids, np.where(voters >= 2, unit(spread / greatest), np.nan), seed)


def divergence(candidates: Candidates, *, count: int | None = None, seed: int = 0) -> Ranking:
    """Where the runs' probabilities differ: their Jensen-Shannon divergence.

    Entropy of the mean minus mean of the entropies, as a part of the greatest possible, ``log(min(runs, classes))``. It
    is highest where each run is sure of something else, low where all are unsure together. A task that fewer than two
    runs predicted is without. Source: Lin, *Divergence Measures Based on the Shannon Entropy* (1991), equation 5.1; the
    same as McCallum and Nigam's mean divergence from the consensus (1998).
    """
    runs = _runs(candidates, "divergence")
    widths = {run.shape[1] if run.ndim == 2 else 1 for run in runs}
    if len(widths) > 1 or widths == {1}:
        raise SelectionError(
            "divergence needs the same classes' probabilities from every run.",
            hint="Put the columns of all runs into one order, or use disagreement, for which predicted classes do.",
        )
    return _ranked(candidates, np.stack([run.astype(np.float64) for run in runs]), seed)


def _ranked(candidates: Candidates, rows: Floats, seed: int) -> Ranking:
    """By the Jensen-Shannon divergence of ``[runs, n, classes]``."""
    present = ~missing(rows)
    voters = present.sum(axis=0)
    rows = np.where(present[:, :, None], rows, 0.0)
    share = np.maximum(voters, 1)
    spread = entropies(rows.sum(axis=0) / share[:, None]) - entropies(rows).sum(axis=0) / share
    greatest = np.log(np.maximum(np.minimum(voters, rows.shape[2]), 2))
    return ranking(candidates.ids, np.where(voters >= 2, unit(spread / greatest), np.nan), seed)


def _runs(candidates: Candidates, strategy: str) -> tuple[Floats | Ints, ...]:
    runs = ((candidates.probabilities,) if candidates.probabilities is not None else ()) + candidates.others
    if len(runs) < 2:
        raise SelectionError(
            f"{strategy} compares runs, but {'one is' if runs else 'none is'} given.",
            hint="Give what other runs say in `others`, or use margin, for which one run is enough.",
        )
    return runs


def _vote(run: Floats | Ints) -> Ints:
    """The class that a run predicts ``[n]``; -1 for none."""
    if run.ndim == 1:
        return run.astype(np.int64)
    silent = missing(run.astype(np.float64))
    return np.where(silent, -1, np.where(silent[:, None], 0.0, run).argmax(axis=1))
