"""Labelbox's rows to Label Studio's regions and back: every sample, and every trap of the format."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_sdk.label_interface import LabelInterface
from PIL import Image

from prelabel import labeling, masks
from prelabel.errors import DataError
from prelabel.labelbox.assets import AssetFacts, Message, Page, Raster, Response, Token, read_text_layer
from prelabel.labelbox.config import to_label_config, to_ontology
from prelabel.labelbox.ontology import ClassificationNode, Ontology, Option, ToolNode
from prelabel.labelbox.review import Conversion, RowsConversion, to_regions, to_rows
from prelabel.labelbox.rows import Asset, DataRowRef, Kind, Row

DATA = Path(__file__).parent / "data"
Json = dict[str, Any]


# --- the sample ontology and what is known of each data row
def _node(raw: Mapping[str, Any]) -> ClassificationNode:
    return ClassificationNode(
        name=raw["name"],
        type=raw["type"],
        options=tuple(
            Option(str(o["value"]), str(o["label"]), o["featureSchemaId"], questions=tuple(map(_node, o["options"])))
            for o in raw["options"]
        ),
        scope=raw.get("scope"),
        schema_id=raw["featureSchemaId"],
        likert=bool(raw.get("isLikertScale")),
    )


def _sample_ontology() -> Ontology:
    raw = json.loads((DATA / "ontology.json").read_text(encoding="utf-8"))
    by_id = ClassificationNode(  # what the sample with schema ids was made for
        "by_id",
        "radio",
        (Option("yes", "yes", "ckrb1sfl8099g0y91cxbd5ftb"),),
        scope="global",
        schema_id="ckrb1sfjx099a0y914hl319ie",
    )
    return Ontology(
        tuple(ToolNode(t["name"], t["tool"], tuple(map(_node, t["classifications"]))) for t in raw["tools"]),
        (*map(_node, raw["classifications"]), by_id),
    )


def picture(*colors: tuple[int, int, int]) -> bytes:
    """A PNG of 8 x 6 pixels in which each colour has a block of 2 x 3."""
    pixels = np.zeros((6, 8, 3), dtype=np.uint8)
    for i, color in enumerate(colors):
        pixels[1:4, 1 + 3 * i : 3 + 3 * i] = color
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


WHITE, BLUE, RED = (255, 255, 255), (76, 104, 177), (227, 135, 126)
AT = "https://storage.example.com/"
IMAGES = {
    AT + "raster_seg.png": picture(WHITE),
    AT + "raster_seg_sub.png": picture(WHITE, RED),
    AT + "frame_20_composite.png": picture(BLUE, RED),
    AT + "frame_24_composite.png": picture(BLUE),
    AT + "dicom-mask-1.png": picture(WHITE),
    AT + "dicom-mask-5.png": picture(RED, WHITE),
}
GROUP = "2f4336f4-a07e-4e0a-a9e1-5629b03b719b"
TOKENS = (
    Token("3f984bf3-1d61-44f5-b59a-9658a2e3440f", 1, 10, 10, 8, 2, GROUP, "Hello"),
    Token("3bf00b56-ff12-4e52-8cc1-08dbddb3c3b8", 1, 19, 10, 8, 2, GROUP, "all"),
    Token("elsewhere", 1, 50, 50, 8, 2, "other", "not this"),
    Token("page two", 2, 10, 10, 8, 2, "other", "nor this"),
)
LETTER = Page(612, 792, "POINTS", (1224, 1584))
FACTS: Mapping[str, AssetFacts] = {
    "image": AssetFacts("image", 2560, 1707, images=IMAGES),
    "video": AssetFacts("video", 2560, 1707, fps=25, frames_count=100, images=IMAGES),
    "text": AssetFacts("text", text="The quick brown fox jumped over the lazy dog."),
    "document": AssetFacts("document", pages=(LETTER, LETTER), tokens=TOKENS),
    "geospatial": AssetFacts("geospatial", raster=Raster(1024, 1024, -99.3, 19.5, -99.1, 19.2)),
    "audio": AssetFacts("audio", duration_s=4),
    "conversational": AssetFacts(
        "conversational",
        messages=tuple(Message(str(i), f"this is message {i}") for i in range(11)),
        responses=(Response("clxfzocbm00083b6v8vczsept", "GPT 5"), Response("clxfzocbm00093b6vx4ndisub", "GPT 5")),
    ),
    "html": AssetFacts("html", text="<p>Hello</p>"),
    "dicom": AssetFacts("dicom", 512, 512, images=IMAGES),
    "llm": AssetFacts("llm"),
}
ONTOLOGY = _sample_ontology()
ROW = DataRowRef(global_key="gk")
KINDS: Mapping[str, Kind] = {
    "bbox": "bbox", "polygon": "polygon", "point": "point", "line": "polyline", "mask": "mask", "location": "entity",
    "textSelections": "document_entity", "relationship": "relationship", "segments": "video_object",
    "masks": "video_mask", "messageEvaluationTask": "message_task", "metricName": "metric",
}  # fmt: skip


def accepted(body: Json) -> Row:
    """A row as reading it gives it."""
    names = {n.schema_id: n.name for n in ONTOLOGY.classifications}
    key = body["dataRow"]
    return Row(
        kind=next((kind for name, kind in KINDS.items() if name in body), "radio"),
        data_row=DataRowRef(key.get("globalKey"), key.get("id")),
        name=body.get("name") or names.get(body.get("schemaId", ""), ""),
        body=body,
        uuid=body.get("uuid", ""),
        confidence=body.get("confidence"),
    )


def facts_for(sample: Json) -> AssetFacts:
    """Sizes of the pictures; the samples with masks have 8 x 6 pixels."""
    facts = FACTS[sample["asset"]]
    return dataclasses.replace(facts, width=8, height=6) if "mask" in sample["kind"] else facts


def converted(asset: Asset, *bodies: Json, facts: AssetFacts | None = None) -> Conversion:
    facts = facts or FACTS[asset]
    rows = [accepted({"dataRow": {"globalKey": "gk"}, **body}) for body in bodies]
    return to_regions(rows, ONTOLOGY, labeling.parse(to_label_config(ONTOLOGY, asset, facts)), facts)


def back(asset: Asset, *result: Json, facts: AssetFacts | None = None) -> RowsConversion:
    facts = facts or FACTS[asset]
    config = labeling.parse(to_label_config(ONTOLOGY, asset, facts))
    return to_rows(result, ONTOLOGY, config, facts, ROW)


# --- every sample
SAMPLES = {
    sample["name"]: sample
    for sample in map(json.loads, (DATA / "payloads.ndjson").read_text(encoding="utf-8").splitlines())
}
REVIEWED = sorted(name for name, sample in SAMPLES.items() if sample["asset"] != "metric")
WITHOUT_PART = {
    "text.text.nested_text": "no control for 'inner'",
    "audio.text.temporal_nested": "no control for 'speaker_notes'",
    "document.relationship.source_ontology_name": "its source is the feature 'free_text'",
}
"""Samples of which a part has no counterpart (not in the ontology, or not in Label Studio), and what is said of it."""


def pixels_of(holder: Json, color: Sequence[int] | None) -> list[Any]:
    raw = holder.get("png") or holder.get("imBytes")
    data = base64.b64decode(raw) if raw else IMAGES[holder["instanceURI"]]
    with Image.open(io.BytesIO(data)) as image:
        array = np.asarray(image)
    inside = array > 0 if array.ndim == 2 else (array == np.asarray(color or WHITE)).all(axis=2)
    return inside.tolist()  # type: ignore[no-any-return]  # NumPy types it so


def meaning(body: Json) -> Json:
    """A row in the form in which equal meanings are equal JSON."""
    row = json.loads(json.dumps(body))
    if row.get("schemaId") == "ckrb1sfjx099a0y914hl319ie":
        row["name"] = "by_id"
        row["answer"]["name"] = "yes"
        del row["schemaId"], row["answer"]["schemaId"]
    if "mask" in row:
        row["mask"] = pixels_of(row["mask"], row["mask"].get("colorRGB"))
    if "masks" in row:
        instances = row["masks"]["instances"]
        row["masks"] = {
            "instances": instances,
            "frames": {
                frame["index"]: [pixels_of(frame, one["colorRGB"]) for one in instances]
                for frame in row["masks"]["frames"]
            },
        }
    if "bbox" in row and row["bbox"]["height"] < 0:
        box = row["bbox"]
        row["bbox"] = {**box, "top": box["top"] + box["height"], "height": -box["height"]}
    return dict(row)


def same(one: Any, other: Any, tolerance: float) -> bool:
    """Equal JSON, numbers within ``tolerance``."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(one[key], other[key], tolerance) for key in one)
        )
    if isinstance(one, list):
        return (
            isinstance(other, list)
            and len(one) == len(other)
            and all(same(a, b, tolerance) for a, b in zip(one, other, strict=True))
        )
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, abs_tol=tolerance)
    return bool(one == other)


