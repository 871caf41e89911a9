"""What a served model is fed: the server's description and the options to a tensor for each batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prelabel.errors import ModelLoadError
from prelabel.model import InputKind
from prelabel_wrappers.features import matrix
from prelabel_wrappers.inference_protocol.channel import Metadata
from prelabel_wrappers.inference_protocol.tensors import DTYPES, Tensor
from prelabel_wrappers.pixels import Channels, Layout, Placement, Preparation, Resize

_KINDS = {"columns": InputKind.TASK, "text": InputKind.TEXT, "image": InputKind.IMAGE}


@dataclass(frozen=True)
class Looks:
    """The options about images; see `Preparation`."""

    size: tuple[int, int] | None = None
    resize: Resize = "squash"
    layout: Literal["auto"] | Layout = "auto"
    channels: Literal["auto"] | Channels = "auto"
    scale: float | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None


@dataclass(frozen=True)
class Feed:
    """One input. ``fixed`` is the batch size of a model that takes no other."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    kind: InputKind
    columns: tuple[str, ...] = ()
    preparation: Preparation | None = None

    @property
    def fixed(self) -> int | None:
        return self.shape[0] if self.shape and self.shape[0] > 0 else None

    def tensor(self, items: Sequence[Any]) -> Tensor:
        """The tensor of a batch of texts, images or tasks."""
        if self.preparation is not None:
            values: Any = self.preparation.batch(items)
        elif self.kind is InputKind.TASK:
            values = matrix(items, self.columns)
        else:
            texts = [str(item) for item in items]
            values = [[text] for text in texts] if len(self.shape) == 2 else texts
        return Tensor.of(self.name, self.datatype, values)

    def places(self, items: Sequence[Any]) -> list[Placement | None]:
        """Where each image lies in the tensor; None for what is no image."""
        preparation = self.preparation
        return [preparation.place(item.size) if preparation is not None else None for item in items]


def feed_of(
    metadata: Metadata,
    model: str,
    *,
    reads: str,
    columns: tuple[str, ...],
    name: str | None,
    datatype: str | None,
    looks: Looks,
) -> Feed:
    """What is fed to a model.

    Args:
        metadata: what the server says; where it says nothing, the options have to.
        model: the model's name, for messages.
        reads: ``text``, ``image``, ``columns``, or ``auto``.
        columns: the features' fields.
        name: the input's name, where it is not the only one.
        datatype: the input's, where the server does not say it.
        looks: how images are prepared.

    Raises:
        ModelLoadError: it remains unclear, or cannot be sent.
    """
    wanted = next((each for each in metadata.inputs if name in {None, each.name}), None)
    shape = wanted.shape if wanted else ()
    if reads == "auto":
        if wanted is None:
            raise ModelLoadError(
                f"the server does not say what {model} takes.",
                hint="Say it: --opt reads=text, --opt reads=image --opt size=224x224, or --opt columns=a,b,c.",
            )
        reads = "text" if wanted.datatype == "BYTES" else "image" if len(shape) == 4 else "columns"
    if reads == "columns" and not columns:
        raise ModelLoadError(
            f"{model} takes numbers {list(shape)}, and it is unknown where they come from.",
            hint="Name the task data fields: --opt columns=a,b,c (a field may hold a list of numbers).",
        )
    datatype = datatype or (wanted.datatype if wanted else "BYTES" if reads == "text" else "FP32")
    if datatype not in DTYPES:
        raise ModelLoadError(
            f"the input of {model} is {datatype}, which cannot be sent.", hint=f"Sent are {', '.join(DTYPES)}."
        )
    preparation = _preparation(shape, datatype, looks, model) if reads == "image" else None
    return Feed(wanted.name if wanted else name or "input-0", datatype, shape, _KINDS[reads], columns, preparation)


def _preparation(shape: tuple[int, ...], datatype: str, looks: Looks, model: str) -> Preparation:
    second, third, fourth = shape[1:] if len(shape) == 4 else (-1, -1, -1)
    last = fourth in (1, 3) and second not in (1, 3)
    layout: Layout = looks.layout if looks.layout != "auto" else ("nhwc" if last else "nchw")
    count, height, width = (fourth, second, third) if layout == "nhwc" else (second, third, fourth)
    size = (width, height) if width > 0 and height > 0 else looks.size
    if size is None:
        raise ModelLoadError(f"{model} takes images of any size.", hint="Say which: --opt size=224x224 (WIDTHxHEIGHT).")
    whole = "INT" in datatype
    return Preparation(
        size=size,
        resize=looks.resize,
        channels=looks.channels if looks.channels != "auto" else ("gray" if count == 1 else "rgb"),
        scale=looks.scale if looks.scale is not None else (1.0 if whole else 1 / 255),
        mean=looks.mean,
        std=looks.std,
        layout=layout,
        dtype=DTYPES[datatype] if whole else "float32",
    )
