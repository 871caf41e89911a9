"""Ultralytics is the user's to install: what is said without it; networks of each of its tasks where it is there."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prelabel import outputs as o
from prelabel.adapters import to_outputs
from prelabel.errors import ModelLoadError
from prelabel.labeling import parse
from prelabel.loader import load, load_wrapper
from prelabel.predictions import make_prediction

from . import yolo_models
from .cases import IMAGE, choices, framework, labels, photographs, task_and_facts


def test_without_it_the_licence_is_named_and_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(ModelLoadError) as refused:
        load(load_wrapper("ultralytics", {"model": "yolo.pt"}))
    assert "AGPL-3.0" in refused.value.hint
    assert "prelabel[" not in refused.value.hint


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("network", "tag"),
    [
        ("yolo11n", "RectangleLabels"),
        ("yolo11n-seg", "PolygonLabels"),
        ("yolo11n-pose", "RectangleLabels"),
        ("yolo11n-obb", "PolygonLabels"),
        ("yolo26n", "RectangleLabels"),
        ("yolo11n-cls", "Choices"),
    ],
)
def test_a_network_with_random_weights_says_what_fits(network: str, tag: str, tmp_path: Path) -> None:
    framework("ultralytics")
    import ultralytics

    ultralytics.YOLO(f"{network}.yaml").save(tmp_path / "net.pt")
    options = {"model": str(tmp_path / "net.pt"), "min_score": "0.00001", "size": "64", "most": "5", "device": "cpu"}
    wrapper = load_wrapper("ultralytics", options)
    load(wrapper)
    names = wrapper.labels or ()
    config = parse(choices(names, IMAGE) if tag == "Choices" else labels(tag, names, IMAGE))
    pictures = photographs()[:2]
    for picture, result in zip(pictures, wrapper.predict(pictures), strict=True):
        prediction = make_prediction(result, config, task_and_facts(picture)[1], model_version="v")
        assert prediction.dropped == ()
        assert 1 <= len(prediction.result) <= 5


QUIETLY = """
import json, os, socket, sys
asked = []
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, lambda self, *rest, name=name: asked.append((name, str(rest[:2]))) or 1)
def looked_up(*rest, **options):
    asked.append(("getaddrinfo", str(rest[:2])))
    raise OSError("no network")
socket.getaddrinfo = looked_up
from PIL import Image
from prelabel.loader import load, load_wrapper
wrapper = load_wrapper("ultralytics", {"model": sys.argv[1], "device": "cpu"})
load(wrapper)
wrapper.predict([Image.new("RGB", (128, 128))])
print(json.dumps([asked, "YOLO_CONFIG_DIR" in os.environ]))
"""


@pytest.fixture
def networks(models: Path) -> Path:
    framework("torch")
    framework("ultralytics")
    return yolo_models.made(models)


@pytest.mark.slow
def test_it_asks_no_network_and_leaves_nothing_behind(networks: Path, tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("YOLO_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", QUIETLY, str(networks / "detect.pt")],
        env={**kept, "HOME": str(home)}, cwd=work, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], False]  # and it printed nothing else
    assert [path for path in home.rglob("*") if "ltralytics" in str(path)] == []
    assert list(work.iterdir()) == []


@pytest.mark.slow
def test_a_batch_of_pictures_of_different_shapes_says_what_each_says_alone(networks: Path) -> None:
    wrapper = load_wrapper("ultralytics", {"model": str(networks / "detect.pt"), "device": "cpu"})
    load(wrapper)
    shapes = [(128, 128), (128, 100), (104, 128), (256, 200)]
    scenes = itertools.islice(yolo_models.scenes(12), len(shapes))
    pictures = [yolo_models.placed(scene, shape) for (scene, _), shape in zip(scenes, shapes, strict=True)]
    together, alone = wrapper.predict(pictures), [wrapper.predict([picture])[0] for picture in pictures]
    for one, other in zip(together, alone, strict=True):
        assert len(one.boxes)
        assert one.boxes.xyxy.numpy() == pytest.approx(other.boxes.xyxy.numpy(), abs=0.01)


@pytest.mark.slow
def test_points_of_a_pose_are_among_its_labels(models: Path, networks: Path) -> None:
    yolo_models.made(models, "pose")
    wrapper = load_wrapper("ultralytics", {"model": str(networks / "pose.pt"), "device": "cpu", "size": "128"})
    load(wrapper)
    assert (wrapper.labels or ())[:3] == ("square", "disc", "nose")
    scene = next(yolo_models.scenes(12, most=1))[0]
    (result,) = wrapper.predict([scene])
    config = parse(labels("KeyPointLabels", ["nose", "left_ear"], IMAGE))
    prediction = make_prediction(result, config, task_and_facts(scene)[1], model_version="v", names=wrapper.labels)
    assert {region["value"]["keypointlabels"][0] for region in prediction.result} == {"nose", "left_ear"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_things_followed_through_frames_become_tracks(networks: Path) -> None:
    framework("lap")
    import ultralytics

    network = ultralytics.YOLO(str(networks / "detect.pt"))
    frames = []
    for step in range(6):
        frame = np.full((128, 128, 3), 120, dtype=np.uint8)
        frame[40:80, 10 + 4 * step : 50 + 4 * step] = yolo_models.COLOURS[0][::-1]  # it reads BGR
        frames.append(network.track(frame, persist=True, verbose=False, device="cpu", conf=0.3)[0])
    assert all(frame.boxes.id is not None for frame in frames)
    video = '<Video name="x" value="$video" frameRate="25"/>'
    inner = '<VideoRectangle name="r" toName="x"/><Labels name="l" toName="x"><Label value="square"/></Labels>'
    (track,) = to_outputs(frames, parse(f"<View>{video}{inner}</View>"))
    assert isinstance(track, o.Track)
    assert track.label == "square"
    assert [box.frame for box in track.boxes] == [1, 2, 3, 4, 5, 6]
    assert [box.x for box in track.boxes] == pytest.approx([10, 14, 18, 22, 26, 30], abs=6)
