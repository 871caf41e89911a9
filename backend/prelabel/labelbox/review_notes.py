"""What a region's ``meta`` keeps of an NDJSON row, because Label Studio has no place for it; and ids both ways.

``meta["customMetrics"]`` is the row's list. ``meta["labelbox"]`` has what the way back needs: which row a region is a
part of, per-option confidences, a document's unit. All of it may be missing: a person's regions have none.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from prelabel.labelbox.rows import DataRowRef

KEY = "labelbox"
_SPACE = uuid.UUID("5f3c0c5e-3f62-5b8a-9d5e-0d6c6b6f9a11")


def meta(metrics: Sequence[Mapping[str, Any]] = (), **notes: Any) -> dict[str, Any] | None:
    """A region's ``meta``; None where there is nothing to keep."""
    kept = {name: value for name, value in notes.items() if value not in (None, "", {}, [])}
    found: dict[str, Any] = {}
    if metrics:
        found["customMetrics"] = [dict(metric) for metric in metrics]
    if kept:
        found[KEY] = kept
    return found or None


def notes_of(region: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `meta` noted in a region."""
    held = region.get("meta")
    notes = held.get(KEY) if isinstance(held, Mapping) else None
    return notes if isinstance(notes, Mapping) else {}


def metrics_of(region: Mapping[str, Any]) -> list[Any]:
    """A region's custom metrics."""
    held = region.get("meta")
    metrics = held.get("customMetrics") if isinstance(held, Mapping) else None
    return list(metrics) if isinstance(metrics, list) else []


def derived(*parts: object) -> str:
    """A uuid that is the same whenever the parts are."""
    return str(uuid.uuid5(_SPACE, "\x1f".join(str(part) for part in parts)))


def row_uuid(region_id: str, data_row: DataRowRef) -> str:
    """A region's id as a row's uuid: itself where it is one, else (Label Studio's short ids) one made of it."""
    try:
        return str(uuid.UUID(region_id))
    except ValueError:
        return derived(data_row.global_key or data_row.id, region_id)
