"""Imports: every row has its status, none costs another, the same uuid replaces, and what was killed goes on."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from labelbox.schema.data_row_metadata import DataRowMetadataField

from prelabel import Box, Choice
from prelabel.client import Client
from prelabel.client_run import ModelRun
from prelabel.errors import DataError, NotFoundError, RequestError
from prelabel.settings import Settings, load_settings

DATA = Path(__file__).parent.parent / "labelbox" / "data"
Keys = Callable[[int], list[str]]
ONTOLOGY: dict[str, Any] = {
    "tools": [{"tool": "rectangle", "name": "cat"}, {"tool": "rectangle", "name": "dog"}],
    "classifications": [
        {"type": "radio", "name": "light", "options": [{"value": "day"}, {"value": "night"}]},
        {"type": "text", "name": "note"},
    ],
}


def box(key: str = "k0", uuid: str | None = "u0", name: str = "cat", **more: Any) -> dict[str, Any]:
    bbox = {"top": 1.0, "left": 2.0, "height": 3.0, "width": 4.0}
    return {"dataRow": {"globalKey": key}, "name": name, "bbox": bbox} | ({"uuid": uuid} if uuid else {}) | more


def lines(count: int, rows: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield box(f"k{number % rows}", f"u{number}", confidence=0.5)


@pytest.fixture
def run(client: Client) -> ModelRun:
    return client.create_model("cats", client.create_ontology(ONTOLOGY)).create_model_run("v1")


@pytest.fixture
def filled(run: ModelRun, keys: Keys) -> ModelRun:
    run.upsert_data_rows(global_keys=keys(20))
    return run


def uuids(run: ModelRun) -> set[str]:
    return {item.uuid for item in run.items(1000).items}


# -- sources


def test_rows_come_from_dicts_a_path_or_an_address(filled: ModelRun, tmp_path: Path) -> None:
    file = tmp_path / "predictions.ndjson"
    file.write_text(json.dumps(box("k1", "path")) + "\n\n" + json.dumps(box("k1", "last")))  # no line end at the end
    assert list(filled.add_predictions("dicts", [box("k0", "dict")]).errors) == []
    assert list(filled.add_predictions("path", file).errors) == []
    with served(file.read_bytes()) as address:
        filled.add_predictions("address", address).wait_till_done()
        assert uuids(filled) == {"dict", "path", "last"}
        with pytest.raises(DataError, match="answered 404"):
            filled.add_predictions("gone", address + "/none")
    assert [job.name for job in filled.imports()] == ["dicts", "path", "address"]


def test_outputs_become_regions_of_their_data_rows(client: Client, filled: ModelRun) -> None:
    client.import_data_rows(
        "images", [{"row_data": "0.jpg", "global_key": "k0", "facts": {"width": 200, "height": 100}}]
    )
    job = filled.add_predictions(
        "outputs",
        {
            "k0": [Box(20, 10, 40, 30, "cat", score=0.75, id="b1"), Choice("night", score=0.5)],
            "k1": [Choice("day")],
            "k2": [Box(20, 10, 40, 30, "cat")],  # its size is not known
            "k3": [Choice("dusk")],
            "none": [Choice("day")],
        },
    )
    assert job.state in {"RUNNING", "FINISHED"}
    reasons = {dict(status.data_row)["globalKey"]: status.errors[0].message for status in job.errors}
    assert reasons.keys() == {"k2", "k3", "none"}
    assert "pixel" in reasons["k2"]
    assert "dusk" in reasons["k3"]
    assert "'none' is no data row" in reasons["none"]
    kept = {(item.global_key, item.feature): item for item in filled.items().items}
    assert kept.keys() == {("k0", "cat"), ("k0", "light"), ("k1", "light")}
    found = kept["k0", "cat"]
    assert (found.uuid, found.form, found.confidence) == ("b1", "labelstudio", 0.75)
    assert found.body[0]["value"] | {"x": 10.0, "y": 10.0, "width": 20.0, "height": 30.0} == found.body[0]["value"]


@pytest.mark.parametrize(
    ("source", "says"),
    [([], "there are no rows"), (7, "int is nothing to import"), ({}, "no outputs"), ("nowhere.ndjson", "No such")],
)
def test_what_cannot_be_imported_is_refused_at_once(filled: ModelRun, source: Any, says: str) -> None:
    with pytest.raises((RequestError, DataError), match=says):
        filled.add_predictions("x", source)
    assert filled.imports() == []
    assert list(filled._client.registry.spool_dir.glob("*")) == []


def test_an_array_in_a_file_is_no_ndjson(filled: ModelRun, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([box()], indent=1))
    with pytest.raises(RequestError, match="one JSON array"):
        filled.add_predictions("x", tmp_path / "a.json")


def test_a_name_is_taken_once_in_a_run(client: Client, filled: ModelRun) -> None:
    filled.add_predictions("one", [box()]).wait_till_done()
    with pytest.raises(RequestError, match="has an import 'one' already"):
        filled.add_predictions("one", [box()])
    other = client.get_model("cats").create_model_run("v2")
    other.upsert_data_rows(global_keys=["k0"])
    assert list(other.add_predictions("one", [box()]).errors) == []


# -- statuses


def test_a_refused_row_costs_no_other(filled: ModelRun, tmp_path: Path) -> None:
    file = tmp_path / "mixed.ndjson"
    rows: list[Any] = [
        box("k0", "good"),
        box("none", "nowhere"),
        box("k0", "high", confidence=1.5),
        box("k0", "nameless", name="bird"),
        {"uuid": "no-row", "name": "cat"},
        box("k1", "also"),
        {"dataRow": {"globalKey": "k0"}, "name": "light", "uuid": "dusk", "answer": {"name": "dusk"}},
        "text",
    ]
    file.write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n")
    job = filled.add_predictions("mixed", file)
    assert (job.wait_till_done().state, job.progress) == ("FINISHED", "100%")
    statuses = list(job.statuses)
    assert [status.status for status in statuses] == [
        "SUCCESS", "FAILURE", "FAILURE", "FAILURE", "FAILURE", "SUCCESS", "FAILURE", "FAILURE", "FAILURE",
    ]  # fmt: skip
    assert [status.position for status in statuses] == list(range(9))
    assert uuids(filled) == {"good", "also"}
    assert [status.uuid for status in job.errors][:3] == ["nowhere", "high", "nameless"]
    reasons = [f"{e.message} {e.additional_info}" for status in job.errors for e in status.errors]
    for words in ("none", "1.5", "bird", "dataRow", "dusk"):
        assert any(words in reason for reason in reasons), (words, reasons)
    assert (len(job.statuses), len(job.errors), job.statuses[-1].position) == (9, 7, 8)
    assert job.errors[1].uuid == "high"
    assert dict(job.statuses[0].data_row)["globalKey"] == "k0"


def test_a_data_row_must_be_in_the_run_before_its_predictions(client: Client, filled: ModelRun) -> None:
    client.import_data_rows("more", [{"row_data": "x", "global_key": "outside", "media_type": "IMAGE"}])
    job = filled.add_predictions("one", [box("outside")])
    (status,) = job.errors
    assert status.errors[0].name == "DataRowNotInRun"
    assert "upsert_data_rows" in (status.errors[0].additional_info or "")


def test_labels_bring_their_data_rows_into_the_run(client: Client, filled: ModelRun) -> None:
    client.import_data_rows("more", [{"row_data": "x", "global_key": "outside", "media_type": "IMAGE"}])
    assert list(filled.upsert_labels([box("outside")]).errors) == []
    assert [row.data_row.global_key for row in filled.model_run_data_rows()][-1] == "outside"


NUL = "a\x00b"
HALF = "a\ud800b"


def test_what_no_database_keeps_is_one_refused_row(filled: ModelRun, tmp_path: Path) -> None:
    metric = {"dataRow": {"globalKey": "k0"}, "metricValue": 1, "uuid": "m"}
    note = {"dataRow": {"globalKey": "k1"}, "name": "note", "uuid": "text"}
    rows: list[Any] = [
        box("k0", NUL),
        box(NUL, "key"),
        box("k0", HALF),
        box("k0", "name", name=NUL),
        {**note, "answer": NUL},
        {**note, "uuid": "literal", "answer": "a\\u0000b"},  # a backslash and letters, as people write them
        {**metric, "metricName": NUL},
        {**metric, "metricName": "kept"},
        box("k1", "good"),
    ]
    file = tmp_path / "rows.ndjson"
    file.write_text("\n".join(map(json.dumps, rows)))
    job = filled.add_predictions("labelbox", file)
    assert job.wait_till_done().state == "FINISHED", job.error
    assert [status.position for status in job.errors] == [0, 1, 2, 3, 4, 6]
    assert all(status.errors[0].additional_info for status in job.errors)
    assert uuids(filled) == {"literal", "good"}

    outputs = filled.add_predictions("outputs", {"k2": [Choice("day", id=NUL)], "k3": [Choice("day")]})
    assert outputs.wait_till_done().state == "FINISHED", outputs.error
    assert [dict(status.data_row)["globalKey"] for status in outputs.errors] == ["k2"]


def test_data_rows_that_no_database_keeps_are_refused_with_a_reason(client: Client) -> None:
    for wrong in ({"global_key": NUL}, {"metadata": {"city": HALF}}, {"facts": {"text": NUL}}, {"row_data": HALF}):
        with pytest.raises(RequestError, match="no database keeps"):
            client.import_data_rows("rows", [{"row_data": "x", "global_key": "k", **wrong}])


def test_metadata_may_have_either_of_labelboxs_forms(client: Client) -> None:
    fields: list[Any] = [
        {"name": "city", "value": "Berlin"},
        {"schemaId": "cko8s9r5v0001h2dk9elqdidh", "value": 3},
        {"schema_id": "cko8sbczn0002h2dkdaxb5kal", "value": datetime(2024, 5, 1, tzinfo=timezone.utc)},
        DataRowMetadataField(name="split", value="train"),
    ]
    client.import_data_rows("rows", [{"row_data": "x", "global_key": "k", "metadata_fields": fields}])
    (row,) = client.import_data_rows("rows", [])
    assert row.metadata == {
        "city": "Berlin",
        "cko8s9r5v0001h2dk9elqdidh": 3,
        "cko8sbczn0002h2dkdaxb5kal": "2024-05-01T00:00:00+00:00",
        "split": "train",
    }
    for wrong in ([{"value": 1}], [{"name": "city"}], ["city"], "city"):
        with pytest.raises(RequestError, match="metadata of data row 'k' cannot be read"):
            client.import_data_rows("rows", [{"row_data": "x", "global_key": "k", "metadata_fields": wrong}])


# -- what was there before


def test_the_same_uuid_again_replaces(filled: ModelRun) -> None:
    filled.add_predictions("one", [box("k0", "a"), box("k0", "b"), box("k0", "a", name="dog")]).wait_till_done()
    assert {item.uuid: item.feature for item in filled.items().items} == {"a": "dog", "b": "cat"}
    filled.add_predictions("two", [box("k0", "b", name="dog"), box("k1", "a")]).wait_till_done()
    kept = {(item.global_key, item.uuid): item.feature for item in filled.items().items}
    assert kept == {("k0", "a"): "dog", ("k0", "b"): "dog", ("k1", "a"): "cat"}  # another data row's is another


def test_rows_without_uuid_are_all_kept(filled: ModelRun) -> None:
    filled.add_predictions("one", [box("k0", None), box("k0", None)]).wait_till_done()
    items = filled.items().items
    assert len(items) == 2
    assert all("uuid" not in item.body for item in items)


def test_labels_replace_those_that_the_data_row_had(filled: ModelRun) -> None:
    filled.upsert_labels([box("k0", "a"), box("k0", "b"), box("k1", "c")])
    filled.upsert_labels([box("k0", "d")])
    kept = {(item.global_key, item.uuid) for item in filled.items(role="annotation").items}
    assert kept == {("k0", "d"), ("k1", "c")}


SENTIMENT = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text" choice="single">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)


def test_labels_that_were_deleted_in_label_studio_vanish(label_studio: Any, project: Any, settings: Settings) -> None:
    place = project(SENTIMENT)
    tasks = place.import_tasks([{"text": f"text {number}", "global_key": f"g{number}"} for number in range(6)])
    api = label_studio.api
    said = {"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": ["good"]}}
    made = [
        api.post(f"/api/tasks/{task}/annotations", json={"result": [said] if number else []}).raise_for_status().json()
        for number, task in enumerate(tasks[:5])
    ]
    where = {"label_studio_url": label_studio.url, "label_studio_api_key": label_studio.token}
    given = load_settings(data_dir=settings.data_dir, database_url=str(settings.database_url), **where)
    with Client(given) as client:
        client.import_data_rows("own", [{"row_data": "text 5", "global_key": "g5", "media_type": "TEXT"}])
        run = client.create_model("moods", client.create_ontology(SENTIMENT)).create_model_run("v1")
        run.upsert_labels([{"dataRow": {"globalKey": "g5"}, "uuid": "own", "name": "mood", "answer": {"name": "bad"}}])
        client.import_data_rows("project", project_id=place.id)  # g5 is a task there now, and keeps its own label

        def labeled() -> dict[str, int]:
            run.upsert_labels(project_id=place.id)
            said = client.registry.said(run.id)
            return {str(one.data_row.global_key): len(one.annotations) for one in said if one.labeled}

        assert labeled() == {"g0": 0, "g1": 1, "g2": 1, "g3": 1, "g4": 1, "g5": 1}
        for gone in (made[0], made[2]):
            api.delete(f"/api/annotations/{gone['id']}").raise_for_status()
        api.patch(f"/api/annotations/{made[3]['id']}", json={"was_cancelled": True}).raise_for_status()
        api.delete(f"/api/tasks/{tasks[4]}").raise_for_status()
        assert labeled() == {"g1": 1, "g5": 1}
        kept = {item.global_key: item.body for item in run.items(role="annotation").items}
        assert kept["g1"][0]["value"] == {"choices": ["good"]}
        api.delete(f"/api/annotations/{made[1]['id']}").raise_for_status()
        assert labeled() == {"g5": 1}, "also when nothing is left there"


def test_pages_follow_each_other_in_every_order(filled: ModelRun) -> None:
    rows = [
        box(f"k{n % 4}", f"u{n:03}", confidence=(n * 7 % 10) / 10, name="dog" if n % 3 else "cat") for n in range(50)
    ]
    filled.add_predictions("one", rows).wait_till_done()
    for order in ("data_row", "confidence"):
        seen: list[Any] = []
        after = None
        while True:
            page = filled.items(7, after, order=order)  # type: ignore[arg-type]
            seen += page.items
            after = page.after
            if after is None:
                break
        assert len({item.uuid for item in seen}) == len(seen) == 50
        if order == "confidence":
            confidences = [item.confidence for item in seen]
            assert confidences == sorted(confidences)
    assert {item.feature for item in filled.items(100, feature="cat").items} == {"cat"}
    filled.assign_data_rows_to_split(split="test", global_keys=["k1"])
    assert {item.global_key for item in filled.items(100, split="test").items} == {"k1"}
    with pytest.raises(RequestError, match="does not name a page"):
        filled.items(after="nonsense")


def test_a_relationship_may_stand_far_from_what_it_joins(client: Client, run: ModelRun, keys: Keys) -> None:
    onto = client.create_ontology({**ONTOLOGY, "tools": [*ONTOLOGY["tools"], {"tool": "edge", "name": "near"}]})
    joined = client.create_model("joined", onto).create_model_run("j1")
    joined.upsert_data_rows(global_keys=keys(2))

    def edge(uuid: str, source: str, target: str) -> dict[str, Any]:
        said = {"source": source, "target": target, "type": "unidirectional"}
        return {"dataRow": {"globalKey": "k0"}, "uuid": uuid, "name": "near", "relationship": said}

    rows = [edge("e1", "first", "last"), box("k0", "first"), *(box("k1", f"u{n}") for n in range(2500))]
    rows += [box("k0", "last"), edge("e2", "last", "first"), edge("e3", "last", "none")]
    assert [status.uuid for status in joined.add_predictions("one", rows).errors] == ["e3"]
    assert list(joined.add_predictions("later", [edge("e4", "first", "last")]).errors) == []


# -- going on


def start_and_wait(url: str, folder: str) -> None:
    """What the process does that is killed: begin an import, and never come to its end."""
    with Client(load_settings(data_dir=Path(folder), database_url=url)) as client:
        client.get_model_run("v1").add_predictions("long", lines(40_000, 20)).wait_till_done()


def test_an_import_that_was_killed_goes_on_where_it_stood(client: Client, filled: ModelRun) -> None:
    settings = client.settings
    process = subprocess.Popen([sys.executable, __file__, str(settings.database_url), str(settings.data_dir)])
    registry = client.registry
    deadline = time.monotonic() + 120
    while not any(row.position for row in registry.imports(filled.id)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    (stood,) = registry.imports(filled.id)
    assert stood.state == "RUNNING"
    assert 0 < stood.position < 40_000
    assert registry.count_items(filled.id) == stood.position
    (job,) = client.resume_imports()
    assert job.wait_till_done(show_progress=True).state == "FINISHED"
    assert registry.count_items(filled.id) == 40_000
    assert [status.position for status in job.statuses] == list(range(40_000))
    assert len(job.errors) == 0
    assert sum(1 for _ in job.inputs) == 40_000


def test_two_processes_may_go_on_with_one_import(client: Client, settings: Any, filled: ModelRun) -> None:
    client.stopping.set()  # this one only writes it down
    job = filled.add_predictions("one", lines(20_000, 20))
    client.stopping.clear()
    with Client(settings) as other:
        both = [client.resume_imports()[0], other.resume_imports()[0]]
        assert [one.wait_till_done().state for one in both] == ["FINISHED", "FINISHED"]
    assert [status.position for status in job.statuses] == list(range(20_000))
    assert client.registry.count_items(filled.id) == 20_000


def test_a_closed_client_ends_after_a_batch_and_another_goes_on(
    settings: Any, client: Client, filled: ModelRun
) -> None:
    with Client(settings) as first:
        first.get_model_run("v1").add_predictions("one", lines(20_000, 20))
    (row,) = client.registry.imports(filled.id)
    assert row.state == "RUNNING"
    (job,) = client.resume_imports()
    assert job.wait_till_done().position == 20_000


def test_an_import_whose_lines_are_gone_has_failed_and_says_why(client: Client, filled: ModelRun) -> None:
    client.stopping.set()
    job = filled.add_predictions("one", lines(10, 4))
    client.stopping.clear()
    spool = Path(str(job.row.spool))
    kept = spool.read_bytes()
    spool.unlink()
    job.resume()
    assert job.wait_till_done().state == "FAILED"
    assert "is gone" in str(job.error)
    with pytest.raises(NotFoundError, match="gone"):
        list(job.inputs)
    spool.write_bytes(kept)
    job.resume()
    assert job.wait_till_done().state == "FINISHED"
    assert (job.error, len(job.statuses)) == (None, 10)


class served:  # noqa: N801 - it reads as a sentence
    """One answer for one address, everything else is 404."""

    def __init__(self, body: bytes) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == "/rows" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever).start()
        return f"http://127.0.0.1:{self.server.server_port}/rows"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    start_and_wait(*sys.argv[1:3])
