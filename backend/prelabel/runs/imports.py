"""Imports: lines of a spool file to items of a run, a batch a transaction, so that one that was killed goes on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from sqlalchemy import delete, exists, select, update
from sqlalchemy.engine import Row

from prelabel.errors import NotFoundError, PrelabelError, RequestError
from prelabel.runs.held import Form, ImportKind, ImportRow, ImportState, Role, RowError, RowStatus, project_name
from prelabel.runs.items import Items, NewItem, NewMetric
from prelabel.runs.rows import dump
from prelabel.runs.spooling import sweep
from prelabel.runs.storable import is_storable, unstorable
from prelabel.runs.tables import data_rows, import_statuses, imports, run_data_rows, run_items

log = logging.getLogger(__name__)

LINES = 2000
"""Lines in one transaction."""
BATCH_BYTES = 32 * 2**20
"""A batch of long lines (masks) ends earlier."""
STATUS_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one line came to: its status, and, if it was accepted, what is to be written for data row ``number``.

    ``unlabeled``: nothing is said of the data row any more, which is not the same as that there is nothing to say.
    """

    status: RowStatus
    number: int | None = None
    items: tuple[NewItem, ...] = ()
    metrics: tuple[NewMetric, ...] = ()
    unlabeled: bool = False

    def checked(self) -> Outcome:
        """The same; refused where a text of it cannot be kept by a database."""
        wrong = unstorable(self._texts())
        if wrong is None:
            return self
        message = f"{wrong[0]} has a character that no database keeps: {wrong[1]}."
        error = RowError("InvalidText", message, "Take out NUL and lone surrogates.")
        shown = self.status.uuid if is_storable(self.status.uuid) else ""
        return Outcome(replace(self.status, uuid=shown, status="FAILURE", errors=(*self.status.errors, error)))

    def _texts(self) -> Iterator[tuple[str, str | None]]:
        yield "uuid", self.status.uuid
        for item in self.items:
            yield from (("uuid", item.uuid), ("name", item.feature), ("type", item.kind), ("the row", item.body))
        for metric in self.metrics:
            yield from (("metricName", metric.name), ("featureName", metric.feature), ("the row", metric.body))
            yield "subclassName", metric.subclass


Read = Callable[[ImportRow, int, Sequence[bytes]], list[Outcome]]
"""Reads a batch of lines, the first of which has a position: one outcome for each line, in order."""


