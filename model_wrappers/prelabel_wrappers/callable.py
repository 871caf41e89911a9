"""A plain function as a model: its first parameter's annotation says in which type the batch arrives."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel.errors import ModelError, ModelLoadError
from prelabel.loader import digest_files
from prelabel.model import Audio, InputKind, Item, ModelWrapper
from prelabel.options import bind
from prelabel.outputs import Output
from prelabel.tasks import Task
from prelabel_wrappers.clicks import answers, on_page, wants_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from prelabel.examples import Example

ANNOTATIONS = """\
  list[str]                    text
  list[PIL.Image.Image]        images, RGB, upright
  list[np.ndarray]             images as uint8 [height, width, 3], sounds as float32 [samples, channels]
  list[prelabel.Audio]         sounds with their rate
  list[dict[str, np.ndarray]]  tables and time series by column
  list[pathlib.Path]           local copies of files
  list[prelabel.Task]          whole tasks, nothing fetched
  list[prelabel.Item]          tasks with every object tag resolved, config and context
  list[Any]                    the task's field as it stands in the JSON
Without list[...] the function gets one item a call."""
"""What a function's first parameter may be annotated with; shown in errors and in docs/your-model.md."""

_BATCHES = {list, Sequence, Iterable, Collection}
_PAGED = {InputKind.IMAGE, InputKind.ARRAY}
"""Kinds of which an item may be a list of pages."""


