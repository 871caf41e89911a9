"""Numbers, ratings, rankings and dates: how far predicted values are from annotated ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone

import numpy as np

from prelabel.metrics.answers import by_question, single_pairs
from prelabel.metrics.instances import Instance
from prelabel.metrics.libraries import library
from prelabel.metrics.matching import Both
from prelabel.metrics.texts import sure


@dataclass(frozen=True, slots=True)
class NumberErrors:
    """In the number's own unit (seconds for dates). ``bias``: mean of prediction minus annotation. ``exact``: share of
    equal ones. ``kappa``: quadratically weighted Cohen's kappa of ratings; None where all are one value."""

    pairs: int
    mae: float | None
    rmse: float | None
    bias: float | None
    exact: float | None
    kappa: float | None = None

    def as_json(self) -> dict[str, float | None]:
        """All numbers."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RankingErrors:
    """Means over the pairs in which it is defined, -1..1: over the items that both sides rank, at least two."""

    pairs: int
    kendall: float | None
    spearman: float | None

    def as_json(self) -> dict[str, float | None]:
        """All numbers."""
        return asdict(self)


def number_errors(rows: Mapping[str, Both], *, confidence: float = 0.5) -> dict[str, NumberErrors]:
    """Errors of numbers, by question."""
    found = by_question(list(single_pairs(sure(rows, confidence), {"number"})))
    return {question: compare_numbers(*_columns(pairs)) for question, pairs in found.items()}


def rating_errors(rows: Mapping[str, Both], *, confidence: float = 0.5) -> dict[str, NumberErrors]:
    """Errors of ratings, by question, with kappa.

    Raises:
        SettingsError: scikit-learn is not installed.
    """
    found = by_question(list(single_pairs(sure(rows, confidence), {"rating"})))
    return {question: compare_numbers(*_columns(pairs), ordered=True) for question, pairs in found.items()}


def datetime_errors(rows: Mapping[str, Both], *, confidence: float = 0.5) -> dict[str, NumberErrors]:
    """Errors of dates in seconds, by question; pairs of which one is no ISO 8601 date are left out."""
    found: dict[str, NumberErrors] = {}
    for question, pairs in by_question(list(single_pairs(sure(rows, confidence), {"datetime"}))).items():
        times = [(seconds(str(ours.value)), seconds(str(theirs.value))) for ours, theirs in pairs]
        read = [(ours, theirs) for ours, theirs in times if ours is not None and theirs is not None]
        found[question] = compare_numbers([ours for ours, _ in read], [theirs for _, theirs in read])
    return found


def ranking_errors(rows: Mapping[str, Both], *, confidence: float = 0.5) -> dict[str, RankingErrors]:
    """Rank correlations, by question.

    Raises:
        SettingsError: SciPy (which scikit-learn brings) is not installed.
    """
    found = by_question(list(single_pairs(sure(rows, confidence), {"ranking"})))
    return {
        question: compare_rankings([ours.value for ours, _ in pairs], [theirs.value for _, theirs in pairs])
        for question, pairs in found.items()
    }


def _columns(pairs: Sequence[tuple[Instance, Instance]]) -> tuple[list[float], list[float]]:
    return [float(ours.value) for ours, _ in pairs], [float(theirs.value) for _, theirs in pairs]


def compare_numbers(predicted: Sequence[float], annotated: Sequence[float], *, ordered: bool = False) -> NumberErrors:
    """``predicted[i]`` against ``annotated[i]``; with ``ordered`` kappa too."""
    if not predicted:
        return NumberErrors(0, None, None, None, None)
    off = np.asarray(predicted, dtype=np.float64) - np.asarray(annotated, dtype=np.float64)
    return NumberErrors(
        len(off),
        float(np.abs(off).mean()),
        float(np.sqrt((off**2).mean())),
        float(off.mean()),
        float((off == 0).mean()),
        quadratic_kappa(predicted, annotated) if ordered else None,
    )


def quadratic_kappa(predicted: Sequence[float], annotated: Sequence[float]) -> float | None:
    """Cohen's kappa with squared distances (Cohen 1968) by scikit-learn, over half-star steps; None where undefined."""
    if len({*predicted, *annotated}) < 2:
        return None
    ours, theirs = ([round(value * 2) for value in side] for side in (predicted, annotated))
    levels = list(range(min(*ours, *theirs), max(*ours, *theirs) + 1))
    if len(levels) < 2:
        return None
    kappa = float(library("sklearn.metrics").cohen_kappa_score(ours, theirs, labels=levels, weights="quadratic"))
    return None if math.isnan(kappa) else kappa


def compare_rankings(predicted: Sequence[Sequence[str]], annotated: Sequence[Sequence[str]]) -> RankingErrors:
    """``predicted[i]`` against ``annotated[i]``: item ids, best first."""
    stats = library("scipy.stats")
    kendall, spearman = [], []
    for ours, theirs in zip(predicted, annotated, strict=True):
        place = {item: number for number, item in enumerate(theirs)}
        common = [place[item] for item in ours if item in place]
        if len(common) > 1:
            kendall.append(float(stats.kendalltau(range(len(common)), common).statistic))
            spearman.append(float(stats.spearmanr(range(len(common)), common).statistic))
    if not kendall:
        return RankingErrors(len(predicted), None, None)
    return RankingErrors(len(predicted), float(np.mean(kendall)), float(np.mean(spearman)))


def seconds(text: str) -> float | None:
    """An ISO 8601 date or time in seconds since 1970, without a zone taken as UTC; None for anything else."""
    try:
        when = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()
