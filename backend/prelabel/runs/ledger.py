"""The ledger: what every task of every version has come to, written before anything is sent anywhere.

One row is one task of one model version in one project. docs/exactly-once.md draws its states and says why the result
is one prediction for every task.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, literal, or_, select, update
from sqlalchemy.engine import Row

from prelabel.errors import PrelabelError
from prelabel.predictions import Prediction
from prelabel.runs.database import Database, open_database
from prelabel.runs.events import Events
from prelabel.runs.inbox import Inbox
from prelabel.runs.live import LiveClaims
from prelabel.runs.outbox import Outbox
from prelabel.runs.rows import (
    ACTIVE_JOBS,
    Connection,
    LedgerRow,
    Quarantined,
    State,
    config_hash,
    content_hash,
    dump,
)
from prelabel.runs.stages import Stages, settle
from prelabel.runs.tables import connections, jobs, model_runs, models, predictions
from prelabel.runs.trainings import Trainings
from prelabel.runs.trials import Trials
from prelabel.settings import Settings
from prelabel.tasks import Task

PLAN_BATCH = 1000
"""Tasks planned in one transaction."""
ANSWER_GRACE_S = 15.0
"""Label Studio stores a live answer within this time; until then its absence there proves nothing."""


class Ledger(Inbox, Outbox, LiveClaims, Trials, Trainings, Stages, Events):
    """The registry's ledger. Safe for threads and processes; make it with `Ledger.open`."""

    @classmethod
    def open(cls, settings: Settings) -> Ledger:
        """Open the registry of these settings; it is made or migrated when needed.

        Raises:
            SettingsError: the database cannot be opened.
        """
        return cls(open_database(settings), single_flight_s=settings.single_flight_s)

    def __init__(self, database: Database, *, single_flight_s: float = 5.0) -> None:
        super().__init__(database)
        self.single_flight_s = single_flight_s

    def close(self) -> None:
        """Finish what was asked and close the database."""
        self.stop_live()
        self.database.close()

    # -- planning

    def plan(
        self,
        version: str,
        connection: Connection,
        tasks: Iterable[Task],
        *,
        job: str | None = None,
        replan: Collection[int] = (),
        as_of: float | None = None,
        again: bool = False,
        reuse: bool = False,
    ) -> int:
        """Write down that these tasks are to be predicted by ``version``; returns how many rows that newly are.

        A task that is planned, pending, sending, stored or answered with the same content (data and labeling config)
        is left as it is. A task whose content changed is planned anew, and its old prediction of this version is
        removed once the new one stands.

        Args:
            version: the model version.
            connection: the project, as `remember_project` returned it.
            tasks: tasks with an id; read once and not kept.
            job: the job that new rows belong to. Rows of a job that has ended, or of none, move to it.
            replan: ids of tasks that were seen in Label Studio without this version: their stored and answered rows
                are planned anew.
            as_of: `now` before that was looked up. Rows stored since, or answered since a little earlier, are left.
            again: a person asked: what ended quarantined, refused or cancelled is tried again.
            reuse: of tasks in ``replan``, send again what the version said of the same content; the model is not asked.
        """
        config = config_hash(connection.label_config)
        seen_missing = frozenset(replan)
        looked = self.now() if as_of is None else as_of
        new = 0
        for batch in _batched(tasks, PLAN_BATCH):
            rows = sorted(batch, key=_task_id)
            with self.database.write() as db:
                now = self.now()
                common = {
                    "run_id": self.run_id(db, version, connection.model),
                    "connection_id": self.connection_id(db, connection),
                    "state": "planned",
                    "job_id": job,
                    "verify": False,
                    "updated_at": now,
                }
                for missing in (False, True):
                    values = []
                    for task in rows:
                        if (task.id in seen_missing) is missing:
                            data = dump(dict(task.data))
                            values.append(
                                {**common, "task": task.id, "data": data, "content_hash": content_hash(data, config)}
                            )
                    if values:
                        reused = reuse and not self.hidden_in(db, version)
                        statement = self._plan_statement(looked if missing else None, again=again, reuse=reused)
                        new += db.execute(statement, values, execution_options={"preserve_rowcount": True}).rowcount
                if job is not None:
                    self._adopt(db, common["run_id"], common["connection_id"], [_task_id(task) for task in rows], job)
        return new

    def _plan_statement(self, looked: float | None, *, again: bool, reuse: bool) -> Any:
        # IN (...) does not go with executemany
        row = predictions.c
        statement = self.insert(predictions)
        new = statement.excluded
        anew: list[ColumnElement[bool]] = [row.content_hash != new.content_hash, row.state == "gone"]
        if again:
            anew.extend(row.state == state for state in ("quarantined", "refused", "cancelled", "silent"))
        if looked is not None:
            anew.append(row.state == "silent")
            anew.append(and_(row.state == "stored", row.updated_at < looked))
            anew.append(and_(row.state == "answered", row.updated_at < looked - ANSWER_GRACE_S))
        kept = and_(
            literal(reuse),
            row.content_hash == new.content_hash,
            or_(row.state == "stored", row.state == "answered"),
            row.payload.is_not(None),
        )
        return statement.on_conflict_do_update(
            index_elements=["run_id", "connection_id", "task"],
            set_={
                "content_hash": new.content_hash,
                "state": case((kept, "pending"), else_="planned"),
                "job_id": new.job_id,
                "chunk_id": None,
                "data": case((kept, None), else_=new.data),
                "payload": case((kept, row.payload), else_=None),
                "score": case((kept, row.score), else_=None),
                "error": None,
                "verify": or_(row.verify, row.state == "stored", row.state == "answered"),
                "suspicion": 0,
                "updated_at": new.updated_at,
            },
            where=and_(row.state != "sending", or_(*anew)),
        )

    @staticmethod
    def _adopt(db: Any, run: Any, connection: Any, tasks: list[int], job: str) -> None:
        ended = select(jobs.c.id).where(jobs.c.state.not_in(ACTIVE_JOBS))
        for start in range(0, len(tasks), 500):
            db.execute(
                update(predictions)
                .where(
                    predictions.c.run_id == run,
                    predictions.c.connection_id == connection,
                    predictions.c.task.in_(tasks[start : start + 500]),
                    predictions.c.state.in_(("planned", "pending")),
                    or_(predictions.c.job_id.is_(None), predictions.c.job_id.in_(ended)),
                )
                .values(job_id=job)
            )

    def planned(
        self,
        *,
        job: str | None = None,
        version: str | None = None,
        connection: int | None = None,
        tasks: Collection[int] | None = None,
        between: tuple[int, int] | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[LedgerRow]:
        """Rows that wait to be predicted, by rising ``id``; ``after`` is the last ``id`` of the page before.

        ``job``, ``version``, ``connection`` (the ledger's number), ``tasks`` (ids, at most some thousands) and
        ``between`` (first and last task id) narrow it.
        """
        row = predictions.c
        query = (
            select(predictions, model_runs.c.name.label("version"), connections.c.project)
            .join(model_runs, model_runs.c.id == row.run_id)
            .join(connections, connections.c.id == row.connection_id)
            .where(row.state == "planned", row.id > after)
            .order_by(row.id)
            .limit(limit)
        )
        if job is not None:
            query = query.where(row.job_id == job)
        if version is not None:
            query = query.where(model_runs.c.name == version)
        if connection is not None:
            query = query.where(row.connection_id == connection)
        if tasks is not None:
            query = query.where(row.task.in_(list(tasks)))
        if between is not None:
            query = query.where(row.task.between(*between))
        with self.database.read() as db:
            return [_ledger_row(found) for found in db.execute(query)]

    def planned_tasks(self, job: str, *, after: int = -1, until: int | None = None, limit: int = 1000) -> list[int]:
        """Ids of the job's tasks that wait to be predicted, rising, beyond ``after`` and up to ``until``."""
        row = predictions.c
        query = select(row.task).where(row.job_id == job, row.state == "planned", row.task > after)
        if until is not None:
            query = query.where(row.task <= until)
        with self.database.read() as db:
            return list(db.execute(query.order_by(row.task).limit(limit)).scalars())

    def job_tasks(self, job: str, states: Collection[str], *, page: int = 1000) -> Iterator[list[int]]:
        """Ids of the job's tasks in these states, rising, in pages."""
        row = predictions.c
        after = -1
        while True:
            query = (
                select(row.task)
                .where(row.job_id == job, row.state.in_(list(states)), row.task > after)
                .order_by(row.task)
                .limit(page)
            )
            with self.database.read() as db:
                found = list(db.execute(query).scalars())
            if not found:
                return
            yield found
            after = found[-1]

    def standing(
        self, version: str, connection: Connection, tasks: Collection[int]
    ) -> dict[int, tuple[str, str | None]]:
        """State and job of each of these tasks (ids, at most some thousands) that has a row of this version."""
        row = predictions.c
        query = (
            select(row.task, row.state, row.job_id)
            .join(model_runs, model_runs.c.id == row.run_id)
            .where(model_runs.c.name == version, row.connection_id == connection.id, row.task.in_(list(tasks)))
        )
        with self.database.read() as db:
            return {task: (state, job) for task, state, job in db.execute(query)}

    # -- results

    def record(self, outcomes: Iterable[tuple[LedgerRow, Prediction | PrelabelError]]) -> int:
        """Write predictions (``pending``, of a hidden version ``shadow``) and failures (``quarantined``).

        Where the model says nothing the row is ``silent``: nothing is sent.

        Returns how many counted.

        A row that is no longer planned as it was (answered live meanwhile, cancelled, planned with other data) is left.
        An error that may pass is the caller's to retry; given here, it is final.
        """
        now = self.now()
        done: dict[str, list[dict[str, Any]]] = {}
        failed: list[dict[str, Any]] = []
        silent: list[dict[str, Any]] = []
        for row, outcome in outcomes:
            key = {"b_id": row.id, "b_hash": row.content_hash}
            if isinstance(outcome, Prediction) and outcome.silent:
                silent.append({**key, "b_payload": None, "b_score": None})
                continue
            payload = payload_of(outcome, row.version) if isinstance(outcome, Prediction) else outcome
            if isinstance(payload, str) and isinstance(outcome, Prediction):
                done.setdefault(row.version, []).append({**key, "b_payload": payload, "b_score": outcome.score})
            else:
                failed.append({**key, "b_error": str(payload)})
        counted = 0
        with self.database.write() as db:
            for version, rows in done.items():
                state: State = "shadow" if self.hidden_in(db, version) else "pending"
                counted += db.execute(_record_statement(now, state), rows).rowcount
            if silent:
                counted += db.execute(_record_statement(now, "silent"), silent).rowcount
            if failed:
                counted += db.execute(_record_statement(now, "quarantined"), failed).rowcount
        return counted

    def forget_silent(self, version: str, project: str) -> int:
        """A version may have something to say now: forget of which tasks of a project it said nothing. How many."""
        if not project.isdecimal():
            return 0
        row = predictions.c
        run = select(model_runs.c.id).where(model_runs.c.name == version)
        ours = select(connections.c.id).where(connections.c.project == int(project))
        with self.database.write() as db:
            gone = delete(predictions).where(row.run_id.in_(run), row.connection_id.in_(ours), row.state == "silent")
            return db.execute(gone).rowcount

    def forget_tasks(self, connection: Connection, tasks: Collection[int]) -> int:
        """The tasks were deleted in Label Studio: nothing more is done for them, by no model."""
        ids = list(tasks)
        forgotten = 0
        place = select(connections.c.id).where(
            connections.c.instance == connection.instance.rstrip("/"), connections.c.project == connection.project
        )
        with self.database.write() as db:
            numbers = list(db.execute(place).scalars())
            for start in range(0, len(ids), 500):
                forgotten += db.execute(
                    update(predictions)
                    .where(
                        predictions.c.connection_id.in_(numbers),
                        predictions.c.task.in_(ids[start : start + 500]),
                        predictions.c.state.not_in(("sending", "gone")),
                    )
                    .values(state="gone", data=None, error="the task was deleted", updated_at=self.now())
                ).rowcount
        return forgotten

    # -- what failed

    def quarantined(
        self, *, project: int | None = None, version: str | None = None, job: str | None = None, limit: int = 1000
    ) -> list[Quarantined]:
        """Tasks that failed or whose prediction Label Studio refused, newest first."""
        row = predictions.c
        query = (
            select(predictions, model_runs.c.name.label("version"), connections.c.project, connections.c.instance)
            .join(model_runs, model_runs.c.id == row.run_id)
            .join(connections, connections.c.id == row.connection_id)
            .where(row.state.in_(("quarantined", "refused")))
            .order_by(row.updated_at.desc(), row.id.desc())
            .limit(limit)
        )
        for column, wanted in (
            (connections.c.project, project),
            (model_runs.c.name, version),
            (row.job_id, job),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        with self.database.read() as db:
            return [_quarantined(found) for found in db.execute(query)]

    def retry_quarantined(
        self,
        connection: Connection,
        *,
        version: str | None = None,
        tasks: Collection[int] | None = None,
        job: str | None = None,
    ) -> int:
        """Try failed tasks again: those with data are planned, refused predictions are pending. Returns how many."""
        row = predictions.c
        retried = update(predictions).where(
            row.connection_id == connection.id,
            or_(
                and_(row.state == "quarantined", row.data.is_not(None)),
                and_(row.state == "refused", row.payload.is_not(None)),
            ),
        )
        if version is not None:
            retried = retried.where(row.run_id.in_(select(model_runs.c.id).where(model_runs.c.name == version)))
        if tasks is not None:
            retried = retried.where(row.task.in_(list(tasks)))
        values: dict[str, Any] = {
            "state": case((row.state == "quarantined", "planned"), else_="pending"),
            "error": None,
            "updated_at": self.now(),
        }
        if job is not None:
            values["job_id"] = job
        with self.database.write() as db:
            count = db.execute(retried.values(**values)).rowcount
            model = select(connections.c.model_id).where(connections.c.id == connection.id).scalar_subquery()
            settle(db, model, self.now())
            return count

    def states(self, version: str, connection: Connection, tasks: Sequence[int] | None = None) -> dict[int, str]:
        """State of each task of this version in the project (for reconciling, and for tests)."""
        row = predictions.c
        query = (
            select(row.task, row.state)
            .join(model_runs, model_runs.c.id == row.run_id)
            .where(model_runs.c.name == version, row.connection_id == connection.id)
        )
        if tasks is not None:
            query = query.where(row.task.in_(list(tasks)))
        with self.database.read() as db:
            return {row.task: row.state for row in db.execute(query)}

    def versions(self, model: str | None = None) -> list[str]:
        """Names of all model runs, or of one model's, the newest first."""
        query = select(model_runs.c.name).order_by(model_runs.c.id.desc())
        if model is not None:
            query = query.join(models, models.c.id == model_runs.c.model_id).where(models.c.name == model)
        with self.database.read() as db:
            return list(db.execute(query).scalars())

    def versions_at_work(self, recent: int) -> list[str]:
        """Names of the ``recent`` newest model runs of all models, and of all that have a job to do."""
        newest = select(model_runs.c.id).order_by(model_runs.c.id.desc()).limit(recent)
        busy = select(jobs.c.run_id).where(jobs.c.state.in_(ACTIVE_JOBS))
        query = select(model_runs.c.name).where(or_(model_runs.c.id.in_(newest), model_runs.c.id.in_(busy)))
        with self.database.read() as db:
            return list(db.execute(query).scalars())


def payload_of(prediction: Prediction, version: str) -> str | PrelabelError:
    """The prediction as compact JSON under the ledger's version, or the error that says why it is not JSON."""
    try:
        body = {**prediction.as_json(), "model_version": version}
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        return PrelabelError(f"the prediction cannot be written as JSON: {error}.", hint="Check the model's output.")


def _record_statement(now: float, state: State) -> Any:
    row = predictions.c
    values: dict[str, Any] = (
        {"error": bindparam("b_error")}
        if state == "quarantined"
        else {"payload": bindparam("b_payload"), "score": bindparam("b_score"), "data": None, "error": None}
    )
    return (
        update(predictions)
        .where(row.id == bindparam("b_id"), row.content_hash == bindparam("b_hash"), row.state == "planned")
        .values(state=state, **values, suspicion=0, updated_at=now)
    )


def _batched(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    iterator = iter(tasks)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _task_id(task: Task) -> int:
    if task.id is None:
        raise ValueError("only tasks of a Label Studio can be planned: the task has no id")
    return task.id


def _ledger_row(row: Row[Any]) -> LedgerRow:
    return LedgerRow(
        id=row.id,
        task=Task(id=row.task, data=json.loads(row.data or "{}"), project=row.project),
        version=row.version,
        connection=row.connection_id,
        content_hash=row.content_hash,
        job=row.job_id,
        suspicion=row.suspicion,
    )


def _quarantined(row: Row[Any]) -> Quarantined:
    return Quarantined(
        instance=row.instance,
        project=row.project,
        task=row.task,
        version=row.version,
        state=row.state,
        error=row.error or "",
        data=json.loads(row.data) if row.data else None,
        updated_at=row.updated_at,
        job=row.job_id,
    )
