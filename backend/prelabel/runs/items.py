"""Items: single predictions and annotations of a run, written in batches and read in pages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, tuple_
from sqlalchemy.engine import Connection as Db
from sqlalchemy.engine import Row

from prelabel.errors import RequestError
from prelabel.runs.datarows import NAMED, batched, data_row_of
from prelabel.runs.held import DataRow, Form, Item, ItemPage, Role, Split
from prelabel.runs.run_rows import RunRows
from prelabel.runs.tables import data_rows, metric_rows, run_data_rows, run_items

LONGEST_UUID = 64
"""Characters of an item's key; a longer uuid is stored by its hash."""
GROUPS = 500
"""Data rows whose items are read at once."""

Order = Literal["data_row", "confidence"]


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to be written: the data row's number, and what `prelabel.runs.held.Item` says."""

    data_row: int
    uuid: str
    form: Form
    kind: str
    feature: str
    confidence: float | None
    body: str
    distribution: str | None = None


@dataclass(frozen=True, slots=True)
class NewMetric:
    """A metric row to be written; ``body`` is Labelbox's JSON."""

    data_row: int
    kind: Literal["scalar", "confusion_matrix"]
    name: str
    feature: str
    subclass: str
    body: str


@dataclass(frozen=True, slots=True)
class Said:
    """All that was said of one data row of a run."""

    data_row: DataRow
    split: Split
    labeled: bool
    predicted: bool
    predictions: tuple[Item, ...] = ()
    annotations: tuple[Item, ...] = ()


