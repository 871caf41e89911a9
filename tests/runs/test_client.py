"""The steps from data rows to metrics in Python, in a data directory and through a server; metrics kept up to date."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from prelabel import Choice
from prelabel.client import Client
from prelabel.client_run import ModelRun
from prelabel.errors import RequestError
from prelabel.runs import Connection, Ledger
from prelabel.runs.registry import Registry
from prelabel.settings import Settings, load_settings
from prelabel.tasks import Task

SENTIMENT = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text" choice="single">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
BOXES = {"tools": [{"tool": "rectangle", "name": "cat"}, {"tool": "rectangle", "name": "dog"}], "classifications": []}
Keys = Callable[[int], list[str]]
KEY = "the-key-of-this-test"
Reach = Callable[[Settings], Client]


@pytest.fixture(params=["directory", "server"])
def reach(request: pytest.FixtureRequest) -> Reach:
    """Makes a client of these settings' registry: in this process, or through a server."""
    if request.param == "directory":
        return Client
    serve = request.getfixturevalue("serve")
    return lambda settings: Client(serve(settings), api_key=KEY)


@pytest.fixture
def client(settings: Settings, reach: Reach) -> Iterator[Client]:
    with reach(settings) as made:
        yield made


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    """A way of its own to what the client writes."""
    opened = Registry.open(settings)
    yield opened
    opened.close()


def radio(key: str, answer: str, uuid: str, **more: Any) -> dict[str, Any]:
    return {"dataRow": {"globalKey": key}, "uuid": uuid, "name": "sentiment", "answer": {"name": answer, **more}}


def box(key: str, uuid: str, left: float, name: str = "cat", **more: Any) -> dict[str, Any]:
    bbox = {"top": 0.0, "left": left, "height": 10.0, "width": 10.0}
    return {"dataRow": {"globalKey": key}, "uuid": uuid, "name": name, "bbox": bbox, **more}


# -- the steps


def test_the_steps_in_python(client: Client, tmp_path: Path) -> None:
    client.import_data_rows("dataset", [{"row_data": f"text {n}", "global_key": f"{n}"} for n in range(4)])
    onto = client.create_ontology(SENTIMENT)
    model = client.create_model("sentiment", onto)
    run = model.create_model_run("v3")
    run.upsert_data_rows(global_keys=[f"{n}" for n in range(4)])
    run.upsert_labels([radio(f"{n}", "Positive" if n % 2 else "Negative", f"a{n}") for n in range(4)])
    (tmp_path / "predictions.ndjson").write_text(
        "\n".join(json.dumps(radio(f"{n}", "Positive", f"p{n}", confidence=0.75)) for n in range(4))
    )
    job = run.add_predictions("import-1", str(tmp_path / "predictions.ndjson"))
    job.wait_till_done(show_progress=True)
    assert (job.state, job.progress, len(job.statuses), len(job.errors)) == ("FINISHED", "100%", 4, 0)
    metrics = run.metrics()
    assert metrics.data_rows == 4
    positive, negative = metrics.classes["Positive"], metrics.classes["Negative"]
    assert (positive.tp, positive.fp, positive.fn) == (2, 2, 0)
    assert (negative.tp, negative.fp, negative.fn, negative.precision) == (0, 0, 2, None)
    assert {(cell.annotated, cell.predicted): cell.count for cell in metrics.confusion} == {
        ("Positive", "Positive"): 2, ("Negative", "Positive"): 2,
    }  # fmt: skip
    assert run.metrics(confidence=0.8).run.tp == 0
    run.export("ndjson", tmp_path / "out.ndjson")
    assert len((tmp_path / "out.ndjson").read_text().splitlines()) == 4
    run.delete()
    model.delete()
    assert "sentiment" not in [one.name for one in client.models()]


