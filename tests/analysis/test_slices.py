"""Conditions on data rows: what they say, what they refuse; the numbers of each row that they ask for."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prelabel.analysis.conditions import Condition, Field, parse, parse_order
from prelabel.analysis.row_numbers import RowNumbers
from prelabel.analysis.slices import READY, holds
from prelabel.analysis.views import VIEWS, ranked
from prelabel.errors import RequestError
from prelabel.metrics.instances import Instance
from prelabel.metrics.matches import Matches
from prelabel.metrics.matching import match_rows
from prelabel.metrics.summary import summarize

NAN = float("nan")
COLUMNS: Mapping[str, Any] = {
    "metadata[city]": ["Berlin", "Paris", None],
    "metadata[year]": [2024, "2024", None],
    "metadata[night]": [True, False, None],
    "metadata[tags]": [["rain", 5], [], None],
    "metadata[Camera name]": ["left", "right", None],
    "global_key": ["cam1/a", None, "cam2/b"],
    "media_type": ["image", "text", None],
    "split": ["training", "validation", "unassigned"],
    "task": np.array([7.0, 8.0, NAN]),
    "labeled": [True, True, False],
    "predicted": [True, False, True],
    "predicted[Dog]": [True, False, False],
    "annotated[Cat]": [True, True, False],
    "fp": np.array([2.0, 0.0, NAN]),
    "tp": np.array([1.0, 0.0, NAN]),
    "fp[Cat]": np.array([1.0, 0.0, NAN]),
    "f1": np.array([0.4, NAN, NAN]),
    "confidence": np.array([0.3, NAN, 0.6]),
    "predictions": np.array([3.0, 0.0, 1.0]),
    "annotations": np.array([1.0, 2.0, 0.0]),
}


def lookup(field: Field) -> Any:
    return COLUMNS[str(field)]


def rows_of(condition: str) -> list[int]:
    return np.flatnonzero(holds(parse(condition), lookup, 3)).tolist()


# -- conditions


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ('metadata.city == "Berlin"', [0]),
        ("metadata.city == Berlin", [0]),
        ("'Berlin' == metadata.city", [0]),
        ("metadata[Camera name] != left", [1]),
        ("metadata.year == 2024", [0]),
        ('metadata.year == "2024"', [1]),
        ("metadata.year != 2024", [1]),
        ("metadata.year < 2025", [0]),
        ("metadata.year > -5", [0]),
        ("metadata.city >= C", [1]),
        ("metadata.night", [0]),
        ("metadata.night == false", [1]),
        ("metadata.night == 1", []),
        ("metadata.tags contains rain", [0]),
        ("metadata.tags contains 5", [0]),
        ("metadata.city contains ari", [1]),
        ("metadata.city in (Paris, 'Berlin')", [0, 1]),
        ("metadata.year in (2023, 2024)", [0]),
        ("global_key contains cam1", [0]),
        ("global_key == cam2/b", None),
        ("global_key == 'cam2/b'", [2]),
        ("media_type == IMAGE", [0]),
        ("media_type != image", [1]),
        ("split == VALIDATION", [1]),
        ("split in (training, unassigned)", [0, 2]),
        ("task == 7", [0]),
        ("task in (7, 8)", [0, 1]),
        ("labeled", [0, 1]),
        ("not labeled", [2]),
        ("labeled == false", [2]),
        ("predicted", [0, 2]),
        ("predicted[Dog] and annotated[Cat]", [0]),
        ("fp[Cat] > 0", [0]),
        ("0 < fp[Cat]", [0]),
        ("fp > tp", [0]),
        ("predictions >= annotations", [0, 2]),
        ("f1 < 0.8", [0]),
        ("f1<=.4", [0]),
        ("f1 != 0.4", []),
        ("not f1 < 0.8", [1, 2]),
        ("not (f1 < 0.8 or confidence < 0.9)", [1]),
        ("f1 < 0.8 or not labeled and confidence > 0.5", [0, 2]),
        ("(f1 < 0.8 or not labeled) and confidence > 0.5", [2]),
        ("f1 < 0.8 AND NOT (split == test)", [0]),
    ],
)
def test_a_condition_says_what_it_says(condition: str, rows: list[int] | None) -> None:
    if rows is None:
        with pytest.raises(RequestError, match="cannot be read"):
            parse(condition)
    else:
        assert rows_of(condition) == rows


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize("of", ["f1 {} 0.5", "0.5 {} f1", "f1 {} tp", "metadata.city {} x", "task {} f1"])
def test_what_is_undefined_makes_every_comparison_false(sign: str, of: str) -> None:
    assert 2 not in rows_of(of.format(sign))


def test_a_condition_tells_what_it_asks_for() -> None:
    asked = parse("metadata.a.b == 1 and (not fp[Big dog] > tp or labeled)").fields
    assert asked == {Field("metadata", "a.b"), Field("fp", "Big dog"), Field("tp"), Field("labeled")}


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("", "at its end"),
        ("fp", "a comparison such as >= is missing after fp"),
        ("fp >", "at its end"),
        ("> 0", "before '>'"),
        ("fp = 0", "'= 0' is no part of one"),
        ("fp > 0 fp > 1", "'fp' is not expected there"),
        ("fp > 0 and", "at its end"),
        ("(fp > 0", "'\\)' is missing at its end"),
        ("fp > 0)", "'\\)' is not expected"),
        ("f2 > 0", "'f2' is no field"),
        ("low", "missing after 'low'"),
        ("tpp[Cat] > 0", "tpp\\[Cat\\] is no field"),
        ("metadata == 1", "is no field"),
        ("fp > many", "fp is a number"),
        ("fp contains 1", "fp is a number"),
        ("fp in (1, two)", "fp is a number"),
        ("fp in 1", "'\\(' is missing"),
        ("fp in (tp)", "values, not fields"),
        ("labeled == 3", "true or false"),
        ("split == trainig", "is no split"),
        ("'open == fp", "is no part"),
        ("not " * 60 + "labeled", "within one another"),
        ("(" * 60 + "labeled" + ")" * 60, "within one another"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason_and_an_example(condition: str, why: str) -> None:
    with pytest.raises(RequestError, match=why) as refused:
        parse(condition)
    assert "metadata.city" in refused.value.hint


def test_an_unknown_media_type_is_refused() -> None:
    with pytest.raises(RequestError, match="is no media type"):
        parse("media_type == picture")


WORDS = st.sampled_from(
    ["fp", "f1", "metadata.city", "labeled", "split", "predicted", "task", "(", ")", ",", "and", "or", "not", "in",
     "contains", "==", "<", "0.5", "'a'", "training", "fp[Cat]", "Berlin", "true"]
)  # fmt: skip


@given(st.text(max_size=30) | st.lists(WORDS, max_size=12).map(" ".join))
def test_any_text_is_a_condition_or_a_refusal(text: str) -> None:
    with contextlib.suppress(RequestError):
        found = parse(text)
        assert isinstance(found, Condition)
        with contextlib.suppress(KeyError):  # a field that stands in no column here
            assert holds(found, lookup, 3).shape == (3,)


@given(st.floats(0, 1), st.floats(0, 1))
def test_comparing_is_that_of_numbers(first: float, second: float) -> None:
    condition = parse(f"f1 <= {second:.6f}")
    assert holds(condition, lambda _: np.array([round(first, 6)]), 1).tolist() == [round(first, 6) <= round(second, 6)]


def test_an_order_is_a_number_and_a_direction() -> None:
    assert parse_order("f1") == (Field("f1"), False)
    assert parse_order("f1 asc") == (Field("f1"), False)
    assert parse_order("fp[Cat] desc") == (Field("fp", "Cat"), True)


@pytest.mark.parametrize("order", ["", "global_key", "f1 down", "f1 desc desc", "nothing", "'f1'"])
def test_data_rows_are_ordered_by_numbers_only(order: str) -> None:
    with pytest.raises(RequestError):
        parse_order(order)


# -- numbers of each row


def box(left: float, feature: str = "Cat", confidence: float = 0.9) -> Instance:
    return Instance("box", feature, (left, 0.0, left + 10.0, 10.0), confidence=confidence)


def choice(answer: str, confidence: float = 0.9, question: str = "mood") -> Instance:
    return Instance("choice", answer, answer, question=question, confidence=confidence, exclusive=True)


def numbers(field: str, *rows: tuple[Sequence[Instance], Sequence[Instance]], **at: float) -> list[float]:
    matches = match_rows({str(place): row for place, row in enumerate(rows)})
    name, _, key = field.rstrip("]").partition("[")
    return RowNumbers(matches, **at).column(Field(name, key or None)).tolist()


def test_counts_are_of_each_row_and_class() -> None:
    rows = (
        ([box(0), box(50), box(100, "Dog")], [box(0), box(200, "Dog")]),
        ([], [box(0)]),
        ([box(0, confidence=0.2)], []),
        ([], []),
    )
    assert numbers("tp", *rows) == [1, 0, 0, 0]
    assert numbers("fp", *rows) == [2, 0, 0, 0]
    assert numbers("fp", *rows, confidence=0.1) == [2, 0, 1, 0]
    assert numbers("fn", *rows) == [1, 1, 0, 0]
    assert numbers("fp[Dog]", *rows) == [1, 0, 0, 0]
    assert numbers("fn[Cat]", *rows) == [0, 1, 0, 0]
    assert numbers("fn[Cow]", *rows) == [0, 0, 0, 0]
    assert numbers("predictions", *rows) == [3, 0, 0, 0]
    assert numbers("predictions[Cat]", *rows, confidence=0.1) == [2, 0, 1, 0]
    assert numbers("annotations[Cat]", *rows) == [1, 1, 0, 0]
    assert numbers("precision", *rows) == pytest.approx([1 / 3, NAN, NAN, NAN], nan_ok=True)
    assert numbers("recall", *rows) == pytest.approx([0.5, 0, NAN, NAN], nan_ok=True)
    assert numbers("f1[Cat]", *rows) == pytest.approx([2 / 3, 0, NAN, NAN], nan_ok=True)


def test_confidence_is_of_all_predictions_whatever_the_threshold() -> None:
    rows = (([box(0, confidence=0.2), box(50, "Dog", 0.8), box(90, "Dog", 0.7)], [box(0)]), ([], [box(0)]))
    assert numbers("confidence", *rows) == pytest.approx([0.2, NAN], nan_ok=True)
    assert numbers("max_confidence", *rows) == pytest.approx([0.8, NAN], nan_ok=True)
    assert numbers("confidence[Dog]", *rows) == pytest.approx([0.7, NAN], nan_ok=True)
    assert numbers("fp_confidence", *rows) == pytest.approx([0.8, NAN], nan_ok=True)
    assert numbers("fp_confidence[Cat]", *rows) == pytest.approx([NAN, NAN], nan_ok=True)


def test_true_negatives_are_choices_that_neither_side_says() -> None:
    rows = (
        ([choice("good")], [choice("good")]),  # neither says bad, nor so-so
        ([choice("good")], [choice("bad")]),
        ([choice("so-so", 0.1)], [choice("so-so")]),  # below the threshold, the annotation answers still
        ([box(0)], [box(0)]),
    )
    assert numbers("tn", *rows) == pytest.approx([2, 1, 2, NAN], nan_ok=True)
    assert numbers("tn[bad]", *rows) == pytest.approx([1, 0, 1, NAN], nan_ok=True)
    assert numbers("tn[mood/bad]", *rows) == pytest.approx([1, 0, 1, NAN], nan_ok=True)
    assert numbers("tn", ([box(0)], [box(0)])) == pytest.approx([NAN], nan_ok=True)
    assert numbers("tn") == []


@st.composite
def some_rows(draw: st.DrawFn) -> Matches:
    one = st.builds(box, st.integers(0, 30).map(float), st.sampled_from(["Cat", "Dog"]), st.floats(0, 1))
    said = st.builds(choice, st.sampled_from(["good", "bad"]), st.floats(0, 1))
    side = st.tuples(st.lists(one, max_size=3), st.lists(said, max_size=1)).map(lambda both: both[0] + both[1])
    return match_rows({str(place): row for place, row in enumerate(draw(st.lists(st.tuples(side, side), max_size=6)))})


@given(some_rows(), st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([0.1, 0.5]))
def test_the_rows_numbers_are_those_of_the_summary_and_add_up_to_the_runs(
    matches: Matches, confidence: float, iou: float
) -> None:
    found = RowNumbers(matches, confidence, iou)
    summary = summarize(matches, confidence, iou, all_rows=True)
    for name in ("tp", "fp", "fn", "precision", "recall", "f1", "iou"):
        of_row = dict(zip(matches.row_ids, found.column(Field(name)).tolist(), strict=True))
        for row, counts in summary.rows.items():
            value = getattr(counts, name)
            assert of_row[row] == pytest.approx(NAN if value is None else value, nan_ok=True)
    for name in ("tp", "fp", "fn", "tn"):
        assert np.nansum(found.column(Field(name))) == (getattr(summary.run, name) or 0)
        for cls, counts in summary.classes.items():
            assert np.nansum(found.column(Field(name, cls))) == (getattr(counts, name) or 0)


@given(some_rows())
def test_ready_made_slices_have_the_order_of_the_views(matches: Matches) -> None:
    found = RowNumbers(matches)
    both = [row for row, counts in zip(matches.row_ids, matches.counted.tolist(), strict=True) if counts]
    for name in READY.keys() & VIEWS.keys():
        inside = holds(parse(READY[name].condition), found.column, len(matches.row_ids))
        field, largest_first = parse_order(READY[name].order)
        values = dict(zip(matches.row_ids, found.column(field).tolist(), strict=True))
        rows = [row for row, is_in in zip(matches.row_ids, inside.tolist(), strict=True) if is_in]
        rows.sort(key=lambda row, of=values, sign=-1 if largest_first else 1: sign * of[row])  # type: ignore[misc]
        expected = [(one.row_id, pytest.approx(one.value)) for one in ranked(matches, name) if one.row_id in both]
        assert [(row, values[row]) for row in rows if row in both] == expected