def expected(sample: Json) -> list[Json]:
    """The rows that should come back: those that the SDK would write, without the parts that have no counterpart."""
    rows: list[Json] = json.loads(json.dumps(sample.get("expect") or sample["rows"]))
    if sample["name"] == "text.text.nested_text":
        del rows[0]["classifications"]
    if sample["name"] == "audio.text.temporal_nested":
        del rows[0]["answer"][0]["classifications"]
    if sample["name"] == "document.relationship.source_ontology_name":
        rows = rows[:1]
    return rows


@pytest.mark.parametrize("name", REVIEWED)
def test_rows_come_back_equal_in_meaning(name: str) -> None:
    sample = SAMPLES[name]
    facts = facts_for(sample)
    config = labeling.parse(to_label_config(ONTOLOGY, sample["asset"], facts))
    rows = [accepted(body) for body in sample.get("expect") or sample["rows"]]
    there = to_regions(rows, ONTOLOGY, config, facts)
    again = to_rows(json.loads(json.dumps(there.result)), ONTOLOGY, config, facts, rows[0].data_row)
    tolerance = 2e-7 if sample["asset"] == "geospatial" else 1e-3
    wanted = [meaning(body) for body in expected(sample)]
    assert same(wanted, [meaning(body) for body in again.rows], tolerance), again.rows
    assert again.dropped == []
    if name in WITHOUT_PART:
        assert any(WITHOUT_PART[name] in reason for reason in there.dropped)
    else:
        assert there.dropped == []


@pytest.mark.parametrize("name", REVIEWED)
def test_label_studios_sdk_accepts_the_result_of_every_sample(name: str) -> None:
    sample = SAMPLES[name]
    facts = facts_for(sample)
    xml = to_label_config(ONTOLOGY, sample["asset"], facts)
    rows = [accepted(body) for body in sample.get("expect") or sample["rows"]]
    result = to_regions(rows, ONTOLOGY, labeling.parse(xml), facts).result
    assert result
    prediction = {"model_version": "v1", "score": 0.5, "result": result}
    assert LabelInterface(xml).validate_prediction(prediction, return_errors=True) == []


def test_an_open_ring_comes_back_closed_as_the_sdk_writes_it() -> None:
    (row,) = SAMPLES["image.polygon.open_ring"]["rows"]
    (region,) = converted("image", row).result
    assert len(region["value"]["points"]) == 3
    (again,) = back("image", region).rows
    assert again["polygon"][0] == again["polygon"][-1]


@pytest.mark.parametrize("name", sorted(name for name, sample in SAMPLES.items() if sample["asset"] == "metric"))
def test_metric_rows_have_no_counterpart_and_are_named(name: str) -> None:
    conversion = converted("image", *SAMPLES[name]["rows"])
    assert conversion.result == []
    assert "metric rows have no counterpart" in conversion.dropped[0]


# --- offsets
def test_the_inclusive_end_of_a_span_becomes_label_studios_exclusive_one() -> None:
    (region,) = converted("text", {"uuid": "u", "name": "named_entity", "location": {"start": 4, "end": 8}}).result
    assert region["value"] == {"start": 4, "end": 9, "text": "quick", "labels": ["named_entity"]}


def test_a_span_whose_end_is_its_start_is_one_character() -> None:
    (region,) = converted("text", {"uuid": "u", "name": "named_entity", "location": {"start": 4, "end": 4}}).result
    assert region["value"]["text"] == "q"
    (row,) = back("text", region).rows
    assert row["location"] == {"start": 4, "end": 4}


def test_an_end_beyond_the_last_character_is_cut_and_said() -> None:
    conversion = converted("text", {"uuid": "u", "name": "named_entity", "location": {"start": 41, "end": 45}})
    assert conversion.result[0]["value"]["text"] == "dog."
    assert "beyond the last character, 44" in conversion.dropped[0]


