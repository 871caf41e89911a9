"""What Ultralytics exported says, through the wrappers of ONNX, PyTorch and LiteRT, what the network itself says."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prelabel.errors import ModelLoadError
from prelabel.labeling import fit, parse
from prelabel.loader import load, load_wrapper
from prelabel.model import ModelWrapper
from prelabel.outputs import Boxes
from prelabel.predictions import make_prediction
from prelabel_wrappers.yolo import exported

from . import yolo_models
from .cases import IMAGE, framework, labels, task_and_facts
from .yolo_models import NAMES, overlap, placed, scenes

LOW = 0.3
METADATA = {"author": "Ultralytics", "names": "{0: 'square', 1: 'disc'}", "imgsz": "[96, 128]", "batch": "1"}
slow = pytest.mark.slow


@pytest.fixture
def networks(models: Path) -> Path:
    framework("torch")
    framework("ultralytics")
    return yolo_models.made(models)


@pytest.fixture
def segmenters(models: Path, networks: Path) -> Path:
    return yolo_models.made(models, "seg")


@pytest.fixture
def posers(models: Path, networks: Path) -> Path:
    return yolo_models.made(models, "pose")


@pytest.fixture
def turners(models: Path, networks: Path) -> Path:
    return yolo_models.made(models, "obb")


def made(path: Path, **options: str) -> ModelWrapper:
    name = {".pt": "ultralytics", ".onnx": "onnx", ".torchscript": "torch", ".tflite": "tflite"}[path.suffix]
    if name in {"ultralytics", "torch"}:
        options = {"device": "cpu"} | ({"size": "128"} if name == "ultralytics" else {}) | options
    wrapper = load_wrapper(name, {"model": str(path), "min_score": str(LOW), "overlap": "0.7", **options})
    load(wrapper)
    return wrapper


def said(wrapper: ModelWrapper, picture: Image.Image, tag: str) -> list[Mapping[str, Any]]:
    """The values of the regions for a control of this tag, the surest first."""
    config = parse(labels(tag, wrapper.labels or (), IMAGE))
    (result,) = wrapper.predict([picture])
    prediction = make_prediction(result, config, task_and_facts(picture)[1], model_version="v", names=wrapper.labels)
    assert prediction.dropped == ()
    regions = sorted(prediction.result, key=lambda region: -region["score"])
    return [region["value"] | {"score": region["score"]} for region in regions]


def corners(value: Mapping[str, Any], picture: Image.Image) -> list[float]:
    """Two corners in pixels of a region's box or of what is around its outline."""
    if "points" in value:
        points = np.asarray(value["points"])
        first, last = points.min(axis=0), points.max(axis=0)
    else:
        first = np.array([value["x"], value["y"]])
        last = first + np.array([value["width"], value["height"]])
    return [*(first * picture.size / 100).tolist(), *(last * picture.size / 100).tolist()]


@slow
@pytest.mark.parametrize(
    "file", ["detect.pt", "detect.onnx", "detect-nms.onnx", "detect.torchscript", "detect-nms.torchscript",
             "detect.tflite"]
)  # fmt: skip
def test_squares_and_discs_that_it_never_saw_are_found(file: str, networks: Path) -> None:
    if file.endswith("tflite"):
        framework("litert_torch")
    wrapper = made(networks / file)
    right = wrong = missed = 0
    for picture, things in itertools.islice(scenes(11), 40):
        found = said(wrapper, picture, "RectangleLabels")
        for kind, box in things:
            alike = [
                value for value in found
                if value["rectanglelabels"] == [NAMES[kind]] and overlap(corners(value, picture), box) > 0.6
            ]  # fmt: skip
            right, missed = right + bool(alike), missed + (not alike)
        wrong += max(len(found) - len(things), 0)
    assert right > 8 * missed
    assert right > 8 * wrong


EXPORTS = ["detect.onnx", "detect-nms.onnx", "detect.torchscript", "detect-nms.torchscript", "detect.tflite"]
SIZES = {(128, 128): 0.5, (110, 90): 0.5, (104, 128): 0.5, (640, 512): 2.0}
"""Sizes of pictures, and how far in their pixels a side may lie from where Ultralytics has it.

In the largest each of the network's pixels is five of the picture's.
"""


