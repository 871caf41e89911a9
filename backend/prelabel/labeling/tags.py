"""What Label Studio's tags take and show: the one table behind `find_control`, `fit` and docs/labeling-configs.md.

`TAKES` answers "which control tags can hold this kind of output, and which come first"; `READS` answers "which object
tags can this kind of model input be read from". Tag names are Label Studio's own, in its spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prelabel import outputs as o
from prelabel.model import InputKind

LABEL_TAGS = frozenset({"Label", "Choice", "Relation", "Bucket", "Channel", "Role", "Shortcut"})
"""Children that name a label, a choice or a part of their parent; never controls or objects."""

IMAGE = frozenset({"Image"})
AUDIO = frozenset({"Audio", "AudioPlus"})
VIDEO = frozenset({"Video"})
SERIES = frozenset({"TimeSeries"})
PARAGRAPHS = frozenset({"Paragraphs"})
PDF = frozenset({"Pdf"})
CHAT = frozenset({"Chat"})
TEXTS = frozenset({"Text", "HyperText"})
WORDS = TEXTS | PARAGRAPHS | CHAT | {"Header", "Markdown", "List", "Table"}
"""Object tags whose value is text, or is made of it."""

OBJECT_TAGS = IMAGE | AUDIO | VIDEO | SERIES | PDF | WORDS
"""Every object tag known here. Others are tolerated: a named tag with a ``$`` value is an object."""

SELF_CONTROLS = frozenset({"Chat", "ReactCode"})
"""Tags that show data and take answers under one name."""

PER_TASK_LABEL_CONTROLS = frozenset({"Choices", "Taxonomy"})
"""Controls that name the whole task's (or region's) class."""


@dataclass(frozen=True, slots=True)
class Takes:
    """A control tag that can hold an output, where it points at one of ``objects`` (None: at anything)."""

    control: str
    objects: frozenset[str] | None = None


def _on(objects: frozenset[str] | None, *controls: str) -> tuple[Takes, ...]:
    return tuple(Takes(control, objects) for control in controls)


_BOX = _on(IMAGE, "RectangleLabels", "Rectangle") + _on(PDF, "OcrLabels")
_POLYGON = _on(IMAGE, "PolygonLabels", "Polygon")
_MASK = _on(IMAGE, "BrushLabels", "Brush", "BitmaskLabels", "Bitmask", "MagicWand")

TAKES: Mapping[type[o.Output], tuple[Takes, ...]] = {
    o.Choice: _on(None, "Choices", "Taxonomy"),
    o.Choices: _on(None, "Choices", "Taxonomy"),
    o.Taxonomy: _on(None, "Taxonomy", "Choices"),
    o.Rating: _on(None, "Rating"),
    o.Number: _on(None, "Number"),
    o.DateTime: _on(None, "DateTime"),
    o.Text: _on(None, "TextArea"),
    o.Preference: _on(None, "Pairwise"),
    o.Ranking: _on(None, "Ranker"),
    o.ChatMessage: _on(CHAT, "Chat"),
    o.Span: _on(TEXTS, "Labels", "HyperTextLabels"),
    o.ParagraphSpan: _on(PARAGRAPHS, "ParagraphLabels", "Labels"),
    o.Box: _BOX,
    o.Boxes: _BOX,
    o.Ellipse: _on(IMAGE, "EllipseLabels", "Ellipse"),
    o.Polygon: _POLYGON,
    o.Keypoint: _on(IMAGE, "KeyPointLabels", "KeyPoint"),
    o.Polyline: _on(IMAGE, "VectorLabels", "Vector"),
    o.Mask: _MASK + _POLYGON + _on(IMAGE, "RectangleLabels", "Rectangle"),
    o.Segment: _on(AUDIO, "Labels"),
    o.SeriesSegment: _on(SERIES, "TimeSeriesLabels", "Labels"),
    o.FrameSpan: _on(VIDEO, "TimelineLabels"),
    o.Track: _on(VIDEO, "VideoRectangle"),
    o.VectorTrack: _on(VIDEO, "VideoVectorLabels", "VideoVector"),
}
"""Output class to the control tags that can hold it, the preferred first. `Relation` and `Raw` need no control."""

READS: Mapping[InputKind, frozenset[str] | None] = {
    InputKind.TEXT: WORDS,
    InputKind.IMAGE: IMAGE,
    InputKind.ARRAY: IMAGE | AUDIO,
    InputKind.AUDIO: AUDIO,
    InputKind.TABLE: SERIES | {"Table"},
    InputKind.FILE: None,
    InputKind.VALUE: None,
    InputKind.TASK: None,
    InputKind.ITEM: None,
    InputKind.BARE: None,
}
"""Model input to the object tags it can be read from; None: from any. Object tags not in `OBJECT_TAGS` always pass."""

NOUNS: Mapping[type[o.Output], str] = {
    o.Choice: "a class",
    o.Choices: "several classes",
    o.Taxonomy: "taxonomy paths",
    o.Rating: "a rating",
    o.Number: "a number",
    o.DateTime: "a date",
    o.Text: "written text",
    o.Preference: "a preference",
    o.Ranking: "a ranking",
    o.ChatMessage: "chat messages",
    o.Span: "text spans",
    o.ParagraphSpan: "paragraph spans",
    o.Box: "boxes",
    o.Boxes: "boxes",
    o.Ellipse: "ellipses",
    o.Polygon: "polygons",
    o.Keypoint: "keypoints",
    o.Polyline: "lines",
    o.Mask: "masks",
    o.Segment: "audio segments",
    o.SeriesSegment: "time series segments",
    o.FrameSpan: "video frame spans",
    o.Track: "video tracks",
    o.VectorTrack: "video line tracks",
    o.Relation: "relations",
    o.Raw: "finished regions",
    o.Regions: "finished regions",
}
"""What messages call each kind of output."""

INPUT_NOUNS: Mapping[InputKind, str] = {
    InputKind.TEXT: "text",
    InputKind.IMAGE: "images",
    InputKind.ARRAY: "images or audio",
    InputKind.AUDIO: "audio",
    InputKind.TABLE: "time series or tables",
}
"""What messages call each kind of input that not every object tag gives."""

_CONTROL_TAGS = {takes.control for row in TAKES.values() for takes in row} | SELF_CONTROLS
CANONICAL: Mapping[str, str] = {
    name.lower(): name for name in _CONTROL_TAGS | OBJECT_TAGS | LABEL_TAGS | {"Relations", "Repeater", "View"}
}
"""Lower-case tag name to Label Studio's spelling: its editor does not mind case."""


def labels_of(output: o.Output) -> tuple[str, ...]:
    """The labels an output carries; for taxonomy paths, their leaves."""
    if isinstance(output, o.Choices):
        return output.labels
    if isinstance(output, o.Taxonomy):
        return tuple(path[-1] for path in output.paths if path)
    label = getattr(output, "label", None)
    return () if label is None else (str(label),)
