"""The candidates that cover what neither labels nor earlier picks cover: k-center greedy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prelabel.selection.candidates import Bools, Candidates, Floats, Ranking, SelectionError, ranking

DEFAULT_COUNT = 1000
"""Picks that are ordered where the caller names no number: each costs one pass over all candidates."""
_BLOCK = 1 << 22
"""Distances held in memory at once."""


def diversity(candidates: Candidates, *, count: int | None = None, seed: int = 0) -> Ranking:
    """The farthest from all that is labeled or picked, one after the other.

    The distance is Euclidean between embeddings of length 1 (0 the same direction, 2 the opposite one). A pick's
    priority is half its distance to the nearest labeled or earlier picked one. Candidates behind the first ``count``
    (default 1,000) keep what is left of their distance, which is never more than the last pick's. With nothing labeled
    the first pick is the one nearest to the mean, with priority 1. A candidate without an embedding is without.

    Source: Gonzalez, *Clustering to minimize the maximum intercluster distance* (1985); Sener and Savarese, *Active
    Learning for Convolutional Neural Networks: A Core-Set Approach* (2018), algorithm 1.
    """
    if candidates.embeddings is None:
        raise SelectionError(
            "diversity needs embeddings.", hint="Let the wrapper `embed` the tasks, or use margin or random."
        )
    points, there = unit_rows(candidates.embeddings)
    rows = np.flatnonzero(there)
    priority = np.full(len(candidates), np.nan)
    if not rows.size:
        return ranking(candidates.ids, priority, seed)
    points, chosen = points[rows], np.zeros(rows.size, dtype=bool)
    labeled = candidates.labeled_embeddings
    centres, known = unit_rows(labeled) if labeled is not None else (points[:0], chosen[:0])
    centres = centres[known]
    steps = min(DEFAULT_COUNT if count is None else count, rows.size)
    if centres.size:
        left = _distance_to_nearest(points, centres)
    else:
        left = np.full(rows.size, 2.0)
        start = int(np.argmax(points @ points.mean(axis=0)))
        priority[rows[start]], chosen[start] = 1.0, True
        left = np.minimum(left, _distance(points @ points[start]))
        steps -= 1
    for _ in range(steps):
        pick = int(np.argmax(np.where(chosen, -1.0, left)))
        priority[rows[pick]], chosen[pick] = left[pick] / 2, True
        left = np.minimum(left, _distance(points @ points[pick]))
    priority[rows[~chosen]] = left[~chosen] / 2
    return ranking(candidates.ids, priority, seed)


def unit_rows(embeddings: NDArray[np.floating]) -> tuple[NDArray[np.float32], Bools]:
    """Rows of length 1 as float32, and which of them are there (finite and not all zero; the others become 0)."""
    rows = np.asarray(embeddings, dtype=np.float32)
    there: Bools = np.asarray(np.isfinite(rows).all(axis=1))
    rows = np.where(there[:, None], rows, np.float32(0))
    largest = np.abs(rows).max(axis=1, initial=0.0)
    there &= largest > 0
    rows = rows / np.where(there, largest, 1.0)[:, None]
    lengths = np.linalg.norm(rows, axis=1)
    return np.asarray(rows / np.where(there, lengths, 1.0)[:, None], dtype=np.float32), there


def _distance_to_nearest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> Floats:
    step = max(1, _BLOCK // max(1, len(centres)))
    blocks = [(points[at : at + step] @ centres.T).max(axis=1) for at in range(0, len(points), step)]
    return _distance(np.concatenate(blocks))


def _distance(cosines: NDArray[np.float32]) -> Floats:
    """Euclidean distance of unit vectors from their cosine."""
    return np.sqrt(np.clip(2.0 - 2.0 * cosines.astype(np.float64), 0.0, 4.0))
