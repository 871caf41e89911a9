"""From what a model returned to one entry of the predictions array, and the score that orders tasks."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prelabel import outputs as o
from prelabel.errors import OutputError
from prelabel.labeling import LabelingConfig, parse
from prelabel.model import Silence
from prelabel.predictions import NO_SCORE, POLICIES, Prediction, make_prediction
from prelabel.settings import ScorePolicy
from prelabel.tasks import Facts

CHOICES = parse(
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="Good"/><Choice value="Bad"/><Choice value="Mixed"/></Choices></View>'
)
MULTIPLE = parse(
    '<View><Text name="text" value="$text"/><Choices name="topics" toName="text" choice="multiple">'
    '<Choice value="Sport"/><Choice value="Art"/></Choices></View>'
)
SPANS = parse(
    '<View><Text name="text" value="$text"/><Labels name="ner" toName="text"><Label value="PER"/></Labels></View>'
)
OCR = parse(
    '<View><Image name="image" value="$image"/><Rectangle name="box" toName="image"/>'
    '<Labels name="kind" toName="image"><Label value="Title"/></Labels>'
    '<TextArea name="words" toName="image" perRegion="true"/></View>'
)
TEXT = {"text": Facts(text="Alice met Bob in Paris")}
ALL: tuple[ScorePolicy, ...] = get_args(ScorePolicy)


def predict(raw: object, config: LabelingConfig = CHOICES, policy: ScorePolicy = "min") -> Prediction:
    return make_prediction(raw, config, TEXT, model_version="m-1", policy=policy)


def spans(*scores: float | None) -> list[o.Span]:
    return [o.Span(i, i + 1, "PER", score=score) for i, score in enumerate(scores)]


# --- the entry
def test_a_prediction_is_an_entry_that_label_studio_takes() -> None:
    entry = predict({"Good": 0.75, "Bad": 0.25}).as_json()
    (region,) = entry["result"]
    distributions = {region["id"]: {"exclusive": True, "classes": {"Good": 0.75, "Bad": 0.25}}}
    assert entry == {"result": [region], "score": 0.75, "model_version": "m-1", "distributions": distributions}
    assert region == {
        "id": region["id"],
        "from_name": "mood",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": ["Good"]},
        "score": 0.75,
    }


def test_what_does_not_fit_is_left_out_and_named() -> None:
    prediction = predict(["Unheard"])
    assert prediction.result == ()
    assert "'Unheard'" in prediction.dropped[0]


def test_the_users_label_map_is_applied() -> None:
    prediction = make_prediction("LABEL_1", CHOICES, TEXT, model_version="m-1", label_map={"LABEL_1": "Good"})
    assert prediction.result[0]["value"] == {"choices": ["Good"]}


def test_a_value_without_one_meaning_is_an_error() -> None:
    with pytest.raises(OutputError):
        predict(3.5)


@pytest.mark.parametrize("raw", [None, [], {"result": []}])
def test_nothing_is_a_prediction_without_regions(raw: object) -> None:
    assert predict(raw) == Prediction((), NO_SCORE, "m-1")


def test_silence_is_no_prediction_and_not_an_empty_one() -> None:
    assert predict(Silence()).silent
    assert not predict([]).silent


def test_a_class_for_a_taxonomy_becomes_its_path() -> None:
    config = parse(
        '<View><Text name="text" value="$text"/><Taxonomy name="tree" toName="text">'
        '<Choice value="Animal"><Choice value="Cat"/></Choice></Taxonomy></View>'
    )
    (region,) = predict({"Cat": 0.75, "Animal": 0.25}, config).result
    assert (region["type"], region["value"]) == ("taxonomy", {"taxonomy": [["Animal", "Cat"]]})


# --- the score
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("min", 0.5),
        ("mean", 0.7),
        ("max", 0.8),
        ("product", 0.32),
        ("margin", 0.0),
        ("entropy", 0.0),
    ],
)
def test_each_policy_makes_one_score_of_many(policy: ScorePolicy, expected: float) -> None:
    assert predict(spans(0.8, 0.5, 0.8), SPANS, policy).score == pytest.approx(expected)


def test_every_policy_that_may_be_set_exists() -> None:
    assert set(POLICIES) == set(ALL)


def test_the_page_about_scores_names_every_policy() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scores.md").read_text()
    assert all(f"| `{policy}`" in page for policy in POLICIES)


def test_margin_and_entropy_see_the_whole_distribution() -> None:
    shares = {"Good": 0.5, "Bad": 0.4, "Mixed": 0.1}
    entropy = -sum(share * math.log(share) for share in shares.values())
    assert predict(shares, policy="margin").score == pytest.approx(0.1)
    assert predict(shares, policy="entropy").score == pytest.approx(1 - entropy / math.log(3))
    assert predict(o.Choice("Good", score=0.5, distribution=shares), policy="margin").score == pytest.approx(0.1)


def test_a_distribution_is_taken_as_a_whole_though_it_does_not_add_up() -> None:
    assert predict({"Good": 0.4, "Bad": 0.1}, policy="margin").score == pytest.approx(0.6)
    assert predict({"Good": 0.0, "Bad": 0.0}, policy="margin").score == 0.0


@pytest.mark.parametrize("policy", ["margin", "entropy"])
def test_uncertain_tasks_come_first(policy: ScorePolicy) -> None:
    torn = {"Good": 0.34, "Bad": 0.33, "Mixed": 0.33}
    leaning = {"Good": 0.6, "Bad": 0.3, "Mixed": 0.1}
    sure = {"Good": 0.98, "Bad": 0.01, "Mixed": 0.01}
    scores = [predict(shares, policy=policy).score for shares in (torn, leaning, sure)]
    assert scores == sorted(scores)
    assert scores[0] < 0.02
    assert scores[2] > 0.85


@pytest.mark.parametrize("policy", ["margin", "entropy"])
def test_where_several_may_be_chosen_the_least_certain_class_counts(policy: ScorePolicy) -> None:
    assert predict({"Sport": 0.99, "Art": 0.5}, MULTIPLE, policy).score == pytest.approx(0.0)
    assert predict({"Sport": 1.0, "Art": 0.0}, MULTIPLE, policy).score == pytest.approx(1.0)


def test_choosing_none_of_several_is_scored_by_how_sure_that_is() -> None:
    prediction = predict({"Sport": 0.25, "Art": 0.125}, MULTIPLE)
    assert (prediction.result, prediction.score, prediction.dropped) == ((), 0.75, ())
    assert predict({"Sport": 0.25, "Art": 0.125}, MULTIPLE, "margin").score == 0.5


def test_an_answer_about_a_region_counts_beside_the_region() -> None:
    config = parse(
        '<View><Text name="text" value="$text"/><Labels name="ner" toName="text"><Label value="PER"/></Labels>'
        '<Choices name="sex" toName="text" perRegion="true"><Choice value="f"/><Choice value="m"/></Choices></View>'
    )
    said = [
        o.Span(0, 5, "PER", score=0.75, id="r"),
        o.Choice("f", score=0.5, of="r", distribution={"f": 0.5, "m": 0.3}),
    ]
    assert predict(said, config).score == 0.5
    assert predict(said, config, "margin").score == pytest.approx(0.25)


def test_a_dropped_output_does_not_count() -> None:
    outputs = [o.Span(0, 5, "PER", score=0.75), o.Span(900, 901, "PER", score=0.25)]
    prediction = predict(outputs, SPANS)
    assert (len(prediction.result), len(prediction.dropped), prediction.score) == (1, 1, 0.75)


def test_a_box_with_label_and_text_counts_once() -> None:
    boxes = [o.Box(0, 0, 10, 10, "Title", score=0.5, text="a"), o.Box(20, 20, 10, 10, "Title", score=0.5, text="b")]
    prediction = make_prediction(
        boxes, OCR, {"image": Facts(width=100, height=100)}, model_version="m-1", policy="product"
    )
    assert len(prediction.result) == 6
    assert prediction.score == 0.25


@pytest.mark.parametrize("policy", ALL)
@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf"), None])
def test_scores_that_are_no_numbers_do_not_count(policy: ScorePolicy, score: float | None) -> None:
    assert predict(spans(score, score), SPANS, policy).score == NO_SCORE
    assert predict(spans(score, 1.0), SPANS, policy).score == 1.0


def test_scores_of_numpy_are_scores() -> None:
    prediction = predict(spans(np.float32(0.5), np.float64(0.75)), SPANS)  # type: ignore[arg-type]
    assert prediction.score == 0.5
    assert json.loads(json.dumps(prediction.as_json())) == prediction.as_json()


def test_a_label_studio_prediction_keeps_its_own_score() -> None:
    region = {"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": ["Good"]}, "score": 0.9}
    assert predict({"result": [region], "score": 0.25}).score == 0.25
    assert predict({"result": [region], "score": float("nan")}).score == 0.9
    assert predict([region]).score == 0.9


SCORES = st.none() | st.floats() | st.integers(-3, 3)


@given(scores=st.lists(SCORES, max_size=6), policy=st.sampled_from(ALL))
def test_the_score_is_a_finite_number_within_0_to_1_whatever_the_regions_say(
    scores: list[float | None], policy: ScorePolicy
) -> None:
    score = predict(spans(*scores), SPANS, policy).score
    assert isinstance(score, float)
    assert 0.0 <= score <= 1.0


@given(
    shares=st.dictionaries(st.sampled_from(["Good", "Bad", "Mixed", "Other"]), st.floats(), min_size=1),
    label=st.sampled_from(["Good", "Bad"]),
    policy=st.sampled_from(ALL),
)
def test_the_score_is_a_finite_number_within_0_to_1_whatever_the_distribution_says(
    shares: dict[str, float], label: str, policy: ScorePolicy
) -> None:
    score = predict(o.Choice(label, score=0.5, distribution=shares), policy=policy).score
    assert 0.0 <= score <= 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_product_min_mean_and_max_are_in_this_order(scores: list[float]) -> None:
    policies: tuple[ScorePolicy, ...] = ("product", "min", "mean", "max")
    made = [predict(spans(*scores), SPANS, policy).score for policy in policies]
    assert all(low <= high + 1e-12 for low, high in pairwise(made))
