"""What a region's ``meta`` keeps of an NDJSON row, because Label Studio has no place for it; and ids both ways.

``meta["customMetrics"]`` is the row's list. ``meta["labelbox"]`` has what the way back needs: which row a region is a
part of, per-option confidences, a document's unit. All of it may be missing: a person's regions have none.

Label Studio's editor keeps one ``meta`` for all results of a region, and none of relations. So the first result holds
what belongs to the answers nested in it (``below``, by control) and to the relations that begin there (``relations``).
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
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


# --- one ``meta`` for each region
def gather(result: Sequence[dict[str, Any]], answers: Collection[str]) -> None:
    """Move what belongs to nested answers into their region's first result.

    Args:
        result: regions, changed in place.
        answers: names of the controls that take answers.
    """
    for holder, nested in _families(result, answers):
        below = {str(one["from_name"]): one.pop("meta") for one in nested if one.get("meta")}
        if below:
            note(holder, below=below)


def note(region: dict[str, Any], **notes: Any) -> None:
    """Add to what the way back needs of a region."""
    held = dict(region.get("meta") or {})
    held[KEY] = {**held.get(KEY, {}), **notes}
    region["meta"] = held


def spread(result: Sequence[Mapping[str, Any]], answers: Collection[str]) -> list[Mapping[str, Any]]:
    """The regions, each nested answer with what belongs to it instead of its region's ``meta``."""
    own: dict[int, Any] = {}
    for holder, nested in _families(result, answers):
        below = notes_of(holder).get("below") or {}
        for one in nested:
            if below or one.get("meta") == holder.get("meta"):
                own[id(one)] = below.get(str(one.get("from_name")))
    return [{**one, "meta": own[id(one)]} if id(one) in own else one for one in result]


def _families(result: Sequence[Any], answers: Collection[str]) -> list[tuple[Any, list[Any]]]:
    """Results with one id: the one that holds the ``meta``, and the answers beside it."""
    groups: dict[str, list[Any]] = {}
    for region in result:
        if region.get("id") is not None:
            groups.setdefault(str(region["id"]), []).append(region)
    found = []
    for group in groups.values():
        holder = next((one for one in group if one.get("from_name") not in answers), group[0])
        found.append((holder, [one for one in group if one is not holder and one.get("from_name") in answers]))
    return found


def derived(*parts: object) -> str:
    """A uuid that is the same whenever the parts are."""
    return str(uuid.uuid5(_SPACE, "\x1f".join(str(part) for part in parts)))


def row_uuid(region_id: str, data_row: DataRowRef) -> str:
    """A region's id as a row's uuid: itself where it is one, else (Label Studio's short ids) one made of it."""
    try:
        return str(uuid.UUID(region_id))
    except ValueError:
        return derived(data_row.global_key or data_row.id, region_id)
