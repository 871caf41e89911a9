"""What a model would say to get each recorded prediction: outputs and facts by the name of the recorded config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray

from prelabel.outputs import (
    Box,
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
from prelabel.tasks import Facts

TEXT = "Barack Obama was born in Hawaii"
ITEMS = ("i1", "i2")


@dataclass(frozen=True)
class Case:
    """``outputs`` that should become the recorded regions, with what is known of the data."""

    outputs: Sequence[Output]
    facts: Mapping[str, Facts] = field(default_factory=dict)


def _text(*outputs: Output) -> Case:
    return Case(outputs, {"text": Facts(text=TEXT)})


def _image(*outputs: Output, size: tuple[int, int] = (400, 300)) -> Case:
    return Case(outputs, {"image": Facts(width=size[0], height=size[1])})


def _block() -> NDArray[np.bool_]:
    """The recorded masks: 14 x 7 pixels of an image of 40 x 30."""
    mask = np.zeros((30, 40), dtype=np.bool_)
    mask[5:12, 6:20] = True
    return mask


LINE = ((40, 30), (120, 60), (160, 150))
PERCENT_LINE = ((10, 10), (30, 20), (40, 50))
TRIANGLE = ((40, 30), (80, 30), (60, 75))
VIDEO = {"video": Facts(frames_count=100, duration_s=4.0, fps=25.0, width=1280, height=720)}
RECTANGLE = Box(40, 30, 80, 60, "Car", id="r1")

CASES: Mapping[str, Case] = {
    # the whole task
    "choices_single": _text(Choice("Positive")),
    "choices_multiple": _text(Choices(("sport", "politics"))),
    "choices_alias": _text(Choice("Positive")),
    "choices_nested": _text(Choice("A1")),
    "choices_per_region": _image(RECTANGLE, Choice("yes", of="r1")),
    "list_choices": Case([Choice("ok")]),
    "table_choices": Case([Choice("ok")]),
    "taxonomy": _text(Taxonomy((("Animal", "Cat"), ("Plant",)))),
    "rating": _text(Rating(4)),
    "number": _text(Number(7.5)),
    "datetime": _text(DateTime(datetime(2026, 1, 31, 12, 30, 59, tzinfo=timezone.utc))),
    "textarea": _text(Text("A short summary")),
    "textarea_per_region": _image(RECTANGLE, Text("blue", of="r1")),
    "pairwise": Case([Preference("left")]),
    "ranker": Case([Ranking(("i2", "i1"))]),
    "ranker_buckets": Case([Ranking({"best": ("i2",), "worst": ("i1",)})]),
    "chat": Case([ChatMessage("Hello!", created=datetime.fromtimestamp(1_700_000_000, tz=timezone.utc))]),
    "reactcode": Case(
        [
            Raw(
                {
                    "from_name": "rc",
                    "to_name": "rc",
                    "type": "reactcode",
                    "value": {"reactcode": {"label": "a", "note": "n"}},
                }
            )
        ]
    ),
    "two_controls_one_task": _text(Choice("Positive"), Span(0, 12, "PER")),
    # text
    "labels_text": _text(Span(0, 12, "PER", score=0.9)),
    "hypertextlabels": Case(
        [Span(0, 12, "PER")], {"html": Facts(text="<div><p>Barack Obama was born in Hawaii</p></div>")}
    ),
    "paragraphlabels": Case([ParagraphSpan(0, 0, 5, "Question")], {"dialog": Facts(paragraphs=("Hello there", "Hi"))}),
    "relations": _text(Relation("a", "b", ("born in",)), Span(0, 12, "PER", id="a"), Span(25, 31, "LOC", id="b")),
    # images
    "rectangle": _image(Box(42, 60, 120, 45)),
    "rectanglelabels": _image(Box.from_xyxy(42, 60, 162, 105, "Car", score=0.77)),
    "labels_on_rectangle_split": _image(RECTANGLE),
    "image_multipage_item_index": Case(
        [Box.from_cxcywh(100, 82.5, 120, 45, "Car", page=1)],
        {"image": Facts(pages=((800, 600), (400, 300)))},
    ),
    "ocr_rectangle_transcription": _image(Box(40, 30, 80, 15, "Car", text="hello")),
    "ocrlabels_pdf": Case([Box(10, 10, 20, 5, "Title", unit=Unit.PERCENT, text="Hello")]),
    "ellipse": _image(Ellipse(0.5, 0.5, 0.1, 0.05, unit=Unit.FRACTION)),
    "ellipselabels": _image(Ellipse(200, 150, 40, 15, "Car")),
    "polygon": _image(Polygon(TRIANGLE)),
    "polygonlabels": _image(Polygon((*TRIANGLE, TRIANGLE[0]), "Car")),
    "keypoint": _image(Keypoint(197.2, 179.7)),
    "keypointlabels": _image(Keypoint(197.2, 179.7, "Car")),
    "vector": _image(Polyline(LINE)),
    "vectorlabels": _image(Polyline(LINE, "Car")),
    "brush_rle": _image(Mask(_block()), size=(40, 30)),
    "brushlabels_rle": _image(Mask(_block().astype(np.uint8), "Car"), size=(40, 30)),
    "magicwand": _image(Mask(_block() * 0.9), size=(40, 30)),
    "bitmask": _image(Mask(_block()), size=(40, 30)),
    "bitmasklabels": _image(Mask(_block(), "Car"), size=(40, 30)),
    # time
    "audio_labels": Case([Segment(1.2, 3.4, "Speech")], {"audio": Facts(duration_s=10.0)}),
    "audio_transcription_per_region": Case(
        [Segment(1.2, 3.4, "Speech", text="hello")], {"audio": Facts(duration_s=10.0)}
    ),
    "timeserieslabels": Case([SeriesSegment(1, 2, "Run")]),
    # video
    "timelinelabels": Case([FrameSpan(3, 25, "Goal")], VIDEO),
    "videorectangle": Case(
        [
            Track(
                (TrackBox(1, 128, 72, 256, 144), TrackBox(50, 192, 72, 256, 144, enabled=False)),
                "Man",
            )
        ],
        VIDEO,
    ),
    "videovector": Case([VectorTrack((TrackLine(1, PERCENT_LINE),), unit=Unit.PERCENT)], VIDEO),
    "videovectorlabels": Case([VectorTrack((TrackLine(1, PERCENT_LINE),), "Man", unit=Unit.PERCENT)], VIDEO),
}
REFUSED = {"pairwise_to_name_both"}
"""Recorded because Label Studio refuses it: a pairwise answer that names both objects."""
