"""Ledger rows of tasks whose prediction is sent past the push lane: taken before it is sent, settled after.

A row that is taken is ``sending`` in a chunk ``apart``: no lane pushes it, no live answer is given, and nothing plans
it anew. Lanes leave such a chunk alone while its sender lives: while the lease `send_lease` of its project stands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import and_, delete, not_, or_, select

from prelabel.runs.ledger import ANSWER_GRACE_S
from prelabel.runs.outbox import APART, Outbox
from prelabel.runs.rows import Chunk, Connection
from prelabel.runs.tables import chunks, predictions


class Taking(Outbox):
    """What `prelabel.push.sending` writes down about a project that its run's model is connected to."""

    def take(
        self,
        version: str,
        connection: Connection,
        contents: Mapping[int, str],
        *,
        older: Collection[int] = (),
        looked: float,
    ) -> Chunk:
        """Take the rows of tasks, made where they are new; the chunk has those that were free.

        Not free is what is being sent, in doubt, or was stored or answered too late to be seen.

        Args:
            version: the model version.
            connection: the project, as the ledger knows it.
            contents: `prelabel.runs.rows.content_hash` by task id, for new rows; the others keep theirs.
            older: tasks on which a prediction of this version stands that is to be replaced.
            looked: `now` before what stands there was looked up.
        """
        now = self.now()
        row = predictions.c
        statement = self.insert(predictions)
        new = statement.excluded
        busy = or_(
            row.state == "sending",
            and_(row.state == "pending", row.verify),
            and_(row.state == "stored", row.updated_at >= looked),
            and_(row.state == "answered", row.updated_at >= looked - ANSWER_GRACE_S),
        )
        statement = statement.on_conflict_do_update(
            index_elements=["run_id", "connection_id", "task"],
            set_={
                "state": "sending",
                "chunk_id": new.chunk_id,
                "error": None,
                "verify": or_(row.verify, new.verify),
                "updated_at": now,
            },
            where=not_(busy),
        )
        with self.database.write() as db:
            run = self.run_id(db, version, connection.model)
            place = {"run_id": run, "connection_id": connection.id}
            chunk = db.execute(
                chunks.insert()
                .values(**place, state=APART, size=len(contents), sent_at=now, note="")
                .returning(chunks.c.id)
            ).scalar_one()
            same = {**place, "state": "sending", "chunk_id": chunk, "updated_at": now}
            db.execute(
                statement,
                [
                    {**same, "task": task, "content_hash": content, "verify": task in older}
                    for task, content in sorted(contents.items())
                ],
            )
            taken = self._chunk(db, chunk, "sending")
            if not taken.rows:
                db.execute(delete(chunks).where(chunks.c.id == chunk))
            return taken

    def left_apart(self, instance: str, project: int) -> list[Chunk]:
        """Chunks that senders to a project took and never settled. Ask it with the project's lease in hand."""
        query = select(chunks.c.id, chunks.c.connection_id).where(chunks.c.state == APART).order_by(chunks.c.id)
        with self.database.read() as db:
            found = [self._chunk(db, row.id, "sending") for row in db.execute(query).all()]
        place = (instance.rstrip("/"), project)
        return [one for one in found if (one.connection.instance, one.connection.project) == place]


__all__ = ["Taking"]
