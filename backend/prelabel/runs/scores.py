"""A run's metrics: matches kept up to date for the data rows that changed, counts made from what is stored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.engine import Connection as Db

from prelabel.errors import PrelabelError
from prelabel.labelbox.ontology import ClassificationNode, Ontology
from prelabel.labeling import LabelingConfig, parse
from prelabel.metrics.instances import Instance
from prelabel.metrics.matches import ClassKey, Matches
from prelabel.metrics.matching import match_rows
from prelabel.metrics.reading import instances_of_regions, instances_of_rows
from prelabel.metrics.summary import Average, Counts, Summary, class_names, summarize
from prelabel.runs.blocks import from_bytes, joined, to_bytes
from prelabel.runs.collecting import Collecting
from prelabel.runs.datarows import BLOCK
from prelabel.runs.held import Item, OntologyRow, Split
from prelabel.runs.items import Said
from prelabel.runs.tables import data_rows, match_blocks, run_data_rows

BLOCKS = 32
"""Blocks counted at once: some sixteen thousand data rows."""


@dataclass(frozen=True, slots=True)
class Confused:
    """How often ``annotated`` was predicted as ``predicted``; None is 'none of them'."""

    annotated: str | None
    predicted: str | None
    count: int


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """A run at one confidence and one IoU threshold, by Labelbox's rules (see `prelabel.metrics.summary.summarize`).

    Undefined is None. ``data_rows`` are those that count: predicted and labeled. ``left_out`` of these cannot be
    compared, for instance a mask at an address that nobody reads.
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

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "confidence": self.confidence,
            "iou": self.iou,
            "data_rows": self.data_rows,
            "left_out": self.left_out,
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

    def refresh_matches(self, run: int) -> int:
        """Compare again what changed since the last time; returns how many data rows that were.

        Safe beside imports and other processes: a block that was written meanwhile is done again.
        """
        instances = Instances(self.ontology_of_run(run))
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
        pairs: dict[str, tuple[list[Instance], list[Instance]]] = {}
        both_sides = sorted(row.data_row_id for row in marked if row.labeled and row.predicted)
        for said in self.said(run, numbers=both_sides) if both_sides else ():
            both = instances.of(said)
            if both is not None:
                pairs[said.data_row.uid] = both
        fresh = match_rows(pairs) if pairs else None
        if stored and fresh is not None:
            fresh = Matches.of({**stored, **fresh.rows()})
        elif stored:
            fresh = Matches.of(stored)
        with self.database.write() as db:
            standing = self._stored_at(db, run, block)
            if standing != (before[1] if before is not None else None):
                return None
            db.execute(delete(match_blocks).where(match_blocks.c.run_id == run, match_blocks.c.block == block))
            if fresh is not None:
                values = {"run_id": run, "block": block, "matches": to_bytes(fresh), "updated_at": self.now()}
                db.execute(match_blocks.insert(), [values])
            db.execute(
                update(run_data_rows)
                .where(
                    run_data_rows.c.run_id == run,
                    run_data_rows.c.data_row_id == bindparam("b_row"),
                    run_data_rows.c.changed_at == bindparam("b_at"),
                )
                .values(changed_at=None),
                [{"b_row": number, "b_at": at} for number, at in changed.items()],
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

    def matches(self, run: int, *, split: Split | None = None) -> Iterator[Matches]:
        """The stored matches of a run, some thousands of data rows at a time; row ids are the data rows' uids.

        Call `refresh_matches` first. ``split`` leaves out the others.
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
                if split is not None:
                    inside = select(data_rows.c.uid).join(run_data_rows).where(
                        run_data_rows.c.run_id == run,
                        run_data_rows.c.split == split,
                        run_data_rows.c.data_row_id.between(rows[0].block * BLOCK, (rows[-1].block + 1) * BLOCK - 1),
                    )  # fmt: skip
                    wanted = set(db.execute(inside).scalars())
            after = rows[-1].block
            found = joined([from_bytes(row.matches) for row in rows])
            if wanted is not None:
                found = Matches.of({uid: row for uid, row in found.rows().items() if uid in wanted})
            yield found

    def metrics(self, run: int, confidence: float = 0.5, iou: float = 0.5, *, split: Split | None = None) -> RunMetrics:
        """Counts of a run at these thresholds, from what is stored; memory does not grow with the run."""
        totals = _Totals(confidence, iou)
        for matches in self.matches(run, split=split):
            # rows are stored only where both sides are known, also where one of them said nothing
            totals.add(summarize(matches, confidence, iou, all_rows=True), matches.columns.classes)
        inside = select(func.count()).where(
            run_data_rows.c.run_id == run, run_data_rows.c.labeled.is_(True), run_data_rows.c.predicted.is_(True)
        )
        if split is not None:
            inside = inside.where(run_data_rows.c.split == split)
        with self.database.read() as db:
            both = int(db.execute(inside).scalar_one())
        return replace(totals.metrics(), left_out=max(both - totals.rows, 0))


@dataclass(slots=True)
class _Class:
    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int | None = None
    iou: float = 0.0
    rows: int = 0

    def counts(self) -> Counts:
        return Counts(self.tp, self.fp, self.fn, self.tn, self.iou / self.rows if self.rows else None)


@dataclass(slots=True)
class _Totals:
    """Summaries of parts of a run, added up."""

    confidence: float
    iou: float
    rows: int = 0
    iou_sum: float = 0.0
    iou_rows: int = 0
    classes: dict[ClassKey, _Class] = field(default_factory=dict)
    confusion: dict[tuple[ClassKey | None, ClassKey | None], int] = field(default_factory=dict)

    def add(self, part: Summary, keys: Sequence[ClassKey]) -> None:
        self.rows += int(part.counted.rows.sum())
        of_name = dict(zip(part.names, keys, strict=True))
        often: dict[int, int] = {}
        for cls in part.counted.cells.cls.tolist():
            often[cls] = often.get(cls, 0) + 1
        for place, (name, counts) in enumerate(part.classes.items()):
            total = self.classes.setdefault(of_name[name], _Class())
            total.tp += counts.tp
            total.fp += counts.fp
            total.fn += counts.fn
            if counts.tn is not None:
                total.tn = (total.tn or 0) + counts.tn
            if counts.iou is not None and not math.isnan(counts.iou):
                total.iou += counts.iou * often.get(place, 0)
                total.rows += often.get(place, 0)
        known = sum(1 for one in part.rows.values() if one.iou is not None)
        if part.run.iou is not None:
            self.iou_sum += part.run.iou * known
            self.iou_rows += known
        for cell in part.confusion:
            key = (of_name.get(cell.annotated or ""), of_name.get(cell.predicted or ""))
            self.confusion[key] = self.confusion.get(key, 0) + cell.count

    def metrics(self) -> RunMetrics:
        keys = sorted(self.classes)
        names = dict(zip(keys, class_names(keys), strict=True))
        classes = {names[key]: self.classes[key].counts() for key in keys}
        known = [counts.tn for counts in classes.values() if counts.tn is not None]
        run = Counts(
            sum(counts.tp for counts in classes.values()),
            sum(counts.fp for counts in classes.values()),
            sum(counts.fn for counts in classes.values()),
            sum(known) if known else None,
            self.iou_sum / self.iou_rows if self.iou_rows else None,
        )
        cells = [
            Confused(names[a] if a is not None else None, names[p] if p is not None else None, count)
            for (a, p), count in self.confusion.items()
        ]
        return RunMetrics(
            self.confidence,
            self.iou,
            self.rows,
            run,
            Average(run.precision, run.recall, run.f1),
            Average(
                *(_mean([getattr(one, what) for one in classes.values()]) for what in ("precision", "recall", "f1"))
            ),
            classes,
            tuple(sorted(cells, key=lambda cell: (cell.annotated is None, cell.annotated or "", cell.predicted or ""))),
        )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


class Instances:
    """What was said of data rows, as things that can be compared. One ontology's."""

    def __init__(self, ontology: OntologyRow | None) -> None:
        self.config: LabelingConfig | None = None
        self.names: dict[str, str] = {}
        if ontology is not None:
            self.names = schema_names(Ontology.from_json(ontology.body))
            self.config = parse(ontology.label_config) if ontology.label_config else None

    def of(self, said: Said) -> tuple[list[Instance], list[Instance]] | None:
        """Predictions and annotations of a data row; None where one side is not known or cannot be compared."""
        if not (said.labeled and said.predicted):
            return None
        try:
            return (
                self.of_items(said.predictions, said.data_row.media_type),
                self.of_items(said.annotations, said.data_row.media_type),
            )
        except PrelabelError:
            return None

    def of_items(self, items: Sequence[Item], asset: str = "") -> list[Instance]:
        """Items of one side of one data row.

        Raises:
            DataError: one cannot be compared: a mask at an address, a region that lacks what its type needs.
        """
        rows = [self._named(item.body) for item in items if item.form == "labelbox"]
        regions = [region for item in items if item.form == "labelstudio" for region in item.body]
        found = instances_of_rows(rows, asset=asset or None) if rows else []
        return found + (instances_of_regions(regions, config=self.config) if regions else [])

    def _named(self, body: Any) -> Any:
        """The same body with the names that the ontology has for its schema ids."""
        if not self.names:
            return body
        if isinstance(body, dict):
            named = {key: self._named(value) for key, value in body.items()} if _holds_schema(body) else body
            if "schemaId" in named and "name" not in named and named["schemaId"] in self.names:
                named = {**named, "name": self.names[named["schemaId"]]}
            return named
        if isinstance(body, list):
            return [self._named(value) for value in body]
        return body


def _holds_schema(body: Mapping[str, Any]) -> bool:
    return "schemaId" in body or "answer" in body or "classifications" in body or "segments" in body


def schema_names(ontology: Ontology) -> dict[str, str]:
    """Names of all tools, questions and options by their feature schema ids."""
    found: dict[str, str] = {}

    def take(questions: Sequence[ClassificationNode]) -> None:
        for node in questions:
            found[node.schema_id] = node.name
            for option in node.options:
                found[option.schema_id] = option.value
                take(option.questions)

    for tool in ontology.tools:
        found[tool.schema_id] = tool.name
        take(tool.questions)
    take(ontology.classifications)
    found.pop("", None)
    return found
