"""Saved slices: conditions on data rows under a name, one set for each model; what conditions ask of a run's rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import and_, case, delete, func, or_, select

from prelabel.analysis.conditions import parse
from prelabel.analysis.slices import READY
from prelabel.errors import NotFoundError, RequestError
from prelabel.runs.datarows import NAMED, batched, data_row_of
from prelabel.runs.held import DataRow, Split
from prelabel.runs.scores import Scores
from prelabel.runs.tables import data_rows, models, run_data_rows, run_items, slices

LONGEST_NAME = 255
"""Characters of a slice's name."""


@dataclass(frozen=True, slots=True)
class SavedSlice:
    """A condition under a name, for every run of a model."""

    model: str
    name: str
    condition: str
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class RowFacts:
    """A data row of a run without its contents."""

    id: int
    uid: str
    global_key: str | None
    media_type: str
    task: int | None
    split: Split
    labeled: bool
    metadata: Mapping[str, Any] = field(hash=False)


class Slices(Scores):
    """Slices of models."""

    def save_slice(self, model: int, name: str, condition: str) -> SavedSlice:
        """Save a condition under a name; what the model has under it is replaced.

        Raises:
            RequestError: the condition cannot be read, or a slice cannot be called that.
        """
        _refuse_name(name)
        parse(condition)
        now = self.now()
        statement = self.insert(slices).values(
            model_id=model, name=name, condition=condition, created_at=now, updated_at=now
        )
        new = statement.excluded
        with self.database.write() as db:
            db.execute(
                statement.on_conflict_do_update(
                    index_elements=["model_id", "name"],
                    set_={"condition": new.condition, "updated_at": new.updated_at},
                )
            )
        return next(one for one in self.slices(model) if one.name == name)

    def slices(self, model: int | None = None) -> list[SavedSlice]:
        """The saved slices of a model, or of all models, by name."""
        query = (
            select(slices, models.c.name.label("model"))
            .join(models, models.c.id == slices.c.model_id)
            .order_by(models.c.name, slices.c.name)
        )
        if model is not None:
            query = query.where(slices.c.model_id == model)
        with self.database.read() as db:
            return [
                SavedSlice(row.model, row.name, row.condition, row.created_at, row.updated_at)
                for row in db.execute(query)
            ]

    def delete_slice(self, model: int, name: str) -> None:
        """Delete a saved slice.

        Raises:
            RequestError: it is one that every model has.
            NotFoundError: there is none of that name.
        """
        if name in READY:
            raise RequestError(f"the slice {name!r} is ready-made and stays.")
        with self.database.write() as db:
            gone = db.execute(delete(slices).where(slices.c.model_id == model, slices.c.name == name)).rowcount
        if not gone:
            raise NotFoundError(f"there is no slice {name!r}.", hint="`slices()` lists those of a model.")

    # -- what conditions ask for

    def row_facts(self, run: int, *, limit: int = NAMED) -> Iterator[list[RowFacts]]:
        """A run's data rows without their contents by rising number, in pages."""
        row = data_rows.c
        after = 0
        while True:
            query = (
                select(row.id, row.uid, row.global_key, row.media_type, row.task, row["metadata"].label("known"))
                .add_columns(run_data_rows.c.split, run_data_rows.c.labeled)
                .join(run_data_rows, run_data_rows.c.data_row_id == row.id)
                .where(run_data_rows.c.run_id == run, run_data_rows.c.data_row_id > after)
                .order_by(run_data_rows.c.data_row_id)
                .limit(limit)
            )
            with self.database.read() as db:
                found = db.execute(query).all()
            if not found:
                return
            yield [
                RowFacts(
                    one.id, one.uid, one.global_key, one.media_type, one.task,
                    cast("Split", one.split), bool(one.labeled), json.loads(one.known),
                )
                for one in found
            ]  # fmt: skip
            after = found[-1].id

    def confidences(self, run: int, numbers: Sequence[int]) -> dict[int, tuple[float, float] | None]:
        """The lowest and highest confidence of what is predicted of these data rows, without reading it.

        None where only reading it can tell: a prediction that consists of several, each with its own confidence.
        """
        row = run_items.c
        single = or_(
            and_(row.form == "labelbox", row.body.not_like('%"classifications"%'), row.body.not_like('%"answer"%[%')),
            and_(row.form == "labelstudio", row.body.not_like("%},{%")),
        )
        sure = func.coalesce(row.confidence, 1.0)
        found: dict[int, tuple[float, float] | None] = {}
        for some in batched(numbers, NAMED):
            query = (
                select(row.data_row_id, func.min(sure), func.max(sure))
                .add_columns(func.min(case((and_(single, row.body.not_like("%[]%")), 1), else_=0)))
                .where(row.run_id == run, row.role == "prediction", row.data_row_id.in_(some))
                .group_by(row.data_row_id)
            )
            with self.database.read() as db:
                for number, lowest, highest, told in db.execute(query):
                    found[number] = (lowest, highest) if told else None
        return found

    def data_rows_at(self, numbers: Sequence[int]) -> list[DataRow]:
        """The data rows with these numbers, in their order."""
        found: dict[int, DataRow] = {}
        with self.database.read() as db:
            for some in batched(numbers, NAMED):
                for row in db.execute(select(data_rows).where(data_rows.c.id.in_(some))):
                    found[row.id] = data_row_of(row)
        return [found[number] for number in numbers if number in found]


def _refuse_name(name: str) -> None:
    """Refuse what a slice cannot be called."""
    if name in READY:
        raise RequestError(f"the slice {name!r} is ready-made and stays as it is.", hint="Take another name.")
    if not name.strip() or len(name) > LONGEST_NAME:
        raise RequestError(f"a slice's name has 1 to {LONGEST_NAME} characters.")
    try:
        parse(name)
    except RequestError:
        return
    raise RequestError(f"{name!r} is a condition itself.", hint="Take a name that cannot be read as one.")


__all__ = ["RowFacts", "SavedSlice", "Slices"]
