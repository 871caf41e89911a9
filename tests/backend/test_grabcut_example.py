"""examples/grabcut.py on photographs: what it marks, against outlines that are not its own; and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prelabel.labeling import parse
from prelabel.loader import load_wrapper
from prelabel.model import Item, ModelWrapper
from prelabel.outputs import Mask
from prelabel.predictions import make_prediction
from prelabel.prompts import BoxPrompt, BrushPrompt, EllipsePrompt, PointPrompt, Prompt, Prompts
from prelabel.tasks import Facts, Task

EXAMPLE = Path(__file__).parents[2] / "examples" / "grabcut.py"


@pytest.fixture(scope="module")
def pictures() -> Any:
    return pytest.importorskip("skimage.data", reason="scikit-image comes with the demo")


@pytest.fixture(scope="module")
def model() -> Iterator[ModelWrapper]:
    wrapper = load_wrapper(str(EXAMPLE))
    wrapper.load()
    yield wrapper
    wrapper.unload()


def marked(model: ModelWrapper, picture: np.ndarray, *prompts: Prompt) -> np.ndarray:
    function: Any = model
    said = function.function(picture, Prompts(prompts), function._hook("encode", picture))
    assert isinstance(said, Mask)
    return np.asarray(said.array)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.fixture(scope="module")
def coins(pictures: Any) -> tuple[np.ndarray, list[tuple[np.ndarray, tuple[int, int, int, int]]]]:
    """The picture as RGB, and every coin's pixels and corners, as scikit-image's example of a watershed finds them."""
    from scipy import ndimage
    from skimage import filters, measure, segmentation

    grey = pictures.coins()
    markers = np.where(grey < 30, 1, np.where(grey > 150, 2, 0))
    filled = ndimage.binary_fill_holes(segmentation.watershed(filters.sobel(grey), markers) == 2)
    parts, _ = ndimage.label(filled)
    found = [(parts == one.label, one.bbox) for one in measure.regionprops(parts) if one.area > 300]
    assert len(found) == 24
    return np.repeat(grey[:, :, None], 3, axis=2), found


def test_a_click_on_each_coin_marks_it(model: ModelWrapper, coins: Any) -> None:
    picture, truths = coins
    for truth, (top, left, bottom, right) in truths:
        mask = marked(model, picture, PointPrompt((left + right) / 2, (top + bottom) / 2))
        assert overlap(mask, truth) > 0.95


@pytest.mark.parametrize("kind", ["box", "ellipse", "brush"])
def test_a_box_an_ellipse_and_a_stroke_mark_the_coin_too(model: ModelWrapper, coins: Any, kind: str) -> None:
    picture, truths = coins
    for truth, (top, left, bottom, right) in truths[::4]:
        width, height, x, y = right - left, bottom - top, (left + right) / 2, (top + bottom) / 2
        stroke = np.zeros(truth.shape, bool)
        stroke[int(y) - 3 : int(y) + 4, int(x - width / 4) : int(x + width / 4)] = True
        prompt = {
            "box": BoxPrompt(left - 4, top - 4, width + 8, height + 8),
            "ellipse": EllipsePrompt(x, y, width / 2 + 3, height / 2 + 3),
            "brush": BrushPrompt(stroke),
        }[kind]
        assert overlap(marked(model, picture, prompt), truth) > 0.9


def test_a_turned_box_marks_what_is_in_it_and_not_what_is_beside(model: ModelWrapper) -> None:
    rows, columns = np.mgrid[:200, :200]
    turn = np.deg2rad(30)
    across = (columns - 100) * np.cos(turn) + (rows - 100) * np.sin(turn)
    down = -(columns - 100) * np.sin(turn) + (rows - 100) * np.cos(turn)
    lying = (across / 60) ** 2 + (down / 20) ** 2 < 1
    noise = np.random.default_rng(0).integers(0, 30, (200, 200, 1))
    picture = np.where(lying[..., None], 190, 40).astype(np.uint8) + np.repeat(noise, 3, axis=2).astype(np.uint8)
    corner = (100 - 65 * np.cos(turn) + 25 * np.sin(turn), 100 - 65 * np.sin(turn) - 25 * np.cos(turn))
    assert overlap(marked(model, picture, BoxPrompt(*corner, 130, 50, 30.0)), lying) > 0.9


def test_a_cats_eye_is_marked_as_by_hand(model: ModelWrapper, pictures: Any) -> None:
    rows, columns = np.mgrid[:300, :451]
    by_hand = ((columns - 171) / 32) ** 2 + ((rows - 115) / 31) ** 2 < 1
    assert overlap(marked(model, pictures.chelsea(), PointPrompt(165, 115)), by_hand) > 0.85


def test_not_here_takes_away_and_alone_says_nothing(model: ModelWrapper, coins: Any) -> None:
    picture, _ = coins
    both = marked(model, picture, PointPrompt(212, 193), PointPrompt(226, 193, positive=False))
    assert both[193, 212]
    assert not both[193, 226]
    function: Any = model
    only = Prompts((PointPrompt(212, 193, positive=False),))
    assert function.function(picture, only, function._hook("encode", picture)) is None


@pytest.mark.parametrize("control", ["BrushLabels", "BitmaskLabels", "PolygonLabels", "RectangleLabels"])
def test_label_studio_takes_the_answer_as_whatever_the_config_has(
    model: ModelWrapper, coins: Any, control: str
) -> None:
    from label_studio_sdk.label_interface.interface import LabelInterface

    picture, _ = coins
    xml = (
        '<View><Image name="image" value="$image"/><KeyPointLabels name="point" toName="image" smart="true">'
        f'<Label value="Coin"/></KeyPointLabels><{control} name="out" toName="image"><Label value="Coin"/></{control}>'
        "</View>"
    )
    config = parse(xml)
    click = {
        "original_width": 384, "original_height": 303, "value": {"x": 55.2, "y": 63.7, "keypointlabels": ["Coin"]},
        "id": "k", "from_name": "point", "to_name": "image", "type": "keypointlabels",
    }  # fmt: skip
    item = Item(Task(1, {"image": "a"}), config, picture, {"image": picture}, {"result": [click]})
    (said,) = model.predict([item])
    facts = {"image": Facts(width=384, height=303)}
    prediction = make_prediction(said, config, facts, model_version="grabcut-1")
    assert prediction.result
    assert prediction.dropped == ()
    interface: Any = LabelInterface(xml)
    assert interface.validate_prediction(prediction.as_json(), return_errors=True) == []
