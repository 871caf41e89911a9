"""The job table: jobs are rows; their progress is counted from the ledger's rows, so it survives every restart."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import and_, case, select, update
from sqlalchemy.engine import Connection as Db
from sqlalchemy.engine import Row

from prelabel.errors import NotFoundError
from prelabel.runs.rows import ACTIVE_JOBS, Connection, JobRow, JobState, dump
from prelabel.runs.stages import settle
from prelabel.runs.store import Store, counted
from prelabel.runs.tables import connections, jobs, model_runs, models, predictions


class JobTable(Store):
    """Create, look at, move and cancel jobs."""

    def create_job(
        self,
        kind: str,
        connection: Connection,
        version: str,
        *,
        reason: str = "",
        options: Mapping[str, Any] | None = None,
        listed: bool = False,
    ) -> str:
        """A new job in state ``queued``. ``options`` is JSON for the job's functions; ``listed``: see `JobRow`."""
        with self.database.write() as db:
            return self.insert_job(db, kind, connection, version, reason=reason, options=options, listed=listed)

    def insert_job(
        self,
        db: Db,
        kind: str,
        connection: Connection,
        version: str,
        *,
        reason: str = "",
        options: Mapping[str, Any] | None = None,
        listed: bool = False,
    ) -> str:
        """`create_job` inside a transaction."""
        job = uuid.uuid4().hex[:12]
        db.execute(
            jobs.insert().values(
                id=job,
                kind=kind,
                connection_id=self.connection_id(db, connection),
                run_id=self.run_id(db, version, connection.model),
                state="queued",
                reason=reason,
                options=dump(dict(options or {})),
                error="",
                listed=listed,
                cancel_requested=False,
                created_at=self.now(),
            )
        )
        return job

    def job(self, job: str) -> JobRow:
        """One job with its counts.

        Raises:
            NotFoundError: there is no such job.
        """
        found = self.jobs(ids=[job])
        if not found:
            raise NotFoundError(f"there is no job {job!r}.", hint="`prelabel jobs` lists them.")
        return found[0]

    def jobs(
        self, *, ids: Iterable[str] | None = None, states: Iterable[JobState] | None = None, limit: int = 100
    ) -> list[JobRow]:
        """Jobs with their counts, newest first."""
        query = (
            select(
                jobs,
                connections.c.instance,
                connections.c.project,
                models.c.name.label("model"),
                model_runs.c.name.label("version"),
            )
            .join(connections, connections.c.id == jobs.c.connection_id)
            .join(models, models.c.id == connections.c.model_id)
            .join(model_runs, model_runs.c.id == jobs.c.run_id)
            .order_by(jobs.c.created_at.desc(), jobs.c.id)
            .limit(limit)
        )
        if ids is not None:
            query = query.where(jobs.c.id.in_(list(ids)))
        if states is not None:
            query = query.where(jobs.c.state.in_(list(states)))
        with self.database.read() as db:
            rows = db.execute(query).all()
        counts = self.job_counts(row.id for row in rows)
        return [_job(row, counts.get(row.id, {})) for row in rows]

    def job_counts(self, ids: Iterable[str]) -> dict[str, dict[str, int]]:
        """Tasks of each job by state; a job without tasks is absent."""
        query = (
            select(predictions.c.job_id, predictions.c.state, counted())
            .where(predictions.c.job_id.in_(list(ids)))
            .group_by(predictions.c.job_id, predictions.c.state)
        )
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        with self.database.read() as db:
            for job, state, number in db.execute(query):
                counts[job][state] = number
        return dict(counts)

    def set_job_state(self, job: str, state: JobState, *, error: str | None = None) -> bool:
        """Move a job. A cancelled job only moves by `resume_job`. Returns whether it moved."""
        now = self.now()
        values: dict[str, Any] = {"state": state}
        if error is not None:
            values["error"] = error
        if state == "running":
            values["started_at"] = case((jobs.c.started_at.is_(None), now), else_=jobs.c.started_at)
        if state not in ACTIVE_JOBS:
            values["finished_at"] = now
        with self.database.write() as db:
            moved = db.execute(update(jobs).where(jobs.c.id == job, jobs.c.state != "cancelled").values(**values))
            return moved.rowcount > 0

    def set_job_listed(self, job: str) -> None:
        """Say that all tasks of the job are in the ledger now."""
        with self.database.write() as db:
            db.execute(update(jobs).where(jobs.c.id == job).values(listed=True))

    def cancel_requested(self, job: str) -> bool:
        """Whether somebody asked to end the job; its functions look between slices."""
        with self.database.read() as db:
            return bool(db.execute(select(jobs.c.cancel_requested).where(jobs.c.id == job)).scalar())

    def cancel_job(self, job: str) -> int:
        """End a job: what is neither predicted nor being sent will not be. Returns how many tasks that are.

        Raises:
            NotFoundError: there is no such job.
        """
        self.job(job)
        now = self.now()
        with self.database.write() as db:
            stopped = db.execute(
                update(jobs)
                .where(jobs.c.id == job, jobs.c.state.in_(ACTIVE_JOBS))
                .values(state="cancelled", cancel_requested=True, finished_at=now)
            )
            if not stopped.rowcount:
                return 0
            rows = db.execute(
                update(predictions)
                .where(predictions.c.job_id == job, predictions.c.state.in_(("planned", "pending")))
                .values(state="cancelled", updated_at=now)
            )
            return rows.rowcount

    def resume_job(self, job: str) -> int:
        """Take up a job that was cancelled or failed. Returns how many tasks wait again.

        Raises:
            NotFoundError: there is no such job.
        """
        self.job(job)
        with self.database.write() as db:
            db.execute(
                update(jobs)
                .where(jobs.c.id == job, jobs.c.state.not_in(ACTIVE_JOBS))
                .values(state="queued", cancel_requested=False, finished_at=None, error="")
            )
            rows = db.execute(
                update(predictions)
                .where(and_(predictions.c.job_id == job, predictions.c.state == "cancelled"))
                .values(
                    state=case((predictions.c.payload.is_(None), "planned"), else_="pending"), updated_at=self.now()
                )
            )
            run = select(jobs.c.run_id).where(jobs.c.id == job).scalar_subquery()
            model = select(model_runs.c.model_id).where(model_runs.c.id == run).scalar_subquery()
            settle(db, model, self.now())
            return rows.rowcount


def _job(row: Row[Any], counts: Mapping[str, int]) -> JobRow:
    return JobRow(
        id=row.id,
        kind=row.kind,
        connection=row.connection_id,
        instance=row.instance,
        project=row.project,
        model=row.model,
        version=row.version,
        state=row.state,
        reason=row.reason,
        options=json.loads(row.options),
        error=row.error,
        listed=row.listed,
        cancel_requested=row.cancel_requested,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        counts=counts,
    )
