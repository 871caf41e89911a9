"""Calibration, confidence intervals, and the difference of two runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from prelabel.errors import RequestError
from prelabel.metrics.bootstrap import columns_of, difference, interval
from prelabel.metrics.calibration import calibrate, calibration
from prelabel.metrics.counting import Counts
from prelabel.metrics.instances import Instance
from prelabel.metrics.matching import match_row

PREDICTED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50)


@given(PREDICTED)
def test_calibration_errors_are_bounded_and_the_bins_hold_all(pairs: list[tuple[float, bool]]) -> None:
    confidence, right = zip(*pairs, strict=True)
    made = calibrate(confidence, right)
    assert made.ece is not None
    assert made.mce is not None
    assert 0 <= made.ece <= made.mce + 1e-12 <= 1 + 1e-9
    assert sum(one.count for one in made.bins) == len(pairs)
    assert made.brier == pytest.approx(brier_score_loss(right, confidence, pos_label=True))
    assert all((one.accuracy is None) == (one.count == 0) for one in made.bins)


def test_calibration_is_the_gap_between_confidence_and_accuracy() -> None:
    made = calibrate([0.9, 0.9, 0.9, 0.9, 0.1], [True, True, True, False, False])
    assert made.ece == pytest.approx((4 * 0.15 + 0.1) / 5)
    assert calibrate([], []).as_json()["ece"] is None


def test_a_prediction_is_right_where_it_matches() -> None:
    predictions = [
        Instance("box", "a", (0, 0, 10, 10), confidence=0.95),
        Instance("box", "a", (50, 0, 60, 10), confidence=0.25),
    ]
    made = calibration({"x": match_row(predictions, [Instance("box", "a", (0, 0, 10, 10))])})
    assert (made.bins[9].accuracy, made.bins[2].accuracy) == (1.0, 0.0)
    assert made.ece == pytest.approx((0.05 + 0.25) / 2)


def table(rows: int, right: float, seed: int) -> np.ndarray:
    """One prediction and annotation a row; TP, or FP and FN."""
    hit = np.random.default_rng(seed).random(rows) < right
    return np.column_stack((hit, ~hit, ~hit)).astype(float)


def test_the_same_seed_gives_the_same_interval_around_the_value() -> None:
    counts = table(200, 0.8, 1)
    first, second = interval(counts, seed=7), interval(counts, seed=7)
    assert first == second
    assert first.value is not None
    assert first.low is not None
    assert first.high is not None
    assert first.low < first.value < first.high
    assert first.value == pytest.approx(counts[:, 0].mean())


def test_an_interval_is_as_wide_as_theory_says() -> None:
    made = interval(table(1000, 0.7, 2), "precision", resamples=4000)
    assert made.low is not None
    assert made.high is not None
    assert made.high - made.low == pytest.approx(2 * 1.96 * np.sqrt(0.7 * 0.3 / 1000), rel=0.1)


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        made = interval(table(150, 0.6, seed), "precision", resamples=400, seed=seed)
        assert made.low is not None
        assert made.high is not None
        held += made.low <= 0.6 <= made.high
    assert 0.90 <= held / 200 <= 0.99


def test_undefined_has_no_interval() -> None:
    assert interval(np.zeros((5, 3))).as_json() == {"value": None, "low": None, "high": None, "level": 0.95}
    assert interval(np.zeros((0, 3))).value is None
    assert interval([2.0, 4.0], "mean").value == 3.0
    assert difference(np.zeros((5, 3)), np.zeros((5, 3))).p is None


def test_a_clear_difference_is_significant_and_none_is_not() -> None:
    weak, strong = table(300, 0.6, 3), table(300, 0.8, 4)
    better = difference(weak, strong)
    assert better.value is not None
    assert better.low is not None
    assert better.p is not None
    assert 0 < better.low < better.value
    assert better.p < 0.001
    same = difference(weak, weak)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)
    back = difference(strong, weak)
    assert back.value == pytest.approx(-better.value)


def test_p_values_of_equal_runs_are_spread_evenly() -> None:
    found = [difference(table(60, 0.7, seed), table(60, 0.7, seed + 999), resamples=200).p for seed in range(200)]
    assert 0.0 <= np.mean([p is not None and p <= 0.1 for p in found]) <= 0.18
    assert min(p for p in found if p is not None) > 0


def test_runs_are_compared_on_the_same_rows() -> None:
    with pytest.raises(RequestError, match="5 and 6 data rows"):
        difference(table(5, 0.5, 0), table(6, 0.5, 0))
    rows = {"a": Counts(1, 2, 3), "b": Counts(4, 5, 6)}
    assert columns_of(rows, ["b", "gone", "a"]).tolist() == [[4, 5, 6], [0, 0, 0], [1, 2, 3]]
