"""Metadata of a data row, in either of Labelbox's forms, as one mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from prelabel.errors import RequestError

NAMES = ("name", "schemaId", "schema_id")
"""Which field it is: the first that is given is the key."""


def metadata_of(said: Mapping[str, Any] | Iterable[Any] | None, of: str) -> dict[str, Any]:
    """Values by name. ``said`` is a mapping already, or Labelbox's list of ``{"name" (or "schemaId"), "value"}``
    (or its package's ``DataRowMetadataField``); ``of`` is what an error calls the data row. Dates become ISO 8601.

    Raises:
        RequestError: it has neither form.
    """
    if said is None:
        return {}
    if isinstance(said, Mapping):
        return {str(name): _plain(value) for name, value in said.items()}
    if isinstance(said, str | bytes) or not isinstance(said, Iterable):
        raise _malformed(said, of)
    found: dict[str, Any] = {}
    for one in said:
        fields = one if isinstance(one, Mapping) else getattr(one, "__dict__", {})
        name = next((fields[key] for key in NAMES if isinstance(fields.get(key), str) and fields[key]), None)
        if name is None or "value" not in fields:
            raise _malformed(one, of)
        found[name] = _plain(fields["value"])
    return found


def _malformed(said: object, of: str) -> RequestError:
    return RequestError(
        f"the metadata of data row {of!r} cannot be read: {str(said)[:80]!r}.",
        hint='Give {"city": "Berlin"}, or Labelbox\'s [{"name": "city", "value": "Berlin"}].',
    )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


__all__ = ["metadata_of"]
