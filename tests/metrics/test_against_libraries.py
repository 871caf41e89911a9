"""Detection, spans, texts, values and classification against the libraries they stand on."""

from __future__ import annotations

import importlib.util
import math
import sys
from typing import Any

import jiwer
import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as coco_mask
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from prelabel.errors import SettingsError
from prelabel.metrics.classification import compare_choices, question_scores
from prelabel.metrics.detection import average_precision
from prelabel.metrics.instances import Instance
from prelabel.metrics.libraries import library
from prelabel.metrics.matching import Both
from prelabel.metrics.spans import span_scores
from prelabel.metrics.texts import compare_texts, text_errors
from prelabel.metrics.values import (
    compare_numbers,
    compare_rankings,
    datetime_errors,
    number_errors,
    quadratic_kappa,
    ranking_errors,
    rating_errors,
)

needs_nervaluate = pytest.mark.skipif(
    importlib.util.find_spec("nervaluate") is None, reason="nervaluate needs Python 3.11"
)

NAMES = ("cat", "dog", "cow")


def pictures(kind: str, number: int = 12) -> dict[str, Both]:
    """Boxes or masks, predictions a little off."""
    random = np.random.default_rng(3)
    found: dict[str, Both] = {}
    for place in range(number):
        sides: tuple[list[Instance], list[Instance]] = ([], [])
        for _ in range(6):
            x, y = random.integers(0, 60, 2).tolist()
            w, h = random.integers(8, 30, 2).tolist()
            dx, dy = random.integers(-2, 3, 2).tolist()
            name = NAMES[random.integers(0, 3)]
            for side, shift in ((0, (dx, dy)), (1, (0, 0))):
                corners = (max(x + shift[0], 0), max(y + shift[1], 0), x + w + shift[0], y + h + shift[1])
                value: Any = tuple(map(float, corners))
                if kind == "mask":
                    value = np.zeros((90, 100), dtype=np.bool_)
                    value[corners[1] : corners[3], corners[0] : corners[2]] = True
                sides[side].append(Instance(kind, name, value, confidence=float(random.random())))  # type: ignore[arg-type]
        found[str(place)] = (sides[0][1:], sides[1])
    return found


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_average_precision_is_faster_coco_eval_s(kind: str) -> None:
    rows = pictures(kind)
    entries: list[list[dict[str, Any]]] = [[], []]
    for image, both in enumerate(rows.values(), 1):
        for side, instances in enumerate(both):
            for one in instances:
                entry: dict[str, Any] = {
                    "id": len(entries[side]) + 1, "image_id": image, "category_id": NAMES.index(one.feature) + 1,
                    "iscrowd": 0,
                }  # fmt: skip
                if side == 0:
                    entry["score"] = one.confidence
                if kind == "box":
                    x1, y1, x2, y2 = one.value
                    entry |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
                else:
                    rle = coco_mask.encode(np.asfortranarray(one.value, dtype=np.uint8))
                    entry |= {"segmentation": rle, "area": int(one.value.sum())}
                entries[side].append(entry)
    truth = COCO(
        {
            "images": [{"id": place + 1, "height": 90, "width": 100} for place in range(len(rows))],
            "categories": [{"id": place, "name": name} for place, name in enumerate(NAMES, 1)],
            "annotations": entries[1],
        }
    )
    evaluation = COCOeval_faster(truth, truth.loadRes(entries[0]), iouType="bbox" if kind == "box" else "segm")
    evaluation.run()
    expected = evaluation.stats_as_dict
    made = average_precision(rows, kind)  # type: ignore[arg-type]
    assert made.all.as_json() == pytest.approx(
        {"ap": expected["AP_all"], "ap50": expected["AP_50"], "ap75": expected["AP_75"]}
    )
    assert 0 < expected["AP_all"] < 1
    assert np.mean([one.ap for one in made.classes.values()]) == pytest.approx(expected["AP_all"])


def test_average_precision_of_what_is_not_annotated_is_none() -> None:
    said = [Instance("box", "cat", (0, 0, 1, 1)), Instance("box", "dog", (0, 0, 1, 1))]
    made = average_precision({"a": (said, [Instance("box", "cat", (0, 0, 1, 1))])})
    assert (made.classes["cat"].ap, made.classes["dog"].ap, made.all.ap) == (pytest.approx(1), None, pytest.approx(1))
    assert average_precision({"a": (said, [])}).as_json()["ap"] is None
    assert average_precision({}).all.ap50 is None


