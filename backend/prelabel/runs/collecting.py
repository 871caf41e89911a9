"""The ledger's predictions as a run's items: what is new or changed there since the last look, in batches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, bindparam, or_, select, tuple_, update
from sqlalchemy.engine import Connection as Db

from prelabel.runs.datarows import NewDataRow
from prelabel.runs.held import Place, project_name
from prelabel.runs.imports import Imports
from prelabel.runs.items import NewItem
from prelabel.runs.regions import items_of_regions
from prelabel.runs.tables import connections, model_runs, predictions, run_data_rows

PAGE = 1000
"""Ledger rows in one transaction."""
OVERLAP_S = 60.0
"""A row carries the time at which its transaction began; one that took so long to commit is still seen."""


class Collecting(Imports):
    """Copies what workers pushed and what the server answered into the run."""

    def collect(self, run: int) -> int:
        """Bring a run's items up to date with the ledger; returns how many data rows changed.

        Nothing is asked of Label Studio. A data row that only the ledger knows has its place there, and no data until
        somebody imports it from the project.
        """
        began = self.now()
        with self.database.read() as db:
            until = db.execute(select(model_runs.c.collected_until).where(model_runs.c.id == run)).scalar()
        since = until - OVERLAP_S if until is not None else -1.0
        changed = 0
        after: tuple[int, int] = (0, -1)
        while rows := self._ledger_page(run, since, after):
            with self.database.write() as db:
                changed += self._copy(db, run, rows)
            after = (rows[-1].connection_id, rows[-1].task)
        with self.database.write() as db:
            db.execute(update(model_runs).where(model_runs.c.id == run).values(collected_until=began))
        return changed

    def _ledger_page(self, run: int, since: float, after: tuple[int, int]) -> Sequence[Any]:
        """Rows of the run written since then, in the order of the ledger's key: one pass over the run, no sorting.

        An index over time would make the pass shorter and every live answer dearer.
        """
        row = predictions.c
        query = (
            select(row.id, row.connection_id, row.task, row.state, row.payload, row.updated_at)
            .add_columns(connections.c.instance, connections.c.project)
            .join(connections, connections.c.id == row.connection_id)
            .where(
                row.run_id == run,
                tuple_(row.connection_id, row.task) > tuple_(*after),
                row.updated_at > since,
                or_(row.payload.is_not(None), row.state == "gone"),
            )
            .order_by(row.connection_id, row.task)
            .limit(PAGE)
        )
        with self.database.read() as db:
            return db.execute(query).all()

    def _copy(self, db: Db, run: int, rows: Sequence[Any]) -> int:
        places = self._data_rows_of(db, [row for row in rows if row.state != "gone"]) | self._known(db, rows)
        numbers = {row.id: places[key] for row in rows if (key := (row.instance, row.project, row.task)) in places}
        self.put_into_run(db, run, {numbers[row.id] for row in rows if row.id in numbers and row.state != "gone"})
        seen = self._collected(db, run, list(set(numbers.values())))
        fresh = [row for row in rows if row.id in numbers and (seen.get(numbers[row.id]) or -1.0) < row.updated_at]
        # what was never collected has nothing to take back; what a run was imported with stays its own
        fresh = [row for row in fresh if row.state != "gone" or seen.get(numbers[row.id]) is not None]
        standing = self.bodies(db, run, "prediction", {numbers[row.id] for row in fresh})
        items: list[NewItem] = []
        changed: set[int] = set()
        for row in fresh:
            number = numbers[row.id]
            said = [] if row.state == "gone" else _items(row.payload, number)
            if number not in seen or seen[number] is None or {i.uuid: i.body for i in said} != standing.get(number, {}):
                changed.add(number)
                items += said
        self.drop_items(db, run, "prediction", changed, but=None)
        self.put_items(db, run, "prediction", items, None)
        gone = {numbers[row.id] for row in fresh if row.state == "gone"}
        self.mark_said(db, run, changed - gone, "predicted")
        self.mark_said(db, run, changed & gone, "predicted", known=False)
        self._mark_collected(db, run, {numbers[row.id]: row.updated_at for row in fresh})
        return len(changed)

    def _data_rows_of(self, db: Db, rows: Sequence[Any]) -> dict[tuple[str, int, int], int]:
        """Data rows of ledger rows by place, made where they are new."""
        known = self._known(db, rows)
        missing: dict[tuple[str, int], list[int]] = {}
        for row in rows:
            if (row.instance, row.project, row.task) not in known:
                missing.setdefault((row.instance, row.project), []).append(row.task)
        for (instance, project), tasks in missing.items():
            dataset = self.dataset_id(db, project_name(project, instance))
            self.put_data_rows(db, dataset, [NewDataRow({}, place=Place(instance, project, task)) for task in tasks])
        return self._known(db, rows) if missing else known

    def _known(self, db: Db, rows: Sequence[Any]) -> dict[tuple[str, int, int], int]:
        projects: dict[tuple[str, int], list[int]] = {}
        for row in rows:
            projects.setdefault((row.instance, row.project), []).append(row.task)
        return {
            (instance, project, task): number
            for (instance, project), tasks in projects.items()
            for task, number in self.at_places(db, instance, project, tasks).items()
        }

    def _collected(self, db: Db, run: int, numbers: Sequence[int]) -> dict[int, float | None]:
        found: dict[int, float | None] = {}
        for start in range(0, len(numbers), 500):
            query = select(run_data_rows.c.data_row_id, run_data_rows.c.collected_at).where(
                run_data_rows.c.run_id == run, run_data_rows.c.data_row_id.in_(numbers[start : start + 500])
            )
            found.update((number, at) for number, at in db.execute(query))
        return found

    def _mark_collected(self, db: Db, run: int, times: dict[int, float]) -> None:
        if times:
            ours = and_(run_data_rows.c.run_id == run, run_data_rows.c.data_row_id == bindparam("b_row"))
            db.execute(
                update(run_data_rows).where(ours).values(collected_at=bindparam("b_at")),
                [{"b_row": number, "b_at": at} for number, at in sorted(times.items())],
            )


def _items(payload: str, number: int) -> list[NewItem]:
    entry = json.loads(payload)
    return items_of_regions(entry["result"], number, entry.get("distributions"))
