"""NDJSON rows: every sample is accepted and comes out equal; what is wrong is refused with field and remedy."""

from __future__ import annotations

import base64
import copy
import io
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from prelabel.errors import RequestError
from prelabel.labelbox.assets import AssetFacts, Message, Page, Raster, Token
from prelabel.labelbox.many import NEWEST, Many
from prelabel.labelbox.objects import rows_of_objects
from prelabel.labelbox.ontology import Ontology
from prelabel.labelbox.reading import LIMIT, Seen, read_rows
from prelabel.labelbox.rows import Accepted, DataRowFacts, DataRowRef, Refused
from prelabel.labelbox.writing import write_row

DATA = Path(__file__).parent / "data"
Json = dict[str, Any]
SAMPLES: list[Json] = [json.loads(line) for line in (DATA / "payloads.ndjson").read_text(encoding="utf-8").splitlines()]
ONTOLOGY = Ontology.from_json((DATA / "ontology.json").read_text(encoding="utf-8"))

FACTS: dict[str, DataRowFacts] = {
    "image": DataRowFacts("image", 2560, 1707),
    "video": DataRowFacts("video", 1920, 1080, frames_count=100),
    "text": DataRowFacts("text", text_length=44),
    "document": DataRowFacts("document", pages=2, page_sizes=(Page(612, 792), Page(612, 792))),
    "geospatial": DataRowFacts("geospatial", epsg=4326),
    "audio": DataRowFacts("audio", duration_ms=4000),
    "conversational": DataRowFacts("conversational", messages={str(i): 20 for i in range(11)}),
    "html": DataRowFacts("html"),
    "dicom": DataRowFacts("dicom", 512, 512, frames_count=40),
    "llm": DataRowFacts("llm"),
    "metric": DataRowFacts(),
}


def checked(*rows: Any, facts: DataRowFacts | None = None, **options: Any) -> list[Accepted | Refused]:
    return list(read_rows(rows, ONTOLOGY, known=lambda _: facts or DataRowFacts(), **options))


def accepted(row: Any, facts: DataRowFacts | None = None) -> Json:
    """The one row as it is written."""
    (verdict,) = checked(row, facts=facts)
    assert isinstance(verdict, Accepted), verdict
    written: Json = json.loads(write_row(verdict.row))
    return written


def refused(row: Any, facts: DataRowFacts | None = None) -> Refused:
    verdict = checked(row, facts=facts)[-1]
    assert isinstance(verdict, Refused), verdict
    return verdict


