"""Two runs on the same rows."""

from __future__ import annotations

import numpy as np
import pytest

from prelabel.analysis.comparison import ALL, compare, holm
from prelabel.metrics.instances import Instance
from prelabel.metrics.matches import Matches
from prelabel.metrics.matching import match_rows
from prelabel.metrics.summary import summarize


def choice(feature: str) -> Instance:
    return Instance("choice", feature, feature, "sentiment", exclusive=True)


def run_of(right: float, seed: int, rows: int = 200) -> Matches:
    """A run that is right in about that share of rows."""
    random = np.random.default_rng(seed)
    truth = np.random.default_rng(7).integers(0, 2, rows)
    said = np.where(random.uniform(size=rows) < right, truth, 1 - truth)
    names = ("Negative", "Positive")
    return match_rows(
        {f"row {n}": ([choice(names[s])], [choice(names[t])]) for n, (s, t) in enumerate(zip(said, truth, strict=True))}
    )


def test_the_first_line_is_what_the_summaries_say() -> None:
    first, second = run_of(0.6, 1), run_of(0.9, 2)
    line = compare(first, second, resamples=500)[0]
    assert (line.slice, line.feature, line.rows) == (ALL, ALL, 200)
    assert line.first.value == pytest.approx(summarize(first).run.f1)
    assert line.second.value == pytest.approx(summarize(second).run.f1)
    assert line.difference.value == pytest.approx(line.second.value - line.first.value)  # type: ignore[operator]
    assert line.difference.low is not None
    assert line.difference.low > 0
    assert line.p_adjusted is not None
    assert line.p_adjusted < 0.05


def test_a_run_does_not_differ_from_itself() -> None:
    run = run_of(0.8, 3)
    for line in compare(run, run, resamples=200):
        assert line.difference.value == 0
        assert line.difference.p == 1
        assert line.p_adjusted == 1


def test_only_rows_that_both_have_are_compared() -> None:
    first, second = run_of(0.8, 1, rows=50), run_of(0.8, 2, rows=80)
    assert compare(first, second, resamples=50)[0].rows == 50


def test_slices_are_compared_beside_the_whole_and_empty_lines_are_left_out() -> None:
    run, other = run_of(0.5, 1), run_of(0.9, 2)
    lines = compare(run, other, slices={"first ten": [f"row {n}" for n in range(10)], "none": []}, resamples=50)
    assert {(line.slice, line.feature) for line in lines} == {
        (name, feature) for name in (ALL, "first ten") for feature in (ALL, "Negative", "Positive")
    }
    assert [line.rows for line in lines if line.slice == "first ten"] == [10, 10, 10]
    assert lines[0].as_json()["class"] == ALL


def test_holm_adjusts_step_by_step() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
