"""A server's model runs: fields, data rows, imports, files; what else there is, in `runs_told` and `runs_projects`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel.errors import RequestError
from prelabel.remote import reading
from prelabel.remote.connection import CHUNK, WRITTEN
from prelabel.remote.imports import RemoteImport, RowsOfServer
from prelabel.remote.runs_projects import InProjects
from prelabel.runs.datarows import batched
from prelabel.runs.said_outputs import output_lines
from prelabel.runs.spooling import spool_rows, spooling

if TYPE_CHECKING:
    from typing_extensions import Self

    from prelabel.client_import import Import
    from prelabel.client_run import Source
    from prelabel.remote.client import RemoteClient
    from prelabel.runs.exports import ExportFormat
    from prelabel.runs.held import ImportKind, OntologyRow, Role, RunDataRow, RunRow, Split

TOGETHER = 10_000
"""Data rows named in one call."""


class RemoteModelRun(InProjects):
    """See `prelabel.client_run.ModelRun`. Stays the same run when another one gets its name."""

    def __init__(self, client: RemoteClient, row: RunRow) -> None:
        self._client = client
        self._row = row

    # -- fields

    def refresh(self) -> Self:
        self._row = reading.run(self._client.connection.get(self._path()))
        return self

    def _change(self, **changes: Any) -> None:
        renamed = {"status_error": "error_message"}
        body = {renamed.get(name, name): value for name, value in changes.items() if value is not None}
        self._row = reading.run(self._client.connection.write("PATCH", self._path(), body))

    # -- data rows

    def upsert_data_rows(self, data_row_ids: Iterable[str] = (), global_keys: Iterable[str] = ()) -> bool:
        for named in _named(global_keys, data_row_ids):
            self._client.connection.write("POST", self._path("data-rows"), named)
        return True

    def assign_data_rows_to_split(
        self, data_row_ids: Iterable[str] = (), split: Split = "unassigned", global_keys: Iterable[str] = ()
    ) -> None:
        for named in _named(global_keys, data_row_ids):
            body = {"split": str(split).lower(), **named}
            self._client.connection.write("POST", self._path("splits"), body)

    def model_run_data_rows(self, split: Split | None = None) -> Iterator[RunDataRow]:
        def page(after: int) -> Mapping[str, Any]:
            found: Mapping[str, Any] = self._client.connection.get(
                self._path("data-rows"), split=split, after=after, limit=1000
            )
            return found

        return (reading.run_row(one) for one in reading.paged(page, "data_rows", 0))

    def delete_model_run_data_rows(self, data_row_ids: Iterable[str] = (), global_keys: Iterable[str] = ()) -> None:
        for named in _named(global_keys, data_row_ids):
            self._client.connection.write("POST", self._path("data-rows", "remove"), named)

    def delete(self) -> None:
        self._client.connection.write("DELETE", self._path())

    def collect(self) -> int:
        return int(self._client.connection.write("POST", self._path("collect"))["data_rows"])

    # -- imports

    def _import(self, name: str, kind: ImportKind, source: Source) -> Import:
        by_key = isinstance(source, Mapping) and "dataRow" not in source
        with tempfile.TemporaryDirectory(prefix="prelabel-") as folder:
            with spooling(Path(folder)) as spool:
                if by_key and isinstance(source, Mapping):
                    lines = output_lines(RowsOfServer(self._client), self.id, self._ontology(), source.items())
                    for line in lines:
                        spool.line(line)
                    if not spool.total:
                        raise RequestError("there are no outputs to import.")
                else:
                    spool_rows(spool, source)
            where = self._path("predictions" if kind == "predictions" else "labels")
            form = "labelstudio" if by_key else "labelbox"
            said = self._client.connection.upload(where, spool.path, name=name, form=form)
        return RemoteImport(self._client, said["id"])

    def _labels(self, name: str, project: int) -> Import:
        done = self._client.work(self._path("labels-of-project"), {"project": project, "name": name})
        return RemoteImport(self._client, done["import"]["id"])

    def _ontology(self) -> OntologyRow | None:
        return self._client.get_model(self.model).ontology

    def imports(self) -> list[Import]:
        def page(after: int) -> Mapping[str, Any]:
            found: Mapping[str, Any] = self._client.connection.get(self._path("imports"), after=after, limit=1000)
            return found

        return [RemoteImport(self._client, one["id"]) for one in reading.paged(page, "imports", 0)]

    # -- files

    def export(
        self, format: ExportFormat, path: str | os.PathLike[str], *, splits: Sequence[Split] = (),  # noqa: A002
        role: Role = "prediction",
    ) -> int:  # fmt: skip
        target = Path(path)
        wanted = {"format": format, "role": role, "splits": ",".join(splits) or None}
        with tempfile.TemporaryDirectory(prefix=".prelabel-", dir=target.parent) as folder:
            part = Path(folder) / target.name
            with self._client.connection.download(self._path("export"), **wanted) as answer, part.open("wb") as file:
                for chunk in answer.iter_bytes(CHUNK):
                    file.write(chunk)
                written = int(answer.headers.get(WRITTEN, 0))
            part.replace(target)
        return written


def _named(global_keys: Iterable[str], data_row_ids: Iterable[str]) -> Iterator[dict[str, list[str]]]:
    """Bodies that name data rows, not too many in one."""
    for name, keys in (("global_keys", global_keys), ("data_row_ids", data_row_ids)):
        for some in batched(keys, TOGETHER):
            yield {name: list(some)}


__all__ = ["RemoteModelRun"]
