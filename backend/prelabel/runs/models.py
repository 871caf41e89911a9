"""Models, their ontologies and their runs: made, found, changed, promoted, deleted."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import delete, select, update
from sqlalchemy.engine import Connection as Db
from sqlalchemy.engine import Row

from prelabel.errors import NotFoundError, RequestError
from prelabel.runs.held import STATUSES, ModelRow, OntologyRow, RunRow, Stage, Status
from prelabel.runs.rows import dump
from prelabel.runs.stages import Stages
from prelabel.runs.tables import (
    chunks,
    connections,
    import_statuses,
    imports,
    jobs,
    match_blocks,
    metric_rows,
    model_runs,
    models,
    ontologies,
    predictions,
    run_data_rows,
    run_items,
)


class Models(Stages):
    """What has a name in the registry."""

    # -- ontologies

    def add_ontology(self, body: Mapping[str, Any], label_config: str, name: str = "") -> OntologyRow:
        """Write an ontology down: Labelbox's JSON and the labeling config that stands for it."""
        values = {"uid": new_uid(), "name": name, "body": dump(dict(body)), "label_config": label_config}
        with self.database.write() as db:
            db.execute(ontologies.insert().values(**values, created_at=self.now()))
        return self.ontology(values["uid"])

    def ontology(self, key: int | str) -> OntologyRow:
        """The ontology with that number or uid.

        Raises:
            NotFoundError: there is none.
        """
        where = ontologies.c.id == key if isinstance(key, int) else ontologies.c.uid == key
        with self.database.read() as db:
            row = db.execute(select(ontologies).where(where)).first()
        if row is None:
            raise NotFoundError(f"there is no ontology {key!r}.", hint="Make it with `create_ontology`.")
        return OntologyRow(row.id, row.uid, row.name, json.loads(row.body), row.label_config)

    # -- models

    def add_model(self, name: str, ontology: int | None) -> ModelRow:
        """A model of that name; one that is there without an ontology gets this one.

        Raises:
            RequestError: there is such a model, with another ontology.
        """
        with self.database.write() as db:
            model = self.model_id(db, name)
            known = db.execute(select(models.c.ontology_id).where(models.c.id == model)).scalar_one()
            if known is not None and known != ontology:
                raise RequestError(
                    f"there is a model {name!r} already, with another ontology.",
                    hint="Take it with `get_model`, or give the new one another name.",
                )
            db.execute(update(models).where(models.c.id == model).values(ontology_id=ontology))
        return self.model(name)

    def model(self, name: str) -> ModelRow:
        """The model of that name.

        Raises:
            NotFoundError: there is none.
        """
        with self.database.read() as db:
            row = db.execute(select(models).where(models.c.name == name)).first()
        if row is None:
            raise NotFoundError(
                f"there is no model {name!r}.", hint="`prelabel runs` lists them, `client.models()` in Python."
            )
        return ModelRow(row.id, row.name, row.created_at, row.ontology_id)

    def models(self) -> list[ModelRow]:
        """All models by name."""
        with self.database.read() as db:
            found = db.execute(select(models).order_by(models.c.name)).all()
        return [ModelRow(row.id, row.name, row.created_at, row.ontology_id) for row in found]

    def ontology_of_run(self, run: int) -> OntologyRow | None:
        """The ontology of a run's model; None where it has none."""
        query = (
            select(models.c.ontology_id)
            .join(model_runs, model_runs.c.model_id == models.c.id)
            .where(model_runs.c.id == run)
        )
        with self.database.read() as db:
            found = db.execute(query).scalar()
        return self.ontology(int(found)) if found is not None else None

    # -- runs

    def add_run(
        self,
        model: str,
        name: str,
        *,
        config: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
        stage: Stage = "candidate",
    ) -> RunRow:
        """A new run. Its name is its version in Label Studio, so it is the only one of the registry.

        Raises:
            RequestError: there is a run of that name.
        """
        now = self.now()
        values = {
            "name": name,
            "created_at": now,
            "updated_at": now,
            "config": dump(dict(config or {})),
            "provenance": dump(dict(provenance or {})),
            "stage": stage,
        }
        with self.database.write() as db:
            statement = self.insert(model_runs).values(**values, model_id=self.model_id(db, model))
            made = db.execute(statement.on_conflict_do_nothing().returning(model_runs.c.id)).scalar()
        if made is None:
            raise RequestError(
                f"the name {name!r} is taken: a run of the model {self.run(name).model!r} has it.",
                hint="A run's name is its model version in Label Studio; take another, such as "
                f"{model}-{name}, or the run itself with `get_model_run`.",
            )
        return self.run(name)

    def run(self, key: int | str) -> RunRow:
        """The run with that number or name.

        Raises:
            NotFoundError: there is none.
        """
        where = model_runs.c.id == key if isinstance(key, int) else model_runs.c.name == key
        with self.database.read() as db:
            row = db.execute(_runs_select().where(where)).first()
        if row is None:
            raise NotFoundError(
                f"there is no model run {key!r}.", hint="`prelabel runs` lists them, `client.model_runs()` in Python."
            )
        return _run(row)

    def runs(self, model: str | None = None) -> list[RunRow]:
        """All runs, or those of one model, the newest first."""
        query = _runs_select().order_by(model_runs.c.id.desc())
        if model is not None:
            query = query.where(models.c.name == model)
        with self.database.read() as db:
            return [_run(row) for row in db.execute(query)]

    def change_run(
        self,
        run: int,
        *,
        status: Status | None = None,
        status_error: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        reset_config: bool = False,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        """Change a run's fields; ``metadata``, ``config`` and ``provenance`` are merged into what is there.

        Raises:
            RequestError: the status is none of Labelbox's.
        """
        if status is not None and status not in STATUSES:
            raise RequestError(f"{status!r} is no status of a model run.", hint=f"Use one of {', '.join(STATUSES)}.")
        with self.database.write() as db:
            query = select(model_runs).where(model_runs.c.id == run)
            row = db.execute(query if self.database.is_sqlite else query.with_for_update()).one()
            values: dict[str, Any] = {"updated_at": self.now()}
            if status is not None:
                values |= {"status": status, "status_error": status_error}
            if metadata:
                values["metadata"] = dump({**json.loads(row.metadata), **metadata})
            if provenance:
                values["provenance"] = dump({**json.loads(row.provenance), **provenance})
            if reset_config or config:
                values["config"] = dump({**({} if reset_config else json.loads(row.config)), **(config or {})})
            db.execute(update(model_runs).where(model_runs.c.id == run).values(**values))

    def delete_model(self, model: int) -> None:
        """Delete a model with its runs.

        Raises:
            RequestError: a run is in the ledger, or the model is connected to a project.
        """
        with self.database.read() as db:
            runs = list(db.execute(select(model_runs.c.id).where(model_runs.c.model_id == model)).scalars())
            if db.execute(select(connections.c.id).where(connections.c.model_id == model).limit(1)).first():
                raise RequestError(
                    "the model is connected to a project.", hint="Served models stay; delete single runs instead."
                )
        for run in runs:
            self.delete_run(run)
        with self.database.write() as db:
            db.execute(delete(models).where(models.c.id == model))
        self._ids.clear()

    def delete_run(self, run: int) -> None:
        """Delete a run with all it holds; what its predictions became in Label Studio stays there.

        Raises:
            RequestError: workers or the server still use it: the ledger has rows or jobs of it.
        """
        with self.database.write() as db:
            if any(
                db.execute(select(table.c.id).where(table.c.run_id == run).limit(1)).first()
                for table in (predictions, jobs, chunks)
            ):
                raise RequestError(
                    "the run was predicted by workers or the server, and the ledger must remember that.",
                    hint="Delete its data rows with `delete_model_run_data_rows`, or leave it.",
                )
            _empty(db, run)
            db.execute(delete(model_runs).where(model_runs.c.id == run))
        self._ids = {key: number for key, number in self._ids.items() if number != run or key[0] != "run"}


def new_uid() -> str:
    """A new id of 25 characters, the length that Labelbox's have."""
    return "c" + os.urandom(12).hex()


def _empty(db: Db, run: int) -> None:
    ours = select(imports.c.id).where(imports.c.run_id == run)
    db.execute(delete(import_statuses).where(import_statuses.c.import_id.in_(ours)))
    for table in (imports, match_blocks, metric_rows, run_items, run_data_rows):
        db.execute(delete(table).where(table.c.run_id == run))


def _runs_select() -> Any:
    return select(model_runs, models.c.name.label("model")).join(models, models.c.id == model_runs.c.model_id)


def _run(row: Row[Any]) -> RunRow:
    fields = row._mapping
    return RunRow(
        id=row.id,
        name=row.name,
        model_id=row.model_id,
        model=row.model,
        created_at=row.created_at,
        updated_at=row.updated_at if row.updated_at is not None else row.created_at,
        config=json.loads(row.config),
        status=cast("Status | None", row.status),
        status_error=row.status_error,
        metadata=json.loads(fields["metadata"]),
        provenance=json.loads(row.provenance),
        stage=cast("Stage", row.stage),
        promoted_at=row.promoted_at,
    )
