"""What all parts of the ledger share: the database, the clock, ids of runs and connections."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection as Db
from sqlalchemy.engine import Row
from sqlalchemy.sql.expression import Insert
from sqlalchemy.sql.schema import Table

from prelabel.errors import NotFoundError, SettingsError
from prelabel.runs.database import Database
from prelabel.runs.rows import Connection, dump
from prelabel.runs.tables import connections, model_runs, models


class Store:
    """Base of the ledger's parts."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._clock_offset: float | None = None
        self._ids: dict[tuple[object, ...], int] = {}
        self._ids_lock = threading.Lock()

    def now(self) -> float:
        """The registry's time in seconds since 1970: PostgreSQL's clock for all its clients, else this machine's."""
        if self._clock_offset is None:
            self._clock_offset = 0.0
            if not self.database.is_sqlite:
                with self.database.read() as db:
                    theirs = db.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
                self._clock_offset = float(theirs) - time.time()
        return time.time() + self._clock_offset

    def insert(self, table: Table) -> Any:
        """INSERT that knows ON CONFLICT, in the dialect of the database."""
        return sqlite.insert(table) if self.database.is_sqlite else postgresql.insert(table)

    # -- connections

    def remember_project(self, connection: Connection) -> Connection:
        """Write what is known of a model's project; an empty field never overwrites a known one.

        A project stays connected. Returns what is known now, with its id.
        """
        values = {
            "instance": connection.instance.rstrip("/"),
            "project": connection.project,
            "label_config": connection.label_config,
            "token": connection.token,
            "extra_params": dump(dict(connection.extra_params)),
            "connected": connection.connected,
            "updated_at": self.now(),
        }
        kept = {
            name: values[name] for name in ("label_config", "token", "extra_params") if values[name] not in ("", "{}")
        }
        with self.database.write() as db:
            statement = self.insert(connections).values(**values, model_id=self.model_id(db, connection.model))
            written = db.execute(
                statement.on_conflict_do_update(
                    index_elements=["instance", "project", "model_id"],
                    set_={
                        **kept,
                        "connected": or_(connections.c.connected, statement.excluded.connected),
                        "updated_at": values["updated_at"],
                    },
                ).returning(connections.c.id)
            ).scalar_one()
            return self.connection_in(db, written)

    def connections(self, model: str | None = None) -> list[Connection]:
        """All known projects, or those of one model, the one heard of last first."""
        query = _connections_select()
        if model is not None:
            query = query.where(models.c.name == model)
        with self.database.read() as db:
            return [_connection(row) for row in db.execute(query)]

    def connection(self, project: int, instance: str | None = None, *, model: str | None = None) -> Connection | None:
        """What is known of a project; where Label Studio or model is not given, of the one heard of last."""
        query = _connections_select().where(connections.c.project == project)
        if instance is not None:
            query = query.where(connections.c.instance == instance.rstrip("/"))
        if model is not None:
            query = query.where(models.c.name == model)
        with self.database.read() as db:
            row = db.execute(query.limit(1)).first()
        return _connection(row) if row is not None else None

    def connection_by_id(self, connection_id: int) -> Connection:
        """The connection with the ledger's number.

        Raises:
            NotFoundError: there is none.
        """
        with self.database.read() as db:
            return self.connection_in(db, connection_id)

    @staticmethod
    def connection_in(db: Db, connection_id: int) -> Connection:
        """`connection_by_id` inside a transaction."""
        row = db.execute(_connections_select().where(connections.c.id == connection_id)).first()
        if row is None:
            raise NotFoundError(f"no project with the ledger's number {connection_id}.")
        return _connection(row)

    # -- models and their runs

    def remember_run(self, version: str, model: str) -> None:
        """Write down that ``version`` is a version of ``model``.

        Raises:
            SettingsError: another model of this registry has a version of that name.
        """
        with self.database.write() as db:
            self.run_id(db, version, model)
        owner = self.model_of(version)
        if owner != model:
            raise SettingsError(
                f"the model version {version!r} is one of the model {owner!r} already, in the same registry.",
                hint=f"Give {model!r} another --model-version, or --model-name {owner} if it is that model.",
            )

    def model_of(self, version: str) -> str:
        """Name of the model that has this version; of an unknown version what its own name says."""
        query = select(models.c.name).join(model_runs).where(model_runs.c.name == version)
        with self.database.read() as db:
            return db.execute(query).scalar() or _model_name(version)

    # -- ids that never change once they exist

    def model_id(self, db: Db, name: str) -> int:
        """Number of the model called ``name``, made when it is new."""
        cached = self._ids.get(("model", name))
        if cached is not None:
            return cached
        query = select(models.c.id).where(models.c.name == name)
        found = db.execute(query).scalar()
        if found is None:
            db.execute(self.insert(models).values(name=name, created_at=self.now()).on_conflict_do_nothing())
            return int(db.execute(query).scalar_one())
        self._ids["model", name] = found  # cached only once committed
        return int(found)

    def run_id(self, db: Db, version: str, model: str = "") -> int:
        """Number of the model run called ``version``, made when it is new."""
        cached = self._ids.get(("run", version))
        if cached is not None:
            return cached
        found = db.execute(select(model_runs.c.id).where(model_runs.c.name == version)).scalar()
        if found is None:
            values = {"model_id": self.model_id(db, model or _model_name(version)), "created_at": self.now()}
            db.execute(self.insert(model_runs).values(name=version, **values).on_conflict_do_nothing())
            return int(db.execute(select(model_runs.c.id).where(model_runs.c.name == version)).scalar_one())
        self._ids["run", version] = found
        return int(found)

    def connection_id(self, db: Db, connection: Connection) -> int:
        """Number of a model's project, made with nothing known about it when it is new."""
        if connection.id:
            return connection.id
        instance, project = connection.instance.rstrip("/"), connection.project
        model = self.model_id(db, connection.model)
        cached = self._ids.get(("connection", instance, project, model))
        if cached is not None:
            return cached
        query = select(connections.c.id).where(
            connections.c.instance == instance, connections.c.project == project, connections.c.model_id == model
        )
        found = db.execute(query).scalar()
        if found is None:
            db.execute(
                self.insert(connections)
                .values(
                    instance=instance,
                    project=project,
                    model_id=model,
                    label_config="",
                    token="",
                    extra_params="{}",
                    connected=connection.connected,
                    updated_at=self.now(),
                )
                .on_conflict_do_nothing()
            )
            return int(db.execute(query).scalar_one())
        self._ids["connection", instance, project, model] = found
        return int(found)


def counted() -> ColumnElement[int]:
    """COUNT(*)."""
    return func.count()


def _connections_select() -> Select[Any]:
    return (
        select(connections, models.c.name.label("model"))
        .join(models, models.c.id == connections.c.model_id)
        .order_by(connections.c.updated_at.desc(), connections.c.id.desc())
    )


def _connection(row: Row[Any]) -> Connection:
    return Connection(
        instance=row.instance,
        project=row.project,
        label_config=row.label_config,
        token=row.token,
        extra_params=json.loads(row.extra_params),
        id=row.id,
        model=row.model,
        connected=row.connected,
    )


def _model_name(version: str) -> str:
    head, _, tail = version.rpartition("-")
    return head if head and len(tail) == 8 and all(c in "0123456789abcdef" for c in tail) else version


__all__ = ["Insert", "Store", "counted"]
