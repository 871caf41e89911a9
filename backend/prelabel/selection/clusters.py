"""Embeddings to clusters of similar tasks: Label Studio's field ``cluster``."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prelabel.errors import SettingsError
from prelabel.selection.candidates import Ints, SelectionError
from prelabel.selection.diversity import unit_rows
from prelabel.selection.mislabeling import RUNS_EXTRA

HDBSCAN_UP_TO = 5_000
"""Rows up to which ``auto`` takes HDBSCAN; its time grows with their square."""
_DIMENSIONS = 20
"""Principal components that are clustered: density says little in more dimensions."""
NOISE = -1


def find_clusters(
    embeddings: NDArray[np.floating],
    *,
    method: Literal["auto", "hdbscan", "kmeans"] = "auto",
    number: int | None = None,
    min_size: int | None = None,
    seed: int = 0,
) -> Ints:
    """The cluster of each row ``[n]``, by scikit-learn; 0 is the largest, -1 belongs to none.

    Args:
        embeddings: ``[n, d]``; compared by direction. A row with NaN or of zeros belongs to none.
        method: ``hdbscan`` finds the number of clusters and leaves out what lies alone (Campello et al. 2013);
            ``kmeans`` (mini-batch, Sculley 2010) cuts all into ``number`` and is quick when there are many. ``auto``
            takes HDBSCAN up to 5,000 rows, and k-means beyond, or where HDBSCAN finds fewer than two clusters or
            leaves out more than half, or where ``number`` is given.
        number: of k-means clusters; default: the root of half the rows, 2 to 100.
        min_size: of an HDBSCAN cluster; default: a hundredth of the rows, at least 5.
        seed: for k-means and the principal components.

    Raises:
        SelectionError: the array is not two-dimensional, or a number is out of range.
        SettingsError: scikit-learn is not installed.
    """
    if np.ndim(embeddings) != 2:
        raise SelectionError(f"embeddings has the shape {np.shape(embeddings)}.", hint="Give one row per task.")
    if (number is not None and number < 1) or (min_size is not None and min_size < 2):
        raise SelectionError("number must be at least 1, min_size at least 2.", hint="Leave them out for defaults.")
    try:
        # scikit-learn is optional, and slow to import
        from sklearn.cluster import HDBSCAN, MiniBatchKMeans  # noqa: PLC0415
        from sklearn.decomposition import PCA  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError("Clusters need scikit-learn.", hint=RUNS_EXTRA) from error
    points, there = unit_rows(embeddings)
    rows = np.flatnonzero(there)
    cluster = np.full(len(points), NOISE, dtype=np.int64)
    if rows.size < 2:
        cluster[rows] = 0
        return cluster
    points = points[rows]
    if points.shape[1] > _DIMENSIONS < rows.size:
        points = PCA(_DIMENSIONS, svd_solver="randomized", random_state=seed).fit_transform(points)
    found: Ints | None = None
    if method == "hdbscan" or (method == "auto" and number is None and rows.size <= HDBSCAN_UP_TO):
        size = min(min_size or max(5, rows.size // 100), rows.size)
        found = HDBSCAN(min_cluster_size=size, min_samples=min(5, size), copy=True).fit_predict(points)
        poor = found.max() < 1 or np.mean(found == NOISE) > 0.5
        found = None if method == "auto" and poor else found
    if found is None:
        groups = min(number or int(np.clip(np.sqrt(rows.size / 2), 2, 100)), rows.size)
        model = MiniBatchKMeans(groups, n_init=3, batch_size=4096, random_state=seed)
        found = model.fit_predict(points)
    cluster[rows] = _by_size(found)
    return cluster


def _by_size(found: Ints) -> Ints:
    """Clusters numbered anew, 0 the largest; noise stays noise."""
    names, index, counts = np.unique(found, return_inverse=True, return_counts=True)
    order = [at for at in np.argsort(-counts, kind="stable") if names[at] != NOISE]
    fresh = np.full(len(names), NOISE, dtype=np.int64)
    fresh[order] = np.arange(len(order))
    return np.asarray(fresh[index])
