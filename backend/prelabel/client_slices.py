"""Slices of a run: its data rows for which a condition holds now, and conditions saved for all runs of the model."""

from __future__ import annotations

import math

from prelabel.analysis.conditions import Condition, parse, parse_order
from prelabel.analysis.slices import READY, holds
from prelabel.client_fields import RunFields
from prelabel.errors import RequestError
from prelabel.runs.held import DataRow
from prelabel.runs.row_columns import Live, Page
from prelabel.runs.slices import SavedSlice


class Slicing(RunFields):
    """A part of `prelabel.client_run.ModelRun`: live queries over its data rows."""

    def slice(
        self,
        condition: str,
        *,
        confidence: float = 0.5,
        iou: float = 0.5,
        limit: int | None = None,
        order: str | None = None,
    ) -> list[DataRow]:
        """Data rows for which a condition holds now.

        A condition that asks for metrics holds the matches of the whole run in memory; what it asks of data rows that
        are not predicted and labeled is read a page at a time.

        Args:
            condition: such as ``metadata.city == "Berlin" and fp[Cat] > 0`` (`prelabel.analysis.conditions`), or the
                name of a saved or ready-made slice (`prelabel.analysis.slices.READY`).
            confidence: predictions below it are ignored, but for the fields ``confidence`` and ``max_confidence``.
            iou: a prediction matches an annotation of its class above it.
            limit: how many at most.
            order: a number to order by, such as ``f1`` or ``fp[Cat] desc``; where it is undefined last. None: that of
                a ready-made slice, else as they came into the registry.

        Raises:
            RequestError: there is no such slice, and the condition or the order cannot be read.
        """
        wanted, usual = self._read(condition)
        order = order or usual
        by = parse_order(order) if order else None
        self._registry.collect(self.id)
        live = Live(self._registry, self.id, confidence, iou)
        chosen: list[tuple[float, int]] = []
        for rows in self._registry.row_facts(self.id):
            page = Page(live, rows)
            inside = holds(wanted, page.column, len(rows)).tolist()
            values = page.numbers(by[0]).tolist() if by is not None else [0.0] * len(rows)
            chosen.extend((value, row.id) for row, value, is_in in zip(rows, values, inside, strict=True) if is_in)
            if by is None and limit is not None and len(chosen) >= limit:
                break
        if by is not None:
            sign = -1 if by[1] else 1
            chosen.sort(key=lambda one: (math.isnan(one[0]), 0.0 if math.isnan(one[0]) else sign * one[0]))
        return self._registry.data_rows_at([number for _, number in chosen[:limit]])

    def save_slice(self, name: str, condition: str) -> SavedSlice:
        """Save a condition under a name, for all runs of the model; what is saved under it already is replaced.

        Raises:
            RequestError: the condition cannot be read, or a slice cannot be called that.
        """
        return self._registry.save_slice(self._row.model_id, name, condition)

    def slices(self) -> list[SavedSlice]:
        """The model's saved slices by name."""
        return self._registry.slices(self._row.model_id)

    def delete_slice(self, name: str) -> None:
        """Delete a saved slice of the model.

        Raises:
            RequestError: it is ready-made.
            NotFoundError: there is none of that name.
        """
        self._registry.delete_slice(self._row.model_id, name)

    def _read(self, condition: str) -> tuple[Condition, str | None]:
        """The condition that is meant, and the order that belongs to it."""
        if condition in READY:
            return parse(READY[condition].condition), READY[condition].order
        saved = {one.name: one.condition for one in self.slices()}
        try:
            return parse(saved.get(condition, condition)), None
        except RequestError as error:
            raise RequestError(
                f"there is no slice of that name, and {error.message}",
                hint=f"{error.hint} Slices are {', '.join((*saved, *READY))}.",
            ) from error


__all__ = ["Slicing"]
