"""What a user's model is: load, predict a batch, optionally fit; and what it declares about itself."""

from __future__ import annotations

import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from prelabel.data import DataReader
    from prelabel.encoded import EncodedItems
    from prelabel.examples import Example
    from prelabel.labeling import LabelingConfig
    from prelabel.outputs import Output
    from prelabel.prompts import Prompts
    from prelabel.runs import Ledger
    from prelabel.settings import Settings
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
    BARE = "bare"
    """An :class:`Item` without values: nothing is fetched; the model reads what it needs by itself."""


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


class Silence(list[Any]):
    """What a model returns, instead of [], where there is to be no prediction, not even an empty one.

    An empty prediction says that the model looked and found nothing; Label Studio keeps it and does not ask again. Of
    silence nothing is stored, and Label Studio asks again when the task is opened: for a model that has not learnt yet.
    """


@dataclass(frozen=True, slots=True)
class Item:
    """All that is known about one input of a batch.

    ``value`` is the resolved value of the primary object tag (the one the chosen control points at); ``values`` has
    every resolved object tag by name. ``context`` is Label Studio's interactive context or None. ``page`` is the page
    of a multi-page image that ``value`` is, from 0; None: ``value`` is the whole.
    """

    task: Task
    config: LabelingConfig
    value: Any = None
    values: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] | None = None
    page: int | None = None

    @property
    def prompts(self) -> Prompts:
        """What a person did with a smart tool, in pixels or characters; empty where nobody did. Read anew each time.

        Raises:
            RequestError: the context is not as Label Studio's editor writes it.
        """
        from prelabel.context import prompts_of  # noqa: PLC0415 (defusedxml is imported by those who get a click)

        return prompts_of(self)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the process has besides the model: its settings, what reads task data, the ledger where one is open."""

    settings: Settings
    reader: DataReader
    ledger: Ledger | None = None


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
    adapts: bool = False
    """Whether it reads the labeling config and says only what that takes, so that none of its ``outputs`` is lost."""
    clicks_only: bool = False
    """Whether it has nothing to say before somebody clicks: then it is never asked about a task without prompts."""
    in_items: bool = False
    """Whether elements arrive as `Item`s whose ``value`` has the kind ``input``: what interactive functions need."""
    encodings: EncodedItems | None = None
    """Where `encoded` keeps what `encode` made; set by the process that serves the model. None: nothing is kept."""
    artifact: Path | None = None
    """The directory that `save` filled for the version that is to be loaded; None: the model before any training."""
    options: Mapping[str, str] = MappingProxyType({})
    """The ``--opt key=value`` pairs it was made with, set by the loader; part of the default `fingerprint`."""

    def enter(self, surroundings: Surroundings) -> None:  # noqa: B027 (a documented no-op)
        """Told once, before `load`, what the process offers; only wrappers that stand in for another server need it."""

    def load(self) -> None:  # noqa: B027 (a documented no-op)
        """Read weights, open sessions, warm up. Called once per process, in the background."""

    @abstractmethod
    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """One result per element of ``batch``, in the same order.

        A result is an :class:`~prelabel.outputs.Output`, a list of them, or plain Python with one obvious meaning for
        the labeling config (``"Positive"``, ``{"Positive": 0.9, "Negative": 0.1}``, ...). None or [] means nothing to
        say. An exception fails the batch, which is then halved until the culprit stands alone.
        A `PrelabelError` in a result's place fails that item only: nothing is asked twice.
        """

    def fit(self, examples: Iterable[Example]) -> str | None:
        """Learn from annotated tasks; the default refuses.

        Called in a process of its own, on an instance that `load` was called on. ``examples`` may be read more than
        once: each time they stream from Label Studio, and are never in memory together.

        Returns:
            The new version's name; None: it is made from what `save` writes.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be trained: it has no fit method.")

    @property
    def can_fit(self) -> bool:
        """Whether the wrapper has a `fit` and a `save` of its own."""
        return type(self).fit is not ModelWrapper.fit and type(self).save is not ModelWrapper.save

    def save(self, directory: Path) -> None:
        """Write what was learnt into an empty directory; `load` finds it as `artifact`. Called after `fit`."""
        raise NotImplementedError(f"{type(self).__name__} cannot be trained: it has no save method.")

    @property
    def can_embed(self) -> bool:
        """Whether the wrapper has an `embed` of its own."""
        return type(self).embed is not ModelWrapper.embed

    def embed(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """Embeddings ``[n, d]``, one row per element of ``batch``, in the same order; the default refuses.

        What is alike has a small angle between its rows. A row of zeros or NaN says nothing of its element. Not needed
        for predictions: what to label next is chosen by it (``prelabel runs select``).
        """
        raise NotImplementedError(f"{type(self).__name__} cannot embed: it has no embed method.")

    @property
    def can_encode(self) -> bool:
        """Whether the wrapper has an `encode` of its own."""
        return type(self).encode is not ModelWrapper.encode

    def encode(self, item: Item) -> Any:
        """The slow part of answering a click, which does not depend on the click: an image's embedding.

        Called for a task that was just opened, and by `encoded`. ``item`` has no prompts then.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot encode: it has no encode method.")

    def encoded(self, item: Item) -> Any:
        """What `encode` makes of an item, kept between clicks (see `prelabel.encoded`). For use in `predict`."""
        item = item if item.context is None else replace(item, context=None)
        return self.encode(item) if self.encodings is None else self.encodings.of(item, self.encode)

    def counters(self) -> Mapping[str, tuple[str, float]]:
        """What it counts for ``/metrics``, by name (``llm_tokens_in``): what the number is, and the number so far."""
        return {}

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