def test_a_runs_fields_are_changed_and_read_again(client: Client) -> None:
    model = client.create_model("sentiment", client.create_ontology(SENTIMENT))
    run = model.create_model_run("org/v3", {"epochs": 3})
    assert (run.name, run.model, run.model_id, repr(run)) == ("org/v3", "sentiment", model.uid, "ModelRun('org/v3')")
    assert run.update_config({"rate": 0.5}) == {"epochs": 3, "rate": 0.5}
    assert run.reset_config() == {}
    run.update_status("FAILED", {"loss": 0.5}, "no memory")
    run.update_provenance(code="abc")
    again = model.get_model_run("org/v3")
    assert (again.status, again.status_error, again.training_metadata) == ("FAILED", "no memory", {"loss": 0.5})
    assert (again.provenance["code"], again.stage) == ("abc", "candidate")
    assert again.updated_at > again.created_at
    assert [one.name for one in model.model_runs()] == ["org/v3"]
    assert client.create_model("bare").ontology is None


def test_outputs_by_global_key_are_predictions(client: Client) -> None:
    client.import_data_rows("dataset", [{"row_data": f"text {n}", "global_key": f"{n}"} for n in range(3)])
    run = client.create_model("sentiment", client.create_ontology(SENTIMENT)).create_model_run("v3")
    run.upsert_data_rows(global_keys=["0", "1"])
    said = {"0": [Choice("Positive", score=0.5)], "1": [Choice("Splendid")], "2": [Choice("Negative")]}
    job = run.add_predictions("outputs", said)
    assert [(status.data_row["globalKey"], status.status) for status in job.statuses if status.errors] == [
        ("1", "FAILURE"), ("2", "FAILURE"),
    ]  # fmt: skip
    assert [(item.global_key, item.confidence) for item in run.items().items if item.body] == [("0", 0.5)]


def test_a_line_that_is_refused_has_its_reason_and_costs_no_other(client: Client) -> None:
    client.import_data_rows("dataset", [{"row_data": "a text", "global_key": "a"}])
    run = client.create_model("sentiment", client.create_ontology(SENTIMENT)).create_model_run("v3")
    run.upsert_data_rows(global_keys=["a"])
    job = run.add_predictions("import", [radio("nobody", "Positive", "x"), radio("a", "Positive", "y"), "no row"])
    assert [status.position for status in job.errors] == [0, 2]
    assert job.state == "FINISHED"
    assert job.statuses[1].status == "SUCCESS"
    assert "nobody" in job.errors[0].errors[0].message
    assert [one.name for one in run.imports()] == ["import"]
    with pytest.raises(RequestError, match="already"):
        run.add_predictions("import", [radio("a", "Positive", "z")])
    with pytest.raises(RequestError, match="no rows"):
        run.add_predictions("nothing", [])


def test_an_ontology_comes_from_a_config_or_from_labelbox(client: Client) -> None:
    ours = client.create_ontology(SENTIMENT, name="mood")
    assert (ours.name, ours.label_config) == ("mood", SENTIMENT)
    assert ours.body["classifications"][0]["options"][0]["value"] == "Positive"
    theirs = client.create_ontology({"normalized": BOXES})
    assert [tool["name"] for tool in theirs.body["tools"]] == ["cat", "dog"]
    with pytest.raises(RequestError, match="give either"):
        client.create_ontology()


# -- metrics by themselves


@pytest.fixture
def boxes(client: Client, keys: Keys) -> ModelRun:
    run = client.create_model("boxes", client.create_ontology(BOXES)).create_model_run("v1")
    run.upsert_data_rows(global_keys=keys(700))  # more than one block of matches
    return run


def random_boxes(seed: int, prefix: str, keys: Iterator[int] | range) -> list[dict[str, Any]]:
    dice = random.Random(seed)
    return [
        box(f"k{n}", f"{prefix}{n}-{i}", dice.uniform(0, 30), dice.choice(("cat", "dog")), confidence=dice.random())
        for n in keys
        for i in range(dice.randint(1, 3))
    ]


def unscored(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "confidence"} for row in rows]


