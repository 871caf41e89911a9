"""prelabel turns any model into a Label Studio ML backend.

This is all that a model needs: `ModelWrapper` (or a plain function), what it is given (`Task`, `Item`, `Audio`) and
what it can say (`Choice`, `Span`, `Box`, `Mask`, `Segment` ...); and `Client`, the way to model runs and their metrics.
Importing it loads neither NumPy nor any server.
"""

from typing import TYPE_CHECKING, Any

from prelabel.errors import PrelabelError
from prelabel.model import Audio, InputKind, Item, ModelWrapper, Silence
from prelabel.outputs import (
    Box,
    Boxes,
    ChatMessage,
    Choice,
    Choices,
    DateTime,
    Ellipse,
    FrameSpan,
    Keypoint,
    Mask,
    Number,
    Output,
    ParagraphSpan,
    Polygon,
    Polyline,
    Preference,
    Ranking,
    Rating,
    Raw,
    Regions,
    Relation,
    Segment,
    SeriesSegment,
    Span,
    Taxonomy,
    Text,
    Track,
    TrackBox,
    TrackLine,
    Unit,
    VectorTrack,
)
from prelabel.prompts import (
    BoxPrompt,
    BrushPrompt,
    EllipsePrompt,
    PointPrompt,
    PolygonPrompt,
    Prompt,
    Prompts,
    TextPrompt,
)
from prelabel.tasks import Facts, Task

if TYPE_CHECKING:
    from prelabel.client import Client
    from prelabel.labeling import LabelingConfig, parse

__version__ = "0.1.0"

__all__ = [
    "Audio",
    "Box",
    "BoxPrompt",
    "Boxes",
    "BrushPrompt",
    "ChatMessage",
    "Choice",
    "Choices",
    "Client",
    "DateTime",
    "Ellipse",
    "EllipsePrompt",
    "Facts",
    "FrameSpan",
    "InputKind",
    "Item",
    "Keypoint",
    "LabelingConfig",
    "Mask",
    "ModelWrapper",
    "Number",
    "Output",
    "ParagraphSpan",
    "PointPrompt",
    "Polygon",
    "PolygonPrompt",
    "Polyline",
    "Preference",
    "PrelabelError",
    "Prompt",
    "Prompts",
    "Ranking",
    "Rating",
    "Raw",
    "Regions",
    "Relation",
    "Segment",
    "SeriesSegment",
    "Silence",
    "Span",
    "Task",
    "Taxonomy",
    "Text",
    "TextPrompt",
    "Track",
    "TrackBox",
    "TrackLine",
    "Unit",
    "VectorTrack",
    "__version__",
    "parse",
]


def __getattr__(name: str) -> Any:
    """The names that need more than this package, loaded when somebody asks for them."""
    if name in {"LabelingConfig", "parse"}:
        from prelabel import labeling  # noqa: PLC0415 (defusedxml is imported by those who parse a config)

        return getattr(labeling, name)
    if name == "Client":
        from prelabel import client  # noqa: PLC0415 (SQLAlchemy and NumPy, by those who look at model runs)

        return client.Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