def test_a_conversations_offsets_are_counted_in_the_message_that_is_named() -> None:
    body = {"uuid": "u", "name": "named_entity", "location": {"start": 0, "end": 3}, "messageId": "4"}
    (region,) = converted("conversational", body).result
    assert region["value"] == {
        "start": "4", "end": "4", "startOffset": 0, "endOffset": 4, "text": "this", "paragraphlabels": ["named_entity"],
    }  # fmt: skip


def test_an_answer_about_a_message_stands_on_all_of_that_message() -> None:
    body = {"uuid": "u", "name": "text_index", "answer": "yes", "messageId": "2"}
    (region,) = converted("conversational", body).result
    assert region["id"] == "u"
    assert region["value"] == {
        "start": "2", "end": "2", "startOffset": 0, "endOffset": 17, "text": ["yes"],
    }  # fmt: skip


def test_a_message_that_is_not_there_costs_only_its_row() -> None:
    conversion = converted(
        "conversational",
        {"uuid": "a", "name": "text_index", "answer": "x", "messageId": "99"},
        {"uuid": "b", "name": "free_text", "answer": "kept"},
    )
    assert [region["id"] for region in conversion.result] == ["b"]
    assert conversion.dropped == ["row a (text_index): there is no message '99' in the conversation."]


# --- pages and units
def test_box_pages_count_from_0_and_entity_pages_from_1() -> None:
    box = {"uuid": "b", "name": "bounding_box", "page": 0, "unit": "PERCENT",
           "bbox": {"top": 1.0, "left": 1.0, "height": 5.0, "width": 5.0}}  # fmt: skip
    entity = {"uuid": "e", "name": "named_entity",
              "textSelections": [{"tokenIds": [TOKENS[0].id], "groupId": GROUP, "page": 1}]}  # fmt: skip
    result = converted("document", box, entity).result
    assert {region["id"]: region["item_index"] for region in result} == {"b": 0, "e": 0}


def test_a_document_whose_box_pages_begin_with_1_says_so() -> None:
    facts = dataclasses.replace(FACTS["document"], first_box_page=1)
    box = {"uuid": "b", "name": "bounding_box", "page": 1, "unit": "PERCENT",
           "bbox": {"top": 1.0, "left": 1.0, "height": 5.0, "width": 5.0}}  # fmt: skip
    (region,) = converted("document", box, facts=facts).result
    assert region["item_index"] == 0
    assert back("document", region, facts=facts).rows[0]["page"] == 1


@pytest.mark.parametrize(
    ("unit", "box"),
    [
        ("POINTS", {"top": 79.2, "left": 61.2, "height": 79.2, "width": 122.4}),
        ("INCHES", {"top": 1.1, "left": 0.85, "height": 1.1, "width": 1.7}),
        ("PIXELS", {"top": 158.4, "left": 122.4, "height": 158.4, "width": 244.8}),
        ("PERCENT", {"top": 10.0, "left": 10.0, "height": 10.0, "width": 20.0}),
    ],
)
def test_every_unit_of_a_document_means_the_same_box_and_comes_back_as_it_was(unit: str, box: Json) -> None:
    body = {"uuid": "u", "name": "bounding_box", "page": 1, "unit": unit, "bbox": box}
    (region,) = converted("document", body).result
    value = region["value"]
    assert (value["x"], value["y"], value["width"], value["height"]) == (10, 10, 20, 10)
    assert (region["original_width"], region["original_height"]) == (1224, 1584)
    (row,) = back("document", region).rows
    assert row["unit"] == unit
    assert same(box, row["bbox"], 1e-3)


def test_a_page_that_is_not_there_is_named() -> None:
    body = {"uuid": "u", "name": "bounding_box", "page": 2, "unit": "PERCENT",
            "bbox": {"top": 1.0, "left": 1.0, "height": 5.0, "width": 5.0}}  # fmt: skip
    assert "page 2 is not in the document of 2 pages" in converted("document", body).dropped[0]


def test_a_persons_box_around_words_comes_back_as_their_tokens() -> None:
    region = {
        "id": "x9Yz", "from_name": "bbox", "to_name": "pages", "type": "rectanglelabels", "item_index": 0,
        "original_width": 1224, "original_height": 1584,
        "value": {"x": 9.1, "y": 9.3, "width": 19.7, "height": 3.2, "rotation": 0, "rectanglelabels": ["named_entity"]},
    }  # fmt: skip
    (row,) = back("document", region).rows
    assert row["textSelections"] == [{"tokenIds": [TOKENS[0].id, TOKENS[1].id], "groupId": GROUP, "page": 1}]


def test_an_entity_that_was_moved_has_the_tokens_of_its_new_place() -> None:
    body = {"uuid": "e", "name": "named_entity",
            "textSelections": [{"tokenIds": [TOKENS[0].id], "groupId": GROUP, "page": 1}]}  # fmt: skip
    region = converted("document", body).result[0]
    region["value"] = {**region["value"], "x": 49.0, "y": 49.0, "width": 12.0, "height": 5.0}
    (row,) = back("document", region).rows
    assert row["textSelections"][0]["tokenIds"] == ["elsewhere"]


def test_without_a_text_layer_an_entity_is_named_as_lost() -> None:
    facts = dataclasses.replace(FACTS["document"], tokens=())
    body = {"uuid": "e", "name": "named_entity",
            "textSelections": [{"tokenIds": [TOKENS[0].id], "groupId": GROUP, "page": 1}]}  # fmt: skip
    conversion = converted("document", body, facts=facts)
    assert conversion.result == []
    assert any("none of its tokens is in the text layer" in reason for reason in conversion.dropped)


def test_the_text_layer_is_read_in_points_and_in_percent() -> None:
    geometry = {"left": 61.2, "top": 79.2, "width": 61.2, "height": 7.92}
    token = {"id": "t", "content": "word", "geometry": geometry}
    page = {"width": 612, "height": 792, "number": 1, "units": "POINTS", "groups": [{"id": "g", "tokens": [token]}]}
    pages, tokens = read_text_layer([page])
    assert pages == (Page(612, 792, "POINTS"),)
    assert tokens == (Token("t", 1, *map(pytest.approx, (10, 10, 10, 1)), "g", "word"),)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="text layer"):
        read_text_layer([{"width": 612}])


# --- maps
def test_longitude_is_x_and_north_is_up() -> None:
    body = {"uuid": "u", "name": "point", "point": {"x": -99.28, "y": 19.47}}
    (region,) = converted("geospatial", body).result
    assert region["value"]["x"] == pytest.approx(10)
    assert region["value"]["y"] == pytest.approx(10)


