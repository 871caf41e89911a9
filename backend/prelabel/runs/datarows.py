"""Data rows: what there is to be labeled, in datasets."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.engine import Connection as Db
from sqlalchemy.engine import Row

from prelabel.errors import NotFoundError, RequestError
from prelabel.runs.held import DataRow, Place
from prelabel.runs.metadata import metadata_of
from prelabel.runs.models import Models, new_uid
from prelabel.runs.rows import dump
from prelabel.runs.storable import unstorable
from prelabel.runs.tables import data_rows, datasets

BATCH = 1000
"""Data rows in one transaction."""
NAMED = 500
"""Keys in one statement."""
BLOCK = 512
"""Data rows whose matches stand together in `match_blocks`."""
LONGEST_KEY = 200
"""Characters of a global key, as Labelbox has it."""
LONGEST_ID = 25
"""Characters of a data row's id."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewDataRow:
    """A data row to be written; see `prelabel.runs.held.DataRow`."""

    row_data: Any
    global_key: str | None = None
    media_type: str = ""
    metadata: Mapping[str, Any] | Sequence[Any] | None = None
    """By name, or as `prelabel.runs.metadata` takes it."""
    facts: Mapping[str, Any] | None = None
    place: Place | None = None
    uid: str | None = None
    """An id that it has elsewhere (Labelbox's); None: a new one is made."""

    @property
    def called(self) -> str:
        """What an error calls it."""
        return str(self.global_key or self.uid or self.row_data)[:80]


class DataRows(Models):
    """Datasets and data rows."""

    def dataset_id(self, db: Db, name: str) -> int:
        """Number of the dataset called ``name``, made when it is new."""
        db.execute(self.insert(datasets).values(name=name, created_at=self.now()).on_conflict_do_nothing())
        return int(db.execute(select(datasets.c.id).where(datasets.c.name == name)).scalar_one())

    def write_data_rows(self, dataset: str, rows: Iterable[NewDataRow]) -> int:
        """Write data rows, a batch at a time; one whose global key, id or place is known is overwritten.

        It is in this dataset from then on. What is not told (no media type, metadata or facts) stays as it was. Returns
        how many rows were given.

        Raises:
            RequestError: a global key is longer than 200 characters, an id longer than 25.
        """
        count = 0
        for batch in batched(rows, BATCH):
            with self.database.write() as db:
                self.put_data_rows(db, self.dataset_id(db, dataset), batch, moves=True)
            count += len(batch)
        return count

    def put_data_rows(self, db: Db, dataset: int, rows: Sequence[NewDataRow], *, moves: bool = False) -> None:
        """`write_data_rows` inside a transaction. Without ``moves``, a known row stays in the dataset that it is in."""
        now = self.now()
        keyed: list[dict[str, Any]] = []
        placed: list[dict[str, Any]] = []
        other: list[dict[str, Any]] = []
        named: list[dict[str, Any]] = []
        for row in rows:
            _refuse_unkeepable(row)
        known = {row.global_key for row in rows if row.global_key}
        standing = self._numbers(db, data_rows.c.global_key, known) if known else {}
        for row in rows:
            values: dict[str, Any] = {
                "uid": row.uid or new_uid(),
                "dataset_id": dataset,
                "global_key": row.global_key or None,
                "row_data": dump(row.row_data),
                "media_type": row.media_type,
                "metadata": dump(metadata_of(row.metadata, row.called)),
                "facts": dump(dict(row.facts or {})),
                "instance": row.place.instance.rstrip("/") if row.place else None,
                "project": row.place.project if row.place else None,
                "task": row.place.task if row.place else None,
                "created_at": now,
            }
            _refuse_unstorable(row.called, {name: values[name] for name in ("row_data", "metadata", "facts")})
            # a row that has both is found by its key, so that a task made from a data row is that data row
            if row.global_key and (row.place is None or row.global_key in standing):
                keyed.append(values)
            elif row.place:
                placed.append(values)
            elif row.uid:
                named.append(values)
            else:
                other.append(values)
        places = ["instance", "project", "task"]
        for several, conflict in ((keyed, ["global_key"]), (placed, places), (named, ["uid"])):
            if several:
                several.sort(key=lambda one: [one[name] for name in conflict])  # rows are locked in one order
                db.execute(self._overwrite(conflict, moves=moves), several)
        if other:
            db.execute(data_rows.insert(), other)

    def _overwrite(self, conflict: list[str], *, moves: bool) -> Any:
        statement = self.insert(data_rows)
        new, row = statement.excluded, data_rows.c
        changed = {
            "row_data": _unless(new.row_data, "{}", row.row_data),
            "media_type": _unless(new.media_type, "", row.media_type),
            "metadata": _unless(new.metadata, "{}", row["metadata"]),
            "facts": _unless(new.facts, "{}", row.facts),
        }
        names = {"instance", "project", "task", "global_key"} - set(conflict)
        changed |= {name: func.coalesce(new[name], row[name]) for name in names}
        if moves:
            changed["dataset_id"] = new.dataset_id
        return statement.on_conflict_do_update(index_elements=conflict, set_=changed)

    def _numbers(self, db: Db, column: Any, values: Collection[Any]) -> dict[Any, int]:
        """Numbers of the data rows with these values in a column."""
        found: dict[Any, int] = {}
        for some in batched(values, NAMED):
            found.update(
                (value, number) for value, number in db.execute(select(column, data_rows.c.id).where(column.in_(some)))
            )
        return found

    def at_places(self, db: Db, instance: str, project: int, tasks: Collection[int]) -> dict[int, int]:
        """Numbers of the data rows of these tasks."""
        found: dict[int, int] = {}
        for some in batched(tasks, NAMED):
            query = select(data_rows.c.task, data_rows.c.id).where(
                data_rows.c.instance == instance.rstrip("/"),
                data_rows.c.project == project,
                data_rows.c.task.in_(some),
            )
            found.update((task, number) for task, number in db.execute(query))
        return found

    def data_row(self, key: int | str) -> DataRow:
        """The data row with that number, uid or global key.

        Raises:
            NotFoundError: there is none.
        """
        column = data_rows.c.id if isinstance(key, int) else data_rows.c.uid
        with self.database.read() as db:
            row = db.execute(select(data_rows).where(column == key)).first()
            if row is None and isinstance(key, str):
                row = db.execute(select(data_rows).where(data_rows.c.global_key == key)).first()
        if row is None:
            raise NotFoundError(f"there is no data row {key!r}.", hint="Make it with `import_data_rows`.")
        return data_row_of(row)

    def data_rows(self, dataset: str, *, after: int = 0, limit: int = 1000) -> list[DataRow]:
        """A page of a dataset's rows by rising number; ``after`` is the last number of the page before."""
        query = (
            select(data_rows)
            .join(datasets, datasets.c.id == data_rows.c.dataset_id)
            .where(datasets.c.name == dataset, data_rows.c.id > after)
            .order_by(data_rows.c.id)
            .limit(limit)
        )
        with self.database.read() as db:
            return [data_row_of(row) for row in db.execute(query)]

    def count_data_rows(self, dataset: str) -> int:
        """How many rows a dataset has."""
        query = select(func.count()).select_from(data_rows.join(datasets)).where(datasets.c.name == dataset)
        with self.database.read() as db:
            return int(db.execute(query).scalar_one())


