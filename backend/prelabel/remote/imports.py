"""A server's imports: lines sent as a file, states and statuses asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prelabel.client_import import Import, Pages
from prelabel.errors import RequestError
from prelabel.remote import reading
from prelabel.remote.connection import path

if TYPE_CHECKING:
    from prelabel.remote.client import RemoteClient
    from prelabel.runs.held import DataRow, ImportRow

LOOK_AFTER_S = 0.05


class RemoteImport(Import):
    """See `prelabel.client_import.Import`; the server runs it."""

    _client: RemoteClient

    def __init__(self, client: RemoteClient, number: int) -> None:
        super().__init__(client, number)
        self._look_after_s = LOOK_AFTER_S

    @property
    def row(self) -> ImportRow:
        return reading.imported(self._client.connection.get(path("imports", self._number)))

    @property
    def inputs(self) -> Iterator[dict[str, Any]]:
        """The lines are with the server.

        Raises:
            RequestError: always.
        """
        raise RequestError(
            "the lines of an import are with the server.", hint="`run.export` has what was accepted of them."
        )

    def resume(self) -> None:
        self._client.connection.write("POST", path("imports", self._number, "resume"))

    def _pages(self, *, failed_only: bool) -> Pages:
        where = path("imports", self._number, "statuses")

        def read(after: int, limit: int) -> list[Any]:
            said = self._client.connection.get(where, failed=failed_only, after=after, limit=limit)
            return [reading.status(one) for one in said["statuses"]]

        return read

    def _wait(self, longest_s: float) -> None:
        self._client.stopping.wait(min(self._look_after_s, longest_s))
        self._look_after_s *= 1.5


class RowsOfServer:
    """What `prelabel.runs.said_outputs.output_lines` asks of a registry, asked of a server."""

    def __init__(self, client: RemoteClient) -> None:
        self._client = client

    def in_run(self, run: int, global_keys: Collection[str], uids: Collection[str]) -> dict[str, DataRow]:
        """A run's data rows by global key, of those that are asked for; ids are not."""
        del uids
        where = path("runs", f"id:{run}", "data-rows", "find")
        said: Mapping[str, Any] = self._client.connection.write("POST", where, {"global_keys": list(global_keys)})
        rows = [reading.data_row(one) for one in said["data_rows"]]
        return {row.global_key: row for row in rows if row.global_key is not None}