def same(one: Any, other: Any) -> bool:
    """Equal in meaning: numbers up to rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


# --- the samples
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["name"])
@pytest.mark.parametrize("known", [True, False], ids=["facts", "no facts"])
def test_every_sample_is_accepted_and_comes_out_equal(sample: Json, known: bool) -> None:
    facts = FACTS[sample["asset"]] if known else DataRowFacts()
    if sample["name"] in {"image.mask.png", "image.mask.imbytes", "video.mask.imbytes"} and known:
        facts = DataRowFacts(facts.asset, 8, 6)
    verdicts = checked(*map(json.dumps, sample["rows"]), facts=facts)
    assert [one for one in verdicts if isinstance(one, Refused)] == []
    written = [json.loads(write_row(one.row)) for one in verdicts if isinstance(one, Accepted)]
    expected = copy.deepcopy(sample.get("expect", sample["rows"]))
    for row in expected:
        if row.get("bbox", {}).get("height", 1) < 0:  # smallest latitude first: both forms are the same box
            row["bbox"]["top"] += row["bbox"]["height"]
            row["bbox"]["height"] *= -1
    assert same(written, expected)
    again = checked(*written, facts=facts)
    assert [json.loads(write_row(one.row)) for one in again if isinstance(one, Accepted)] == written


def test_the_samples_have_these_kinds() -> None:
    verdicts = [one for sample in SAMPLES for one in checked(*sample["rows"])]
    kinds = {one.row.kind for one in verdicts if isinstance(one, Accepted)}
    assert kinds == {
        "bbox", "polygon", "point", "polyline", "mask", "entity", "document_entity", "relationship", "video_object",
        "video_mask", "radio", "checklist", "text", "message_task", "metric",
    }  # fmt: skip


# --- normal form
HEAD: Json = {"dataRow": {"globalKey": "k"}, "uuid": "u1"}
BOX: Json = {**HEAD, "name": "bounding_box", "bbox": {"top": 1.0, "left": 2.0, "height": 3.0, "width": 4.0}}
NESTED: Json = {**BOX, "name": "bbox_with_subclasses"}
RADIO: Json = {**HEAD, "name": "radio_question", "answer": {"name": "first_radio_answer"}}
CHECKLIST: Json = {**HEAD, "name": "checklist_question", "answer": [{"name": "first_checklist_answer"}]}
TEXT: Json = {**HEAD, "name": "free_text", "answer": "x"}
ENTITY: Json = {**HEAD, "name": "named_entity", "location": {"start": 1, "end": 3}}
SUB_CHECKLIST: Json = {"name": "sub_checklist_question", "answer": [{"name": "first_sub_checklist_answer"}]}
SUB_RADIO: Json = {"name": "sub_radio_question", "answer": {"name": "first_sub_radio_answer"}}


@pytest.mark.parametrize("row", [BOX, RADIO, CHECKLIST, TEXT], ids=["box", "radio", "checklist", "text"])
def test_a_confidence_of_zero_is_kept_where_it_stands(row: Json) -> None:
    row = copy.deepcopy(row)
    answer = row.get("answer")
    place = answer if isinstance(answer, dict) else answer[0] if isinstance(answer, list) else row
    place["confidence"] = 0.0
    (verdict,) = checked(row)
    assert isinstance(verdict, Accepted)
    assert json.loads(write_row(verdict.row)) == row
    assert verdict.row.confidence == (None if isinstance(answer, list) else 0.0)


def test_a_row_is_one_line_of_compact_ascii() -> None:
    (verdict,) = checked({**TEXT, "answer": "é\u2028\n"})
    assert isinstance(verdict, Accepted)
    assert write_row(verdict.row).endswith('"answer":"\\u00e9\\u2028\\n"}')


def test_a_schema_id_finds_the_name_and_stays_as_it_was_given() -> None:
    node = ONTOLOGY.classification("radio_question")
    assert node is not None
    row = {**HEAD, "schemaId": node.schema_id, "answer": {"schemaId": node.options[0].schema_id, "confidence": 0.25}}
    (verdict,) = checked(row)
    assert isinstance(verdict, Accepted)
    assert (verdict.row.kind, verdict.row.name, verdict.row.confidence) == ("radio", "radio_question", 0.25)
    assert verdict.row.body == row
    assert verdict.notes == ()


def test_ids_of_another_ontology_are_noted_or_refused() -> None:
    row = {**HEAD, "schemaId": "x" * 25, "answer": {"schemaId": "y" * 25}}
    (verdict,) = checked(row)
    assert isinstance(verdict, Accepted)
    assert verdict.row.name == "x" * 25
    assert [note.name for note in verdict.notes] == ["UnknownSchemaId"]
    (strict,) = checked(row, strict_ids=True)
    assert isinstance(strict, Refused)
    assert strict.errors[0].field == "schemaId"


def test_old_and_lenient_forms_become_the_normal_one() -> None:
    beside = {**HEAD, "name": "nested_radio_question", "answer": {"name": "first_radio_answer"}}
    inside = {**HEAD, "name": "nested_radio_question"}
    inside["answer"] = {"name": "first_radio_answer", "classifications": [SUB_RADIO]}
    assert accepted({**beside, "classifications": [SUB_RADIO]}) == inside
    bare = {"name": "sub_checklist_question", "answer": {"name": "first_sub_checklist_answer"}}
    assert accepted({**NESTED, "classifications": [bare]}) == {**NESTED, "classifications": [SUB_CHECKLIST]}
    assert accepted({**NESTED, "classifications": [], "confidence": None, "page": None}) == NESTED
    snake = {**RADIO, "answer": {"name": "first_radio_answer", "custom_metrics": [{"name": "m", "value": 1}]}}
    camel = {**RADIO, "answer": {"name": "first_radio_answer", "customMetrics": [{"name": "m", "value": 1}]}}
    assert accepted(snake) == camel
    stars = accepted({**HEAD, "name": "quality_rating", "answer": {"name": 4}})
    assert stars["answer"] == {"name": "4"}


def test_objects_that_are_read_are_not_changed() -> None:
    row = {**HEAD, "name": "polygon", "polygon": [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1}]}
    before = copy.deepcopy(row)
    assert len(accepted(row)["polygon"]) == 4
    assert row == before


def test_a_maps_box_keeps_its_smallest_and_largest_latitude() -> None:
    row = {**BOX, "bbox": {"top": 19.5, "left": -99.0, "height": -0.5, "width": 0.25}}
    box = accepted(row, FACTS["geospatial"])["bbox"]
    assert box == {"top": 19.0, "left": -99.0, "height": 0.5, "width": 0.25}


def test_options_of_a_radio_may_follow_each_other_in_time() -> None:
    first, second = ({"name": f"{one}_radio_answer"} for one in ("first", "second"))
    answer = [{**first, "frames": [{"start": 0, "end": 10}]}, {**second, "frames": [{"start": 10, "end": 20}]}]
    row = {**HEAD, "name": "radio_index", "answer": answer}
    (verdict,) = checked(row, facts=FACTS["audio"])
    assert isinstance(verdict, Accepted)
    assert verdict.row.kind == "radio"
    assert verdict.row.body == row


# --- refused rows
def png(pixels: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def box(**numbers: Any) -> Json:
    return {**BOX, "bbox": {**BOX["bbox"], **numbers}}


def keyframes(*frames: Json, **more: Any) -> Json:
    return {**HEAD, "name": "bounding_box", "segments": [{"keyframes": list(frames)}], **more}


def metric(value: Any, **more: Any) -> Json:
    return {**HEAD, "metricName": "m", "metricValue": value, **more}


def task(form: str, **data: Any) -> Json:
    name = {"message-single-selection": "single_selection", "message-multi-selection": "multi_selection"}
    body = {"format": form, "data": {"parentMessageId": "p", **data}}
    return {**HEAD, "name": name.get(form, "ranking"), "messageEvaluationTask": body}


def heard(*answer: Json) -> Json:
    return {**HEAD, "name": "radio_index_nested", "answer": list(answer)}


def related(**more: Any) -> Json:
    value = {"source": "a", "target": "b", "type": "unidirectional", **more}
    return {**HEAD, "name": "relationship", "relationship": {k: v for k, v in value.items() if v is not None}}


FRAME: Json = {"frame": 1, "bbox": BOX["bbox"]}
MASKS: Json = {"frames": [{"index": 1, "instanceURI": "https://a/b.png"}]}
MASKS["instances"] = [{"colorRGB": [1, 2, 3], "name": "mask"}]
PAGE: Json = {"page": 1, "unit": "PERCENT"}
SELECTION: Json = {"tokenIds": ["t"], "groupId": "g", "page": 1}
TONE: Json = {"name": "tone", "answer": [{"name": "professional", "frames": [{"start": 0, "end": 300}]}]}
RANKED: list[Json] = [{"messageId": m, "modelConfigName": "x", "order": i} for i, m in enumerate("ab", 1)]

REFUSED: list[tuple[str, Any, str, str]] = [
    # asset, row, field, a word of the remedy
    ("image", "{", "", "JSON"),
    ("image", "[1]", "", "no array"),
    ("image", '"row"', "", "object"),
    ("image", b"\xff\xfe{", "", "UTF-8"),
    ("image", '{"dataRow": {"globalKey": "\\ud800"}}', "", "UTF-8"),
    ("image", {**BOX, "dataRow": None}, "dataRow", "globalKey"),
    ("image", {**BOX, "dataRow": {"globalKey": "k", "id": "i"}}, "dataRow", "exactly one"),
    ("image", {**BOX, "dataRow": {"externalId": "k"}}, "dataRow", "exactly one"),
    ("image", {**BOX, "dataRow": {"globalKey": "k" * 201}}, "dataRow.globalKey", "200"),
    ("image", {**BOX, "uuid": 7}, "uuid", "string"),
    ("image", {**BOX, "uuid": "a\x00b"}, "uuid", "string"),
    ("image", {**BOX, "name": "bounding_bx"}, "name", "'bounding_box'"),
    ("image", {**BOX, "name": None}, "name", "schemaId"),
    ("image", {**BOX, "name": "polygon"}, "name", "'bounding_box'"),
    ("image", {**BOX, "name": "radio_question"}, "name", "Use one of"),
    ("image", {**BOX, "name": None, "schemaId": "short"}, "schemaId", "featureSchemaId"),
    ("image", {**BOX, "schemaId": "clf0000000000000000000004"}, "name", "one of the two"),
    ("image", {**RADIO, "name": "bounding_box"}, "name", "Use one of"),
    ("image", {**HEAD, "name": "bounding_box"}, "", "bbox"),
    ("image", {**HEAD, "name": "bounding_box", "bboxx": {}}, "bboxx", '"bbox"'),
    ("image", {**BOX, "point": {"x": 1, "y": 1}}, "point", "one row for each"),
    ("image", {**BOX, "confidnce": 0.5}, "confidnce", '"confidence"'),
    ("image", {**BOX, "confidence": 1.5}, "confidence", "0 to 1"),
    ("image", {**BOX, "confidence": True}, "confidence", "0 to 1"),
    ("image", json.dumps({**BOX, "confidence": math.nan}), "confidence", "0 to 1"),
    ("image", {**BOX, "customMetrics": [{"name": "m"}]}, "customMetrics[0].value", '"value"'),
    ("image", {**BOX, "customMetrics": [{"name": "m", "value": "1"}]}, "customMetrics[0].value", "finite"),
    ("image", {**BOX, "customMetrics": [{"name": "m", "value": 1}] * 2}, "customMetrics[1].name", "one value"),
    ("image", {**BOX, "isBenchmarkReferenceLabel": 1}, "isBenchmarkReferenceLabel", "true or false"),
    ("image", box(width=0), "bbox.width", "above 0"),
    ("image", box(height=-3), "bbox.height", "above 0"),
    ("image", json.dumps(box(top=math.inf)), "bbox.top", "finite"),
    ("image", box(top=10**400), "bbox.top", "finite"),
    ("image", box(left=-5), "bbox.left", "edge"),
    ("image", box(width=2559), "bbox.left + width", "edge"),
    ("image", {**BOX, "bbox": [1, 2, 3, 4]}, "bbox", "height"),
    ("image", {**BOX, "bbox": {"top": 1, "left": 1, "height": 1}}, "bbox.width", "width"),
    ("image", box(depth=1), "bbox.depth", "Leave it out"),
    ("image", {**BOX, **PAGE}, "page", "Leave page"),
    ("video", BOX, "bbox", "segments"),
    ("text", BOX, "bbox", "images"),
    ("image", {**HEAD, "name": "point", "point": [1, 2]}, "point", '"x"'),
    ("image", {**HEAD, "name": "point", "point": {"x": 1, "y": "2"}}, "point.y", "finite"),
    ("image", {**HEAD, "name": "polyline", "line": [{"x": 1, "y": 1}]}, "line", "2 points"),
    ("image", {**HEAD, "name": "polygon", "polygon": [{"x": x, "y": 1} for x in (1, 2, 1)]}, "polygon", "3 points"),
    ("image", {**HEAD, "name": "polygon", "polygon": {}}, "polygon", "list"),
    ("image", {**HEAD, "name": "mask", "mask": {"instanceURI": "https://a/b"}}, "mask.colorRGB", "colorRGB"),
    ("image", {**HEAD, "name": "mask", "mask": {"instanceURI": "b.png", "colorRGB": [1, 2, 3]}}, "mask.instanceURI",
     "https"),
    ("image", {**HEAD, "name": "mask", "mask": {"instanceURI": "https://a", "colorRGB": 255}}, "mask.colorRGB", "red"),
    ("image", {**HEAD, "name": "mask", "mask": {"instanceURI": "https://a", "colorRGB": [0, 0, 256]}}, "mask.colorRGB",
     "255"),
    ("tile", {**HEAD, "name": "mask", "mask": {"png": png([[0, 255], [0, 0]])}}, "mask.png", "1 for inside"),
    ("tile", {**HEAD, "name": "mask", "mask": {"png": png(np.zeros((2, 2, 3)))}}, "mask.png", "one channel"),
    ("image", {**HEAD, "name": "mask", "mask": {"png": png([[0, 1]])}}, "mask.png", "Scale"),
    ("tile", {**HEAD, "name": "mask", "mask": {"png": "!"}}, "mask.png", "base64"),
    ("tile", {**HEAD, "name": "mask", "mask": {"png": base64.b64encode(b"x" * 40).decode()}}, "mask.png", "PNG"),
    ("tile", {**HEAD, "name": "mask", "mask": {"png": png([[0, 1], [0, 0]])[:60]}}, "mask.png", "PNG"),
    ("tile", {**HEAD, "name": "mask", "mask": {"imBytes": png(np.zeros((2, 2, 3))), "colorRGB": [1, 1, 1]}},
     "mask.colorRGB", "colour"),
    ("text", {**ENTITY, "location": {"start": 3, "end": 2}}, "location.end", "inclusive"),
    ("text", {**ENTITY, "location": {"start": 3, "end": 44}}, "location.end", "43"),
    ("text", {**ENTITY, "location": {"start": -1, "end": 2}}, "location.start", "from 0"),
    ("text", {**ENTITY, "location": {"start": 1.0, "end": 2}}, "location.start", "index"),
    ("text", {**ENTITY, "messageId": "1"}, "messageId", "Leave messageId out"),
    ("image", ENTITY, "location", "texts"),
    ("document", ENTITY, "location", "textSelections"),
    ("conversational", ENTITY, "messageId", "messageId"),
    ("conversational", {**ENTITY, "messageId": "99"}, "messageId", "Use one of"),
    ("conversational", {**ENTITY, "messageId": "1", "location": {"start": 0, "end": 20}}, "location.end", "19"),
    ("document", BOX, "page", "unit"),
    ("document", {**BOX, "page": 1, "unit": "CM"}, "unit", "POINTS"),
    ("document", {**BOX, "page": 3, "unit": "POINTS"}, "page", "up to 2"),
    ("document", {**BOX, "page": -1, "unit": "POINTS"}, "page", "number"),
    ("document", {**box(width=99), **PAGE}, "bbox.left + width", "units"),
    ("document", {**box(width=700), "page": 1, "unit": "POINTS"}, "bbox.left + width", "units"),
    ("document", {**HEAD, "name": "named_entity", "textSelections": [{**SELECTION, "page": 0}]},
     "textSelections[0].page", "count from 1"),
    ("document", {**HEAD, "name": "named_entity", "textSelections": [{**SELECTION, "tokenIds": []}]},
     "textSelections[0].tokenIds", "at least 1"),
    ("layered", {**HEAD, "name": "named_entity", "textSelections": [{**SELECTION, "tokenIds": ["no"]}]},
     "textSelections[0].tokenIds[0]", "text layer"),
    ("geospatial", {**HEAD, "name": "point", "point": {"x": 19.4, "y": -99.2}}, "point.y", "order of x and y"),
    ("bounded", {**HEAD, "name": "point", "point": {"x": 0.0, "y": 0.0}}, "point.x", "edge"),
    ("video", keyframes(), "segments", "empty"),
    ("video", {**HEAD, "name": "bounding_box", "segments": []}, "segments", "empty"),
    ("video", keyframes({"frame": 1}), "segments[0].keyframes[0]", "bbox"),
    ("video", keyframes(FRAME, FRAME), "segments[0].keyframes[1].frame", "one keyframe"),
    ("video", keyframes({**FRAME, "frame": 101}), "segments[0].keyframes[0].frame", "up to 100"),
    ("video", keyframes({**FRAME, "frame": "1"}), "segments[0].keyframes[0].frame", "number"),
    ("video", keyframes(FRAME, {"frame": 2, "point": {"x": 1, "y": 1}}), "segments[0].keyframes[1].point", "one kind"),
    ("video", keyframes({"frame": 1, "point": {"x": 1, "y": 1}}), "name", "'point'"),
    ("video", keyframes({**FRAME, "bbox": {**BOX["bbox"], "left": 1919}}), "segments[0].keyframes[0].bbox.left + width",
     "edge"),
    ("video", keyframes(FRAME, confidence=0.5), "confidence", "Leave confidence out"),
    ("video", keyframes(FRAME, groupKey="axial"), "groupKey", "Leave groupKey out"),
    ("video", keyframes(FRAME, classifications=[SUB_RADIO]), "classifications", "keyframe"),
    ("video", keyframes({**FRAME, "classifications": [SUB_RADIO]}),
     "segments[0].keyframes[0].classifications[0].name", "nothing here"),
    ("dicom", keyframes(FRAME), "groupKey", "axial"),
    ("dicom", keyframes(FRAME, groupKey="top"), "groupKey", "axial"),
    ("image", keyframes(FRAME), "segments", "without frames"),
    ("video", {**HEAD, "name": "mask", "masks": MASKS}, "name", "instances"),
    ("video", {**HEAD, "masks": {**MASKS, "frames": MASKS["frames"] * 2}}, "masks.frames[1].index", "one image"),
    ("video", {**HEAD, "masks": {**MASKS, "instances": MASKS["instances"] * 2}}, "masks.instances[1].colorRGB", "own"),
    ("video", {**HEAD, "masks": {**MASKS, "instances": [{"colorRGB": [1, 2, 3], "name": "point"}]}},
     "masks.instances[0].name", "'mask'"),
    ("image", {**RADIO, "answer": [{"name": "first_radio_answer"}, {"name": "second_radio_answer"}]}, "answer",
     '"answer": {'),
    ("image", {**RADIO, "answer": "first_radio_answer"}, "answer", '"name"'),
    ("image", {**RADIO, "answer": {"name": "third_radio_answer"}}, "answer.name", "'second_radio_answer'"),
    ("image", {**RADIO, "answer": {"name": "first_radio_answer", "value": 1}}, "answer.value", "Leave it out"),
    ("image", {**RADIO, "answer": {"name": "first_radio_answer", "confidence": -1}}, "answer.confidence", "0 to 1"),
    ("image", {**RADIO, "customMetrics": [{"name": "m", "value": 1}]}, "customMetrics", "into the answer"),
    ("image", {**RADIO, "answers": []}, "answers", '"answer" only'),
    ("image", {**RADIO, "frames": [{"start": 1, "end": 2}]}, "frames", "Leave frames out"),
    ("image", {**RADIO, "messageId": "1"}, "messageId", "Leave messageId out"),
    ("image", {**CHECKLIST, "answer": []}, "answer", "at least 1"),
    ("image", {**CHECKLIST, "answer": {"name": "first_checklist_answer"}}, "answer", "[{"),
    ("image", {**CHECKLIST, "answer": CHECKLIST["answer"] * 2}, "answer[1].name", "once"),
    ("image", {**TEXT, "answer": {"name": "x"}}, "answer", "the text"),
    ("llm", {**HEAD, "name": "prompt text", "answer": "x" * 2001}, "answer", "2000"),
    ("llm", {**HEAD, "name": "response text", "answer": ""}, "answer", "at least 1"),
    ("image", {**NESTED, "classifications": [{"name": "sub_radio", "answer": {}}]}, "classifications[0].name",
     "'sub_radio_question'"),
    ("image", {**NESTED, "classifications": [SUB_RADIO, SUB_RADIO]}, "classifications[1].name", "once"),
    ("image", {**NESTED, "classifications": [{**SUB_RADIO, "answer": {"name": "no"}}]},
     "classifications[0].answer.name", "first_sub_radio_answer"),
    ("image", {**NESTED, "classifications": [{"name": "sub_radio_question"}]}, "classifications[0].answer", '"answer"'),
    ("image", {**NESTED, "classifications": {}}, "classifications", "list"),
    ("image", {**RADIO, "answer": {"name": "first_radio_answer", "classifications": [SUB_RADIO]}},
     "answer.classifications[0].name", "nothing here"),
    ("video", {**RADIO, "frames": [{"start": 9, "end": 3}]}, "frames[0].end", "start or later"),
    ("video", {**RADIO, "frames": [{"start": 9, "end": 101}]}, "frames[0].end", "up to 100"),
    ("video", {**RADIO, "frames": []}, "frames", "at least 1"),
    ("video", {**RADIO, "frames": [{"start": 1, "end": 2}],
               "answer": {"name": "first_radio_answer", "frames": [{"start": 1, "end": 2}]}}, "frames", "not both"),
    ("audio", heard({"name": "user", "frames": [{"start": 0, "end": 4001}]}), "answer[0].frames[0].end", "4000"),
    ("audio", heard({"name": "user", "frames": [{"start": 0.5, "end": 1}]}), "answer[0].frames[0].start",
     "milliseconds"),
    ("audio", heard({"name": "user", "frames": [{"start": 100, "end": 200}], "classifications": [TONE]}),
     "answer[0].classifications[0].answer[0].frames[0]", "inside"),
    ("audio", heard({"name": "user", "frames": [{"start": 0, "end": 900}],
                     "classifications": [{"name": "tone", "answer": {"name": "professional"}}]}),
     "answer[0].classifications[0].answer.frames", "inside"),
    ("audio", heard(*[{"name": "user", "frames": [{"start": s, "end": s + 100}]} for s in (0, 50)]),
     "answer[1].frames", "one of the options"),
    ("audio", {**HEAD, "name": "text_index", "answer": [{"value": "x"}]}, "answer[0].frames", '"frames"'),
    ("audio", {**HEAD, "name": "text_index", "confidence": 1, "answer": [{"value": "x", "frames": []}]}, "confidence",
     "Leave confidence out"),
    ("conversational", {**RADIO, "messageId": "99"}, "messageId", "Use one of"),
    ("conversational", task("message-rank"), "messageEvaluationTask.format", "message-ranking"),
    ("conversational", task("message-single-selection", messageId="m"), "messageEvaluationTask.data.modelConfigName",
     "modelConfigName"),
    ("conversational", task("message-multi-selection", selectedMessages=[]),
     "messageEvaluationTask.data.selectedMessages", "at least 1"),
    ("conversational", task("message-ranking", rankedMessages=[RANKED[0], {**RANKED[1], "order": 3}]),
     "messageEvaluationTask.data.rankedMessages", "1 to 2"),
    ("conversational", task("message-ranking", rankedMessages=[RANKED[0], {**RANKED[0], "order": 2}]),
     "messageEvaluationTask.data.rankedMessages[1].messageId", "once"),
    ("image", related(), "relationship.source", "same upload"),
    ("image", related(type="both"), "relationship.type", "bidirectional"),
    ("image", related(target=None), "relationship.target", '"target"'),
    ("image", related(source=None), "relationship.source", "uuid"),
    ("image", related(source="b"), "relationship.source", "two rows"),
    ("image", related(source=None, sourceOntologyName="free_text"), "relationship.sourceOntologyName", "source"),
    ("document", related(source=None, sourceOntologyName="nothing"), "relationship.sourceOntologyName", "Use one of"),
    ("image", related(readonly="yes"), "relationship.readonly", "true or false"),
    ("metric", metric("0.5"), "metricValue", "number"),
    ("metric", metric([1, 2, 3], aggregation="CONFUSION_MATRIX"), "metricValue", "TP, FP, TN, FN"),
    ("metric", metric([1, 2, 3, -1], aggregation="CONFUSION_MATRIX"), "metricValue", "from 0 on"),
    ("metric", metric([1, 2, 3, 4]), "aggregation", "CONFUSION_MATRIX"),
    ("metric", metric(0.5, aggregation="CONFUSION_MATRIX"), "metricValue", "TP, FP, TN, FN"),
    ("metric", metric(0.5, aggregation="MEDIAN"), "aggregation", "ARITHMETIC_MEAN"),
    ("metric", metric(0.5, aggregation=[]), "aggregation", "ARITHMETIC_MEAN"),
    ("metric", metric({"0.5": 1}), "metricValue", "2 to 15"),
    ("metric", metric({f"0.{i:02}": 1 for i in range(16)}), "metricValue", "2 to 15"),
    ("metric", metric({"0.5": 1, "1.5": 1}), "metricValue", "keys"),
    ("metric", metric({"0.5": 1, "0.6": [1, 1, 1, 1]}, aggregation="CONFUSION_MATRIX"), "metricValue", "four counts"),
    ("metric", metric([1, 1, 1, 1], aggregation="CONFUSION_MATRIX", metricName=None), "metricName", "name"),
    ("metric", metric(0.5, featureName="box"), "featureName", "Use one of"),
    ("metric", metric(0.5, subclassName="sub_free_text"), "featureName", "subclass"),
    ("metric", metric(0.5, name="m"), "name", "metricName"),
]  # fmt: skip
OTHER_FACTS: dict[str, DataRowFacts] = {
    "tile": DataRowFacts("image", 2, 2),
    "layered": DataRowFacts("document", tokens=frozenset({"t"})),
    "bounded": DataRowFacts("geospatial", bounds=(-99.3, 19.2, -99.1, 19.5)),
}


@pytest.mark.parametrize(
    ("asset", "row", "where", "remedy"), REFUSED, ids=[f"{i}-{r[2]}" for i, r in enumerate(REFUSED)]
)
def test_what_is_wrong_is_refused_with_field_and_remedy(asset: str, row: Any, where: str, remedy: str) -> None:
    verdict = refused(row, {**FACTS, **OTHER_FACTS}[asset])
    error = next((one for one in verdict.errors if one.field == where), None)
    assert error is not None, verdict.errors
    assert remedy in error.remedy
    assert "line 1, uuid" in error.message
    assert where in error.message
    assert error.value in error.message


def test_an_error_names_line_uuid_field_and_value() -> None:
    verdict = refused(box(width=-3), FACTS["image"])
    (error,) = verdict.errors
    assert error.message == "line 1, uuid u1: bbox.width -3 is not above 0."
    assert (error.name, error.field, error.value, error.remedy) == (
        "OutOfRange",
        "bbox.width",
        "-3",
        "Give a width above 0.",
    )
    assert (verdict.uuid, verdict.data_row, verdict.line) == ("u1", DataRowRef("k"), 1)


def test_mistakes_that_do_not_depend_on_each_other_are_told_together() -> None:
    row = {**box(width=-3), "name": "bbox_with_subclasses", "confidence": 2, "classifications": [{"name": "x"}]}
    assert [error.field for error in refused(row).errors] == ["confidence", "bbox.width", "classifications[0].answer"]


# --- the upload as a whole
def test_one_bad_line_never_costs_the_others() -> None:
    lines = [json.dumps(BOX), "", "{nonsense", json.dumps(box(width=-1)).encode(), json.dumps(RADIO)]
    verdicts = checked(*lines)
    assert [(one.line, type(one)) for one in verdicts] == [(1, Accepted), (3, Refused), (4, Refused), (5, Accepted)]


@pytest.mark.parametrize("lines", [[], ["", "  \n"]])
def test_an_empty_upload_is_refused(lines: list[str]) -> None:
    with pytest.raises(RequestError, match="empty"):
        checked(*lines)


def test_an_unknown_data_row_is_refused_and_each_is_asked_for_once_in_a_row() -> None:
    asked: list[DataRowRef] = []

    def known(data_row: DataRowRef) -> DataRowFacts | None:
        asked.append(data_row)
        return DataRowFacts() if data_row.global_key == "k" else None

    other = {**BOX, "dataRow": {"id": "i"}}
    verdicts = list(read_rows([BOX, BOX, other, BOX], ONTOLOGY, known=known))
    assert [type(one) for one in verdicts] == [Accepted, Accepted, Refused, Accepted]
    assert asked == [DataRowRef("k"), DataRowRef(id="i"), DataRowRef("k")]
    assert isinstance(verdicts[2], Refused)
    assert verdicts[2].errors[0].field == "dataRow.id"


def test_lines_are_read_only_as_verdicts_are_asked_for() -> None:
    read = 0

    def lines() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield json.dumps({**BOX, "uuid": str(read)})

    verdicts = read_rows(lines(), ONTOLOGY, known=lambda _: DataRowFacts())
    assert [next(verdicts).line for _ in range(3)] == [1, 2, 3]
    assert read == 3


def test_more_rows_of_a_name_than_labelbox_takes_are_refused_also_over_several_calls() -> None:
    line, seen = json.dumps(BOX), Seen()
    first = checked(*[line] * (LIMIT - 1), seen=seen)
    assert all(isinstance(one, Accepted) for one in first)
    other = json.dumps({**BOX, "dataRow": {"globalKey": "other"}})
    last = checked(line, line, other, json.dumps(RADIO), first_line=LIMIT, seen=seen)
    assert [type(one) for one in last] == [Accepted, Refused, Accepted, Accepted]
    assert isinstance(last[1], Refused)
    assert "5000" in last[1].errors[0].remedy
    metrics = checked(*[json.dumps(metric(0.5))] * (LIMIT + 1))
    assert all(isinstance(one, Accepted) for one in metrics)


def end(uuid: str, row: Json = BOX) -> Json:
    return {**row, "uuid": uuid}


def test_relationships_may_stand_before_what_they_join() -> None:
    verdicts = checked(related(), end("a"), end("b"))
    assert [(one.line, type(one)) for one in verdicts] == [(2, Accepted), (3, Accepted), (1, Accepted)]


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        ([end("a")], "relationship.target"),
        ([end("a"), end("b", box(width=-1))], "relationship.target"),
        ([end("a"), {**end("b"), "dataRow": {"globalKey": "other"}}], "relationship.target"),
        ([end("a"), end("b", ENTITY)], "relationship"),
        ([end("a", RADIO), end("b")], "relationship"),
    ],
    ids=["missing", "refused", "elsewhere", "forbidden pair", "forbidden source"],
)
def test_a_relationship_needs_two_accepted_rows_that_it_may_join(rows: list[Json], where: str) -> None:
    verdict = refused_last(checked(related(), *rows))
    assert [error.field for error in verdict.errors] == [where]


def refused_last(verdicts: list[Accepted | Refused]) -> Refused:
    assert isinstance(verdicts[-1], Refused), verdicts[-1]
    return verdicts[-1]


def test_the_order_of_a_pair_counts_unless_the_relationship_goes_both_ways() -> None:
    raw = ONTOLOGY.as_json()
    ids = {tool["name"]: tool["featureSchemaId"] for tool in raw["tools"]}
    edge = next(tool for tool in raw["tools"] if tool["tool"] == "edge")
    edge["definition"]["constraints"] = [[ids["bounding_box"], ids["named_entity"]]]
    ontology = Ontology.from_json(raw)

    def verdict(kind: str) -> type:
        rows = [end("a", ENTITY), end("b"), related(type=kind)]
        return type(list(read_rows(rows, ontology, known=lambda _: DataRowFacts()))[-1])

    assert verdict("unidirectional") is Refused
    assert verdict("bidirectional") is Accepted


def test_relationships_find_rows_of_earlier_uploads() -> None:
    earlier = {"a": "bounding_box", "b": "bounding_box"}
    (verdict,) = checked(related(), feature_of=lambda _, uuid: earlier.get(uuid))
    assert isinstance(verdict, Accepted)


def test_many_keys_keep_their_newest_number() -> None:
    many = Many()
    for i in range(NEWEST + 10):
        many.put(("key", i), i)
    many.put(("key", 5), -1)
    for i in range(NEWEST):
        many.put(("other", i), 7)
    assert many.get(("key", 5)) == -1
    assert [many.get(("key", i)) for i in (0, NEWEST - 1, NEWEST + 9)] == [0, NEWEST - 1, NEWEST + 9]
    assert many.get(("other", NEWEST - 1)) == 7
    assert many.get("nothing") is None


def test_classifications_nested_without_end_are_refused() -> None:
    below: Json = {"name": "inner", "answer": "x"}
    for _ in range(30):
        below = {"name": "inner", "answer": "x", "classifications": [below]}
    assert refused({**TEXT, "classifications": [below]}).errors[0].name == "TooDeep"
    line = json.dumps(TEXT)[:-1] + ', "classifications": ' + "[" * 100_000 + "]" * 100_000 + "}"
    assert refused(line).errors[0].field == ""


def test_an_empty_name_is_refused_below_a_question_that_the_ontology_does_not_have_too() -> None:
    nested = {"name": "", "answer": "x"}
    answer = {"schemaId": "x" * 25, "classifications": [nested]}
    row = {"dataRow": TEXT["dataRow"], "schemaId": "y" * 25, "answer": answer}
    assert refused(row).errors[0].field == "answer.classifications[0].name"


# --- whatever comes
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "frames", "x"]), inner),
    max_leaves=4,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(node, (dict, list)):
        for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
            yield from places(inner, (*path, key))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_rows_with_anything_in_any_place_get_a_verdict_and_never_raise(data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from(SAMPLES))
    row = copy.deepcopy(data.draw(st.sampled_from(sample["rows"])))
    path = data.draw(st.sampled_from(list(places(row))[1:]))
    holder = row
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = data.draw(JUNK)
    (verdict,) = checked(json.dumps(row), facts=data.draw(st.sampled_from(list(FACTS.values()))))
    if isinstance(verdict, Accepted):
        (again,) = checked(write_row(verdict.row), feature_of=lambda *_: "bounding_box")
        assert isinstance(again, (Accepted, Refused))
    else:
        assert all(error.message and error.remedy for error in verdict.errors)


# --- what is known of a data row
def test_facts_follow_from_what_conversions_know() -> None:
    text = DataRowFacts.of(AssetFacts("conversational", messages=(Message("1", "four"), Message("2"))))
    assert text.messages == {"1": 4, "2": None}
    page = DataRowFacts.of(AssetFacts("document", pages=(Page(612, 792),), tokens=(Token("t", 1, 0, 0, 1, 1),)))
    assert (page.pages, page.tokens) == (1, frozenset({"t"}))
    map_ = DataRowFacts.of(AssetFacts("geospatial", raster=Raster(64, 64, -99.3, 19.5, -99.1, 19.2)))
    assert (map_.bounds, map_.width) == ((-99.3, 19.2, -99.1, 19.5), None)
    assert DataRowFacts.of(AssetFacts("audio", duration_s=1.5)).duration_ms == 1500


# --- objects of Labelbox's SDK
@pytest.fixture
def lb() -> Any:
    return pytest.importorskip("labelbox.types")


@pytest.fixture
def label(lb: Any) -> Callable[..., Any]:
    def make(*annotations: Any, **data: str) -> Any:
        return lb.Label(data=data or {"global_key": "k"}, annotations=list(annotations))

    return make


def rectangle(lb: Any) -> Any:
    return lb.Rectangle(start=lb.Point(x=1, y=2), end=lb.Point(x=3, y=5))


def test_objects_keep_a_confidence_of_zero(lb: Any, label: Callable[..., Any]) -> None:
    drawn = lb.ObjectAnnotation(name="bounding_box", value=rectangle(lb), confidence=0.0)
    said = lb.ClassificationAnnotation(name="free_text", value=lb.Text(answer="x"), confidence=0.0)
    rows = list(rows_of_objects([label(drawn, said)]))
    assert [row["confidence"] for row in rows] == [0.0, 0.0]
    assert [one.row.kind for one in checked(*rows) if isinstance(one, Accepted)] == ["bbox", "text"]


def test_objects_nested_below_answers_come_in_camel_case(lb: Any, label: Callable[..., Any]) -> None:
    metrics = [{"name": "m", "value": 1.0}]
    sub = lb.ClassificationAnswer(feature_schema_id="clf0000000000000000000074", custom_metrics=metrics)
    inner = lb.ClassificationAnnotation(feature_schema_id="clf0000000000000000000072", value=lb.Radio(answer=sub))
    answer = lb.ClassificationAnswer(name="first_radio_answer", classifications=[inner])
    outer = lb.ClassificationAnnotation(name="nested_radio_question", value=lb.Radio(answer=answer))
    (row,) = rows_of_objects([label(outer)])
    (below,) = row["answer"]["classifications"]
    assert below == {
        "schemaId": "clf0000000000000000000072",
        "answer": {"schemaId": "clf0000000000000000000074", "customMetrics": metrics},
    }
    assert isinstance(checked(row)[0], Accepted)


def test_objects_of_two_tracks_stay_apart_and_interpolated_frames_hold_segments_together(
    lb: Any, label: Callable[..., Any]
) -> None:
    frames = [
        lb.VideoObjectAnnotation(
            name="bounding_box", frame=f, keyframe=f != 2, value=rectangle(lb), extra={"uuid": uuid}
        )
        for uuid in ("a", "b")
        for f in (1, 2, 3, 9)
    ]
    rows = list(rows_of_objects([label(*frames)]))
    assert [row["uuid"] for row in rows] == ["a", "b"]
    for row in rows:
        assert [[one["frame"] for one in segment["keyframes"]] for segment in row["segments"]] == [[1, 3], [9]]
    assert all(isinstance(one, Accepted) for one in checked(*rows, facts=FACTS["video"]))
    assert all(one.segment_index is None for one in frames)


def test_objects_of_two_tracks_that_cannot_be_told_apart_are_refused(lb: Any, label: Callable[..., Any]) -> None:
    twice = [lb.VideoObjectAnnotation(name="p", frame=1, keyframe=True, value=lb.Point(x=1, y=1)) for _ in "ab"]
    with pytest.raises(RequestError, match="twice in frame 1") as caught:
        list(rows_of_objects([label(*twice)]))
    assert "uuid" in caught.value.hint


def test_objects_answered_differently_in_time_become_rows_of_their_own(lb: Any, label: Callable[..., Any]) -> None:
    said = [
        lb.VideoClassificationAnnotation(
            name="radio_index", frame=f, value=lb.Radio(answer=lb.ClassificationAnswer(name=f"{which}_radio_answer"))
        )
        for which, f in (("first", 1), ("first", 2), ("second", 8))
    ]
    rows = list(rows_of_objects([label(*said)]))
    assert [(row["answer"]["name"], row["frames"]) for row in rows] == [
        ("first_radio_answer", [{"start": 1, "end": 2}]),
        ("second_radio_answer", [{"start": 8, "end": 8}]),
    ]
    assert all(one.extra == {} for one in said)


def test_objects_in_time_may_name_the_data_row_by_id(lb: Any, label: Callable[..., Any]) -> None:
    said = lb.TemporalClassificationText(name="transcription", value=[(1, 2, "hello")])
    (row,) = rows_of_objects([label(said, uid="ckrazctum0z8a0ybc0b0o0g0v")])
    assert row["dataRow"] == {"id": "ckrazctum0z8a0ybc0b0o0g0v"}
    assert isinstance(checked(row, facts=FACTS["audio"])[0], Accepted)


def test_objects_with_inline_video_masks_can_be_written_twice(lb: Any, label: Callable[..., Any]) -> None:
    data = base64.b64decode(png(np.zeros((2, 2, 3))))
    mask = lb.VideoMaskAnnotation(
        frames=[lb.MaskFrame(index=1, im_bytes=data)], instances=[lb.MaskInstance(color_rgb=(1, 2, 3), name="mask")]
    )
    whole = label(mask)
    for _ in range(2):
        (row,) = rows_of_objects([whole])
        assert row["masks"]["frames"] == [{"index": 1, "imBytes": base64.b64encode(data).decode()}]
        assert isinstance(checked(row)[0], Accepted)


def test_objects_of_every_other_kind_are_accepted(lb: Any, label: Callable[..., Any]) -> None:
    first, second = (lb.ObjectAnnotation(name="bounding_box", value=rectangle(lb)) for _ in "ab")
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0] = 255
    mask = lb.Mask(mask=lb.MaskData.from_2D_arr(pixels[..., 0]), color=(255, 255, 255))
    relation = lb.Relationship(source=first, target=second, type=lb.Relationship.Type.UNIDIRECTIONAL)
    page = {"page": 1, "unit": lb.RectangleUnit.PERCENT}
    cells = [
        lb.ObjectAnnotation(name="polygon", value=lb.Polygon(points=[lb.Point(x=x, y=x * x) for x in range(3)])),
        lb.ObjectAnnotation(name="polyline", value=lb.Line(points=[lb.Point(x=x, y=1) for x in range(2)])),
        lb.ObjectAnnotation(name="mask", value=mask),
        lb.ObjectAnnotation(name="named_entity", value=lb.TextEntity(start=1, end=3)),
        lb.ObjectAnnotation(name="named_entity", value=lb.ConversationEntity(start=1, end=3, message_id="1")),
        lb.ObjectAnnotation(
            name="bounding_box",
            value=lb.DocumentRectangle(start=lb.Point(x=1, y=2), end=lb.Point(x=3, y=5), **page),
        ),
        lb.ClassificationAnnotation(
            name="checklist_question",
            value=lb.Checklist(answer=[lb.ClassificationAnswer(name="first_checklist_answer")]),
        ),
        lb.MessageEvaluationTaskAnnotation(
            name="ranking",
            value=lb.MessageRankingTask(
                parent_message_id="p",
                ranked_messages=[lb.OrderedMessageInfo(message_id="m", model_config_name="x", order=1)],
            ),
        ),
        lb.ScalarMetric(metric_name="x", value=0.5),
        lb.ConfusionMatrixMetric(metric_name="x", value=[1, 2, 3, 4]),
        first,
        second,
        lb.RelationshipAnnotation(name="relationship", value=relation),
    ]
    rows = list(rows_of_objects([label(*cells)]))
    verdicts = checked(*rows)
    assert [one for one in verdicts if isinstance(one, Refused)] == []
    assert len(verdicts) == len(cells)


def test_rows_pass_as_they_are_and_other_things_are_refused(lb: Any) -> None:
    assert list(rows_of_objects([BOX])) == [BOX]
    with pytest.raises(RequestError, match="object 2 is no label"):
        list(rows_of_objects([BOX, 7]))
