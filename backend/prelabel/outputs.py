"""Everything that a model can say, as frozen classes with their coordinate systems stated.

Geometry on images and video frames carries a `Unit`: pixels (the default), fractions 0..1 or percent 0..100 of width
and height, origin at the top-left corner, x to the right, y downwards. Times are seconds; video frames are counted
from 1 as Label Studio does; text offsets count characters (Python's ``str`` index), ``end`` exclusive.

``score`` is the confidence of that one output, 0..1, or None. ``control`` names a control tag of the labeling config
and is only needed where type, object and labels do not decide. ``id`` becomes the region's id (made up when None);
relations refer to it. ``of`` is the id of the region a per-region answer belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


class Unit(str, Enum):
    """What one step of a coordinate is."""

    PIXEL = "pixel"
    FRACTION = "fraction"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Base of all outputs."""

    score: float | None = None
    control: str | None = None
    id: str | None = None
    of: str | None = None
    meta: Mapping[str, Any] | None = None


# --- said of the whole task, or (with ``of``) of one region
@dataclass(frozen=True, slots=True)
class Choice(Output):
    """One class of the whole item: ``Choices``. ``label`` is the class's name.

    ``distribution`` is the probability of every class, this one included: what ``margin`` and ``entropy`` look at.
    """

    label: str
    distribution: Mapping[str, float] | None = field(default=None, kw_only=True, compare=False)


@dataclass(frozen=True, slots=True)
class Choices(Output):
    """Several classes at once, for ``Choices choice="multiple"``.

    ``distribution`` is the probability of each class by itself, of those that were not chosen too.
    """

    labels: tuple[str, ...]
    distribution: Mapping[str, float] | None = field(default=None, kw_only=True, compare=False)


@dataclass(frozen=True, slots=True)
class Taxonomy(Output):
    """One or more paths from the root, ``(("Animal", "Cat"), ("Plant",))``; ``distribution`` as in `Choices`."""

    paths: tuple[tuple[str, ...], ...]
    distribution: Mapping[str, float] | None = field(default=None, kw_only=True, compare=False)


@dataclass(frozen=True, slots=True)
class Rating(Output):
    """Stars, an integer from 1 to the control's ``maxRating``."""

    value: int


@dataclass(frozen=True, slots=True)
class Number(Output):
    """A number within the control's ``min`` and ``max``."""

    value: float


@dataclass(frozen=True, slots=True)
class DateTime(Output):
    """A date or time; strings are passed through in the control's ``format``."""

    value: str | date | datetime


@dataclass(frozen=True, slots=True)
class Text(Output):
    """Written text (caption, transcription, answer), one string or several, for ``TextArea``."""

    text: str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preference(Output):
    """Which of two is better, for ``Pairwise``."""

    selected: Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Ranking(Output):
    """Item ids best first, or ids by bucket name, for ``Ranker``."""

    order: tuple[str, ...] | Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ChatMessage(Output):
    """One message for ``Chat``. ``role`` is one of the control's ``messageroles``; ``created`` is now when None."""

    content: str
    role: str = "assistant"
    created: datetime | None = None


# --- text
@dataclass(frozen=True, slots=True)
class Span(Output):
    """Characters ``start`` to ``end`` (exclusive) of a text, or of a hypertext's visible text."""

    start: int
    end: int
    label: str | None = None


@dataclass(frozen=True, slots=True)
class ParagraphSpan(Output):
    """Characters of one paragraph (0-based) to another; ``end`` exclusive, counted inside ``end_paragraph``."""

    paragraph: int
    start: int
    end: int
    label: str | None = None
    end_paragraph: int | None = None


# --- images
@dataclass(frozen=True, slots=True)
class Box(Output):
    """An axis-parallel or rotated rectangle: top-left corner, width, height; see `from_xyxy`, `from_cxcywh`.

    ``rotation`` is degrees clockwise around the top-left corner. ``text`` is what OCR read inside. ``page`` is the
    0-based index of a multi-page image.
    """

    x: float
    y: float
    width: float
    height: float
    label: str | None = None
    unit: Unit = Unit.PIXEL
    rotation: float = 0.0
    text: str | None = None
    page: int | None = None

    @classmethod
    def from_xyxy(cls, x1: float, y1: float, x2: float, y2: float, label: str | None = None, **rest: Any) -> Box:
        """From two corners."""
        return cls(min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1), label, **rest)

    @classmethod
    def from_cxcywh(
        cls, cx: float, cy: float, width: float, height: float, label: str | None = None, **rest: Any
    ) -> Box:
        """From the centre (YOLO's form)."""
        return cls(cx - width / 2, cy - height / 2, width, height, label, **rest)


