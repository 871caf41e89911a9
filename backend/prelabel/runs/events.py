"""Events of Label Studio that a model is to learn from: on disk until its ``fit`` has returned."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.engine import Row

from prelabel.errors import OverloadedError
from prelabel.runs.database import Database
from prelabel.runs.rows import dump
from prelabel.runs.store import Store
from prelabel.runs.tables import model_events

MOST_WAITING = 10_000
"""Events of a model that wait at most; what comes then is refused."""
KEPT_FAILED = 100
"""Failed events of a model that are kept, the last ones."""
TRIES = 3
"""How often an event may be begun: one that ended the process so often is given up."""


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """An event. ``error`` is why the model could not learn from it; None: it waits."""

    id: int
    model: str
    project: str
    event: str
    body: Mapping[str, Any] = field(hash=False, repr=False)
    received_at: float
    attempts: int
    error: str | None = None


class Events(Store):
    """The ledger's part that a model of `label_studio_ml` learns from."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.heard = threading.Event()
        """Set when an event was written in this process."""

    def hear(self, model: str, project: str, event: str, body: Mapping[str, Any]) -> int:
        """Write an event down, at the end of those that wait; it is on disk when this returns. Its number.

        Raises:
            OverloadedError: too many wait.
        """
        row = model_events.c
        with self.database.write() as db:
            waiting = db.execute(select(func.count()).where(row.model == model, row.failed_at.is_(None))).scalar_one()
            if waiting >= MOST_WAITING:
                raise OverloadedError(
                    f"{waiting} events wait for {model} to learn from them.",
                    hint="Its fit takes longer than people need to annotate; this one is not kept.",
                )
            values = {"model": model, "project": project, "event": event, "body": dump(dict(body))}
            written = db.execute(
                model_events.insert().values(**values, received_at=self.now()).returning(row.id)
            ).scalar_one()
        self.heard.set()
        return int(written)

    def next_event(self, model: str) -> ModelEvent | None:
        """The event that has waited longest, from now on begun; None where none waits.

        One that was begun `TRIES` times before and never ended is given up: it ended the process.
        """
        row = model_events.c
        with self.database.write() as db:
            while True:
                query = (
                    select(model_events).where(row.model == model, row.failed_at.is_(None)).order_by(row.id).limit(1)
                )
                found = db.execute(query).first()
                if found is None:
                    return None
                if found.attempts < TRIES:
                    db.execute(update(model_events).where(row.id == found.id).values(attempts=found.attempts + 1))
                    return _event(found)
                self._fail(db, found.id, model, f"the process ended {found.attempts} times while the model had it")

    def learnt(self, event: int) -> None:
        """The model's ``fit`` has returned: the event goes."""
        self.withdraw(event)

    def event_failed(self, event: ModelEvent, error: str) -> None:
        """The model's ``fit`` failed: the event stays, with the reason, and holds up no other."""
        with self.database.write() as db:
            self._fail(db, event.id, event.model, error)

    def event(self, number: int) -> ModelEvent | None:
        """An event that waits, is in hand (``attempts`` > 0) or failed; None: the model has learnt from it."""
        with self.database.read() as db:
            found = db.execute(select(model_events).where(model_events.c.id == number)).first()
        return _event(found) if found is not None else None

    def withdraw(self, number: int) -> None:
        """Nobody wants the event any more; a model that has it in hand goes on."""
        with self.database.write() as db:
            db.execute(delete(model_events).where(model_events.c.id == number))

    def put_back(self, event: int) -> None:
        """The model was not asked after all: the event waits as before."""
        row = model_events.c
        with self.database.write() as db:
            db.execute(update(model_events).where(row.id == event).values(attempts=row.attempts - 1))

    def events(self, model: str, *, failed: bool = False, limit: int = 100) -> list[ModelEvent]:
        """Events of a model that wait, or failed, the oldest first."""
        row = model_events.c
        state = row.failed_at.is_not(None) if failed else row.failed_at.is_(None)
        query = select(model_events).where(row.model == model, state).order_by(row.id).limit(limit)
        with self.database.read() as db:
            return [_event(found) for found in db.execute(query)]

    def _fail(self, db: Any, event: int, model: str, error: str) -> None:
        row = model_events.c
        db.execute(update(model_events).where(row.id == event).values(failed_at=self.now(), error=error))
        kept = (
            select(row.id)
            .where(row.model == model, row.failed_at.is_not(None))
            .order_by(row.id.desc())
            .limit(KEPT_FAILED)
        )
        older = select(func.min(kept.subquery().c.id)).scalar_subquery()
        db.execute(delete(model_events).where(row.model == model, row.failed_at.is_not(None), row.id < older))


def _event(row: Row[Any]) -> ModelEvent:
    return ModelEvent(
        id=row.id,
        model=row.model,
        project=row.project,
        event=row.event,
        body=json.loads(row.body),
        received_at=row.received_at,
        attempts=row.attempts,
        error=row.error,
    )
