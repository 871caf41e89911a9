"""Ultralytics is the user's to install: what is said without it, and a network of its own where it is there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from prelabel.errors import ModelLoadError
from prelabel.labeling import parse
from prelabel.loader import load, load_wrapper
from prelabel.predictions import make_prediction

from .cases import IMAGE, choices, labels, photographs, task_and_facts


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
        ("yolo11n-cls", "Choices"),
    ],
)
def test_a_network_with_random_weights_says_what_fits(network: str, tag: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("ultralytics") is None:
        pytest.skip("ultralytics is not installed, and its licence is for you to accept")
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
