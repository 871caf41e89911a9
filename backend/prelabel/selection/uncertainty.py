"""How unsure a run is of each candidate, 0..1."""

from __future__ import annotations

import numpy as np

from prelabel.selection.candidates import Candidates, Floats, Ranking, SelectionError, ranking


def least_confident(candidates: Candidates, *, count: int | None = None, seed: int = 0) -> Ranking:
    """Where the likeliest class is least likely: ``(1 - max p) * classes / (classes - 1)``, so that 1 is a tie of all.

    Without probabilities: ``1 - score``. Source: Settles, *Active Learning Literature Survey* (2009), section 3.1.
    """
    if candidates.probabilities is None and candidates.scores is not None:
        return ranking(candidates.ids, 1.0 - candidates.scores, seed)
    rows = _probabilities(candidates, "least_confident", "Predict the tasks first: it needs probabilities or scores.")
    classes = rows.shape[1]
    return ranking(candidates.ids, unit((1.0 - rows.max(axis=1)) * classes / (classes - 1)), seed)


def margin(candidates: Candidates, *, count: int | None = None, seed: int = 0) -> Ranking:
    """Where the two likeliest classes are nearly equal: ``1 - (first - second)``.

    Source: Scheffer, Decomain and Wrobel, *Active Hidden Markov Models for Information Extraction* (2001).
    """
    top = np.sort(_probabilities(candidates, "margin"), axis=1)[:, -2:]
    return ranking(candidates.ids, unit(1.0 - (top[:, 1] - top[:, 0])), seed)


def entropy(candidates: Candidates, *, count: int | None = None, seed: int = 0) -> Ranking:
    """Where the probability is spread over all classes: entropy as a part of the greatest possible.

    Source: Shannon (1948); Settles (2009), section 3.1.
    """
    rows = _probabilities(candidates, "entropy")
    return ranking(candidates.ids, unit(entropies(rows) / np.log(rows.shape[1])), seed)


def entropies(rows: Floats) -> Floats:
    """Entropy in nats along the last axis; 0 log 0 is 0, NaN stays NaN."""
    logs = np.log(rows, out=np.zeros_like(rows), where=rows > 0)
    return np.asarray(-(rows * logs).sum(axis=-1))


def _probabilities(candidates: Candidates, strategy: str, hint: str = "") -> Floats:
    if candidates.probabilities is None:
        raise SelectionError(
            f"{strategy} needs the probability of every class.",
            hint=hint or "Let the model return a distribution, or use least_confident, for which a score is enough.",
        )
    return candidates.probabilities


def unit(values: Floats) -> Floats:
    """Rounding errors taken off."""
    return np.clip(values, 0.0, 1.0)
