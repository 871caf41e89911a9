"""Plain Python with one obvious meaning becomes outputs; everything else is refused with the forms that would work."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from enum import Enum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from prelabel import outputs as o
from prelabel.adapters import stated_score, to_outputs
from prelabel.adapters.values import plain
from prelabel.errors import OutputError
from prelabel.labeling import LabelingConfig, parse


def config(*tags: str) -> LabelingConfig:
    return parse(f"<View>{''.join(tags)}</View>")


def labels(tag: str, name: str, to: str, *names: str, child: str = "Label", more: str = "") -> str:
    inside = "".join(f'<{child} value="{each}"/>' for each in names)
    return f'<{tag} name="{name}" toName="{to}" {more}>{inside}</{tag}>'


TEXT = '<Text name="text" value="$text"/>'
IMAGE = '<Image name="image" value="$image"/>'
AUDIO = '<Audio name="audio" value="$audio"/>'
SENTIMENT = labels("Choices", "sentiment", "text", "Positive", "Negative", child="Choice")
TOPICS = labels("Choices", "topics", "text", "Sport", "Art", child="Choice", more='choice="multiple"')
TREE = (
    '<Taxonomy name="tree" toName="text"><Choice value="Animal"><Choice value="Cat"/><Choice value="Dog"/></Choice>'
    '<Choice value="Plant"/></Taxonomy>'
)
NER = labels("Labels", "ner", "text", "PER", "LOC")
BOXES = labels("RectangleLabels", "boxes", "image", "Car", "Person")
BRUSH = labels("BrushLabels", "brush", "image", "Car", "Person")
SPEECH = labels("Labels", "speech", "audio", "Speech", "Music")
AREA = '<TextArea name="summary" toName="text"/>'
STARS = '<Rating name="stars" toName="text"/>'
NUMBER = '<Number name="price" toName="text"/>'

CHOICES = config(TEXT, SENTIMENT)
MULTIPLE = config(TEXT, TOPICS)
TAXONOMY = config(TEXT, TREE)
SPANS = config(TEXT, NER)
IMAGES = config(IMAGE, BOXES)
MASKS = config(IMAGE, BRUSH)
SOUNDS = config(AUDIO, SPEECH)


def one(raw: object, parsed: LabelingConfig, label_map: dict[str, str] | None = None) -> Any:
    """The only output."""
    (output,) = to_outputs(raw, parsed, label_map)
    return output


# --- outputs themselves, and nothing
@pytest.mark.parametrize("raw", [None, [], (), {}, [None, None], [[]]])
def test_nothing_says_nothing(raw: object) -> None:
    assert to_outputs(raw, CHOICES) == []


def test_outputs_pass_as_they_are() -> None:
    span = o.Span(0, 3, "PER")
    assert to_outputs(span, SPANS) == [span]
    assert to_outputs([span, o.Relation("a", "b")], SPANS) == [span, o.Relation("a", "b")]
    assert to_outputs([span, (4, 6, "LOC")], SPANS) == [span, o.Span(4, 6, "LOC")]


# --- classes
@pytest.mark.parametrize(
    "raw", ["Positive", np.str_("Positive"), ["Positive"], {"label": "Positive"}, [{"label": "Positive"}]]
)
def test_a_string_is_a_class(raw: object) -> None:
    assert one(raw, CHOICES) == o.Choice("Positive", control="sentiment")


def test_a_label_that_the_config_lacks_is_left_to_be_dropped_with_a_reason() -> None:
    assert one("Neutral", CHOICES).label == "Neutral"


def test_an_enum_means_its_value() -> None:
    class Mood(Enum):
        GOOD = "Positive"

    assert one(Mood.GOOD, CHOICES).label == "Positive"


@pytest.mark.parametrize(
    "raw",
    [
        {"Negative": 0.2, "Positive": 0.8},
        {"Negative": np.float32(0.2), "Positive": np.float64(0.8)},
        [("Negative", 0.2), ("Positive", 0.8)],
        [["Negative", 0.2], ["Positive", 0.8]],
        [{"label": "Negative", "score": 0.2}, {"label": "Positive", "score": 0.8}],
    ],
)
def test_probabilities_are_the_likeliest_class_with_its_score_and_the_whole_distribution(raw: object) -> None:
    choice = one(raw, CHOICES)
    assert (choice.label, choice.score) == ("Positive", 0.8)
    assert choice.distribution == pytest.approx({"Negative": 0.2, "Positive": 0.8})


@pytest.mark.parametrize("raw", [("Positive", 0.8), ["Positive", 0.8], {"label": "Positive", "score": 0.8}])
def test_a_label_with_a_score_is_a_class_with_that_score(raw: object) -> None:
    choice = one(raw, CHOICES)
    assert (choice.label, choice.score) == ("Positive", 0.8)


def test_where_several_may_be_chosen_those_from_one_half_on_are() -> None:
    choices = one({"Sport": 0.5, "Art": 0.9}, MULTIPLE)
    assert (choices.labels, choices.score) == (("Sport", "Art"), 0.5)
    assert one({"Sport": 0.49, "Art": 0.9}, MULTIPLE).labels == ("Art",)


def test_choosing_none_of_several_is_said_with_its_certainty() -> None:
    choices = one({"Sport": 0.25, "Art": 0.125}, MULTIPLE)
    assert (choices.labels, choices.score) == ((), 0.75)


@pytest.mark.parametrize("raw", [["Sport", "Art"], ("Sport", "Art"), {"Sport": True, "Art": np.True_}])
def test_several_labels_are_several_classes(raw: object) -> None:
    assert one(raw, MULTIPLE).labels == ("Sport", "Art")


def test_several_labels_for_one_choice_are_refused() -> None:
    with pytest.raises(OutputError, match="holds 2 classes and Choices 'sentiment' takes one"):
        to_outputs(["Positive", "Negative"], CHOICES)


def test_of_two_controls_the_one_that_has_the_labels_is_meant() -> None:
    parsed = config(TEXT, SENTIMENT, TOPICS)
    assert one("art", parsed) == o.Choices(("art",), control="topics")
    assert one({"good": 0.9, "bad": 0.1}, parsed, {"good": "Positive", "bad": "Negative"}).control == "sentiment"


@pytest.mark.parametrize("raw", [3, np.int64(3), "3"])
def test_a_number_may_be_the_name_of_a_class(raw: object) -> None:
    digits = config(TEXT, labels("Choices", "digit", "text", *"0123456789", child="Choice"))
    assert one(raw, digits).label == "3"
    assert one({0: 0.1, 7: 0.9}, digits).label == "7"


def test_classes_named_like_coordinates_are_classes_still() -> None:
    parsed = config(
        IMAGE, labels("Choices", "axis", "image", "x", "y", child="Choice"), "<KeyPoint name='k' toName='image'/>"
    )
    assert one({"x": 0.7, "y": 0.3}, parsed).label == "x"


# --- taxonomies
@pytest.mark.parametrize(
    ("raw", "paths"),
    [
        ("cat", (("Animal", "Cat"),)),
        (["Animal", "Cat"], (("Animal", "Cat"),)),
        (["Cat", "Plant"], (("Animal", "Cat"), ("Plant",))),
        ([["Animal", "Cat"], ["Plant"]], (("Animal", "Cat"), ("Plant",))),
        ({"Cat": 0.9, "Plant": 0.6, "Dog": 0.2}, (("Animal", "Cat"), ("Plant",))),
        (o.Choice("Cat"), (("Animal", "Cat"),)),
        (o.Choices(("Cat", "Plant")), (("Animal", "Cat"), ("Plant",))),
    ],
)
def test_taxonomies_take_leaves_and_paths(raw: object, paths: object) -> None:
    assert one(raw, TAXONOMY).paths == paths


def test_taxonomy_paths_become_choices_where_there_is_no_taxonomy() -> None:
    assert one(o.Taxonomy((("Topic", "Sport"),), score=0.5), MULTIPLE) == o.Choices(
        ("Sport",), score=0.5, control="topics"
    )


# --- text, numbers, dates, preferences, rankings, chat
def test_a_string_is_text_where_only_a_text_area_takes_one() -> None:
    parsed = config(TEXT, AREA, NER)
    assert one("a summary", parsed) == o.Text("a summary")
    assert one(["a", "b"], parsed) == o.Text(("a", "b"))
    assert one({"generated_text": "a summary"}, parsed) == o.Text("a summary")


def test_a_string_that_may_be_a_text_or_a_date_is_refused() -> None:
    with pytest.raises(OutputError, match="no one obvious meaning"):
        to_outputs("2026", config(TEXT, AREA, '<DateTime name="when" toName="text"/>'))


@pytest.mark.parametrize(("raw", "stars"), [(4, 4), (3.6, 4), (np.float32(2), 2)])
def test_a_number_is_a_rating(raw: object, stars: int) -> None:
    assert one(raw, config(TEXT, STARS)) == o.Rating(stars)


def test_a_number_is_a_number() -> None:
    assert one(7.5, config(TEXT, NUMBER, SENTIMENT)) == o.Number(7.5)


@pytest.mark.parametrize("raw", [4, float("nan"), True])
def test_a_number_that_may_be_a_rating_or_a_number_or_is_none_is_refused(raw: object) -> None:
    with pytest.raises(OutputError):
        to_outputs(raw, config(TEXT, STARS, NUMBER))


def test_dates_preferences_rankings_and_messages() -> None:
    when = config(TEXT, '<DateTime name="when" toName="text"/>')
    assert one(date(2026, 1, 31), when) == o.DateTime(date(2026, 1, 31))
    assert one("2026-01-31", when) == o.DateTime("2026-01-31")
    pair = config(TEXT, '<Text name="b" value="$b"/><Pairwise name="pw" toName="text,b"/>')
    assert one("Right", pair) == o.Preference("right")
    with pytest.raises(OutputError, match='Return "left"'):
        to_outputs("both", pair)
    ranker = '<List name="list" value="$items"/><Ranker name="rank" toName="list"/>'
    assert one(["i2", "i1"], config(ranker)) == o.Ranking(("i2", "i1"))
    assert one({"best": ["i2"], "rest": ["i1"]}, config(ranker)) == o.Ranking({"best": ("i2",), "rest": ("i1",)})
    assert one("hello", config('<Chat name="chat" value="$chat"/>')) == o.ChatMessage("hello")


# --- spans and segments
@pytest.mark.parametrize(
    "raw",
    [
        [(0, 5, "PER", 0.9)],
        [(0, 5, 0.9, "PER")],
        (0, 5, "PER", 0.9),
        [{"start": 0, "end": 5, "label": "PER", "score": 0.9}],
        {"start": 0, "end": 5, "label": "PER", "score": 0.9},
        [{"entity_group": "PER", "score": np.float64(0.9), "word": "Alice", "start": np.int64(0), "end": 5}],
        np.array([[0, 5, "PER", 0.9]], dtype=object),
    ],
)
def test_start_end_and_label_are_a_span_of_a_text(raw: object) -> None:
    assert one(raw, SPANS) == o.Span(0, 5, "PER", score=0.9)


def test_start_end_and_label_are_a_segment_of_an_audio() -> None:
    assert one([(0.5, 2, "Speech")], SOUNDS) == o.Segment(0.5, 2, "Speech")
    assert one({"timestamp": (0.5, 2.0), "text": "hello", "label": "Speech"}, SOUNDS) == o.Segment(
        0.5, 2.0, "Speech", text="hello"
    )


def test_start_and_end_are_values_of_a_time_column_or_frames_where_the_config_says_so() -> None:
    series = '<TimeSeries name="ts" value="$ts"/>' + labels("TimeSeriesLabels", "tsl", "ts", "Run")
    assert one([(1, 2, "Run")], config(series)) == o.SeriesSegment(1, 2, "Run")
    video = '<Video name="v" value="$v"/>' + labels("TimelineLabels", "tl", "v", "Goal")
    assert one([(1, 25, "Goal")], config(video)) == o.FrameSpan(1, 25, "Goal")
    dialog = '<Paragraphs name="p" value="$p"/>' + labels("ParagraphLabels", "pl", "p", "Question")
    assert one([{"paragraph": 1, "start": 0, "end": 4, "label": "Question"}], config(dialog)) == o.ParagraphSpan(
        1, 0, 4, "Question"
    )
    with pytest.raises(OutputError, match="paragraph"):
        to_outputs([(0, 4, "Question")], config(dialog))


def test_a_text_and_an_audio_are_told_apart_by_the_label() -> None:
    parsed = config(TEXT, NER, AUDIO, SPEECH)
    assert to_outputs([(0, 5, "PER"), (1, 2, "music")], parsed) == [o.Span(0, 5, "PER"), o.Segment(1, 2, "music")]
    with pytest.raises(OutputError):
        to_outputs([(0, 5)], parsed)


def test_a_score_that_is_not_a_number_is_no_score() -> None:
    assert one([(0, 5, "PER", float("nan"))], SPANS).score is None
    assert one([{"start": 0, "end": 5, "label": "PER", "score": None}], SPANS).score is None


# --- boxes, points, masks
@pytest.mark.parametrize(
    "raw",
    [
        [(10, 20, 40, 60, "Car", 0.5)],
        [(10, 20, 40, 60, 0.5, "Car")],
        (10, 20, 40, 60, "Car", 0.5),
        [([10, 20, 40, 60], "Car", 0.5)],
        [(np.array([10, 20, 40, 60]), "Car", 0.5)],
        [{"box": [10, 20, 40, 60], "label": "Car", "score": 0.5}],
        [{"xyxy": (40, 60, 10, 20), "class_name": "Car", "confidence": np.float32(0.5)}],
        [{"xywh": [10, 20, 30, 40], "label": "Car", "score": 0.5}],
        [{"x": 10, "y": 20, "width": 30, "height": 40, "label": "Car", "score": 0.5}],
        [{"score": 0.5, "label": "Car", "box": {"xmin": 10, "ymin": 20, "xmax": 40, "ymax": 60}}],
    ],
)
def test_boxes_come_in_many_forms(raw: object) -> None:
    assert one(raw, IMAGES) == o.Box(10, 20, 30, 40, "Car", score=0.5)


@pytest.mark.parametrize("raw", [[[10, 20, 40, 60]], [10, 20, 40, 60], np.array([10, 20, 40, 60])])
def test_corners_alone_are_a_box_without_label(raw: object) -> None:
    assert one(raw, IMAGES) == o.Box(10, 20, 30, 40)


@pytest.mark.parametrize(
    "row",
    [
        (10, 20, 40, 60, "Car", 0.5),
        (10, 20, 40, 60, 0.5, "Car"),
        {"score": 0.5, "label": "Car", "box": {"xmin": 10, "ymin": 20, "xmax": 40, "ymax": 60}},
        {"score": 0.5, "label": "Car", "box": [10, 20, 40, 60]},
    ],
)
def test_many_rows_of_one_form_mean_what_one_of_them_means(row: Any) -> None:
    assert one([row], IMAGES) == o.Box(10, 20, 30, 40, "Car", score=0.5)
    many = one([row] * 20, IMAGES)
    assert isinstance(many, o.Boxes)
    assert list(many) == [o.Box(10, 20, 30, 40, "Car", score=0.5)] * 20
    mixed = to_outputs([row] * 20 + [(10, 20, 40, 60)], IMAGES)
    assert mixed == [o.Box(10, 20, 30, 40, "Car", score=0.5)] * 20 + [o.Box(10, 20, 30, 40)]


def test_scores_of_many_rows_are_checked_too() -> None:
    with pytest.raises(OutputError, match="not within 0 to 1"):
        to_outputs([(10, 20, 40, 60, "Car", 5)] * 20, IMAGES)


def test_many_rows_with_what_was_read_stay_boxes_with_text() -> None:
    area = '<TextArea name="words" toName="image" perRegion="true"/>'
    texts = config(IMAGE, '<Rectangle name="box" toName="image"/>', area)
    found = to_outputs([(10, 20, 40, 60, "hello", 0.5)] * 20, texts)
    assert found == [o.Box(10, 20, 30, 40, text="hello", score=0.5)] * 20


def test_an_array_of_corners_is_boxes_where_labels_leave_no_choice() -> None:
    corners = np.array([[10, 20, 40, 60]])
    assert list(one(corners, config(IMAGE, "<Rectangle name='r' toName='image'/>"))) == [o.Box(10, 20, 30, 40)]
    with pytest.raises(OutputError, match="boxes without labels, and RectangleLabels 'boxes' has 2 labels"):
        to_outputs(corners, IMAGES)


def test_further_keys_of_a_box_are_kept() -> None:
    raw = {"xywh": [0.1, 0.2, 0.3, 0.4], "label": "Car", "unit": "fraction", "rotation": 5, "id": "b1", "page": 2}
    assert one(raw, IMAGES) == o.Box(0.1, 0.2, 0.3, 0.4, "Car", unit=o.Unit.FRACTION, rotation=5, id="b1", page=2)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([{"bbox": [1, 2, 3, 4], "label": "Car"}], "call it xyxy or xywh"),
        ([{"xywh": [1, 2, 3, 4], "unit": "metre"}], "a unit other than pixel, fraction and percent"),
        ([{"box": [1, 2, 3, 4], "label": "Car", "score": 87}], "score that is not within 0 to 1"),
        ([{"box": [1, 2, 3], "label": "Car"}], "no one obvious meaning"),
        ([{"points": [1, 2], "label": "Car"}], "points that are not pairs of numbers"),
        ([1, 2, 3], "holds numbers without labels"),
        ([(1, 2, 3, 4, 5)], "the model's list [(1, 2, 3, 4, 5)] holds rows of numbers, of which one may be a score"),
        ([np.arange(6), np.arange(6)], "state the form as"),
        ((np.ones((1, 4)), np.ones(1)), "It comes from the tuple (ndarray of shape [1, 4] and dtype float64, nd"),
    ],
)
def test_malformed_boxes_are_refused_with_the_reason(raw: object, message: str) -> None:
    with pytest.raises(OutputError) as caught:
        to_outputs(raw, IMAGES)
    assert message in str(caught.value)


def test_points_are_polygons_lines_and_keypoints() -> None:
    corners = [(1, 2), (3, 4), (5, 6)]
    said = {"points": np.array(corners), "label": "Car"}
    assert one(said, config(IMAGE, "<Polygon name='p' toName='image'/>")).points == tuple(corners)
    assert isinstance(one(said, config(IMAGE, "<Vector name='v' toName='image'/>")), o.Polyline)
    assert one({"x": 1, "y": 2}, config(IMAGE, "<KeyPoint name='k' toName='image'/>")) == o.Keypoint(1, 2)


def test_a_plane_is_a_mask_where_there_is_one_label() -> None:
    plane = np.eye(4, 6, dtype=bool)
    mask = one(plane, config(IMAGE, labels("BrushLabels", "b", "image", "Car")))
    assert mask.label == "Car"
    assert mask.array is plane
    assert one(plane, config(IMAGE, "<Brush name='b' toName='image'/>")).label is None
    with pytest.raises(OutputError, match=r'a mask without a label, and BrushLabels .brush. has 2 labels.*"Car", 0.9'):
        to_outputs(plane, MASKS)


@pytest.mark.parametrize("form", ["dict", "tuple", "keys", "pillow"])
def test_masks_come_with_their_labels(form: str) -> None:
    plane = np.eye(4, 6, dtype=np.float32)
    picture = Image.fromarray((plane * 255).astype(np.uint8))
    raw: dict[str, object] = {
        "dict": {"Car": plane},
        "tuple": [(plane, "Car")],
        "keys": [{"mask": plane, "label": "Car"}],
        "pillow": [{"mask": picture, "label": "Car"}],
    }
    mask = one(raw[form], MASKS)
    assert mask.label == "Car"
    assert np.array_equal(mask.array, plane)


def test_four_columns_are_boxes_or_a_mask_or_refused() -> None:
    four = np.ones((3, 4))
    assert len(list(one(four, config(IMAGE, labels("RectangleLabels", "r", "image", "Car"))))) == 3
    assert isinstance(one(four.astype(bool), config(IMAGE, "<Rectangle name='r' toName='image'/>")), o.Mask)
    with pytest.raises(OutputError, match="may be boxes or a mask"):
        to_outputs(four, config(IMAGE, BOXES, BRUSH))


# --- several controls, and Label Studio's own form
def test_a_mapping_of_control_names_says_something_to_each() -> None:
    parsed = config(TEXT, SENTIMENT, NER, STARS, AREA)
    outputs = to_outputs({"sentiment": "Positive", "ner": [(0, 3, "PER")], "stars": 4, "summary": "short"}, parsed)
    assert outputs == [
        o.Choice("Positive", control="sentiment"),
        o.Span(0, 3, "PER", control="ner"),
        o.Rating(4, control="stars"),
        o.Text("short", control="summary"),
    ]


def test_names_that_are_controls_and_labels_are_refused() -> None:
    parsed = config(TEXT, labels("Choices", "a", "text", "a", "b", child="Choice"), labels("Number", "b", "text"))
    with pytest.raises(OutputError, match="names both controls and labels"):
        to_outputs({"a": 0.5, "b": 0.5}, parsed)


REGION = {"from_name": "ner", "to_name": "text", "type": "labels", "value": {"start": 0, "end": 3, "labels": ["PER"]}}


@pytest.mark.parametrize("raw", [{"result": [REGION], "score": 0.4}, [{"result": [REGION]}], [REGION], REGION])
def test_label_studio_regions_pass_through(raw: object) -> None:
    assert one(raw, SPANS) == o.Raw(REGION)


@pytest.mark.parametrize(
    ("raw", "score"),
    [
        ({"result": [], "score": 0.4}, 0.4),
        ([{"result": [], "score": np.float32(0.5)}], 0.5),
        ({"result": [], "score": 7}, 1.0),
        ({"result": [], "score": float("nan")}, None),
        ({"result": []}, None),
        ({"Positive": 0.4}, None),
        ("Positive", None),
    ],
)
def test_the_score_of_a_label_studio_prediction_is_known(raw: object, score: float | None) -> None:
    assert stated_score(raw) == score


def test_objects_that_can_dump_themselves_are_read_as_mappings() -> None:
    class Prediction:
        def model_dump(self) -> dict[str, object]:
            return {"result": [REGION], "score": 0.4}

    assert one(Prediction(), SPANS) == o.Raw(REGION)
    assert stated_score(Prediction()) == 0.4


def test_two_predictions_for_one_item_are_refused() -> None:
    with pytest.raises(OutputError, match="several predictions for one item"):
        to_outputs([{"result": []}, {"result": []}], SPANS)


# --- refusals
@pytest.mark.parametrize(
    ("raw", "parsed", "parts"),
    [
        (3.5, CHOICES, ["float 3.5", 'Return "Positive", {"Positive": 0.9, "Negative": 0.1} or ("Positive", 0.9)']),
        ({"Positive": 9.1}, CHOICES, ["{'Positive': 9.1}", "apply softmax or sigmoid first"]),
        ({"Positive": float("nan")}, CHOICES, ["a score that is no number"]),
        ([0.1, 0.9], CHOICES, ["[0.1, 0.9]", "holds numbers without labels"]),
        ("PER", SPANS, ["str 'PER'", '[(0, 5, "PER")]', '[{"start": 0, "end": 5, "label": "PER", "score": 0.9}]']),
        (object, SPANS, ["the model's type"]),
        ({"a": "b"}, SPANS, ["dict {'a': 'b'}"]),
        (np.zeros((2, 2, 2)), MASKS, ["ndarray of shape [2, 2, 2]", "has 3 dimensions"]),
        (np.zeros((2, 3)), SPANS, ["the model's ndarray of shape [2, 3] and dtype float64 has"]),
        (4, config(TEXT, SENTIMENT, NER, STARS, NUMBER), ["Return 4, 7.5 or "]),
        ({"result": ["no region"]}, SPANS, ["is no Label Studio region"]),
        ("x" * 500, SPANS, ["..."]),
    ],
)
def test_a_refusal_shows_the_value_and_the_nearest_forms(raw: object, parsed: LabelingConfig, parts: list[str]) -> None:
    with pytest.raises(OutputError) as caught:
        to_outputs(raw, parsed)
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_class_that_two_controls_have_is_refused() -> None:
    twice = [labels("Choices", name, "text", "Yes", "No", child="Choice") for name in ("funny", "sad")]
    parsed = config(TEXT, *twice)
    with pytest.raises(OutputError, match="fits 'funny' and 'sad' alike"):
        to_outputs("Yes", parsed)
    assert one({"sad": "Yes"}, parsed) == o.Choice("Yes", control="sad")


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["Positive", "PER", "Car"]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(
            st.text(max_size=5)
            | st.sampled_from(["start", "end", "label", "score", "box", "x", "points", "result", "ner"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "parsed",
    [
        CHOICES,
        MULTIPLE,
        TAXONOMY,
        SPANS,
        IMAGES,
        MASKS,
        SOUNDS,
        config(TEXT, SENTIMENT, NER, STARS, AREA, IMAGE, BOXES),
    ],
)
@given(raw=ANYTHING)
def test_whatever_a_model_returns_becomes_outputs_or_a_refusal(parsed: LabelingConfig, raw: object) -> None:
    try:
        outputs = to_outputs(raw, parsed)
    except OutputError as error:
        refused = error
    else:
        assert all(isinstance(output, o.Output) for output in outputs)
        return
    assert refused.hint


@given(st.dictionaries(st.sampled_from(["Positive", "Negative", "Neutral"]), st.floats(0, 1), min_size=1))
def test_the_chosen_class_is_always_one_of_the_likeliest(shares: dict[str, float]) -> None:
    choice = one(shares, CHOICES)
    assert shares[choice.label] == max(shares.values()) == choice.score


def test_numpy_is_not_imported_for_plain_values() -> None:
    program = (
        "import sys\n"
        "from prelabel.adapters import to_outputs\n"
        "from prelabel.labeling import parse\n"
        f"config = parse({CHOICES.xml!r})\n"
        "to_outputs({'Positive': 0.9, 'Negative': 0.1}, config)\n"
        "sys.exit('numpy' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_values_without_a_framework_are_themselves() -> None:
    value = object()
    assert plain(value) is value


# --- what people write without reading first
@pytest.mark.parametrize(("raw", "label"), [(True, "Yes"), (np.False_, "No")])
def test_a_bool_is_yes_or_no_where_the_config_asks_that(raw: object, label: str) -> None:
    asked = config(TEXT, labels("Choices", "spam", "text", "Yes", "No", child="Choice"))
    assert one(raw, asked).label == label


def test_a_bool_is_refused_where_the_config_asks_something_else() -> None:
    with pytest.raises(OutputError, match="bool True has no one obvious meaning"):
        to_outputs(True, CHOICES)


def test_a_text_may_bring_its_score() -> None:
    assert one(("a summary", 0.7), config(TEXT, AREA)) == o.Text("a summary", score=0.7)


def test_a_set_of_labels_is_several_classes() -> None:
    assert one({"Sport", "Art"}, MULTIPLE).labels == ("Art", "Sport")


@pytest.mark.parametrize("raw", [np.array([4]), [4.0]])
def test_one_number_in_an_array_is_that_number(raw: object) -> None:
    assert one(raw, config(TEXT, STARS)) == o.Rating(4)


@pytest.mark.parametrize(
    "raw",
    [{"labels": ["Positive", "Negative"], "scores": [0.9, 0.1]}, {"labels": ["Positive"], "scores": np.array([0.9])}],
)
def test_columns_of_labels_and_scores_are_probabilities(raw: object) -> None:
    said = one(raw, CHOICES)
    assert (said.label, said.score) == ("Positive", 0.9)


@pytest.mark.parametrize("raw", [("PER", 0, 5), ("PER", 0, 5, 0.9), {"start": 0, "end": 5, "labels": ["PER"]}])
def test_the_label_may_come_first_or_as_label_studio_writes_it(raw: object) -> None:
    said = one([raw], SPANS)
    assert (said.start, said.end, said.label) == (0, 5, "PER")


@pytest.mark.parametrize(
    "raw",
    [
        ("Car", (10, 20, 40, 60)),
        ("Car", 0.9, [10, 20, 40, 60]),
        {"x1": 10, "y1": 20, "x2": 40, "y2": 60, "label": "Car"},
        {"xmin": 10, "ymin": 20, "xmax": 40, "ymax": 60, "label": "Car"},
        {"left": 10, "top": 20, "right": 40, "bottom": 60, "label": "Car"},
        {"left": 10, "top": 20, "width": 30, "height": 40, "label": "Car"},
    ],
)
def test_a_box_by_corners_or_by_corner_and_size_under_clear_names(raw: object) -> None:
    said = one([raw], IMAGES)
    assert (said.x, said.y, said.width, said.height, said.label) == (10, 20, 30, 40, "Car")


def test_columns_of_boxes_labels_and_scores_are_boxes() -> None:
    found = one(
        {"boxes": np.array([[1, 2, 3, 4], [5, 6, 9, 9]]), "labels": ["Car", "Person"], "scores": np.array([0.9, 0.5])},
        IMAGES,
    )
    assert [(box.label, box.score) for box in found] == [("Car", 0.9), ("Person", 0.5)]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"boxes": np.zeros((1, 4)), "labels": np.array([3])}, "has numbers for labels: use their names"),
        ({"boxes": np.zeros((2, 4)), "labels": ["Car"]}, "has columns of different lengths"),
        (np.array([[1, 2, 3, 4, 0.9]]), "one may be a score or the number of a class"),
        (np.array([[1, 2, 3, 4, 0.9, 0]]), "one may be a score or the number of a class"),
    ],
)
def test_columns_that_may_mean_two_things_are_refused(raw: object, message: str) -> None:
    with pytest.raises(OutputError, match=message):
        to_outputs(raw, IMAGES)
    with pytest.raises(OutputError):
        to_outputs(raw, config(IMAGE, '<Rectangle name="box" toName="image"/>', AREA.replace("text", "image")))


@pytest.mark.parametrize("points", [[(1, 1), (5, 5), (1, 9)], np.array([(1, 1), (5, 5), (1, 9)])])
def test_points_with_a_label_are_an_outline_not_a_mask(points: object) -> None:
    said = one([(points, "Car", 0.9)], config(IMAGE, labels("PolygonLabels", "outline", "image", "Car")))
    assert said == o.Polygon(((1, 1), (5, 5), (1, 9)), "Car", score=0.9)


def test_two_numbers_and_a_label_are_a_keypoint_where_there_is_nothing_to_start_and_end() -> None:
    said = one([(10, 20, "Nose", 0.9)], config(IMAGE, labels("KeyPointLabels", "points", "image", "Nose")))
    assert (said.x, said.y, said.label, said.score) == (10, 20, "Nose", 0.9)


def test_a_box_with_a_string_is_its_text_where_boxes_have_texts_and_no_labels() -> None:
    texts = config(
        IMAGE,
        '<Rectangle name="box" toName="image"/>',
        '<TextArea name="words" toName="image" perRegion="true"/>',
    )
    said = one([((10, 20, 40, 60), "hello", 0.9)], texts)
    assert (said.text, said.label, said.score) == ("hello", None, 0.9)


def test_one_choice_is_never_offered_a_list_of_several() -> None:
    with pytest.raises(OutputError) as refused:
        to_outputs(np.array([0.9, 0.1]), CHOICES)
    assert '["Positive", "Negative"]' not in str(refused.value)
    assert '{"Positive": 0.9, "Negative": 0.1}' in str(refused.value)
