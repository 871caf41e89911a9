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
from prelabel.runs.facts import media_type
from prelabel.runs.held import DataRow, OntologyRow, Place
from prelabel.runs.labels import global_key
from prelabel.runs.registry import Registry
from prelabel.settings import Settings, load_settings

ROW_FIELDS = frozenset({"id", "row_data", "global_key", "media_type", "metadata", "metadata_fields", "facts"})


class Dataset:
    """Data rows under one name. Iterating reads them from the registry, a page at a time."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name

    def __len__(self) -> int:
        return self._client.registry.count_data_rows(self.name)

    def __iter__(self) -> Iterator[DataRow]:
        after = 0
        while page := self._client.registry.data_rows(self.name, after=after):
            yield from page
            after = page[-1].id

    def __repr__(self) -> str:
        return f"Dataset({self.name!r})"


class Client:
    """The way to the registry of a data directory. Close it, or use it with ``with``.

    Args:
        where: settings, or a data directory; None: what environment and defaults say.

    Raises:
        SettingsError: the registry cannot be opened.
    """

    def __init__(self, where: Settings | str | os.PathLike[str] | None = None) -> None:
        if isinstance(where, str) and where.startswith(("http://", "https://")):
            raise RequestError("a client of a prelabel server is not made this way.", hint="Give a data directory.")
        self.settings = where if isinstance(where, Settings) else load_settings(data_dir=Path(where) if where else None)
        self.registry = Registry.open(self.settings)
        self.stopping = threading.Event()
        self._threads: dict[int, threading.Thread] = {}
        self._starting = threading.Lock()

    def close(self) -> None:
        """End imports after the batch in hand (`resume_imports` goes on with them) and close the registry."""
        self.stopping.set()
        for thread in list(self._threads.values()):
            thread.join()
        self.registry.close()

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
                `prelabel.runs.held.DataRow`). A global key or id that is known overwrites its data row.
            project_id: take the tasks of this Label Studio project instead. A task whose data has a ``global_key`` is
                that data row.

        Raises:
            RequestError: neither or both are given, or a row lacks ``row_data`` or has fields that mean nothing.
            PrelabelError: Label Studio cannot be reached.
        """
        if (rows is None) == (project_id is None):
            raise RequestError("give either rows or project_id.")
        if rows is not None:
            self.registry.write_data_rows(name, (_new_row(row) for row in rows))
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


def _new_row(row: Mapping[str, Any]) -> NewDataRow:
    unknown = set(row) - ROW_FIELDS
    if unknown or "row_data" not in row:
        what = f"has {', '.join(map(repr, sorted(unknown)))}, which means nothing" if unknown else "has no 'row_data'"
        raise RequestError(
            f"the data row {str(row.get('global_key') or row)[:80]!r} {what}.",
            hint=f"A data row has {', '.join(sorted(ROW_FIELDS))}.",
        )
    return NewDataRow(
        row_data=row["row_data"],
        global_key=row.get("global_key"),
        media_type=media_type(row.get("media_type")),
        metadata=row.get("metadata") or row.get("metadata_fields"),
        facts=row.get("facts"),
        uid=row.get("id"),
    )


__all__ = ["Client", "Dataset", "Import", "Model", "ModelRun"]
