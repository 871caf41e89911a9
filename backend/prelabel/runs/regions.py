"""Label Studio's regions as items: those with one id are one thing that was said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from prelabel.distributions import Distribution
from prelabel.runs.items import NewItem, key_of

Region = Mapping[str, Any]
ANSWERS = frozenset({"choices", "taxonomy", "rating", "number", "datetime", "textarea", "pairwise", "ranker"})
"""Types of regions that answer something, and may answer it about a drawn region of the same id."""


def items_of_regions(
    regions: Iterable[Region], data_row: int, distributions: Mapping[str, Distribution] | None = None
) -> list[NewItem]:
    """One item for each region id of a result, in its order; a relation is an item of its own.

    ``distributions`` are the probabilities behind answers by region id.
    """
    groups: dict[str, list[Region]] = {}
    for index, region in enumerate(regions):
        if region.get("type") == "relation":
            key = f"{region.get('from_id')}>{region.get('to_id')}"
        else:
            key = str(region.get("id") or f"#{index}")
        groups.setdefault(key, []).append(region)
    known = distributions if isinstance(distributions, Mapping) else {}
    return [_item(key, group, data_row, known.get(key)) for key, group in groups.items()]


def _item(key: str, group: list[Region], data_row: int, distribution: Distribution | None) -> NewItem:
    head = next((region for region in group if region.get("type") not in ANSWERS), group[0])
    scores = [region["score"] for region in (head, *group) if isinstance(region.get("score"), int | float)]
    return NewItem(
        data_row=data_row,
        uuid=key_of(key),
        form="labelstudio",
        kind=str(head.get("type") or ""),
        feature=next((label for region in (head, *group) if (label := _label(region))), str(head.get("from_name", ""))),
        confidence=float(scores[0]) if scores else None,
        body=json.dumps(group, separators=(",", ":"), ensure_ascii=False),
        distribution=json.dumps(distribution, separators=(",", ":"), ensure_ascii=False) if distribution else None,
    )


def _label(region: Region) -> str:
    """The first label of what is drawn or joined; empty for answers, whose feature is their question."""
    value = region.get("value")
    said: object = None
    if region.get("type") == "relation":
        said = region.get("labels")
    elif isinstance(value, Mapping) and region.get("type") not in ANSWERS:
        said = value.get(str(region.get("type"))) or value.get("labels")
    first = said[0] if isinstance(said, list) and said else said
    return first if isinstance(first, str) else ""
