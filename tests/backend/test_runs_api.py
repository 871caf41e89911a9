"""Models and runs over HTTP: the seven steps, refusals, files, and the OpenAPI document."""

from __future__ import annotations

import io
import json
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from prelabel import errors
from prelabel.analysis.views import VIEWS
from prelabel.queue import JobQueue
from prelabel.runs import Ledger
from prelabel.runs.blocks import from_bytes
from prelabel.server import create_app
from prelabel.server.runs_forms import WorstQuery
from prelabel.settings import load_settings
from prelabel.testing.stub import StubPredictor

ONTOLOGY = {
    "tools": [{"tool": "rectangle", "name": "cat"}, {"tool": "rectangle", "name": "dog"}],
    "classifications": [{"type": "radio", "name": "light", "options": [{"value": "day"}, {"value": "night"}]}],
}
CHOICES = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
API = "/api/v1"


def box(key: str, name: str, *, left: float = 10, confidence: float | None = None, uuid: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {
        "uuid": uuid or f"{key}-{name}-{left:g}",
        "dataRow": {"globalKey": key},
        "name": name,
        "bbox": {"top": 10.0, "left": float(left), "height": 20.0, "width": 20.0},
    }
    return row if confidence is None else {**row, "confidence": confidence}


def ndjson(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    settings = load_settings(data_dir=tmp_path)
    ledger = Ledger.open(settings)
    made = create_app(settings, StubPredictor("stub-0000000c"), ledger=ledger)
    yield made
    made.extensions["prelabel"]["runs"].close()
    ledger.close()


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


def images(http: FlaskClient, count: int = 4) -> list[str]:
    """Data rows ``k0``, ``k1`` ... in the dataset images."""
    keys = [f"k{number}" for number in range(count)]
    rows = [
        {
            "row_data": f"http://x/{key}.jpg",
            "global_key": key,
            "media_type": "IMAGE",
            "facts": {"width": 100, "height": 100},
        }
        for key in keys
    ]
    answer = http.post(f"{API}/datasets/images/data-rows", data=ndjson(*rows))
    assert (answer.status_code, answer.get_json()["written"]) == (200, count)
    return keys


def model(http: FlaskClient, *names: str) -> None:
    """The model cats with these runs, which have the data rows k0 to k3."""
    assert http.post(f"{API}/models", json={"name": "cats", "ontology": ONTOLOGY}).status_code == 201
    keys = images(http)
    for name in names:
        assert http.post(f"{API}/runs", json={"model": "cats", "name": name}).status_code == 201
        assert http.post(f"{API}/runs/{name}/data-rows", json={"global_keys": keys}).status_code == 200


def done(http: FlaskClient, number: int) -> dict[str, Any]:
    """An import when it has ended."""
    for _ in range(1000):
        state: dict[str, Any] = http.get(f"{API}/imports/{number}").get_json()
        if state["state"] != "RUNNING":
            return state
        time.sleep(0.02)
    raise AssertionError("the import does not end")


def bring(http: FlaskClient, run: str, kind: str, *rows: Any) -> dict[str, Any]:
    answer = http.post(f"{API}/runs/{run}/{kind}", data=ndjson(*rows))
    assert answer.status_code == 202, answer.get_json()
    return done(http, answer.get_json()["id"])


@pytest.fixture
def measured(http: FlaskClient) -> FlaskClient:
    """Runs v1 (one box of four right) and v2 (all right but one missed), with the same labels."""
    model(http, "v1", "v2")
    for run in ("v1", "v2"):
        bring(http, run, "labels", *(box(f"k{number}", "cat") for number in range(4)))
    wrong = [box("k1", "dog", confidence=0.9), box("k2", "cat", left=70, confidence=0.8)]
    bring(http, "v1", "predictions", box("k0", "cat", confidence=0.95), *wrong)
    bring(http, "v2", "predictions", *(box(f"k{number}", "cat", confidence=0.6) for number in range(4)))
    return http


# --- the seven steps
def test_the_seven_steps(http: FlaskClient) -> None:
    keys = images(http, 3)
    made = http.post(f"{API}/models", json={"name": "cats", "ontology": ONTOLOGY})
    assert made.status_code == 201
    assert made.get_json()["ontology"]["body"]["tools"][0]["name"] == "cat"
    run = http.post(f"{API}/runs", json={"model": "cats", "name": "v3", "config": {"lr": 0.1}})
    assert (run.status_code, run.get_json()["config"], run.get_json()["stage"]) == (201, {"lr": 0.1}, "candidate")
    assert http.post(f"{API}/runs/v3/data-rows", json={"global_keys": keys}).get_json() == {"data_rows": 3}
    labels = http.post(f"{API}/runs/v3/labels?name=truth", data=ndjson(*(box(key, "cat") for key in keys)))
    assert (labels.status_code, labels.get_json()["kind"], labels.get_json()["name"]) == (202, "annotations", "truth")
    assert done(http, labels.get_json()["id"])["state"] == "FINISHED"
    rows = [box(key, "cat", confidence=0.9) for key in keys]
    job = http.post(f"{API}/runs/v3/predictions?name=import-1", data=ndjson(*rows, box("nobody", "cat")))
    state = done(http, job.get_json()["id"])
    assert (state["state"], state["progress"], state["total"], state["failed"]) == ("FINISHED", "100%", 4, 1)
    found = http.get(f"{API}/runs/v3/metrics").get_json()
    assert (found["data_rows"], found["run"]["tp"], found["run"]["f1"]) == (3, 3, 1.0)


def test_a_refused_line_has_a_reason_and_the_others_theirs(http: FlaskClient) -> None:
    model(http, "v1")
    rows = [box(f"k{number}", "cat") for number in range(3)]
    state = bring(http, "v1", "predictions", rows[0], box("nobody", "cat"), *rows[1:], "no object")
    assert (state["state"], state["failed"]) == ("FINISHED", 2)
    refused = http.get(f"{API}/imports/{state['id']}/statuses?failed=1").get_json()
    assert [one["position"] for one in refused["statuses"]] == [1, 4]
    assert "nobody" in refused["statuses"][0]["errors"][0]["message"]
    first = http.get(f"{API}/imports/{state['id']}/statuses?limit=3").get_json()
    assert [one["status"] for one in first["statuses"]] == ["SUCCESS", "FAILURE", "SUCCESS"]
    rest = http.get(f"{API}/imports/{state['id']}/statuses?limit=3&after={first['after']}").get_json()
    assert ([one["position"] for one in rest["statuses"]], rest["after"]) == ([3, 4], None)
    (listed,) = http.get(f"{API}/runs/v1/imports").get_json()["imports"]
    assert listed == state
    assert http.post(f"{API}/imports/{state['id']}/resume").get_json()["state"] == "FINISHED"


def test_an_import_that_a_killed_server_left_goes_on_with_the_next(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    ledger = Ledger.open(settings)
    first = create_app(settings, StubPredictor(), ledger=ledger)
    model(first.test_client(), "v1")
    client = first.extensions["prelabel"]["runs"].client
    client.stopping.set()  # from now on it begins nothing, as if it were killed
    begun = first.test_client().post(f"{API}/runs/v1/predictions", data=ndjson(box("k0", "cat"))).get_json()
    second = create_app(settings, StubPredictor(), ledger=ledger)
    assert done(second.test_client(), begun["id"])["position"] == 1
    for app in (first, second):
        app.extensions["prelabel"]["runs"].close()
    ledger.close()


# --- models, runs, data rows
def test_a_model_is_made_of_a_labeling_config_too(http: FlaskClient) -> None:
    http.post(f"{API}/models", json={"name": "sentiment", "label_config": CHOICES})
    shown = http.get(f"{API}/models/sentiment").get_json()
    assert shown["ontology"]["label_config"] == CHOICES
    assert shown["ontology"]["body"]["classifications"][0]["name"] == "sentiment"
    names = [one["name"] for one in http.get(f"{API}/models").get_json()["models"]]
    assert names == ["sentiment", "stub"]
    page = http.get(f"{API}/models?limit=1").get_json()
    assert page["after"] == "sentiment"
    assert [one["name"] for one in http.get(f"{API}/models?after=sentiment").get_json()["models"]] == ["stub"]


def test_a_run_is_listed_changed_and_deleted(http: FlaskClient) -> None:
    model(http, "v1", "v2")
    listed = http.get(f"{API}/runs?model=cats&limit=1").get_json()
    assert [one["name"] for one in listed["runs"]] == ["v2"]
    rest = http.get(f"{API}/runs?model=cats&after={listed['after']}").get_json()
    assert ([one["name"] for one in rest["runs"]], rest["after"]) == (["v1"], None)
    change = {"status": "FAILED", "error_message": "no memory", "config": {"a": 1}, "metadata": {"loss": 0.5}}
    changed = http.patch(f"{API}/runs/v1", json=change).get_json()
    assert (changed["status"], changed["status_error"], changed["config"]) == ("FAILED", "no memory", {"a": 1})
    assert http.patch(f"{API}/runs/v1", json={"config": {"b": 2}}).get_json()["config"] == {"a": 1, "b": 2}
    emptied = http.patch(f"{API}/runs/v1", json={"reset_config": True, "config": {"c": 3}}).get_json()
    assert (emptied["config"], emptied["metadata"]) == ({"c": 3}, {"loss": 0.5})
    assert http.delete(f"{API}/runs/v1").status_code == 204
    assert http.get(f"{API}/runs/v1").status_code == 404


def test_a_run_whose_name_has_a_slash_is_reached_by_its_number(http: FlaskClient) -> None:
    model(http)
    made = http.post(f"{API}/runs", json={"model": "cats", "name": "org/v1"}).get_json()
    assert http.get(f"{API}/runs/id:{made['id']}").get_json()["name"] == "org/v1"
    for nobody in ("id:99", "id:x", f"id:{10**30}", f"id:{'1' * 5000}", "org", "%00"):
        assert http.get(f"{API}/runs/{nobody}").status_code == 404


def test_data_rows_are_read_in_pages_and_have_splits(http: FlaskClient) -> None:
    model(http, "v1")
    page = http.get(f"{API}/datasets/images/data-rows?limit=3").get_json()
    assert [row["global_key"] for row in page["data_rows"]] == ["k0", "k1", "k2"]
    rest = http.get(f"{API}/datasets/images/data-rows?limit=3&after={page['after']}").get_json()
    assert ([row["global_key"] for row in rest["data_rows"]], rest["after"]) == (["k3"], None)
    ids = [row["id"] for row in page["data_rows"][:2]]
    chosen = {"split": "test", "data_row_ids": ids, "global_keys": ["k3"]}
    assert http.post(f"{API}/runs/v1/splits", json=chosen).get_json() == {"data_rows": 3}
    tested = http.get(f"{API}/runs/v1/data-rows?split=test").get_json()["data_rows"]
    assert [(row["global_key"], row["split"]) for row in tested] == [("k0", "test"), ("k1", "test"), ("k3", "test")]
    http.post(f"{API}/runs", json={"model": "cats", "name": "v2"})
    added = http.post(f"{API}/runs/v2/data-rows", json={"dataset": "images", "split": "training"}).get_json()
    assert added == {"data_rows": 4}
    assert len(http.get(f"{API}/runs/v2/data-rows?split=training").get_json()["data_rows"]) == 4


def test_data_rows_are_written_all_or_not_at_all(http: FlaskClient) -> None:
    good = [{"row_data": "text", "global_key": f"t{number}"} for number in range(1500)]
    answer = http.post(f"{API}/datasets/texts/data-rows", data=ndjson(*good, {"global_key": "bad"}))
    assert answer.status_code == 400
    assert answer.get_json()["error"] == "line 1501: 'row_data' is missing."
    assert http.get(f"{API}/datasets/texts/data-rows").status_code == 404
    assert list((Path(http.application.extensions["prelabel"]["settings"].data_dir) / "imports").iterdir()) == []


# --- what a run tells
def test_metrics_follow_the_thresholds_and_the_split(measured: FlaskClient) -> None:
    whole = measured.get(f"{API}/runs/v1/metrics").get_json()
    assert (whole["run"]["tp"], whole["run"]["fp"], whole["run"]["fn"]) == (1, 2, 2)
    assert set(whole["classes"]) == {"cat", "dog"}
    sure = measured.get(f"{API}/runs/v1/metrics?confidence=0.93&iou=0.9").get_json()
    assert (sure["confidence"], sure["iou"], sure["run"]["fp"]) == (0.93, 0.9, 0)
    measured.post(f"{API}/runs/v1/splits", json={"split": "test", "global_keys": ["k0"]})
    assert measured.get(f"{API}/runs/v1/metrics?split=test").get_json()["run"]["f1"] == 1.0


def test_the_worst_data_rows_and_the_mistakes_are_shown(measured: FlaskClient) -> None:
    worst = measured.get(f"{API}/runs/v1/worst?view=false_positives&limit=2").get_json()
    assert {row["global_key"] for row in worst["data_rows"]} == {"k1", "k2"}
    assert [row["value"] for row in worst["data_rows"]] == [1.0, 1.0]
    mistakes = measured.get(f"{API}/runs/v1/mistakes").get_json()
    assert mistakes["dog"] == {"class": 1}
    assert mistakes["cat"]["background"] == 1
    views = WorstQuery.model_json_schema()["properties"]["view"]["enum"]
    assert set(views) == set(VIEWS)


def test_runs_are_compared_and_a_condition_is_tested(measured: FlaskClient) -> None:
    lines = measured.get(f"{API}/runs/v2/compare?other=v1&metric=recall").get_json()["lines"]
    assert (lines[0]["class"], lines[0]["data_rows"]) == ("", 3)
    assert lines[0]["difference"]["value"] == pytest.approx(2 / 3)
    query = {"condition": "f1 >= v1.f1 and recall[cat] > 0.5"}
    verdict = measured.get(f"{API}/runs/v2/check", query_string=query).get_json()
    assert verdict["holds"] is True
    assert len(verdict["reasons"]) == 2
    assert measured.get(f"{API}/runs/v1/check", query_string=query).get_json()["holds"] is False


def test_corrections_say_what_people_did(measured: FlaskClient) -> None:
    found = measured.get(f"{API}/runs/v2/corrections?precision=0.9").get_json()
    cat = found["classes"]["cat"]
    assert (found["precision"], cat["accepted"], cat["deleted"], cat["kept"]) == (0.9, 4, 0, 1.0)
    assert cat["trust_from"] == 0.6


def test_items_are_read_in_pages(measured: FlaskClient) -> None:
    seen: list[float] = []
    after: str | None = None
    while True:
        query = {"order": "confidence", "limit": 2, **({"after": after} if after else {})}
        page = measured.get(f"{API}/runs/v1/items", query_string=query).get_json()
        seen += [item["confidence"] for item in page["items"]]
        after = page["after"]
        if after is None:
            break
    assert seen == [0.8, 0.9, 0.95]
    dogs = measured.get(f"{API}/runs/v1/items?feature=dog").get_json()["items"]
    assert [(one["global_key"], one["body"]["bbox"]["left"]) for one in dogs] == [("k1", 10.0)]
    labels = measured.get(f"{API}/runs/v1/items?role=annotation").get_json()["items"]
    assert len(labels) == 4


def test_a_run_is_downloaded_in_every_format(measured: FlaskClient, tmp_path: Path) -> None:
    lines = measured.get(f"{API}/runs/v1/export?format=ndjson")
    assert lines.headers["Content-Disposition"] == "attachment; filename=v1.ndjson"
    assert lines.content_type == "application/x-ndjson"
    rows = [json.loads(line) for line in lines.data.splitlines()]
    assert {row["dataRow"]["globalKey"] for row in rows} == {"k0", "k1", "k2"}
    assert len(lines.data) == lines.content_length
    labels = measured.get(f"{API}/runs/v1/export?role=annotation")
    assert len(labels.data.splitlines()) == 4
    tasks = measured.get(f"{API}/runs/v1/export?format=labelstudio").get_json()
    assert len(tasks) == 4
    assert tasks[0]["predictions"][0]["model_version"] == "v1"
    coco = measured.get(f"{API}/runs/v1/export?format=coco").get_json()
    assert len(coco["annotations"]) == 3
    parquet = pytest.importorskip("pyarrow.parquet")
    table = measured.get(f"{API}/runs/v1/export?format=parquet")
    assert parquet.read_table(io.BytesIO(table.data)).num_rows == 3
    assert not list((tmp_path / "imports").glob("export-*"))


def test_a_report_has_what_applies_and_null_for_the_rest(measured: FlaskClient) -> None:
    report = measured.get(f"{API}/runs/v1/report?confidence=0.1").get_json()
    assert (report["metrics"]["confidence"], report["metrics"]["run"]["tp"]) == (0.1, 1)
    assert set(report["curves"]) == {"cat", "dog"}
    assert (report["spans"], report["texts"], report["refused"]) == (None, None, {})


def test_slices_are_saved_listed_asked_for_and_compared(measured: FlaskClient) -> None:
    saved = measured.post(f"{API}/models/cats/slices", json={"name": "wrong", "condition": "fp > 0"})
    assert (saved.status_code, saved.get_json()["condition"]) == (201, "fp > 0")
    listed = measured.get(f"{API}/models/cats/slices").get_json()
    assert [one["name"] for one in listed["slices"]] == ["wrong"]
    assert "low_f1" in listed["ready"]
    lines = measured.get(f"{API}/runs/v1/slice", query_string={"condition": "wrong", "order": "tp", "limit": 1})
    assert lines.content_type == "application/x-ndjson"
    (row,) = map(json.loads, lines.data.splitlines())
    assert row["global_key"] in {"k1", "k2"}
    body = {"other": "v2", "slices": {"wrong": "wrong", "one": [row["id"]]}}
    compared = measured.post(f"{API}/runs/v1/compare", json=body).get_json()["lines"]
    assert {line["slice"]: line["data_rows"] for line in compared if not line["class"]} == {"": 3, "wrong": 2, "one": 1}
    assert measured.delete(f"{API}/models/cats/slices?name=wrong").status_code == 204
    assert measured.delete(f"{API}/models/cats/slices?name=wrong").status_code == 404


def test_corrections_and_matches_are_sent_as_they_are_read(measured: FlaskClient) -> None:
    lines = [json.loads(line) for line in measured.get(f"{API}/runs/v2/corrections/lines").data.splitlines()]
    assert {line["fate"] for line in lines} == {"accepted"}
    blocks = measured.get(f"{API}/runs/v1/matches").data
    (length,) = struct.unpack_from("<Q", blocks)
    assert len(from_bytes(blocks[8 : 8 + length]).row_ids) == 3
    assert len(blocks) == 8 + length


def test_models_and_data_rows_are_removed(http: FlaskClient) -> None:
    model(http, "v1")
    made = http.post(f"{API}/ontologies", json={"ontology": ONTOLOGY, "name": "mine"}).get_json()
    assert http.get(f"{API}/ontologies/{made['id']}").get_json() == made
    assert http.post(f"{API}/models", json={"name": "a/b", "ontology_id": made["id"]}).status_code == 201
    assert http.post(f"{API}/models", json={"name": "bare", "ontology_id": None}).get_json()["ontology"] is None
    (listed,) = http.get(f"{API}/models?name=a/b").get_json()["models"]
    assert http.get(f"{API}/models/id:{listed['id']}").get_json()["ontology"]["name"] == "mine"
    assert http.delete(f"{API}/models/id:{listed['id']}").status_code == 204
    found = http.post(f"{API}/runs/v1/data-rows/find", json={"global_keys": ["k1", "nobody"]}).get_json()
    assert [row["global_key"] for row in found["data_rows"]] == ["k1"]
    removed = http.post(f"{API}/runs/v1/data-rows/remove", json={"global_keys": ["k1"]}).get_json()
    assert removed == {"data_rows": 1}
    assert len(http.get(f"{API}/runs/v1/data-rows").get_json()["data_rows"]) == 3
    assert http.post(f"{API}/runs/v1/collect").get_json() == {"data_rows": 0}
    assert [one["name"] for one in http.get(f"{API}/runs?name=v1").get_json()["runs"]] == ["v1"]
    assert http.delete(f"{API}/models/cats").status_code == 204
    assert http.get(f"{API}/runs/v1").status_code == 404


def test_regions_of_label_studio_are_imported_line_by_line(http: FlaskClient) -> None:
    http.post(f"{API}/models", json={"name": "texts", "label_config": CHOICES})
    http.post(f"{API}/runs", json={"model": "texts", "name": "v1"})
    http.post(f"{API}/datasets/d/data-rows", data=ndjson({"row_data": "x", "global_key": "a"}))
    http.post(f"{API}/runs/v1/data-rows", json={"global_keys": ["a"]})
    region = {"id": "r", "from_name": "sentiment", "to_name": "text", "type": "choices"}
    line = {"dataRow": {"globalKey": "a"}, "result": [{**region, "value": {"choices": ["Positive"]}}]}
    sent = f"{API}/runs/v1/predictions?form=labelstudio"
    for wrong in ({"place": ["http://studio", 1, 2]}, {**line, "result": "x"}, {**line, "error": {"name": "x"}}):
        refused = http.post(sent, data=ndjson(line, wrong))
        assert refused.status_code == 400
        assert refused.get_json()["error"].startswith("line 2: ")
    begun = http.post(sent, data=ndjson(line)).get_json()
    assert (done(http, begun["id"])["failed"], begun["form"]) == (0, "labelstudio")
    (item,) = http.get(f"{API}/runs/v1/items").get_json()["items"]
    assert item["body"][0]["value"] == {"choices": ["Positive"]}


def test_long_work_is_asked_for_until_it_has_ended(http: FlaskClient) -> None:
    model(http, "v1")
    begun = http.post(f"{API}/runs/v1/send", json={"project": 1})
    assert (begun.status_code, begun.get_json()["kind"], begun.get_json()["run"]) == (202, "send", "v1")
    for _ in range(1000):
        work = http.get(f"{API}/works/{begun.get_json()['id']}").get_json()
        if work["state"] != "RUNNING":
            break
        time.sleep(0.02)
    assert (work["state"], work["result"], work["error"]["kind"]) == ("FAILED", None, "SettingsError")
    assert "LABEL_STUDIO_URL" in work["error"]["hint"]
    assert http.get(f"{API}/works?limit=1").get_json()["work"] == [work]


# --- refusals
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/models", {"name": "x"}, 400, "'label_config' or 'ontology'"),
        ("GET", "/nothing", None, 404, "openapi.json"),
        ("PUT", "/runs/v1", {}, 405, "openapi.json"),
        ("POST", "/models", {"name": "", "ontology": {}}, 400, "'name'"),
        ("POST", "/models", {"name": "a\u0000b", "ontology": {}}, 400, "cannot be printed"),
        ("POST", "/models", {"name": "x", "label_config": "<View>"}, 422, "labeling config"),
        ("POST", "/models", {"name": "x", "ontology": {"tools": 5}}, 400, ""),
        ("POST", "/models", {"name": "x", "ontologie": {}}, 400, "'ontologie' means nothing here"),
        ("POST", "/models", {"name": "cats", "label_config": CHOICES}, 400, "another ontology"),
        ("POST", "/models", [], 400, "object"),
        ("POST", "/runs", {"model": "nobody", "name": "x"}, 404, "no model 'nobody'"),
        ("POST", "/runs", {"model": "cats", "name": "v1"}, 400, "is taken"),
        ("POST", "/runs", {"model": "cats", "name": 5}, 400, "'name'"),
        ("PATCH", "/runs/v1", {"status": "READY"}, 400, "EXPORTING_DATA"),
        ("PATCH", "/runs/v1", {"error_message": "why"}, 400, "'status'"),
        ("PATCH", "/runs/v1", {"config": []}, 400, "'config'"),
        ("PATCH", "/runs/nobody", {}, 404, "'nobody'"),
        ("DELETE", "/runs/nobody", None, 404, "'nobody'"),
        ("POST", "/runs/v1/data-rows", {}, 400, "no data rows are chosen"),
        ("POST", "/runs/v1/data-rows", {"global_keys": ["nobody"]}, 404, "'nobody'"),
        ("POST", "/runs/v1/data-rows", {"global_keys": [5]}, 400, "global_keys.0"),
        ("POST", "/runs/v1/data-rows", {"dataset": "nobody"}, 404, "no dataset"),
        ("POST", "/runs/v1/splits", {"split": "best", "global_keys": ["k0"]}, 400, "'training'"),
        ("GET", "/runs/v1/metrics?confidence=2", None, 400, "'confidence'"),
        ("GET", "/runs/v1/metrics?iou=nan", None, 400, "'iou'"),
        ("GET", "/runs/v1/metrics?confidance=0.5", None, 400, "'confidance' means nothing here"),
        ("GET", "/runs/v1/metrics?split=best", None, 400, "'split'"),
        ("GET", "/runs/v1/worst?view=best", None, 400, "'low_f1'"),
        ("GET", "/runs/v1/compare", None, 400, "'other' is missing"),
        ("GET", "/runs/v1/compare?other=nobody", None, 404, "'nobody'"),
        ("GET", "/runs/v1/check?condition=f1", None, 400, "comparison"),
        ("GET", "/runs/v1/check?condition=beauty>1", None, 400, "'beauty' is no metric"),
        ("GET", "/runs/v1/items?limit=1001", None, 400, "'limit'"),
        ("GET", "/runs/v1/items?limit=0", None, 400, "'limit'"),
        ("GET", "/runs/v1/items?after=[]", None, 400, "does not name a page"),
        ("GET", '/runs/v1/items?after=[{},"x"]', None, 400, "does not name a page"),
        ("GET", '/runs/v1/items?after=[1,"\\ud800"]', None, 400, "does not name a page"),
        ("GET", '/runs/v1/items?order=confidence&after=[1,"x"]', None, 400, "does not name a page"),
        ("GET", f"/runs/v1/items?after={'[' * 5000}", None, 400, "does not name a page"),
        ("GET", "/runs/v1/export?format=csv", None, 400, "'ndjson'"),
        ("GET", "/runs/v1/export?splits=test,best", None, 400, "'best' is no split"),
        ("GET", "/runs/v1/export?splits=test&split=test", None, 400, "'split' or 'splits'"),
        ("GET", "/runs/v1/slice", None, 400, "'condition' is missing"),
        ("GET", "/runs/v1/slice?condition=metadata.x%20>", None, 400, "no slice of that name"),
        ("GET", "/runs/v1/slice?condition=fp%20>%200&order=beauty", None, 400, "beauty"),
        ("GET", "/runs/v1/matches?split=best", None, 400, "'split'"),
        ("GET", "/runs/v1/report?iou=2", None, 400, "'iou'"),
        ("POST", "/runs/v1/compare", {"other": "v1", "slices": {"x": 5}}, 400, "'slices.x"),
        ("POST", "/runs/v1/compare", {"other": "v1", "slices": {"x": "fp >"}}, 400, "no slice of that name"),
        ("POST", "/runs/v1/send", {}, 400, "'project' is missing"),
        ("POST", "/runs/v1/send", {"project": 1, "splits": ["best"]}, 400, "'splits.0'"),
        ("POST", "/runs/v1/send", {"project": 1, "priority": {"a": 1}, "order": "mix"}, 400, "'priority' or 'order'"),
        ("POST", "/runs/v1/select", {"project": 1, "encoder": "/etc/model.py:f"}, 400, "'encoder'"),
        ("POST", "/runs/v1/select", {"project": 1, "count": 0}, 400, "'count'"),
        ("POST", "/runs/v1/selection", {"project": 1, "fields": {"x": {}}}, 400, "'fields.x"),
        ("POST", "/runs/nobody/labels-of-project", {"project": 1}, 404, "'nobody'"),
        ("POST", "/datasets/%00/tasks-of-project", {"project": 1}, 400, "printable"),
        ("POST", "/runs/v1/data-rows/find", {"global_keys": ["x"] * 1001}, 400, "'global_keys'"),
        ("POST", "/runs/v1/data-rows/remove", {"global_keys": ["nobody"]}, 404, "'nobody'"),
        ("POST", "/runs/v1/promote", {"condition": "f1 >"}, 400, "cannot be read"),
        ("POST", "/models/cats/roll-back", None, 400, ""),
        ("POST", "/models/nobody/roll-back", None, 404, "'nobody'"),
        ("POST", "/models", {"name": "x", "ontology_id": 99}, 404, "no ontology 99"),
        ("POST", "/models", {"name": "x", "ontology": None}, 400, "'label_config' or 'ontology'"),
        ("POST", "/ontologies", {}, 400, "give one of"),
        ("POST", "/ontologies", {"label_config": "<View>"}, 422, "labeling config"),
        ("GET", f"/ontologies/{10**30}", None, 404, "no ontology"),
        ("DELETE", "/models/id:99", None, 404, "'id:99'"),
        ("DELETE", "/models/cats/slices", None, 400, "'name' is missing"),
        ("DELETE", "/models/cats/slices?name=low_f1", None, 400, "ready-made"),
        ("POST", "/models/cats/slices", {"name": "x", "condition": "fp >"}, 400, "cannot be read"),
        ("GET", "/works/nobody", None, 404, "no work"),
        ("GET", "/runs?after=99999999999999999999", None, 400, "'after'"),
        ("GET", "/runs/v1?x=1", None, 400, "means nothing here"),
        ("GET", "/models/nobody", None, 404, "'nobody'"),
        ("GET", "/datasets/nobody/data-rows", None, 404, "no dataset"),
        ("GET", "/imports/99", None, 404, "no import 99"),
        ("GET", f"/imports/{10**30}", None, 404, "no import"),
        ("POST", "/imports/99/resume", None, 404, "no import 99"),
        ("GET", "/imports/99/statuses", None, 404, "no import 99"),
        ("PUT", "/runs/v1", {}, 405, ""),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    http: FlaskClient, *, method: str, path: str, body: Any, status: int, says: str
) -> None:
    model(http, "v1")
    answer = (
        http.open(API + path, method=method, json=body) if body is not None else http.open(API + path, method=method)
    )
    assert answer.status_code == status
    said = answer.get_json()
    assert says in f"{said['error']} {said.get('hint', '')}"
    assert status == 405 or said["kind"] in vars(errors)
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/runs/v1/predictions", b"", "holds no rows"),
        ("/runs/v1/predictions", b"\n\n", "holds no rows"),
        ("/runs/v1/labels", b'  [{"uuid": "1"}]', "one JSON array"),
        ("/runs/v1/predictions?nome=x", b"{}", "'nome' means nothing here"),
        ("/datasets/images/data-rows", b"", "no data rows"),
        ("/datasets/images/data-rows", b"{", "line 1: the body is not JSON"),
        ("/datasets/images/data-rows", b"[]", "one JSON array"),
        ("/datasets/images/data-rows", b'{"row_data": NaN}', "NaN"),
        ("/datasets/images/data-rows", b'{"row_data": "x", "global_key": 5}', "line 1: 'global_key'"),
        ("/datasets/images/data-rows", b'{"row_data": "x", "media_type": "SMELL"}', "'SMELL' is no media type"),
        ("/datasets/images/data-rows", b'\n{"row_data": "x", "metadata": "y"}', "line 2: 'metadata'"),
        ("/datasets/images/data-rows", b'{"row_data": "\\ud800"}', "not JSON"),
        ("/runs/v1/splits", b"{", "not JSON"),
        ("/runs/v1/splits", b"\xff", "not JSON"),
        ("/runs", b'{"model": "cats", "name": "x", "config": {"a": NaN}}', "NaN"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(http: FlaskClient, path: str, body: bytes, says: str) -> None:
    model(http, "v1")
    answer = http.post(API + path, data=body)
    assert answer.status_code == 400
    assert says in answer.get_json()["error"]


def test_an_import_of_a_taken_name_is_refused_and_leaves_nothing(http: FlaskClient, tmp_path: Path) -> None:
    model(http, "v1")
    first = http.post(f"{API}/runs/v1/predictions?name=a", data=ndjson(box("k0", "cat")))
    done(http, first.get_json()["id"])
    again = http.post(f"{API}/runs/v1/predictions?name=a", data=ndjson(box("k1", "cat")))
    assert (again.status_code, "already" in again.get_json()["error"]) == (400, True)
    assert len(list((tmp_path / "imports").iterdir())) == 1


def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, max_request_bytes=2000)
    ledger = Ledger.open(settings)
    app = create_app(settings, StubPredictor(), ledger=ledger)
    answer = app.test_client().post(f"{API}/datasets/x/data-rows", data=ndjson({"row_data": "x" * 3000}))
    assert answer.status_code == 413
    assert "max_request_bytes (2000)" in answer.get_json()["error"]
    app.extensions["prelabel"]["runs"].close()
    ledger.close()


def test_on_both_databases(tmp_path: Path, database_url: str) -> None:
    settings = load_settings(data_dir=tmp_path / "elsewhere", database_url=database_url)
    ledger = Ledger.open(settings)
    app = create_app(settings, StubPredictor(), ledger=ledger)
    http = app.test_client()
    model(http, "v1")
    assert bring(http, "v1", "labels", box("k0", "cat"))["failed"] == 0
    assert (
        bring(http, "v1", "predictions", box("k0", "cat", confidence=0.5), box("k1", "dog", confidence=0.7))["total"]
        == 2
    )
    assert http.get(f"{API}/runs/v1/metrics").get_json()["run"]["tp"] == 1
    page = http.get(f"{API}/runs/v1/items?order=confidence&limit=1").get_json()
    query = {"order": "confidence", "after": page["after"]}
    rest = http.get(f"{API}/runs/v1/items", query_string=query).get_json()
    assert [one["confidence"] for one in page["items"] + rest["items"]] == [0.5, 0.7]
    assert len(http.get(f"{API}/runs/v1/export").data.splitlines()) == 2
    for path in ("/runs/%00", "/models/%00", "/datasets/%00/data-rows", "/runs/v1/compare?other=nobody%00"):
        assert http.get(API + path).status_code in (400, 404)
    assert http.get(f"{API}/runs?model=%00").status_code == 400
    assert http.get(f"{API}/runs/v1/items", query_string={"after": '[1,"\\u0000"]'}).status_code == 400
    nul = {"global_keys": ["\0"]}
    assert http.post(f"{API}/runs/v1/data-rows", json=nul).status_code == 400
    assert http.patch(f"{API}/runs/v1", json={"status": "FAILED", "error_message": "\0"}).status_code == 400
    assert http.post(f"{API}/datasets/%00/data-rows", data=ndjson({"row_data": "x"})).status_code == 400
    assert http.get(f"{API}/runs/v1/check", query_string={"condition": "\0.f1 > 0"}).status_code == 400
    app.extensions["prelabel"]["runs"].close()
    ledger.close()


def test_a_server_that_nobody_asks_for_runs_loads_nothing_for_them(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from prelabel.runs import Ledger;"
        "from prelabel.server import create_app;"
        "from prelabel.settings import load_settings; from prelabel.testing.stub import StubPredictor;"
        f"settings = load_settings(data_dir=Path({str(tmp_path)!r})); ledger = Ledger.open(settings);"
        "http = create_app(settings, StubPredictor(), ledger=ledger).test_client();"
        "assert http.get('/api/v1/model').status_code == 200; before = set(sys.modules);"
        "assert http.get('/api/v1/models').status_code == 200;"
        "print('prelabel.client' in before, 'prelabel.client' in sys.modules, 'numpy' in before)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True", "False"]


def test_without_a_ledger_there_are_no_runs(tmp_path: Path) -> None:
    http = create_app(load_settings(data_dir=tmp_path), StubPredictor()).test_client()
    assert http.get(f"{API}/runs").status_code == 404
    assert f"{API}/runs" not in http.get(f"{API}/openapi.json").get_json()["paths"]


def test_a_real_server_takes_a_stream_and_sends_a_file(backend: Callable[..., Any]) -> None:
    server = backend(api_keys="first-key,second-key")
    with httpx.Client(base_url=server.url + API, headers={"Authorization": "Bearer second-key"}) as http:
        rows = ({"row_data": f"{number}", "global_key": f"g{number}"} for number in range(3000))
        sent = http.post("/datasets/numbers/data-rows", content=(ndjson(row) for row in rows))
        assert sent.json() == {"dataset": "numbers", "written": 3000, "data_rows": 3000}
        assert http.post("/models", json={"name": "cats", "ontology": ONTOLOGY}).status_code == 201
        assert http.post("/runs", json={"model": "cats", "name": "v1"}).status_code == 201
        assert http.post("/runs/v1/data-rows", json={"dataset": "numbers"}).json() == {"data_rows": 3000}
        lines = (ndjson(box(f"g{number}", "cat")) for number in range(3000))
        begun = http.post("/runs/v1/predictions", content=lines).json()
        for _ in range(1000):
            state = http.get(f"/imports/{begun['id']}").json()
            if state["state"] != "RUNNING":
                break
            time.sleep(0.02)
        assert (state["state"], state["position"], state["failed"]) == ("FINISHED", 3000, 0)
        assert len(http.get("/runs/v1/export").content.splitlines()) == 3000
        assert http.head("/runs/v1/export").status_code == 200


# --- the OpenAPI document
@pytest.fixture
def whole(tmp_path: Path, redis_url: str) -> Iterator[Flask]:
    """An app with everything that has endpoints."""
    settings = load_settings(
        data_dir=tmp_path, redis_url=redis_url, api_keys="a-key", basic_auth_user="bob", basic_auth_pass="secret"
    )
    ledger = Ledger.open(settings)
    queue = JobQueue.open(settings, ledger)
    yield create_app(settings, StubPredictor(), ledger=ledger, queue=queue)
    queue.close()
    ledger.close()


def test_the_openapi_document_is_valid_and_has_every_endpoint(whole: Flask) -> None:
    answer = whole.test_client().get(f"{API}/openapi.json", headers={"Authorization": "Bearer a-key"})
    document = answer.get_json()
    OpenAPIV31SpecValidator(document).validate()
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    there = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in whole.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == there
    assert len(there) >= 55


def test_the_document_says_what_is_taken_answered_and_refused(whole: Flask) -> None:
    document = whole.test_client().get(f"{API}/openapi.json", auth=("bob", "secret")).get_json()
    assert document["security"] == [{"key": []}, {"password": []}]
    assert set(document["components"]["securitySchemes"]) == {"key", "password"}
    metrics = document["paths"]["/api/v1/runs/{run}/metrics"]["get"]
    assert {one["name"] for one in metrics["parameters"]} == {"run", "confidence", "iou", "split"}
    assert {"200", "400", "401", "404", "503", "default"} <= set(metrics["responses"])
    made = document["paths"]["/api/v1/runs"]["post"]
    reference = made["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    shape = document["components"]["schemas"][reference.rpartition("/")[2]]
    assert (set(shape["properties"]), shape["required"]) == ({"model", "name", "config"}, ["model", "name"])
    for methods in document["paths"].values():
        for one in methods.values():
            assert one["summary"].endswith(".")
            assert "default" in one["responses"]


def test_an_open_server_asks_for_nothing(http: FlaskClient) -> None:
    assert http.get(f"{API}/openapi.json").get_json()["security"] == [{}]
