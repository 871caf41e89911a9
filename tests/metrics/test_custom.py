"""Metric rows put together: subclasses to features, to data rows, to the run."""

from __future__ import annotations

from statistics import fmean, geometric_mean, harmonic_mean
from typing import Any

import pytest

from prelabel.metrics.custom import CustomMetric, CustomMetrics


def scalar(value: Any, aggregation: str | None = None, name: str = "m", **level: str) -> dict[str, Any]:
    body = {"metricName": name, "metricValue": value, **level}
    return body if aggregation is None else {**body, "aggregation": aggregation}


def made(*rows: list[dict[str, Any]], confidence: float = 0.5) -> dict[str, CustomMetric]:
    custom = CustomMetrics(confidence)
    for bodies in rows:
        custom.add(bodies)
    return custom.found()


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        (None, fmean([0.2, 0.4, 0.9])),
        ("ARITHMETIC_MEAN", fmean([0.2, 0.4, 0.9])),
        ("GEOMETRIC_MEAN", geometric_mean([0.2, 0.4, 0.9])),
        ("HARMONIC_MEAN", harmonic_mean([0.2, 0.4, 0.9])),
        ("SUM", 1.5),
    ],
)
def test_data_rows_are_put_together_as_they_say(aggregation: str | None, expected: float) -> None:
    found = made(*([scalar(value, aggregation)] for value in (0.2, 0.4, 0.9)))["m"]
    assert (found.rows, found.value) == (3, pytest.approx(expected))


def test_features_make_the_data_row_unless_it_has_a_value_of_its_own() -> None:
    features = [scalar(0.2, featureName="cat"), scalar(0.6, featureName="dog")]
    found = made(features, [*features, scalar(1.0)])["m"]
    assert found.value == pytest.approx((0.4 + 1.0) / 2)
    assert {name: (one.rows, one.value) for name, one in found.features.items()} == {"cat": (2, 0.2), "dog": (2, 0.6)}


def test_subclasses_make_the_feature_unless_it_has_a_value_of_its_own() -> None:
    parts = [scalar(value, featureName="cat", subclassName=name) for name, value in (("black", 0.2), ("white", 0.4))]
    assert made(parts)["m"].value == pytest.approx(0.3)
    assert made([*parts, scalar(0.9, featureName="cat")])["m"].value == pytest.approx(0.9)


def test_values_by_confidence_are_taken_at_the_confidence_or_below() -> None:
    row = [scalar({"0.25": 0.1, "0.5": 0.2, "0.75": 0.3})]
    at = {confidence: made(row, confidence=confidence)["m"].value for confidence in (0.1, 0.25, 0.6, 0.75, 1.0)}
    assert at == {0.1: 0.1, 0.25: 0.1, 0.6: 0.2, 0.75: 0.3, 1.0: 0.3}


def test_confusion_matrices_are_added_and_undefined_is_none() -> None:
    rows = [
        [scalar([3, 1, 2, 0], "CONFUSION_MATRIX")],
        [scalar({"0.1": [1, 0, 0, 4], "0.9": [0, 0, 0, 5]}, "CONFUSION_MATRIX")],
    ]
    found = made(*rows)["m"]
    assert (found.tp, found.fp, found.tn, found.fn, found.value) == (4, 1, 2, 4, None)
    assert (found.precision, found.recall, found.f1) == (0.8, 0.5, pytest.approx(8 / 13))
    assert made([scalar([0, 0, 1, 0], "CONFUSION_MATRIX")])["m"].precision is None


def test_means_that_are_undefined_are_none() -> None:
    assert made([scalar(0.0, "GEOMETRIC_MEAN")], [scalar(0.5, "GEOMETRIC_MEAN")])["m"].value is None
    assert made([scalar(0.0, "HARMONIC_MEAN")])["m"].value is None
    assert made() == {}


def test_one_name_may_have_two_aggregations() -> None:
    assert made([scalar(1.0), scalar(2.0, "SUM")]).keys() == {"m (ARITHMETIC_MEAN)", "m (SUM)"}
