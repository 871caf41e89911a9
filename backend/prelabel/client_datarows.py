"""`prelabel.Client`'s datasets, and data rows as they are given to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prelabel.errors import RequestError
from prelabel.runs.datarows import NewDataRow
from prelabel.runs.facts import media_type
from prelabel.runs.held import DataRow

if TYPE_CHECKING:
    from prelabel.client import Client

ROW_FIELDS = frozenset({"id", "row_data", "global_key", "media_type", "metadata", "metadata_fields", "facts"})


class Dataset:
    """Data rows under one name. Iterating reads them a page at a time."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name

    def __len__(self) -> int:
        return self._client.registry.count_data_rows(self.name)

    def __iter__(self) -> Iterator[DataRow]:
        after = 0
        while page := self._page(after):
            yield from page
            after = page[-1].id

    def _page(self, after: int) -> list[DataRow]:
        return self._client.registry.data_rows(self.name, after=after)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r})"


def refuse_row(row: Mapping[str, Any]) -> None:
    """Look whether a dict is a data row.

    Raises:
        RequestError: it lacks ``row_data``, or has fields that mean nothing.
    """
    unknown = set(row) - ROW_FIELDS
    if unknown or "row_data" not in row:
        what = f"has {', '.join(map(repr, sorted(unknown)))}, which means nothing" if unknown else "has no 'row_data'"
        raise RequestError(
            f"the data row {str(row.get('global_key') or row)[:80]!r} {what}.",
            hint=f"A data row has {', '.join(sorted(ROW_FIELDS))}.",
        )


def new_row(row: Mapping[str, Any]) -> NewDataRow:
    """A data row of a dict.

    Raises:
        RequestError: as `refuse_row`, or its media type is none.
    """
    refuse_row(row)
    return NewDataRow(
        row_data=row["row_data"],
        global_key=row.get("global_key"),
        media_type=media_type(row.get("media_type")),
        metadata=row.get("metadata") or row.get("metadata_fields"),
        facts=row.get("facts"),
        uid=row.get("id"),
    )
