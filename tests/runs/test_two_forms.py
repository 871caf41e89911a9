"""Predictions in Labelbox's form against annotations in Label Studio's: one thing is the same in both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from prelabel import Box, Choice, Choices, ParagraphSpan, Segment, Span, Text, Track, TrackBox, Unit
from prelabel.client import Client
from prelabel.client_run import ModelRun

VIDEO = (
    '<View><Labels name="o" toName="v"><Label value="cat"/></Labels><Video name="v" value="$video"/>'
    '<VideoRectangle name="b" toName="v"/></View>'
)
PAGES = (
    '<View><Image name="i" valueList="$pages"/><RectangleLabels name="o" toName="i">'
    '<Label value="stamp"/></RectangleLabels></View>'
)
TALK = (
    '<View><Paragraphs name="t" value="$talk" layout="dialogue"/><ParagraphLabels name="o" toName="t">'
    '<Label value="name"/></ParagraphLabels></View>'
)
TEXT = (
    '<View><Text name="t" value="$text"/><Labels name="o" toName="t"><Label value="name"/></Labels>'
    '<Choices name="mood" toName="t" choice="single"><Choice value="good"/><Choice value="bad"/></Choices></View>'
)
SOUND = (
    '<View><Labels name="o" toName="a"><Label value="speech"/></Labels><Audio name="a" value="$audio"/>'
    '<Choices name="lang" toName="a" perRegion="true"><Choice value="de"/></Choices></View>'
)
Sides = Callable[..., ModelRun]


@pytest.fixture
def sides(sqlite_client: Client) -> Sides:
    """A run of one data row: Labelbox's rows are predicted, outputs are annotated as Label Studio's regions."""

    def make(config: str, media: str, said: list[dict[str, Any]], there: Any, **row: Any) -> ModelRun:
        sqlite_client.import_data_rows("rows", [{"row_data": "x", "global_key": "k", "media_type": media, **row}])
        run = sqlite_client.create_model(media, sqlite_client.create_ontology(config)).create_model_run(f"{media}-1")
        run.upsert_data_rows(global_keys=["k"])
        rows = [{"dataRow": {"globalKey": "k"}, "uuid": f"u{at}", **one} for at, one in enumerate(said)]
        for job in (run.add_predictions("p", rows), run.upsert_labels({"k": there})):
            assert not job.errors, [error for status in job.errors for error in status.errors]
        return run

    return make


def pixels(left: float, top: float = 20) -> dict[str, float]:
    return {"left": left, "top": top, "width": 40, "height": 30}


def test_a_video_s_pixels_and_percent(sides: Sides) -> None:
    keyframes = [{"frame": 1, "bbox": pixels(10)}, {"frame": 5, "bbox": pixels(50)}]
    track = Track([TrackBox(1, 10, 20, 40, 30), TrackBox(5, 50, 20, 40, 30, enabled=False)], "cat")
    facts = {"width": 200, "height": 100, "frames_count": 10, "fps": 25}
    run = sides(VIDEO, "video", [{"name": "cat", "segments": [{"keyframes": keyframes}]}], [track], facts=facts)
    found = run.metrics()
    assert (found.run.tp, found.run.iou) == (1, pytest.approx(1))


@pytest.mark.parametrize(("unit", "scale"), [("PERCENT", 1.0), ("POINTS", 6.12), ("PIXELS", 12.24), ("INCHES", 0.085)])
def test_a_document_s_units_and_percent(sides: Sides, unit: str, scale: float) -> None:
    """A square page of 612 points: 8.5 inches, 1224 pixels."""
    bbox = {side: value * scale for side, value in pixels(10).items()}
    pages = [{"width": 612, "height": 612, "pixels": [1224, 1224]}] * 2
    there = Box(10, 20, 40, 30, "stamp", unit=Unit.PERCENT, page=1)
    row = {"row_data": {"pages": ["1.png", "2.png"]}, "facts": {"pages": pages}}
    found = sides(
        PAGES, "document", [{"name": "stamp", "bbox": bbox, "unit": unit, "page": 1}], [there], **row
    ).metrics()
    assert (found.run.tp, found.run.iou) == (1, pytest.approx(1)), found.reasons


def test_what_cannot_be_compared_is_left_out_and_says_why(sqlite_client: Client, sides: Sides) -> None:
    stamp = {"name": "stamp", "page": 0}
    run = sides(PAGES, "document", [{**stamp, "bbox": pixels(10), "unit": "POINTS"}], [])
    run.upsert_labels([{"dataRow": {"globalKey": "k"}, "uuid": "a", **stamp, "bbox": pixels(10), "unit": "PIXELS"}])
    found = run.metrics()
    assert (found.data_rows, found.left_out) == (0, 1)
    (reason,) = found.reasons
    assert reason.startswith(
        "k: boxes on page 0 are in PIXELS and POINTS, and its size is not known. Import the data row"
    )
    facts = {"pages": [{"width": 612, "height": 792, "pixels": [612, 792]}]}
    sqlite_client.import_data_rows(
        "rows", [{"row_data": "x", "global_key": "k", "media_type": "document", "facts": facts}]
    )
    run.metrics()
    assert run.metrics().run.tp == 1


def test_messages_by_id_and_paragraphs_by_index(sides: Sides) -> None:
    facts = {"messages": [{"id": "m7", "text": "Hello"}, {"id": "m9", "text": "I am Ann"}]}
    said = [{"name": "name", "location": {"start": 5, "end": 7}, "messageId": "m9"}]
    run = sides(TALK, "conversational", said, [ParagraphSpan(1, 5, 8, "name")], facts=facts)
    found = run.metrics()
    assert (found.run.tp, found.run.iou) == (1, pytest.approx(1)), found.reasons


def test_inclusive_and_exclusive_ends_and_answers(sides: Sides) -> None:
    said = [
        {"name": "name", "location": {"start": 0, "end": 2}},
        {"name": "mood", "answer": {"name": "good", "confidence": 0.75}},
    ]
    found = sides(TEXT, "text", said, [Span(0, 3, "name"), Choice("good")], row_data="Ann is here").metrics()
    assert (found.run.tp, found.run.fp, found.run.fn, found.run.iou) == (2, 0, 0, 1)


def test_milliseconds_and_seconds(sides: Sides) -> None:
    said = [{"name": "speech", "answer": [{"name": "de", "frames": [{"start": 1200, "end": 3400}]}]}]
    facts = {"duration_s": 10.0}
    config = SOUND.replace('<Labels name="o" toName="a"><Label value="speech"/></Labels>',
                           '<Labels name="speech" toName="a"><Label value="de"/></Labels>')  # fmt: skip
    run = sides(config, "audio", said, [Segment(1.2, 3.4, "de")], facts=facts)
    found = run.metrics()
    assert (found.data_rows, found.run.tp) == (1, 1), found.reasons


NESTED = (
    '<View><Text name="t" value="$text"/>'
    '<Choices name="topic" toName="t" choice="single"><Choice value="sport"/></Choices>'
    '<View visibleWhen="choice-selected" whenTagName="topic" whenChoiceValue="sport">'
    '<Choices name="topic__sport__which" toName="t" choice="multiple"><Choice value="golf"/><Choice value="tennis"/>'
    '</Choices></View><TextArea name="why" toName="t"/></View>'
)


def test_nested_questions(sides: Sides) -> None:
    which = {"name": "which", "answer": [{"name": "golf"}]}
    said = [
        {"name": "topic", "answer": {"name": "sport", "classifications": [which]}},
        {"name": "why", "answer": "He swings."},
    ]
    there = [
        Choices(("sport",), control="topic"),
        Choices(("golf", "tennis"), control="topic__sport__which"),
        Text("He swings.", control="why"),
    ]
    found = sides(NESTED, "text", said, there, row_data="He swings a club").metrics()
    assert (found.run.tp, found.run.fp, found.run.fn) == (3, 0, 1), found.confusion
