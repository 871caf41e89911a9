"""Live answers: who may answer a task, decided once, written by one thread for many requests at a time."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, not_, or_, select, update
from sqlalchemy.engine import Connection as Db
from sqlalchemy.engine import Engine

from prelabel.errors import PrelabelError
from prelabel.predictions import Prediction
from prelabel.runs.database import Database
from prelabel.runs.rows import Connection, content_hash, dump
from prelabel.runs.store import Store
from prelabel.runs.tables import model_runs, predictions
from prelabel.tasks import Task

LARGEST_GROUP = 256
"""Requests in one transaction."""


@dataclass(frozen=True)
class _Request:
    run: Callable[[Db], list[Any]]
    answer: Future[list[Any]]


class LiveClaims(Store):
    """`claim_live` and `quarantine`: hundreds a second, because many share one commit."""

    single_flight_s: float = 5.0

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._writer_pid = 0
        self._starting = threading.Lock()

    def claim_live(
        self,
        version: str,
        connection: Connection,
        answers: Sequence[tuple[Task, str, Prediction]],
    ) -> list[bool]:
        """Ask to answer these tasks (task, `config_hash`, prediction) live; True: answer it, False: answer ``[]``.

        A row that is planned, pending or absent becomes ``answered``: True. False for a row that is being sent, whose
        sending is in doubt, or that was stored or answered less than ``single_flight_s`` ago. A row stored or answered
        longer ago is answered again: Label Studio asks only for what it lacks.
        """
        return self._grouped(lambda db: self._claim(db, version, connection, answers))

    def claim_known(self, version: str, connection: Connection, tasks: Sequence[tuple[Task, str]]) -> list[str | None]:
        """Ask to answer these tasks (task, `config_hash`) with what the version said of the same content before.

        Each is the prediction's JSON; ``""`` where `claim_live` would say False; None where nothing is known.
        """
        return self._grouped(lambda db: self._claim_known(db, version, connection, tasks))

    def answered_lately(self, version: str, connection: Connection, tasks: Collection[int]) -> set[int]:
        """Of these tasks, those that `claim_live` would not give now. Nothing is written."""
        row = predictions.c
        query = (
            select(row.task)
            .join(model_runs, model_runs.c.id == row.run_id)
            .where(
                model_runs.c.name == version,
                row.connection_id == connection.id,
                row.task.in_(list(tasks)),
                _busy(self.now() - self.single_flight_s),
            )
        )
        with self.database.read() as db:
            return set(db.execute(query).scalars())

    def quarantine(
        self,
        version: str,
        connection: Connection,
        failures: Sequence[tuple[Task, str, PrelabelError]],
    ) -> None:
        """Write down that these tasks (task, `config_hash`, error) failed live; their data is kept."""
        self._grouped(lambda db: self._quarantine(db, version, connection, failures))

    def stop_live(self) -> None:
        """End the writer once all requests are answered."""
        with self._starting:
            writer, self._writer = self._writer, None
        if writer is not None and self._writer_pid == os.getpid():
            self._requests.put(None)
            writer.join()

    # -- the writer

    def _grouped(self, run: Callable[[Db], list[Any]]) -> list[Any]:
        with self._starting:
            if self._writer is None or self._writer_pid != os.getpid():
                self._requests = queue.SimpleQueue()
                self._writer_pid = os.getpid()
                self._writer = threading.Thread(
                    target=self._write, args=(self._requests,), name="ledger-live", daemon=True
                )
                self._writer.start()
            request = _Request(run, Future())
            self._requests.put(request)
        return request.answer.result()

    def _write(self, requests: queue.SimpleQueue[_Request | None]) -> None:
        while True:
            group = _next_group(requests)
            ending = None in group
            self._commit([request for request in group if request is not None])
            if ending:
                return

    def _commit(self, group: list[_Request]) -> None:
        if not group:
            return
        try:
            with self.database.write() as db:
                answers = [request.run(db) for request in group]
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the callers that wait
            if len(group) == 1:
                group[0].answer.set_exception(error)
                return
            for request in group:  # one bad request must not cost the others
                self._commit([request])
            return
        for request, answer in zip(group, answers, strict=True):
            request.answer.set_result(answer)

    # -- inside the transaction

    def _claim(
        self, db: Db, version: str, connection: Connection, answers: Sequence[tuple[Task, str, Prediction]]
    ) -> list[bool]:
        now = self.now()
        place = self._place(db, version, connection)
        claimed = []
        for task, config, prediction in answers:
            values = {
                **place,
                **_content(task, config),
                "state": "answered",
                "payload": dump(prediction.as_json()),
                "score": prediction.score,
                "data": None,
                "error": None,
                "updated_at": now,
                "b_since": now - self.single_flight_s,
            }
            claimed.append(self._claim_statement.returns_a_row(db, values))
        return claimed

    def _claim_known(
        self, db: Db, version: str, connection: Connection, tasks: Sequence[tuple[Task, str]]
    ) -> list[str | None]:
        now = self.now()
        place = self._place(db, version, connection)
        row = predictions.c
        found: list[str | None] = []
        for task, config in tasks:
            content = _content(task, config)
            ours = and_(
                row.run_id == place["run_id"], row.connection_id == place["connection_id"], row.task == content["task"]
            )
            same = and_(ours, row.content_hash == content["content_hash"], row.payload.is_not(None))
            busy = _busy(now - self.single_flight_s)
            claimed = db.execute(
                update(predictions)
                .where(same, not_(busy))
                .values(state="answered", updated_at=now)
                .returning(row.payload)
            ).scalar()
            is_busy = claimed is None and db.execute(select(row.id).where(ours, busy)).first() is not None
            found.append("" if is_busy else claimed)
        return found

    def _quarantine(
        self, db: Db, version: str, connection: Connection, failures: Sequence[tuple[Task, str, PrelabelError]]
    ) -> list[bool]:
        now = self.now()
        place = self._place(db, version, connection)
        written = []
        for task, config, error in failures:
            values = {
                **place,
                **_content(task, config),
                "state": "quarantined",
                "data": dump(dict(task.data)),
                "payload": None,
                "score": None,
                "error": str(error),
                "updated_at": now,
            }
            written.append(self._quarantine_statement.returns_a_row(db, values))
        return written

    def _place(self, db: Db, version: str, connection: Connection) -> dict[str, Any]:
        return {
            "run_id": self.run_id(db, version, connection.model),
            "connection_id": self.connection_id(db, connection),
        }

    @cached_property
    def _claim_statement(self) -> _Prepared:
        return self._upsert(not_(_busy(bindparam("b_since"))))

    @cached_property
    def _quarantine_statement(self) -> _Prepared:
        return self._upsert(
            _one_of(predictions.c.state, "planned", "quarantined", "gone", "cancelled", "refused", "silent")
        )

    def _upsert(self, free: Any) -> _Prepared:
        """INSERT that overwrites a row where ``free`` holds."""
        key = ("run_id", "connection_id", "task")
        changed = ("content_hash", "state", "payload", "score", "data", "error", "updated_at")
        statement = self.insert(predictions).values(
            {name: bindparam(name) for name in (*key, *changed)} | {"verify": False}
        )
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=key,
            set_={name: new[name] for name in changed} | {"chunk_id": None},
            where=free,
        )
        return _Prepared(statement.returning(predictions.c.id), self.database.engine)


class _Prepared:
    """A statement compiled once and run by the driver: SQLAlchemy's own way to it costs more than running it."""

    def __init__(self, statement: Any, engine: Engine) -> None:
        compiled = statement.compile(dialect=engine.dialect)
        self._sql = str(compiled)
        self._constants: dict[str, Any] = compiled.params
        self._order: Sequence[str] | None = compiled.positiontup  # None: the driver takes parameters by name

    def returns_a_row(self, db: Db, values: dict[str, Any]) -> bool:
        """Run it; whether it wrote (or found) a row."""
        given = {**self._constants, **values}
        parameters = given if self._order is None else tuple(given[name] for name in self._order)
        return db.exec_driver_sql(self._sql, parameters).first() is not None


def _busy(since: Any) -> ColumnElement[bool]:
    """A row whose prediction is on its way to Label Studio, or has arrived there after ``since``."""
    state = predictions.c.state
    return or_(
        state == "sending",
        and_(state == "pending", predictions.c.verify),  # a copy of it may be on its way
        and_(_one_of(state, "stored", "answered"), predictions.c.updated_at >= since),
    )


def _one_of(column: ColumnElement[str], *values: str) -> ColumnElement[bool]:
    """IN, without the expanding that SQLAlchemy does for it at every execution."""
    return or_(*(column == value for value in values))


def _content(task: Task, config: str) -> dict[str, Any]:
    return {"task": task.id, "content_hash": content_hash(dump(dict(task.data)), config)}


def _next_group(requests: queue.SimpleQueue[_Request | None]) -> list[_Request | None]:
    group = [requests.get()]
    with contextlib.suppress(queue.Empty):
        while len(group) < LARGEST_GROUP and group[-1] is not None:
            group.append(requests.get_nowait())
    return group