SPANS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 6) | st.just(300), st.sampled_from(["PER", "LOC"])), max_size=5
)
"""Begin, length and label; they may lie on each other, and a long one is hardly touched by the others."""


def documents(*spans: list[tuple[int, int, str]]) -> tuple[list[Instance], ...]:
    return tuple([Instance("span", name, (at, at + length)) for at, length, name in one] for one in spans)


@needs_nervaluate
@given(SPANS, SPANS)
@settings(max_examples=100)
def test_spans_are_counted_as_nervaluate_does_with_and_without_it(
    said: list[tuple[int, int, str]], there: list[tuple[int, int, str]]
) -> None:
    nervaluate = importlib.import_module("nervaluate")

    def entities(spans: list[tuple[int, int, str]]) -> list[dict[str, Any]]:
        return [{"label": name, "start": at, "end": at + length - 1} for at, length, name in spans]

    ours, theirs = documents(said, there)
    made = span_scores({"a": (ours, theirs)})
    with pytest.MonkeyPatch.context() as python:
        python.setitem(sys.modules, "nervaluate", None)  # as where it is not installed
        assert span_scores({"a": (ours, theirs)}).as_json() == made.as_json()
    expected = nervaluate.Evaluator([entities(there)], [entities(said)], ["PER", "LOC"], loader="dict").evaluate()
    for scheme, name in (("strict", "strict"), ("exact", "exact"), ("partial", "partial"), ("type", "ent_type")):
        for score, other in (
            (made.all[scheme], expected["overall"][name]),  # type: ignore[index]
            *((made.classes[label][scheme], expected["entities"][label][name]) for label in made.classes),  # type: ignore[index]
        ):
            assert (score.correct, score.missed, score.spurious) == (other.correct, other.missed, other.spurious)
            assert (score.precision or 0, score.recall or 0, score.f1 or 0) == pytest.approx(
                (other.precision, other.recall, other.f1)
            )


def test_a_span_without_characters_takes_no_part() -> None:
    ours, theirs = documents([(3, 0, "PER"), (0, 10, "PER")], [(5, 0, "PER"), (0, 10, "PER")])
    strict = span_scores({"a": (ours, theirs)}).all["strict"]
    assert (strict.correct, strict.missed, strict.spurious, strict.incorrect) == (1, 0, 0, 0)


def test_boundaries_say_how_far_spans_are_off() -> None:
    said = [Instance("span", "PER", (1, 5)), Instance("span", "PER", (20, 25)), Instance("span", "LOC", (40, 44))]
    there = [Instance("span", "PER", (0, 5)), Instance("span", "PER", (20, 28))]
    made = span_scores({"a": (said, there), "b": ([], there)})
    assert made.boundaries.as_json() == {
        "pairs": 2, "exact": 0, "start_error": 0.5, "end_error": -1.5, "absolute_error": 1.0,
    }  # fmt: skip
    assert made.all["strict"].missed == 2
    assert made.classes["LOC"]["strict"].recall is None
    assert span_scores({}).all["strict"].f1 is None


def test_error_rates_are_jiwer_s() -> None:
    said, there = ["the cat sat", "hello world", "same"], ["the cat sat down", "hallo world", "same"]
    made = compare_texts(said, there)
    assert (made.wer, made.cer) == (pytest.approx(jiwer.wer(there, said)), pytest.approx(jiwer.cer(there, said)))
    assert made.exact == pytest.approx(1 / 3)
    assert compare_texts([], []).as_json() == {"pairs": 0, "exact": None, "wer": None, "cer": None}
    assert compare_texts(["something"], [""]).wer is None


def answers(kind: str, pairs: list[tuple[Any, Any]]) -> dict[str, Both]:
    """A data row for each pair of answers to one question."""
    return {
        str(place): tuple([Instance(kind, "q", value, "q")] if value is not None else [] for value in pair)  # type: ignore[arg-type,misc]
        for place, pair in enumerate(pairs)
    }


def test_texts_are_paired_by_question_and_confidence() -> None:
    rows = answers("text", [("a b", "a c"), (None, "x"), ("y", None)])
    assert text_errors(rows)["q"].as_json() == {"pairs": 1, "exact": 0.0, "wer": 0.5, "cer": pytest.approx(1 / 3)}
    unsure = {"a": ([Instance("text", "q", "a", "q", confidence=0.2)], [Instance("text", "q", "a", "q")])}
    assert text_errors(unsure) == {}


