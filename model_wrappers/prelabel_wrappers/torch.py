"""A PyTorch network: TorchScript, an exported program, or a module with its weights; images or numbers in."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel.errors import ModelLoadError
from prelabel.loader import digest_files
from prelabel.model import InputKind, ModelWrapper
from prelabel.outputs import Boxes
from prelabel_wrappers import class_names
from prelabel_wrappers.features import matrix
from prelabel_wrappers.frameworks import existing, missing
from prelabel_wrappers.heads import KINDS, Activation, Head, Says, decided
from prelabel_wrappers.modules import made_module
from prelabel_wrappers.pixels import Channels, Placement, Preparation, ResizeOption, parsed_size
from prelabel_wrappers.yolo import SAYS, Export, bars, exported, settled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LABELS_FILE = "labels.txt"
"""Name under which TorchScript and exported programs carry their class names (``_extra_files``), one a line."""
CONFIG_FILE = "config.txt"
"""Where TorchScript that Ultralytics exported has its metadata, in JSON."""
_SIZE = (224, 224)
_DETECTED = {"masks": "segment", "keypoints": "pose"}
"""Keys of torchvision's dicts of things with more than boxes, and what that is as a task of Ultralytics."""
_TENSORS = ("logits", "out", "scores", "probs")


class TorchModel(ModelWrapper):
    """An ``nn.Module`` in evaluation mode, without gradients.

    The network gets images ``[n, channels, height, width]``, or with ``columns`` numbers ``[n, features]``. It answers
    a score per class, planes of pixels (a mask, or one for each class), boxes as YOLO has them or as rows of corners,
    score and class, points as y, x and score; or torchvision's dicts of boxes, labels and scores (and masks or
    keypoints). Of a dict it is the tensor called ``logits`` or ``out`` that is read. TorchScript that Ultralytics
    exported says itself what it is, masks, keypoints and turned boxes included.

    Args:
        model: a TorchScript file (``.pt``), an exported program (``.pt2``), or ``file.py:Name``: a class or function
            that makes the module (code that is run).
        weights: its state dict as ``torch.save`` stored it, for ``file.py:Name``. It is read as tensors only: nothing
            in it is run.
        labels: class names in the model's order: comma-separated, or the path of a file with one a line or a JSON list
            or object. Default: the file ``labels.txt`` inside a TorchScript file or program, else "0", "1", ...
        columns: task data fields that are the features, in order.
        says: ``class``, ``mask``, ``boxes`` or ``points``; ``auto`` decides by the shape of what it answers.
        size: ``WIDTHxHEIGHT`` of the images it gets. Default: what an export of Ultralytics has, else 224x224.
        resize: ``squash`` to the size, ``crop`` the middle after filling it, or ``pad`` with bars; ``auto``: what
            Ultralytics does with networks that it exported, else ``squash``.
        scale: factor on the pixels 0..255.
        mean: per channel, subtracted after scaling.
        std: per channel, divided by after subtracting.
        channels: ``rgb``, ``bgr`` or ``gray``.
        activation: what makes scores of the output: ``softmax``, ``sigmoid``, ``none``; ``auto``: softmax unless the
            rows are distributions already.
        min_score: least score of a box or point, and where a mask begins.
        overlap: share from which a box is dropped for a better one of its class.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``auto``: a GPU where there is one.
        half: half precision: float16 on a GPU, bfloat16 on a CPU.
        threads: threads of one call on a CPU; 0: PyTorch decides.
    """

    def __init__(
        self,
        model: str,
        *,
        weights: Path | None = None,
        labels: str | None = None,
        columns: list[str] | None = None,
        says: Says = "auto",
        size: str | None = None,
        resize: ResizeOption = "auto",
        scale: float = 1 / 255,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        channels: Channels = "rgb",
        activation: Activation = "auto",
        min_score: float = 0.5,
        overlap: float = 0.5,
        device: str = "auto",
        half: bool = False,
        threads: int = 0,
    ) -> None:
        self.model, self.weights = model, weights
        path, colon, maker = model.rpartition(":")
        self.path, self._maker = (Path(path), maker) if colon and path.endswith(".py") else (Path(model), "")
        self.name = weights.stem if weights else self._maker or self.path.stem
        self.columns = tuple(columns or ())
        self.input = InputKind.TASK if self.columns else InputKind.IMAGE
        self.labels = class_names.from_option(labels) if labels else None
        self._says, self._activation = says, activation
        self._min_score, self._overlap = min_score, overlap
        self._device_wanted, self._half, self._threads = device, half, threads
        self._size, self._resize = parsed_size(size), resize
        self._preparation = Preparation(
            size=self._size or _SIZE, resize=settled(resize, None), channels=channels, scale=scale, mean=mean, std=std
        )
        told = (self._maker, self.labels, columns, says, resize, self._preparation, activation)
        self._told = repr((*told, min_score, overlap, half))
        self._export: Export | None = None
        self._module: Any = None
        self._head: Head | None = None

    # --- loading
    def load(self) -> None:
        """Read the network, move it to its device, and ask it once, to learn what it says."""
        try:
            import torch
        except ModuleNotFoundError as error:
            raise missing("PyTorch", "torch") from error
        existing(self.path)
        if self._threads:
            torch.set_num_threads(self._threads)
        self._device = torch.device(_device(self._device_wanted))
        kind = torch.float16 if self._device.type != "cpu" else torch.bfloat16
        self._dtype = kind if self._half else torch.float32
        module, names = self._read(torch)
        if self._export is not None:
            names = self._exported(self._export)
        self.labels = self.labels or names
        self._module = module.to(self._device, self._dtype) if self._half else module.to(self._device)
        self._head = None
        if not self.columns:
            from PIL import Image

            self.predict([Image.new("RGB", self._preparation.size)])

    def _exported(self, export: Export) -> tuple[str, ...] | None:
        """Prepare images as an export of Ultralytics wants them; its labels."""
        size, resize = self._size or export.size or _SIZE, settled(self._resize, export)
        self._preparation = replace(self._preparation, size=size, resize=resize, **bars(export))
        self._export = export.renamed(self.labels) if self.labels else export
        return self._export.labels

    def _read(self, torch: Any) -> tuple[Any, tuple[str, ...] | None]:
        if self._maker:
            module = made_module(self.path, self._maker)
            if self.weights is not None:
                state = torch.load(existing(self.weights, "weights"), map_location="cpu", weights_only=True)
                try:
                    module.load_state_dict(state)
                except RuntimeError as error:
                    raise ModelLoadError(
                        f"{self.weights} is no state dict of {self._maker}: {str(error).splitlines()[0]}",
                        hint="Store it with torch.save(module.state_dict(), path).",
                    ) from error
            return module.eval(), _names_of(module)
        extra = {LABELS_FILE: "", CONFIG_FILE: ""}
        if self.path.suffix == ".pt2":
            return torch.export.load(self.path, extra_files=extra).module(), _lines(extra[LABELS_FILE])
        try:
            with warnings.catch_warnings():
                for deprecated in (DeprecationWarning, FutureWarning):  # TorchScript is; files in it remain
                    warnings.simplefilter("ignore", deprecated)
                module = self._script(torch, extra)
        except RuntimeError as error:
            raise ModelLoadError(
                f"{self.path} is not TorchScript: {str(error).splitlines()[0]}",
                hint="For a module in Python give --opt model=file.py:Name and --opt weights=PATH of its state dict.",
            ) from error
        self._export = _config(extra[CONFIG_FILE]) if self._says == "auto" else None
        return module.eval(), _lines(extra[LABELS_FILE])

    def _script(self, torch: Any, extra: dict[str, str]) -> Any:
        """TorchScript, whose operators may be torchvision's (which drops what overlaps)."""
        try:
            return torch.jit.load(str(self.path), map_location=self._device, _extra_files=extra)
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            try:
                import torchvision  # noqa: F401 (importing it registers them)
            except ImportError as absent:
                raise ModelLoadError(
                    f"{self.path} uses operators of torchvision, which is not installed.",
                    hint="pip install torchvision, in the release that belongs to your PyTorch.",
                ) from absent
            return torch.jit.load(str(self.path), map_location=self._device, _extra_files=extra)

    # --- predicting
    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """A class with its distribution (or masks, boxes, points) for each image or task."""
        fixed = self._export.batch if self._export else None
        if fixed is None:
            return self._answers(batch)
        answers: list[Any] = []
        for start in range(0, len(batch), fixed):
            piece = list(batch[start : start + fixed])
            answers += self._answers(piece + [piece[-1]] * (fixed - len(piece)))[: len(piece)]
        return answers

    def _answers(self, batch: Sequence[Any]) -> Sequence[Any]:
        import torch

        places: list[Placement | None] = [None] * len(batch)
        if self.columns:
            feed: NDArray[Any] = matrix(batch, self.columns)
        else:
            feed = self._preparation.batch(batch)
            places = [self._preparation.place(image.size) for image in batch]
        with torch.inference_mode():
            said = self._module(torch.from_numpy(feed).to(self._device, self._dtype))
        if isinstance(said, list) and said and isinstance(said[0], dict):
            self.outputs = SAYS[next((task for key, task in _DETECTED.items() if key in said[0]), "detect")]
            return [self._detected(row, place) for row, place in zip(said, places, strict=True) if place]
        tensors = [_array(tensor) for tensor in _tensors(said)]
        if self._export is not None and self._export.draws:
            self.outputs = self._export.outputs
            within = [place for place in places if place is not None]
            return self._export.read(tensors, within, min_score=self._min_score, overlap=self._overlap)
        if self._head is None:
            self._head = self._learnt(tensors)
        return self._head.read(tensors, places)

    def _learnt(self, tensors: Sequence[NDArray[Any]]) -> Head:
        says = "class" if self.columns else decided(self._says, [tensor.shape for tensor in tensors])
        self.outputs = KINDS[says]
        if says == "class" and self.labels is None:
            self.labels = tuple(str(at) for at in range(max(tensors[0].shape[-1], 2)))
        return Head(says, self.labels, self._activation, self._min_score, self._overlap)

    def _detected(self, row: dict[str, Any], place: Placement) -> Any:
        """torchvision's dict of one image; class 0 is its background, as ``labels`` must have it."""
        import numpy as np

        corners, scores, classes = (_array(row[key]) for key in ("boxes", "scores", "labels"))
        kept = np.flatnonzero(scores >= self._min_score)
        if not len(kept):
            return []
        numbers = classes[kept].astype(int).tolist()
        if self.labels and max(numbers) >= len(self.labels):
            raise ModelLoadError(
                f"the model says class {max(numbers)}, the labels are {len(self.labels)}.",
                hint="Name all classes in the model's order, the background (class 0) first: --opt labels=FILE.",
            )
        labels = [self.labels[at] if self.labels else str(at) for at in numbers]
        boxes = place.points(corners[kept].reshape(-1, 2)).reshape(-1, 4)
        if self.outputs == (Boxes,):
            return [Boxes(boxes, labels, scores[kept])]
        found: dict[str, Any] = {"boxes": boxes, "labels": labels, "scores": scores[kept]}
        if "masks" in row:
            planes = (row["masks"][at, 0] for at in kept.tolist())
            found["masks"] = np.stack([place.plane(_array(plane)) >= 0.5 for plane in planes])
        if "keypoints" in row:
            points = _array(row["keypoints"])[kept].astype(np.float64)
            points[:, :, :2] = place.points(points[:, :, :2])
            found["keypoints"] = points
        return found

    def unload(self) -> None:
        """Free the network, on a GPU too."""
        self._module = self._head = None
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def fingerprint(self) -> bytes:
        """A digest of the files, and the options that change what it says."""
        return digest_files([self.path, *([self.weights] if self.weights else [])]) + self._told.encode()


