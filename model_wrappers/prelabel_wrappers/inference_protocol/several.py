"""Models of several inputs: the first is fed as any model's only one, the others from task data fields or constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prelabel.errors import ModelLoadError, TaskError
from prelabel.model import InputKind
from prelabel_wrappers.features import columns, matrix
from prelabel_wrappers.inference_protocol.channel import Metadata
from prelabel_wrappers.inference_protocol.feeding import Feed
from prelabel_wrappers.inference_protocol.tensors import DTYPES, Described, Tensor
from prelabel_wrappers.pixels import Placement

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIELD = "$"
"""What a value begins with that names a field of the tasks' data, as in labeling configs."""


@dataclass(frozen=True)
class Side:
    """One more input: a ``field`` of each task's data, or a ``constant`` for all."""

    told: Described
    field: str = ""
    constant: Any = None

    @property
    def per_item(self) -> bool:
        """Whether the first dimension is the batch, as far as the server says."""
        return not self.told.shape or self.told.shape[0] < 0

    def tensor(self, items: Sequence[Any]) -> Tensor:
        """The input for a batch.

        Raises:
            TaskError: a task has no such field, or another number of values in it than the input takes.
        """
        values = self._of_fields(items) if self.field else self._constant(len(items))
        return Tensor.of(self.told.name, self.told.datatype, values)

    def _of_fields(self, tasks: Sequence[Any]) -> NDArray[Any]:
        if self.told.datatype == "BYTES":
            values = columns(tasks, {self.field: "str"})[self.field]
        else:
            values = matrix(tasks, [self.field])
        inner = self.told.shape[1:] if self.told.shape else values.shape[1:]
        try:
            return values.reshape(len(tasks), *inner)
        except ValueError as error:
            raise TaskError(
                f"field {self.field!r} has {values.shape[1]} values, and the input {self.told.name} has the shape"
                f" {list(inner)} an item.",
                task=tasks[0].id,
            ) from error

    def _constant(self, number: int) -> NDArray[Any]:
        import numpy as np

        kind = DTYPES[self.told.datatype]
        value = np.array(self.constant, dtype=kind)
        if not self.per_item:
            return value.reshape(self.told.shape)
        inner = self.told.shape[1:] if self.told.shape else (value.shape or (1,))
        return np.broadcast_to(value.reshape(inner), (number, *value.reshape(inner).shape))


@dataclass(frozen=True)
class Feeds:
    """All inputs. ``main`` is None where every one of them is a field or a constant."""

    main: Feed | None
    sides: tuple[Side, ...] = ()

    @property
    def kind(self) -> InputKind:
        """What the model reads."""
        return self.main.kind if self.main is not None else InputKind.TASK

    @property
    def fixed(self) -> int | None:
        """The batch size of a model that takes no other."""
        if self.main is not None:
            return self.main.fixed
        return next((side.told.shape[0] for side in self.sides if side.field and not side.per_item), None)

    def tensors(self, items: Sequence[Any]) -> list[Tensor]:
        """The tensors of a batch of texts, images or tasks."""
        main = [] if self.main is None else [self.main.tensor(items)]
        return main + [side.tensor(items) for side in self.sides]

    def places(self, items: Sequence[Any]) -> list[Placement | None]:
        """Where each image lies in the tensor; None for what is no image."""
        return [None] * len(items) if self.main is None else self.main.places(items)


def parted(
    metadata: Metadata, given: Mapping[str, Any], main: str | None, model: str
) -> tuple[Metadata | None, tuple[Side, ...]]:
    """The inputs that are fed from fields or constants, and what the server says without them (None: that is all).

    Without ``given`` several inputs of one value each get the fields of their names.

    Args:
        metadata: what the server says; what it does not tell of is taken to be BYTES for texts, else FP32.
        given: of each input a value, or ``$field``.
        main: the name of the input that gets the text, image or columns.
        model: the model's name, for messages.

    Raises:
        ModelLoadError: an input is unknown, or it is not known what it gets.
    """
    known = {each.name: each for each in metadata.inputs}
    unknown = [name for name in (*given, *([main] if main else [])) if known and name not in known]
    if unknown:
        raise ModelLoadError(f"{model} has no input {unknown[0]!r}.", hint=f"It has {_listed(metadata.inputs)}.")
    if not given and len(known) > 1 and main is None and all(map(_is_one_value, metadata.inputs)):
        given = {name: FIELD + name for name in known}
    rest = tuple(each for each in metadata.inputs if each.name not in given and main in {None, each.name})
    left_out = [name for name in known if name not in given and name not in {each.name for each in rest}]
    if left_out or len(rest) > 1:
        raise ModelLoadError(
            f"{model} has {len(known)} inputs ({_listed(metadata.inputs)}), and it is not known what"
            f" {', '.join(left_out) or 'they'} get{'s' if len(left_out) == 1 else ''}.",
            hint="Say it: --opt inputs='" + '{"NAME": "$field", "OTHER": 0.5}' + "' (a task data field, a constant);"
            " --opt input=NAME is the one that gets the text, image or columns.",
        )
    sides = tuple(_side(known.get(name), name, value, model) for name, value in given.items())
    if known and not rest:
        return None, sides
    return Metadata(rest, metadata.outputs, metadata.binary), sides


def _side(told: Described | None, name: str, value: Any, model: str) -> Side:
    field = value[len(FIELD) :] if isinstance(value, str) and value.startswith(FIELD) else ""
    if told is None:
        told = Described(name, "BYTES" if isinstance(value, str) and not field else "FP32")
    side = Side(told, field) if field else Side(told, constant=value)
    if told.datatype not in DTYPES:
        raise ModelLoadError(f"the input {name} of {model} is {told.datatype}, which cannot be sent.")
    if not field:
        try:
            side.tensor([None])
        except (TypeError, ValueError) as error:
            raise ModelLoadError(
                f"{value!r} is no value for the input {name} of {model} ({told.datatype} {list(told.shape)}).",
                hint="A value that begins with $ is a field of the tasks' data.",
            ) from error
    return side


def _is_one_value(told: Described) -> bool:
    """Whether an input takes one value an item."""
    return told.datatype in DTYPES and (len(told.shape) == 1 or (len(told.shape) == 2 and told.shape[1] in {1, -1}))


def _listed(inputs: Sequence[Described]) -> str:
    return ", ".join(f"{each.name} {each.datatype} {list(each.shape)}" for each in inputs)