def test_numbers_have_the_errors_that_scikit_learn_finds() -> None:
    said, there = [1.0, 2.5, 8.0], [1.0, 2.0, 6.0]
    made = compare_numbers(said, there)
    assert made.mae == pytest.approx(sk.mean_absolute_error(there, said))
    assert made.rmse == pytest.approx(sk.root_mean_squared_error(there, said))
    assert (made.bias, made.exact) == (pytest.approx(2.5 / 3), pytest.approx(1 / 3))
    assert number_errors(answers("number", list(zip(said, there, strict=True))))["q"] == made
    assert compare_numbers([], []).mae is None


def test_ratings_have_a_quadratic_kappa() -> None:
    said, there = [1, 2, 3, 4, 5, 5], [1, 3, 3, 5, 5, 4]
    expected = sk.cohen_kappa_score(there, said, weights="quadratic", labels=[1, 2, 3, 4, 5])
    assert quadratic_kappa(said, there) == pytest.approx(expected)
    assert rating_errors(answers("rating", list(zip(said, there, strict=True))))["q"].kappa == pytest.approx(expected)
    assert quadratic_kappa([3, 3], [3, 3]) is None


def test_rankings_have_scipy_s_correlations() -> None:
    said, there = ["a", "b", "c", "d"], ["b", "a", "c", "d"]
    made = compare_rankings([said], [there])
    places = [there.index(item) for item in said]
    assert made.kendall == pytest.approx(stats.kendalltau(range(4), places).statistic)
    assert made.spearman == pytest.approx(stats.spearmanr(range(4), places).statistic)
    assert compare_rankings([["a"]], [["a"]]).kendall is None
    assert ranking_errors(answers("ranking", [(tuple(said), tuple(there))]))["q"] == made


def test_dates_are_compared_in_seconds() -> None:
    rows = answers("datetime", [("2026-01-31T12:30", "2026-01-31T12:29:00Z"), ("soon", "2026-01-31")])
    made = datetime_errors(rows)["q"]
    assert (made.pairs, made.mae) == (1, 60)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=30))
@settings(max_examples=50)
def test_choices_have_scikit_learn_s_scores(pairs: list[tuple[str, str]]) -> None:
    said, there = [one for one, _ in pairs], [one for _, one in pairs]
    made = compare_choices(said, there)
    assert made.accuracy == pytest.approx(sk.accuracy_score(there, said))
    assert made.micro_f1 == pytest.approx(made.accuracy)
    names = sorted({*said, *there})
    precision, recall, _, support = sk.precision_recall_fscore_support(
        there, said, labels=names, zero_division=math.nan
    )
    for place, name in enumerate(names):
        for value, expected in ((made.classes[name].precision, precision), (made.classes[name].recall, recall)):
            assert (math.nan if value is None else value) == pytest.approx(expected[place], nan_ok=True)
        assert made.classes[name].support == support[place]
    if len(names) > 1:
        assert made.kappa == pytest.approx(sk.cohen_kappa_score(there, said))
    else:
        assert made.kappa is None


def test_questions_about_objects_are_paired_by_their_objects() -> None:
    def side(box_id: str, answer: str) -> list[Instance]:
        return [
            Instance("box", "car", (0, 0, 10, 10), id=box_id),
            Instance("choice", answer, answer, "hidden", box_id, exclusive=True),
        ]

    missing = [Instance("choice", "no", "no", "other", exclusive=True)]
    made = question_scores({"a": (side("p", "yes"), side("a", "yes")), "b": ([], missing)})
    assert (made["hidden"].accuracy, made["hidden"].kappa) == (1.0, None)
    assert (made["other"].pairs, made["other"].unanswered, made["other"].accuracy) == (0, 1, None)


def test_several_answers_are_right_where_all_are() -> None:
    def ticked(*names: str) -> list[Instance]:
        return [Instance("choice", name, name, "q") for name in names]

    made = question_scores({"a": (ticked("x", "y"), ticked("x", "y")), "b": (ticked("x"), ticked("x", "y"))})["q"]
    assert (made.accuracy, made.kappa, made.micro_f1) == (0.5, None, pytest.approx(6 / 7))


def test_a_missing_library_says_what_to_install() -> None:
    with pytest.raises(SettingsError, match=r'pip install "prelabel\[runs\]"'):
        library("no_such_library.part")
