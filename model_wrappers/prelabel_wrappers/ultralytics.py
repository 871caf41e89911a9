"""A YOLO network by Ultralytics: boxes, turned boxes, masks, points or a class, as the network's task has it.

Ultralytics is licensed under AGPL-3.0 (or commercially, by its makers). prelabel neither contains nor installs it:
whoever runs ``pip install ultralytics`` decides that its terms suit them, which for a server on a network reach far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel import outputs as o
from prelabel.errors import ModelLoadError
from prelabel.loader import digest_files
from prelabel.model import InputKind, ModelWrapper
from prelabel_wrappers.frameworks import existing

if TYPE_CHECKING:
    from PIL import Image

SAYS: Mapping[str, tuple[type[o.Output], ...]] = {
    "detect": (o.Boxes,),
    "segment": (o.Mask, o.Polygon, o.Boxes),
    "pose": (o.Keypoint, o.Boxes),
    "obb": (o.Box, o.Polygon),
    "classify": (o.Choice, o.Choices),
}
"""The tasks of Ultralytics' networks, and what their results become."""
HINT = "pip install ultralytics (AGPL-3.0: read its terms; prelabel does not install it)"


class UltralyticsModel(ModelWrapper):
    """``ultralytics.YOLO``: its ``Results`` become what the labeling config asks for; ``names`` are the labels.

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
        self._said: dict[str, Any] = {"conf": min_score, "iou": overlap, "max_det": most}
        self._said |= {key: value for key, value in wanted.items() if value is not None}
        self._network: Any = None

    def load(self) -> None:
        """Read the network; learn its task and names."""
        try:
            import ultralytics
        except ModuleNotFoundError as error:
            raise ModelLoadError("Ultralytics is not installed.", hint=HINT) from error
        self._network = ultralytics.YOLO(str(existing(self.path)))
        self.outputs = SAYS.get(self._network.task)
        names: Mapping[int, str] = self._network.names or {}
        self.labels = tuple(str(names[key]) for key in sorted(names)) or None

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
