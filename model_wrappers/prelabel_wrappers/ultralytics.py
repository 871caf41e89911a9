"""A YOLO network by Ultralytics: boxes, turned boxes, masks, points or a class, as the network's task has it.

Ultralytics is licensed under AGPL-3.0 (or commercially, by its makers). prelabel neither contains nor installs it:
whoever runs ``pip install ultralytics`` decides that its terms suit them, which for a server on a network reach far.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel.errors import ModelLoadError
from prelabel.loader import digest_files
from prelabel.model import InputKind, ModelWrapper
from prelabel_wrappers.frameworks import existing
from prelabel_wrappers.yolo import SAYS, labels_of

if TYPE_CHECKING:
    from PIL import Image

QUIET = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
"""Variables by which Ultralytics sends no statistics, looks for no news, installs and prints nothing."""
HINT = "pip install ultralytics (AGPL-3.0: read its terms; prelabel does not install it)"


class UltralyticsModel(ModelWrapper):
    """``ultralytics.YOLO``: its ``Results`` become what the labeling config asks for; ``names`` are the labels.

    Images are always padded to the network's square, so that a batch says what its images say alone. Ultralytics is
    kept offline, and from writing settings into the home directory, unless ``YOLO_OFFLINE`` and ``YOLO_CONFIG_DIR``
    say otherwise.

    Args:
        model: the network's file (``.pt``, ``.onnx``, ...).
        min_score: what has less is left out.
        overlap: share from which a box is dropped for a better one of its class.
        size: longest side in pixels to which images are scaled; default: what the network was trained with.
        most: most objects in one image.
        device: ``cpu``, ``0`` (the first GPU), ``mps``; default: Ultralytics decides.
        half: half precision, on a GPU.
    """

    input = InputKind.IMAGE

    def __init__(
        self,
        model: Path,
        *,
        min_score: float = 0.25,
        overlap: float = 0.7,
        size: int | None = None,
        most: int = 300,
        device: str | None = None,
        half: bool = False,
    ) -> None:
        self.path = Path(model)
        self.name = self.path.stem
        wanted = {"imgsz": size, "device": device, "half": half or None}
        self._said: dict[str, Any] = {"conf": min_score, "iou": overlap, "max_det": most, "rect": False}
        self._said |= {key: value for key, value in wanted.items() if value is not None}
        self._network: Any = None

    def load(self) -> None:
        """Read the network; learn its task and names."""
        network = _framework().YOLO(str(existing(self.path)))
        self.outputs = SAYS.get(network.task)
        names: Mapping[int, str] = network.names or {}
        read = network.model if network.predictor is None else network.predictor.model.backend
        points: Sequence[int] = getattr(read, "kpt_shape", None) or (0,)
        self.labels = labels_of(network.task, [str(names[key]) for key in sorted(names)], points[0])
        self._network = network

    def predict(self, batch: Sequence[Image.Image]) -> Sequence[Any]:
        """The ``Results`` of each image."""
        found: Sequence[Any] = self._network.predict(list(batch), verbose=False, **self._said)
        return found

    def unload(self) -> None:
        """Forget the network."""
        self._network = None

    def fingerprint(self) -> bytes:
        """A digest of the file, and the options that change what it says."""
        told = sorted((key, value) for key, value in self._said.items() if key != "device")
        return digest_files([self.path]) + repr(told).encode()


def _framework() -> Any:
    """Ultralytics, imported so that it leaves nothing in the home directory."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    kept = "YOLO_CONFIG_DIR" in os.environ
    with tempfile.TemporaryDirectory() as place:
        os.environ.setdefault("YOLO_CONFIG_DIR", place)
        try:
            import ultralytics
        except ModuleNotFoundError as error:
            if error.name != "ultralytics":
                raise
            raise ModelLoadError("Ultralytics is not installed.", hint=HINT) from error
        finally:
            if not kept:
                del os.environ["YOLO_CONFIG_DIR"]
    return ultralytics
