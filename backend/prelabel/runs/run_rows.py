"""Which data rows are in a run: their splits, what is known of them there, and what changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, bindparam, delete, select, update
from sqlalchemy.engine import Connection as Db

from prelabel.errors import NotFoundError, RequestError
from prelabel.runs.datarows import BATCH, BLOCK, NAMED, DataRows, batched, data_row_of
from prelabel.runs.held import SPLITS, DataRow, RunDataRow, Split
from prelabel.runs.tables import data_rows, match_blocks, metric_rows, run_data_rows, run_items


class RunRows(DataRows):
    """Data rows of runs."""

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
