"""Metric rows that people imported, put together as Labelbox does: subclasses to features, to data rows, to the run.

A value that is given for a level is taken there, and nothing is made of the levels below it. Formats and aggregations:
Labelbox's import payloads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prelabel.metrics.counting import ratio

MATRIX = "CONFUSION_MATRIX"
Matrix = tuple[int, int, int, int]
Value = float | Matrix


@dataclass(frozen=True, slots=True)
class CustomMetric:
    """One metric of a run or of a feature. ``value`` is None for a confusion matrix, and where it is undefined: a
    geometric mean of what is not above 0, a harmonic one with a 0 in it. ``rows``: data rows that have it."""

    aggregation: str
    rows: int
    value: float | None = None
    tp: int | None = None
    fp: int | None = None
    tn: int | None = None
    fn: int | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    features: Mapping[str, CustomMetric] = field(default_factory=dict, hash=False)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "features"}
        return {**plain, "features": {name: one.as_json() for name, one in self.features.items()}}


class CustomMetrics:
    """Metric rows, a data row after the other; what is kept does not grow with them.

    Args:
        confidence: of values keyed by confidence, the one with the highest key up to this; else the lowest there is.
    """

    def __init__(self, confidence: float = 0.5) -> None:
        self._confidence = confidence
        self._whole: dict[tuple[str, str], _Sum] = {}
        self._features: dict[tuple[str, str], dict[str, _Sum]] = {}

    def add(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """All metric rows of one data row."""
        given: dict[tuple[str, str], dict[tuple[str, str], Value]] = {}
        for body in bodies:
            key = (str(body.get("metricName") or ""), str(body.get("aggregation") or "ARITHMETIC_MEAN"))
            level = (str(body.get("featureName") or ""), str(body.get("subclassName") or ""))
            given.setdefault(key, {})[level] = self._at(body["metricValue"])
        for key, levels in given.items():
            features: dict[str, Value | None] = {}
            for feature in dict.fromkeys(feature for feature, _ in levels if feature):
                parts = [value for (of, subclass), value in levels.items() if of == feature and subclass]
                value = levels[feature, ""] if (feature, "") in levels else _together(key[1], parts)
                features[feature] = value
                self._features.setdefault(key, {}).setdefault(feature, _Sum()).add(value)
            known = [value for value in features.values() if value is not None]
            whole = levels["", ""] if ("", "") in levels else _together(key[1], known)
            self._whole.setdefault(key, _Sum()).add(whole)

    def _at(self, said: Any) -> Value:
        if isinstance(said, Mapping):
            keys = sorted(said, key=float)
            below = [key for key in keys if float(key) <= self._confidence]
            said = said[below[-1] if below else keys[0]]
        if isinstance(said, Sequence):
            tp, fp, tn, fn = (int(one) for one in said)
            return (tp, fp, tn, fn)
        return float(said)

    def found(self) -> dict[str, CustomMetric]:
        """By name; a name with several aggregations is followed by the aggregation."""
        names = [name for name, _ in self._whole]
        return {
            name if names.count(name) == 1 else f"{name} ({aggregation})": whole.metric(
                aggregation,
                {
                    feature: one.metric(aggregation)
                    for feature, one in self._features.get((name, aggregation), {}).items()
                },
            )
            for (name, aggregation), whole in sorted(self._whole.items())
        }


@dataclass(slots=True)
class _Sum:
    """What all four aggregations need of values that come one by one."""

    rows: int = 0
    total: float = 0.0
    logs: float = 0.0
    inverses: float = 0.0
    positive: bool = True
    matrix: Matrix = (0, 0, 0, 0)

    def add(self, value: Value | None) -> None:
        if value is None:
            return
        self.rows += 1
        if isinstance(value, tuple):
            tp, fp, tn, fn = (ours + more for ours, more in zip(self.matrix, value, strict=True))
            self.matrix = (tp, fp, tn, fn)
            return
        self.total += value
        if value > 0:
            self.logs += math.log(value)
            self.inverses += 1 / value
        else:
            self.positive = False

    def value(self, aggregation: str) -> Value | None:
        if not self.rows:
            return None
        if aggregation == MATRIX:
            return self.matrix
        if aggregation == "SUM":
            return self.total
        if aggregation == "ARITHMETIC_MEAN":
            return self.total / self.rows
        if not self.positive:
            return None
        return math.exp(self.logs / self.rows) if aggregation == "GEOMETRIC_MEAN" else self.rows / self.inverses

    def metric(self, aggregation: str, features: Mapping[str, CustomMetric] | None = None) -> CustomMetric:
        value = self.value(aggregation)
        if not isinstance(value, tuple):
            return CustomMetric(aggregation, self.rows, value, features=features or {})
        tp, fp, tn, fn = value
        return CustomMetric(
            aggregation, self.rows, None, tp, fp, tn, fn,
            ratio(tp, tp + fp), ratio(tp, tp + fn), ratio(2 * tp, 2 * tp + fp + fn), features or {},
        )  # fmt: skip


def _together(aggregation: str, values: Iterable[Value]) -> Value | None:
    some = _Sum()
    for value in values:
        some.add(value)
    return some.value(aggregation)


__all__ = ["CustomMetric", "CustomMetrics"]