@pytest.mark.parametrize(
    "box",
    [
        {"top": 19.3, "left": -99.2, "height": 0.1, "width": 0.05},
        {"top": 19.4, "left": -99.2, "height": -0.1, "width": 0.05},
    ],
)
def test_a_negative_height_is_the_same_box_and_comes_back_positive(box: Json) -> None:
    (region,) = converted("geospatial", {"uuid": "u", "name": "bounding_box", "bbox": box}).result
    (row,) = back("geospatial", region).rows
    assert same(row["bbox"], {"top": 19.3, "left": -99.2, "height": 0.1, "width": 0.05}, 2e-7)


def test_bounds_of_version_1_are_latitude_first() -> None:
    first = Raster.from_row_data({"bounds": [[19.2, -99.3], [19.5, -99.1]], "version": 1}, 10, 10)
    second = Raster.from_row_data({"bounds": [[-99.3, 19.2], [-99.1, 19.5]], "version": 2}, 10, 10)
    assert first == second == Raster(10, 10, -99.3, 19.5, -99.1, 19.2)
    with pytest.raises(DataError, match="two corners"):
        Raster.from_row_data({"bounds": [1, 2]}, 10, 10)


def test_on_web_mercator_tiles_the_middle_latitude_is_not_in_the_middle() -> None:
    facts = AssetFacts("geospatial", raster=Raster(1000, 1000, 0, 60, 10, 0, mercator=True))
    (region,) = converted(
        "geospatial", {"uuid": "u", "name": "point", "point": {"x": 5.0, "y": 30.0}}, facts=facts
    ).result
    north, here = (math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2)) for latitude in (60, 30))
    assert region["value"]["y"] == pytest.approx(100 * (north - here) / north, abs=1e-4)
    (row,) = back("geospatial", region, facts=facts).rows
    assert same(row["point"], {"x": 5.0, "y": 30.0}, 1e-5)


# --- video
def box_at(frame: int, left: float = 256.0) -> Json:
    return {"frame": frame, "bbox": {"top": 170.7, "left": left, "height": 170.7, "width": 256.0}}


def test_nothing_is_interpolated_from_one_segment_to_the_next() -> None:
    segments = [{"keyframes": [box_at(10), box_at(13)]}, {"keyframes": [box_at(30)]}]
    (region,) = converted("video", {"uuid": "u", "name": "bounding_box", "segments": segments}).result
    sequence = region["value"]["sequence"]
    assert [(one["frame"], one["enabled"]) for one in sequence] == [(10, True), (13, False), (30, False)]
    assert [one["time"] for one in sequence] == [0.4, 0.52, 1.2]
    assert region["value"]["framesCount"] == 100
    (row,) = back("video", region).rows
    assert [[k["frame"] for k in s["keyframes"]] for s in row["segments"]] == [[10, 13], [30]]


def test_a_persons_track_that_never_ends_lasts_to_the_end_of_the_video() -> None:
    region = {
        "id": "t", "from_name": "box", "to_name": "video", "type": "videorectangle",
        "value": {"framesCount": 100, "labels": ["bounding_box"], "sequence": [
            {"frame": 5, "enabled": True, "x": 10, "y": 10, "width": 10, "height": 10, "rotation": 0, "time": 0.2}]},
    }  # fmt: skip
    (row,) = back("video", region).rows
    (segment,) = row["segments"]
    assert [k["frame"] for k in segment["keyframes"]] == [5, 100]


def test_frame_0_has_no_counterpart_and_is_named() -> None:
    body = {"uuid": "u", "name": "bounding_box", "segments": [{"keyframes": [box_at(0)]}]}
    assert "counts frames from 1" in converted("video", body).dropped[0]


# --- a video's lines, points, polygons and masks, which the editor draws as boxes
UUID = "00000000-0000-4000-8000-0000000000aa"
LINE = [{"x": 256.0, "y": 170.7}, {"x": 768.0, "y": 512.1}, {"x": 512.0, "y": 853.5}]


def track(key: str, *shapes: Any) -> Json:
    """A row with a shape in frames 1, 2, 3 ..."""
    name = {"line": "polyline"}.get(key, key)
    keyframes = [{"frame": frame, key: shape} for frame, shape in enumerate(shapes, start=1)]
    return {"dataRow": {"globalKey": "gk"}, "uuid": UUID, "name": name, "segments": [{"keyframes": keyframes}]}


@pytest.mark.parametrize(
    ("key", "shape"), [("line", LINE), ("point", LINE[0]), ("polygon", [*LINE, LINE[0]]), ("line", LINE[:1] * 2)]
)
def test_a_shape_in_a_video_is_a_box_around_it_and_comes_back_as_it_was(key: str, shape: Any) -> None:
    body = track(key, shape, shape)
    (region,) = converted("video", body).result
    assert (region["type"], region["value"]["labels"]) == ("videorectangle", [body["name"]])
    for one in region["value"]["sequence"]:
        points = shape if isinstance(shape, list) else [shape]
        for point in points:
            assert one["x"] - 1e-3 <= point["x"] / 25.6 <= one["x"] + one["width"] + 1e-3
            assert one["y"] - 1e-3 <= point["y"] / 17.07 <= one["y"] + one["height"] + 1e-3
        assert min(one["width"], one["height"]) >= 2, "else nobody sees it"
    assert back("video", region).rows == [body]


def test_a_box_that_was_moved_and_stretched_takes_its_line_along() -> None:
    (region,) = converted("video", track("line", LINE, LINE)).result
    second = region["value"]["sequence"][1]
    assert [second[side] for side in ("x", "y", "width", "height")] == pytest.approx([10, 10, 20, 40])
    second |= {"x": 50, "y": 20, "width": 40, "height": 40}
    (row,) = back("video", region).rows
    first, moved = (keyframe["line"] for keyframe in row["segments"][0]["keyframes"])
    assert first == LINE
    assert same(moved, [{"x": 1280.0, "y": 341.4}, {"x": 2304.0, "y": 682.8}, {"x": 1792.0, "y": 1024.2}], 1e-3)


def test_a_keyframe_that_a_person_adds_has_the_shape_before_it() -> None:
    (region,) = converted("video", track("line", LINE, LINE[:2])).result
    added = {**region["value"]["sequence"][0], "frame": 7, "x": 20, "enabled": False}
    region["value"]["sequence"][1]["enabled"] = True
    region["value"]["sequence"].append(added)
    (row,) = back("video", region).rows
    assert [len(one["line"]) for one in row["segments"][0]["keyframes"]] == [3, 2, 2]


