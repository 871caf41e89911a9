"""A classifier in ONNX: images, texts or numbers in, a class with its distribution out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prelabel.errors import ModelLoadError
from prelabel.loader import digest_files
from prelabel.model import InputKind, ModelWrapper
from prelabel.outputs import Choice
from prelabel_wrappers import class_names
from prelabel_wrappers.features import matrix
from prelabel_wrappers.pixels import Channels, Layout, Preparation, Resize, parsed_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]

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
    a fixed batch dimension is fed in pieces of that size.

    Args:
        model: path of the ``.onnx`` file.
        labels: class names in the model's order: comma-separated, or the path of a file with one a line or a JSON list
            or object. Default: what the model's metadata says (``names``, ``labels``, ``classes``), or the labels it
            outputs itself, else "0", "1", ...
        columns: task data fields that are the features, in order.
        output: name of the output with the scores. Default: the one that is a score per class.
        size: ``WIDTHxHEIGHT`` for models with open sizes.
        resize: ``squash`` to the size, ``crop`` the middle after filling it, or ``pad`` with black.
        layout: ``nchw`` or ``nhwc``; ``auto`` looks where the channels are.
        scale: factor on the pixels 0..255. Default 1/255, for integer inputs 1.
        mean: per channel, subtracted after scaling.
        std: per channel, divided by after subtracting.
        channels: ``rgb``, ``bgr`` or ``gray``; ``auto``: ``gray`` where the model has one channel, else ``rgb``.
        activation: what makes scores of the output: ``softmax``, ``sigmoid``, ``none``; ``auto``: softmax unless the
            rows are distributions already.
        providers: ONNX Runtime's execution providers in order of preference. Default: all it has.
        threads: threads one call may use; 0: ONNX Runtime decides.
    """

    outputs = (Choice,)

    def __init__(
        self,
        model: Path,
        *,
        labels: str | None = None,
        columns: list[str] | None = None,
        output: str | None = None,
        size: str | None = None,
        resize: Resize = "squash",
        layout: Literal["auto"] | Layout = "auto",
        scale: float | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        channels: Literal["auto"] | Channels = "auto",
        activation: Literal["auto", "softmax", "sigmoid", "none"] = "auto",
        providers: list[str] | None = None,
        threads: int = 0,
    ) -> None:
        self.path = Path(model)
        self.name = self.path.stem
        self.columns = tuple(columns or ())
        self.input = InputKind.TASK if self.columns else InputKind.IMAGE
        self._size = parsed_size(size)
        self._output, self._resize, self._layout = output, resize, layout
        self._scale, self._mean, self._std = scale, mean, std
        self._channels, self._activation = channels, activation
        self._providers, self._threads = providers, threads
        self._labels_said = labels
        self.labels = class_names.from_option(labels) if labels else None
        named = None if labels and Path(labels).is_file() else labels
        self._told = repr((named, columns, output, size, resize, layout, scale, mean, std, channels, activation))
        self._session: Any = None
        self._fixed_batch: int | None = None

    # --- loading
    def load(self) -> None:
        """Open the session; learn what it takes and says."""
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise ModelLoadError("ONNX Runtime is not installed.", hint='pip install "prelabel[onnx]"') from error
        if not self.path.is_file():
            raise ModelLoadError(f"there is no file {self.path}.", hint="Check --opt model=PATH.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            str(self.path), options, providers=self._providers or onnxruntime.get_available_providers()
        )
        self._learn_input(session)
        self._learn_output(session)
        if self.labels is None:
            self.labels = class_names.from_metadata(session.get_modelmeta().custom_metadata_map)
        self._session = session
        if self.labels is None:
            self._learn_classes()

    def _learn_input(self, session: Any) -> None:
        inputs = session.get_inputs()
        if len(inputs) != 1:
            raise ModelLoadError(
                f"{self.path} has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}).",
                hint="Models with several inputs need a wrapper of their own: subclass prelabel.ModelWrapper.",
            )
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

    def _learn_image(self) -> None:
        _, second, third, fourth = self._shape
        last = fourth in (1, 3) and second not in (1, 3)
        layout: Layout = self._layout if self._layout != "auto" else ("nhwc" if last else "nchw")
        count, height, width = (fourth, second, third) if layout == "nhwc" else (second, third, fourth)
        fixed = (width, height) if isinstance(width, int) and isinstance(height, int) else None
        if fixed is None and self._size is None:
            raise ModelLoadError(
                f"{self.path} takes images of any size.", hint="Say which: --opt size=224x224 (WIDTHxHEIGHT)."
            )
        dtype = _DTYPES[self._type]
        self._preparation = Preparation(
            size=fixed or self._size or (0, 0),
            resize=self._resize,
            channels=self._channels if self._channels != "auto" else ("gray" if count == 1 else "rgb"),
            scale=self._scale if self._scale is not None else (1.0 if "int" in dtype else 1 / 255),
            mean=self._mean,
            std=self._std,
            layout=layout,
            dtype=dtype,
        )

    def _learn_output(self, session: Any) -> None:
        outputs = {output.name: output for output in session.get_outputs()}
        if self._output is not None and self._output not in outputs:
            raise ModelLoadError(f"{self.path} has no output {self._output!r}.", hint=f"It has {', '.join(outputs)}.")
        if self._output is None:
            scores = [
                name for name, output in outputs.items() if output.type.startswith("seq(map") or _is_scores(output)
            ]
            if len(scores) != 1:
                listed = ", ".join(f"{o.name} {o.type} {o.shape}" for o in outputs.values())
                raise ModelLoadError(
                    f"it is unclear which output of {self.path} is a score per class.",
                    hint=f"Say it with --opt output=NAME; it has {listed}.",
                )
            self._output = scores[0]
        shape = outputs[self._output].shape
        count = shape[-1] if shape and isinstance(shape[-1], int) else None
        if self.labels is not None and count is not None and count not in (len(self.labels), 1):
            raise ModelLoadError(
                f"{self.path} says {count} classes, the labels are {len(self.labels)}.", hint="Check --opt labels."
            )

    def _learn_classes(self) -> None:
        """The classes that the model itself names, or their numbers: from its answer to one empty input."""
        import numpy as np

        rows = self._fixed_batch or 1
        if self.input is InputKind.TEXT:
            feed = self._fed([""] * rows)
        elif self.input is InputKind.IMAGE:
            from PIL import Image

            feed = self._fed([Image.new("RGB", self._preparation.size)] * rows)
        elif all(isinstance(size, int) for size in self._shape[1:]):
            feed = np.zeros((rows, *self._shape[1:]), dtype=_DTYPES[self._type])
        else:
            return
        self.labels = tuple((self._choices(feed, rows)[0].distribution or {}).keys())

    # --- predicting
    def predict(self, batch: Sequence[Any]) -> Sequence[Choice]:
        """A class with its distribution for each image, text or task."""
        fixed = self._fixed_batch
        if fixed is None:
            return self._choices(self._fed(batch), len(batch))
        choices: list[Choice] = []
        for start in range(0, len(batch), fixed):
            piece = list(batch[start : start + fixed])
            padded = piece + [piece[-1]] * (fixed - len(piece))
            choices += self._choices(self._fed(padded), len(padded))[: len(piece)]
        return choices

    def _choices(self, feed: NDArray[Any], count: int) -> list[Choice]:
        (said,) = self._session.run([self._output], {self._name: feed})
        if isinstance(said, list):  # one {class: score} per item, as scikit-learn's converter makes them
            return [_choice([str(name) for name in row], list(row.values())) for row in said]
        scores = self._activated(said.astype("float64").reshape(count, -1))
        names = self.labels or tuple(str(index) for index in range(scores.shape[1]))
        if len(names) != scores.shape[1]:
            raise ModelLoadError(
                f"{self.path} says {scores.shape[1]} classes, the labels are {len(names)}.", hint="Check --opt labels."
            )
        return [_choice(names, row) for row in scores.tolist()]

    def _activated(self, raw: Scores) -> Scores:
        import numpy as np

        activation = self._activation
        if raw.shape[1] == 1:  # one score: that of the second of two classes
            positive = raw if activation == "none" or (activation == "auto" and _all_01(raw)) else _sigmoid(raw)
            return np.concatenate([1 - positive, positive], axis=1)
        if activation == "auto":
            activation = "none" if _all_01(raw) and np.allclose(raw.sum(axis=1), 1, atol=1e-3) else "softmax"
        if activation == "softmax":
            powers = np.exp(raw - raw.max(axis=1, keepdims=True))
            result: Scores = powers / powers.sum(axis=1, keepdims=True)
            return result
        return _sigmoid(raw) if activation == "sigmoid" else raw

    def _fed(self, batch: Sequence[Any]) -> NDArray[Any]:
        import numpy as np

        if self.input is InputKind.TEXT:
            column = np.array([str(text) for text in batch], dtype=object)
            return column.reshape(-1, 1) if len(self._shape) == 2 else column
        if self.columns:
            return matrix(batch, self.columns).astype(_DTYPES[self._type])
        return self._preparation.batch(batch)

    def unload(self) -> None:
        """Close the session."""
        self._session = None

    def fingerprint(self) -> bytes:
        """A digest of the file (and of weights beside it), and the options."""
        beside = [self.path.with_name(self.path.name + suffix) for suffix in (".data", "_data")]
        labels = Path(self._labels_said) if self._labels_said and Path(self._labels_said).is_file() else None
        files = [self.path, *(path for path in beside if path.is_file()), *([labels] if labels else [])]
        return digest_files(files) + self._told.encode()


def _choice(names: Sequence[str], scores: Sequence[float]) -> Choice:
    best = max(range(len(scores)), key=lambda index: scores[index])
    distribution = dict(zip(names, map(float, scores), strict=True))
    return Choice(names[best], score=min(max(float(scores[best]), 0.0), 1.0), distribution=distribution)


def _is_scores(output: Any) -> bool:
    """Whether an output is floats with one row an item (labels beside them are integers or strings)."""
    return output.type in {"tensor(float)", "tensor(float16)", "tensor(double)"} and len(output.shape) >= 2


def _all_01(raw: Scores) -> bool:
    return bool(((raw >= -1e-6) & (raw <= 1 + 1e-6)).all())


def _sigmoid(raw: Scores) -> Scores:
    import numpy as np

    result: Scores = 1 / (1 + np.exp(-np.clip(raw, -500, 500)))
    return result
