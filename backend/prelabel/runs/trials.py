"""Which rows the model has in hand: what is still marked when its process has died may be what killed it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import update

from prelabel.runs.rows import LedgerRow
from prelabel.runs.store import Store
from prelabel.runs.tables import predictions

BATCH = 500
"""Row numbers in one statement."""


class Trials(Store):
    """Marks of what is in hand."""

    def suspect(self, rows: Sequence[LedgerRow], suspicion: int) -> None:
        """Mark rows, on disk when this returns; `Ledger.record` takes the mark away, or another call of this does."""
        with self.database.write() as db:
            for some in _batches([row.id for row in rows]):
                db.execute(update(predictions).where(predictions.c.id.in_(some)).values(suspicion=suspicion))


def _batches(ids: list[int]) -> Iterable[list[int]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
