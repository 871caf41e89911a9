"""A network in ONNX: images, texts or numbers in; a class with its distribution, masks, boxes or points out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prelabel.errors import ModelLoadError
from prelabel.loader import digest_files
from prelabel.model import InputKind, ModelWrapper
from prelabel.outputs import Choice
from prelabel.tasks import Task
from prelabel_wrappers import class_names
from prelabel_wrappers.features import columns, matrix
from prelabel_wrappers.frameworks import existing, missing
from prelabel_wrappers.heads import BODY, KINDS, Activation, Head, Says, choice, decided
from prelabel_wrappers.pixels import Channels, Layout, Preparation, ResizeOption, parsed_size
from prelabel_wrappers.pyramid import is_pyramid
from prelabel_wrappers.yolo import Export, bars, exported, settled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}


class OnnxModel(ModelWrapper):
    """A session of ONNX Runtime.

    What the session's first input says decides what it is fed: strings get texts; four dimensions get images; numbers
    otherwise need ``columns``. Images are resized to what the model asks for (``size`` where it leaves that open), put
    into its layout, scaled to 0..1 (integer inputs: left 0..255), and normalised by ``mean`` and ``std``. A model with
    a fixed batch dimension is fed in pieces of that size. With several inputs of a column each (as scikit-learn's
    converter makes them), each gets the task data field of its name.

    A score per class makes a class. Of images, planes of pixels make masks (of several, each pixel's most probable, the
    first being the background); boxes are read as YOLO has them (8 and later, or with an objectness before), as rows of
    corners, score and class, as SSD's four outputs, or as PicoDet's scores and distances at several resolutions; points
    as y, x and score. What Ultralytics exported says in its metadata what it is, masks, keypoints and turned boxes
    included, whether or not what overlaps is dropped in the graph.

    Args:
        model: path of the ``.onnx`` file.
        labels: class names in the model's order: comma-separated, or the path of a file with one a line or a JSON list
            or object. Default: what the model's metadata says (``names``, ``labels``, ``classes``), or the labels it
            outputs itself, else "0", "1", ...
        columns: task data fields that are the features, in order.
        output: name of the output that is read. Default: the only one that is a score per class, or the only one.
        says: ``class``, ``mask``, ``boxes`` or ``points``; ``auto`` decides by the output's shape.
        size: ``WIDTHxHEIGHT`` for models with open sizes. Default: what the metadata of an export of Ultralytics say.
        resize: ``squash`` to the size, ``crop`` the middle after filling it, or ``pad`` with bars; ``auto``: what
            Ultralytics does with networks that it exported, else ``squash``.
        layout: ``nchw`` or ``nhwc``; ``auto`` looks where the channels are.
        scale: factor on the pixels 0..255. Default 1/255, for integer inputs 1.
        mean: per channel, subtracted after scaling.
        std: per channel, divided by after subtracting.
        channels: ``rgb``, ``bgr`` or ``gray``; ``auto``: ``gray`` where the model has one channel, else ``rgb``.
        activation: what makes scores of the output: ``softmax``, ``sigmoid``, ``none``; ``auto``: softmax unless the
            rows are distributions already.
        min_score: least score of a box or point, and where a mask begins.
        overlap: share from which a box is dropped for a better one of its class.
        providers: ONNX Runtime's execution providers in order of preference. Default: all it has.
        threads: threads one call may use; 0: ONNX Runtime decides.
    """

    def __init__(
        self,
        model: Path,
        *,
        labels: str | None = None,
        columns: list[str] | None = None,
        output: str | None = None,
        says: Says = "auto",
        size: str | None = None,
        resize: ResizeOption = "auto",
        layout: Literal["auto"] | Layout = "auto",
        scale: float | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        channels: Literal["auto"] | Channels = "auto",
        activation: Activation = "auto",
        min_score: float = 0.5,
        overlap: float = 0.5,
        providers: list[str] | None = None,
        threads: int = 0,
    ) -> None:
        self.path = Path(model)
        self.name = self.path.stem
        self.columns = tuple(columns or ())
        self.input = InputKind.TASK if self.columns else InputKind.IMAGE
        self._size = parsed_size(size)
        self._wanted, self._says, self._resize, self._layout = output, says, resize, layout
        self._scale, self._mean, self._std = scale, mean, std
        self._channels, self._activation = channels, activation
        self._min_score, self._overlap = min_score, overlap
        self._providers, self._threads = providers, threads
        self._labels_said = labels
        self.labels = class_names.from_option(labels) if labels else None
        named = None if labels and Path(labels).is_file() else labels
        told = (named, columns, output, says, size, resize, layout, scale, mean, std, channels, activation)
        self._told = repr((*told, min_score, overlap))
        self._session: Any = None
        self._fixed_batch: int | None = None
        self._export: Export | None = None

    # --- loading
    def load(self) -> None:
        """Open the session; learn what it takes and says."""
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise missing("ONNX Runtime", "onnx") from error
        existing(self.path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            str(self.path), options, providers=self._providers or onnxruntime.get_available_providers()
        )
        metadata = session.get_modelmeta().custom_metadata_map
        self._export = exported(metadata) if self._says == "auto" and self._wanted is None else None
        self._learn_input(session)
        if self.labels is None:
            self.labels = self._export.labels if self._export else class_names.from_metadata(metadata)
        elif self._export is not None:
            self._export = self._export.renamed(self.labels)
        self._learn_output(session)
        self._session = session
        if self.labels is None and self._head.says == "class":
            self._learn_classes()

    def _learn_input(self, session: Any) -> None:
        inputs = session.get_inputs()
        self._fields: dict[str, str] = {}
        if len(inputs) != 1:
            self._learn_fields(inputs)
            return
        wanted = inputs[0]
        self._name, self._shape, self._type = wanted.name, list(wanted.shape), wanted.type
        first = self._shape[0] if self._shape else None
        self._fixed_batch = first if isinstance(first, int) and first > 0 else None
        if self._type == "tensor(string)":
            self.input = InputKind.TEXT
        elif self._type not in _DTYPES:
            raise ModelLoadError(f"the input of {self.path} is {self._type}, which is not supported.")
        elif self.columns:
            self.input = InputKind.TASK
        elif len(self._shape) == 4:
            self.input = InputKind.IMAGE
            self._learn_image()
        else:
            raise ModelLoadError(
                f"the input of {self.path} is numbers {self._shape}, and it is unknown where they come from.",
                hint="Name the task data fields: --opt columns=a,b,c (a field may hold a list of numbers).",
            )

    def _learn_fields(self, inputs: Sequence[Any]) -> None:
        """Several inputs, each a column: the fields of their names."""
        kinds = {**_DTYPES, "tensor(string)": "str", "tensor(bool)": "bool"}
        if not all(each.type in kinds and len(each.shape) == 2 and each.shape[1] in {1, None} for each in inputs):
            listed = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
            raise ModelLoadError(
                f"{self.path} has {len(inputs)} inputs ({listed}), which are not a column each.",
                hint="Models with such inputs need a wrapper of their own: subclass prelabel.ModelWrapper.",
            )
        self._fields = {each.name: kinds[each.type] for each in inputs}
        self._fixed_batch, self._shape, self.input = None, [], InputKind.TASK

    def _learn_image(self) -> None:
        _, second, third, fourth = self._shape
        last = fourth in (1, 3) and second not in (1, 3)
        layout: Layout = self._layout if self._layout != "auto" else ("nhwc" if last else "nchw")
        count, height, width = (fourth, second, third) if layout == "nhwc" else (second, third, fourth)
        fixed = (width, height) if isinstance(width, int) and isinstance(height, int) else None
        size = fixed or self._size or (self._export.size if self._export else None)
        if size is None:
            raise ModelLoadError(
                f"{self.path} takes images of any size.", hint="Say which: --opt size=224x224 (WIDTHxHEIGHT)."
            )
        dtype = _DTYPES[self._type]
        self._preparation = Preparation(
            size=size,
            resize=settled(self._resize, self._export),
            **bars(self._export),
            channels=self._channels if self._channels != "auto" else ("gray" if count == 1 else "rgb"),
            scale=self._scale if self._scale is not None else (1.0 if "int" in dtype else 1 / 255),
            mean=self._mean,
            std=self._std,
            layout=layout,
            dtype=dtype,
        )

    def _learn_output(self, session: Any) -> None:
        outputs = {output.name: output for output in session.get_outputs()}
        if self._export is not None and self._export.draws:
            self._read, self.outputs = list(outputs), self._export.outputs
            self._head = Head("boxes", self.labels, self._activation, self._min_score, self._overlap)
            return
        if self._wanted is not None and self._wanted not in outputs:
            raise ModelLoadError(f"{self.path} has no output {self._wanted!r}.", hint=f"It has {', '.join(outputs)}.")
        scores = [name for name, output in outputs.items() if output.type.startswith("seq(map") or _is_scores(output)]
        if self._wanted is not None:
            read = [self._wanted]
        elif len(outputs) == 1 or (self._says in {"auto", "class"} and len(scores) == 1):
            read = scores if len(scores) == 1 else list(outputs)
        elif (
            self.input is InputKind.IMAGE
            and self._says in {"auto", "boxes"}
            and (len(outputs) == 4 or is_pyramid([output.shape for output in outputs.values()]))
        ):
            read = list(outputs)
        else:
            listed = ", ".join(f"{o.name} {o.type} {o.shape}" for o in outputs.values())
            raise ModelLoadError(
                f"it is unclear which output of {self.path} is meant.",
                hint=f"Say it with --opt output=NAME; it has {listed}.",
            )
        self._read = read
        shapes = [outputs[name].shape for name in read]
        named = outputs[read[0]].type.startswith("seq(map")
        says = "class" if named or self.input is not InputKind.IMAGE else decided(self._says, shapes)
        count = shapes[0][-1] if says == "class" and shapes[0] and isinstance(shapes[0][-1], int) else None
        if self.labels is not None and count is not None and count not in (len(self.labels), 1):
            raise ModelLoadError(
                f"{self.path} says {count} classes, the labels are {len(self.labels)}.", hint="Check --opt labels."
            )
        if says == "points" and self.labels is None and shapes[0][-2] == len(BODY):
            self.labels = BODY
        self.outputs = KINDS[says]
        self._head = Head(says, self.labels, self._activation, self._min_score, self._overlap)

    def _learn_classes(self) -> None:
        """The classes that the model itself names, or their numbers: from its answer to one empty input."""
        import numpy as np

        rows = self._fixed_batch or 1
        if "str" in self._fields.values():
            return  # encoders refuse what they have not seen
        if self._fields:
            feed = columns([Task(0, dict.fromkeys(self._fields, 0))], self._fields)
        elif self.input is InputKind.TEXT:
            feed = self._fed([""] * rows)
        elif self.input is InputKind.IMAGE:
            from PIL import Image

            feed = self._fed([Image.new("RGB", self._preparation.size)] * rows)
        elif all(isinstance(size, int) for size in self._shape[1:]):
            feed = {self._name: np.zeros((rows, *self._shape[1:]), dtype=_DTYPES[self._type])}
        else:
            return
        self.labels = tuple((self._answers(feed, [None] * rows)[0].distribution or {}).keys())

    # --- predicting
    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """A class with its distribution (or masks, boxes, points) for each image, text or task."""
        fixed = self._fixed_batch
        if fixed is None:
            return self._answers(self._fed(batch), batch)
        answers: list[Any] = []
        for start in range(0, len(batch), fixed):
            piece = list(batch[start : start + fixed])
            padded = piece + [piece[-1]] * (fixed - len(piece))
            answers += self._answers(self._fed(padded), padded)[: len(piece)]
        return answers

    def _answers(self, feed: dict[str, NDArray[Any]], batch: Sequence[Any]) -> list[Any]:
        said = self._session.run(self._read, feed)
        if isinstance(said[0], list):  # one {class: score} per item, as scikit-learn's converter makes them
            return [_named(row) for row in said[0]]
        if self._head.says == "class":
            return self._head.read(said, [None] * len(batch))
        places = [self._preparation.place(image.size) for image in batch]
        if self._export is not None and self._export.draws:
            return self._export.read(said, places, min_score=self._min_score, overlap=self._overlap)
        return self._head.read(said, places)

    def _fed(self, batch: Sequence[Any]) -> dict[str, NDArray[Any]]:
        import numpy as np

        if self._fields:
            return columns(batch, self._fields)
        if self.input is InputKind.TEXT:
            column = np.array([str(text) for text in batch], dtype=object)
            return {self._name: column.reshape(-1, 1) if len(self._shape) == 2 else column}
        if self.columns:
            return {self._name: matrix(batch, self.columns).astype(_DTYPES[self._type])}
        return {self._name: self._preparation.batch(batch)}

    def unload(self) -> None:
        """Close the session."""
        self._session = None

    def fingerprint(self) -> bytes:
        """A digest of the file (and of weights beside it), and the options."""
        beside = [self.path.with_name(self.path.name + suffix) for suffix in (".data", "_data")]
        labels = Path(self._labels_said) if self._labels_said and Path(self._labels_said).is_file() else None
        files = [self.path, *(path for path in beside if path.is_file()), *([labels] if labels else [])]
        return digest_files(files) + self._told.encode()


def _named(row: dict[Any, float]) -> Choice:
    names, scores = [str(name) for name in row], [float(score) for score in row.values()]
    return choice(names, scores, scores.index(max(scores)))


def _is_scores(output: Any) -> bool:
    """Whether an output is floats with one row an item (labels beside them are integers or strings)."""
    return output.type in {"tensor(float)", "tensor(float16)", "tensor(double)"} and len(output.shape) == 2