class Items(RunRows):
    """What models and people said."""

    def put_items(self, db: Db, run: int, role: Role, items: Sequence[NewItem], imported: int | None) -> None:
        """Write items inside a transaction; one with a uuid that the data row has already replaces it."""
        if not items:
            return
        now = self.now()
        statement = self.insert(run_items)
        new = statement.excluded
        changed = ("form", "kind", "feature", "confidence", "body", "distribution", "import_id", "updated_at")
        statement = statement.on_conflict_do_update(
            index_elements=["run_id", "role", "data_row_id", "uuid"], set_={name: new[name] for name in changed}
        )
        values = [
            {
                "run_id": run,
                "role": role,
                "data_row_id": item.data_row,
                "uuid": key_of(item.uuid),
                "form": item.form,
                "kind": item.kind,
                "feature": item.feature[:255],
                "confidence": item.confidence,
                "body": item.body,
                "distribution": item.distribution,
                "import_id": imported,
                "updated_at": now,
            }
            for item in items
        ]
        values.sort(key=lambda one: (one["data_row_id"], one["uuid"]))  # stable: of one uuid the last one stays
        db.execute(statement, values)

    def put_metrics(self, db: Db, run: int, rows: Sequence[NewMetric], imported: int) -> None:
        """Write metric rows inside a transaction; the same metric of a data row replaces what was there."""
        if not rows:
            return
        statement = self.insert(metric_rows)
        new = statement.excluded
        key = ["run_id", "data_row_id", "kind", "name", "feature", "subclass"]
        statement = statement.on_conflict_do_update(
            index_elements=key, set_={name: new[name] for name in ("body", "import_id", "updated_at")}
        )
        now = self.now()
        db.execute(
            statement,
            [
                {
                    "run_id": run,
                    "data_row_id": row.data_row,
                    "kind": row.kind,
                    "name": row.name[:255],
                    "feature": row.feature[:255],
                    "subclass": row.subclass[:255],
                    "body": row.body,
                    "import_id": imported,
                    "updated_at": now,
                }
                for row in rows
            ],
        )

    def drop_items(self, db: Db, run: int, role: Role, numbers: Collection[int], *, but: int | None) -> None:
        """Delete the items of data rows, but for those that the import ``but`` wrote (None: collected ones only)."""
        other: ColumnElement[bool] = run_items.c.import_id.is_(None)
        if but is not None:
            other = or_(other, run_items.c.import_id != but)
        for some in batched(numbers, NAMED):
            db.execute(
                delete(run_items).where(
                    run_items.c.run_id == run, run_items.c.role == role, run_items.c.data_row_id.in_(some), other
                )
            )

    def bodies(self, db: Db, run: int, role: Role, numbers: Collection[int]) -> dict[int, dict[str, str]]:
        """Bodies of the collected items of data rows, by uuid."""
        found: dict[int, dict[str, str]] = {}
        for some in batched(numbers, NAMED):
            query = select(run_items.c.data_row_id, run_items.c.uuid, run_items.c.body).where(
                run_items.c.run_id == run,
                run_items.c.role == role,
                run_items.c.data_row_id.in_(some),
                run_items.c.import_id.is_(None),
            )
            for number, uuid, body in db.execute(query):
                found.setdefault(number, {})[uuid] = body
        return found

    # -- reading

    def count_items(self, run: int, role: Role = "prediction") -> int:
        """How many items a run has."""
        query = select(func.count()).select_from(run_items).where(run_items.c.run_id == run, run_items.c.role == role)
        with self.database.read() as db:
            return int(db.execute(query).scalar_one())

    def items(
        self,
        run: int,
        role: Role = "prediction",
        *,
        limit: int = 100,
        after: str | None = None,
        order: Order = "data_row",
        feature: str | None = None,
        split: Split | None = None,
    ) -> ItemPage:
        """A page of items.

        Args:
            run: its number.
            role: predictions or annotations.
            limit: most items in the page.
            after: the page before's ``after``.
            order: ``data_row``, or ``confidence``: the least confident first, without those that have none.
            feature: only this class.
            split: only of data rows in this split.

        Raises:
            RequestError: ``after`` is of no page with this order.
        """
        row = run_items.c
        keys = [row.data_row_id, row.uuid] if order == "data_row" else [row.confidence, row.data_row_id, row.uuid]
        query = (
            select(run_items, data_rows.c.uid, data_rows.c.global_key)
            .join(data_rows, data_rows.c.id == row.data_row_id)
            .where(row.run_id == run, row.role == role)
            .order_by(*keys)
            .limit(limit + 1)
        )
        if order == "confidence":
            query = query.where(row.confidence.is_not(None))
        if feature is not None:
            query = query.where(row.feature == feature)
        if split is not None:
            query = query.join(
                run_data_rows,
                and_(run_data_rows.c.run_id == row.run_id, run_data_rows.c.data_row_id == row.data_row_id),
            ).where(run_data_rows.c.split == split)
        if after is not None:
            query = query.where(tuple_(*keys) > tuple_(*_cursor(after, len(keys))))
        with self.database.read() as db:
            found = db.execute(query).all()
        last = found[limit - 1] if len(found) > limit else None
        cursor = None
        if last is not None:
            parts = [last.data_row_id, last.uuid] if order == "data_row" else [
                last.confidence, last.data_row_id, last.uuid,
            ]  # fmt: skip
            cursor = json.dumps(parts)
        return ItemPage([_item(one, one.uid, one.global_key) for one in found[:limit]], cursor)

    def said(
        self,
        run: int,
        *,
        numbers: Sequence[int] | None = None,
        split: Split | None = None,
        splits: Sequence[Split] = (),
    ) -> Iterator[Said]:
        """Data rows of a run with all that was said of them, by rising number, read in batches.

        ``numbers`` (some hundreds), ``split`` or ``splits`` narrow it.
        """
        after = 0
        while True:
            query = (
                select(data_rows, run_data_rows.c.split, run_data_rows.c.labeled, run_data_rows.c.predicted)
                .join(run_data_rows, run_data_rows.c.data_row_id == data_rows.c.id)
                .where(run_data_rows.c.run_id == run, run_data_rows.c.data_row_id > after)
                .order_by(run_data_rows.c.data_row_id)
                .limit(GROUPS)
            )
            if numbers is not None:
                query = query.where(run_data_rows.c.data_row_id.in_(numbers))
            if split is not None:
                query = query.where(run_data_rows.c.split == split)
            if splits:
                query = query.where(run_data_rows.c.split.in_(splits))
            with self.database.read() as db:
                rows = db.execute(query).all()
                if not rows:
                    return
                said = self._by_row(db, run, [row.id for row in rows])
            for row in rows:
                of_row = [_item(one, row.uid, row.global_key) for one in said.get(row.id, ())]
                yield Said(
                    data_row_of(row),
                    cast("Split", row.split),
                    row.labeled,
                    row.predicted,
                    tuple(item for item in of_row if item.role == "prediction"),
                    tuple(item for item in of_row if item.role == "annotation"),
                )
            after = rows[-1].id
            if len(rows) < GROUPS:
                return

    def _by_row(self, db: Db, run: int, numbers: Sequence[int]) -> Mapping[int, list[Any]]:
        found: dict[int, list[Any]] = {}
        row = run_items.c
        query = (
            select(row.data_row_id, row.role, row.uuid, row.form, row.kind, row.feature, row.confidence, row.body)
            .add_columns(row.distribution)
            .where(row.run_id == run, row.role.in_(("prediction", "annotation")), row.data_row_id.in_(numbers))
            .order_by(row.data_row_id, row.uuid)
        )
        for one in db.execute(query):
            found.setdefault(one.data_row_id, []).append(one)
        return found

    def feature_of(self, run: int, role: Role, number: int, uuid: str) -> str | None:
        """The class of a data row's item; None where it has no such item."""
        row = run_items.c
        query = select(row.feature).where(
            row.run_id == run, row.role == role, row.data_row_id == number, row.uuid == key_of(uuid)
        )
        with self.database.read() as db:
            return db.execute(query).scalar()

    def has_metric_rows(self, run: int) -> bool:
        """Whether a run has any."""
        with self.database.read() as db:
            return (
                db.execute(select(metric_rows.c.name).where(metric_rows.c.run_id == run).limit(1)).first() is not None
            )

    def metrics_by_row(self, run: int, *, split: Split | None = None) -> Iterator[list[dict[str, Any]]]:
        """Labelbox's JSON of the metric rows of each data row that has some, read in pages."""
        row = metric_rows.c
        after = -1
        while True:
            numbers = select(row.data_row_id).distinct().where(row.run_id == run, row.data_row_id > after)
            if split is not None:
                ours = and_(run_data_rows.c.run_id == row.run_id, run_data_rows.c.data_row_id == row.data_row_id)
                numbers = numbers.join(run_data_rows, ours).where(run_data_rows.c.split == split)
            with self.database.read() as db:
                some = list(db.execute(numbers.order_by(row.data_row_id).limit(GROUPS)).scalars())
                query = select(row.data_row_id, row.body).where(row.run_id == run, row.data_row_id.in_(some))
                found: dict[int, list[dict[str, Any]]] = {}
                for number, body in db.execute(query) if some else ():
                    found.setdefault(number, []).append(json.loads(body))
            yield from found.values()
            if len(some) < GROUPS:
                return
            after = some[-1]

    def metric_bodies(self, run: int, number: int) -> list[dict[str, Any]]:
        """Labelbox's JSON of a data row's metric rows."""
        row = metric_rows.c
        query = (
            select(row.body)
            .where(row.run_id == run, row.data_row_id == number)
            .order_by(row.kind, row.name, row.feature, row.subclass)
        )
        with self.database.read() as db:
            return [json.loads(body) for body in db.execute(query).scalars()]


def key_of(uuid: str) -> str:
    """An item's key for a uuid."""
    return uuid if len(uuid) <= LONGEST_UUID else hashlib.sha256(uuid.encode()).hexdigest()


def _cursor(after: str, parts: int) -> list[Any]:
    try:
        found = json.loads(after)
    except ValueError:
        found = None
    if not isinstance(found, list) or len(found) != parts:
        raise RequestError(f"{after!r} does not name a page.", hint="Give the `after` of the page before, or none.")
    return found


def _item(row: Row[Any], uid: str, global_key: str | None) -> Item:
    return Item(
        data_row=uid,
        global_key=global_key,
        role=cast("Role", row.role),
        uuid=row.uuid,
        form=cast("Form", row.form),
        kind=row.kind,
        feature=row.feature,
        confidence=row.confidence,
        body=json.loads(row.body),
        distribution=json.loads(row.distribution) if row.distribution else None,
    )


__all__ = ["Items", "NewItem", "NewMetric", "Said", "key_of"]
