"""What overlaps what, as columns: enough to count at any confidence and IoU threshold without the geometry."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prelabel.errors import DataError

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

MAGIC = b"PLRM"
VERSION = 1
_HEAD = struct.Struct("<4sBxxxIIII")


class ClassKey(NamedTuple):
    """What a count is for. ``sort``: ``object`` (drawn), ``choice`` or ``value`` (text, number ...); ``question`` is
    empty for objects: the control that drew them does not matter."""

    sort: str
    question: str
    feature: str


@dataclass(frozen=True, eq=False)
class RowMatches:
    """One data row. Predictions and annotations are numbered as they were given to `match_row`.

    Attributes:
        classes: what the class columns index.
        prediction_class, prediction_confidence, prediction_unit: one entry for each prediction; the unit numbers the
            questions (of one scope) that choices answer, from 0 within the row; -1 for what is no choice.
        annotation_class, annotation_unit: one entry for each annotation.
        pair_prediction, pair_annotation, pair_iou: one entry for each two that overlap, across classes too.
    """

    classes: tuple[ClassKey, ...]
    prediction_class: Ints
    prediction_confidence: Floats
    prediction_unit: Ints
    annotation_class: Ints
    annotation_unit: Ints
    pair_prediction: Ints
    pair_annotation: Ints
    pair_iou: Floats

    def to_bytes(self) -> bytes:
        """A small binary form: a header with version and lengths, the columns (little endian), the classes as JSON."""
        names = json.dumps(self.classes, separators=(",", ":"), ensure_ascii=False).encode()
        sizes = (len(self.prediction_class), len(self.annotation_class), len(self.pair_iou), len(names))
        columns = (
            self.prediction_confidence.astype("<f8", copy=False), self.pair_iou.astype("<f8", copy=False),
            *(column.astype("<i4", copy=False) for column in (
                self.prediction_class, self.prediction_unit, self.annotation_class, self.annotation_unit,
                self.pair_prediction, self.pair_annotation)),
        )  # fmt: skip
        return b"".join((_HEAD.pack(MAGIC, VERSION, *sizes), *(column.tobytes() for column in columns), names))

    @classmethod
    def from_bytes(cls, data: bytes) -> RowMatches:
        """What `to_bytes` wrote; the columns are read-only views of ``data``.

        Raises:
            DataError: not such bytes, cut off, or of a version that this prelabel does not know.
        """
        try:
            magic, version, predictions, annotations, pairs, names = _HEAD.unpack_from(data)
        except struct.error:
            magic, version, predictions, annotations, pairs, names = b"", 0, 0, 0, 0, 0
        numbers = 2 * (predictions + annotations + pairs)
        length = _HEAD.size + 8 * (predictions + pairs) + 4 * numbers + names
        if magic != MAGIC or version != VERSION or len(data) != length:
            raise DataError(
                "these bytes are no matches that this version of prelabel wrote.",
                hint="Compute the data row's matches again.",
            )
        reals = np.frombuffer(data, "<f8", predictions + pairs, _HEAD.size).astype(np.float64, copy=False)
        whole = np.frombuffer(data, "<i4", numbers, _HEAD.size + reals.nbytes).astype(np.int32, copy=False)
        columns = np.split(whole, np.cumsum([predictions, predictions, annotations, annotations, pairs]))
        classes = tuple(ClassKey(*key) for key in json.loads(data[length - names :]))
        (p_class, p_unit, a_class, a_unit, pair_p, pair_a), confidence = columns, reals[:predictions]
        return cls(classes, p_class, confidence, p_unit, a_class, a_unit, pair_p, pair_a, reals[predictions:])


@dataclass(frozen=True, eq=False)
class Matches:
    """Many data rows at once: the columns of `RowMatches` one after another, with the row of each prediction and
    annotation; indices in the pairs count over all rows."""

    row_ids: tuple[str, ...]
    columns: RowMatches
    prediction_row: Ints
    annotation_row: Ints

    @classmethod
    def of(cls, rows: Mapping[str, RowMatches]) -> Matches:
        """The rows of a mapping in its order. Classes are numbered anew, in the order of their names."""
        parts = list(rows.values())
        classes = tuple(sorted({key for part in parts for key in part.classes}))
        number = {key: place for place, key in enumerate(classes)}
        predictions = np.array([len(part.prediction_class) for part in parts], dtype=np.int64)
        annotations = np.array([len(part.annotation_class) for part in parts], dtype=np.int64)
        pairs = np.array([len(part.pair_iou) for part in parts], dtype=np.int64)
        tables: dict[tuple[ClassKey, ...], Ints] = {}
        for part in parts:
            if part.classes not in tables:
                tables[part.classes] = np.array([number[key] for key in part.classes], dtype=np.int32)
        columns = RowMatches(
            classes,
            _whole([tables[part.classes][part.prediction_class] for part in parts]),
            _real([part.prediction_confidence for part in parts]),
            _whole([part.prediction_unit for part in parts]),
            _whole([tables[part.classes][part.annotation_class] for part in parts]),
            _whole([part.annotation_unit for part in parts]),
            _whole([part.pair_prediction for part in parts]) + _shift(predictions, pairs),
            _whole([part.pair_annotation for part in parts]) + _shift(annotations, pairs),
            _real([part.pair_iou for part in parts]),
        )
        places = np.arange(len(parts), dtype=np.int32)
        return cls(tuple(rows), columns, np.repeat(places, predictions), np.repeat(places, annotations))

    def rows(self) -> dict[str, RowMatches]:
        """Each data row by itself, as `match_row` makes it, with only the classes that it has."""
        count = len(self.row_ids)
        columns = self.columns
        p_ends = np.searchsorted(self.prediction_row, np.arange(count + 1))
        a_ends = np.searchsorted(self.annotation_row, np.arange(count + 1))
        pair_row = self.prediction_row[columns.pair_prediction]
        order = np.argsort(pair_row, kind="stable")
        pair_ends = np.searchsorted(pair_row[order], np.arange(count + 1))
        found = {}
        for place, row_id in enumerate(self.row_ids):
            p, a = slice(*p_ends[place : place + 2]), slice(*a_ends[place : place + 2])
            pairs = order[slice(*pair_ends[place : place + 2])]
            said, there = columns.prediction_class[p], columns.annotation_class[a]
            used = np.unique(np.concatenate((said, there)))
            found[row_id] = RowMatches(
                tuple(columns.classes[cls] for cls in used.tolist()),
                np.searchsorted(used, said).astype(np.int32), columns.prediction_confidence[p],
                columns.prediction_unit[p], np.searchsorted(used, there).astype(np.int32), columns.annotation_unit[a],
                (columns.pair_prediction[pairs] - p.start).astype(np.int32),
                (columns.pair_annotation[pairs] - a.start).astype(np.int32), columns.pair_iou[pairs],
            )  # fmt: skip
        return found

    @cached_property
    def best_first(self) -> NDArray[np.int64]:
        """The order in which pairs are taken: highest IoU, then highest confidence, then as given."""
        columns = self.columns
        confidence = columns.prediction_confidence[columns.pair_prediction]
        keys = (columns.pair_prediction, columns.pair_annotation, -confidence, -columns.pair_iou)
        order: NDArray[np.int64] = np.lexsort(keys)
        return order

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """Rows with at least one prediction and at least one annotation, whatever the threshold: Labelbox's rule."""
        count = len(self.row_ids)
        predicted = np.bincount(self.prediction_row, minlength=count) > 0
        annotated = np.bincount(self.annotation_row, minlength=count) > 0
        both: NDArray[np.bool_] = predicted & annotated
        return both