class Imports(Items):
    """The import table and the way of a batch into the items."""

    def begin_import(
        self, run: int, name: str, kind: ImportKind, form: Form, *, source: str, spool: Path, total: int
    ) -> ImportRow:
        """Write down that the lines of ``spool`` are to be imported.

        Raises:
            RequestError: the run has an import of that name.
        """
        now = self.now()
        statement = self.insert(imports).values(
            run_id=run,
            name=name,
            kind=kind,
            form=form,
            state="RUNNING",
            position=0,
            read_bytes=0,
            total=total,
            failed=0,
            source=source,
            spool=str(spool),
            created_at=now,
            updated_at=now,
        )
        with self.database.write() as db:
            made = db.execute(statement.on_conflict_do_nothing().returning(imports.c.id)).scalar()
            needed = list(db.execute(select(imports.c.spool).where(imports.c.state != "FINISHED")).scalars())
        if made is None:
            raise _taken(name)
        sweep(spool.parent, [path for path in needed if path])
        return self.import_row(int(made))

    def refuse_taken(self, run: int, name: str) -> None:
        """Look before long work whether an import's name is free.

        Raises:
            RequestError: it is not.
        """
        with self.database.read() as db:
            if db.execute(select(imports.c.id).where(imports.c.run_id == run, imports.c.name == name)).first():
                raise _taken(name)

    def import_row(self, number: int) -> ImportRow:
        """The import with that number.

        Raises:
            NotFoundError: there is none.
        """
        with self.database.read() as db:
            row = db.execute(select(imports).where(imports.c.id == number)).first()
        if row is None:
            raise NotFoundError(f"there is no import {number}.")
        return _import(row)

    def imports(self, run: int | None = None, *, state: ImportState | None = None) -> list[ImportRow]:
        """All imports, or those of a run or in a state, the oldest first."""
        query = select(imports).order_by(imports.c.id)
        if run is not None:
            query = query.where(imports.c.run_id == run)
        if state is not None:
            query = query.where(imports.c.state == state)
        with self.database.read() as db:
            return [_import(row) for row in db.execute(query)]

    def run_import(self, number: int, read: Read, *, stopped: Callable[[], bool] = lambda: False) -> ImportRow:
        """Import what is left of an import, until its end or until ``stopped`` says so between two batches.

        Several processes may do this at once: a batch counts only for the one that moves the position. What goes wrong
        makes the import FAILED with its error; `retry_import` lets it go on.
        """
        try:
            while not stopped():
                row = self.import_row(number)
                if row.state != "RUNNING":
                    break
                for position, lines, end in _batches(row):
                    if stopped() or not self._take(row, position, lines, end, read):
                        break
                else:
                    self._end(number, "FINISHED")
        except Exception as error:
            if not isinstance(error, PrelabelError):
                log.exception("import %s failed", number)
            self._end(number, "FAILED", str(error) or type(error).__name__)
        return self.import_row(number)

    def retry_import(self, number: int) -> None:
        """A failed import may run again from where it stands."""
        with self.database.write() as db:
            db.execute(
                update(imports)
                .where(imports.c.id == number, imports.c.state == "FAILED")
                .values(state="RUNNING", error=None, updated_at=self.now())
            )

    def _take(self, row: ImportRow, position: int, lines: Sequence[bytes], end: int, read: Read) -> bool:
        """One batch in one transaction; False when another process has done it meanwhile."""
        outcomes = [outcome.checked() for outcome in read(row, position, lines)]
        taken = [outcome for outcome in outcomes if outcome.number is not None]
        items = [item for outcome in taken for item in outcome.items]
        metrics = [metric for outcome in taken for metric in outcome.metrics]
        numbers = {cast("int", outcome.number) for outcome in taken if outcome.items or not outcome.metrics}
        role: Role = "prediction" if row.kind == "predictions" else "annotation"
        with self.database.write() as db:
            moved = db.execute(
                update(imports)
                .where(imports.c.id == row.id, imports.c.position == position, imports.c.state == "RUNNING")
                .values(
                    position=position + len(lines),
                    read_bytes=end,
                    failed=imports.c.failed + len(outcomes) - len(taken),
                    updated_at=self.now(),
                )
            ).rowcount
            if not moved:
                return False
            if role == "annotation":  # a label is all that was said of a data row: what it was before goes
                self.drop_items(db, row.run_id, role, numbers, but=row.id)
            self.put_items(db, row.run_id, role, items, row.id)
            self.put_metrics(db, row.run_id, metrics, row.id)
            gone = {cast("int", outcome.number) for outcome in taken if outcome.unlabeled}
            self.mark_said(db, row.run_id, numbers - gone, "predicted" if role == "prediction" else "labeled")
            self.mark_said(db, row.run_id, gone, "labeled", known=False)
            db.execute(import_statuses.insert(), [_status_values(row.id, outcome.status) for outcome in outcomes])
        return True

    def _end(self, number: int, state: ImportState, error: str | None = None) -> None:
        with self.database.write() as db:
            db.execute(
                update(imports)
                .where(imports.c.id == number, imports.c.state == "RUNNING")
                .values(state=state, error=error, updated_at=self.now())
            )

    def labeled_tasks(self, run: int, instance: str, project: int) -> Iterator[int]:
        """Tasks of a project, rising, whose label in the run is one that an import of this project brought."""
        row = run_items.c
        foreign = (
            exists()
            .where(row.run_id == run, row.role == "annotation", row.data_row_id == data_rows.c.id)
            .where(~exists().where(imports.c.id == row.import_id, imports.c.source.like(project_name(project, "%"))))
        )
        after = -1
        while True:
            query = (
                select(data_rows.c.task)
                .join(run_data_rows, run_data_rows.c.data_row_id == data_rows.c.id)
                .where(run_data_rows.c.run_id == run, run_data_rows.c.labeled.is_(True), ~foreign)
                .where(data_rows.c.instance == instance.rstrip("/"), data_rows.c.project == project)
                .where(data_rows.c.task > after)
                .order_by(data_rows.c.task)
                .limit(LINES)
            )
            with self.database.read() as db:
                found = list(db.execute(query).scalars())
            yield from found
            if len(found) < LINES:
                return
            after = found[-1]

    # -- statuses

    def statuses(
        self, number: int, *, failed_only: bool = False, after: int = -1, limit: int = STATUS_PAGE
    ) -> list[RowStatus]:
        """A page of an import's statuses by position; ``after`` is the last position of the page before."""
        query = (
            select(import_statuses)
            .where(import_statuses.c.import_id == number, import_statuses.c.position > after)
            .order_by(import_statuses.c.position)
            .limit(limit)
        )
        if failed_only:
            # the first condition is the index's; a row that was accepted may have errors too, which are notes
            query = query.where(import_statuses.c.errors.is_not(None), import_statuses.c.status == "FAILURE")
        with self.database.read() as db:
            return [_status(row) for row in db.execute(query)]

    def delete_import(self, number: int) -> None:
        """Forget an import and its statuses; what it wrote stays."""
        with self.database.write() as db:
            db.execute(delete(import_statuses).where(import_statuses.c.import_id == number))
            db.execute(delete(imports).where(imports.c.id == number))


