"""A run as a file: Labelbox's NDJSON, Label Studio's JSON, COCO, Parquet; written as it is read."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from prelabel.errors import DataError, RequestError
from prelabel.labelbox.review import to_regions, to_rows
from prelabel.labelbox.rows import DataRowRef
from prelabel.runs.configs import Configs
from prelabel.runs.exports_coco import write_coco
from prelabel.runs.exports_parquet import write_parquet
from prelabel.runs.facts import asset_facts, row_of
from prelabel.runs.held import DataRow, Item, Role, RunRow, Split
from prelabel.runs.items import Said
from prelabel.runs.scores import Instances, Scores

ExportFormat = Literal["ndjson", "labelstudio", "coco", "parquet"]


def export_run(
    registry: Scores,
    run: RunRow,
    format: ExportFormat,  # noqa: A002 - what everybody calls it
    path: str | os.PathLike[str],
    *,
    splits: Sequence[Split] = (),
    role: Role = "prediction",
) -> int:
    """Write a run to ``path``, which appears when it is complete; returns how many things that are.

    Raises:
        RequestError: there is no such format, or a conversion is needed and the run's model has no ontology.
        SettingsError: the format's library is not installed.
        DataError: ``path`` cannot be written.
    """
    writers: Mapping[str, Callable[[Path], int]] = {
        "ndjson": lambda file: _ndjson(registry, run, file, splits, role),
        "labelstudio": lambda file: _label_studio(registry, run, file, splits),
        "coco": lambda file: write_coco(file, registry.said(run.id, splits=splits), _instances(registry, run), role),
        "parquet": lambda file: write_parquet(file, registry.said(run.id, splits=splits), run.name, role),
    }
    if format not in writers:
        raise RequestError(f"{format!r} is no export format.", hint=f"Use one of {', '.join(writers)}.")
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        count = writers[format](draft)
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise DataError(f"{target} cannot be written: {error.strerror}.", hint="Give another file.") from error
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return count


def _instances(registry: Scores, run: RunRow) -> Instances:
    return registry.instances_of_run(run.id)


class Converter:
    """Items of one form as the other. One run's."""

    def __init__(self, registry: Scores, run: int) -> None:
        self._registry = registry
        self._run = run
        self._configs: Configs | None = None
        self.instances = registry.instances_of_run(run)

    @property
    def configs(self) -> Configs:
        """The ontology's labeling configs.

        Raises:
            RequestError: the run's model has no ontology.
        """
        if self._configs is None:
            ontology = self._registry.ontology_of_run(self._run)
            if ontology is None:
                raise RequestError(
                    "converting between Labelbox and Label Studio needs the model's ontology.",
                    hint="Give it one: `client.create_model(name, client.create_ontology(project_id=...))`.",
                )
            self._configs = Configs(ontology)
        return self._configs

    def rows(self, row: DataRow, items: Sequence[Item]) -> Iterator[Mapping[str, Any]]:
        """Labelbox rows of the items of one side of a data row."""
        regions = [region for item in items if item.form == "labelstudio" for region in item.body]
        for item in items:
            if item.form == "labelbox":
                yield item.body
        if regions:
            known = asset_facts(row)
            reference = DataRowRef(global_key=row.global_key) if row.global_key else DataRowRef(id=row.uid)
            configs = self.configs
            yield from to_rows(regions, configs.ontology, configs.of(known.asset), known, reference).rows

    def regions(self, row: DataRow, items: Sequence[Item]) -> list[dict[str, Any]]:
        """Label Studio's regions of the items of one side of a data row."""
        found = [region for item in items if item.form == "labelstudio" for region in item.body]
        rows = [row_of(item) for item in items if item.form == "labelbox"]
        if rows:
            known = dataclasses.replace(asset_facts(row), images=self.instances.pictures_of(items))
            configs = self.configs
            found += to_regions(rows, configs.ontology, configs.of(known.asset), known).result
        return found

    def task(self, row: DataRow) -> dict[str, Any]:
        """Label Studio's task for a data row: its data, and its id where it stands there."""
        if isinstance(row.row_data, Mapping) and (row.place is not None or row.media_type != "geospatial"):
            data = dict(row.row_data)
        else:
            config = self.configs.of(row.media_type or "image")
            field = next((tag.field for tag in config.objects.values() if tag.field), None)
            data = {field or "data": row.row_data}
        if row.global_key:
            data.setdefault("global_key", row.global_key)
        return ({"id": row.place.task} if row.place else {}) | {"data": data}


def _ndjson(registry: Scores, run: RunRow, path: Path, splits: Sequence[Split], role: Role) -> int:
    converter = Converter(registry, run.id)
    measured = role == "prediction" and registry.has_metric_rows(run.id)
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for said in registry.said(run.id, splits=splits):
            items = said.predictions if role == "prediction" else said.annotations
            count += _lines(file, converter.rows(said.data_row, items))
            if measured:
                count += _lines(file, registry.metric_bodies(run.id, said.data_row.id))
    return count


def _lines(file: IO[str], bodies: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    for body in bodies:
        file.write(json.dumps(body, ensure_ascii=False) + "\n")
        count += 1
    return count


def _label_studio(registry: Scores, run: RunRow, path: Path, splits: Sequence[Split]) -> int:
    converter = Converter(registry, run.id)
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for said in converter.instances.ahead(registry.said(run.id, splits=splits)):
            file.write("[\n" if not count else ",\n")
            file.write(json.dumps(_task(converter, said, run.name), ensure_ascii=False))
            count += 1
        file.write("\n]\n" if count else "[]\n")
    return count


def _task(converter: Converter, said: Said, version: str) -> dict[str, Any]:
    task = converter.task(said.data_row)
    if said.predicted:
        result = converter.regions(said.data_row, said.predictions)
        scores = [item.confidence for item in said.predictions if item.confidence is not None]
        task["predictions"] = [
            {"model_version": version, "result": result} | ({"score": min(scores)} if scores else {})
        ]
    if said.labeled:
        result = converter.regions(said.data_row, said.annotations)
        task["annotations"] = [{"result": result, "ground_truth": True}]
    return task
