"""What people did to predictions."""

from __future__ import annotations

import pytest

from prelabel.analysis.corrections import Correction, Threshold, corrections, tallies, thresholds
from prelabel.metrics.instances import Instance


def box(name: str, x1: float, feature: str = "Cat", confidence: float = 0.8) -> Instance:
    return Instance("box", feature, (x1, 0.0, x1 + 10.0, 10.0), "boxes", confidence=confidence, id=name)


def choice(feature: str, confidence: float = 1.0, exclusive: bool = True, name: str = "") -> Instance:
    return Instance("choice", feature, feature, "sentiment", confidence=confidence, exclusive=exclusive, id=name)


def fates(predictions: list[Instance], annotations: list[Instance]) -> list[tuple[str, str]]:
    return [(one.fate, one.feature) for one in corrections(predictions, annotations)]


def test_regions_are_followed_by_their_ids() -> None:
    predictions = [box("a", 0), box("b", 100), box("c", 200), box("d", 300)]
    annotations = [box("a", 0), box("b", 104), box("c", 200, "Dog"), box("e", 400)]
    assert fates(predictions, annotations) == [
        ("accepted", "Cat"),
        ("edited", "Cat"),
        ("relabeled", "Cat"),
        ("deleted", "Cat"),
        ("added", "Cat"),
    ]


def test_how_far_something_was_moved_is_one_minus_iou() -> None:
    (one,) = corrections([box("a", 0)], [box("a", 5)], "row 1")
    assert one == Correction("edited", "Cat", "Cat", 0.8, pytest.approx(1 / 3), "row 1")
    assert tallies([one])["Cat"].moved == pytest.approx(2 / 3)


def test_what_was_drawn_anew_is_paired_by_where_it_lies() -> None:
    assert fates([box("a", 0), box("b", 100)], [box("x", 101), box("y", 1)]) == [("edited", "Cat"), ("edited", "Cat")]


def test_two_boxes_without_ids_are_paired_too() -> None:
    assert fates([box("", 0), box("", 100)], [box("", 100), box("", 0)]) == [("accepted", "Cat"), ("accepted", "Cat")]


def test_an_exclusive_answer_that_was_changed_is_relabeled_and_not_deleted() -> None:
    assert fates([choice("Positive")], [choice("Negative")]) == [("relabeled", "Positive")]
    assert fates([choice("Positive")], [choice("Positive")]) == [("accepted", "Positive")]


def test_answers_of_a_checklist_are_deleted_and_added() -> None:
    predictions = [choice("Red", exclusive=False), choice("Blue", exclusive=False)]
    annotations = [choice("Blue", exclusive=False), choice("Green", exclusive=False)]
    assert fates(predictions, annotations) == [("deleted", "Red"), ("accepted", "Blue"), ("added", "Green")]


def test_a_class_tallies_its_fates_and_undefined_is_none() -> None:
    ledger = corrections([box("a", 0), box("b", 100)], [box("a", 0)]) + corrections([], [box("z", 0, "Dog")])
    tally = tallies(ledger)
    assert tally["Cat"].as_json() == {
        "accepted": 1,
        "edited": 0,
        "relabeled": 0,
        "deleted": 1,
        "added": 0,
        "moved": None,
    }
    assert tally["Cat"].kept == 0.5
    assert tally["Dog"].kept is None


def said(confidence: float, right: bool) -> Correction:
    return Correction("accepted" if right else "deleted", "Cat", None, confidence, 0.0, "")


def test_the_threshold_is_the_lowest_confidence_that_keeps_the_precision() -> None:
    ledger = [said(0.9, True), said(0.8, True), said(0.7, False), said(0.6, True), said(0.5, False)]
    assert thresholds(ledger, 0.75) == {"Cat": Threshold(0.6, 0.75, 4)}
    assert thresholds(ledger, 1.0) == {"Cat": Threshold(0.8, 1.0, 2)}
    assert thresholds([said(0.9, False)], 0.5) == {"Cat": Threshold(None, None, 0)}


def test_predictions_of_one_confidence_stand_or_fall_together() -> None:
    assert thresholds([said(0.9, True), said(0.9, False)], 0.9) == {"Cat": Threshold(None, None, 0)}