@slow
@pytest.mark.parametrize("file", EXPORTS)
def test_an_export_says_the_boxes_that_ultralytics_says(file: str, networks: Path) -> None:
    if file.endswith("tflite"):
        framework("litert_torch")
    wrapper, theirs = made(networks / file), made(networks / "detect.pt")
    assert wrapper.labels == theirs.labels == NAMES
    for size, pixels in SIZES.items():
        compared = 0
        for scene, _ in itertools.islice(scenes(12), 12):
            picture = placed(scene, size)
            ours = said(wrapper, picture, "RectangleLabels")
            for value in said(theirs, picture, "RectangleLabels"):
                box = corners(value, picture)
                same = max(ours, key=lambda other: overlap(corners(other, picture), box), default=None)
                if same is None or overlap(corners(same, picture), box) < 0.5:
                    continue  # one of the two thought it too unlikely by a hair
                assert same["rectanglelabels"] == value["rectanglelabels"]
                assert corners(same, picture) == pytest.approx(box, abs=pixels)
                compared += 1
        assert compared >= 6


@slow
@pytest.mark.parametrize("suffix", [".onnx", "-nms.onnx", ".torchscript", "-nms.torchscript", ".tflite"])
def test_masks_of_an_export_are_drawn_where_ultralytics_draws_them(suffix: str, segmenters: Path) -> None:
    if suffix == ".tflite":
        framework("litert_torch")
    wrapper, theirs = made(segmenters / f"seg{suffix}"), made(segmenters / "seg.pt")
    assert wrapper.outputs == theirs.outputs
    compared = 0
    for scene, _ in itertools.islice(scenes(12), 8):
        (ours,), (their,) = wrapper.predict([scene]), theirs.predict([scene])
        if not len(ours) or their.masks is None or len(their.masks) != len(ours["masks"]):
            continue
        for one, other in zip(ours["masks"], their.masks.data.numpy() > 0.5, strict=True):
            assert (one != other).mean() < 0.03
            compared += int(other.any())
    assert compared >= 6


@slow
@pytest.mark.parametrize("suffix", [".onnx", "-nms.onnx"])
def test_keypoints_of_an_export_lie_where_ultralytics_has_them(suffix: str, posers: Path) -> None:
    wrapper, theirs = made(posers / f"pose{suffix}", min_score="0.5"), made(posers / "pose.pt", min_score="0.5")
    assert wrapper.labels == theirs.labels
    assert {"square", "disc", "nose", "left_ankle"} <= set(wrapper.labels or ())
    compared = 0
    for scene, _ in itertools.islice(scenes(12), 8):
        picture = placed(scene, (96, 128))
        ours, every = (said(each, picture, "KeyPointLabels") for each in (wrapper, theirs))
        their = [value for value in every if value["score"] >= 0.5]  # it leaves out none of an object
        assert [value["keypointlabels"] for value in ours] == [value["keypointlabels"] for value in their]
        for one, other in zip(ours, their, strict=True):
            assert (one["x"], one["y"]) == pytest.approx((other["x"], other["y"]), abs=1.5)
        compared += len(ours)
    assert compared > 6


@slow
@pytest.mark.parametrize("tag", ["RectangleLabels", "PolygonLabels"])
@pytest.mark.parametrize("suffix", [".onnx", "-nms.onnx"])
def test_turned_boxes_of_an_export_are_turned_as_ultralytics_turns_them(suffix: str, tag: str, turners: Path) -> None:
    wrapper, theirs = made(turners / f"obb{suffix}"), made(turners / "obb.pt")
    turned = compared = 0
    for scene, _ in itertools.islice(scenes(12, most=1), 12):
        ours, their = said(wrapper, scene, tag), said(theirs, scene, tag)
        for other in their:  # which are fewer: there a box that is dropped drops others all the same
            one = max(ours, key=lambda each: overlap(corners(each, scene), corners(other, scene)))
            assert overlap(corners(one, scene), corners(other, scene)) > 0.9
            assert one.get("rotation", 0) % 90 == pytest.approx(other.get("rotation", 0) % 90, abs=1)
            turned, compared = turned + (other.get("rotation", 0) % 90 > 1), compared + 1
    assert compared >= 6
    assert turned >= 6 or tag == "PolygonLabels"


