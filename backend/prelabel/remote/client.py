"""`prelabel.Client` of a prelabel server: the same methods, answered over HTTP.

```
RemoteClient ──▶ Connection ──▶ /api/v1 of the server ──▶ its registry
   └──▶ RemoteModel ──▶ RemoteModelRun ──▶ RemoteImport
```
What needs the registry itself, and has no endpoint, raises `RequestError` by `RemoteClient.registry`.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel.client import Client, Dataset, Import, Model, ModelRun, is_address
from prelabel.client_datarows import refuse_row
from prelabel.errors import CancelledError, NotFoundError, RequestError
from prelabel.predictor.remote import error_from_json
from prelabel.remote import reading
from prelabel.remote.connection import Connection, path
from prelabel.remote.models import RemoteDataset, RemoteModel
from prelabel.remote.runs import RemoteModelRun
from prelabel.runs.spooling import spooling
from prelabel.settings import Settings, load_settings

if TYPE_CHECKING:
    from prelabel.labelstudio import LabelStudio
    from prelabel.runs.held import OntologyRow
    from prelabel.runs.registry import Registry

LOOK_AFTER_S = 0.05
LOOK_EVERY_S = 2.0
"""How often long work is looked at: soon at first, then less and less often."""


class RemoteClient(Client):
    """See `prelabel.client.Client`; made by ``prelabel.Client("http://...")``."""

    def __init__(
        self,
        where: Settings | str | os.PathLike[str] | None = None,
        *,
        api_key: str | None = None,
        registry: Registry | None = None,
    ) -> None:
        if registry is not None or not isinstance(where, str) or not is_address(where):
            raise RequestError("a server's client takes an address, and no registry.", hint="Write http://host:port.")
        self.settings = load_settings()
        self.stopping = threading.Event()
        key, auth = _credentials(self.settings, api_key)
        self.connection = Connection(where, key, auth)

    def __repr__(self) -> str:
        return f"Client({self.connection.url!r})"

    def close(self) -> None:
        """Close the connections. What the server does goes on."""
        self.stopping.set()
        self.connection.close()

    @property
    def registry(self) -> Registry:
        """There is none here.

        Raises:
            RequestError: always.
        """
        raise RequestError(
            "this needs the registry itself, which is the server's.",
            hint="Do it where the server's data directory or database is: `prelabel.Client(directory)`.",
        )

    # -- data rows

    def import_data_rows(
        self, name: str, rows: Iterable[Mapping[str, Any]] | None = None, *, project_id: int | None = None
    ) -> Dataset:
        if (rows is None) == (project_id is None):
            raise RequestError("give either rows or project_id.")
        if rows is None:
            self.work(path("datasets", name, "tasks-of-project"), {"project": project_id})
            return RemoteDataset(self, name)
        with tempfile.TemporaryDirectory(prefix="prelabel-") as folder:
            with spooling(Path(folder)) as spool:
                for row in rows:
                    refuse_row(row)
                    spool.line(_plain_row(row))
            if spool.total:
                self.connection.upload(path("datasets", name, "data-rows"), spool.path)
        return RemoteDataset(self, name)

    def label_studio(self, project: int) -> LabelStudio:
        """The server talks to Label Studio, not its clients."""
        raise RequestError(f"the Label Studio of project {project} is the server's.", hint="Ask the server for it.")

    # -- ontologies

    def create_ontology(
        self, source: str | Mapping[str, Any] | None = None, *, project_id: int | None = None, name: str = ""
    ) -> OntologyRow:
        if (source is None) == (project_id is None):
            raise RequestError("give either a labeling config or an ontology, or project_id.")
        body: dict[str, Any] = {"name": name}
        if project_id is not None:
            body["project"] = project_id
        elif isinstance(source, str):
            body["label_config"] = source
        else:
            body["ontology"] = dict(source or {})
        return reading.ontology(self.connection.write("POST", "ontologies", body))

    # -- models and runs

    def create_model(self, name: str, ontology: OntologyRow | None = None) -> Model:
        body = {"name": name, "ontology_id": ontology.id if ontology is not None else None}
        return RemoteModel(self, reading.model(self.connection.write("POST", "models", body)))

    def get_model(self, name: str) -> Model:
        found = self.connection.get("models", name=name)["models"]
        if not found:
            raise NotFoundError(
                f"there is no model {name!r}.", hint="`prelabel runs` lists them, `client.models()` in Python."
            )
        return RemoteModel(self, reading.model(found[0]))

    def models(self) -> list[Model]:
        pages = reading.paged(lambda after: self.connection.get("models", after=after, limit=1000), "models")
        return [RemoteModel(self, reading.model(one)) for one in pages]

    def model_runs(self, model: str | None = None) -> list[ModelRun]:
        pages = reading.paged(lambda after: self.connection.get("runs", model=model, after=after, limit=1000), "runs")
        return [RemoteModelRun(self, reading.run(one)) for one in pages]

    def get_model_run(self, name: str) -> ModelRun:
        found = self.connection.get("runs", name=name)["runs"]
        if not found:
            raise NotFoundError(
                f"there is no model run {name!r}.", hint="`prelabel runs` lists them, `client.model_runs()` in Python."
            )
        return RemoteModelRun(self, reading.run(found[0]))

    # -- imports

    def resume_imports(self) -> list[Import]:
        """The server goes on with what a stopped one left, as soon as it is asked for a run.

        Raises:
            RequestError: always.
        """
        raise RequestError(
            "a server goes on with its imports by itself.", hint="`Import.resume()` goes on with one that FAILED."
        )

    def run_in_background(self, number: int) -> None:
        """The server runs its imports.

        Raises:
            RequestError: always.
        """
        self.registry.import_row(number)

    def join_import(self, number: int, timeout_s: float) -> bool:
        """There is no thread of an import here; see `Import.wait_till_done`."""
        del number, timeout_s
        return True

    # -- long work

    def work(
        self, begin: str, body: Mapping[str, Any], progress: Callable[[int, int | None], None] = lambda *_: None
    ) -> Mapping[str, Any]:
        """Let the server begin long work, and wait for its result.

        Args:
            begin: the path that begins it.
            body: what it is given.
            progress: told how many things are done, and of how many where that is known.

        Raises:
            PrelabelError: what the work failed with.
            NotFoundError: the server was started anew meanwhile.
            CancelledError: this client was closed meanwhile; the server goes on.
        """
        said = self.connection.write("POST", begin, body)
        every = LOOK_AFTER_S
        while said["state"] == "RUNNING":
            if self.stopping.wait(every):
                raise CancelledError("the client was closed.", hint="The server goes on with what it was given.")
            every = min(every * 1.5, LOOK_EVERY_S)
            said = self.connection.get(path("works", said["id"]))
            progress(said["done"], said["total"])
        if said["state"] == "FAILED":
            raise error_from_json(said["error"])
        result: Mapping[str, Any] = said["result"]
        return result


def _credentials(settings: Settings, key: str | None) -> tuple[str | None, tuple[str, str] | None]:
    """The key to send, or user and password."""
    if key is None and settings.api_key is not None:
        key = settings.api_key.get_secret_value()
    if key is None and settings.keys:
        key = settings.keys[0]
    secret = settings.basic_auth_pass
    return key, (settings.basic_auth_user or "", secret.get_secret_value()) if secret is not None else None


def _plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in row.items() if name != "metadata_fields" and value is not None}
    metadata = row.get("metadata") or row.get("metadata_fields")
    return {**known, "row_data": row["row_data"], **({"metadata": metadata} if metadata else {})}


__all__ = ["RemoteClient"]