class CallableModel(ModelWrapper):
    """Calls a function with a batch (``list[str]`` ...) or, where it is annotated so (``str``), item by item.

    The function's module may define ``load()``, ``unload()``, ``fit(examples)`` with ``save(directory)`` and
    ``load(directory)``, and ``embed(batch)``, and say ``name``, ``version``, ``labels``, ``outputs``, ``weights``
    (files that belong to the model's version), ``max_batch_size`` and ``interactive``. A second parameter annotated
    with ``Prompts`` makes it interactive, and a third one called ``encoded`` is what the module's ``encode(value)``
    made (see `prelabel_wrappers.clicks`).

    Args:
        function: takes a batch; further parameters with defaults are options.
        name: the model's name, usually the file's.
        options: ``--opt`` pairs for those parameters.

    Raises:
        ModelLoadError: no annotation, or one that says no input kind; a wrong option.
    """

    def __init__(self, function: Callable[..., Any], name: str, options: Mapping[str, str] | None = None) -> None:
        self.function = function
        self._module = sys.modules.get(getattr(function, "__module__", "") or "")
        self.options = dict(options or {})
        first = _first_parameter(function, name)
        self.input, self._single = input_kind(first, function, name)
        self._wants = wants_of(function, name)
        self._arguments = bind(function, self.options, name, skip=self._wants.count)
        self.name = str(self._said("name") or name)
        version = self._said("version")
        self.version = str(version) if version else None
        one_by_one = self._single and self._wants.prompts  # then a click waits for one item, not for a batch of them
        self.max_batch_size = self._said("max_batch_size") or (1 if one_by_one else None)
        self.in_items = self._wants.prompts
        self.clicks_only = self._wants.clicks_only
        self.interactive = self._wants.prompts or bool(self._said("interactive"))
        self._refresh()

    def load(self) -> None:
        """Call the module's ``load()`` or ``load(directory)``, which may also set ``labels``.

        The directory is the one that ``save`` filled; None before any training.
        """
        hook = self._said("load")
        takes_directory = callable(hook) and bool(inspect.signature(hook).parameters)
        self._hook("load", *([self.artifact] if takes_directory else []))
        self._refresh()

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """The function's results, one per item; a generator or array of results becomes a list."""
        if self._wants.prompts:
            return answers(
                self._listed if not self._single else self._one,
                [self._paged(item) for item in batch],
                self._wants,
                single=self._single,
                value_of=self._value_of,
                encoded=self.encoded,
            )
        if self._single:
            return [self._one(item) for item in batch]
        return self._listed(list(batch))

    def _one(self, *given: Any) -> Any:
        return self.function(*given, **self._arguments)

    def _value_of(self, item: Item) -> Any:
        return item if self.input in {InputKind.ITEM, InputKind.BARE} else item.value

    def _listed(self, batch: Sequence[Any], *further: Any) -> list[Any]:
        given = self.function(batch, *further, **self._arguments)
        if given is None or isinstance(given, (str, bytes, Mapping, Output)):
            raise ModelError(
                f"{self.name} returned {type(given).__name__} for a batch of {len(batch)}.",
                hint="Return a list with one result per item, or annotate the parameter without list[...] to get one "
                "item a call.",
            )
        return list(given)

    @property
    def can_fit(self) -> bool:
        """Whether the module has a ``fit`` and a ``save`` beside the function."""
        return callable(self._said("fit")) and callable(self._said("save"))

    def fit(self, examples: Iterable[Example]) -> str | None:
        """Call the module's ``fit(examples)``."""
        if not self.can_fit:
            if callable(self._said("fit")):
                raise NotImplementedError(f"{self.name} cannot be trained: it has no save, only fit.")
            return super().fit(examples)
        version: str | None = self._hook("fit", examples)
        self._refresh()
        return version

    def save(self, directory: Path) -> None:
        """Call the module's ``save(directory)``."""
        if not self.can_fit:
            super().save(directory)
        self._hook("save", directory)

    @property
    def can_embed(self) -> bool:
        """Whether the module has an ``embed`` beside the function."""
        embed = self._said("embed")
        return callable(embed) and embed is not self.function

    def embed(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """What the module's ``embed(batch)`` returns, which gets what the function gets."""
        if not self.can_embed:
            return super().embed(batch)
        found: NDArray[np.float32] = self._hook("embed", list(batch))
        return found

    @property
    def can_encode(self) -> bool:
        """Whether the module has an ``encode`` beside the function."""
        encode = self._said("encode")
        return self._wants.prompts and callable(encode) and encode is not self.function

    def encode(self, item: Item) -> Any:
        """What the module's ``encode(value)`` returns, which gets one value of those that the function gets."""
        if not self.can_encode:
            return super().encode(item)
        return self._hook("encode", self._value_of(item))

    def encoded(self, item: Item) -> Any:
        """See `ModelWrapper.encoded`; of a multi-page image each page by itself."""
        return super().encoded(self._paged(item))

    def _paged(self, item: Item) -> Item:
        return on_page(item) if self._wants.prompts and self.input in _PAGED else item

    def unload(self) -> None:
        """Call the module's ``unload()``."""
        self._hook("unload")

    def fingerprint(self) -> bytes:
        """The file's bytes, the function's name, its options, and the files that ``weights`` names."""
        file = Path(inspect.getsourcefile(self.function) or "") if inspect.isroutine(self.function) else Path()
        code = file.read_bytes() if file.is_file() else b""
        weights = self._said("weights") or ()
        declared = [weights] if isinstance(weights, (str, Path)) else list(weights)
        digest = digest_files(file.parent / each for each in declared) if declared else b""
        told = repr((getattr(self.function, "__qualname__", ""), sorted(self.options.items()))).encode()
        return b"\0".join([told, code, digest])

    def _said(self, attribute: str) -> Any:
        """What the function's module, or the object it is a method of, says of itself."""
        owner = getattr(self.function, "__self__", None)
        found = getattr(owner, attribute, None) if owner is not None else None
        return found if found is not None else vars(self._module).get(attribute) if self._module else None

    def _refresh(self) -> None:
        labels, outputs = self._said("labels"), self._said("outputs")
        self.labels = tuple(map(str, labels)) if isinstance(labels, Iterable) and not isinstance(labels, str) else None
        self.outputs = tuple(outputs) if isinstance(outputs, Iterable) else None

    def _hook(self, name: str, *arguments: Any) -> Any:
        hook = self._said(name)
        return hook(*arguments) if callable(hook) and hook is not self.function else None


def _first_parameter(function: Callable[..., Any], name: str) -> str:
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind in positional]
    called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004 (its kind)
    if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
        raise ModelLoadError(f"{name} is asynchronous.", hint="Define it with `def`; prelabel does the batching.")
    if not parameters:
        raise ModelLoadError(f"{name} takes no argument.", hint="Let it take a batch: `def predict(texts: list[str])`.")
    return parameters[0].name


