"""Trained versions and trainings in the registry: one at a time for a project, and what to serve after it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select, update

from prelabel.artifacts import Artifact
from prelabel.errors import RequestError
from prelabel.runs.jobtable import JobTable
from prelabel.runs.rows import ACTIVE_JOBS, Connection, dump
from prelabel.runs.stages import Stages
from prelabel.runs.tables import connections, jobs, model_runs, models, predictions

TRAIN_JOB = "train"
SAID = ("pending", "shadow", "sending", "stored", "answered", "refused", "quarantined")
"""States of a task of which a version has said something, or failed to."""


class Trainings(JobTable, Stages):
    """The ledger's part that training writes and reads."""

    def annotated(self, connection: Connection, count: int = 1) -> int:
        """Count annotations; how many there are since the last training began."""
        row = connections.c
        with self.database.write() as db:
            return int(
                db.execute(
                    update(connections)
                    .where(row.id == self.connection_id(db, connection))
                    .values(annotated=row.annotated + count)
                    .returning(row.annotated)
                ).scalar_one()
            )

    def begin_training(self, connection: Connection, version: str, *, reason: str) -> tuple[str, bool]:
        """A training job of a project; where one waits or runs, that one. The job's id, and whether it is new."""
        with self.database.write() as db:
            number = self.connection_id(db, connection)
            # the row is locked: of two that come at once, the second finds the first one's job
            db.execute(update(connections).where(connections.c.id == number).values(id=number))
            active = db.execute(
                select(jobs.c.id).where(
                    jobs.c.connection_id == number, jobs.c.kind == TRAIN_JOB, jobs.c.state.in_(ACTIVE_JOBS)
                )
            ).scalar()
            if active is not None:
                return str(active), False
            db.execute(update(connections).where(connections.c.id == number).values(annotated=0))
            return self.insert_job(db, TRAIN_JOB, connection, version, reason=reason), True

    def note(self, job: str, **said: Any) -> None:
        """Write how far a job is into its options."""
        with self.database.write() as db:
            query = select(jobs.c.options).where(jobs.c.id == job)
            known = db.execute(query if self.database.is_sqlite else query.with_for_update()).scalar_one()
            db.execute(update(jobs).where(jobs.c.id == job).values(options=dump({**json.loads(known), **said})))

    def add_trained(self, artifact: Artifact, model: str, provenance: Mapping[str, Any]) -> None:
        """Write a trained version down as a run of its model.

        Raises:
            RequestError: a run of that name has other files.
            SettingsError: it is another model's.
        """
        self.remember_run(artifact.version, model)
        with self.database.write() as db:
            run = self.run_id(db, artifact.version, model)
            row = db.execute(select(model_runs).where(model_runs.c.id == run)).one()
            known = json.loads(row.artifact) if row.artifact else None
            if known is not None and known["sha256"] != artifact.sha256:
                raise RequestError(
                    f"the version {artifact.version!r} exists, trained into other files.",
                    hint="Let `fit` return a name of its own for each training, or None.",
                )
            db.execute(
                update(model_runs)
                .where(model_runs.c.id == run)
                .values(
                    artifact=dump(artifact.as_json()),
                    provenance=dump({**json.loads(row.provenance), **provenance}),
                    updated_at=self.now(),
                )
            )

    def trained(self, model: str) -> list[Artifact]:
        """The trained versions of a model, the newest first."""
        query = (
            select(model_runs.c.artifact)
            .join(models, models.c.id == model_runs.c.model_id)
            .where(models.c.name == model, model_runs.c.artifact.is_not(None))
        )
        with self.database.read() as db:
            found = [Artifact(**json.loads(row)) for row in db.execute(query).scalars()]
        return sorted(found, key=lambda one: one.trained_at, reverse=True)

    def to_serve(self, model: str, *, shadow: bool) -> Artifact | None:
        """The trained version that a process serves; None: the model as it is before any training.

        That is the promoted run, else the newest one; in ``shadow`` the newest one that is not promoted.
        """
        query = (
            select(model_runs.c.name)
            .join(models, models.c.id == model_runs.c.model_id)
            .where(models.c.name == model, model_runs.c.stage == "promoted")
        )
        with self.database.read() as db:
            promoted = db.execute(query).scalar()
        found = self.trained(model)
        if shadow:
            return next((one for one in found if one.version != promoted), None)
        if promoted is not None:
            return next((one for one in found if one.version == promoted), None)
        return found[0] if found else None

    def unpredicted(self, connection: Connection, tasks: Collection[int]) -> set[int]:
        """Of these tasks (ids, at most some thousands), those of which no version of the model has said anything."""
        row = predictions.c
        query = select(row.task).where(
            row.connection_id == connection.id, row.task.in_(list(tasks)), row.state.in_(SAID)
        )
        with self.database.read() as db:
            return set(tasks) - set(db.execute(query).scalars())
