"""Kinds of mistakes, and the views that put rows in order."""

from __future__ import annotations

import numpy as np
import pytest

from prelabel.analysis import VIEW_NAMES
from prelabel.analysis.mistakes import KINDS, RIGHT, UNCOUNTED, verdicts
from prelabel.analysis.views import VIEWS, ranked
from prelabel.errors import RequestError
from prelabel.metrics.instances import Instance
from prelabel.metrics.matches import Matches
from prelabel.metrics.matching import match_rows


def box(x1: float, feature: str = "Cat", confidence: float = 0.9, width: float = 10.0) -> Instance:
    """A box of height 10 at the top."""
    return Instance("box", feature, (x1, 0.0, x1 + width, 10.0), confidence=confidence)


def span(start: int, end: int, feature: str) -> Instance:
    return Instance("span", feature, (start, end), confidence=0.9)


def one_row(predictions: list[Instance], annotations: list[Instance]) -> Matches:
    return match_rows({"a": (predictions, annotations)})


@pytest.mark.parametrize(
    ("prediction", "kind"),
    [
        (box(0), None),
        (box(5), "localisation"),
        (box(0, "Dog"), "class"),
        (box(5, "Dog"), "class_and_localisation"),
        (box(50), "background"),
        (box(9.5), "background"),
    ],
)
def test_a_prediction_is_wrong_in_one_way(prediction: Instance, kind: str | None) -> None:
    (found,) = verdicts(one_row([prediction], [box(0)])).kind.tolist()
    assert (None if found == RIGHT else KINDS[found]) == kind


def test_a_second_prediction_of_one_annotation_is_a_duplicate_and_the_better_one_is_right() -> None:
    made = verdicts(one_row([box(1), box(0)], [box(0)]))
    assert [made.kind[0], made.kind[1]] == [KINDS.index("duplicate"), RIGHT]
    assert made.counts() == {"Cat": {"duplicate": 1}}


def test_too_far_from_its_own_goes_before_the_wrong_class_as_in_tide() -> None:
    made = verdicts(one_row([box(5)], [box(0), box(5, "Dog")]))
    assert made.counts()["Cat"] == {"localisation": 1}
    assert made.counts()["Dog"] == {"missed": 1}


def test_missed_is_what_no_prediction_explains() -> None:
    made = verdicts(one_row([box(0, "Dog"), box(100)], [box(0), box(50), box(100)]))
    assert made.counts() == {"Cat": {"missed": 1}, "Dog": {"class": 1}}
    assert list(made.rows("missed")) == [("a", 1)]
    assert list(made.rows("duplicate")) == []


def test_predictions_below_the_confidence_are_not_judged() -> None:
    made = verdicts(one_row([box(50, confidence=0.2), box(0)], [box(0)]))
    assert made.kind.tolist() == [UNCOUNTED, RIGHT]


def test_spans_have_boundary_and_type_errors() -> None:
    made = verdicts(
        one_row([span(0, 4, "Person"), span(10, 20, "Place")], [span(0, 10, "Person"), span(10, 20, "Person")]),
        foreground=0.0,
    )
    assert made.counts() == {"Person": {"localisation": 1}, "Place": {"class": 1}}


def test_every_wrong_prediction_has_one_kind_on_random_boxes() -> None:
    random = np.random.default_rng(0)

    def some(number: int) -> list[Instance]:
        return [
            box(float(x), "Cat" if coin else "Dog", float(sure))
            for x, coin, sure in zip(
                random.uniform(0, 60, number), random.integers(0, 2, number), random.uniform(0, 1, number), strict=True
            )
        ]

    matches = match_rows({str(row): (some(5), some(4)) for row in range(50)})
    made = verdicts(matches)
    from prelabel.metrics.summary import summarize

    run = summarize(matches).run
    assert int((made.kind == RIGHT).sum()) == run.tp
    assert int(made.wrong.sum()) == run.fp
    assert int(made.missed.sum()) <= run.fn


# --- views
def rows() -> Matches:
    return match_rows(
        {
            "right": ([box(0)], [box(0)]),
            "two wrong": ([box(0), box(50, confidence=0.6), box(80, confidence=0.95)], [box(0)]),
            "one wrong": ([box(0), box(50, confidence=0.7)], [box(0)]),
            "missed": ([box(0)], [box(0), box(30)]),
            "unlabeled": ([box(0, confidence=0.1)], []),
            "nothing predicted": ([], [box(0)]),
        }
    )


@pytest.mark.parametrize(
    ("view", "order"),
    [
        ("false_positives", ["two wrong", "one wrong"]),
        ("false_negatives", ["missed"]),
        ("low_precision", ["two wrong", "one wrong", "right", "missed"]),
        ("low_recall", ["missed", "right", "two wrong", "one wrong"]),
        ("low_confidence", ["unlabeled", "two wrong", "one wrong", "right", "missed"]),
        ("candidate_mislabels", ["two wrong", "one wrong"]),
    ],
)
def test_a_view_puts_rows_in_its_order(view: str, order: list[str]) -> None:
    assert [one.row_id for one in ranked(rows(), view)] == order


def test_true_negatives_are_choices_that_neither_side_says() -> None:
    def choices(*names: str) -> list[Instance]:
        return [Instance("choice", name, name, "q") for name in names]

    many = {
        "two": (choices("a"), choices("a")),
        "none": (choices("a", "b"), choices("c")),
        "one": (choices("a"), choices("b")),
    }
    assert [(one.row_id, one.value) for one in ranked(match_rows(many), "true_negatives")] == [("two", 2), ("one", 1)]
    assert ranked(rows(), "true_negatives") == [], "what is drawn has none"


def test_a_view_can_be_cut_off_and_an_unknown_one_is_refused() -> None:
    assert len(ranked(rows(), "low_f1", limit=2)) == 2
    with pytest.raises(RequestError, match="low_confidence"):
        ranked(rows(), "worst")


def test_every_name_of_a_view_is_one() -> None:
    assert tuple(VIEWS) == VIEW_NAMES


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_minds_a_run_without_rows(view: str) -> None:
    assert ranked(match_rows({}), view) == []
