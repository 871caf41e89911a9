"""`prelabel.Client`'s model runs: data rows, predictions, labels, metrics, status, config, export."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from prelabel.client_analysis import Analysis
from prelabel.client_enriching import Enriching
from prelabel.client_import import Import
from prelabel.client_pushing import Pushing
from prelabel.client_reports import Reports
from prelabel.client_sending import Sending
from prelabel.client_slices import Slicing
from prelabel.client_stages import Staging
from prelabel.errors import RequestError
from prelabel.runs.exports import ExportFormat, export_run
from prelabel.runs.held import Form, ImportKind, ItemPage, Role, RunDataRow, RunRow, Split, project_name
from prelabel.runs.items import Order
from prelabel.runs.labels import label_lines
from prelabel.runs.said_outputs import output_lines
from prelabel.runs.scores import RunMetrics
from prelabel.runs.spooling import Spool, spool_rows, spooling

if TYPE_CHECKING:
    from prelabel.client import Client

Source = str | os.PathLike[str] | Iterable[object] | Mapping[str, object]


class ModelRun(Analysis, Reports, Slicing, Sending, Enriching, Pushing, Staging):
    """One version of a model, and all that was said under it. Fields are those of Labelbox's ``ModelRun``.

    With a client of a server it is `prelabel.remote.runs.RemoteModelRun`, which is used in the same way.
    """

    def __init__(self, client: Client, row: RunRow) -> None:
        self._client = client
        self._row = row

    # -- data rows

    def upsert_data_rows(self, data_row_ids: Iterable[str] = (), global_keys: Iterable[str] = ()) -> bool:
        """Put data rows into the run.

        Raises:
            NotFoundError: one does not exist.
        """
        self._registry.add_to_run(self.id, self._registry.numbers_of(global_keys, data_row_ids))
        return True

    def assign_data_rows_to_split(
        self, data_row_ids: Iterable[str] = (), split: Split = "unassigned", global_keys: Iterable[str] = ()
    ) -> None:
        """Set the split of data rows of the run (``TRAINING`` is as good as ``training``).

        Raises:
            NotFoundError: one does not exist.
            RequestError: there is no such split, or one is not in the run.
        """
        name: Any = str(split).lower()
        self._registry.assign_split(self.id, name, self._registry.numbers_of(global_keys, data_row_ids))

    def model_run_data_rows(self, split: Split | None = None) -> Iterator[RunDataRow]:
        """Its data rows with their splits, read a page at a time."""
        after = 0
        while page := self._registry.run_rows(self.id, split=split, after=after):
            yield from page
            after = page[-1].data_row.id

    def delete_model_run_data_rows(self, data_row_ids: Iterable[str] = (), global_keys: Iterable[str] = ()) -> None:
        """Take data rows out of the run, with all that was said of them in it.

        Raises:
            NotFoundError: one does not exist.
        """
        self._registry.take_from_run(self.id, self._registry.numbers_of(global_keys, data_row_ids))

    def delete(self) -> None:
        """Delete the run with all it holds.

        Raises:
            RequestError: workers or the server predicted under its name, which the ledger must remember.
        """
        self._registry.delete_run(self.id)

    # -- what is said

    def add_predictions(self, name: str, source: Source) -> Import:
        """Import predictions in the background; look at the answer's ``wait_till_done``, ``errors``.

        Args:
            name: the import's, unique in the run.
            source: a path or http(s) address of NDJSON, dicts, Labelbox's ``Label`` objects, or a dict of outputs (or
                whatever else a model may return for one task) by global key.

        Raises:
            RequestError: the name is taken, or the source is empty or none of these.
            DataError: a file or address cannot be read.
        """
        return self._import(name, "predictions", source)

    def upsert_labels(
        self, rows: Source | None = None, *, project_id: int | None = None, name: str | None = None
    ) -> Import:
        """Import ground truth, with its data rows, and wait for the end. It replaces the labels that a data row had.

        Args:
            rows: as ``source`` of `add_predictions`.
            project_id: or the labeled tasks of this Label Studio project: of each the annotation that is marked as
                ground truth, else the one changed last that is not cancelled.
            name: the import's; made up when None.

        Raises:
            RequestError: neither or both are given, or there is nothing to import.
            PrelabelError: Label Studio cannot be reached.
        """
        if (rows is None) == (project_id is None):
            raise RequestError("give either rows or project_id.")
        name = name or f"labels-{uuid.uuid4().hex[:8]}"
        found = self._import(name, "annotations", rows) if rows is not None else self._labels(name, project_id or 0)
        found.wait_till_done()
        return found

    def _import(self, name: str, kind: ImportKind, source: Source) -> Import:
        registry = self._registry
        registry.refuse_taken(self.id, name)
        by_key = isinstance(source, Mapping) and "dataRow" not in source
        with spooling(registry.spool_dir) as spool:
            if by_key and isinstance(source, Mapping):
                for line in output_lines(registry, self.id, registry.ontology_of_run(self.id), source.items()):
                    spool.line(line)
                called = f"outputs of {len(source)} data rows"
                if not spool.total:
                    raise RequestError("there are no outputs to import.")
            else:
                called = spool_rows(spool, source)
        return self._begin(name, kind, "labelstudio" if by_key else "labelbox", called, spool)

    def _labels(self, name: str, project: int) -> Import:
        registry = self._registry
        registry.refuse_taken(self.id, name)
        with closing(self._client.label_studio(project)) as label_studio, spooling(registry.spool_dir) as spool:
            instance = self._client.instance_of(project, label_studio)
            labeled = registry.labeled_tasks(self.id, instance, project)
            for line in label_lines(label_studio, project, instance, labeled):
                spool.line(line)
            called = project_name(project, label_studio.url)
        return self._begin(name, "annotations", "labelstudio", called, spool)

    def _begin(self, name: str, kind: ImportKind, form: Form, source: str, spool: Spool) -> Import:
        try:
            row = self._registry.begin_import(
                self.id, name, kind, form, source=source, spool=spool.path, total=spool.total
            )
        except BaseException:
            spool.path.unlink(missing_ok=True)
            raise
        self._client.run_in_background(row.id)
        return Import(self._client, row.id)

    def imports(self) -> list[Import]:
        """Its imports, the oldest first."""
        return [Import(self._client, row.id) for row in self._registry.imports(self.id)]

    def collect(self) -> int:
        """Bring in what workers pushed and the server answered; returns how many data rows changed.

        Metrics and exports do this by themselves.
        """
        return self._registry.collect(self.id)

    def items(
        self,
        limit: int = 100,
        after: str | None = None,
        *,
        role: Role = "prediction",
        order: Order = "data_row",
        feature: str | None = None,
        split: Split | None = None,
    ) -> ItemPage:
        """A page of predictions or annotations; see `prelabel.runs.items.Items.items`."""
        return self._registry.items(self.id, role, limit=limit, after=after, order=order, feature=feature, split=split)

    # -- what follows

    def metrics(self, confidence: float = 0.5, iou: float = 0.5, *, split: Split | None = None) -> RunMetrics:
        """How good it is at these thresholds; only what changed since the last time is compared again."""
        self._registry.collect(self.id)
        self._registry.refresh_matches(self.id)
        return self._registry.metrics(self.id, confidence, iou, split=split)

    def export(
        self, format: ExportFormat, path: str | os.PathLike[str], *, splits: Sequence[Split] = (),  # noqa: A002
        role: Role = "prediction",
    ) -> int:  # fmt: skip
        """Write the run to a file; returns how many things were written. Memory does not grow with the run.

        Args:
            format: ``ndjson`` (Labelbox rows), ``labelstudio`` (JSON array of tasks with predictions and annotations),
                ``coco`` (boxes, polygons and masks of images) or ``parquet`` (a table of items).
            path: the file; it appears when it is complete.
            splits: only data rows in these splits.
            role: predictions or annotations; Label Studio's form has both.

        Raises:
            RequestError: there is no such format.
            SettingsError: ``parquet`` or ``coco``, and the library for it is not installed.
        """
        self._registry.collect(self.id)
        return export_run(self._registry, self._row, format, path, splits=splits, role=role)