def test_what_is_recomputed_equals_what_is_computed_at_once(
    client: Client, registry: Registry, boxes: ModelRun
) -> None:
    boxes.add_predictions("p", random_boxes(1, "p", range(700))).wait_till_done()
    boxes.upsert_labels(unscored(random_boxes(2, "a", range(650))))
    assert boxes.metrics().data_rows == 650
    later = unscored(random_boxes(3, "b", range(100, 120)))
    boxes.upsert_labels(later)  # twenty rows get other labels
    boxes.add_predictions("more", random_boxes(4, "q", range(300, 303))).wait_till_done()
    boxes.delete_model_run_data_rows(global_keys=["k5", "k640"])
    assert registry.refresh_matches(boxes.id) == 20 + 3 + 512 - 20 - 3 - 1 + 188 - 1  # whole blocks lost two rows
    assert registry.refresh_matches(boxes.id) == 0

    whole = client.get_model("boxes").create_model_run("v2")
    whole.upsert_data_rows(global_keys=[f"k{n}" for n in range(700) if n not in {5, 640}])
    lines = [item.body for item in _all(boxes, "prediction")]
    whole.add_predictions("p", lines).wait_till_done()
    whole.upsert_labels([item.body for item in _all(boxes, "annotation")])
    for confidence, iou in ((0.0, 0.1), (0.5, 0.5), (0.9, 0.7)):
        expected, found = whole.metrics(confidence, iou), boxes.metrics(confidence, iou)
        same_numbers(found, expected)


def same_numbers(found: Any, expected: Any) -> None:
    assert found.data_rows == expected.data_rows == 648
    assert found.confusion == expected.confusion
    assert found.classes.keys() == expected.classes.keys()
    for name, counts in expected.classes.items():
        mine = found.classes[name]
        assert (mine.tp, mine.fp, mine.fn) == (counts.tp, counts.fp, counts.fn)
        assert mine.iou == pytest.approx(counts.iou)
    assert found.run.iou == pytest.approx(expected.run.iou)


def _all(run: ModelRun, role: Any) -> Iterator[Any]:
    after = None
    while True:
        page = run.items(500, after, role=role)
        yield from page.items
        after = page.after
        if after is None:
            return


def test_only_what_changed_is_compared_again(registry: Registry, boxes: ModelRun) -> None:
    boxes.add_predictions("p", [box(f"k{n}", f"p{n}", 0, confidence=0.9) for n in range(700)]).wait_till_done()
    boxes.upsert_labels([box(f"k{n}", f"a{n}", 0) for n in range(700)])
    assert registry.refresh_matches(boxes.id) == 700
    assert (registry.metrics(boxes.id).run.tp, registry.refresh_matches(boxes.id)) == (700, 0)
    boxes.upsert_labels([box("k3", "a3", 500)])
    assert registry.refresh_matches(boxes.id) == 1
    counts = registry.metrics(boxes.id).run
    assert (counts.tp, counts.fp, counts.fn) == (699, 1, 1)


def test_metrics_of_a_part_of_the_run(boxes: ModelRun) -> None:
    boxes.add_predictions("p", [box(f"k{n}", f"p{n}", 0) for n in range(10)]).wait_till_done()
    boxes.upsert_labels([box(f"k{n}", f"a{n}", 0 if n < 6 else 500) for n in range(10)])
    boxes.assign_data_rows_to_split(split="validation", global_keys=[f"k{n}" for n in range(4, 8)])
    found = boxes.metrics(split="validation")
    assert (found.data_rows, found.run.tp, found.run.fp) == (4, 2, 2)
    assert boxes.metrics(split="test").data_rows == 0
    assert boxes.metrics(split="test").run.f1 is None


def test_what_cannot_be_compared_is_left_out_and_counted(client: Client, keys: Keys) -> None:
    onto = client.create_ontology({"tools": [{"tool": "raster-segmentation", "name": "cat"}], "classifications": []})
    run = client.create_model("masks", onto).create_model_run("m1")
    run.upsert_data_rows(global_keys=keys(1))
    mask = {"instanceURI": "http://nowhere.example/mask.png", "colorRGB": [255, 255, 255]}
    row = {"dataRow": {"globalKey": "k0"}, "uuid": "m", "name": "cat", "mask": mask}
    assert list(run.add_predictions("p", [row]).errors) == []
    run.upsert_labels([row])
    found = run.metrics()
    assert (found.data_rows, found.left_out, found.run.f1) == (0, 1, None)


def test_schema_ids_and_names_are_the_same_class(client: Client, boxes: ModelRun) -> None:
    tools = {tool["name"]: tool["featureSchemaId"] for tool in client.get_model("boxes").ontology.body["tools"]}  # type: ignore[union-attr]
    by_id = {key: value for key, value in box("k0", "p", 0).items() if key != "name"} | {"schemaId": tools["cat"]}
    assert list(boxes.add_predictions("p", [by_id]).errors) == []
    boxes.upsert_labels([box("k0", "a", 0)])
    assert boxes.metrics().run.tp == 1


