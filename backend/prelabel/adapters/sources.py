"""What frameworks return, and what becomes of it: the table in docs/outputs.md.

Each row stands for one form that an adapter reads. ``tested`` says on what: objects that the real library made (for the
heavy ones where they are installed), or structures written down from its documentation. tests/backend/test_native.py
holds an example of every row and checks that it becomes these outputs; test_native_libraries.py has the heavy ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prelabel import outputs as o
from prelabel.labeling.tags import TAKES

Kind = type[o.Output]
Tested = Literal["real", "installed", "documented"]
_TESTED: Mapping[Tested, str] = {
    "real": "real objects",
    "installed": "real objects, where installed",
    "documented": "documented structures",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One form: whose it is, what it looks like, which outputs it may become, and on what that was tested."""

    framework: str
    form: str
    outputs: tuple[Kind, ...]
    tested: Tested

    @property
    def controls(self) -> tuple[str, ...]:
        """The control tags that take one of the outputs, the preferred first."""
        return tuple(dict.fromkeys(takes.control for kind in self.outputs for takes in TAKES.get(kind, ())))


_FOUND: tuple[Kind, ...] = (o.Boxes, o.Mask)
_STRETCHES: tuple[Kind, ...] = (o.SeriesSegment, o.Segment, o.FrameSpan)
_CLASSES: tuple[Kind, ...] = (o.Choice, o.Choices, o.Taxonomy)

_NUMPY, _PANDAS, _PIPELINES = "NumPy", "pandas", "transformers"

SOURCES: tuple[Source, ...] = (
    Source(_NUMPY, "`[classes]` probabilities of a model that declares its `labels`", _CLASSES, "real"),
    Source(_NUMPY, '`{"probabilities": [classes], "names": ...}`', _CLASSES, "real"),
    Source(_NUMPY, "`[N, 4]` corners", (o.Boxes,), "real"),
    Source(
        _NUMPY,
        '`{"xyxy": [N, 4..6]}`, or `"xywh"` (top-left corner and size), or `"cxcywh"` (centre and size); column 5 is'
        ' the score, 6 the class; `"unit": "fraction"` for 0..1',
        (o.Boxes,),
        "real",
    ),
    Source(_NUMPY, "`[H, W]` bool, integers or probabilities", (o.Mask,), "real"),
    Source(_NUMPY, '`{"masks": [N, H, W], "labels": ..., "scores": ...}`', (o.Mask,), "real"),
    Source(_NUMPY, '`{"label_map": [H, W] of class numbers, "names": ...}`; 0 is the background', (o.Mask,), "real"),
    Source(_NUMPY, '`{"keypoints": [K, 2..3] or [N, K, 2..3], "names": ...}`', (o.Keypoint,), "real"),
    Source(_NUMPY, '`{"flags": [N], "times": [N], "label": ...}`; `[N]` bool without times', _STRETCHES, "real"),
    Source(_PANDAS, "`DataFrame` with a row for each box, span or segment", (o.Boxes, o.Span, *_STRETCHES), "real"),
    Source(_PANDAS, "`DataFrame` of one row, or `Series`: probabilities by class name", _CLASSES, "real"),
    Source(_PANDAS, "`Series` of bool or integers with the time as its index", _STRETCHES, "real"),
    Source("supervision", "`Detections`; names from `data['class_name']`", _FOUND, "real"),
    Source("supervision", "`KeyPoints`", (o.Keypoint,), "real"),
    Source("supervision", "list of `Detections` with `tracker_id`, one a frame", (o.Track,), "real"),
    Source(
        "Ultralytics",
        "`Results`; names from `names`",
        (*_FOUND, o.Polygon, o.Box, o.Keypoint, *_CLASSES),
        "installed",
    ),
    Source("Ultralytics", "list of `Results` with track ids, one a frame", (o.Track,), "installed"),
    Source("spaCy", "`Doc`: `ents`, `spans`, `cats`", (o.Span, *_CLASSES), "real"),
    Source(_PIPELINES, "text, image, audio and zero-shot classification", _CLASSES, "installed"),
    Source(_PIPELINES, "token classification, aggregated or with BIO tags", (o.Span,), "installed"),
    Source(
        _PIPELINES,
        "object detection; `post_process_object_detection` with `id2label`",
        (o.Box, o.Boxes),
        "installed",
    ),
    Source(_PIPELINES, "semantic segmentation", (o.Mask,), "installed"),
    Source(_PIPELINES, "instance and panoptic segmentation", (o.Mask,), "installed"),
    Source(_PIPELINES, "`post_process_panoptic_segmentation` with `id2label`", (o.Mask,), "installed"),
    Source(_PIPELINES, "speech recognition, with or without `chunks`", (o.Segment, o.Text), "installed"),
    Source(_PIPELINES, "question answering, of documents and pictures too", (o.Text, o.Span, o.Choice), "installed"),
    Source(_PIPELINES, "generated text, summaries, translations", (o.Text,), "installed"),
    Source(
        "torchvision",
        "dict of `boxes`, `labels`, `scores`, `masks`, `keypoints` with `names`",
        (*_FOUND, o.Keypoint),
        "documented",
    ),
    Source("COCO", "results or annotations of one image", (*_FOUND, o.Polygon, o.Keypoint), "documented"),
    Source("Tesseract", "`image_to_data` as text, dict or `DataFrame`", (o.Box, o.Text), "real"),
    Source(
        "RapidOCR",
        "list of corners, text, score (alone or with the times); `RapidOCROutput`",
        (o.Box, o.Polygon, o.Text),
        "real",
    ),
    Source("OpenAI", "chat completion or response: its text, or the JSON in it", (o.Text, *_CLASSES), "documented"),
    Source(
        "Labelbox",
        "`Label`, `ObjectAnnotation`, `ClassificationAnnotation`, NDJSON rows of one item",
        (o.Box, o.Polygon, o.Mask, o.Polyline, o.Keypoint, o.Span, o.Choice, o.Choices, o.Text, o.Relation),
        "real",
    ),
)


def table() -> str:
    """The table in Markdown."""
    rows = ["| from | what comes in | becomes | controls | tested on |", "|---|---|---|---|---|"]
    for source in SOURCES:
        outputs = ", ".join(f"`{kind.__name__}`" for kind in source.outputs)
        controls = ", ".join(f"`{control}`" for control in source.controls)
        rows.append(f"| {source.framework} | {source.form} | {outputs} | {controls} | {_TESTED[source.tested]} |")
    return "\n".join(rows) + "\n"