def drawn_box(label: str) -> Json:
    """A box that a person drew in frame 1: the middle fifth of the picture."""
    place = {"frame": 1, "enabled": False, "x": 40, "y": 40, "width": 20, "height": 20, "rotation": 0, "time": 0.04}
    value = {"framesCount": 100, "labels": [label], "sequence": [place]}
    return {"id": "p", "from_name": "box", "to_name": "video", "type": "videorectangle", "value": value}


def test_a_box_that_a_person_drew_for_a_point_polygon_or_mask_is_its_middle_its_corners_and_all_in_it() -> None:
    facts = AssetFacts("video", 100, 50, fps=25, frames_count=100)
    (point,) = back("video", drawn_box("point"), facts=facts).rows
    assert point["segments"][0]["keyframes"] == [{"frame": 1, "point": {"x": 50.0, "y": 25.0}}]
    (polygon,) = back("video", drawn_box("polygon"), facts=facts).rows
    ring = polygon["segments"][0]["keyframes"][0]["polygon"]
    assert [(one["x"], one["y"]) for one in ring] == [(40, 20), (60, 20), (60, 30), (40, 30), (40, 20)]
    (mask,) = back("video", drawn_box("mask"), facts=facts).rows
    (instance,) = mask["masks"]["instances"]
    inside = np.argwhere(pixels_of(mask["masks"]["frames"][0], instance["colorRGB"]))
    assert (inside.min(axis=0).tolist(), inside.max(axis=0).tolist(), len(inside)) == ([20, 40], [29, 59], 200)
    conversion = back("video", drawn_box("polyline"), facts=facts)
    assert conversion.rows == []
    assert "a box does not say where its line runs" in conversion.dropped[0]


@pytest.mark.parametrize(
    ("key", "shape", "label", "found"),
    [("point", LINE[0], "mask", "masks"), ("line", LINE, "point", "point"), ("point", LINE[0], "polygon", "polygon"),
     ("line", LINE, "bounding_box", "bbox")],
)  # fmt: skip
def test_what_a_person_relabels_as_another_kind_of_shape_is_what_its_box_says(
    key: str, shape: Any, label: str, found: str
) -> None:
    (region,) = converted("video", track(key, shape)).result
    region["value"]["labels"] = [label]
    conversion = back("video", region)
    (row,) = conversion.rows
    assert conversion.dropped == []
    assert found in (row if found == "masks" else row["segments"][0]["keyframes"][0])


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (12.5, 50 / 3), (25, 0)])
def test_a_mask_in_a_video_moves_with_its_box(dx: float, dy: float) -> None:
    facts = AssetFacts("video", 8, 6, fps=25, frames_count=100, images=IMAGES)
    (sample,) = SAMPLES["video.mask.uri"]["rows"]
    result = converted("video", sample, facts=facts).result
    before = [pixels_of(frame, BLUE) for frame in sample["masks"]["frames"]]
    for region in result:
        for one in region["value"]["sequence"]:
            one["x"], one["y"] = one["x"] + dx, one["y"] + dy
    (row,) = back("video", *result, facts=facts).rows
    shift = (round(dy * 6 / 100), round(dx * 8 / 100))
    moved = [np.roll(np.asarray(one), shift, axis=(0, 1)).tolist() for one in before]
    assert [pixels_of(frame, BLUE) for frame in row["masks"]["frames"]] == moved


VECTORS = """<View><Video name="video" value="$video" frameRate="25"/><VideoVectorLabels name="line" toName="video">
<Label value="point" tool="point"/><Label value="mask" tool="raster-segmentation"/></VideoVectorLabels></View>"""
"""For editors that have this tag; the one of Label Studio 1.23 has not."""


def test_with_vectors_a_point_of_a_video_is_one_vertex_a_frame_and_a_mask_is_its_outline() -> None:
    body = track("point", *({"x": 256.0 * n, "y": 853.5} for n in (1, 2)))
    config = labeling.parse(VECTORS)
    (region,) = to_regions([accepted(body)], ONTOLOGY, config, FACTS["video"]).result
    assert [len(one["vertices"]) for one in region["value"]["sequence"]] == [1, 1]
    (row,) = to_rows([region], ONTOLOGY, config, FACTS["video"], ROW).rows
    assert same(row, body, 1e-3)
    facts = dataclasses.replace(FACTS["video"], width=8, height=6)
    (sample,) = SAMPLES["video.mask.imbytes"]["rows"]
    conversion = to_regions([accepted(sample)], ONTOLOGY, config, facts)
    assert "its masks became outlines" in conversion.dropped[0]
    (row,) = to_rows(conversion.result, ONTOLOGY, config, facts, DataRowRef("video-gk-1")).rows
    assert meaning(row) == meaning(sample)


# --- answers in time
def test_frames_of_an_answer_are_inclusive_on_both_sides() -> None:
    body = {"uuid": "u", "name": "radio_index", "answer": {"name": "first_radio_answer"},
            "frames": [{"start": 9, "end": 15}]}  # fmt: skip
    (region,) = converted("video", body).result
    assert region["value"] == {"ranges": [{"start": 9, "end": 15}], "timelinelabels": ["first_radio_answer"]}


def test_ranges_that_a_person_drew_become_one_row_for_each_radio_answer() -> None:
    def drawn(name: str, label: str, start: int) -> Json:
        value = {"ranges": [{"start": start, "end": start + 1}], "timelinelabels": [label]}
        return {
            "id": f"{label}{start}",
            "from_name": name,
            "to_name": "video",
            "type": "timelinelabels",
            "value": value,
        }

    rows = back(
        "video",
        drawn("radio_index", "first_radio_answer", 1),
        drawn("radio_index", "second_radio_answer", 5),
        drawn("radio_index", "first_radio_answer", 9),
        drawn("checklist_index", "first_checklist_answer", 1),
        drawn("checklist_index", "second_checklist_answer", 3),
    ).rows
    said = [{key: value for key, value in row.items() if key in {"answer", "frames"}} for row in rows]
    assert said == [
        {"answer": {"name": "first_radio_answer"}, "frames": [{"start": 1, "end": 2}, {"start": 9, "end": 10}]},
        {"answer": {"name": "second_radio_answer"}, "frames": [{"start": 5, "end": 6}]},
        {
            "answer": [
                {"name": "first_checklist_answer", "frames": [{"start": 1, "end": 2}]},
                {"name": "second_checklist_answer", "frames": [{"start": 3, "end": 4}]},
            ]
        },
    ]