def _refuse_unkeepable(row: NewDataRow) -> None:
    for what, key, longest in (("global key", row.global_key, LONGEST_KEY), ("id", row.uid, LONGEST_ID)):
        if key is not None and len(key) > longest:
            raise RequestError(f"the {what} {key[:40]!r}... has {len(key)} characters.", hint=f"{longest} are allowed.")
    _refuse_unstorable(row.called, {"global key": row.global_key, "id": row.uid})


def _refuse_unstorable(called: str, fields: Mapping[str, str | None]) -> None:
    wrong = unstorable(fields.items())
    if wrong is not None:
        raise RequestError(
            f"the {wrong[0]} of data row {called!r} has a character that no database keeps: {wrong[1]}.",
            hint="Take out NUL and lone surrogates.",
        )


def batched(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most ``size``."""
    iterator = iter(things)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def data_row_of(row: Row[Any]) -> DataRow:
    """A data row from a result that has all its columns."""
    fields = row._mapping
    place = Place(row.instance, row.project, row.task) if row.instance is not None else None
    return DataRow(
        id=row.id,
        uid=row.uid,
        global_key=row.global_key,
        row_data=json.loads(row.row_data),
        media_type=row.media_type,
        metadata=json.loads(fields["metadata"]),
        facts=json.loads(row.facts),
        place=place,
    )


def _unless(new: Any, nothing: str, old: Any) -> Any:
    return func.coalesce(func.nullif(new, nothing), old)


__all__ = ["BLOCK", "DataRows", "NewDataRow", "batched", "data_row_of"]