def input_kind(parameter: str, function: Callable[..., Any], name: str) -> tuple[InputKind, bool]:
    """The input kind that a parameter's annotation says, and whether the function takes one item a call.

    Raises:
        ModelLoadError: there is none, it cannot be resolved, or it is none of `ANNOTATIONS`.
    """
    annotation = _annotation(parameter, function, name)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    element, single = annotation, True
    several = len(arguments) == 1 if origin in _BATCHES else origin is tuple and arguments[1:] == (Ellipsis,)
    if several:
        element, single = arguments[0], False
    kind = _kind_of(element)
    if kind is None or (single and element is Any):
        raise ModelLoadError(
            f"{name}: the annotation of {parameter!r}, {_spelled(annotation)}, says no input.",
            hint=f"Allowed are:\n{ANNOTATIONS}",
        )
    return kind, single


def _annotation(parameter: str, function: Callable[..., Any], name: str) -> Any:
    routine = function if inspect.isroutine(function) else type(function).__call__
    routine = inspect.unwrap(routine)
    routine = getattr(routine, "__func__", routine)
    written = getattr(routine, "__annotations__", {}).get(parameter)
    if written is None:
        raise ModelLoadError(
            f"{name}: the parameter {parameter!r} has no annotation, so it is unknown what to give it.",
            hint=f"Annotate it with one of:\n{ANNOTATIONS}",
        )
    only = types.SimpleNamespace(__annotations__={parameter: written})
    try:
        return typing.get_type_hints(only, globalns=getattr(routine, "__globals__", {}))[parameter]
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise ModelLoadError(
            f"{name}: the annotation of {parameter!r}, {_spelled(written)}, cannot be resolved: {error}.",
            hint="Import what it names at the top of the file, not under TYPE_CHECKING.",
        ) from error


def _kind_of(element: Any) -> InputKind | None:
    simple = {
        str: InputKind.TEXT,
        Audio: InputKind.AUDIO,
        Task: InputKind.TASK,
        Item: InputKind.ITEM,
        Path: InputKind.FILE,
        Any: InputKind.VALUE,
        object: InputKind.VALUE,
    }
    origin, arguments = typing.get_origin(element), typing.get_args(element)
    if origin in {dict, Mapping} and len(arguments) == 2 and arguments[0] is str:
        return InputKind.TABLE if _is_array(arguments[1]) else InputKind.VALUE
    if element in {dict, Mapping}:
        return InputKind.VALUE
    if _is_array(element):
        return InputKind.ARRAY
    if _named(element) == ("PIL.Image", "Image") or _is_module(element, "PIL.Image"):
        return InputKind.IMAGE
    return next((kind for each, kind in simple.items() if element is each), None)


def _is_array(element: Any) -> bool:
    """``np.ndarray``, also with parameters (``NDArray[np.uint8]``); NumPy itself is not imported for it."""
    return _named(typing.get_origin(element) or element) == ("numpy", "ndarray")


def _is_module(element: Any, name: str) -> bool:
    """``list[Image]`` after ``from PIL import Image`` names the module, and means its images."""
    return isinstance(element, types.ModuleType) and element.__name__ == name


def _named(element: Any) -> tuple[str, str]:
    return getattr(element, "__module__", "") or "", getattr(element, "__qualname__", "") or ""


def _spelled(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    return (
        annotation.__qualname__ if inspect.isclass(annotation) and not typing.get_args(annotation) else str(annotation)
    )
