"""What became of a chunk, read back from Label Studio: stored, left out, gone; copies deleted down to one."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from prelabel.labelstudio import LabelStudio, StoredPrediction
from prelabel.runs import Chunk, ChunkRow

log = logging.getLogger(__name__)

Older = Mapping[int, frozenset[int]]
"""Task id to the ids of predictions of the same version that stood there before the chunk was sent."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Numbers of ledger rows. ``surplus`` are ids of Label Studio's predictions that are one too many."""

    stored: tuple[int, ...]
    absent: tuple[int, ...]
    gone: tuple[int, ...]
    unsure: tuple[int, ...]
    surplus: tuple[int, ...] = field(default=())


def older(label_studio: LabelStudio, chunk: Chunk) -> Older:
    """What stands there of the chunk's version for rows that may have a copy; nothing is asked when none may."""
    tasks = [row.task for row in chunk.rows if row.verify]
    if not tasks:
        return {}
    standing = label_studio.predictions(chunk.connection.project, tasks)
    return {task: frozenset(one.id for one in _of(chunk.version, standing.get(task, ()))) for task in tasks}


def look(label_studio: LabelStudio, chunk: Chunk, rows: Iterable[ChunkRow], before: Older | None) -> Findings:
    """Read back the rows' tasks and say what became of each.

    Args:
        label_studio: asked once per 500 tasks.
        chunk: names project and version; versions are compared whole.
        rows: those of the chunk that are in question.
        before: what stood there before; None when that is not known (another process began the chunk). A row that may
            have had a copy is then ``unsure`` when a single copy stands there.
    """
    rows = list(rows)
    standing = label_studio.predictions(chunk.connection.project, [row.task for row in rows])
    found: dict[str, list[int]] = {"stored": [], "absent": [], "gone": [], "unsure": []}
    surplus: list[int] = []
    for row in rows:
        if row.task not in standing:
            found["gone"].append(row.id)
            continue
        copies = _of(chunk.version, standing[row.task])
        old = (before or {}).get(row.task, frozenset())
        new = [one for one in copies if one.id not in old]
        if not new:
            found["absent"].append(row.id)
        elif before is None and row.verify and len(copies) == 1:
            found["unsure"].append(row.id)
        else:
            found["stored"].append(row.id)
            surplus += [one.id for one in copies if one.id != new[-1].id]
    return Findings(**{name: tuple(ids) for name, ids in found.items()}, surplus=tuple(surplus))


def delete_surplus(label_studio: LabelStudio, chunk: Chunk, surplus: Collection[int]) -> int:
    """Delete copies; returns how many."""
    if not surplus:
        return 0
    log.info("project %d: deleting %d older copies of %s", chunk.connection.project, len(surplus), chunk.version)
    return label_studio.delete_predictions(surplus)


def _of(version: str, predictions: Iterable[StoredPrediction]) -> list[StoredPrediction]:
    return [one for one in predictions if one.model_version == version]
