"""What a network is fed for an image, and where class names come from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prelabel.errors import ModelLoadError, TaskError
from prelabel.tasks import Task
from prelabel_wrappers import class_names
from prelabel_wrappers.features import matrix
from prelabel_wrappers.pixels import Preparation, parsed_size

RED = Image.new("RGB", (4, 2), (255, 0, 51))


def test_layout_channels_and_scale() -> None:
    nchw = Preparation((4, 2)).one(RED)
    assert (nchw.shape, nchw.dtype) == ((3, 2, 4), np.float32)
    assert nchw[:, 0, 0] == pytest.approx([1.0, 0.0, 0.2])
    nhwc = Preparation((4, 2), layout="nhwc", channels="bgr", scale=1.0, dtype="uint8").one(RED)
    assert (nhwc.shape, nhwc.dtype) == ((2, 4, 3), np.uint8)
    assert nhwc[0, 0].tolist() == [51, 0, 255]
    assert Preparation((4, 2), channels="gray").batch([RED, RED]).shape == (2, 1, 2, 4)


def test_normalisation_is_by_channel_after_scaling() -> None:
    normal = Preparation((4, 2), mean=[0.5, 0.5, 0.2], std=[0.5, 0.25, 1.0]).one(RED)
    assert normal[:, 0, 0] == pytest.approx([1.0, -2.0, 0.0], abs=1e-6)


@pytest.mark.parametrize(("how", "corner"), [("squash", 255), ("crop", 255), ("pad", 0)])
def test_three_ways_to_a_square(how: str, corner: int) -> None:
    square = Preparation((4, 4), resize=how, scale=1.0, dtype="uint8").one(RED)  # type: ignore[arg-type]
    assert square.shape == (3, 4, 4)
    assert square[0, 0, 0] == corner


def test_a_size_is_width_and_height() -> None:
    assert parsed_size("320x240") == (320, 240)
    assert parsed_size("224") == (224, 224)
    assert parsed_size(None) is None
    with pytest.raises(ModelLoadError, match="WIDTHxHEIGHT"):
        parsed_size("large")


def test_class_names_from_an_option(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("cat\n\ndog\n")
    (tmp_path / "n.json").write_text(json.dumps({"1": "dog", "0": "cat", "10": "eel", "2": "fox"}))
    assert class_names.from_option("cat, dog") == ("cat", "dog")
    assert class_names.from_option(str(tmp_path / "n.txt")) == ("cat", "dog")
    assert class_names.from_option(str(tmp_path / "n.json")) == ("cat", "dog", "fox", "eel")


@pytest.mark.parametrize("said", ["{0: 'cat', 1: 'dog'}", '["cat", "dog"]', '{"0": "cat", "1": "dog"}', "cat\ndog"])
def test_class_names_from_a_models_metadata(said: str) -> None:
    assert class_names.from_metadata({"author": "me", "names": said}) == ("cat", "dog")
    assert class_names.from_metadata({}) is None


def test_features_are_fields_in_order_and_lists_in_place() -> None:
    tasks = [Task(1, {"a": 1, "b": [2, 3]}), Task(2, {"b": [5, None], "a": "4"})]
    rows = matrix(tasks, ["b", "a"])
    assert rows.dtype == np.float32
    assert rows[0].tolist() == [2, 3, 1]
    assert np.isnan(rows[1][1])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [({}, "task 2: field 'a' is missing"), ({"a": "x"}, "is no number"), ({"a": [1, 2]}, "has 2 features")],
)
def test_a_task_without_its_features_is_an_error_that_names_it(data: dict[str, object], sentence: str) -> None:
    with pytest.raises(TaskError, match=sentence):
        matrix([Task(1, {"a": 1}), Task(2, data)], ["a"])
