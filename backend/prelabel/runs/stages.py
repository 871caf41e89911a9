"""Which of a model's runs people see: candidate, shadow, promoted; and what that does to predictions that wait.

A run is *hidden* when it is a shadow, or when another run of its model is promoted. What a hidden run predicts stays in
the ledger as ``shadow`` instead of ``pending``; as soon as the run is shown, the push lane sends it, and no model is
asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlalchemy.engine import Connection as Db
from sqlalchemy.sql.elements import ColumnElement

from prelabel.errors import NotFoundError, RequestError
from prelabel.runs.held import Stage
from prelabel.runs.rows import Connection
from prelabel.runs.store import Store
from prelabel.runs.tables import connections, model_runs, models, predictions


@dataclass(frozen=True, slots=True)
class Standing:
    """How a version stands among its model's: its own stage, and the version that is promoted, if one is."""

    version: str
    stage: Stage
    promoted: str | None

    @property
    def hidden(self) -> bool:
        """Whether people do not see what it predicts."""
        return self.stage == "shadow" or self.promoted not in {None, self.version}

    @property
    def sentence(self) -> str:
        """What a person should know of a hidden version."""
        why = f"{self.promoted} is what people see" if self.promoted else "it is a shadow"
        return (
            f"{self.version} predicts in shadow: {why}. Its predictions wait in the registry. "
            f"Show it: prelabel runs promote {self.version}"
        )

    @property
    def shown(self) -> str:
        """The version that ``/setup`` reports where this one is served."""
        return self.promoted or self.version


class Stages(Store):
    """Stages of runs, and the ledger's rows that wait for them."""

    def standing_of(self, version: str) -> Standing:
        """How a version stands now. One that the registry does not know is a candidate."""
        other = model_runs.alias()
        promoted = (
            select(other.c.name)
            .where(other.c.model_id == model_runs.c.model_id, other.c.stage == "promoted")
            .limit(1)
            .scalar_subquery()
        )
        query = select(model_runs.c.stage, promoted.label("promoted")).where(model_runs.c.name == version)
        with self.database.read() as db:
            row = db.execute(query).first()
        return Standing(version, row.stage, row.promoted) if row is not None else Standing(version, "candidate", None)

    @staticmethod
    def hidden_in(db: Db, version: str) -> bool:
        """Whether a version is hidden, inside a transaction."""
        return db.execute(select(model_runs.c.id).where(model_runs.c.name == version, _hidden())).first() is not None

    def settle_stages(self, version: str) -> None:
        """Let what waits of the version's model agree with the stages.

        Every change of a stage does so; this is for what was written at that very moment.
        """
        with self.database.write() as db:
            settle(db, _model_of(version), self.now())

    def enter(self, version: str, model: str, *, shadow: bool) -> Standing:
        """Write down that ``version`` of ``model`` begins to predict; ``shadow``: without being shown.

        Raises:
            SettingsError: another model has the same version.
        """
        self.remember_run(version, model)
        if shadow:
            self.put_in_shadow(version)
        return self.standing_of(version)

    def put_in_shadow(self, version: str) -> bool:
        """Let a candidate predict without being shown; False: it is promoted, and stays so."""
        with self.database.write() as db:
            db.execute(
                update(model_runs)
                .where(model_runs.c.name == version, model_runs.c.stage == "candidate")
                .values(stage="shadow", updated_at=self.now())
            )
            settle(db, _model_of(version), self.now())
        return self.standing_of(version).stage == "shadow"

    def promote(self, version: str) -> None:
        """Show a version, and no other of its model.

        At the first promotion, the newest other version that people have seen counts as promoted before, so that
        `roll_back` finds it.

        Raises:
            NotFoundError: there is no such run.
        """
        now = self.now()
        with self.database.write() as db:
            model = _model_of(version)
            if (before := _seen_before(db, model, version)) is not None:
                db.execute(update(model_runs).where(model_runs.c.id == before).values(promoted_at=now - 1e-3))
            _change(db, version, stage="promoted", promoted_at=now, updated_at=now)
            db.execute(
                update(model_runs)
                .where(model_runs.c.model_id == model, model_runs.c.stage == "promoted", model_runs.c.name != version)
                .values(stage="candidate", updated_at=now)
            )
            settle(db, model, now)

    def roll_back(self, model: str) -> str:
        """Promote the run that was promoted before the one that is; returns its name.

        Rolling back twice goes back two promotions.

        Raises:
            NotFoundError: there is no such model.
            RequestError: no other run of it was ever promoted.
        """
        now = self.now()
        with self.database.write() as db:
            number = db.execute(select(models.c.id).where(models.c.name == model)).scalar()
            if number is None:
                raise NotFoundError(f"there is no model {model!r}.", hint="`prelabel runs` lists models and runs.")
            ever = select(model_runs).where(model_runs.c.model_id == number, model_runs.c.promoted_at.is_not(None))
            rows = db.execute(ever.order_by(model_runs.c.promoted_at.desc(), model_runs.c.id.desc())).all()
            before = next((row for row in rows if row.stage != "promoted"), None)
            if before is None:
                raise RequestError(
                    f"no other run of {model!r} was promoted before.",
                    hint="Promote the run that is to be shown: `prelabel runs promote RUN`.",
                )
            for row in rows:
                if row.stage == "promoted":
                    db.execute(
                        update(model_runs)
                        .where(model_runs.c.id == row.id)
                        .values(stage="candidate", promoted_at=None, updated_at=now)
                    )
            db.execute(update(model_runs).where(model_runs.c.id == before.id).values(stage="promoted", updated_at=now))
            settle(db, number, now)
        return str(before.name)

    def demote(self, version: str) -> None:
        """Make a run a candidate again. With no run promoted, the served version is shown.

        Raises:
            NotFoundError: there is no such run.
        """
        now = self.now()
        with self.database.write() as db:
            _change(db, version, stage="candidate", promoted_at=None, updated_at=now)
            settle(db, _model_of(version), now)

    def model_connections(self, version: str) -> list[Connection]:
        """The projects that the model of a version is connected to."""
        query = select(models.c.name).join(model_runs, model_runs.c.model_id == models.c.id)
        with self.database.read() as db:
            model = db.execute(query.where(model_runs.c.name == version)).scalar()
        return [one for one in self.connections(model) if one.connected and one.label_config] if model else []


