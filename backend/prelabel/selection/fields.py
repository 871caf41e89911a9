"""Priorities, clusters, neighbours and suspicions as fields of Label Studio's *Create prediction*."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from prelabel.selection.candidates import Floats, Ints, SelectionError


def priority_to_score(priority: Floats) -> list[float | None]:
    """Priorities (1: label first) to prediction scores, ``1 - priority``: Label Studio sorts them lowest first.

    None where there is no priority (NaN): such a task keeps the score it has.
    """
    return [None if math.isnan(each) else min(max(1.0 - float(each), 0.0), 1.0) for each in np.asarray(priority)]


def prediction_fields(
    ids: Ints,
    *,
    priority: Floats | None = None,
    cluster: Ints | None = None,
    neighbors: Sequence[Sequence[int]] | None = None,
    mislabeling: Floats | None = None,
) -> dict[int, dict[str, float | int | list[int]]]:
    """By task id, the body of ``PATCH /api/predictions/ID`` (or what to add to a ``POST``), JSON-ready.

    Args:
        ids: task ids ``[n]``.
        priority: becomes ``score``, see `priority_to_score`.
        cluster: number of the cluster ``[n]``, -1 for none (`prelabel.selection.find_clusters`).
        neighbors: ids of the most similar tasks, most similar first (`prelabel.selection.nearest_tasks`).
        mislabeling: 0..1 ``[n]``, NaN for none (`prelabel.selection.suspicions`).

    A field that has no value for a task is left out: NaN is no JSON.

    Raises:
        SelectionError: lengths differ.
    """
    given = {"priority": priority, "cluster": cluster, "neighbors": neighbors, "mislabeling": mislabeling}
    for name, rows in given.items():
        if rows is not None and len(rows) != len(ids):
            raise SelectionError(f"{name} has {len(rows)} rows for {len(ids)} tasks.", hint="Give one per task.")
    body: dict[int, dict[str, float | int | list[int]]] = {int(each): {} for each in ids}
    if priority is not None:
        _put(body, "score", priority_to_score(priority))
    if cluster is not None:
        _put(body, "cluster", [int(each) for each in cluster])
    if neighbors is not None:
        _put(body, "neighbors", [[int(other) for other in each] for each in neighbors])
    if mislabeling is not None:
        _put(body, "mislabeling", [None if math.isnan(each) else float(each) for each in mislabeling])
    return body


def _put(
    body: dict[int, dict[str, float | int | list[int]]], name: str, values: Iterable[float | int | list[int] | None]
) -> None:
    for entry, value in zip(body.values(), values, strict=True):
        if value is not None:
            entry[name] = value