def _batches(row: ImportRow) -> Iterator[tuple[int, list[bytes], int]]:
    """Batches of lines from where the import stands: position of the first line, the lines, where the next begins."""
    if row.position >= row.total:
        return
    if row.spool is None or not row.is_here:
        raise NotFoundError(
            f"the lines of import {row.name!r} are not here: {row.spool} is gone.",
            hint="Resume it on the machine that began it, or import the rest under another name.",
        )
    position, end = row.position, row.read_bytes
    with Path(row.spool).open("rb") as file:
        file.seek(end)
        batch: list[bytes] = []
        size = 0
        for line in file:
            batch.append(line)
            size += len(line)
            if len(batch) == LINES or size > BATCH_BYTES:
                end += size
                yield position, batch, end
                position, batch, size = position + len(batch), [], 0
        if batch:
            yield position, batch, end + size


def _taken(name: str) -> RequestError:
    return RequestError(
        f"the run has an import {name!r} already.", hint="Give this one another name, or resume that one."
    )


def _import(row: Row[Any]) -> ImportRow:
    return ImportRow(
        id=row.id,
        run_id=row.run_id,
        name=row.name,
        kind=cast("ImportKind", row.kind),
        form=cast("Form", row.form),
        state=cast("ImportState", row.state),
        position=row.position,
        read_bytes=row.read_bytes,
        total=row.total,
        failed=row.failed,
        source=row.source,
        spool=row.spool,
        error=row.error,
        created_at=row.created_at,
    )


def _status_values(number: int, status: RowStatus) -> dict[str, Any]:
    errors = [
        {"name": error.name, "message": error.message}
        | ({"additional_info": error.additional_info} if error.additional_info else {})
        for error in status.errors
    ]
    return {
        "import_id": number,
        "position": status.position,
        "uuid": status.uuid,
        "data_row": json.dumps(status.data_row),
        "status": status.status,
        "errors": dump(errors) if errors else None,
    }


def _status(row: Row[Any]) -> RowStatus:
    return RowStatus(
        position=row.position,
        uuid=row.uuid,
        data_row=json.loads(row.data_row),
        status=row.status,
        errors=tuple(
            RowError(one["name"], one["message"], one.get("additional_info")) for one in json.loads(row.errors or "[]")
        ),
    )


__all__ = ["LINES", "Imports", "Outcome", "Read"]