def _model_of(version: str) -> Any:
    return select(model_runs.c.model_id).where(model_runs.c.name == version).scalar_subquery()


def _change(db: Db, version: str, **values: Any) -> None:
    """Change a run.

    Raises:
        NotFoundError: there is none of that name.
    """
    if not db.execute(update(model_runs).where(model_runs.c.name == version).values(**values)).rowcount:
        raise NotFoundError(f"there is no model run {version!r}.", hint="`prelabel runs` lists them.")


def _seen_before(db: Db, model: Any, version: str) -> int | None:
    """The newest other run with predictions in Label Studio, where none of the model was ever promoted."""
    ours = model_runs.c.model_id == model
    if db.execute(select(model_runs.c.id).where(ours, model_runs.c.promoted_at.is_not(None)).limit(1)).first():
        return None
    row = predictions.c
    stored = select(row.id).where(row.run_id == model_runs.c.id, row.state.in_(("stored", "answered"))).exists()
    others = select(model_runs.c.id).where(
        ours, model_runs.c.name != version, model_runs.c.stage == "candidate", stored
    )
    return db.execute(others.order_by(model_runs.c.id.desc()).limit(1)).scalar()


def _hidden() -> ColumnElement[bool]:
    """Of a row of `model_runs`: whether people do not see what the run predicts."""
    other = model_runs.alias()
    taken = select(other.c.id).where(other.c.model_id == model_runs.c.model_id, other.c.stage == "promoted").exists()
    return or_(model_runs.c.stage == "shadow", and_(model_runs.c.stage != "promoted", taken))


def settle(db: Db, model: Any, now: float) -> None:
    """Let what waits of a model (its number) agree with the stages; what may be on its way already is left."""
    ours = select(model_runs.c.id).where(model_runs.c.model_id == model)
    row = predictions.c
    places = row.connection_id.in_(select(connections.c.id).where(connections.c.model_id == model))  # for the index
    db.execute(
        update(predictions)
        .where(places, row.run_id.in_(ours.where(~_hidden())), row.state == "shadow")
        .values(state="pending", updated_at=now)
    )
    db.execute(
        update(predictions)
        .where(places, row.run_id.in_(ours.where(_hidden())), row.state == "pending", row.verify.is_(False))
        .values(state="shadow", updated_at=now)
    )
