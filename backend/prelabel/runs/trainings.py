"""Trained versions and trainings in the registry: one at a time for a project, and what to serve after it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import func, select, update

from prelabel.artifacts import Artifact
from prelabel.errors import RequestError
from prelabel.runs.jobtable import JobTable
from prelabel.runs.rows import ACTIVE_JOBS, Connection, dump
from prelabel.runs.stages import Stages
from prelabel.runs.tables import connections, jobs, model_runs, models, predictions

TRAIN_JOB = "train"
LOOKED_AT = 200
"""A project's last trainings, of which one is looked for."""
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

    def recount(self, connection: Connection, annotations: int) -> int:
        """Count anew by how many annotations Label Studio has: webhooks may be missed.

        Returns:
            How many there are since the last training began; 0 while one waits or runs.
        """
        with self.database.write() as db:
            number = self.connection_id(db, connection)
            ours = jobs.c.connection_id == number, jobs.c.kind == TRAIN_JOB
            query = select(jobs.c.state, jobs.c.options).where(*ours).order_by(jobs.c.created_at.desc())
            before = 0
            for row in db.execute(query.limit(LOOKED_AT)):
                if row.state in ACTIVE_JOBS:
                    return 0
                if (known := json.loads(row.options).get("annotations")) is not None:
                    before = int(known)
                    break
            count = max(annotations - before, 0)
            db.execute(update(connections).where(connections.c.id == number).values(annotated=count))
            return count

    def trained_until(self, connection: Connection, version: str) -> int | None:
        """The largest task id of the project when ``version`` was trained on it; None where it was not.

        Of a version that a model's own ``fit`` set, the largest that was known of then.
        """
        query = (
            select(jobs.c.options)
            .where(jobs.c.connection_id == connection.id, jobs.c.kind == TRAIN_JOB)
            .order_by(jobs.c.created_at.desc())
            .limit(LOOKED_AT)
        )
        with self.database.read() as db:
            told = (json.loads(options) for options in db.execute(query).scalars())
            trained = next((one.get("tasks_until") for one in told if one.get("version") == version), None)
            provenance = db.execute(select(model_runs.c.provenance).where(model_runs.c.name == version)).scalar()
        if trained is not None or provenance is None:
            return trained
        known: int | None = json.loads(provenance).get("tasks_until", {}).get(str(connection.id))
        return known

    def newest_known(self, model: str) -> dict[str, int]:
        """The largest task id that the ledger has of a model's projects, by the connection's number as text."""
        row = predictions.c
        ours = select(connections.c.id).join(models, models.c.id == connections.c.model_id)
        query = (
            select(row.connection_id, func.max(row.task))
            .where(row.connection_id.in_(ours.where(models.c.name == model)))
            .group_by(row.connection_id)
        )
        with self.database.read() as db:
            return {str(connection): task for connection, task in db.execute(query)}

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

    def was_trained(self, version: str) -> bool:
        """Whether a version was learnt from annotations: in a training, or by a model that learns from events."""
        query = select(model_runs.c.artifact, model_runs.c.provenance).where(model_runs.c.name == version)
        with self.database.read() as db:
            row = db.execute(query).first()
        return row is not None and (row.artifact is not None or "trained_from" in json.loads(row.provenance))

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
