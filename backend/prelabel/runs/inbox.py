"""Tasks that somebody sent and that are kept as they came: planned later, by a worker."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, exists, select

from prelabel.runs.jobtable import JobTable
from prelabel.runs.rows import Connection
from prelabel.runs.tables import inbox
from prelabel.tasks import Task


class Inbox(JobTable):
    """Received tasks, by job."""

    def receive(
        self,
        kind: str,
        connection: Connection,
        version: str,
        tasks: Sequence[Task],
        *,
        reason: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> str:
        """A new job with tasks (id and data) that are still to be planned: one row, one transaction, on disk when this
        returns. Returns the job's id.
        """
        text = json.dumps([[task.id, task.data] for task in tasks], separators=(",", ":"))
        with self.database.write() as db:
            job = self.insert_job(db, kind, connection, version, reason=reason, options=options)
            db.execute(inbox.insert().values(job_id=job, tasks=text))
        return job

    def received(self, job: str) -> list[tuple[int, list[Task]]]:
        """What is in the inbox for a job: entries by their number, the oldest first."""
        query = select(inbox.c.id, inbox.c.tasks).where(inbox.c.job_id == job).order_by(inbox.c.id)
        with self.database.read() as db:
            found = db.execute(query).all()
        return [(entry, [Task(id=task, data=data) for task, data in json.loads(text)]) for entry, text in found]

    def has_received(self, job: str) -> bool:
        """Whether anything is in the inbox for a job."""
        with self.database.read() as db:
            return bool(db.execute(select(exists().where(inbox.c.job_id == job))).scalar())

    def forget_received(self, entry: int) -> None:
        """An entry's tasks are planned."""
        with self.database.write() as db:
            db.execute(delete(inbox).where(inbox.c.id == entry))
