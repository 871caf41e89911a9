"""Which task of a project a data row is, and tasks made for data rows that have none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, bindparam, or_, update

from prelabel.errors import (
    LabelingConfigError,
    LabelStudioError,
    LabelStudioUnavailableError,
    LabelStudioUnreachableError,
)
from prelabel.labeling import LabelingConfig
from prelabel.labeling.elements import ObjectTag
from prelabel.labelstudio import LabelStudio, StoredPrediction
from prelabel.runs.configs import shows
from prelabel.runs.datarows import DataRows
from prelabel.runs.held import DataRow
from prelabel.runs.labels import global_key
from prelabel.runs.tables import data_rows

ID_FIELD = "data_row_id"
"""The field of a task's data by which a data row without a global key is found again."""
TASKS = 1000
"""Most tasks in one import."""
BYTES = 32 * 2**20
"""Most JSON in one import."""
PLAIN = frozenset({"Image", "Text", "HyperText", "Audio", "Video"})
"""Object tags that show one address or text; those with a list of pages apart."""
TOO_MUCH = frozenset({400, 413})
"""What Label Studio answers to an import of which one task is wrong, and what proxies answer to one that is too big."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Tasks by their data rows' numbers, and what predictions stand on each task."""

    tasks: dict[int, int] = field(default_factory=dict)
    predictions: dict[int, list[StoredPrediction]] = field(default_factory=dict)


@dataclass(slots=True)
class ProjectTasks:
    """The tasks of one project as data rows.

    A data row is the task at its place, else the task whose data names its global key (``global_key``) or, where it has
    none, its id (``data_row_id``). The project is read through once, when a data row has no place in it.

    Attributes:
        registry: remembers the places of data rows that had none.
        label_studio: the client.
        instance: its address as the registry knows it.
        project: the project's id.
        config: its labeling config.
        task_field: where a new task keeps what is to be labeled; None: the field that the first control is about.
    """

    registry: DataRows
    label_studio: LabelStudio
    instance: str
    project: int
    config: LabelingConfig
    task_field: str | None = None
    _named: dict[str, int] | None = None

    def find(self, rows: Sequence[DataRow]) -> Standing:
        """The tasks that there are."""
        found = Standing()
        self._look(found, {row.id: row.place.task for row in rows if row.place is not None and self._is_here(row)})
        lost = [row for row in rows if row.id not in found.tasks]
        if lost:
            named = self._names()
            by_name = {row.id: named[name] for row in lost if (name := _name_of(row)) in named}
            self._look(found, by_name)
            self._remember({number: task for number, task in by_name.items() if number in found.tasks})
        return found

    def make(self, rows: Sequence[DataRow]) -> tuple[dict[int, int], dict[int, str]]:
        """Import tasks in the order of the rows; the tasks by number, and why others could not be made.

        Raises:
            LabelStudioUnavailableError: nobody knows whether they were imported; another call finds those that were.
            LabelStudioError: Label Studio refuses for a reason that is not the tasks'.
        """
        refused: dict[int, str] = {}
        ready: list[tuple[DataRow, str]] = []
        for row in rows:
            data = self._data(row)
            wrong = [said for tag in self.config.objects.values() if tag.field and (said := _unfit(tag, data))]
            other = self._other_kind(row, data)
            if other:
                refused[row.id] = other
            elif wrong:
                refused[row.id] = "; ".join(wrong)
            else:
                ready.append((row, json.dumps({"data": data}, ensure_ascii=False)))
        made: dict[int, int] = {}
        for chunk in _chunks(ready):
            self._import(chunk, made, refused)
        self._remember(made)
        return made, refused

    def content(self, row: DataRow) -> Mapping[str, Any]:
        """What a row's task in this project has as its data, as far as is known without asking for it."""
        if self._is_here(row) and isinstance(row.row_data, Mapping):
            return row.row_data
        return self._data(row) if self.task_field or self.config.objects else {}

    def _import(self, chunk: Sequence[tuple[DataRow, str]], made: dict[int, int], refused: dict[int, str]) -> None:
        body = "[" + ",".join(text for _, text in chunk) + "]"
        try:
            ids = self.label_studio.import_tasks(self.project, body.encode())
        except LabelStudioUnreachableError:
            raise
        except LabelStudioUnavailableError as error:
            raise LabelStudioUnavailableError(
                f"{error.message} {len(chunk)} tasks may have been imported, or may be yet.",
                hint="Run it again in some minutes: tasks that are there by then are not imported again.",
                http_status=error.http_status,
            ) from error
        except LabelStudioError as error:
            if error.http_status not in TOO_MUCH:
                raise
            if len(chunk) == 1:
                refused[chunk[0][0].id] = f"Label Studio refused its task: {error.message[:500]}"
                return
            half = len(chunk) // 2
            self._import(chunk[:half], made, refused)
            self._import(chunk[half:], made, refused)
            return
        named = {name: task.id for page in self.label_studio.tasks(self.project, ids=ids) for task in page
                 if task.id is not None for name in _names_in(task.data)}  # fmt: skip
        self._names().update(named)
        for row, _ in chunk:
            task = named.get(_name_of(row))
            if task is None:
                refused[row.id] = "Label Studio says that it imported its task, and does not show it"
            else:
                made[row.id] = task

    def _look(self, found: Standing, tasks: Mapping[int, int]) -> None:
        standing = self.label_studio.predictions(self.project, tasks.values())
        found.predictions.update(standing)
        found.tasks.update((number, task) for number, task in tasks.items() if task in standing)

    def _is_here(self, row: DataRow) -> bool:
        place = row.place
        return place is not None and (place.instance, place.project) == (self.instance.rstrip("/"), self.project)

    def _names(self) -> dict[str, int]:
        if self._named is None:
            self._named = {}
            for page in self.label_studio.tasks(self.project):
                for task in page:
                    if task.id is not None:
                        self._named.update(dict.fromkeys(_names_in(task.data), task.id))
        return self._named

    def _other_kind(self, row: DataRow, data: Mapping[str, Any]) -> str:
        """Why a task would show nothing of a row, by its media type; empty where it may show it.

        Data whose fields somebody named for this labeling config is believed.
        """
        shown = [tag for tag in self.config.objects.values() if tag.field and tag.value(data) is row.row_data]
        if not shown or any(shows(tag.tag, row.media_type) for tag in shown):
            return ""
        return f"its media type is {row.media_type}, which the labeling config's {shown[0].tag} does not show"

    def _data(self, row: DataRow) -> dict[str, Any]:
        if isinstance(row.row_data, Mapping) and (row.place is not None or row.media_type != "geospatial"):
            data = dict(row.row_data)
        else:
            name = self.task_field or self.config.primary_object().field
            if not name:
                raise LabelingConfigError(
                    "the project's labeling config shows no field of a task's data.",
                    hint='Let it show one, as in <Text name="text" value="$text"/>.',
                )
            data = {name: row.row_data}
        return data | ({"global_key": row.global_key} if row.global_key else {ID_FIELD: row.uid})

    def _remember(self, tasks: Mapping[int, int]) -> None:
        """Write places of data rows that have none, or one in this project; another row's place stays its own."""
        here = {"instance": self.instance.rstrip("/"), "project": self.project}
        with self.registry.database.write() as db:
            taken = self.registry.at_places(db, self.instance, self.project, list(tasks.values()))
            new = [{"b_row": number, "b_task": task} for number, task in tasks.items() if task not in taken]
            if not new:
                return
            row = data_rows.c
            ours = or_(row.instance.is_(None), and_(row.instance == here["instance"], row.project == self.project))
            statement = update(data_rows).where(row.id == bindparam("b_row"), ours)
            db.execute(statement.values(**here, task=bindparam("b_task")), new)


