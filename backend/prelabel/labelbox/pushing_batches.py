"""Rows on their way to Labelbox: what may go into a model run, each with a lasting uuid, in batches of one import."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prelabel.labelbox.review_notes import derived

SAME_NAME = 5_000
"""Rows of one name on a data row that the SDK takes in one import."""
BATCH_ROWS = 10_000
"""Rows of one import."""
BATCH_BYTES = 32 * 2**20
BATCH_KEYS = 5_000
"""Data rows of one import."""
EXAMPLES = 10
"""What is named of each kind of thing that was left out."""

NO_KEY = "data rows without a global key"
UNKNOWN = "data rows that Labelbox does not have, or does not show to this key"
ONLY_PROJECTS = "Labelbox takes them in projects only, not in model runs"


@dataclass(frozen=True, slots=True)
class ToPush:
    """A data row and its predictions. ``rows``: Labelbox's; ``dropped``: what became none of them, and why."""

    called: str
    global_key: str | None
    rows: Sequence[Mapping[str, Any]] = field(default=(), hash=False)
    dropped: Sequence[str] = ()
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Things of one kind that were not sent: how many, and some of them by name."""

    what: str
    count: int
    examples: tuple[str, ...]


class Left:
    """What is left out, counted."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, what: str, example: str) -> None:
        self._count[what] += 1
        named = self._examples.setdefault(what, [])
        if len(named) < EXAMPLES:
            named.append(example)

    def told(self) -> tuple[LeftOut, ...]:
        return tuple(LeftOut(what, count, tuple(self._examples[what])) for what, count in self._count.items())


@dataclass(slots=True)
class Batch:
    """Rows of one import, by global key. ``continued``: the key whose first rows are in the batch before."""

    keys: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rows: int = 0
    size: int = 0
    continued: str | None = None


def batches(rows: Iterable[ToPush], left: Left) -> Iterator[Batch]:
    """Batches that begin with a data row, unless one has more rows than fit."""
    batch = Batch()
    for one in rows:
        for sentence in one.dropped:
            left.add("parts of predictions that have no Labelbox row", f"{one.called}: {sentence}")
        if not one.global_key:
            left.add(NO_KEY, one.called)
            continue
        if len(batch.keys) >= BATCH_KEYS or batch.rows >= BATCH_ROWS or batch.size >= BATCH_BYTES:
            yield batch
            batch = Batch()
        batch.keys[one.global_key] = []
        names: Counter[str] = Counter()
        for row in one.rows:
            why = _unfit(row, one.media_type)
            if why is not None:
                left.add(why, f"{one.called}: {row.get('name') or row.get('uuid')}")
                continue
            name = str(row.get("name") or "")
            if batch.rows >= BATCH_ROWS or batch.size >= BATCH_BYTES or names[name] >= SAME_NAME:
                yield batch
                batch, names = Batch({one.global_key: []}, continued=one.global_key), Counter()
            names[name] += 1
            body = sendable(row, one.global_key)
            batch.keys[one.global_key].append(body)
            batch.rows += 1
            batch.size += len(json.dumps(body))
    if batch.keys:
        yield batch


def _unfit(row: Mapping[str, Any], media_type: str) -> str | None:
    """Why a row cannot go into a model run; None where it can."""
    kinds = {
        "relationships": "relationship" in row,
        "DICOM rows": "groupKey" in row or media_type == "dicom",
        "video masks": "masks" in row,
        "message tasks": "messageEvaluationTask" in row,
        "prompts and responses": media_type == "llm",
    }
    found = next((kind for kind, is_so in kinds.items() if is_so), None)
    return f"{found} ({ONLY_PROJECTS})" if found is not None else None


def sendable(row: Mapping[str, Any], global_key: str) -> dict[str, Any]:
    """The row as it is sent: named by global key, with a uuid of 128 bits that is always the same for this row.

    The uuid is what makes a row that is sent twice replace itself.
    """
    given = str(row.get("uuid") or "")
    try:
        known = str(uuid.UUID(given))
    except ValueError:
        is_metric = "metricValue" in row
        metric = [str(row.get(name, "")) for name in ("aggregation", "metricName", "featureName", "subclassName")]
        known = derived(global_key, given or json.dumps(metric if is_metric else row, sort_keys=True))
    return {**row, "dataRow": {"globalKey": global_key}, "uuid": known}