# -- Label Studio


def test_labels_come_from_a_project(label_studio: Any, project: Any, reach: Reach, tmp_path: Path) -> None:
    made = project(SENTIMENT)
    texts = [{"text": f"text {n}", **({"global_key": "mine"} if n == 0 else {})} for n in range(5)]
    tasks = made.import_tasks(texts)
    answers = {0: ["Negative", "Positive"], 1: ["Negative"], 2: [], 3: ["Positive"]}

    def annotate(task: int, *choices: str, **more: Any) -> None:
        region = {"id": f"r{task}", "from_name": "sentiment", "to_name": "text", "type": "choices"}
        result = [{**region, "value": {"choices": [choice]}} for choice in choices]
        label_studio.api.post(f"/api/tasks/{task}/annotations", json={"result": result, **more}).raise_for_status()

    for number, choices in answers.items():
        for choice in choices:  # the last one counts
            annotate(tasks[number], choice)
        if not choices:
            annotate(tasks[number])
    annotate(tasks[1], "Positive", was_cancelled=True)
    annotate(tasks[3], "Negative")
    annotate(tasks[3], "Positive", ground_truth=True)
    annotate(tasks[3], "Negative")

    given = load_settings(
        data_dir=tmp_path / "data", label_studio_url=label_studio.url, label_studio_api_key=label_studio.token
    )
    with reach(given) as client, closing(Registry.open(given)) as registry:
        client.import_data_rows("dataset", [{"row_data": "text 0", "global_key": "mine"}])
        dataset = client.import_data_rows("project", project_id=made.id)
        assert sorted(row.place.task for row in dataset if row.place) == tasks, "a known one is in it, too"
        row = registry.data_row("mine")
        assert (row.place.task if row.place else None, row.media_type) == (tasks[0], "text")
        run = client.create_model("m", client.create_ontology(project_id=made.id)).create_model_run("v1")
        job = run.upsert_labels(project_id=made.id)
        assert (job.state, list(job.errors)) == ("FINISHED", [])
        by_task = {item.data_row: item for item in run.items(role="annotation").items}
        found = {
            tasks.index(said.data_row.place.task): by_task[said.data_row.uid].body[0]["value"]["choices"]
            if said.annotations
            else None
            for said in registry.said(run.id)
            if said.data_row.place is not None
        }
        assert found == {0: ["Positive"], 1: ["Negative"], 2: None, 3: ["Positive"]}
        lines = [radio("mine", "Positive", "u"), {"dataRow": {"id": next(iter(by_task))}, **_said("Positive")}]
        run.add_predictions("p", lines).wait_till_done()
        assert run.metrics().run.tp >= 1
        run.export("labelstudio", tmp_path / "x.json")
        exported = json.loads((tmp_path / "x.json").read_text())
        assert {task["id"] for task in exported} == set(tasks[:4])


def _said(answer: str) -> dict[str, Any]:
    return {"uuid": "other", "name": "sentiment", "answer": {"name": answer}}


def test_a_served_models_run_is_measured_without_an_ontology(client: Client, settings: Settings) -> None:
    """What the ledger holds is compared with labels of the same form; nobody gave the model an ontology."""
    ledger = Ledger.open(settings)
    known = ledger.remember_project(Connection("http://studio", 7, SENTIMENT, "t", model="mood"))
    version = "mood-12345678"
    ledger.plan(version, known, [Task(1, {"text": "a"}, 7)])
    from prelabel.predictions import Prediction

    region = {"id": "r", "from_name": "sentiment", "to_name": "text", "type": "choices", "score": 0.9}
    said = Prediction(({**region, "value": {"choices": ["Positive"]}},), 0.9, version)
    ledger.record([(ledger.planned(version=version)[0], said)])
    run = client.get_model_run(version)
    found = run.metrics()
    assert (found.data_rows, found.run.f1) == (0, None)
    assert run.items().items[0].body[0]["value"] == {"choices": ["Positive"]}
    ledger.close()
