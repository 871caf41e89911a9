"""Label Studio's interactive context as typed prompts: recorded ones, every shape, and whatever else may come."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from prelabel import masks, parse
from prelabel.errors import RequestError
from prelabel.model import Item
from prelabel.prompts import (
    BoxPrompt,
    BrushPrompt,
    EllipsePrompt,
    PointPrompt,
    PolygonPrompt,
    Prompts,
    TextPrompt,
)
from prelabel.regions.html import visible_text
from prelabel.tasks import Task

RECORDINGS = Path(__file__).parents[1] / "recordings" / "interactive"
CONTEXTS = json.loads((RECORDINGS / "editor_contexts.json").read_text())["contexts"]
CONFIG = parse(
    '<View><Image name="image" value="$image"/><KeyPointLabels name="k" toName="image" smart="true">'
    '<Label value="Car"/><Label value="Background"/></KeyPointLabels>'
    '<BrushLabels name="b" toName="image"><Label value="Car"/></BrushLabels></View>'
)


def prompts(context: Any, value: Any = None, **values: Any) -> Prompts:
    return Item(Task(1, {}), CONFIG, value, values, context).prompts


def region(kind: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One region on an image of 200 x 100 pixels."""
    size = {"original_width": 200, "original_height": 100, "image_rotation": 0}
    return {**size, "type": kind, "value": value, "from_name": "k", "to_name": "image", **more}


def click(x: float, y: float, label: str = "Car", **more: Any) -> dict[str, Any]:
    return region("keypointlabels", {"x": x, "y": y, "width": 0.2, "keypointlabels": [label]}, **more)


# --- as recorded
def test_recorded_clicks_are_points_in_pixels() -> None:
    body = json.loads((RECORDINGS / "keypoint.json").read_text())["requests_received_by_backend"][0]["body"]
    (point,) = prompts(body["params"]["context"])
    assert isinstance(point, PointPrompt)
    assert (point.x, point.y) == pytest.approx((0.493 * 800, 0.599 * 600))
    assert (point.positive, point.label, point.control, point.id) == (True, "Person", "kp", "k_1")


def test_a_recorded_rectangle_is_a_box_in_pixels() -> None:
    (box,) = prompts(CONTEXTS["rectangle"])
    assert isinstance(box, BoxPrompt)
    assert box.xyxy == pytest.approx((74.8, 172.1, 128.8, 220.9), abs=0.1)
    assert box.label == "Coin"


def test_a_shape_and_its_labels_in_two_parts_are_one_prompt() -> None:
    (point,) = prompts(CONTEXTS["keypoint beside labels"])
    assert isinstance(point, PointPrompt)
    assert (point.label, point.control, round(point.x), round(point.y)) == ("Coin", "s", 212, 193)


def test_selected_words_are_characters_of_the_text() -> None:
    text = "Anna \U0001f600 works at Acme in Berlin."
    (word,) = prompts(CONTEXTS["text"], text)
    assert isinstance(word, TextPrompt)
    assert text[word.start : word.end] == word.text == "Acme"
    assert word.label == "ORG"
    seen = visible_text("<p>Anna works at <b>Acme</b> in Berlin.</p>", inline=False).text
    (word,) = prompts(CONTEXTS["hypertext"], seen)
    assert isinstance(word, TextPrompt)
    assert seen[word.start : word.end] == word.text == "Acme"


# --- every shape
def test_every_shape_has_its_prompt() -> None:
    stroke = np.zeros((100, 200), bool)
    stroke[10:20, 30:60] = True
    given_regions = [
        click(50, 50),
        region("rectangle", {"x": 10, "y": 10, "width": 20, "height": 30, "rotation": 0}),
        region("ellipselabels", {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "ellipselabels": ["Car"]}),
        region("polygonlabels", {"points": [[0, 0], [50, 0], [50, 50]], "polygonlabels": ["Car"]}),
        region("brushlabels", {"format": "rle", "rle": masks.encode_rle(stroke), "brushlabels": ["Car"]}),
    ]
    found = prompts({"result": given_regions, "user": "ann"})
    point, box, ellipse, polygon, brush = found
    assert (found.points, found.boxes, found.ellipses, found.polygons, found.brushes, found.texts) == (
        [point], [box], [ellipse], [polygon], [brush], [],
    )  # fmt: skip
    assert isinstance(point, PointPrompt)
    assert (point.x, point.y) == (100, 50)
    assert isinstance(box, BoxPrompt)
    assert (box.xyxy, box.label) == ((20, 10, 60, 40), None)
    assert isinstance(ellipse, EllipsePrompt)
    assert (ellipse.x, ellipse.y, ellipse.radius_x, ellipse.radius_y) == (100, 50, 20, 20)
    assert isinstance(polygon, PolygonPrompt)
    assert polygon.points == ((0, 0), (100, 0), (100, 50))
    assert isinstance(brush, BrushPrompt)
    assert np.array_equal(brush.mask, stroke)
    assert found.latest is brush
    assert found.label == "Car"
    assert found.context is not None
    assert found.context["user"] == "ann", "what else Label Studio says is kept"


