"""What the torch wrapper refuses, and answers that are not classes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from PIL import Image

from prelabel.errors import ModelLoadError
from prelabel.labeling import parse
from prelabel.loader import load, load_wrapper
from prelabel.model import ModelWrapper
from prelabel.predictions import make_prediction
from prelabel_wrappers.heads import BODY

from . import torch_models
from .cases import IMAGE, framework, labels, photographs, task_and_facts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("torch") is None, reason="torch is not installed: make test-all does it"
    ),
]
NETWORKS = """
import torch
from torch import nn

class Brightness(nn.Module):
    def forward(self, images):
        return {"out": (images.mean(dim=1, keepdim=True) - 0.5) * 40}

class Detector(nn.Module):
    def forward(self, images):
        box = torch.tensor([[2.0, 4.0, 6.0, 8.0]])
        return [{"boxes": box, "scores": torch.tensor([0.9]), "labels": torch.tensor([1])} for _ in images]

def number():
    return 3
"""


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    (tmp_path / "networks.py").write_text(NETWORKS)
    return tmp_path / "networks.py"


def made(model: str, **options: str) -> ModelWrapper:
    wrapper = load_wrapper("torch", {"model": model, "size": "8x8", "device": "cpu", **options})
    load(wrapper)
    return wrapper


def test_a_plane_of_numbers_is_a_mask_in_the_images_size(networks: Path) -> None:
    image = Image.new("RGB", (32, 16))
    image.paste("white", (0, 0, 16, 16))
    (((mask,),),) = [made(f"{networks}:Brightness", labels="light").predict([image])]
    assert (mask.label, mask.array.shape) == ("light", (16, 32))
    assert mask.array[:, :14].all()
    assert not mask.array[:, 18:].any()


def test_torchvisions_boxes_are_put_back_into_the_image(networks: Path) -> None:
    (((boxes,),),) = [made(f"{networks}:Detector", labels="nothing,cat").predict([Image.new("RGB", (80, 16))])]
    assert list(boxes.labels) == ["cat"]
    assert boxes.corners.tolist() == [[20, 8, 60, 16]]


def test_classes_beyond_the_labels_are_named(networks: Path) -> None:
    with pytest.raises(ModelLoadError, match="class 1, the labels are 1") as refused:
        made(f"{networks}:Detector", labels="nothing")
    assert "background" in refused.value.hint


THINGS = """
import torch
from torchvision.models import detection

def network(name):
    torch.manual_seed(0)
    return getattr(detection, name)(
        weights=None, weights_backbone=None, num_classes=2, box_score_thresh=0.0, box_detections_per_img=3,
        min_size=96, max_size=128,
    )

def masks():
    return network("maskrcnn_resnet50_fpn")

def points():
    return network("keypointrcnn_resnet50_fpn")

def boxes():
    return network("fasterrcnn_mobilenet_v3_large_320_fpn")
"""


@pytest.mark.parametrize(
    ("maker", "tags"),
    [
        ("boxes", ["RectangleLabels"]),
        ("masks", ["BrushLabels", "PolygonLabels", "RectangleLabels"]),
        ("points", ["KeyPointLabels", "RectangleLabels"]),
    ],
)
def test_networks_of_torchvision_say_what_fits(maker: str, tags: list[str], tmp_path: Path) -> None:
    framework("torchvision")
    (tmp_path / "things.py").write_text(THINGS)
    wrapper = load_wrapper(
        "torch",
        {"model": f"{tmp_path / 'things.py'}:{maker}", "labels": "nothing,thing", "size": "96x64", "device": "cpu",
         "min_score": "0.0"},
    )  # fmt: skip
    load(wrapper)
    picture = photographs()[0].resize((150, 100))
    (result,) = wrapper.predict([picture])
    for tag in tags:
        config = parse(labels(tag, BODY if tag == "KeyPointLabels" else ["thing"], IMAGE))
        prediction = make_prediction(result, config, task_and_facts(picture)[1], model_version="v")
        kept = [reason for reason in prediction.dropped if "empty" not in reason]  # masks of random weights may be
        assert kept == []
        assert prediction.result or tag in {"BrushLabels", "PolygonLabels"}


def test_a_state_dict_alone_is_no_model(models: Path) -> None:
    weights = torch_models.digits(models) / "digits.pth"
    with pytest.raises(ModelLoadError, match="is not TorchScript") as refused:
        made(str(weights))
    assert "file.py:Name" in refused.value.hint


def test_weights_of_another_network_are_refused(models: Path, networks: Path) -> None:
    weights = torch_models.digits(models) / "digits.pth"
    with pytest.raises(ModelLoadError, match="no state dict of Brightness"):
        made(f"{networks}:Brightness", weights=str(weights))


def test_a_name_that_makes_no_module_is_refused(networks: Path) -> None:
    with pytest.raises(ModelLoadError, match="makes int, which is no"):
        made(f"{networks}:number")
    with pytest.raises(ModelLoadError, match="has no Nothing") as refused:
        made(f"{networks}:Nothing")
    assert "Brightness" in refused.value.hint


def test_a_device_that_is_not_there_is_named(networks: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ModelLoadError, match="no device cuda"):
        made(f"{networks}:Brightness", device="cuda")


def test_code_in_a_pickle_of_weights_is_not_run(networks: Path, tmp_path: Path) -> None:
    import torch

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path(tmp_path / "sprung").touch, ())

    torch.save({"a": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(ModelLoadError):
        made(f"{networks}:Brightness", weights=str(tmp_path / "trap.pth"))
    assert not (tmp_path / "sprung").exists()
