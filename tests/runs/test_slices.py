"""Slices of runs: live, over what is labeled and what is not; saved for a model; on the terminal."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from prelabel.analysis.slices import READY
from prelabel.cli import cli
from prelabel.client import Client
from prelabel.client_run import ModelRun
from prelabel.errors import NotFoundError, RequestError
from prelabel.outputs import Choices, Span
from prelabel.runs.held import DataRow

BOXES = {"tools": [{"tool": "rectangle", "name": "Cat"}, {"tool": "rectangle", "name": "Dog"}], "classifications": []}
CHECKS = {
    "tools": [],
    "classifications": [
        {"type": "checklist", "name": "seen", "options": [{"value": "rain"}, {"value": "snow"}, {"value": "fog"}]}
    ],
}
CONFIG = (
    '<View><Text name="text" value="$text"/><Labels name="words" toName="text"><Label value="word"/></Labels>'
    '<Choices name="seen" toName="text" choice="multiple"><Choice value="rain"/><Choice value="fog"/></Choices></View>'
)


def box(key: str, uuid: str, name: str = "Cat", left: float = 0.0, **more: Any) -> dict[str, Any]:
    bbox = {"top": 0.0, "left": left, "height": 10.0, "width": 10.0}
    return {"dataRow": {"globalKey": key}, "uuid": uuid, "name": name, "bbox": bbox, **more}


def keys_of(rows: list[DataRow]) -> list[str | None]:
    return [row.global_key for row in rows]


@pytest.fixture
def run(client: Client) -> ModelRun:
    return make_run(client)


@pytest.fixture
def sqlite_run(sqlite_client: Client) -> ModelRun:
    return make_run(sqlite_client)


def make_run(client: Client) -> ModelRun:
    """Seven images: right, wrong class, one missed, only predicted (new, surer), only labeled, labeled as empty."""
    cities = {"empty": "Paris", "missed": "Berlin", "new": "Berlin", "right": "Berlin", "surer": "Paris",
              "unpredicted": "Berlin", "wrong": "Paris"}  # fmt: skip
    names = list(cities)
    rows = [
        {"row_data": f"http://x/{name}.jpg", "global_key": name, "media_type": "IMAGE",
         "metadata": {"city": city, "night": name == "wrong", "camera": {"side": "left"}}}
        for name, city in cities.items()
    ]  # fmt: skip
    client.import_data_rows("images", rows)
    run = client.create_model("animals", client.create_ontology(BOXES)).create_model_run("v1")
    run.upsert_data_rows(global_keys=names)
    run.upsert_labels([
        box("right", "a1"), box("wrong", "a2"), box("missed", "a3"), box("missed", "a4", left=100.0),
        box("unpredicted", "a5"),
    ])  # fmt: skip
    run.upsert_labels({"empty": []})
    run.add_predictions("p", [
        box("right", "p1", confidence=0.9), box("wrong", "p2", "Dog", confidence=0.8),
        box("missed", "p3", confidence=0.7), box("new", "p4", confidence=0.3),
        box("new", "p5", "Dog", left=50.0, confidence=0.95), box("surer", "p6", confidence=0.6),
    ]).wait_till_done()  # fmt: skip
    run.assign_data_rows_to_split(split="validation", global_keys=["right", "wrong", "new"])
    return run


# -- live


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ("metadata.city == Berlin", ["right", "missed", "new", "unpredicted"]),
        ("metadata.camera.side == left and metadata.night", ["wrong"]),
        ("split == validation and fp[Dog] > 0", ["wrong"]),
        ("fn > 0", ["wrong", "missed"]),
        ("f1 < 0.8", ["wrong", "missed"]),
        ("not f1 >= 0", ["new", "surer", "unpredicted", "empty"]),
        ("predicted[Dog] and annotated[Cat]", ["wrong"]),
        ("predicted[Cat]", ["right", "missed", "surer"]),
        ("confidence < 0.65", ["new", "surer"]),
        ("max_confidence >= 0.9", ["right", "new"]),
        ("confidence[Dog] > 0", ["wrong", "new"]),
        ("predictions == 0", ["unpredicted", "empty"]),
        ("annotations == 2", ["missed"]),
        ("annotated and not predicted", ["unpredicted"]),
        ("not labeled", ["new", "surer"]),
        ("global_key contains mis or global_key in (empty, 'new')", ["missed", "new", "empty"]),
        ("media_type == IMAGE and task > 0", []),
    ],
)
def test_a_slice_is_the_data_rows_for_which_its_condition_holds(
    sqlite_run: ModelRun, condition: str, keys: list[str]
) -> None:
    assert keys_of(sqlite_run.slice(condition)) == sorted(keys)


def test_thresholds_are_those_that_are_asked_for(sqlite_run: ModelRun) -> None:
    assert keys_of(sqlite_run.slice("tp > 0", confidence=0.8)) == ["right"]
    assert keys_of(sqlite_run.slice("predicted[Cat]", confidence=0)) == ["missed", "new", "right", "surer"]


def test_a_slice_is_live(run: ModelRun) -> None:
    assert keys_of(run.slice("tp > 0")) == ["missed", "right"]
    run.upsert_labels([box("new", "b1", "Dog", left=50.0)])
    assert keys_of(run.slice("tp > 0")) == ["missed", "new", "right"]
    run.upsert_labels([box("right", "b2", left=500.0)])
    assert keys_of(run.slice("tp > 0 and split == validation")) == ["new"]


def test_the_order_and_the_limit_are_kept(sqlite_run: ModelRun) -> None:
    assert keys_of(sqlite_run.slice("metadata.city == Berlin", limit=2)) == ["missed", "new"]
    by_sureness = sqlite_run.slice("metadata.city in (Berlin, Paris)", order="confidence")
    assert keys_of(by_sureness) == ["new", "surer", "missed", "wrong", "right", "empty", "unpredicted"]
    assert keys_of(sqlite_run.slice("fn >= 0", order="confidence desc", limit=2)) == ["right", "wrong"]


def test_what_a_model_said_where_nothing_is_there_counts_as_in_the_metrics(sqlite_run: ModelRun) -> None:
    assert keys_of(sqlite_run.slice("fp > 0")) == ["wrong"]
    sqlite_run.upsert_labels({"surer": []})
    assert keys_of(sqlite_run.slice("fp > 0")) == ["surer", "wrong"]
    assert sqlite_run.metrics().run.fp == 2


def test_answers_count_for_the_option_also_where_nobody_labeled(sqlite_client: Client) -> None:
    client = sqlite_client
    client.import_data_rows("texts", [{"row_data": "a", "global_key": key} for key in ("one", "two")])
    run = client.create_model("weather", client.create_ontology(CHECKS)).create_model_run("w1")
    run.upsert_data_rows(global_keys=["one", "two"])

    def seen(key: str, uuid: str, *names: str, **more: Any) -> dict[str, Any]:
        return {"dataRow": {"globalKey": key}, "uuid": uuid, "name": "seen", "answer": [
            {"name": name, **more} for name in names
        ]}  # fmt: skip

    lines = [seen("one", "p1", "rain", confidence=0.9), seen("two", "p2", "rain", "snow", confidence=0.4)]
    assert list(run.add_predictions("p", lines).errors) == []
    run.upsert_labels([seen("one", "a1", "rain", "snow")])
    assert keys_of(run.slice("predicted[snow]", confidence=0)) == ["two"]
    assert keys_of(run.slice("predictions[rain] == 1 and predictions == 2", confidence=0)) == ["two"]
    assert keys_of(run.slice("confidence < 0.5")) == ["two"]
    assert keys_of(run.slice("fn[snow] == 1")) == ["one"]
    assert keys_of(run.slice("fn[seen/snow] == 1")) == ["one"]
    run.upsert_labels([seen("two", "a2", "fog")])
    assert keys_of(run.slice("true_negatives")) == ["two", "one"]


@pytest.mark.parametrize("form", ["labelbox", "labelstudio"])
def test_confidence_is_that_of_every_answer_also_of_those_inside_a_prediction(client: Client, form: str) -> None:
    """What is told without reading predictions is what reading them tells."""
    dice = random.Random(7)
    client.import_data_rows("texts", [{"row_data": "a rainy day", "global_key": f"k{n:02}"} for n in range(40)])
    run = client.create_model("weather", client.create_ontology(CONFIG)).create_model_run("w1")
    run.upsert_data_rows(global_keys=[f"k{n:02}" for n in range(40)])
    lowest: dict[str, float] = {}
    outputs: dict[str, list[Any]] = {}
    lines: list[dict[str, Any]] = []
    for key in (f"k{n:02}" for n in range(39)):  # nothing is said of the last one
        sure, surer = sorted(round(dice.random(), 3) for _ in range(2))
        lowest[key] = sure
        outputs[key] = [Choices(("rain", "fog"), score=sure), Span(2, 7, "word", score=surer)]
        where = {"dataRow": {"globalKey": key}}
        if dice.random() < 0.5:
            options = [{"name": "rain", "confidence": surer}, {"name": "fog", "confidence": sure}]
            lines.append({**where, "uuid": f"{key}c", "name": "seen", "answer": options})
        else:
            lines.append({**where, "uuid": f"{key}s", "name": "word", "location": {"start": 2, "end": 6},
                          "confidence": sure})  # fmt: skip
    job = run.add_predictions("p", lines if form == "labelbox" else outputs)
    assert list(job.errors) == []
    by_confidence = sorted(lowest, key=lambda key: (lowest[key], key))
    assert keys_of(run.slice("low_confidence")) == by_confidence
    assert keys_of(run.slice("confidence < 0.3")) == sorted(key for key in lowest if lowest[key] < 0.3)
    assert keys_of(run.slice("confidence < 0.3")) == keys_of(run.slice("confidence < 0.3 and predictions >= 0"))
    assert keys_of(run.slice("not predicted", confidence=0)) == ["k39"]


def test_what_cannot_be_compared_has_its_class_and_confidence(sqlite_client: Client) -> None:
    client = sqlite_client
    client.import_data_rows("images", [{"row_data": "http://x/0.jpg", "global_key": "k", "media_type": "IMAGE"}])
    ontology = {"tools": [{"tool": "raster-segmentation", "name": "Cat"}], "classifications": []}
    run = client.create_model("masks", client.create_ontology(ontology)).create_model_run("m1")
    run.upsert_data_rows(global_keys=["k"])
    mask = {"instanceURI": "http://nowhere.example/mask.png", "colorRGB": [255, 255, 255]}
    row = {"dataRow": {"globalKey": "k"}, "uuid": "m", "name": "Cat", "mask": mask}
    assert list(run.add_predictions("p", [{**row, "confidence": 0.4}]).errors) == []
    run.upsert_labels([row])
    assert keys_of(run.slice("confidence < 0.5 and annotated[Cat] and not tp >= 0")) == ["k"]


def test_more_than_one_page_and_block_of_data_rows(client: Client, keys: Callable[[int], list[str]]) -> None:
    run = client.create_model("many", client.create_ontology(BOXES)).create_model_run("v1")
    run.upsert_data_rows(global_keys=keys(1100))
    run.add_predictions("p", [box(f"k{n}", f"p{n}", confidence=n / 2000) for n in range(1100)]).wait_till_done()
    run.upsert_labels([box(f"k{n}", f"a{n}", left=0.0 if n % 2 else 500.0) for n in range(0, 1100, 3)])
    assert len(run.slice("tp > 0", confidence=0)) == sum(n % 2 for n in range(0, 1100, 3))
    assert len(run.slice("labeled and fp > 0", confidence=0)) == sum(not n % 2 for n in range(0, 1100, 3))
    assert keys_of(run.slice("low_confidence", limit=3)) == ["k0", "k1", "k2"]
    assert keys_of(run.slice("confidence > 0.5 and not labeled", order="confidence desc", limit=2)) == [
        "k1099",
        "k1097",
    ]


def test_an_empty_run_has_empty_slices(sqlite_client: Client) -> None:
    run = sqlite_client.create_model("none").create_model_run("v0")
    assert [run.slice(name) for name in READY] == [[]] * len(READY)


# -- ready-made


def test_ready_made_slices_work_by_name(sqlite_run: ModelRun) -> None:
    found = {name: keys_of(sqlite_run.slice(name)) for name in READY}
    assert found == {
        "true_positives": ["missed", "right"],
        "false_positives": ["wrong"],
        "true_negatives": [],
        "false_negatives": ["missed", "wrong"],
        "low_precision": ["wrong", "missed", "right"],
        "low_recall": ["wrong", "missed", "right"],
        "low_f1": ["wrong", "missed", "right"],
        "low_confidence": ["new", "surer", "missed", "wrong", "right"],
        "candidate_mislabels": ["wrong"],
    }


@pytest.mark.parametrize("name", ["low_f1", "true_negatives"])
def test_ready_made_slices_stay_as_they_are(sqlite_run: ModelRun, name: str) -> None:
    with pytest.raises(RequestError, match="ready-made"):
        sqlite_run.save_slice(name, "fp > 0")
    with pytest.raises(RequestError, match="ready-made"):
        sqlite_run.delete_slice(name)


# -- saved


def test_a_saved_slice_works_for_every_run_of_the_model(client: Client, run: ModelRun) -> None:
    saved = run.save_slice("Berlin by day", "metadata.city == Berlin and not metadata.night")
    other = client.get_model("animals").create_model_run("v2")
    other.upsert_data_rows(global_keys=["wrong", "missed"])
    assert (saved.model, saved.name) == ("animals", "Berlin by day")
    assert keys_of(run.slice("Berlin by day")) == ["missed", "new", "right", "unpredicted"]
    assert keys_of(other.slice("Berlin by day")) == ["missed"]
    run.save_slice("another", "fp > 0")
    changed = run.save_slice("Berlin by day", "metadata.city == Paris")
    assert changed.created_at == saved.created_at
    assert {one.name: one.condition for one in other.slices()} == {
        "Berlin by day": "metadata.city == Paris", "another": "fp > 0",
    }  # fmt: skip
    assert keys_of(other.slice("Berlin by day")) == ["wrong"]
    other.delete_slice("Berlin by day")
    assert [one.name for one in run.slices()] == ["another"]
    with pytest.raises(NotFoundError, match="Berlin by day"):
        run.delete_slice("Berlin by day")


def test_another_model_has_slices_of_its_own_and_they_go_with_it(client: Client, run: ModelRun) -> None:
    other = client.create_model("other").create_model_run("o1")
    run.save_slice("mine", "fp > 0")
    other.save_slice("mine", "fn > 0")
    assert [(one.model, one.condition) for one in client.registry.slices()] == [
        ("animals", "fp > 0"), ("other", "fn > 0"),
    ]  # fmt: skip
    client.get_model("animals").delete()
    assert [one.model for one in client.registry.slices()] == ["other"]


@pytest.mark.parametrize(
    ("name", "condition"), [("", "fp > 0"), (" ", "fp > 0"), ("x" * 256, "fp > 0"), ("labeled", "fp > 0"), ("x", "fp")]
)
def test_what_no_slice_can_be_is_refused(sqlite_run: ModelRun, name: str, condition: str) -> None:
    with pytest.raises(RequestError):
        sqlite_run.save_slice(name, condition)
    assert sqlite_run.slices() == []


def test_a_name_that_is_not_there_is_refused_with_those_that_are(sqlite_run: ModelRun) -> None:
    sqlite_run.save_slice("mine", "fp > 0")
    with pytest.raises(RequestError, match="no slice of that name") as refused:
        sqlite_run.slice("mien")
    assert "mine, true_positives" in refused.value.hint
    with pytest.raises(RequestError, match="order"):
        sqlite_run.slice("mine", order="city")


def test_runs_are_compared_within_a_saved_slice(client: Client, run: ModelRun) -> None:
    other = client.get_model("animals").create_model_run("v2")
    other.upsert_data_rows(global_keys=["right", "wrong", "missed"])
    other.upsert_labels([box("right", "a1"), box("wrong", "a2"), box("missed", "a3")])
    other.add_predictions("p", [box(key, f"q{key}") for key in ("right", "wrong", "missed")]).wait_till_done()
    run.save_slice("at night", "metadata.night")
    lines = other.compare(run, slices={"at night": [row.uid for row in run.slice("at night")]})
    found = {(line.slice, line.feature): (line.rows, line.first.value, line.second.value) for line in lines}
    assert found["at night", ""] == (1, 0.0, 1.0)
    assert found["", ""][0] == 3


# -- on the terminal


@pytest.fixture
def prelabel(sqlite_run: ModelRun, tmp_path: Path) -> Callable[..., Result]:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["runs", *arguments, "--data-dir", str(tmp_path / "data")])

    return call


def test_slices_on_the_terminal(prelabel: Callable[..., Result]) -> None:
    shown = prelabel("slice", "v1", "metadata.city == Berlin and tp > 0")
    assert shown.exit_code == 0, shown.output
    assert [line.split()[0] for line in shown.output.splitlines()[1:]] == ["missed", "right"]
    saved = prelabel("save-slice", "animals", "unsure and new", "confidence < 0.65 and not labeled")
    assert saved.exit_code == 0, saved.output
    rows = json.loads(prelabel("slice", "v1", "unsure and new", "--order", "confidence desc", "--json").output)
    assert [(row["global_key"], row["metadata"]["city"]) for row in rows] == [("surer", "Paris"), ("new", "Berlin")]
    assert len(json.loads(prelabel("slice", "v1", "low_confidence", "--limit", "2", "--json").output)) == 2
    assert "holds for no data row" in prelabel("slice", "v1", "task == 1").output
    listed = prelabel("slices", "animals").output
    assert "confidence < 0.65 and not labeled" in listed
    assert "candidate_mislabels" in listed
    names = [one["name"] for one in json.loads(prelabel("slices", "--json").output)]
    assert names == ["unsure and new", *READY]
    assert prelabel("delete-slice", "animals", "unsure and new").exit_code == 0
    assert prelabel("delete-slice", "animals", "unsure and new").exit_code == 1


@pytest.mark.parametrize("arguments", [("slice", "v1", "fpp > 0"), ("save-slice", "animals", "x", "fpp > 0")])
def test_a_condition_that_cannot_be_read_fails_with_an_example(
    prelabel: Callable[..., Result], arguments: tuple[str, ...]
) -> None:
    failed = prelabel(*arguments)
    assert failed.exit_code == 1
    assert "'fpp' is no field" in failed.output
    assert "metadata.city" in failed.output