def test_a_track_has_one_answer_and_a_second_that_differs_is_named() -> None:
    def asked(frame: int, text: str) -> Json:
        return {**box_at(frame), "classifications": [{"name": "sub_free_text", "answer": text}]}

    body = {"uuid": "u", "name": "bbox_with_subclasses", "segments": [{"keyframes": [asked(1, "a"), asked(2, "b")]}]}
    conversion = converted("video", body)
    assert [region["value"].get("text") for region in conversion.result] == [None, ["a"]]
    assert "the answer to 'sub_free_text' in frame 2 differs" in conversion.dropped[0]


# --- audio
def test_milliseconds_become_seconds_and_what_is_nested_is_a_region_of_its_own() -> None:
    result = converted("audio", *SAMPLES["audio.radio.temporal_nested"]["rows"]).result
    said = [(r["value"]["labels"], r["value"]["start"], r["value"]["end"], r.get("parentID")) for r in result]
    ids = [region["id"] for region in result]
    assert said == [
        (["user"], 0.2, 1.6, None),
        (["professional"], 1, 1.6, ids[0]),
        (["clear"], 1, 1.2, ids[1]),
    ]


def test_a_text_of_an_audio_stands_beside_a_label_that_names_the_question() -> None:
    result = converted("audio", *SAMPLES["audio.text.temporal"]["rows"]).result
    assert [(r["from_name"], r["value"].get("labels"), r["value"].get("text")) for r in result] == [
        ("texts", ["text_index"], None),
        ("texts", ["text_index"], None),
        ("text_index", None, ["Hello, how can I help you?"]),
        ("text_index", None, ["Thank you for calling!"]),
    ]
    assert [region["id"] for region in result[:2]] == [region["id"] for region in result[2:]]
    conversion = back("audio", result[0])
    assert conversion.rows == []
    assert "nothing was written in it" in conversion.dropped[0]


def test_ranges_come_back_in_the_order_of_time() -> None:
    sample = SAMPLES["audio.checklist.temporal"]["rows"]
    (row,) = back("audio", *reversed(converted("audio", *sample).result)).rows
    assert [one["frames"] for one in row["answer"]] == [one["frames"] for one in sample[0]["answer"]]


def test_a_nested_range_outside_its_parents_is_named_where_labelbox_drops_it_without_a_word() -> None:
    inner = {"name": "tone", "answer": [{"name": "professional", "frames": [{"start": 1500, "end": 1700}]}]}
    outer = {"name": "user", "frames": [{"start": 200, "end": 1600}], "classifications": [inner]}
    body = {"name": "radio_index_nested", "answer": [outer]}
    conversion = converted("audio", body)
    assert [region["value"]["labels"] for region in conversion.result] == [["user"]]
    assert "1500 to 1700 ms of 'tone' lies in no range" in conversion.dropped[0]


def test_a_persons_nested_segment_belongs_to_the_one_it_lies_in() -> None:
    def heard(name: str, label: str, start: float, end: float) -> Json:
        value = {"start": start, "end": end, "channel": 0, "labels": [label]}
        return {"id": f"{label}{start}", "from_name": name, "to_name": "audio", "type": "labels", "value": value}

    (row,) = back(
        "audio",
        heard("radio_index_nested", "user", 0.5, 1),
        heard("radio_index_nested__user__tone", "professional", 0.6, 0.9),
    ).rows
    assert row["answer"] == [
        {
            "name": "user",
            "frames": [{"start": 500, "end": 1000}],
            "classifications": [
                {"name": "tone", "answer": [{"name": "professional", "frames": [{"start": 600, "end": 900}]}]}
            ],
        }
    ]


# --- masks
SMALL = AssetFacts("image", 8, 6, images={"two": picture(BLUE, RED)})


@pytest.mark.parametrize(("color", "columns"), [(BLUE, [1, 2]), (RED, [4, 5])])
def test_a_mask_is_the_pixels_of_its_own_colour(color: tuple[int, int, int], columns: list[int]) -> None:
    body = {"uuid": "u", "name": "mask", "mask": {"instanceURI": "two", "colorRGB": list(color)}}
    (region,) = converted("image", body, facts=SMALL).result
    mask = masks.decode_rle(region["value"]["rle"], width=8, height=6)
    assert np.flatnonzero(mask.any(axis=0)).tolist() == columns


def test_a_colour_that_no_pixel_has_is_named() -> None:
    body = {"uuid": "u", "name": "mask", "mask": {"instanceURI": "two", "colorRGB": [1, 2, 3]}}
    assert "no pixel of its picture has the colour [1, 2, 3]" in converted("image", body, facts=SMALL).dropped[0]


def test_a_mask_whose_image_was_not_fetched_is_named() -> None:
    body = {"uuid": "u", "name": "mask", "mask": {"instanceURI": "https://other/x.png", "colorRGB": [1, 2, 3]}}
    conversion = converted("image", body)
    assert conversion.result == []
    assert conversion.dropped == ["row u (mask): the image https://other/x.png was not given."]


def test_an_inline_mask_comes_back_with_pixels_of_0_and_1() -> None:
    (region,) = converted("image", *SAMPLES["image.mask.png"]["rows"], facts=SMALL).result
    (row,) = back("image", region, facts=SMALL).rows
    with Image.open(io.BytesIO(base64.b64decode(row["mask"]["png"]))) as image:
        assert (image.mode, image.getextrema()) == ("L", (0, 1))


def test_a_mask_of_another_size_is_scaled_and_said() -> None:
    conversion = converted("image", *SAMPLES["image.mask.png"]["rows"])
    assert conversion.result[0]["original_width"] == 2560
    assert "8 x 6 pixels was scaled" in conversion.dropped[0]


# --- confidence and custom metrics
def test_a_confidence_of_0_survives() -> None:
    box = {"uuid": "00000000-0000-4000-8000-0000000000ab", "name": "bounding_box", "confidence": 0.0,
           "bbox": {"top": 10.0, "left": 10.0, "height": 5.0, "width": 5.0}}  # fmt: skip
    radio = {"uuid": "r", "name": "radio_question", "answer": {"name": "first_radio_answer", "confidence": 0.0}}
    text = {"uuid": "t", "name": "free_text", "answer": "x", "confidence": 0.0}
    result = converted("image", box, radio, text).result
    assert [region["score"] for region in result] == [0.0, 0.0, 0.0]
    first, second, third = back("image", *result).rows
    assert first["confidence"] == second["answer"]["confidence"] == third["confidence"] == 0.0


