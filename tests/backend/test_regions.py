"""Outputs to regions: bounds, units, labels, scores, parents, and what is dropped with which words."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prelabel import labeling, masks
from prelabel import outputs as o
from prelabel.errors import OutputError
from prelabel.labeling import LabelingConfig
from prelabel.regions import Conversion, to_regions
from prelabel.regions.html import visible_text
from prelabel.tasks import Facts

LABELS = '<Label value="Car"/><Label value="Person" alias="human"/>'
SIZED = {"image": Facts(width=400, height=300)}


def config(body: str) -> LabelingConfig:
    return labeling.parse(f"<View>{body}</View>")


def on_image(control: str, *, more: str = "") -> LabelingConfig:
    return config(f'<Image name="image" value="$image"/><{control} name="c" toName="image">{LABELS}</{control}>{more}')


def on_text(body: str) -> LabelingConfig:
    return config(f'<Text name="text" value="$text"/>{body}')


CHOICES = on_text('<Choices name="c" toName="text"><Choice value="A"/><Choice value="B"/></Choices>')
BOXES = on_image("RectangleLabels")
SPANS = on_text(f'<Labels name="c" toName="text">{LABELS}</Labels>')


def only(conversion: Conversion) -> dict[str, Any]:
    assert conversion.dropped == []
    (region,) = conversion.result
    return region


def values(conversion: Conversion) -> list[dict[str, Any]]:
    return [region["value"] for region in conversion.result]


# --- scores, ids, meta
@pytest.mark.parametrize(("score", "kept"), [(0.25, 0.25), (1.7, 1.0), (-3, 0.0), (np.float32(0.5), 0.5), (1, 1.0)])
def test_a_score_is_kept_between_0_and_1(score: float, kept: float) -> None:
    region = only(to_regions([o.Choice("A", score=score)], CHOICES))
    assert region["score"] == kept
    assert type(region["score"]) is float


@pytest.mark.parametrize("score", [None, math.nan, math.inf])
def test_a_score_that_is_none_is_not_written(score: float | None) -> None:
    assert "score" not in only(to_regions([o.Choice("A", score=score)], CHOICES))


def test_every_region_has_an_id_of_its_own_or_the_outputs() -> None:
    result = to_regions([o.Span(0, 1, "Car", id="mine"), o.Span(0, 1, "Car"), o.Span(0, 1, "Car")], SPANS).result
    assert result[0]["id"] == "mine"
    assert len({region["id"] for region in result}) == 3


def test_two_regions_cannot_share_an_id() -> None:
    conversion = to_regions([o.Span(0, 1, "Car", id="x"), o.Span(1, 2, "Car", id="x")], SPANS)
    assert len(conversion.result) == 1
    assert conversion.dropped == ["Span 'Car': another output has the id 'x' already."]


def test_meta_is_passed_on() -> None:
    assert only(to_regions([o.Choice("A", meta={"text": ["why"]})], CHOICES))["meta"] == {"text": ["why"]}


def test_something_that_is_no_output_is_refused() -> None:
    with pytest.raises(OutputError, match="got str"):
        to_regions(["A"], CHOICES)  # type: ignore[list-item]


# --- answers about the whole task
def test_choices_of_one_control_become_one_region() -> None:
    multiple = on_text(
        '<Choices name="c" toName="text" choice="multiple"><Choice value="A"/><Choice value="B"/></Choices>'
    )
    said = [o.Choice("A", score=0.9), o.Choice("B", score=0.6), o.Choice("A", score=0.8)]
    region = only(to_regions(said, multiple))
    assert (region["value"], region["score"]) == ({"choices": ["A", "B"]}, 0.6)


def test_a_single_choice_is_the_surest_and_the_rest_is_named() -> None:
    conversion = to_regions([o.Choice("A", score=0.3), o.Choice("B", score=0.7)], CHOICES)
    assert (values(conversion), conversion.result[0]["score"]) == ([{"choices": ["B"]}], 0.7)
    assert conversion.dropped == ["Choice 'A' for control 'c': A (it takes one answer)."]


def test_a_single_choice_control_takes_the_first_of_several() -> None:
    conversion = to_regions([o.Choices(("B", "A"))], CHOICES)
    assert values(conversion) == [{"choices": ["B"]}]
    assert conversion.dropped == ["Choices for control 'c': A (it takes one choice)."]


def test_an_unknown_choice_is_dropped_and_never_an_empty_list_sent() -> None:
    conversion = to_regions([o.Choice("C"), o.Choices(())], CHOICES)
    assert conversion.result == []
    assert len(conversion.dropped) == 2
    assert "'C'" in conversion.dropped[0]


def test_labels_are_mapped_by_map_alias_and_case() -> None:
    conversion = to_regions(
        [o.Span(0, 1, "automobile"), o.Span(0, 1, "Person"), o.Span(0, 1, "cAR")],
        SPANS,
        label_map={"automobile": "Car"},
    )
    assert [value["labels"] for value in values(conversion)] == [["Car"], ["human"], ["Car"]]


TAXONOMY = on_text(
    '<Taxonomy name="c" toName="text"><Choice value="Animal"><Choice value="Cat"/></Choice>'
    '<Choice value="Plant"/></Taxonomy>'
)


@pytest.mark.parametrize(
    "said",
    [
        [o.Taxonomy((("Animal", "Cat"), ("Plant",)))],
        [o.Taxonomy((("animal", "cat"),)), o.Taxonomy((("Plant",),))],
        [o.Choices(("Cat", "Plant"))],
        [o.Choice("Cat"), o.Choice("Plant")],
    ],
)
def test_taxonomy_paths_may_be_said_whole_or_by_their_leaf(said: list[o.Output]) -> None:
    assert only(to_regions(said, TAXONOMY))["value"] == {"taxonomy": [["Animal", "Cat"], ["Plant"]]}


def test_a_taxonomy_path_that_is_not_there_is_dropped() -> None:
    conversion = to_regions([o.Taxonomy((("Plant", "Cat"),))], TAXONOMY)
    assert conversion.result == []
    assert conversion.dropped == ["Taxonomy: 'Plant / Cat' is no path in control 'c'."]


@pytest.mark.parametrize(
    ("control", "output", "why"),
    [
        ('<Rating name="c" toName="text" maxRating="3"/>', o.Rating(4), "rating 4 is not within 1 to 3"),
        ('<Rating name="c" toName="text"/>', o.Rating(0), "rating 0 is not within 1 to 5"),
        ('<Rating name="c" toName="text"/>', o.Rating(2.5), "a rating must be a whole number, got 2.5"),  # type: ignore[arg-type]
        ('<Number name="c" toName="text" max="10"/>', o.Number(10.5), "number 10.5 is not within"),
        ('<Number name="c" toName="text"/>', o.Number(math.nan), "nan is not a finite number"),
        ('<TextArea name="c" toName="text"/>', o.Text(" "), "the text is empty"),
        ('<DateTime name="c" toName="text"/>', o.DateTime(""), "it is empty"),
        ('<Ranker name="c" toName="text"/>', o.Ranking(()), "the ranking is empty"),
        (
            '<Ranker name="c" toName="text"><Bucket name="top"/></Ranker>',
            o.Ranking({"best": ("1",)}),
            "bucket 'best' is not in control 'c' (top)",
        ),
    ],
)
def test_an_answer_out_of_bounds_is_dropped_with_its_reason(control: str, output: o.Output, why: str) -> None:
    conversion = to_regions([output], on_text(control))
    assert conversion.result == []
    assert why in conversion.dropped[0]


@pytest.mark.parametrize(
    ("attributes", "written"),
    [
        ("", "2026-01-31T12:30"),
        ('only="date"', "2026-01-31"),
        ('only="time"', "12:30"),
        ('only="year"', "2026-01-31"),
        ('only="date,time"', "2026-01-31T12:30"),
        ('format="%d.%m.%Y %H:%M:%S.%L"', "31.01.2026 12:30:05.250"),
    ],
)
def test_a_moment_is_written_in_the_controls_format(attributes: str, written: str) -> None:
    from datetime import datetime

    when = datetime(2026, 1, 31, 12, 30, 5, 250_000)  # noqa: DTZ001 (the control's format carries no zone)
    told = config(f'<Text name="text" value="$text"/><DateTime name="c" toName="text" {attributes}/>')
    assert only(to_regions([o.DateTime(when)], told))["value"] == {"datetime": written}


def test_several_texts_of_one_control_become_one_region() -> None:
    conversion = to_regions([o.Text("one"), o.Text(("two", ""))], on_text('<TextArea name="c" toName="text"/>'))
    assert only(conversion)["value"] == {"text": ["one", "two"]}


def test_a_chat_role_must_be_one_of_the_chats() -> None:
    chat = config('<Chat name="chat" value="$chat" messageroles="user,assistant"/>')
    conversion = to_regions([o.ChatMessage("a"), o.ChatMessage("b", role="system"), o.ChatMessage("c")], chat)
    assert [value["chatmessage"]["content"] for value in values(conversion)] == ["a", "c"]
    assert conversion.dropped == ["ChatMessage: role 'system' is not among the chat's roles (user, assistant)."]


# --- text
@pytest.mark.parametrize(
    ("start", "end", "kept"), [(0, 5, (0, 5)), (-3, 5, (0, 5)), (6, 99, (6, 11)), (np.int64(2), np.int64(4), (2, 4))]
)
def test_a_span_is_cut_to_the_text(start: int, end: int, kept: tuple[int, int]) -> None:
    value = only(to_regions([o.Span(start, end, "Car")], SPANS, {"text": Facts(text="hello world")}))["value"]
    assert (value["start"], value["end"]) == kept
    assert value["text"] == "hello world"[slice(*kept)]
    assert json.dumps(value)


@pytest.mark.parametrize(
    ("start", "end", "why"),
    [
        (5, 5, "its end 5 is not after its start 5"),
        (7, 3, "its end 3 is not after its start 7"),
        (11, 12, "11 to 12 lies outside the text of 11 characters"),
        (-5, 0, "-5 to 0 lies outside the text of 11 characters"),
        (0.5, 3, "start must be a whole number"),
        (0, math.inf, "inf is not a finite number"),
    ],
)
def test_a_span_without_text_is_dropped(start: int, end: int, why: str) -> None:
    conversion = to_regions([o.Span(start, end, "Car")], SPANS, {"text": Facts(text="hello world")})
    assert conversion.result == []
    assert why in conversion.dropped[0]


def test_offsets_count_characters_not_bytes() -> None:
    text = "\N{GRINNING FACE} Bob"
    assert only(to_regions([o.Span(2, 5, "Car")], SPANS, {"text": Facts(text=text)}))["value"]["text"] == "Bob"


def test_a_span_without_a_label_takes_the_only_one_and_is_dropped_among_several() -> None:
    one = on_text('<Labels name="c" toName="text"><Label value="X"/></Labels>')
    assert only(to_regions([o.Span(0, 1)], one))["value"]["labels"] == ["X"]
    assert to_regions([o.Span(0, 1)], SPANS).dropped == ["Span: it has no label, and control 'c' needs one."]


def test_paragraph_spans_reach_from_one_paragraph_to_another() -> None:
    dialog = config(f'<Paragraphs name="d" value="$d"/><ParagraphLabels name="c" toName="d">{LABELS}</ParagraphLabels>')
    facts = {"d": Facts(paragraphs=("Hello there", "Hi", "Bye"))}
    conversion = to_regions(
        [o.ParagraphSpan(0, 6, 99, "Car", end_paragraph=2), o.ParagraphSpan(3, 0, 1, "Car")], dialog, facts
    )
    (value,) = values(conversion)
    assert value == {
        "start": "0", "end": "2", "startOffset": 6, "endOffset": 3, "text": "there\nHi\nBye",
        "paragraphlabels": ["Car"],
    }  # fmt: skip
    assert conversion.dropped == ["ParagraphSpan 'Car': there is no paragraph 3; the dialogue has 3 (counted from 0)."]


# --- hypertext
HYPER = config(f'<HyperText name="h" value="$h"/><HyperTextLabels name="c" toName="h">{LABELS}</HyperTextLabels>')


def test_hypertext_offsets_are_those_of_the_browser() -> None:
    html = "<table><tr><td>one</td><td>two</td></tr></table><p>a<br>b &amp; <b>bold</b></p>"
    seen = visible_text(html)
    assert seen.text == "onetwoa\nb & bold"
    start = seen.text.index("two")
    value = only(to_regions([o.Span(start, start + 3, "Car")], HYPER, {"h": Facts(text=html)}))["value"]
    assert value["start"] == "/table[1]/tbody[1]/tr[1]/td[2]/text()[1]"
    assert (value["startOffset"], value["endOffset"], value["text"]) == (0, 3, "two")
    start = seen.text.index("b & bold")
    value = only(to_regions([o.Span(start, start + 8, "Car")], HYPER, {"h": Facts(text=html)}))["value"]
    assert (value["start"], value["end"]) == ("/p[1]/text()[2]", "/p[1]/b[1]/text()[1]")
    assert value["globalOffsets"] == {"start": start, "end": start + 8}


def test_what_label_studio_takes_out_of_a_page_does_not_count() -> None:
    html = "<head><title>T</title></head><p>a<!-- note -->b<script>x()</script>c</p><style>p{}</style><p>d</p>"
    seen = visible_text(html)
    assert [(node.text, node.path) for node in seen.nodes] == [("abc", "/p[1]/text()[1]"), ("d", "/p[2]/text()[1]")]


def test_dom_offsets_are_utf16_and_global_ones_characters() -> None:
    html = "<p>\N{GRINNING FACE} Bob</p>"
    value = only(to_regions([o.Span(2, 5, "Car")], HYPER, {"h": Facts(text=html)}))["value"]
    assert (value["startOffset"], value["endOffset"]) == (3, 6)
    assert value["globalOffsets"] == {"start": 2, "end": 5}


def test_a_hypertext_span_does_not_begin_or_end_in_a_line_break() -> None:
    html = "<p>a<br><br>b</p>"
    value = only(to_regions([o.Span(1, 4, "Car")], HYPER, {"h": Facts(text=html)}))["value"]
    assert (value["text"], value["globalOffsets"]) == ("b", {"start": 3, "end": 4})
    conversion = to_regions([o.Span(1, 3, "Car")], HYPER, {"h": Facts(text=html)})
    assert conversion.dropped == ["Span 'Car': 1 to 3 holds no text."]


@given(st.text("ab <>/pbr&;\n", max_size=60))
def test_any_hypertext_has_nodes_that_make_up_its_text(html: str) -> None:
    seen = visible_text(html)
    between = list(seen.text)
    for node in seen.nodes:
        assert seen.text[node.start : node.end] == node.text
        between[node.start : node.end] = [""] * len(node.text)
    assert set("".join(between)) <= {"\n"}


# --- boxes
def test_pixels_fractions_and_percent_are_the_same_box() -> None:
    said = [
        o.Box(40, 30, 80, 60, "Car"),
        o.Box(0.1, 0.1, 0.2, 0.2, "Car", unit=o.Unit.FRACTION),
        o.Box(10, 10, 20, 20, "Car", unit=o.Unit.PERCENT),
    ]
    first, *others = values(to_regions(said, BOXES, SIZED))
    assert first == {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0, "rectanglelabels": ["Car"]}
    assert others == [first, first]


def test_image_regions_carry_the_images_size() -> None:
    region = only(to_regions([o.Box(40, 30, 80, 60, "Car")], BOXES, SIZED))
    assert (region["original_width"], region["original_height"], region["image_rotation"]) == (400, 300, 0)


def test_pixels_without_a_known_size_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(OutputError, match=r"size in pixels of Image 'image', which is not known.*unit=Unit\.FRACTION"):
        to_regions([o.Box(1, 2, 3, 4, "Car")], BOXES)
    assert values(to_regions([o.Box(1, 2, 3, 4, "Car", unit=o.Unit.PERCENT)], BOXES))


def test_a_box_is_cut_to_the_image() -> None:
    value = only(to_regions([o.Box(-40, 270, 80, 60, "Car")], BOXES, SIZED))["value"]
    assert (value["x"], value["y"], value["width"], value["height"]) == (0, 90, 10, 10)


@pytest.mark.parametrize(
    ("box", "why"),
    [
        (o.Box(400, 0, 10, 10, "Car"), "it lies wholly outside the image"),
        (o.Box(0, -20, 10, 10, "Car"), "it lies wholly outside the image"),
        (o.Box(500, 0, 10, 10, "Car", rotation=10), "it lies wholly outside the image"),
        (o.Box(0, 0, 0, 10, "Car"), "its width and height must be above 0"),
        (o.Box(0, 0, -5, 10, "Car"), "its width and height must be above 0"),
        (o.Box(math.nan, 0, 5, 10, "Car"), "nan is not a finite number"),
        (o.Box(0, 0, math.inf, 10, "Car"), "inf is not a finite number"),
        (o.Box(0, 0, 5, 10, "Tree"), "label 'Tree' is not in"),
        (o.Box(0, 0, 5, 10), "it has no label, and control 'c' needs one"),
    ],
)
def test_a_box_that_cannot_be_sent_is_dropped_and_costs_no_other(box: o.Box, why: str) -> None:
    conversion = to_regions([box, o.Box(1, 1, 2, 2, "Car")], BOXES, SIZED)
    assert len(conversion.result) == 1
    assert why in conversion.dropped[0]


def corners(value: Mapping[str, float], size: tuple[int, int]) -> Iterator[tuple[float, float]]:
    """The four corners in pixels, turned clockwise around the top-left one as Label Studio draws them."""
    x, y = value["x"] * size[0] / 100, value["y"] * size[1] / 100
    width, height = value["width"] * size[0] / 100, value["height"] * size[1] / 100
    cos, sin = math.cos(math.radians(value["rotation"])), math.sin(math.radians(value["rotation"]))
    for u, v in ((0, 0), (width, 0), (width, height), (0, height)):
        yield x + u * cos - v * sin, y + u * sin + v * cos


def test_a_rotated_box_inside_the_image_is_left_alone() -> None:
    value = only(to_regions([o.Box(200, 100, 80, 60, "Car", rotation=-30)], BOXES, SIZED))["value"]
    assert (value["x"], value["width"], value["height"], value["rotation"]) == (50, 20, 20, 330)


def test_a_rotated_box_is_shrunk_to_its_visible_part_without_turning() -> None:
    box = o.Box(350, 20, 200, 40, "Car", rotation=45)
    value = only(to_regions([box], BOXES, SIZED))["value"]
    assert value["rotation"] == 45
    assert value["width"] < 50
    before = list(corners({"x": 87.5, "y": 20 / 3, "width": 50, "height": 40 / 3, "rotation": 45}, (400, 300)))
    after = list(corners(value, (400, 300)))
    assert after[0] == pytest.approx(before[0], abs=0.01)
    assert after[3] == pytest.approx(before[3], abs=0.01)


@given(st.floats(-500, 900), st.floats(-500, 900), st.floats(0.01, 900), st.floats(0.01, 900), st.floats(-720, 720))
def test_label_studio_takes_whatever_becomes_of_any_box(
    x: float, y: float, width: float, height: float, turn: float
) -> None:
    conversion = to_regions([o.Box(x, y, width, height, "Car", rotation=turn)], BOXES, SIZED)
    assert len(conversion.result) + len(conversion.dropped) == 1
    for value in values(conversion):
        assert max(value["x"], value["y"], value["width"], value["height"]) <= 100
        assert 0 <= value["rotation"] <= 360
        if value["rotation"] == 0:
            assert min(value["x"], value["y"]) >= 0
            assert value["x"] + value["width"] <= 100.0001
            assert value["y"] + value["height"] <= 100.0001


@given(st.floats(1, 399), st.floats(1, 299), st.floats(1, 90), st.floats(1, 90), st.floats(0, 360))
def test_a_rotated_box_covers_the_same_pixels_from_whichever_corner_it_is_told(
    x: float, y: float, width: float, height: float, turn: float
) -> None:
    told = {"x": x / 4, "y": y / 3, "width": width / 4, "height": height / 3, "rotation": turn}
    inside = all(0 <= u <= 400 and 0 <= v <= 300 for u, v in corners(told, (400, 300)))
    for value in values(to_regions([o.Box(x, y, width, height, "Car", rotation=turn)], BOXES, SIZED)):
        if inside:
            expected, found = sorted(corners(told, (400, 300))), sorted(corners(value, (400, 300)))
            assert np.allclose(np.mean(found, axis=0), np.mean(expected, axis=0), atol=0.01)
            assert math.isclose(value["width"] * 4 * value["height"] * 3, width * height, rel_tol=0.01)


@given(st.integers(1, 20_000), st.integers(0, 10_000))
def test_coordinates_lose_nothing_that_matters(size: int, position: int) -> None:
    facts = {"image": Facts(width=size, height=size)}
    for value in values(to_regions([o.Box(position % size, 0, 1, 1, "Car")], BOXES, facts)):
        assert abs(value["x"] - 100 * (position % size) / size) < 1e-4


def test_split_labels_and_text_share_the_regions_id_and_geometry() -> None:
    body = (
        '<Image name="image" value="$i"/><Rectangle name="box" toName="image"/>'
        f'<Labels name="lab" toName="image">{LABELS}</Labels><TextArea name="said" toName="image" perRegion="true"/>'
    )
    conversion = to_regions([o.Box(40, 30, 80, 60, "Person", text="STOP", score=0.5)], config(body), SIZED)
    geometry = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0}
    assert [(region["from_name"], region["type"], region["value"]) for region in conversion.result] == [
        ("box", "rectangle", geometry),
        ("lab", "labels", {**geometry, "labels": ["human"]}),
        ("said", "textarea", {**geometry, "text": ["STOP"]}),
    ]
    assert len({region["id"] for region in conversion.result}) == 1
    assert {region["score"] for region in conversion.result} == {0.5}


def test_text_without_a_place_is_named_and_the_box_kept() -> None:
    conversion = to_regions([o.Box(40, 30, 80, 60, "Car", text="STOP")], BOXES, SIZED)
    assert len(conversion.result) == 1
    assert "'STOP' has no per-region TextArea" in conversion.dropped[0]


def test_a_label_without_a_place_is_named_and_the_shape_kept() -> None:
    bare = config('<Image name="image" value="$i"/><Rectangle name="box" toName="image"/>')
    conversion = to_regions([o.Box(40, 30, 80, 60, "Car")], bare, SIZED)
    assert conversion.result[0]["type"] == "rectangle"
    assert conversion.dropped == ["Box 'Car': the region was kept, but no control takes its label."]


def test_pages_have_sizes_of_their_own() -> None:
    facts = {"image": Facts(pages=((100, 100), (400, 300)))}
    said = [o.Box(40, 30, 80, 60, "Car", page=page) for page in (0, 1, 2)]
    conversion = to_regions(said, BOXES, facts)
    assert [(r["item_index"], r["original_width"], r["value"]["x"]) for r in conversion.result] == [
        (0, 100, 40),
        (1, 400, 10),
    ]
    assert conversion.dropped == ["Box 'Car': there is no page 2; the image has 2 (counted from 0)."]


# --- other shapes
def test_an_ellipse_keeps_its_centre_inside_and_its_radii_below_half() -> None:
    said = [o.Ellipse(200, 150, 390, 30, "Car"), o.Ellipse(401, 0, 5, 5, "Car"), o.Ellipse(1, 1, 0, 5, "Car")]
    conversion = to_regions(said, on_image("EllipseLabels"), SIZED)
    assert [value["radiusX"] for value in values(conversion)] == [50]
    assert [reason.partition(": ")[2] for reason in conversion.dropped] == [
        "its centre lies outside the image.",
        "its radii must be above 0, got 0 and 5.",
    ]


def test_a_polygon_is_cut_at_the_images_edges() -> None:
    said = o.Polygon(((-200, 0), (200, 0), (200, 150), (-200, 150)), "Car")
    points = only(to_regions([said], on_image("PolygonLabels"), SIZED))["value"]["points"]
    assert sorted(points) == [[0, 0], [0, 50], [50, 0], [50, 50]]


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (((0, 0), (5, 5)), "at least 3 different points, got 2"),
        (((0, 0), (5, 5), (0, 0)), "at least 3 different points, got 2"),
        (((-9, 0), (-5, 5), (-9, 9)), "wholly outside"),
        (((0, 0), (5, math.nan), (9, 9)), "not a finite number"),
    ],
)
def test_a_polygon_that_is_none_is_dropped(points: tuple[tuple[float, float], ...], why: str) -> None:
    conversion = to_regions([o.Polygon(points, "Car")], on_image("PolygonLabels"), SIZED)
    assert conversion.result == []
    assert why in conversion.dropped[0]


def test_a_point_outside_the_image_is_dropped() -> None:
    conversion = to_regions([o.Keypoint(401, 5, "Car"), o.Keypoint(400, 300, "Car")], on_image("KeyPointLabels"), SIZED)
    assert values(conversion) == [{"x": 100, "y": 100, "width": 0.5, "keypointlabels": ["Car"]}]
    assert conversion.dropped == ["Keypoint 'Car': it lies outside the image."]


def test_a_lines_points_are_moved_into_the_image() -> None:
    value = only(to_regions([o.Polyline(((-40, 0), (200, 150)), "Car")], on_image("VectorLabels"), SIZED))["value"]
    assert [(v["x"], v["y"], v["prevPointId"]) for v in value["vertices"]] == [(0, 0, None), (50, 50, "v1")]


MASK = np.zeros((30, 40), dtype=np.bool_)
MASK[10:20, 10:30] = True


def test_a_mask_goes_into_whatever_control_there_is() -> None:
    facts = {"image": Facts(width=40, height=30)}
    brush = only(to_regions([o.Mask(MASK, "Car")], on_image("BrushLabels"), facts))["value"]
    assert np.array_equal(masks.decode_rle(brush["rle"], width=40, height=30), MASK)
    bitmask = only(to_regions([o.Mask(MASK, "Car")], on_image("BitmaskLabels"), facts))["value"]
    assert np.array_equal(masks.from_data_url(bitmask["imageDataURL"]), MASK)
    box = only(to_regions([o.Mask(MASK, "Car")], BOXES, facts))["value"]
    assert (box["x"], box["y"], box["width"], box["height"]) == (25, 33.33333, 50, 33.33333)
    ring = only(to_regions([o.Mask(MASK, "Car")], on_image("PolygonLabels"), facts))["value"]["points"]
    assert len(ring) == 4
    assert min(x for x, _ in ring) == pytest.approx(25, abs=1)


def test_each_part_of_a_mask_is_a_polygon_and_the_smaller_ones_lie_below_the_largest() -> None:
    parts = MASK.copy()
    parts[2:6, 2:6] = True
    large, small = to_regions([o.Mask(parts, "Car", score=0.5, id="m")], on_image("PolygonLabels"), SIZED).result
    assert large["id"] == "m"
    assert small["parentID"] == "m"
    assert [region["score"] for region in (large, small)] == [0.5, 0.5]
    assert max(x for x, _ in small["value"]["points"]) < 16


def test_a_polygon_of_a_mask_has_fewer_points_where_more_tolerance_is_stated() -> None:
    rows, columns = np.mgrid[:300, :400]
    disc = np.hypot(rows - 150, columns - 200) < 100
    fine, coarse = (
        only(to_regions([o.Mask(disc, "Car", tolerance=tolerance)], on_image("PolygonLabels"), SIZED))["value"][
            "points"
        ]
        for tolerance in (0.5, 5.0)
    )
    assert len(fine) > 2 * len(coarse)


def test_many_boxes_become_what_each_of_them_becomes_alone() -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(-100, 500, (400, 4))
    corners[7], corners[8], corners[9] = (5, 5, 5, 9), (math.nan, 0, 1, 1), (900, 900, 950, 950)
    labels = random.choice(["Car", "car", "Person", "Boat"], 400).tolist()
    scores = [None if share < 0.1 else float(share) for share in random.random(400)]
    alone = [
        to_regions([o.Box.from_xyxy(*four, label, score=score)], BOXES, SIZED)
        for four, label, score in zip(corners.tolist(), labels, scores, strict=True)
    ]
    shares = [math.nan if score is None else score for score in scores]
    together = to_regions([o.Boxes(corners, labels, shares)], BOXES, SIZED)
    one_by_one = list(o.Boxes(corners, labels, shares))
    gathered = to_regions(one_by_one, BOXES, SIZED)
    expected = [{**region, "id": None} for each in alone for region in each.result]
    for found in (together, gathered):
        assert sorted(_keys(found.result)) == sorted(_keys(expected))
        assert len({region["id"] for region in found.result}) == len(expected)
        assert len(found.dropped) == sum(len(each.dropped) for each in alone)
    assert {sentence.split(":")[0] for sentence in together.dropped} >= {"Box 'Boat'", "Box 'Car'"}


def _keys(result: list[dict[str, Any]]) -> list[str]:
    return [json.dumps({**region, "id": None}, sort_keys=True, default=float) for region in _as_floats(result)]


def _as_floats(result: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sides = ("x", "y", "width", "height")
    return [
        {
            **region,
            "value": {**region["value"], **{side: float(region["value"][side]) for side in sides}, "rotation": 0},
        }
        for region in result
    ]


def test_boxes_that_need_two_regions_each_and_boxes_of_a_page_are_written_as_such() -> None:
    parsed = labeling.parse(
        '<View><Image name="image" value="$image"/><Rectangle name="box" toName="image"/>'
        '<Labels name="kind" toName="image"><Label value="Car"/></Labels></View>'
    )
    result = to_regions([o.Boxes([[1, 2, 3, 4]], ["Car"], [0.5])], parsed, SIZED).result
    assert [region["type"] for region in result] == ["rectangle", "labels"]
    facts = {"image": Facts(pages=((10, 10), (100, 100)))}
    (region,) = to_regions([o.Boxes([[10, 20, 30, 40]], ["Car"], page=1)], BOXES, facts).result
    assert (region["item_index"], region["value"]["x"], region["original_width"]) == (1, 10, 100)


@pytest.mark.parametrize(
    "boxes",
    [
        o.Boxes([[1, 2, 3]]),
        o.Boxes([[1, 2, 3, 4]], ["Car", "Car"]),
        o.Boxes([["a"] * 4]),
        o.Boxes([[1, 2, 3, 4]], None, [[1]]),
    ],
)
def test_boxes_whose_columns_do_not_fit_are_an_error(boxes: o.Boxes) -> None:
    with pytest.raises(OutputError, match="boxes"):
        to_regions([boxes], BOXES, SIZED)


def test_a_mask_of_another_size_is_scaled_to_the_image() -> None:
    region = only(to_regions([o.Mask(MASK, "Car")], on_image("BrushLabels"), SIZED))
    decoded = masks.decode_rle(region["value"]["rle"], width=400, height=300)
    assert np.array_equal(decoded, np.kron(MASK, np.ones((10, 10), dtype=np.bool_)))


def test_a_mask_brings_its_size_where_the_images_is_not_known() -> None:
    region = only(to_regions([o.Mask(MASK, "Car")], on_image("BrushLabels")))
    assert (region["original_width"], region["original_height"]) == (40, 30)


def test_an_empty_mask_is_dropped_and_a_wrong_one_an_error() -> None:
    assert to_regions([o.Mask(MASK & False, "Car")], on_image("BrushLabels")).dropped == [
        "Mask 'Car': the mask is empty."
    ]
    with pytest.raises(OutputError, match="a mask cannot be read"):
        to_regions([o.Mask(np.zeros(3), "Car")], on_image("BrushLabels"))


# --- time
AUDIO = config(
    f'<Audio name="a" value="$a"/><Labels name="c" toName="a">{LABELS}</Labels>'
    '<TextArea name="t" toName="a" perRegion="true"/>'
)


def test_a_segment_is_cut_to_the_audio_and_carries_its_length() -> None:
    conversion = to_regions([o.Segment(-1, 99, "Car", text="hi")], AUDIO, {"a": Facts(duration_s=10.25)})
    first, second = conversion.result
    assert first["value"] == {"start": 0, "end": 10.25, "channel": 0, "labels": ["Car"]}
    assert second["value"] == {"start": 0, "end": 10.25, "channel": 0, "text": ["hi"]}
    assert first["original_length"] == second["original_length"] == 10.25
    assert first["id"] == second["id"]


@pytest.mark.parametrize(
    ("start", "end", "why"),
    [(2, 2, "is not after its start"), (11, 12, "outside the audio, which is 10 s long"), (0, math.nan, "finite")],
)
def test_a_segment_without_sound_is_dropped(start: float, end: float, why: str) -> None:
    conversion = to_regions([o.Segment(start, end, "Car")], AUDIO, {"a": Facts(duration_s=10)})
    assert conversion.result == []
    assert why in conversion.dropped[0]


SERIES = config(f'<TimeSeries name="s" value="$s"/><TimeSeriesLabels name="c" toName="s">{LABELS}</TimeSeriesLabels>')


def test_a_series_segment_may_be_an_instant_or_dates() -> None:
    said = [
        o.SeriesSegment(3, label="Car"),
        o.SeriesSegment("2026-01-01", "2026-01-02", "Car"),
        o.SeriesSegment(5, 4, "Car"),
    ]
    conversion = to_regions(said, SERIES)
    assert values(conversion) == [
        {"start": 3, "end": 3, "instant": True, "timeserieslabels": ["Car"]},
        {"start": "2026-01-01", "end": "2026-01-02", "instant": False, "timeserieslabels": ["Car"]},
    ]
    assert conversion.dropped == ["SeriesSegment 'Car': its end 4 is before its start 5."]


# --- video
def video(attributes: str = "") -> LabelingConfig:
    return config(
        f'<Video name="v" value="$v" {attributes}/><VideoRectangle name="box" toName="v"/>'
        f'<Labels name="l" toName="v">{LABELS}</Labels>'
    )


TRACK = o.Track((o.TrackBox(1, 0, 0, 10, 10), o.TrackBox(48, -5, 0, 10, 10)), "Car", unit=o.Unit.PERCENT)


@pytest.mark.parametrize(
    ("attributes", "facts", "time"),
    [
        ('frameRate="24"', Facts(fps=30), 2.0),
        ("", Facts(fps=12), 4.0),
        ("", Facts(frames_count=480, duration_s=10), 1.0),
        ('frameRate="$fps"', Facts(), 2.0),
    ],
)
def test_a_keyframes_time_is_its_frame_by_the_frame_rate(attributes: str, facts: Facts, time: float) -> None:
    value = only(to_regions([TRACK], video(attributes), {"v": facts}))["value"]
    assert value["sequence"][1]["time"] == time
    assert value["labels"] == ["Car"]
    assert (value["sequence"][1]["x"], value["sequence"][1]["width"]) == (0, 5)


def test_a_track_says_how_long_the_video_is() -> None:
    value = only(to_regions([TRACK], video(), {"v": Facts(fps=10, duration_s=6.0)}))["value"]
    assert (value["framesCount"], value["duration"]) == (60, 6)


@pytest.mark.parametrize(
    ("boxes", "why"),
    [
        ((), "no keyframes"),
        ((o.TrackBox(0, 0, 0, 1, 1),), "frames are counted from 1"),
        ((o.TrackBox(3, 0, 0, 1, 1), o.TrackBox(3, 0, 0, 1, 1)), "keyframes must rise"),
        ((o.TrackBox(1, 200, 0, 1, 1),), "wholly outside"),
    ],
)
def test_a_track_that_is_none_is_dropped(boxes: tuple[o.TrackBox, ...], why: str) -> None:
    conversion = to_regions([o.Track(boxes, "Car", unit=o.Unit.PERCENT)], video())
    assert conversion.result == []
    assert why in conversion.dropped[0]


def test_frame_spans_are_cut_to_the_video() -> None:
    told = config(f'<Video name="v" value="$v"/><TimelineLabels name="c" toName="v">{LABELS}</TimelineLabels>')
    said = [o.FrameSpan(0, 9, "Car"), o.FrameSpan(5, 4, "Car"), o.FrameSpan(21, 22, "Car")]
    conversion = to_regions(said, told, {"v": Facts(frames_count=20)})
    assert values(conversion) == [{"ranges": [{"start": 1, "end": 9}], "timelinelabels": ["Car"]}]
    assert len(conversion.dropped) == 2


# --- between regions
PER_REGION = on_image(
    "RectangleLabels", more='<Choices name="occluded" toName="image" perRegion="true"><Choice value="yes"/></Choices>'
)


def test_an_answer_about_a_region_copies_its_geometry_wherever_it_stands() -> None:
    said = [o.Choice("yes", of="r", score=0.4), o.Box(40, 30, 80, 60, "Car", id="r", score=0.9)]
    box, answer = to_regions(said, PER_REGION, SIZED).result
    assert answer["id"] == box["id"] == "r"
    assert answer["value"] == {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0, "choices": ["yes"]}
    assert (answer["original_width"], answer["score"], box["score"]) == (400, 0.4, 0.9)


def test_an_answer_about_a_region_that_was_dropped_is_dropped_too() -> None:
    said = [o.Box(900, 0, 1, 1, "Car", id="r"), o.Choice("yes", of="r")]
    conversion = to_regions(said, PER_REGION, SIZED)
    assert conversion.result == []
    assert conversion.dropped[1] == "Choice 'yes': there is no region 'r' that it could belong to."


def test_a_region_of_a_region_names_its_parent() -> None:
    said = [o.Span(0, 9, "Car", id="whole"), o.Span(0, 3, "Person", of="whole")]
    _, child = to_regions(said, SPANS).result
    assert child["parentID"] == "whole"


def test_a_relation_needs_both_ends_and_a_label_of_the_config() -> None:
    told = on_text(f'<Labels name="c" toName="text">{LABELS}</Labels><Relations><Relation value="owns"/></Relations>')
    said = [
        o.Relation("a", "b", ("Owns", "likes"), direction="bi"),
        o.Relation("a", "z"),
        o.Span(0, 1, "Person", id="a"),
        o.Span(2, 3, "Car", id="b"),
    ]
    conversion = to_regions(said, told)
    assert conversion.result[-1] == {
        "from_id": "a",
        "to_id": "b",
        "type": "relation",
        "direction": "bi",
        "labels": ["owns"],
    }
    assert len(conversion.result) == 3
    assert len(conversion.dropped) == 2


def test_a_raw_region_is_passed_through_and_can_be_answered_about() -> None:
    region = {
        "from_name": "c",
        "to_name": "image",
        "type": "rectanglelabels",
        "value": {"x": 1, "rectanglelabels": ["Car"]},
    }
    said = [o.Raw({**region, "id": "r", "original_width": 4}, score=0.5), o.Choice("yes", of="r")]
    raw, answer = to_regions(said, PER_REGION).result
    assert raw == {**region, "id": "r", "original_width": 4, "score": 0.5}
    assert answer["original_width"] == 4


def test_a_raw_region_with_numbers_of_numpy_is_json_and_one_that_cannot_be_is_an_error() -> None:
    region = {"from_name": "c", "to_name": "image", "type": "rectanglelabels"}
    good = o.Raw({**region, "value": {"x": np.float32(1.5), "points": np.array([[1, 2]])}})
    said = to_regions([good], PER_REGION).result
    assert [one["value"] for one in said] == [{"x": 1.5, "points": [[1, 2]]}]
    assert json.dumps(said)
    for odd in (float("nan"), {"Car"}, object()):
        with pytest.raises(OutputError, match="'rectanglelabels' cannot be written as JSON"):
            to_regions([o.Raw({**region, "value": {"x": odd}})], PER_REGION)


def test_an_answer_reads_nothing_about_the_data() -> None:
    class Unreadable(dict[str, Facts]):
        def get(self, *_: object) -> Facts:  # type: ignore[override]
            raise AssertionError("read")

    told = config('<Image name="image" value="$i"/><Choices name="c" toName="image"><Choice value="A"/></Choices>')
    assert only(to_regions([o.Choice("A")], told, Unreadable()))["value"] == {"choices": ["A"]}
