"""Confidence intervals by resampling data rows, and the paired difference of two runs with its p value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prelabel.errors import RequestError
from prelabel.metrics.counting import Counts

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Sums of the columns ``[resamples, columns]`` to one value for each resample; NaN where it is undefined."""
Name = Literal["precision", "recall", "f1", "mean"]
RATIOS: tuple[Name, ...] = ("precision", "recall", "f1")
BLOCK = 4_000_000
"""Weights drawn at once: bounds memory whatever the number of rows."""


@dataclass(frozen=True, slots=True)
class Interval:
    """``value`` and the interval around it (percentile bootstrap); None where undefined."""

    value: float | None
    low: float | None
    high: float | None
    level: float = 0.95

    def as_json(self) -> dict[str, float | None]:
        """The four numbers."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """Second run minus first. ``p``: how often rows swapped at random between the runs differ at least as much."""

    value: float | None
    low: float | None
    high: float | None
    p: float | None
    level: float = 0.95

    def as_json(self) -> dict[str, float | None]:
        """The five numbers."""
        return asdict(self)


def columns_of(rows: Mapping[str, Counts], row_ids: Sequence[str] | None = None) -> Floats:
    """TP, FP, FN of each data row ``[rows, 3]``, in the order of ``row_ids`` (a row that is not there has zeros)."""
    nothing = Counts()
    counts = [rows.get(row_id, nothing) for row_id in (rows if row_ids is None else row_ids)]
    return np.array([(one.tp, one.fp, one.fn) for one in counts], dtype=np.float64).reshape(-1, 3)


def interval(
    columns: ArrayLike, statistic: Name | Statistic = "f1", *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """The statistic over all rows, and where ``level`` of the resamples lie.

    Args:
        columns: ``[rows, columns]``; TP, FP, FN for ``precision``, ``recall`` and ``f1``; for ``mean`` a list of
            values ``[rows]`` (or two columns: sum and number).
    """
    table, of = _table(columns), _statistic(statistic)
    value = _one(of, table.sum(axis=0, keepdims=True))
    if not len(table):
        return Interval(None, None, None, level)
    found = np.concatenate([of(weights @ table) for weights in _resampled(len(table), resamples, seed)])
    return Interval(value, *_bounds(found, level), level)


def intervals(
    patterns: ArrayLike, times: ArrayLike, *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> dict[Name, Interval]:
    """Precision, recall and F1 as `interval` has them, of data rows many of which are alike.

    How often each pattern is drawn is multinomial: the same as drawing data rows, but neither time nor memory grows
    with their number.

    Args:
        patterns: ``[patterns, 3]``, TP, FP and FN of one data row.
        times: ``[patterns]``, how many data rows have these.
    """
    table = np.asarray(patterns, dtype=np.float64).reshape(-1, 3)
    often = np.asarray(times, dtype=np.int64)
    rows = int(often.sum())
    if not rows:
        return dict.fromkeys(RATIOS, Interval(None, None, None, level))
    random = np.random.default_rng(seed)
    block = max(1, BLOCK // len(table))
    sizes = [min(block, resamples - begin) for begin in range(0, resamples, block)]
    drawn = np.concatenate([random.multinomial(rows, often / rows, size) @ table for size in sizes])
    totals = (often @ table)[None]
    return {name: Interval(_one(_NAMED[name], totals), *_bounds(_NAMED[name](drawn), level), level) for name in RATIOS}


def difference(
    first: ArrayLike,
    second: ArrayLike,
    statistic: Name | Statistic = "f1",
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Two runs on the same data rows: ``first[i]`` and ``second[i]`` are one row.

    The interval is a paired bootstrap: each resample draws the same rows for both. The p value is two-sided, by
    approximate randomisation (Yeh 2000): the runs' results of each row are swapped with probability one half;
    p = (1 + number of differences at least as large) / (1 + resamples).

    Raises:
        RequestError: the runs have different numbers of rows.
    """
    a, b, of = _table(first), _table(second), _statistic(statistic)
    if a.shape != b.shape:
        raise RequestError(
            f"the runs have {len(a)} and {len(b)} data rows.", hint="Compare them on the data rows that both have."
        )
    if not len(a):
        return Difference(None, None, None, None, level)
    totals = a.sum(axis=0, keepdims=True), b.sum(axis=0, keepdims=True)
    value = float((of(totals[1]) - of(totals[0]))[0])
    if np.isnan(value):
        return Difference(None, None, None, None, level)
    drawn = np.concatenate([of(weights @ b) - of(weights @ a) for weights in _resampled(len(a), resamples, seed)])
    step, larger, defined = b - a, 0, 0
    for swaps in _coins(len(a), resamples, seed + 1):
        moved = swaps @ step
        chance = np.abs(of(totals[1] - moved) - of(totals[0] + moved))
        known = ~np.isnan(chance)
        defined += int(known.sum())
        larger += int((chance[known] >= abs(value) - 1e-12).sum())
    return Difference(value, *_bounds(drawn, level), (1 + larger) / (1 + defined), level)


def _table(columns: ArrayLike) -> Floats:
    table = np.asarray(columns, dtype=np.float64)
    return np.column_stack((table, np.ones(len(table)))) if table.ndim == 1 else table


def _resampled(rows: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each resample has each row, ``[block, rows]``."""
    random = np.random.default_rng(seed)
    block = max(1, BLOCK // rows)
    for begin in range(0, resamples, block):
        size = min(block, resamples - begin)
        drawn = random.integers(0, rows, (size, rows)) + np.arange(size)[:, None] * rows
        yield np.bincount(drawn.reshape(-1), minlength=size * rows).reshape(size, rows).astype(np.float64)


def _coins(rows: int, resamples: int, seed: int) -> Iterator[Floats]:
    random = np.random.default_rng(seed)
    block = max(1, BLOCK // rows)
    for begin in range(0, resamples, block):
        yield random.integers(0, 2, (min(block, resamples - begin), rows)).astype(np.float64)


def _bounds(found: Floats, level: float) -> tuple[float | None, float | None]:
    known = found[~np.isnan(found)]
    if not known.size:
        return None, None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _one(of: Statistic, totals: Floats) -> float | None:
    value = float(of(totals)[0])
    return None if np.isnan(value) else value


def _statistic(statistic: Name | Statistic) -> Statistic:
    return _NAMED[statistic] if isinstance(statistic, str) else statistic


def _divided(part: Floats, whole: Floats) -> Floats:
    found: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return found


_NAMED: Mapping[Name, Statistic] = {
    "precision": lambda sums: _divided(sums[:, 0], sums[:, 0] + sums[:, 1]),
    "recall": lambda sums: _divided(sums[:, 0], sums[:, 0] + sums[:, 2]),
    "f1": lambda sums: _divided(2 * sums[:, 0], 2 * sums[:, 0] + sums[:, 1] + sums[:, 2]),
    "mean": lambda sums: _divided(sums[:, 0], sums[:, 1]),
}