def _unfit(tag: ObjectTag, data: Mapping[str, Any]) -> str:
    """What Label Studio would have against a task's data; empty where nothing is known."""
    value = tag.value(data)
    if value is None:
        return f"its data has no {tag.field!r}, which the labeling config shows"
    if tag.many and not isinstance(value, list):
        return f"its data needs a list of pages as {tag.field!r}: give row_data as {{{tag.field!r}: [addresses]}}"
    if tag.tag in PLAIN and not tag.many and isinstance(value, list | Mapping):
        return f"its {tag.field!r} is no address or text, which {tag.tag} shows"
    return ""


def _name_of(row: DataRow) -> str:
    return f"key {row.global_key}" if row.global_key else f"id {row.uid}"


def _names_in(data: Mapping[str, Any]) -> Iterator[str]:
    key, uid = global_key(data), data.get(ID_FIELD)
    if key:
        yield f"key {key}"
    elif isinstance(uid, str):
        yield f"id {uid}"


def _chunks(ready: Sequence[tuple[DataRow, str]]) -> Iterator[list[tuple[DataRow, str]]]:
    chunk: list[tuple[DataRow, str]] = []
    size = 0
    for one in ready:
        length = len(one[1].encode())
        if chunk and (len(chunk) == TASKS or size + length > BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(one)
        size += length
    if chunk:
        yield chunk


__all__ = ["ID_FIELD", "ProjectTasks", "Standing"]