def _device(wanted: str) -> str:
    """A device that is there.

    Raises:
        ModelLoadError: the one that is wanted is not.
    """
    import torch

    has: dict[str, Callable[[], bool]] = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if wanted == "auto":
        return next((name for name, there in has.items() if there()), "cpu")
    kind = wanted.partition(":")[0]
    if kind in has and not has[kind]():
        raise ModelLoadError(f"PyTorch sees no device {wanted}.", hint="Give --opt device=cpu, or leave it out.")
    return wanted


def _tensors(said: Any) -> list[Any]:
    """The tensors of an answer: itself, those of a tuple, or the one of a dict or dataclass that is known by name."""
    if isinstance(said, dict) or hasattr(said, "logits"):
        held = said if isinstance(said, dict) else {"logits": said.logits}
        return [next((held[name] for name in _TENSORS if name in held), next(iter(held.values())))]
    return [each for each in said if hasattr(each, "detach")] if isinstance(said, list | tuple) else [said]


def _array(tensor: Any) -> NDArray[np.float32]:
    found: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return found


def _names_of(module: Any) -> tuple[str, ...] | None:
    """Class names that a module has as an attribute."""
    for name in ("labels", "classes", "names"):
        found = getattr(module, name, None)
        if isinstance(found, dict):
            return tuple(str(label) for _, label in sorted(found.items()))
        if isinstance(found, list | tuple) and found:
            return tuple(map(str, found))
    return None


def _config(content: Any) -> Export | None:
    """What Ultralytics wrote about a network, if it did."""
    try:
        told = json.loads(content or "null")
    except ValueError:
        return None
    return exported(told) if isinstance(told, dict) else None


def _lines(content: Any) -> tuple[str, ...] | None:
    text = content.decode() if isinstance(content, bytes) else str(content)
    return tuple(line.strip() for line in text.splitlines() if line.strip()) or None
