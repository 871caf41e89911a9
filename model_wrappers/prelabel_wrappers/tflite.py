"""A network for LiteRT (TensorFlow Lite): images in; a class, boxes, points or masks out."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prelabel.errors import ModelLoadError
from prelabel.loader import digest_files
from prelabel.model import InputKind, ModelWrapper
from prelabel.outputs import Choice
from prelabel_wrappers import class_names
from prelabel_wrappers.frameworks import existing, missing
from prelabel_wrappers.heads import BODY, KINDS, Activation, Head, Says, decided
from prelabel_wrappers.pixels import Channels, Layout, Preparation, ResizeOption
from prelabel_wrappers.yolo import Export, bars, exported, settled

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image


SOFTMAX_STEP = 1 / 256
"""How LiteRT's specification quantises the probabilities that a softmax makes."""


class TfliteModel(ModelWrapper):
    """An interpreter of LiteRT, for models with one image as input.

    Quantised inputs get the pixels 0..255 as they are, and quantised outputs become numbers again. Batches are given to
    the interpreter one by one: its models have a batch of one. What Ultralytics exported says in its metadata what it
    is, masks, keypoints and turned boxes included.

    Args:
        model: path of the ``.tflite`` file.
        labels: names of classes or points in the model's order: comma-separated, or the path of a file with one a line
            or a JSON list or object. Default: COCO's names for 17 points, else "0", "1", ...
        says: ``class``, ``boxes`` (SSD's four outputs, rows of corners, score and class, or YOLO's columns), ``points``
            (y, x, score) or ``mask``; ``auto`` decides by the outputs' shapes.
        resize: ``squash`` to the model's size, ``crop`` the middle after filling it, or ``pad`` with bars; ``auto``:
            what Ultralytics does with networks that it exported, else ``squash``.
        scale: factor on the pixels 0..255. Default 1/255, for integer inputs 1.
        mean: per channel, subtracted after scaling.
        std: per channel, divided by after subtracting.
        channels: ``rgb``, ``bgr`` or ``gray``; ``auto``: ``gray`` where the model has one channel, else ``rgb``.
        activation: what makes scores of the output: ``softmax``, ``sigmoid``, ``none``; ``auto``: softmax unless the
            rows are distributions already.
        min_score: least score of a box or point, and where a mask begins.
        overlap: share from which a box is dropped for a better one of its class.
        threads: threads one call may use.
    """

    input = InputKind.IMAGE

    def __init__(
        self,
        model: Path,
        *,
        labels: str | None = None,
        says: Says = "auto",
        resize: ResizeOption = "auto",
        scale: float | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        channels: Literal["auto"] | Channels = "auto",
        activation: Activation = "auto",
        min_score: float = 0.5,
        overlap: float = 0.5,
        threads: int = 2,
    ) -> None:
        self.path = Path(model)
        self.name = self.path.stem
        self.labels = class_names.from_option(labels) if labels else None
        self._says, self._resize = says, resize
        self._scale, self._mean, self._std, self._channels = scale, mean, std, channels
        self._activation, self._min_score, self._overlap = activation, min_score, overlap
        self._threads = threads
        self._told = repr((self.labels, says, resize, scale, mean, std, channels, activation, min_score, overlap))
        self._interpreter: Any = None
        self._export: Export | None = None

    def load(self) -> None:
        """Open the interpreter; learn what it takes and says."""
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ModuleNotFoundError as error:
            raise missing("LiteRT", "tflite") from error
        existing(self.path)
        interpreter = Interpreter(str(self.path), num_threads=self._threads)
        interpreter.allocate_tensors()
        entries = interpreter.get_input_details()
        shape = [int(size) for size in entries[0]["shape"]]
        if len(entries) != 1 or len(shape) != 4 or not {shape[-1], shape[1]} & {1, 3}:
            raise ModelLoadError(
                f"{self.path} takes {', '.join(str(entry['shape'].tolist()) for entry in entries)}, not one image.",
                hint="Models with other inputs need a wrapper of their own: subclass prelabel.ModelWrapper.",
            )
        self._entry = entries[0]["index"]
        dtype = entries[0]["dtype"].__name__
        layout: Layout = "nhwc" if shape[-1] in {1, 3} else "nchw"
        height, width, planes = (shape[1], shape[2], shape[3]) if layout == "nhwc" else (shape[2], shape[3], shape[1])
        self._export = self._exported(layout) if self._says == "auto" else None
        self._preparation = Preparation(
            size=(width, height),
            resize=settled(self._resize, self._export),
            **bars(self._export),
            channels=self._channels if self._channels != "auto" else ("gray" if planes == 1 else "rgb"),
            scale=self._scale if self._scale is not None else (1.0 if "int" in dtype else 1 / 255),
            mean=self._mean,
            std=self._std,
            layout=layout,
            dtype="uint8" if dtype == "int8" else dtype,
        )
        self._signed = dtype == "int8"
        self._exits = interpreter.get_output_details()
        self._learn_output()
        self._interpreter = interpreter

    def _exported(self, layout: Layout) -> Export | None:
        """What Ultralytics wrote about the network, behind it as a ZIP archive, if it did."""
        if not zipfile.is_zipfile(self.path):
            return None
        with zipfile.ZipFile(self.path) as archive:
            if "metadata.json" not in archive.namelist():
                return None
            told = json.loads(archive.read("metadata.json"))
        export = exported(told)
        if export is None:
            return None
        export = replace(export, pixels=bool(told.get("end2end")) and layout == "nchw")
        return export.renamed(self.labels) if self.labels else export

    def _learn_output(self) -> None:
        if self._export is not None:
            self.labels = self.labels or self._export.labels
        if self._export is not None and self._export.draws:
            self.outputs = self._export.outputs
            return
        shapes = [[int(size) for size in exit_["shape"]] for exit_ in self._exits]
        says = decided(self._says, shapes)
        if self.labels is None and says == "points" and shapes[0][-2] == len(BODY):
            self.labels = BODY
        if self.labels is None and says == "class":
            count = shapes[0][-1]
            self.labels = tuple(str(at) for at in range(max(count, 2)))
        self.outputs = KINDS[says]
        self._head = Head(
            says, tuple(self.labels) if self.labels else None, self._activation, self._min_score, self._overlap
        )

    def predict(self, batch: Sequence[Image.Image]) -> Sequence[Any]:
        """What the network says of each image."""
        found: list[Any] = []
        for image in batch:
            pixels = self._preparation.batch([image])
            if self._signed:
                pixels = (pixels.astype("int16") - 128).astype("int8")
            self._interpreter.set_tensor(self._entry, pixels)
            self._interpreter.invoke()
            tensors = [self._read(exit_) for exit_ in self._exits]
            places = [self._preparation.place(image.size)]
            if self._export is not None and self._export.draws:
                found += self._export.read(tensors, places, min_score=self._min_score, overlap=self._overlap)
            else:
                found += self._head.read(tensors, places)
        return found

    def _read(self, exit_: Any) -> NDArray[Any]:
        tensor: NDArray[Any] = self._interpreter.get_tensor(exit_["index"])
        step, zero = exit_["quantization"]
        if not step:
            return tensor
        numbers: NDArray[Any] = (tensor.astype("float32") - zero) * step
        if step == SOFTMAX_STEP and self.outputs == (Choice,):
            numbers = numbers / numbers.sum()  # what was rounded off is missing
        return numbers

    def unload(self) -> None:
        """Close the interpreter."""
        self._interpreter = None

    def fingerprint(self) -> bytes:
        """A digest of the file, and the options that change what it says."""
        return digest_files([self.path]) + self._told.encode()
