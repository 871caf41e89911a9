"""Counts, averages, confusion and curves."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prelabel.metrics.instances import Instance
from prelabel.metrics.matching import match_row
from prelabel.metrics.summary import curve, summarize

CONFIDENCES = st.sampled_from([0.1, 0.4, 0.6, 0.9])


def box(feature: str, left: float, confidence: float = 1.0, width: float = 10) -> Instance:
    """A box of height 10."""
    return Instance("box", feature, (left, 0, left + width, 10), confidence=confidence)


def choice(feature: str, question: str = "q", *, exclusive: bool = True) -> Instance:
    """An answer."""
    return Instance("choice", feature, feature, question, exclusive=exclusive)


@st.composite
def sides(draw: st.DrawFn) -> tuple[list[Instance], list[Instance]]:
    """Boxes on a line, so that many overlap."""
    found: tuple[list[Instance], list[Instance]] = ([], [])
    for side in found:
        for _ in range(draw(st.integers(0, 5))):
            side.append(box(draw(st.sampled_from("ab")), draw(st.integers(0, 30)), draw(CONFIDENCES)))
    return found


@given(st.dictionaries(st.sampled_from("xyz"), sides()), CONFIDENCES, st.sampled_from([0.0, 0.3, 0.5, 0.8]))
def test_every_prediction_and_annotation_is_counted_once(
    rows: dict[str, tuple[list[Instance], list[Instance]]], confidence: float, iou: float
) -> None:
    made = summarize({row: match_row(*both) for row, both in rows.items()}, confidence, iou, all_rows=True)
    predicted = sum(one.confidence >= confidence for both in rows.values() for one in both[0])
    annotated = sum(len(both[1]) for both in rows.values())
    assert made.run.tp + made.run.fp == predicted
    assert made.run.tp + made.run.fn == annotated
    assert sum(cell.count for cell in made.confusion if cell.predicted is not None) == predicted
    assert sum(cell.count for cell in made.confusion if cell.annotated is not None) == annotated
    assert sum(cell.count for cell in made.confusion if cell.annotated == cell.predicted) == made.run.tp
    assert sum(counts.tp for counts in made.rows.values()) == made.run.tp
    assert sum(counts.fn for _, _, counts in made.row_classes()) == made.run.fn
    json.dumps(made.as_json(), allow_nan=False)


@given(sides(), CONFIDENCES)
def test_a_higher_iou_threshold_never_matches_more(
    both: tuple[list[Instance], list[Instance]], confidence: float
) -> None:
    row = {"a": match_row(*both)}
    found = [summarize(row, confidence, iou).run.tp for iou in (0.0, 0.2, 0.5, 0.7, 0.9)]
    assert found == sorted(found, reverse=True)


def test_a_match_lies_above_the_threshold_and_not_on_it() -> None:
    row = {"a": match_row([box("a", 0, width=5)], [box("a", 0)])}
    assert summarize(row, iou=0.5).run.tp == 0
    assert summarize(row, iou=0.49).run.tp == 1


def test_undefined_is_none_and_not_zero() -> None:
    made = summarize({"a": match_row([], [])}, all_rows=True)
    assert (made.run.precision, made.run.recall, made.run.f1, made.run.iou, made.run.tn) == (None,) * 5
    assert (made.macro.f1, made.micro.f1, made.rows, made.confusion) == (None, None, {}, ())
    only_missed = summarize({"a": match_row([], [box("a", 0)])}, all_rows=True).classes["a"]
    assert (only_missed.precision, only_missed.recall, only_missed.f1, only_missed.iou) == (None, 0, 0, 0)
    assert summarize({}).as_json()["run"]["precision"] is None


def test_a_data_row_counts_with_a_prediction_and_an_annotation() -> None:
    rows = {
        "both": match_row([box("a", 0, 0.1)], [box("a", 0)]),
        "predicted": match_row([box("a", 0)], []),
        "annotated": match_row([], [box("a", 0)]),
    }
    counted, every = summarize(rows), summarize(rows, all_rows=True)
    assert list(counted.rows) == ["both"]
    assert (counted.run.fn, counted.run.fp) == (1, 0)
    assert (every.run.fn, every.run.fp, every.as_json()["data_rows"]) == (2, 1, 3)


def test_macro_is_over_classes_and_micro_over_counts() -> None:
    predictions = [box("a", 0), box("a", 20), box("a", 40), box("b", 100)]
    annotations = [box("a", 0), box("a", 20), box("a", 40), box("b", 200)]
    made = summarize({"x": match_row(predictions, annotations)})
    assert made.macro.f1 == pytest.approx(0.5)
    assert made.micro.f1 == pytest.approx(0.75)
    assert made.rows["x"].iou == pytest.approx(0.5)


def test_confusion_names_what_was_said_instead_and_where() -> None:
    rows = {
        "x": match_row([box("cat", 0), box("dog", 50)], [box("dog", 0)]),
        "y": match_row([box("cat", 0)], [box("dog", 0), box("cat", 90)]),
    }
    cells = {(cell.annotated, cell.predicted): (cell.count, cell.rows) for cell in summarize(rows).confusion}
    assert cells == {
        ("dog", "cat"): (2, ("x", "y")),
        (None, "dog"): (1, ("x",)),
        ("cat", None): (1, ("y",)),
    }


def test_a_radio_is_confused_and_a_checklist_is_not() -> None:
    radio = summarize({"x": match_row([choice("yes")], [choice("no")])})
    assert [(cell.annotated, cell.predicted) for cell in radio.confusion] == [("no", "yes")]
    ticked = [choice("a", exclusive=False)], [choice("b", exclusive=False)]
    assert {cell.annotated for cell in summarize({"x": match_row(*ticked)}).confusion} == {"b", None}


def test_true_negatives_are_answered_questions_in_which_nobody_said_it() -> None:
    rows = {
        "x": match_row([choice("a")], [choice("a")]),
        "y": match_row([choice("b")], [choice("c")]),
        "z": match_row([box("a box", 0)], [box("a box", 0)]),
    }
    made = summarize(rows)
    assert {name: counts.tn for name, counts in made.classes.items()} == {"a": 1, "b": 1, "c": 1, "a box": None}


def test_one_answer_of_two_questions_is_two_classes() -> None:
    side = [choice("yes", "wet"), choice("yes", "dark")]
    assert set(summarize({"x": match_row(side, side)}).classes) == {"wet/yes", "dark/yes"}


def test_no_two_classes_have_one_name() -> None:
    text = Instance("text", "note", "long", "note")
    sides = [choice("note", "note"), text, choice("b/c", "a"), choice("c", "a/b"), box("cat", 0), choice("cat")]
    sides += [choice("b/c", "x"), choice("c", "y")]
    rows = {"x": match_row(sides, sides)}
    assert set(summarize(rows).classes) == {
        "note/note (choice)", "note/note (value)", "'a'/'b/c' (choice)", "'a/b'/'c' (choice)",
        "cat", "q/cat", "x/b/c", "y/c",
    }  # fmt: skip
    assert all(counts.tp == 1 for counts in summarize(rows).classes.values())
    assert curve(rows).keys() == summarize(rows).classes.keys()


def test_the_curve_has_what_the_summary_has_and_the_best_confidence() -> None:
    predictions = [box("a", 0, 0.9), box("a", 20, 0.8), box("a", 60, 0.3), box("a", 80, 0.2)]
    rows = {"x": match_row(predictions, [box("a", 0), box("a", 20), box("b", 90)])}
    found = curve(rows)
    for point in found["a"].points:
        counts = summarize(rows, point.confidence).classes["a"]
        assert (point.tp, point.fp, point.fn, point.f1) == (counts.tp, counts.fp, counts.fn, counts.f1)
    best = found["a"].best
    assert best is not None
    assert (best.f1, best.confidence) == (1.0, pytest.approx(0.32))
    assert found["a"].points[-1].precision is None