def _whole(parts: Sequence[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, np.int32)


def _real(parts: Sequence[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)


def _shift(sizes: NDArray[np.int64], repeats: NDArray[np.int64]) -> Ints:
    return np.repeat(np.cumsum(sizes) - sizes, repeats).astype(np.int32)


def one_to_one(prediction: NDArray[np.integer], annotation: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of the pairs a greedy matching takes, best first as they are given; each instance is taken once.

    Rounds instead of a loop over pairs: a pair that comes first for both its prediction and its annotation is taken,
    whatever else is; then all pairs of those two go. That is the greedy result.
    """
    taken = np.zeros(len(prediction), dtype=np.bool_)
    if not taken.size:
        return taken
    first_p = np.zeros(int(prediction.max()) + 1, dtype=np.int64)
    first_a = np.zeros(int(annotation.max()) + 1, dtype=np.int64)
    left = np.arange(len(prediction))
    while left.size:
        p, a = prediction[left], annotation[left]
        first_p[p[::-1]] = left[::-1]
        first_a[a[::-1]] = left[::-1]
        best = left[(first_p[p] == left) & (first_a[a] == left)]
        taken[best] = True
        first_p[prediction[best]] = first_a[annotation[best]] = -1
        left = left[(first_p[p] >= 0) & (first_a[a] >= 0)]
    return taken
