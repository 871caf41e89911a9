"""The push lane's side of the ledger: predictions that wait, and chunks on their way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import String, and_, case, cast, exists, func, literal, or_, select, update
from sqlalchemy.engine import Connection as Db
from sqlalchemy.sql.elements import ColumnElement

from prelabel.runs.leases import Leases
from prelabel.runs.rows import ACTIVE_JOBS, Chunk, ChunkRow, Waiting
from prelabel.runs.store import counted
from prelabel.runs.tables import chunks, connections, jobs, leases, model_runs, predictions

BATCH = 500
"""Row numbers in one statement."""
APART = "apart"
"""State of a chunk that no lane sends, see `prelabel.runs.taking`."""


def send_lease(instance: str, project: int) -> str:
    """Name of the lease that whoever sends a run to a project holds."""
    return f"send:{instance.rstrip('/')}:{project}"


class Outbox(Leases):
    """Chunks of pending predictions: begun before they are sent, settled after."""

    def waiting(self, instance: str) -> list[Waiting]:
        """Pending predictions of one Label Studio by project and version, those that wait longest first."""
        query = (
            select(
                predictions.c.connection_id,
                model_runs.c.name,
                counted().label("rows"),
                func.min(predictions.c.updated_at).label("oldest"),
            )
            .join(model_runs, model_runs.c.id == predictions.c.run_id)
            .where(predictions.c.connection_id.in_(_of_instance(instance)), predictions.c.state == "pending")
            .group_by(predictions.c.connection_id, model_runs.c.name)
            .order_by(func.min(predictions.c.updated_at))
        )
        with self.database.read() as db:
            found = db.execute(query).all()
        return [Waiting(self.connection_by_id(row.connection_id), row.name, row.rows, row.oldest) for row in found]

    def producing(self, instance: str) -> bool:
        """Whether more predictions are on their way: an active job has planned tasks, or is still listing them."""
        listing = exists().where(
            jobs.c.connection_id.in_(_of_instance(instance)), jobs.c.state.in_(ACTIVE_JOBS), jobs.c.listed.is_(False)
        )
        planned = exists().where(
            predictions.c.connection_id.in_(_of_instance(instance)),
            predictions.c.state == "planned",
            predictions.c.job_id == jobs.c.id,
            jobs.c.state.in_(ACTIVE_JOBS),
        )
        with self.database.read() as db:
            return bool(db.execute(select(or_(listing, planned))).scalar())

    def instances_with_work(self) -> list[str]:
        """Label Studios for which the push lane has something to do now."""
        now = self.now()
        query = (
            select(connections.c.instance)
            .distinct()
            .where(
                or_(
                    exists().where(predictions.c.connection_id == connections.c.id, predictions.c.state == "pending"),
                    exists().where(chunks.c.connection_id == connections.c.id, self._unsettled(now)),
                    exists().where(chunks.c.connection_id == connections.c.id, chunks.c.verify_at <= now),
                )
            )
        )
        with self.database.read() as db:
            return list(db.execute(query).scalars())

    # -- chunks

    def begin_chunk(self, waiting: Waiting, limit: int, max_bytes: int) -> Chunk | None:
        """Move up to ``limit`` pending predictions to ``sending`` and return them; None when none is pending.

        Once this returns, the ledger holds that they may have been sent: they are sent again only after reading back.
        """
        with self.database.write() as db:
            run = self.run_id(db, waiting.version)
            connection = waiting.connection
            sizes = db.execute(
                select(predictions.c.id, func.length(predictions.c.payload))
                .where(
                    predictions.c.connection_id == connection.id,
                    predictions.c.run_id == run,
                    predictions.c.state == "pending",
                )
                .order_by(predictions.c.task)
                .limit(limit)
            ).all()
            ids: list[int] = []
            room = max_bytes
            for row, size in sizes:
                room -= size
                if ids and room < 0:
                    break
                ids.append(row)
            if not ids:
                return None
            now = self.now()
            chunk = db.execute(
                chunks.insert()
                .values(connection_id=connection.id, run_id=run, state="sending", size=len(ids), sent_at=now, note="")
                .returning(chunks.c.id)
            ).scalar_one()
            taken = 0
            for some in _batches(ids):
                taken += db.execute(
                    update(predictions)
                    .where(predictions.c.id.in_(some), predictions.c.state == "pending")
                    .values(state="sending", chunk_id=chunk, updated_at=now)
                ).rowcount
            if not taken:
                db.execute(chunks.delete().where(chunks.c.id == chunk))
                return None
            return self._chunk(db, chunk, "sending")

    def unsettled(self, instance: str) -> list[Chunk]:
        """Chunks that were begun and never settled, oldest first; those of a sender that is at work are its own."""
        query = (
            select(chunks.c.id)
            .join(connections, connections.c.id == chunks.c.connection_id)
            .where(connections.c.instance == instance.rstrip("/"), self._unsettled(self.now()))
        )
        with self.database.read() as db:
            ids = list(db.execute(query.order_by(chunks.c.id)).scalars())
            return [self._chunk(db, chunk, "sending") for chunk in ids]

    def settle(
        self,
        chunk: Chunk,
        *,
        stored: Collection[int] = (),
        refused: Mapping[int, str] | None = None,
        gone: Collection[int] = (),
        release: Collection[int] = (),
        doubtful: bool = False,
        verify_at: float | None = None,
        note: str = "",
    ) -> int:
        """Write down what became of a chunk's rows (numbers of `ChunkRow.id`), all in one transaction.

        ``release`` makes rows pending again; ``doubtful`` says that a copy of them may yet appear. Of rows that were
        taken to be sent past the lane and have no prediction of their own, those with data are planned, and the others
        are forgotten. The chunk is closed when none of its rows is left in ``sending``. Returns how many are left.
        """
        now = self.now()
        with self.database.write() as db:
            self._move(db, chunk.id, stored, state="stored", error=None, updated_at=now)
            self._move(db, chunk.id, gone, state="gone", error="the task was deleted", updated_at=now)
            for row, reason in (refused or {}).items():
                self._move(db, chunk.id, [row], state="refused", error=reason, updated_at=now)
            again: dict[str, Any] = {"verify": True} if doubtful else {}
            waits = case((predictions.c.payload.is_(None), "planned"), else_="pending")
            self._forget(db, chunk.id, release)
            self._move(db, chunk.id, release, state=waits, updated_at=now, **again)
            left = db.execute(
                select(counted()).where(predictions.c.chunk_id == chunk.id, predictions.c.state == "sending")
            ).scalar_one()
            closing: dict[str, Any] = {} if left else {"state": "settled", "finished_at": now}
            if verify_at is not None:
                closing["verify_at"] = verify_at
            if note:
                closing["note"] = note
            if closing:
                db.execute(update(chunks).where(chunks.c.id == chunk.id).values(**closing))
            return left

    def to_verify(self, instance: str) -> list[Chunk]:
        """Settled chunks whose stored rows are to be looked at once more now."""
        query = select(chunks.c.id).where(
            chunks.c.connection_id.in_(_of_instance(instance)), chunks.c.verify_at <= self.now()
        )
        with self.database.read() as db:
            ids = list(db.execute(query.order_by(chunks.c.id)).scalars())
            return [self._chunk(db, chunk, "stored") for chunk in ids]

    def verified(self, chunk: Chunk) -> None:
        """The chunk needs no further look."""
        with self.database.write() as db:
            db.execute(update(chunks).where(chunks.c.id == chunk.id).values(verify_at=None))

    def next_due(self, instance: str) -> float | None:
        """Registry time at which the lane has to look at something again although nothing new comes."""
        query = select(func.min(chunks.c.verify_at)).where(chunks.c.connection_id.in_(_of_instance(instance)))
        with self.database.read() as db:
            return db.execute(query).scalar()

    # -- inside a transaction

    def _chunk(self, db: Db, chunk_id: int, state: str) -> Chunk:
        head = db.execute(
            select(chunks, model_runs.c.name.label("version"))
            .join(model_runs, model_runs.c.id == chunks.c.run_id)
            .where(chunks.c.id == chunk_id)
        ).one()
        rows = db.execute(
            select(predictions.c.id, predictions.c.task, predictions.c.payload, predictions.c.verify)
            .where(predictions.c.chunk_id == chunk_id, predictions.c.state == state)
            .order_by(predictions.c.task)
        ).all()
        return Chunk(
            id=chunk_id,
            connection=self.connection_in(db, head.connection_id),
            version=head.version,
            sent_at=head.sent_at,
            rows=tuple(ChunkRow(row.id, row.task, row.payload or "", row.verify) for row in rows),
        )

    @staticmethod
    def _unsettled(now: float) -> ColumnElement[bool]:
        """Of a chunk of `connections`: whether nobody is at work on it but, perhaps, the lane."""
        name = literal("send:") + connections.c.instance + ":" + cast(connections.c.project, String)
        sending = exists().where(leases.c.name == name, leases.c.until >= now)
        return or_(chunks.c.state == "sending", and_(chunks.c.state == APART, ~sending))

    @staticmethod
    def _forget(db: Db, chunk: int, ids: Collection[int]) -> None:
        """Delete those of a chunk's rows of which nothing is known."""
        row = predictions.c
        nothing = and_(row.chunk_id == chunk, row.state == "sending", row.payload.is_(None), row.data.is_(None))
        for some in _batches(list(ids)):
            db.execute(predictions.delete().where(nothing, row.id.in_(some)))

    @staticmethod
    def _move(db: Db, chunk: int, ids: Collection[int], **values: Any) -> None:
        ours: ColumnElement[bool] = and_(predictions.c.chunk_id == chunk, predictions.c.state == "sending")
        for some in _batches(list(ids)):
            db.execute(update(predictions).where(ours, predictions.c.id.in_(some)).values(**values))


def _of_instance(instance: str) -> Any:
    return select(connections.c.id).where(connections.c.instance == instance.rstrip("/")).scalar_subquery()


def _batches(ids: list[int]) -> Iterable[list[int]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
