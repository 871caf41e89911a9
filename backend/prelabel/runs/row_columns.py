"""What conditions ask of a run's data rows, column by column, a page of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prelabel.analysis.conditions import SAID, TRUTHS, Field
from prelabel.analysis.row_numbers import RowNumbers
from prelabel.analysis.slices import Column
from prelabel.errors import PrelabelError
from prelabel.metrics.instances import Instance
from prelabel.metrics.matches import Matches
from prelabel.metrics.matching import match_rows
from prelabel.runs.blocks import joined
from prelabel.runs.held import Item
from prelabel.runs.scores import Instances
from prelabel.runs.slices import RowFacts

if TYPE_CHECKING:
    from prelabel.runs.registry import Registry


class Live:
    """What a run's matches say now; made when somebody asks."""

    def __init__(self, registry: Registry, run: int, confidence: float, iou: float) -> None:
        self.registry = registry
        self.run = run
        self.confidence = confidence
        self.iou = iou

    @cached_property
    def compared(self) -> RowNumbers:
        """Data rows that are predicted and labeled, and can be compared."""
        self.registry.refresh_matches(self.run)
        blocks = list(self.registry.matches(self.run))
        return RowNumbers(joined(blocks) if blocks else Matches.of({}), self.confidence, self.iou)

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Where a data row stands in them."""
        return {uid: place for place, uid in enumerate(self.compared.matches.row_ids)}

    @cached_property
    def instances(self) -> Instances:
        """Reads what was said."""
        return self.registry.instances_of_run(self.run)

    def other(self, numbers: Sequence[int]) -> tuple[dict[str, int], RowNumbers, RowNumbers]:
        """Data rows that are not compared: where they stand, numbers of their predictions, of their annotations."""
        said = {row.data_row.uid: row for row in self.registry.said(self.run, numbers=numbers)}

        def side(items: Mapping[str, tuple[Sequence[Item], str]], *, predicted: bool) -> RowNumbers:
            read = {uid: _instances(self.instances, *of) for uid, of in items.items()}
            matches = match_rows({uid: (one, ()) if predicted else ((), one) for uid, one in read.items()})
            return RowNumbers(matches, self.confidence, self.iou)

        return (
            {uid: place for place, uid in enumerate(said)},
            side({uid: (row.predictions, row.data_row.media_type) for uid, row in said.items()}, predicted=True),
            side({uid: (row.annotations, row.data_row.media_type) for uid, row in said.items()}, predicted=False),
        )


class Page:
    """The columns of some data rows."""

    def __init__(self, live: Live, rows: Sequence[RowFacts]) -> None:
        self._live = live
        self._rows = rows

    def column(self, field: Field) -> Column:
        """See `prelabel.analysis.slices.holds`."""
        if field.name == "metadata":
            return [_known(row.metadata, field.key or "") for row in self._rows]
        if field.name in TRUTHS:
            return self._truth(field)
        if field.is_number:
            return self.numbers(field)
        return [getattr(row, field.name) or (False if field.name == "labeled" else None) for row in self._rows]

    def _truth(self, field: Field) -> list[bool]:
        if field.name == "predicted" and field.key is None:  # told without reading what is predicted
            found = self.numbers(field._replace(name="max_confidence")) >= self._live.confidence
        else:
            found = self.numbers(field._replace(name=TRUTHS[field.name])) > 0
        return [bool(one) for one in found.tolist()]

    def numbers(self, field: Field) -> NDArray[np.float64]:
        """A field that is a number; NaN where undefined."""
        if field.name == "task":
            return np.array([np.nan if row.task is None else float(row.task) for row in self._rows])
        found, there = np.full(len(self._rows), np.nan), self._places >= 0
        found[there] = self._live.compared.column(field)[self._places[there]]
        missing = np.flatnonzero(~there)
        if field.name in SAID and missing.size:
            found[missing] = self._elsewhere(field, [self._rows[row] for row in missing.tolist()])
        return found

    def _elsewhere(self, field: Field, rows: Sequence[RowFacts]) -> Sequence[float]:
        """What was said of data rows that are not compared."""
        if field.key is None and field.name in {"confidence", "max_confidence"} and None not in self._sure.values():
            which = 0 if field.name == "confidence" else 1
            return [(self._sure.get(row.id) or (math.nan, math.nan))[which] for row in rows]
        place, predictions, annotations = self._other
        column = (annotations if field.name == "annotations" else predictions).column(field)
        return [float(column[place[row.uid]]) if row.uid in place else math.nan for row in rows]  # gone meanwhile

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        return np.array([self._live.place.get(row.uid, -1) for row in self._rows], dtype=np.int64)

    @cached_property
    def _sure(self) -> Mapping[int, tuple[float, float] | None]:
        rows = [row.id for row in self._rows if row.uid not in self._live.place]
        return self._live.registry.confidences(self._live.run, rows)

    @cached_property
    def _other(self) -> tuple[dict[str, int], RowNumbers, RowNumbers]:
        return self._live.other([row.id for row in self._rows if row.uid not in self._live.place])


def _instances(instances: Instances, items: Sequence[Item], asset: str) -> list[Instance]:
    """What was said of a data row; by the items' own classes where that cannot be compared."""
    try:
        return instances.of_items(items, asset)
    except PrelabelError:
        return [Instance("mask", item.feature, None, confidence=_sure(item.confidence)) for item in items]


def _sure(confidence: float | None) -> float:
    return 1.0 if confidence is None else confidence


def _known(metadata: Mapping[str, Any], key: str) -> Any:
    """The metadata under a key; ``a.b`` is also ``b`` in ``a``."""
    if key in metadata:
        return metadata[key]
    value: Any = metadata
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


__all__ = ["Live", "Page"]