def test_without_a_confidence_there_is_no_score() -> None:
    (region,) = converted("image", {"uuid": "t", "name": "free_text", "answer": "x"}).result
    assert "score" not in region
    assert "confidence" not in back("image", region).rows[0]


def test_a_checklist_has_the_lowest_score_and_each_option_gets_its_own_back() -> None:
    answer = [
        {"name": "first_checklist_answer", "confidence": 0.9, "customMetrics": [{"name": "m", "value": 1.0}]},
        {"name": "second_checklist_answer", "confidence": 0.25},
    ]
    (region,) = converted("image", {"uuid": "u", "name": "checklist_question", "answer": answer}).result
    assert region["score"] == 0.25
    assert back("image", region).rows[0]["answer"] == answer


def test_custom_metrics_stay_in_the_regions_meta() -> None:
    result = converted("image", *SAMPLES["image.bbox.custom_metrics"]["rows"]).result
    assert result[0]["meta"]["customMetrics"] == [{"name": "iou", "value": 0.81}, {"name": "tagsCount", "value": 43}]


def as_the_editor_keeps_it(result: Sequence[Json]) -> list[Json]:
    """One ``meta`` for all results of a region, none for relations: Label Studio's editor knows no more."""
    first: dict[str, Any] = {}
    for region in result:
        first.setdefault(str(region.get("id")), region.get("meta"))
    return [{**region, "meta": first[str(region.get("id"))] if "id" in region else None} for region in result]


def test_what_belongs_to_a_nested_answer_survives_an_editor_that_keeps_one_meta_a_region() -> None:
    answers = [
        {"name": "sub_radio_question", "answer": {"name": "first_sub_radio_answer", "confidence": 0.4,
                                                  "customMetrics": [{"name": "inner", "value": 0.25}]}},
        {"name": "sub_free_text", "answer": "said"},
    ]  # fmt: skip
    body = {"dataRow": {"globalKey": "gk"}, "uuid": UUID, "name": "bbox_with_subclasses", "confidence": 0.5,
            "customMetrics": [{"name": "own", "value": 1.0}], "classifications": answers,
            "bbox": {"top": 170.7, "left": 256.0, "height": 170.7, "width": 256.0}}  # fmt: skip
    result = converted("image", body).result
    for kept in (result, as_the_editor_keeps_it(result)):
        (row,) = back("image", *kept).rows
        assert same(row, body, 1e-3), row


def test_a_nested_answer_that_a_person_gave_has_no_metrics_of_its_object() -> None:
    body = {"uuid": UUID, "name": "mask_with_text_subclass", "mask": SAMPLES["image.mask.png"]["rows"][0]["mask"],
            "customMetrics": [{"name": "own", "value": 1.0}]}  # fmt: skip
    (region,) = converted("image", body, facts=SMALL).result
    value = {**region["value"], "text": ["written"]}
    written = {**region, "from_name": "mask_with_text_subclass__sub_free_text", "type": "textarea", "value": value}
    (row,) = back("image", region, written, facts=SMALL).rows
    assert row["classifications"] == [{"name": "sub_free_text", "answer": "written"}]
    assert row["customMetrics"] == [{"name": "own", "value": 1.0}]


def test_a_relation_keeps_its_uuid_and_readonly_in_an_editor_that_keeps_no_meta_of_relations() -> None:
    rows = json.loads(json.dumps(SAMPLES["image.relationship"]["rows"]))
    rows[2]["relationship"]["readonly"] = True
    kept = as_the_editor_keeps_it(converted("image", *rows).result)
    again = back("image", *kept).rows
    assert again[2] == {**rows[2], "dataRow": {"globalKey": "gk"}}


# --- what people draw
def test_a_persons_box_has_no_confidence_and_its_size_comes_from_the_region() -> None:
    region = {
        "id": "aB3", "from_name": "bbox", "to_name": "image", "type": "rectanglelabels",
        "original_width": 1000, "original_height": 500, "image_rotation": 0, "origin": "manual",
        "value": {"x": 10.0, "y": 20.0, "width": 33.333333333333336, "height": 50.0, "rotation": 0,
                  "rectanglelabels": ["bounding_box"]},
    }  # fmt: skip
    (row,) = back("image", region, facts=AssetFacts("image")).rows
    assert row["dataRow"] == {"globalKey": "gk"}
    assert row["name"] == "bounding_box"
    assert "confidence" not in row
    assert same(row["bbox"], {"top": 100.0, "left": 100.0, "height": 250.0, "width": 333.333}, 1e-3)
    assert len(row["uuid"]) == 36


def test_the_same_region_always_gets_the_same_uuid() -> None:
    region = {"id": "aB3", "from_name": "free_text", "to_name": "image", "type": "textarea", "value": {"text": ["x"]}}
    one, other = (back("image", region).rows[0]["uuid"] for _ in range(2))
    assert one == other


def test_a_turned_box_becomes_the_box_around_it_and_that_is_said() -> None:
    region = {
        "id": "r", "from_name": "bbox", "to_name": "image", "type": "rectanglelabels",
        "original_width": 1000, "original_height": 500,
        "value": {"x": 50, "y": 20, "width": 10, "height": 10, "rotation": 90, "rectanglelabels": ["bounding_box"]},
    }  # fmt: skip
    conversion = back("image", region)
    assert same(conversion.rows[0]["bbox"], {"top": 100.0, "left": 450.0, "height": 100.0, "width": 50.0}, 1e-3)
    assert "its rotation was left out" in conversion.dropped[0]


def test_what_labelbox_has_no_tool_for_is_named() -> None:
    config = labeling.parse(
        """<View><Image name="image" value="$image"/>
        <EllipseLabels name="e" toName="image"><Label value="x"/></EllipseLabels>
        <RectangleLabels name="bbox" toName="image"><Label value="unheard of"/></RectangleLabels></View>"""
    )
    ellipse = {"id": "e", "from_name": "e", "to_name": "image", "type": "ellipselabels",
               "value": {"x": 1, "y": 1, "radiusX": 1, "radiusY": 1, "ellipselabels": ["x"]}}  # fmt: skip
    box = {"id": "b", "from_name": "bbox", "to_name": "image", "type": "rectanglelabels",
           "value": {"x": 1, "y": 1, "width": 1, "height": 1, "rectanglelabels": ["unheard of"]}}  # fmt: skip
    conversion = to_rows([ellipse, box], ONTOLOGY, config, FACTS["image"], ROW)
    assert conversion.rows == []
    assert len(conversion.dropped) == 2


