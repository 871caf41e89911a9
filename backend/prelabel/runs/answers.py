"""The answers to one question as arrays: probabilities of its classes, and what people chose."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

OTHER = "(other)"
"""The classes of a distribution that were left out, the least likely ones."""
WHOLE = 1e-3
"""A distribution's sum may differ from 1 by so much."""


@dataclass(frozen=True, eq=False)
class Answers:
    """One question's answers, entry i of data row i of `Opinions`.

    Attributes:
        question: the control's or the classification's name.
        exclusive: whether the classes exclude each other.
        classes: names of the columns; those of labels only come last.
        probabilities: ``[n, classes]``, rows sum to 1, NaN where nothing is known. Of classes that do not exclude each
            other two columns are left: the probability of the one that the run is least sure about, and its opposite.
        labels: the class that people chose ``[n]``, -1 for none (or several).
    """

    question: str
    exclusive: bool
    classes: tuple[str, ...]
    probabilities: Floats
    labels: Ints


@dataclass(slots=True)
class Question:
    """One question's probabilities and labels while they are read: parallel columns, and names by number."""

    name: str
    exclusive: bool = True
    classes: dict[str, int] = field(default_factory=dict)
    row: array[int] = field(default_factory=lambda: array("q"))
    column: array[int] = field(default_factory=lambda: array("q"))
    share: array[float] = field(default_factory=lambda: array("d"))
    label_row: array[int] = field(default_factory=lambda: array("q"))
    label_column: array[int] = field(default_factory=lambda: array("q"))

    def predicted(self, at: int, classes: Mapping[str, float], *, exclusive: bool) -> None:
        self.exclusive &= exclusive
        for name, share in classes.items():
            self.row.append(at)
            self.column.append(self.classes.setdefault(name, len(self.classes)))
            self.share.append(share)

    def labeled(self, at: int, name: str, *, exclusive: bool) -> None:
        self.exclusive &= exclusive
        self.label_row.append(at)
        self.label_column.append(self.classes.setdefault(name, len(self.classes)))

    def answers(self, count: int) -> Answers:
        row, column, share = np.array(self.row, np.int64), np.array(self.column, np.int64), np.array(self.share, float)
        classes = list(self.classes)
        known = np.bincount(row, minlength=count) > 0
        if not self.exclusive:
            unsure = np.full(count, np.inf)
            np.minimum.at(unsure, row, np.abs(2 * share - 1))
            likely = (1 + unsure) / 2
            probabilities = np.where(known[:, None], np.stack([likely, 1 - likely], axis=1), np.nan)
            return Answers(self.name, False, ("surer", "opposite"), probabilities, np.full(count, -1, np.int64))
        probabilities = np.zeros((count, len(classes)))
        probabilities[row, column] = share
        rest = 1 - probabilities.sum(axis=1)
        if np.any(known & (rest > WHOLE)):
            probabilities = np.column_stack([probabilities, np.clip(rest, 0, None)])
            classes.append(OTHER)
        totals = probabilities.sum(axis=1)
        probabilities /= np.where(totals > 0, totals, 1.0)[:, None]
        probabilities[~known] = np.nan
        while probabilities.shape[1] < 2:  # one class: nothing to mix it up with
            probabilities = np.column_stack([probabilities, np.where(known, 0.0, np.nan)])
            classes.append(OTHER)
        labels = np.full(count, -1, np.int64)
        at = np.array(self.label_row, np.int64)
        labels[at] = np.array(self.label_column, np.int64)
        labels[np.bincount(at, minlength=count) > 1] = -1
        return Answers(self.name, True, tuple(classes), probabilities, labels)
