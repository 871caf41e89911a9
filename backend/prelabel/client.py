"""Models, model runs and their metrics in Python: Labelbox's objects and words, on your own machine.

```
Client ──▶ Dataset (data rows)
   └─────▶ Model ──▶ ModelRun ──▶ Import (predictions, labels), metrics, items, export
```
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from prelabel.client_datarows import Dataset, new_row
from prelabel.client_import import Import
from prelabel.client_model import Model
from prelabel.client_run import ModelRun
from prelabel.connect import label_studio_for
from prelabel.errors import RequestError
from prelabel.labelbox.config import to_ontology
from prelabel.labelbox.ontology import Ontology
from prelabel.labeling import parse
from prelabel.labelstudio import LabelStudio
from prelabel.runs.configs import asset_of
from prelabel.runs.datarows import NewDataRow
from prelabel.runs.held import OntologyRow, Place
from prelabel.runs.labels import global_key
from prelabel.runs.registry import Registry
from prelabel.settings import Settings, load_settings


class Client:
    """The way to a registry: that of a data directory, or that of a prelabel server. Close it, or use it with ``with``.

    ``Client("http://host:9090", api_key=...)`` is a `prelabel.remote.client.RemoteClient`, which is used in the same
    way: its models, runs and imports have the same methods and answer with the same classes.

    Args:
        where: settings, or a data directory; None: what environment and defaults say. Or a server's address.
        api_key: a key of that server; None: PRELABEL_API_KEY, else the first of PRELABEL_API_KEYS.
        registry: one that is open already; it stays the caller's.

    Raises:
        SettingsError: the registry cannot be opened.
        RequestError: ``api_key`` beside a data directory, or ``registry`` beside a server.
    """

    def __new__(
        cls,
        where: Settings | str | os.PathLike[str] | None = None,
        *,
        api_key: str | None = None,
        registry: Registry | None = None,
    ) -> Client:
        if cls is Client and is_address(where):
            from prelabel.remote.client import RemoteClient  # noqa: PLC0415 (httpx and more, for those who ask)

            return super().__new__(RemoteClient)
        return super().__new__(cls)

    def __init__(
        self,
        where: Settings | str | os.PathLike[str] | None = None,
        *,
        api_key: str | None = None,
        registry: Registry | None = None,
    ) -> None:
        if api_key is not None:
            raise RequestError("a data directory takes no key.", hint="Give a server's address with it.")
        self.settings = where if isinstance(where, Settings) else load_settings(data_dir=Path(where) if where else None)
        self._opened = registry if registry is not None else Registry.open(self.settings)
        self._is_ours = registry is None
        self.stopping = threading.Event()
        self._threads: dict[int, threading.Thread] = {}
        self._starting = threading.Lock()

    def close(self) -> None:
        """End imports after the batch in hand (`resume_imports` goes on with them) and close the registry."""
        self.stopping.set()
        for thread in list(self._threads.values()):
            thread.join()
        if self._is_ours:
            self.registry.close()

    @property
    def registry(self) -> Registry:
        """The registry itself, in this process.

        Raises:
            RequestError: it is a server's.
        """
        return self._opened

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- data rows

    def import_data_rows(
        self, name: str, rows: Iterable[Mapping[str, Any]] | None = None, *, project_id: int | None = None
    ) -> Dataset:
        """Write data rows into the dataset ``name``.

        Args:
            name: the dataset's.
            rows: dicts with ``row_data`` (an address, the text itself, or a tiled asset's object) and, all optional,
                ``global_key``, ``id`` (one that it has in Labelbox), ``media_type``, ``metadata``, ``facts`` (see
                `prelabel.runs.held.DataRow`). A global key or id that is known overwrites its data row,
                which is in this dataset from then on.
            project_id: take the tasks of this Label Studio project instead. A task whose data has a ``global_key`` is
                that data row.

        Raises:
            RequestError: neither or both are given, or a row lacks ``row_data`` or has fields that mean nothing.
            PrelabelError: Label Studio cannot be reached.
        """
        if (rows is None) == (project_id is None):
            raise RequestError("give either rows or project_id.")
        if rows is not None:
            self.registry.write_data_rows(name, (new_row(row) for row in rows))
        elif project_id is not None:
            self.registry.write_data_rows(name, self._tasks(project_id))
        return Dataset(self, name)

    def _tasks(self, project: int) -> Iterator[NewDataRow]:
        with closing(self.label_studio(project)) as label_studio:
            instance = self.instance_of(project, label_studio)
            asset = asset_of(parse(str(label_studio.project(project).get("label_config") or "<View/>")))
            for page in label_studio.tasks(project):
                for task in page:
                    if task.id is not None:
                        place = Place(instance, project, task.id)
                        yield NewDataRow(dict(task.data), global_key(task.data), asset, place=place)

    def label_studio(self, project: int) -> LabelStudio:
        """A client for the Label Studio of a project: that of the settings, else the one that connected it.

        Raises:
            SettingsError: neither says where it is, or with which key.
        """
        return label_studio_for(self.settings, self.registry.connection(project, self.settings.label_studio_url))

    def instance_of(self, project: int, label_studio: LabelStudio) -> str:
        """The address under which the ledger knows the project's Label Studio."""
        known = self.registry.connection(project, self.settings.label_studio_url)
        return known.instance if known is not None else label_studio.url

    # -- ontologies

    def create_ontology(
        self, source: str | Mapping[str, Any] | None = None, *, project_id: int | None = None, name: str = ""
    ) -> OntologyRow:
        """An ontology from a labeling config (XML), from Labelbox's ontology JSON, or from a Label Studio project.

        Raises:
            LabelingConfigError: the config cannot be parsed.
            RequestError: the JSON is no ontology, or not exactly one source is given.
        """
        if (source is None) == (project_id is None):
            raise RequestError("give either a labeling config or an ontology, or project_id.")
        if project_id is not None:
            with closing(self.label_studio(project_id)) as label_studio:
                found = label_studio.project(project_id)
            source, name = str(found.get("label_config") or ""), name or str(found.get("title") or "")
        if isinstance(source, str):
            return self.registry.add_ontology(to_ontology(source).as_json(), source, name)
        body = dict(source or {})
        if "normalized" in body and "tools" not in body:  # as Labelbox's client hands it out
            body = dict(body["normalized"])
        body = Ontology.from_json(body).as_json()
        return self.registry.add_ontology(body, "", name or str(body.get("name") or ""))

    # -- models and runs

    def create_model(self, name: str, ontology: OntologyRow | None = None) -> Model:
        """A model; one of that name without an ontology (a served model) gets this one.

        Raises:
            RequestError: there is one, with another ontology.
        """
        return Model(self, self.registry.add_model(name, ontology.id if ontology is not None else None))

    def get_model(self, name: str) -> Model:
        """The model of that name.

        Raises:
            NotFoundError: there is none.
        """
        return Model(self, self.registry.model(name))

    def models(self) -> list[Model]:
        """All models by name; served ones among them."""
        return [Model(self, row) for row in self.registry.models()]

    def model_runs(self, model: str | None = None) -> list[ModelRun]:
        """All runs, or those of the model of that name, the newest first."""
        return [ModelRun(self, row) for row in self.registry.runs(model)]

    def get_model_run(self, name: str) -> ModelRun:
        """The run of that name, which is the model version that Label Studio shows.

        Raises:
            NotFoundError: there is none.
        """
        return ModelRun(self, self.registry.run(name))

    # -- imports

    def resume_imports(self) -> list[Import]:
        """Go on with imports that no process has ended: after a crash, or after `close`.

        Those whose lines are on another machine are left to it.
        """
        found = [Import(self, row.id) for row in self.registry.imports(state="RUNNING") if row.is_here]
        for one in found:
            one.resume()
        return found

    def run_in_background(self, number: int) -> None:
        """Begin or go on with an import, in a thread of this process; it may run already."""
        with self._starting:
            running = self._threads.get(number)
            if self.stopping.is_set() or (running is not None and running.is_alive()):
                return
            thread = threading.Thread(target=self._run_import, args=(number,), name=f"import-{number}", daemon=True)
            self._threads[number] = thread
            thread.start()

    def join_import(self, number: int, timeout_s: float) -> bool:
        """Wait for the thread of an import; whether it has ended, or was never there."""
        thread = self._threads.get(number)
        if thread is None:
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def _run_import(self, number: int) -> None:
        from prelabel.runs.reading import LineReader  # noqa: PLC0415 - the thread's own work

        reader = LineReader(self.registry, self.registry.import_row(number))
        self.registry.run_import(number, reader, stopped=self.stopping.is_set)


def is_address(where: object) -> bool:
    """Whether it names a prelabel server, and no data directory."""
    return isinstance(where, str) and where.startswith(("http://", "https://"))


__all__ = ["Client", "Dataset", "Import", "Model", "ModelRun"]