def test_pixels_are_those_of_the_image_that_was_read() -> None:
    picture = Image.new("RGB", (400, 200))
    (point,) = prompts({"result": [click(50, 50)]}, picture)
    assert (point.x, point.y) == (200, 100)  # type: ignore[attr-defined]
    pages = [picture, np.zeros((10, 20, 3), np.uint8)]
    (point,) = prompts({"result": [click(50, 50, item_index=1)]}, image=pages)
    assert (point.x, point.y, point.page) == (10, 5, 1)  # type: ignore[attr-defined]
    stroke = np.ones((100, 200), bool)
    painted = region("brushlabels", {"format": "rle", "rle": masks.encode_rle(stroke), "brushlabels": ["Car"]})
    (brush,) = prompts({"result": [painted]}, picture)
    assert isinstance(brush, BrushPrompt)
    assert brush.mask.shape == (200, 400)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (100, 100), (-3, 50), (104.2, 50)])
def test_a_point_is_always_a_pixel(x: float, y: float) -> None:
    (point,) = prompts({"result": [click(x, y)]}).points
    assert 0 <= int(point.x) < 200
    assert 0 <= int(point.y) < 100


def test_not_here_is_said_with_alt_or_with_a_label_that_nothing_else_has() -> None:
    said = [click(1, 1, is_positive=True), click(2, 2, is_positive=0), click(3, 3, "background"), click(4, 4)]
    assert [point.positive for point in prompts({"result": said}).points] == [True, False, False, True]
    also_a_class = parse(CONFIG.xml.replace('<Label value="Car"/></Brush', '<Label value="Background"/></Brush'))
    item = Item(Task(1, {}), also_a_class, context={"result": [click(3, 3, "Background")]})
    assert item.prompts.points[0].positive


def test_predictions_are_no_prompts_unless_they_were_just_drawn() -> None:
    box = {"x": 10, "y": 10, "width": 20, "height": 30, "rotation": 0, "rectanglelabels": ["Car"]}
    shown = region("rectanglelabels", box, origin="prediction", id="a")
    found = prompts({"result": [shown, click(1, 1)]})
    assert (len(found), len(found.others)) == (1, 1)
    assert len(prompts({"result": [shown]})) == 1


@pytest.mark.parametrize("context", [None, {}, {"result": []}, {"result": None}])
def test_nothing_that_was_clicked_is_no_prompt(context: Any) -> None:
    found = prompts(context)
    assert not found
    assert (found.latest, found.label, list(found), found[:]) == (None, None, [], ())


# --- whatever else may come
@pytest.mark.parametrize(
    "bad",
    [
        region("keypointlabels", {"x": 1}),
        region("rectanglelabels", {"x": 1, "y": 1, "width": "wide", "height": 3}),
        region("brushlabels", {"format": "rle", "rle": [1, 2, 3]}),
        region("polygonlabels", {"points": [[1], [2]]}),
        {**click(1, 1), "original_width": 10**9, "original_height": 10**9},
        {**click(1, 1), "original_width": None},
        {**click(1, 1), "image_rotation": 90},
        click(float("inf"), 1),
    ],
    ids=["no y", "a word", "garbage", "one coordinate", "huge", "no width", "turned", "infinite"],
)
def test_what_cannot_be_understood_is_an_error_with_a_remedy(bad: Any) -> None:
    with pytest.raises(RequestError) as caught:
        prompts({"result": [bad]})
    assert caught.value.hint


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "start", "rle"]), inner),
    max_leaves=6,
)
wrong = st.sampled_from(["x", "y", "width", "height", "points", "rle", "start", "end", "labels", "keypointlabels"])
around = st.sampled_from(
    [
        "type",
        "value",
        "original_width",
        "original_height",
        "image_rotation",
        "item_index",
        "is_positive",
        "id",
        "origin",
    ]
)
real = [one for context in CONTEXTS.values() for one in context["result"]] + [
    region("polygonlabels", {"points": [[0, 0], [50, 0], [50, 50]], "polygonlabels": ["Car"]}),
    region("brush", {"format": "rle", "rle": masks.encode_rle(np.ones((100, 200), bool))}),
]
regions = st.builds(
    lambda one, inside, outside: {**one, "value": {**one["value"], **inside}, **outside},
    st.sampled_from(real),
    st.dictionaries(wrong, json_values, max_size=2),
    st.dictionaries(around, json_values, max_size=2),
)


@settings(deadline=None)
@given(st.fixed_dictionaries({"result": st.lists(regions, max_size=3) | json_values}))
def test_no_context_raises_anything_but_our_error(context: Any) -> None:
    with contextlib.suppress(RequestError):
        prompts(context)
