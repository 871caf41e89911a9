"""A detector of TensorFlow in OpenCV's dnn module, as a plain function of five lines: COCO's boxes of photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prelabel.errors import OutputError
from prelabel.labeling import parse
from prelabel.loader import load, load_wrapper
from prelabel.predictions import Prediction, make_prediction

from .cases import IMAGE, labels, photographs, task_and_facts
from .packaged import SSD, SSD_GRAPH, located

FUNCTION = """
import cv2
import numpy as np

net = cv2.dnn.readNetFromTensorflow({graph!r}, {config!r})
names = {{1: "person", 17: "cat", 47: "cup", 51: "bowl", 67: "dining table"}}

def predict(images: list[np.ndarray]):
    net.setInput(cv2.dnn.blobFromImages(images, size=(300, 300)))
    found = net.forward()[0, 0]
    found = found[(found[:, 2] > 0.6) & np.isin(found[:, 1], list(names))]
    rows = [found[found[:, 0] == at] for at in range(len(images))]
    return [{answer} for each in rows]
"""
STATED = '{"xyxy": each[:, 3:], "scores": each[:, 2], "labels": each[:, 1], "names": names, "unit": "fraction"}'
CONFIG = labels("RectangleLabels", ["person", "cat", "cup", "bowl", "dining table"], IMAGE)


@pytest.fixture
def pictures() -> list[Any]:
    return [np.asarray(picture) for picture in photographs()]


def answers(folder: Path, answer: str, pictures: list[Any]) -> list[Any]:
    file = folder / "detector.py"
    told = FUNCTION.format(graph=str(located(SSD)), config=str(located(SSD_GRAPH)), answer=answer)
    file.write_text(told, encoding="utf-8")
    wrapper = load_wrapper(f"{file}:predict", {})
    load(wrapper)
    return list(wrapper.predict(pictures))


def prediction(picture: Any, answer: Any) -> Prediction:
    return make_prediction(answer, parse(CONFIG), task_and_facts(picture)[1], model_version="v")


def boxes(picture: Any, answer: Any) -> dict[str, list[int]]:
    """Left, top, width and height in percent, by label."""
    said = prediction(picture, answer)
    assert said.dropped == ()
    values = [region["value"] for region in said.result]
    return {
        value["rectanglelabels"][0]: [round(value[side]) for side in ("x", "y", "width", "height")] for value in values
    }


def test_five_lines_find_a_cat_a_cup_and_an_astronaut(tmp_path: Path, pictures: list[Any]) -> None:
    cat, coffee, astronaut = map(boxes, pictures, answers(tmp_path, STATED, pictures))
    assert list(cat) == ["cat"]
    assert cat["cat"] == pytest.approx([2, 0, 89, 99], abs=2)
    assert coffee["cup"] == pytest.approx([29, 3, 40, 57], abs=2)
    assert {"cup", "bowl", "dining table"} >= set(coffee)
    assert list(astronaut) == ["person"]
    assert astronaut["person"] == pytest.approx([2, 2, 70, 98], abs=2)


def test_batches_say_what_their_pictures_say_alone(tmp_path: Path, pictures: list[Any]) -> None:
    together = map(boxes, pictures, answers(tmp_path, STATED, pictures))
    alone = [boxes(picture, answers(tmp_path, STATED, [picture])[0]) for picture in pictures]
    assert list(together) == alone


def test_rows_as_opencv_gives_them_are_refused_with_the_form_that_works(tmp_path: Path, pictures: list[Any]) -> None:
    rows = answers(tmp_path, "each", pictures)[0]
    for raw in (rows, rows[None, None]):
        with pytest.raises(OutputError, match=r"image, class, score and corners") as refused:
            prediction(pictures[0], raw)
        assert '"unit": "fraction"' in str(refused.value)
    names = {1: "person", 17: "cat"}
    told = {"xyxy": rows[:, 3:], "scores": rows[:, 2], "labels": rows[:, 1], "names": names, "unit": "fraction"}
    assert list(boxes(pictures[0], told)) == ["cat"]


def test_its_tensor_is_read_like_an_image(tmp_path: Path) -> None:
    empty = np.asarray(Image.new("RGB", (320, 240), "white"))
    assert boxes(empty, answers(tmp_path, STATED, [empty])[0]) == {}
