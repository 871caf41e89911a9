"""What was chosen to be labeled next, round by round, and which strategy chose it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from prelabel.runs.datarows import BATCH, batched
from prelabel.runs.embeddings import Embeddings
from prelabel.runs.tables import picks, selections

LABELED = "mislabeling"
"""The strategy that chooses among labeled data rows."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A data row (its number) that is to be labeled, and the strategy that chose it; ``place`` counts from 0."""

    data_row: int
    place: int
    arm: str
    priority: float


@dataclass(frozen=True, slots=True)
class SelectionRow:
    """One round: ``strategy`` chose ``size`` data rows among a run's unlabeled ones in a project."""

    id: int
    run_id: int
    project: int
    strategy: str
    seed: int
    size: int
    created_at: float


class Selections(Embeddings):
    """Rounds of choosing."""

    def record_selection(self, run: int, project: int, strategy: str, seed: int, chosen: Sequence[Pick]) -> int:
        """Write down a round; returns its number."""
        with self.database.write() as db:
            number = int(
                db.execute(
                    selections.insert()
                    .values(
                        run_id=run,
                        project=project,
                        strategy=strategy,
                        seed=seed,
                        size=len(chosen),
                        created_at=self.now(),
                    )
                    .returning(selections.c.id)
                ).scalar_one()
            )
            for some in batched(chosen, BATCH):
                db.execute(
                    picks.insert(),
                    [
                        {
                            "selection_id": number,
                            "data_row_id": one.data_row,
                            "place": one.place,
                            "arm": one.arm,
                            "priority": one.priority,
                        }
                        for one in some
                    ],
                )
        return number

    def selections(self, run: int) -> list[SelectionRow]:
        """A run's rounds, the oldest first."""
        query = select(selections).where(selections.c.run_id == run).order_by(selections.c.id)
        with self.database.read() as db:
            return [SelectionRow(**row._mapping) for row in db.execute(query)]

    def picks(self, run: int, selection: int | None = None) -> list[Pick]:
        """What was chosen in one round, or in all rounds of a run; a data row once, as it was chosen last."""
        query = (
            select(picks.c.data_row_id, picks.c.place, picks.c.arm, picks.c.priority)
            .join(selections, selections.c.id == picks.c.selection_id)
            .where(selections.c.run_id == run)
            .order_by(selections.c.id, picks.c.place)
        )
        if selection is not None:
            query = query.where(selections.c.id == selection)
        with self.database.read() as db:
            found = {row.data_row_id: Pick(*row) for row in db.execute(query)}
        return list(found.values())


__all__ = ["Pick", "SelectionRow", "Selections"]
