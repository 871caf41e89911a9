"""Which data rows a condition holds for, column by column; the slices that are there without being saved.

The ready-made ones are Labelbox's. It prints "descending" for its low-* slices; the lowest first is what is meant.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prelabel.analysis.conditions import Condition, Field, Joined, Negation, Node, Operand, Truth

Bools = NDArray[np.bool_]
Column = NDArray[np.float64] | Sequence[Any]
"""A field of some data rows: numbers (NaN: undefined), or anything that JSON has (None: undefined)."""
Lookup = Callable[[Field], Column]

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Ready:
    """A slice that every model has: its condition, and what its data rows are ordered by."""

    condition: str
    order: str


READY: Mapping[str, Ready] = {
    "true_positives": Ready("tp > 0", "tp desc"),
    "false_positives": Ready("fp > 0", "fp desc"),
    "true_negatives": Ready("tn > 0", "tn desc"),
    "false_negatives": Ready("fn > 0", "fn desc"),
    "low_precision": Ready("precision >= 0", "precision"),
    "low_recall": Ready("recall >= 0", "recall"),
    "low_f1": Ready("f1 >= 0", "f1"),
    "low_confidence": Ready("confidence >= 0", "confidence"),
    "candidate_mislabels": Ready("fp > 0", "fp_confidence desc"),
}


def holds(condition: Condition, lookup: Lookup, size: int) -> Bools:
    """For which of ``size`` data rows it holds; ``lookup`` gives a field's column, one entry for each of them."""
    return _holds(condition.root, lookup, size)


def _holds(node: Node, lookup: Lookup, size: int) -> Bools:
    if isinstance(node, Negation):
        return ~_holds(node.part, lookup, size)
    if isinstance(node, Joined):
        join = np.logical_and if node.every else np.logical_or
        found: Bools = join.reduce([_holds(part, lookup, size) for part in node.parts])
        return found
    if isinstance(node, Truth):
        return np.fromiter((bool(value) for value in lookup(node.field)), dtype=np.bool_, count=size)
    left, right = (_column(side, lookup, size) for side in (node.left, node.right))
    if node.sign in _COMPARE and isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        known = ~(np.isnan(left) | np.isnan(right))
        compared: Bools = known & _COMPARE[node.sign](left, right)
        return compared
    pairs = zip(_plain(left), _plain(right), strict=True)
    return np.fromiter((_compare(node.sign, *pair) for pair in pairs), dtype=np.bool_, count=size)


def _column(side: Operand, lookup: Lookup, size: int) -> Column:
    if isinstance(side, Field):
        return lookup(side)
    return np.full(size, side.value) if isinstance(side.value, float) else [side.value] * size


def _plain(column: Column) -> Sequence[Any]:
    if not isinstance(column, np.ndarray):
        return column
    found = column.astype(object)
    found[np.isnan(column)] = None
    plain: list[Any] = found.tolist()
    return plain


def _compare(sign: str, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    if sign == "in":
        return any(_equal(left, one) for one in right)
    if sign == "contains":
        if isinstance(left, str):
            return isinstance(right, str) and right in left
        return isinstance(left, list) and any(_equal(one, right) for one in left)
    if sign in {"==", "!="}:
        return _equal(left, right) is (sign == "==")
    return _sort(left) == _sort(right) in {"number", "text"} and bool(_COMPARE[sign](left, right))


def _equal(left: Any, right: Any) -> bool:
    return _sort(left) == _sort(right) and bool(left == right)


def _sort(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    return "number" if isinstance(value, (int, float)) else "text" if isinstance(value, str) else "other"