def test_a_malformed_region_costs_only_itself() -> None:
    broken = {"id": "b", "from_name": "bbox", "to_name": "image", "type": "rectanglelabels",
              "value": {"x": "left", "y": 1, "width": 1, "height": 1, "rectanglelabels": ["bounding_box"]}}  # fmt: skip
    fine = {"id": "t", "from_name": "free_text", "to_name": "image", "type": "textarea", "value": {"text": ["x"]}}
    conversion = back("image", broken, fine)
    assert [row["name"] for row in conversion.rows] == ["free_text"]
    assert "malformed" in conversion.dropped[0]


def test_a_region_with_two_labels_becomes_two_rows() -> None:
    region = {"id": "n", "from_name": "ner", "to_name": "text", "type": "labels",
              "value": {"start": 0, "end": 3, "text": "The",
                        "labels": ["named_entity", "ner_with_checklist_subclass"]}}  # fmt: skip
    rows = back("text", region).rows
    assert [row["name"] for row in rows] == ["named_entity", "ner_with_checklist_subclass"]
    assert len({row["uuid"] for row in rows}) == 2


def test_a_deleted_end_takes_the_relation_with_it_and_says_so() -> None:
    result = converted("image", *SAMPLES["image.relationship"]["rows"]).result
    conversion = back("image", *result[1:])
    assert [row["name"] for row in conversion.rows] == ["bounding_box"]
    assert "has no row" in conversion.dropped[0]


def test_a_relation_to_the_left_is_one_from_target_to_source() -> None:
    first, second, relation = converted("image", *SAMPLES["image.relationship"]["rows"]).result
    row = back("image", first, second, {**relation, "direction": "left"}).rows[-1]
    assert row["relationship"]["source"] == second["id"]


# --- configs that people wrote
HAND_WRITTEN = """<View><Image name="photo" value="$photo"/>
<Labels name="what" toName="photo"><Label value="Bounding Box" alias="bounding_box"/></Labels>
<Rectangle name="shape" toName="photo"/>
<Taxonomy name="tree" toName="photo"><Choice value="Animal"><Choice value="Cat"/><Choice value="Dog"/></Choice>
<Choice value="Plant"/></Taxonomy></View>"""


def test_a_config_with_shapes_beside_labels_takes_boxes_and_gives_them_back() -> None:
    (row,) = SAMPLES["image.bbox.custom_metrics"]["rows"]
    config = labeling.parse(HAND_WRITTEN)
    there = to_regions([accepted(row)], ONTOLOGY, config, FACTS["image"])
    assert [region["type"] for region in there.result] == ["rectangle", "labels"]
    assert there.dropped == []
    again = to_rows(there.result, ONTOLOGY, config, FACTS["image"], DataRowRef("image-gk-1"))
    assert same(again.rows, [row], 1e-3)
    assert again.dropped == []


def test_paths_of_a_taxonomy_are_nested_answers() -> None:
    config = labeling.parse(HAND_WRITTEN)
    region = {"id": "t", "from_name": "tree", "to_name": "photo", "type": "taxonomy",
              "value": {"taxonomy": [["Animal", "Cat"], ["Plant"]]}}  # fmt: skip
    ontology = to_ontology(config)
    (row,) = to_rows([region], ontology, config, FACTS["image"], ROW).rows
    assert row["answer"] == [
        {"name": "Animal", "classifications": [{"name": "Animal", "answer": [{"name": "Cat"}]}]},
        {"name": "Plant"},
    ]
    there = to_regions([accepted(row)], ontology, config, FACTS["image"])
    assert there.result[0]["value"]["taxonomy"] == region["value"]["taxonomy"]  # type: ignore[index]


@pytest.mark.parametrize(
    "name", ["image", "geospatial", "document", "video", "text", "html", "audio", "conversational"]
)
def test_results_recorded_for_configs_written_by_hand_lose_nothing(name: str) -> None:
    reference = json.loads((DATA / "ls_configs.json").read_text(encoding="utf-8"))[name]
    config = labeling.parse(reference["xml"])
    conversion = to_rows(reference["result"], to_ontology(config), config, FACTS[name], ROW)
    assert [reason for reason in conversion.dropped if "score 0.5" not in reason] == []  # video objects have none
    objects = {region["id"] for region in reference["result"] if "id" in region}
    nested = {r["id"] for r in reference["result"] if "__" in r.get("from_name", "") and r["id"].startswith("c")}
    relations = [region for region in reference["result"] if region["type"] == "relation"]
    assert len(conversion.rows) == len(objects - nested) + len(relations) + (name == "audio")


# --- one answer a question, one sentence for what is lost
def test_a_second_answer_to_the_same_question_is_named() -> None:
    conversion = converted(
        "image",
        {"uuid": "a", "name": "free_text", "answer": "first"},
        {"uuid": "b", "name": "free_text", "answer": "second"},
    )
    assert [region["value"]["text"] for region in conversion.result] == [["first"]]
    assert conversion.dropped == [
        "row b (free_text): another row has answered 'free_text' already; Label Studio keeps one answer."
    ]


def test_a_box_partly_outside_is_cut_and_said() -> None:
    body = {"uuid": "u", "name": "bounding_box", "bbox": {"top": -10.0, "left": 0.0, "height": 20.0, "width": 20.0}}
    conversion = converted("image", body)
    assert conversion.result[0]["value"]["y"] == 0
    assert conversion.dropped == ["row u (bounding_box): what lies outside the picture was cut off."]


def test_without_the_images_size_a_box_cannot_be_placed() -> None:
    body = {"uuid": "u", "name": "bounding_box", "bbox": {"top": 1.0, "left": 1.0, "height": 5.0, "width": 5.0}}
    conversion = converted("image", body, facts=AssetFacts("image"))
    assert conversion.dropped == ["row u (bounding_box): the size of its picture is not known."]


def test_the_answers_that_are_compared_come_from_the_data_row() -> None:
    region = {"id": "s", "from_name": "single_selection", "to_name": "a", "type": "pairwise",
              "value": {"selected": "right"}}  # fmt: skip
    facts = dataclasses.replace(FACTS["conversational"], parent_message="parent")
    (row,) = back("conversational", region, facts=facts).rows
    assert row["messageEvaluationTask"]["data"] == {
        "parentMessageId": "parent", "messageId": "clxfzocbm00093b6vx4ndisub", "modelConfigName": "GPT 5",
    }  # fmt: skip