@slow
@pytest.mark.parametrize(
    ("file", "tags"),
    [
        ("detect.onnx", ["RectangleLabels"]),
        ("seg.onnx", ["PolygonLabels", "BrushLabels", "RectangleLabels"]),
        ("pose.onnx", ["KeyPointLabels", "RectangleLabels"]),
        ("obb.onnx", ["RectangleLabels", "PolygonLabels"]),
    ],
)
def test_ultralytics_serves_exports_itself(file: str, tags: list[str], models: Path, networks: Path) -> None:
    yolo_models.made(models, file.removesuffix(".onnx"))
    wrapper = load_wrapper(
        "ultralytics", {"model": str(networks / file), "device": "cpu", "min_score": "0.5", "size": "128"}
    )
    load(wrapper)
    for tag in tags:
        config = parse(labels(tag, wrapper.labels or (), IMAGE))
        assert fit(config, outputs=wrapper.outputs, labels=wrapper.labels, label_map={}, kind=wrapper.input).ok
        assert any(said(wrapper, scene, tag) for scene, _ in itertools.islice(scenes(12), 4))


@slow
def test_names_may_be_others_and_too_few_are_refused(networks: Path) -> None:
    wrapper = made(networks / "detect.onnx", labels="quadrat,kreis")
    assert wrapper.labels == ("quadrat", "kreis")
    picture = next(scenes(12))[0]
    assert said(wrapper, picture, "RectangleLabels")[0]["rectanglelabels"][0] in {"quadrat", "kreis"}
    with pytest.raises(ModelLoadError, match="2 classes, the labels are 1") as refused:
        made(networks / "detect.onnx", labels="quadrat")
    assert "square, disc" in refused.value.hint


@slow
def test_stretched_pictures_are_put_back_too(networks: Path) -> None:
    scene = next(scenes(12, most=1))[0]
    picture = scene.resize((160, 128))
    (box,) = said(made(networks / "detect.onnx", resize="squash"), picture, "RectangleLabels")
    (same,) = said(made(networks / "detect.onnx"), scene, "RectangleLabels")
    assert [box[key] for key in ("x", "y", "width", "height")] == pytest.approx(
        [same[key] for key in ("x", "y", "width", "height")], abs=3
    )


# --- without the framework: what the metadata say
def test_metadata_of_others_are_none_of_ours() -> None:
    assert exported({"names": "{0: 'a'}", "task": "detect"}) is None
    assert exported(METADATA | {"task": "semantic"}) is None
    assert exported({"author": "Ultralytics", "task": "detect"}) is None


def test_sizes_are_height_first_and_an_open_batch_is_open() -> None:
    told = exported(METADATA | {"task": "pose", "kpt_shape": "[17, 3]"})
    assert told is not None
    assert (told.size, told.batch, told.points) == ((128, 96), 1, (17, 3))
    assert told.labels is not None
    assert told.labels[:3] == ("square", "disc", "nose")
    dynamic = exported(METADATA | {"task": "detect", "args": "{'dynamic': True}"})
    assert dynamic is not None
    assert dynamic.batch is None


def test_tensors_that_do_not_fit_the_metadata_are_refused() -> None:
    from prelabel_wrappers.pixels import Placement

    told = exported(METADATA | {"task": "detect"})
    assert told is not None
    place = Placement((128, 96), (128, 96), (1, 1))
    table = np.zeros((1, 6, 40), dtype=np.float32)
    table[0, :, 3] = (20, 30, 10, 20, 0.1, 0.9)
    ((boxes,),) = told.read([table], [place], min_score=0.5, overlap=0.5)
    assert isinstance(boxes, Boxes)
    assert boxes.corners.tolist() == [[15, 20, 25, 40]]
    with pytest.raises(ModelLoadError, match=r"promise \[6, N\] or \[N, 6\]") as refused:
        told.read([np.zeros((1, 9, 40))], [place], min_score=0.5, overlap=0.5)
    assert "--opt says=" in refused.value.hint
