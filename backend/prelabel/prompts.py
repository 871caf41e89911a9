"""What a person did with a smart tool, typed: clicks and strokes in pixels, selected text in characters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from prelabel.outputs import Output

__all__ = [
    "BoxPrompt",
    "BrushPrompt",
    "EllipsePrompt",
    "PointPrompt",
    "PolygonPrompt",
    "Prompt",
    "Prompts",
    "TextPrompt",
]

P = TypeVar("P", bound="Prompt")
Region = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What all prompts have; pixels are those of the image as the model gets it, from its top left corner.

    ``label`` is the label that the person has chosen, ``control`` the smart control's name, ``page`` the image's number
    in a ``valueList`` (from 0), ``region`` Label Studio's JSON.
    """

    label: str | None = None
    control: str = ""
    id: str | None = None
    page: int = 0
    region: Region = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PointPrompt(Prompt):
    """A click; always inside the image, so that ``int(y), int(x)`` is a pixel. Not ``positive``: with Alt."""

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True, slots=True)
class BoxPrompt(Prompt):
    """A rectangle; ``x`` and ``y`` are its top left corner, around which it is turned by ``rotation`` degrees."""

    x: float
    y: float
    width: float
    height: float
    rotation: float = 0.0

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of what is not turned."""
        return self.x, self.y, self.x + self.width, self.y + self.height


@dataclass(frozen=True, slots=True)
class EllipsePrompt(Prompt):
    """An ellipse around its centre."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    rotation: float = 0.0


@dataclass(frozen=True, slots=True)
class PolygonPrompt(Prompt):
    """An outline."""

    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class BrushPrompt(Prompt):
    """A stroke: ``mask`` is bool ``[height, width]``, as large as the image."""

    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TextPrompt(Prompt):
    """Selected characters ``start`` up to ``end``; of a ``HyperText`` those of its visible text."""

    start: int
    end: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Prompts(Sequence[Prompt]):
    """The prompts of one click, in the order in which they were drawn.

    Label Studio sends what has the type and the label of what was just drawn: clicks that wait for an answer to be
    accepted, but also accepted regions of the same control. So only `latest` is surely new. Empty where nobody clicked,
    and after a click was taken back.
    """

    given: tuple[Prompt, ...] = ()
    others: tuple[Output, ...] = ()
    """Regions of the context that are no prompts: predictions, and what no smart tool draws."""
    context: Mapping[str, Any] | None = field(default=None, repr=False)
    """Label Studio's own JSON, with whatever fields it has; None where nobody clicked."""

    @overload
    def __getitem__(self, index: int) -> Prompt: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Prompt]: ...
    def __getitem__(self, index: int | slice) -> Prompt | Sequence[Prompt]:
        return self.given[index]

    def __len__(self) -> int:
        return len(self.given)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.given)

    @property
    def latest(self) -> Prompt | None:
        """What was just drawn."""
        return self.given[-1] if self.given else None

    @property
    def label(self) -> str | None:
        """The label that was chosen for it."""
        return self.given[-1].label if self.given else None

    @property
    def points(self) -> list[PointPrompt]:
        return self._only(PointPrompt)

    @property
    def boxes(self) -> list[BoxPrompt]:
        return self._only(BoxPrompt)

    @property
    def ellipses(self) -> list[EllipsePrompt]:
        return self._only(EllipsePrompt)

    @property
    def polygons(self) -> list[PolygonPrompt]:
        return self._only(PolygonPrompt)

    @property
    def brushes(self) -> list[BrushPrompt]:
        return self._only(BrushPrompt)

    @property
    def texts(self) -> list[TextPrompt]:
        return self._only(TextPrompt)

    def _only(self, kind: type[P]) -> list[P]:
        return [prompt for prompt in self.given if isinstance(prompt, kind)]
