"""What a user's model is: load, predict a batch, optionally fit; and what it declares about itself."""

from __future__ import annotations

import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from prelabel.labeling import LabelingConfig
    from prelabel.outputs import Output
    from prelabel.tasks import Task


class InputKind(str, Enum):
    """The Python type in which a model wants the value that a task's object tag points at."""

    TEXT = "text"
    """``str``: inline text, or the decoded content of the file pointed at."""
    IMAGE = "image"
    """``PIL.Image.Image``, RGB, EXIF-oriented, size in pixels."""
    ARRAY = "array"
    """``numpy.ndarray``: images as uint8 ``[height, width, 3]`` RGB; audio as float32 ``[samples, channels]``."""
    AUDIO = "audio"
    """``prelabel.Audio``: float32 samples ``[samples, channels]`` in -1..1 with their rate in Hz."""
    TABLE = "table"
    """``dict[str, numpy.ndarray]``: columns of a CSV, TSV or JSON time series or table."""
    FILE = "file"
    """``pathlib.Path`` of a local copy, for formats a model reads itself (video, PDF, DICOM)."""
    VALUE = "value"
    """The task's field as it stands in the JSON, not resolved (lists, dicts, numbers)."""
    TASK = "task"
    """The whole :class:`prelabel.Task`; nothing is fetched."""
    ITEM = "item"
    """An :class:`Item`: task, resolved values, labeling config and context."""


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Decoded sound: ``samples`` is float32 ``[samples, channels]`` in -1..1, ``rate`` is samples per second."""

    samples: NDArray[np.float32]
    rate: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate

    @property
    def mono(self) -> NDArray[np.float32]:
        """The mean over the channels, float32 ``[samples]``."""
        mixed: NDArray[np.float32] = self.samples.mean(axis=1, dtype=self.samples.dtype)
        return mixed


@dataclass(frozen=True, slots=True)
class Item:
    """All that is known about one input of a batch.

    ``value`` is the resolved value of the primary object tag (the one the chosen control points at); ``values`` has
    every resolved object tag by name. ``context`` is Label Studio's interactive context or None.
    """

    task: Task
    config: LabelingConfig
    value: Any = None
    values: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] | None = None


class ModelWrapper(ABC):
    """A model that prelabel can serve. Subclass it, or give a plain function to ``prelabel serve file.py:function``.

    One instance is loaded once per process and called from one thread at a time, never concurrently. ``__init__`` must
    be cheap and may not touch weights; ``load`` does that.
    """

    name: str = ""
    """Short name of the model; first part of the model version. Default: the class's or the file's name."""
    version: str | None = None
    """A version of the model's own. None: prelabel makes ``name-`` plus eight hexadecimal digits of `fingerprint`."""
    input: InputKind = InputKind.ITEM
    """In which type the elements of a batch arrive."""
    labels: Sequence[str] | None = None
    """Every label the model can say, if it knows them before the first prediction; may be set by `load`."""
    outputs: Sequence[type[Output]] | None = None
    """The kinds of output that the model makes, where known: lets ``/setup`` refuse a config that cannot fit."""
    max_batch_size: int | None = None
    """Largest batch the model takes; None: the setting ``max_batch_size``."""
    interactive: bool = False
    """Whether it makes use of an interactive context."""
    options: Mapping[str, str] = MappingProxyType({})
    """The ``--opt key=value`` pairs it was made with, set by the loader; part of the default `fingerprint`."""

    def load(self) -> None:  # noqa: B027 (a documented no-op)
        """Read weights, open sessions, warm up. Called once per process, in the background."""

    @abstractmethod
    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """One result per element of ``batch``, in the same order.

        A result is an :class:`~prelabel.outputs.Output`, a list of them, or plain Python with one obvious meaning for
        the labeling config (``"Positive"``, ``{"Positive": 0.9, "Negative": 0.1}``, ...). None or [] means nothing to
        say. An exception fails the batch, which is then halved until the culprit stands alone.
        """

    def fit(self, examples: Sequence[Any]) -> str | None:
        """Train on annotated examples and return the new version; the default refuses."""
        raise NotImplementedError(f"{type(self).__name__} cannot be trained: it has no fit method.")

    def unload(self) -> None:  # noqa: B027 (a documented no-op)
        """Free memory and sessions. Called once, when the process stops or the model is replaced."""

    def fingerprint(self) -> bytes:
        """What identifies this version of the model: code, options, weights. Same bytes, same model version.

        The default is the class's name, the bytes of the file that defines it (wherever that lies), and its options.
        Wrappers with weights add a digest over the weights' files (`prelabel.loader.digest_files`). Called before
        `load`, and must be the same on every machine.
        """
        cls = type(self)
        options = repr(sorted(self.options.items())).encode()
        return b"\0".join([cls.__qualname__.encode(), _source_of(cls) or cls.__module__.encode(), options])


def _source_of(cls: type) -> bytes:
    """The bytes of the file that defines ``cls``; empty where there is none (a shell, a frozen program)."""
    try:
        file = inspect.getsourcefile(sys.modules[cls.__module__])
        return Path(file).read_bytes() if file else b""
    except (KeyError, TypeError, OSError):
        return b""