@dataclass(frozen=True, slots=True, eq=False)
class Boxes(Output):
    """Many axis-parallel boxes at once, as detectors return them: quicker than a `Box` each.

    ``corners`` is ``[N, 4]``: left, top, right, bottom. ``labels`` and ``scores`` have one entry for each box.
    """

    corners: ArrayLike
    labels: Sequence[str] | NDArray[np.str_] | None = None
    scores: ArrayLike | None = None
    unit: Unit = Unit.PIXEL
    page: int | None = None

    def __iter__(self) -> Iterator[Box]:
        """The same, one by one."""
        import numpy as np  # noqa: PLC0415 (only who has arrays needs it)

        corners = np.asarray(self.corners, dtype=float).reshape(-1, 4).tolist()
        labels = [None] * len(corners) if self.labels is None else [str(label) for label in self.labels]
        scores = [None] * len(corners) if self.scores is None else np.asarray(self.scores, dtype=float).tolist()
        common: Any = {"control": self.control, "meta": self.meta, "unit": self.unit, "page": self.page}
        for (x1, y1, x2, y2), label, score in zip(corners, labels, scores, strict=True):
            yield Box.from_xyxy(x1, y1, x2, y2, label, score=score, **common)

    def __eq__(self, other: object) -> bool:
        """Arrays have no single answer to that: boxes are equal only if they are one."""
        return self is other

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True, slots=True)
class Ellipse(Output):
    """Centre, radii, rotation in degrees clockwise."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    label: str | None = None
    unit: Unit = Unit.PIXEL
    rotation: float = 0.0
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Polygon(Output):
    """Points ``((x, y), ...)``, at least three; the ring is closed by itself."""

    points: tuple[tuple[float, float], ...]
    label: str | None = None
    unit: Unit = Unit.PIXEL
    text: str | None = None
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Keypoint(Output):
    """One point; ``size`` is the drawn diameter in percent of the image's width."""

    x: float
    y: float
    label: str | None = None
    unit: Unit = Unit.PIXEL
    size: float = 0.5
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Polyline(Output):
    """An open (or closed) line through points, for ``Vector``/``VectorLabels``."""

    points: tuple[tuple[float, float], ...]
    label: str | None = None
    unit: Unit = Unit.PIXEL
    closed: bool = False
    page: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Mask(Output):
    """Pixels of the image: ``array`` is ``[height, width]``, bool, integer (0 is outside) or probabilities 0..1.

    Probabilities are inside from ``threshold`` on.
    A mask smaller or larger than the image is scaled to it (nearest neighbour). Goes into brush (RLE), bitmask, polygon
    or box controls, whichever the labeling config has. ``tolerance`` is how many pixels the outline of a polygon may be
    off; smaller makes more points.
    """

    array: NDArray[np.generic]
    label: str | None = None
    threshold: float = 0.5
    page: int | None = None
    tolerance: float = 1.0

    def __eq__(self, other: object) -> bool:
        """Two masks are equal only if they are one: arrays have no single answer to that."""
        return self is other

    def __hash__(self) -> int:
        return id(self)


# --- time
@dataclass(frozen=True, slots=True)
class Segment(Output):
    """``start`` to ``end`` in seconds of an audio (``math.inf``: to its end); ``text`` is what was said in it."""

    start: float
    end: float
    label: str | None = None
    channel: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class SeriesSegment(Output):
    """``start`` to ``end`` of a time series, in the values of its time column; ``end`` None: an instant.

    Dates are written in the ``timeFormat`` of the ``TimeSeries`` tag, where it has one.
    """

    start: float | str | date
    end: float | str | date | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class FrameSpan(Output):
    """Frames ``start`` to ``end`` (both 1-based and inclusive) of a video, for ``TimelineLabels``."""

    start: int
    end: int
    label: str | None = None


@dataclass(frozen=True, slots=True)
class TrackBox:
    """A `Track`'s rectangle at one frame (1-based); ``enabled`` False ends the track until the next entry."""

    frame: int
    x: float
    y: float
    width: float
    height: float
    rotation: float = 0.0
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Track(Output):
    """A rectangle moving through a video; keyframes in rising order, interpolated between."""

    boxes: tuple[TrackBox, ...]
    label: str | None = None
    unit: Unit = Unit.PIXEL
    frames_count: int | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class TrackLine:
    """A `VectorTrack`'s points at one frame (1-based)."""

    frame: int
    points: tuple[tuple[float, float], ...]
    closed: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class VectorTrack(Output):
    """A line or polygon moving through a video, for ``VideoVector``."""

    lines: tuple[TrackLine, ...]
    label: str | None = None
    unit: Unit = Unit.PIXEL
    frames_count: int | None = None
    duration_s: float | None = None


# --- between regions, and the way out
@dataclass(frozen=True, slots=True)
class Relation(Output):
    """A relation from one output's ``id`` to another's."""

    source: str
    target: str
    labels: tuple[str, ...] = ()
    direction: Literal["right", "left", "bi"] = "right"


@dataclass(frozen=True, slots=True)
class Raw(Output):
    """A finished Label Studio region, passed through as it is (existing models, custom tags)."""

    region: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Regions(Output):
    """All regions of one prediction that an existing model made itself; each is checked against the labeling config.

    Unlike `Raw` nothing passes that Label Studio would not take. ``score`` is the prediction's own; ``left_out`` are
    sentences about what was dropped on the way here.
    """

    regions: tuple[Any, ...]
    left_out: tuple[str, ...] = ()


Outputs = Sequence[Output]
"""What a model says of one item."""
