"""Data rows: what there is to be labeled, in datasets and in runs, with their splits."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, select, update
from sqlalchemy.engine import Connection as Db
from sqlalchemy.engine import Row

from prelabel.errors import NotFoundError, RequestError
from prelabel.runs.held import SPLITS, DataRow, Place, RunDataRow, Split
from prelabel.runs.models import Models, new_uid
from prelabel.runs.rows import dump
from prelabel.runs.tables import data_rows, datasets, match_blocks, metric_rows, run_data_rows, run_items

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
    metadata: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] | None = None
    place: Place | None = None
    uid: str | None = None
    """An id that it has elsewhere (Labelbox's); None: a new one is made."""


class DataRows(Models):
    """Datasets, data rows and which of them are in a run."""

    def dataset_id(self, db: Db, name: str) -> int:
        """Number of the dataset called ``name``, made when it is new."""
        db.execute(self.insert(datasets).values(name=name, created_at=self.now()).on_conflict_do_nothing())
        return int(db.execute(select(datasets.c.id).where(datasets.c.name == name)).scalar_one())

    def write_data_rows(self, dataset: str, rows: Iterable[NewDataRow]) -> int:
        """Write data rows, a batch at a time; one whose global key, id or place is known is overwritten.

        What is not told (no media type, metadata or facts) stays as it was. Returns how many rows were given.

        Raises:
            RequestError: a global key is longer than 200 characters, an id longer than 25.
        """
        count = 0
        for batch in batched(rows, BATCH):
            with self.database.write() as db:
                self.put_data_rows(db, self.dataset_id(db, dataset), batch)
            count += len(batch)
        return count

    def put_data_rows(self, db: Db, dataset: int, rows: Sequence[NewDataRow]) -> None:
        """`write_data_rows` inside a transaction."""
        now = self.now()
        keyed: list[dict[str, Any]] = []
        placed: list[dict[str, Any]] = []
        other: list[dict[str, Any]] = []
        named: list[dict[str, Any]] = []
        known = {row.global_key for row in rows if row.global_key}
        standing = self._numbers(db, data_rows.c.global_key, known) if known else {}
        for row in rows:
            for what, key, longest in (("global key", row.global_key, LONGEST_KEY), ("id", row.uid, LONGEST_ID)):
                if key is not None and len(key) > longest:
                    raise RequestError(
                        f"the {what} {key[:40]!r}... has {len(key)} characters.", hint=f"{longest} are allowed."
                    )
            values: dict[str, Any] = {
                "uid": row.uid or new_uid(),
                "dataset_id": dataset,
                "global_key": row.global_key or None,
                "row_data": dump(row.row_data),
                "media_type": row.media_type,
                "metadata": dump(dict(row.metadata or {})),
                "facts": dump(dict(row.facts or {})),
                "instance": row.place.instance.rstrip("/") if row.place else None,
                "project": row.place.project if row.place else None,
                "task": row.place.task if row.place else None,
                "created_at": now,
            }
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
                db.execute(self._overwrite(conflict), several)
        if other:
            db.execute(data_rows.insert(), other)

    def _overwrite(self, conflict: list[str]) -> Any:
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

    # -- in a run

    def numbers_of(self, global_keys: Iterable[str] = (), uids: Iterable[str] = ()) -> list[int]:
        """Numbers of data rows.

        Raises:
            NotFoundError: one does not exist; the message names the first ones.
        """
        numbers: list[int] = []
        with self.database.read() as db:
            for what, column, wanted in (
                ("global key", data_rows.c.global_key, global_keys),
                ("id", data_rows.c.uid, uids),
            ):
                for some in batched(wanted, BATCH):
                    found = self._numbers(db, column, some)
                    missing = [key for key in some if key not in found]
                    if missing:
                        raise NotFoundError(
                            f"there is no data row with the {what} {', '.join(map(repr, missing[:5]))}"
                            + (f" and {len(missing) - 5} more." if len(missing) > 5 else "."),
                            hint="Make them with `import_data_rows` first.",
                        )
                    numbers += [found[key] for key in some]
        return numbers

    def add_to_run(self, run: int, numbers: Iterable[int]) -> None:
        """Put data rows into a run, without a split; those that are in it stay as they are."""
        for some in batched(numbers, BATCH):
            with self.database.write() as db:
                self.put_into_run(db, run, some)

    def put_into_run(self, db: Db, run: int, numbers: Iterable[int]) -> None:
        """`add_to_run` inside a transaction."""
        rows = [{"run_id": run, "data_row_id": number, "split": "unassigned"} for number in sorted(set(numbers))]
        if rows:
            db.execute(self.insert(run_data_rows).on_conflict_do_nothing(), rows)

    def assign_split(self, run: int, split: Split, numbers: Iterable[int]) -> None:
        """Set the split of data rows of a run.

        Raises:
            RequestError: there is no such split, or a data row is not in the run.
        """
        if split not in SPLITS:
            raise RequestError(f"{split!r} is no split.", hint=f"Use one of {', '.join(SPLITS)}.")
        for some in batched(numbers, NAMED):
            with self.database.write() as db:
                changed = db.execute(
                    update(run_data_rows)
                    .where(run_data_rows.c.run_id == run, run_data_rows.c.data_row_id.in_(some))
                    .values(split=split)
                ).rowcount
                if changed != len(set(some)):
                    raise RequestError(
                        f"{len(set(some)) - changed} of the data rows are not in the run.",
                        hint="Put them in with `upsert_data_rows` first.",
                    )

    def run_rows(self, run: int, *, split: Split | None = None, after: int = 0, limit: int = 1000) -> list[RunDataRow]:
        """A page of a run's data rows by rising number; ``after`` is the last number of the page before."""
        query = (
            select(data_rows, run_data_rows.c.split)
            .join(run_data_rows, run_data_rows.c.data_row_id == data_rows.c.id)
            .where(run_data_rows.c.run_id == run, run_data_rows.c.data_row_id > after)
            .order_by(run_data_rows.c.data_row_id)
            .limit(limit)
        )
        if split is not None:
            query = query.where(run_data_rows.c.split == split)
        with self.database.read() as db:
            return [RunDataRow(data_row_of(row), cast("Split", row.split)) for row in db.execute(query)]

    def in_run(self, run: int, global_keys: Collection[str], uids: Collection[str]) -> dict[str, DataRow]:
        """A run's data rows by global key and by uid, of those that are asked for."""
        found: dict[str, DataRow] = {}
        with self.database.read() as db:
            for column, wanted in ((data_rows.c.global_key, global_keys), (data_rows.c.uid, uids)):
                for some in batched(wanted, NAMED):
                    query = (
                        select(data_rows)
                        .join(run_data_rows, run_data_rows.c.data_row_id == data_rows.c.id)
                        .where(run_data_rows.c.run_id == run, column.in_(some))
                    )
                    for row in db.execute(query):
                        found[row._mapping[column]] = data_row_of(row)
        return found

    def exist(self, global_keys: Collection[str], uids: Collection[str]) -> set[str]:
        """Which of these global keys and uids are data rows, in a run or not."""
        with self.database.read() as db:
            return {
                *self._numbers(db, data_rows.c.global_key, global_keys),
                *self._numbers(db, data_rows.c.uid, uids),
            }

    def take_from_run(self, run: int, numbers: Iterable[int]) -> None:
        """Take data rows out of a run, with their items, metric rows and matches."""
        for some in batched(numbers, NAMED):
            with self.database.write() as db:
                for table in (run_items, metric_rows, run_data_rows):
                    db.execute(delete(table).where(table.c.run_id == run, table.c.data_row_id.in_(some)))
                blocks = {number // BLOCK for number in some}
                db.execute(delete(match_blocks).where(match_blocks.c.run_id == run, match_blocks.c.block.in_(blocks)))
                for block in blocks:  # the block's other rows are matched again
                    self.mark_changed(db, run, block=block)

    def mark_changed(self, db: Db, run: int, numbers: Collection[int] = (), *, block: int | None = None) -> None:
        """What is said of these data rows changed, so that their matches no longer hold."""
        ours: ColumnElement[bool] = run_data_rows.c.run_id == run
        now = self.now()
        if block is not None:
            inside = run_data_rows.c.data_row_id.between(block * BLOCK, block * BLOCK + BLOCK - 1)
            db.execute(update(run_data_rows).where(ours, inside).values(changed_at=now))
        rows = [{"b_row": number, "b_now": now} for number in sorted(numbers)]
        if rows:
            statement = update(run_data_rows).where(and_(ours, run_data_rows.c.data_row_id == bindparam("b_row")))
            db.execute(statement.values(changed_at=bindparam("b_now")), rows)

    def mark_said(self, db: Db, run: int, numbers: Collection[int], column: str, *, known: bool = True) -> None:
        """These data rows are ``predicted`` or ``labeled`` now (or no more), and changed."""
        now = self.now()
        rows = [{"b_row": number, "b_now": now} for number in sorted(numbers)]
        if rows:
            ours = and_(run_data_rows.c.run_id == run, run_data_rows.c.data_row_id == bindparam("b_row"))
            values: dict[str, Any] = {"changed_at": bindparam("b_now"), column: known}
            db.execute(update(run_data_rows).where(ours).values(values), rows)


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
