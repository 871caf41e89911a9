"""A run's metrics: matches kept up to date for the data rows that changed, counts made from what is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, func, select, update
from sqlalchemy.engine import Connection as Db

from prelabel.metrics.matches import Matches
from prelabel.metrics.matching import Both, match_rows
from prelabel.metrics.summary import Average, Counts, summarize
from prelabel.metrics.totals import Confused, Totals
from prelabel.runs.blocks import from_bytes, joined, to_bytes
from prelabel.runs.collecting import Collecting
from prelabel.runs.datarows import BLOCK
from prelabel.runs.held import Split
from prelabel.runs.mask_images import MaskImages
from prelabel.runs.said_instances import MOST_REASONS, Instances, schema_names
from prelabel.runs.tables import data_rows, match_blocks, run_data_rows

BLOCKS = 32
"""Blocks counted at once: some sixteen thousand data rows."""


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """A run at one confidence and one IoU threshold, by Labelbox's rules (see `prelabel.metrics.summary.summarize`).

    Undefined is None. ``data_rows`` are those that count: predicted and labeled. ``left_out`` beside these cannot be
    compared, for instance because of a mask whose picture cannot be read; ``reasons`` says why of the first ten.
    """

    confidence: float
    iou: float
    data_rows: int
    run: Counts
    micro: Average
    macro: Average
    classes: Mapping[str, Counts] = field(hash=False)
    confusion: tuple[Confused, ...] = ()
    left_out: int = 0
    reasons: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "confidence": self.confidence,
            "iou": self.iou,
            "data_rows": self.data_rows,
            "left_out": self.left_out,
            "reasons": list(self.reasons),
            "run": self.run.as_json(),
            "micro": self.micro.as_json(),
            "macro": self.macro.as_json(),
            "classes": {name: counts.as_json() for name, counts in self.classes.items()},
            "confusion": [
                {"annotated": cell.annotated or "None", "predicted": cell.predicted or "None", "count": cell.count}
                for cell in self.confusion
            ],
        }


class Scores(Collecting):
    """Matches in blocks of data rows, and what is counted from them."""

    images: MaskImages | None = None
    """Fetches masks' pictures; None: those at addresses cannot be compared."""

    def instances_of_run(self, run: int) -> Instances:
        """What reads a run's items."""
        return Instances(self.ontology_of_run(run), self.images)

    def refresh_matches(self, run: int) -> int:
        """Compare again what changed since the last time; returns how many data rows that were.

        Safe beside imports and other processes: a block that was written meanwhile is done again. A data row with a
        mask whose picture cannot be had just now is tried again the next time.
        """
        instances = self.instances_of_run(run)
        done = 0
        after = -1
        while (block := self._changed_block(run, after)) is not None:
            count = self._refresh_block(run, block, instances)
            done += count or 0
            after = block if count is not None else block - 1
        return done

    def _changed_block(self, run: int, after: int) -> int | None:
        query = (
            select(run_data_rows.c.data_row_id)
            .where(
                run_data_rows.c.run_id == run,
                run_data_rows.c.changed_at.is_not(None),
                run_data_rows.c.data_row_id >= (after + 1) * BLOCK,
            )
            .order_by(run_data_rows.c.data_row_id)
            .limit(1)
        )
        with self.database.read() as db:
            found = db.execute(query).scalar()
        return None if found is None else int(found) // BLOCK

    def _refresh_block(self, run: int, block: int, instances: Instances) -> int | None:
        """How many data rows changed; None: another process wrote the block meanwhile."""
        first, last = block * BLOCK, block * BLOCK + BLOCK - 1
        ours = (run_data_rows.c.run_id == run, run_data_rows.c.data_row_id.between(first, last))
        with self.database.read() as db:
            query = (
                select(run_data_rows, data_rows.c.uid)
                .join(data_rows, data_rows.c.id == run_data_rows.c.data_row_id)
                .where(*ours, run_data_rows.c.changed_at.is_not(None))
            )
            marked = db.execute(query).all()
            before = self._stored_block(db, run, block)
        changed = {row.data_row_id: row.changed_at for row in marked}
        stored = before[0].rows() if before is not None else {}
        for row in marked:
            stored.pop(row.uid, None)
        pairs: dict[str, Both] = {}
        both_sides = sorted(row.data_row_id for row in marked if row.labeled and row.predicted)
        for said in instances.ahead(self.said(run, numbers=both_sides) if both_sides else ()):
            both = instances.of(said)
            if both is not None:
                pairs[said.data_row.uid] = both
        fresh = match_rows(pairs) if pairs else None
        if stored and fresh is not None:
            fresh = Matches.of({**stored, **fresh.rows()})
        elif stored:
            fresh = Matches.of(stored)
        done = {number: at for number, at in changed.items() if number not in instances.postponed}
        with self.database.write() as db:
            standing = self._stored_at(db, run, block)
            if standing != (before[1] if before is not None else None):
                return None
            db.execute(delete(match_blocks).where(match_blocks.c.run_id == run, match_blocks.c.block == block))
            if fresh is not None:
                values = {"run_id": run, "block": block, "matches": to_bytes(fresh), "updated_at": self.now()}
                db.execute(match_blocks.insert(), [values])
            if done:
                db.execute(
                    update(run_data_rows)
                    .where(
                        run_data_rows.c.run_id == run,
                        run_data_rows.c.data_row_id == bindparam("b_row"),
                        run_data_rows.c.changed_at == bindparam("b_at"),
                    )
                    .values(changed_at=None),
                    [{"b_row": number, "b_at": at} for number, at in done.items()],
                )
        return len(changed)

    @staticmethod
    def _stored_block(db: Db, run: int, block: int) -> tuple[Matches, float] | None:
        query = select(match_blocks.c.matches, match_blocks.c.updated_at).where(
            match_blocks.c.run_id == run, match_blocks.c.block == block
        )
        row = db.execute(query).first()
        return None if row is None else (from_bytes(row.matches), row.updated_at)

    def _stored_at(self, db: Db, run: int, block: int) -> float | None:
        query = select(match_blocks.c.updated_at).where(match_blocks.c.run_id == run, match_blocks.c.block == block)
        found = db.execute(query if self.database.is_sqlite else query.with_for_update()).scalar()
        return None if found is None else float(found)

    def matches(self, run: int, *, split: Split | None = None, among: Collection[int] = ()) -> Iterator[Matches]:
        """The stored matches of a run, some thousands of data rows at a time; row ids are the data rows' uids.

        Call `refresh_matches` first. ``split`` leaves out the others. ``among``: only data rows that these runs
        (numbers), too, compared; the split is that of the first of them.
        """
        after = -1
        while True:
            query = (
                select(match_blocks.c.block, match_blocks.c.matches)
                .where(match_blocks.c.run_id == run, match_blocks.c.block > after)
                .order_by(match_blocks.c.block)
                .limit(BLOCKS)
            )
            with self.database.read() as db:
                rows = db.execute(query).all()
                if not rows:
                    return
                wanted = None
                if split is not None or among:
                    first, last = rows[0].block * BLOCK, (rows[-1].block + 1) * BLOCK - 1
                    wanted = _inside(db, tuple(among) or (run,), split, (first, last))
            after = rows[-1].block
            found = joined([from_bytes(row.matches) for row in rows])
            if wanted is not None:
                found = Matches.of({uid: row for uid, row in found.rows().items() if uid in wanted})
            yield found

    def metrics(
        self,
        run: int,
        confidence: float = 0.5,
        iou: float = 0.5,
        *,
        split: Split | None = None,
        among: Collection[int] = (),
    ) -> RunMetrics:
        """Counts of a run at these thresholds, from what is stored; memory does not grow with the run.

        ``split`` and ``among``: see `matches`.
        """
        totals = Totals()
        for matches in self.matches(run, split=split, among=among):
            # rows are stored only where both sides are known, also where one of them said nothing
            totals.add(summarize(matches, confidence, iou, all_rows=True), matches.columns.classes)
        inside = select(func.count()).where(*_compared(run, split))
        with self.database.read() as db:
            left = 0 if among else int(db.execute(inside).scalar_one()) - totals.rows
        run_counts = totals.run()
        return RunMetrics(
            confidence,
            iou,
            totals.rows,
            run_counts,
            Average(run_counts.precision, run_counts.recall, run_counts.f1),
            totals.macro(),
            totals.classes(),
            totals.confusion(),
            max(left, 0),
            tuple(self._reasons(run, split)) if left > 0 else (),
        )

    def _reasons(self, run: int, split: Split | None) -> list[str]:
        """Why data rows are left out. What can be compared by now is compared the next time."""
        instances = self.instances_of_run(run)
        after = -1
        while len(instances.reasons) < MOST_REASONS:
            query = (
                select(run_data_rows.c.data_row_id, data_rows.c.uid)
                .join(data_rows, data_rows.c.id == run_data_rows.c.data_row_id)
                .where(*_compared(run, split), run_data_rows.c.data_row_id > after)
                .order_by(run_data_rows.c.data_row_id)
                .limit(BLOCK)
            )
            with self.database.read() as db:
                page = db.execute(query).all()
                blocks = {row.data_row_id // BLOCK for row in page}
                stored = [self._stored_block(db, run, block) for block in sorted(blocks)]
            if not page:
                break
            known = {uid for block in stored if block is not None for uid in block[0].row_ids}
            missing = [row.data_row_id for row in page if row.uid not in known]
            if missing:
                said = list(instances.ahead(self.said(run, numbers=missing)))
                better = [one.data_row.id for one in said if instances.of(one) is not None]
                with self.database.write() as db:
                    self.mark_changed(db, run, better)
            after = page[-1].data_row_id
        return instances.reasons


def _inside(db: Db, runs: Sequence[int], split: Split | None, span: tuple[int, int]) -> set[str]:
    """Uids of the data rows between two numbers that all runs compared, in this split of the first."""
    inside = select(data_rows.c.uid).where(data_rows.c.id.between(*span))
    for place, run in enumerate(runs):
        row = run_data_rows.alias()
        compared = [row.c.data_row_id == data_rows.c.id, row.c.run_id == run, row.c.predicted, row.c.labeled]
        if split is not None and place == 0:
            compared.append(row.c.split == split)
        inside = inside.where(select(row.c.data_row_id).where(*compared).exists())
    return set(db.execute(inside).scalars())


def _compared(run: int, split: Split | None) -> list[ColumnElement[bool]]:
    row = run_data_rows.c
    ours: list[ColumnElement[bool]] = [row.run_id == run, row.labeled.is_(True), row.predicted.is_(True)]
    return ours if split is None else [*ours, row.split == split]


__all__ = ["Confused", "Instances", "RunMetrics", "Scores", "schema_names"]
