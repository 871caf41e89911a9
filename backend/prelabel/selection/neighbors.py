"""The most similar other tasks of each task: Label Studio's field ``neighbors``."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prelabel.errors import SettingsError
from prelabel.selection.candidates import Ints, SelectionError
from prelabel.selection.diversity import unit_rows
from prelabel.selection.mislabeling import RUNS_EXTRA

EXACT_UP_TO = 20_000
"""Rows up to which ``auto`` compares each with each."""
_BLOCK = 1 << 24
"""Cosines held in memory at once: 64 MB."""


def nearest_tasks(
    ids: Ints,
    embeddings: NDArray[np.floating],
    *,
    count: int = 10,
    method: Literal["auto", "exact", "approximate"] = "auto",
) -> list[list[int]]:
    """For each row the ids of the ``count`` most similar other rows by cosine, most similar first.

    Args:
        ids: task ids ``[n]``.
        embeddings: ``[n, d]``. A row with NaN or of zeros has no neighbours and is nobody's.
        count: neighbours per task; fewer where there are fewer others.
        method: ``exact`` compares each with each, in blocks; ``approximate`` uses the library faiss (HNSW graph,
            Malkov and Yashunin 2018) and may miss a few; ``auto`` takes the exact way up to 20,000 rows.

    Raises:
        SelectionError: lengths differ, or ``count`` is below 1.
        SettingsError: an approximate index is asked for, and faiss-cpu is not installed.
    """
    if np.ndim(embeddings) != 2 or len(ids) != len(embeddings):
        raise SelectionError(
            f"embeddings has the shape {np.shape(embeddings)}, but there are {len(ids)} ids.",
            hint="Give one row per task, in the order of ids.",
        )
    if count < 1:
        raise SelectionError(f"count is {count}.", hint="Ask for at least one neighbour.")
    points, there = unit_rows(embeddings)
    rows = np.flatnonzero(there)
    answer: list[list[int]] = [[] for _ in range(len(ids))]
    wanted = min(count, rows.size - 1)
    if wanted < 1:
        return answer
    exact = method == "exact" or (method == "auto" and rows.size <= EXACT_UP_TO)
    near = _exact(points[rows], wanted) if exact else _approximate(points[rows], wanted)
    names = np.asarray(ids)[rows]
    for row, found in zip(rows.tolist(), near, strict=True):
        answer[row] = names[found[found >= 0]].tolist()
    return answer


def _exact(points: NDArray[np.float32], count: int) -> Ints:
    """Indices of the nearest others ``[n, count]``; equally near ones in the order of their index."""
    step = max(1, _BLOCK // len(points))
    blocks: list[Ints] = []
    for start in range(0, len(points), step):
        cosines = points[start : start + step] @ points.T
        height = np.arange(len(cosines))
        cosines[height, start + height] = -np.inf
        best = np.sort(np.argpartition(-cosines, count - 1, axis=1)[:, :count], axis=1)
        order = np.argsort(-np.take_along_axis(cosines, best, axis=1), axis=1, kind="stable")
        blocks.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(blocks)


def _approximate(points: NDArray[np.float32], count: int) -> Ints:
    """As `_exact`; -1 where the graph has found fewer."""
    try:
        import faiss  # noqa: PLC0415  (optional, and large)
    except ImportError as error:
        raise SettingsError("An approximate index of neighbours needs faiss-cpu.", hint=RUNS_EXTRA) from error
    index = faiss.IndexHNSWFlat(points.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 80
    index.hnsw.efSearch = max(64, 2 * (count + 1))
    rows = np.ascontiguousarray(points)
    index.add(rows)
    found: Ints = index.search(rows, count + 1)[1]
    own = found == np.arange(len(found))[:, None]
    own[~own.any(axis=1), -1] = True  # of equal rows it may have missed itself: the last goes
    others: Ints = found[~own].reshape(len(found), count)
    return others
