"""What a served model's tensors say of each item: classes, numbers, texts, or what a network says of an image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from prelabel.errors import ModelError, ModelLoadError
from prelabel.outputs import Choice, Number, Output
from prelabel_wrappers.heads import KINDS, Activation, Head, decided
from prelabel_wrappers.inference_protocol.tensors import Tensor
from prelabel_wrappers.pixels import Placement

if TYPE_CHECKING:
    from numpy.typing import NDArray

Says = Literal["auto", "class", "label", "number", "text", "json", "mask", "boxes", "points", "values"]
OF_IMAGES = frozenset({"mask", "boxes", "points"})


@dataclass(frozen=True)
class Reader:
    """How tensors are read; ``says`` ``auto`` looks at their datatypes and shapes.

    ``label`` is the number (or name) of a class, ``text`` and ``json`` strings, ``values`` the arrays themselves, read
    as any model's arrays are.
    """

    says: Says
    labels: Sequence[str] | None
    images: bool
    activation: Activation = "auto"
    min_score: float = 0.5
    overlap: float = 0.5

    def read(self, tensors: Sequence[Tensor], places: Sequence[Placement | None]) -> list[Any]:
        """A result for each item; all tensors have one row an item.

        Raises:
            ModelError: they have not.
        """
        if not tensors:
            raise ModelError("the server answered without outputs.", hint="Check --opt output.")
        for tensor in tensors:
            if tensor.array.ndim == 0 or len(tensor.array) != len(places):
                raise ModelError(
                    f"the output {tensor.name} has the shape {list(tensor.array.shape)} for {len(places)} items.",
                    hint="The first dimension must be the batch; --opt batch=1 where the model takes one item.",
                )
        says = self.says if self.says != "auto" else self.plain(tensors)
        arrays = [tensor.array for tensor in tensors]
        if says == "class" or says in OF_IMAGES:
            head = Head(says, self.labels, self.activation, self.min_score, self.overlap)
            return head.read(arrays, places)
        if says == "values":
            return [self._values(tensors, at) for at in range(len(places))]
        rows = [_only(row, tensors[0].name) for row in arrays[0]]
        if says == "number":
            return [Number(float(row)) for row in rows]
        if says == "label":
            return [self._label(row) for row in rows]
        texts = [row.decode("utf-8", "replace") if isinstance(row, bytes) else str(row) for row in rows]
        return [_parsed(text) for text in texts] if says == "json" else texts

    def plain(self, tensors: Sequence[Tensor]) -> str:
        """What the tensors say, by their looks."""
        first = tensors[0]
        kind, shape = first.array.dtype.kind, first.array.shape
        width = int(first.array.size // max(len(first.array), 1))
        if kind == "O":
            return "text" if width == 1 else "values"
        if self.images:
            try:
                return decided("auto", [tensor.array.shape for tensor in tensors])
            except ModelLoadError:
                return "values"
        if width == 1 and kind in "iub":
            return "label"
        if kind == "f" and len(shape) <= 2:
            return "number" if width == 1 and len(self.labels or ()) != 2 else "class"
        return "values"

    def kinds(self) -> tuple[type[Output], ...] | None:
        """The outputs that it makes, where that is known before the first answer."""
        if self.says in KINDS:
            return KINDS[self.says]
        if self.says == "label" and self.labels:
            return (Choice,)
        return (Number,) if self.says == "number" else None

    def _label(self, row: Any) -> Any:
        """A name; of a number the label with that number, the number itself where no labels are known."""
        if isinstance(row, bytes | str):
            return row.decode("utf-8", "replace") if isinstance(row, bytes) else row
        if self.labels is None:
            return int(row)
        if not 0 <= int(row) < len(self.labels):
            raise ModelError(
                f"the model says class {int(row)}, the labels are {len(self.labels)}.", hint="Check --opt labels."
            )
        return Choice(self.labels[int(row)])

    def _values(self, tensors: Sequence[Tensor], at: int) -> Any:
        rows = {tensor.name: _decoded(tensor.array[at]) for tensor in tensors}
        if len(rows) == 1:
            return next(iter(rows.values()))
        return rows | ({"names": list(self.labels)} if self.labels else {})


def _only(row: Any, name: str) -> Any:
    """The one value of a row."""
    if getattr(row, "shape", None):
        if row.size != 1:
            raise ModelError(
                f"the output {name} has {row.size} values an item.", hint="Say what they are: --opt says=..."
            )
        row = row.reshape(-1)[0]
    return row


def _decoded(row: Any) -> NDArray[Any] | list[str]:
    if getattr(row, "dtype", None) is not None and row.dtype.kind == "O":
        return [each.decode("utf-8", "replace") for each in row.ravel()]
    found: NDArray[Any] = row
    return found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ModelError(f"the model's text is not JSON: {text[:60]!r}.", hint="Use --opt says=text.") from None
