"""Models, runs, data rows: names, fields, splits, stages; the migration of a registry that is in use."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

import prelabel.runs
from prelabel.client import Client
from prelabel.errors import NotFoundError, RequestError
from prelabel.runs import Connection, Ledger
from prelabel.runs.database import Database
from prelabel.settings import Settings, load_settings
from prelabel.tasks import Task

BOXES = (
    '<View><Image name="image" value="$image"/>'
    '<RectangleLabels name="o" toName="image"><Label value="cat"/></RectangleLabels></View>'
)
Keys = Callable[[int], list[str]]


# -- names


def test_a_model_has_any_number_of_runs(client: Client) -> None:
    model = client.create_model("cats", client.create_ontology(BOXES))
    first, second = model.create_model_run("v1", {"lr": 0.1}), model.create_model_run("v2")
    assert [run.name for run in model.model_runs()] == ["v2", "v1"]
    assert client.get_model_run("v1").uid == first.uid != second.uid
    assert first.model_id == model.uid
    assert [known.name for known in client.models()] == ["cats"]
    assert client.get_model("cats").ontology_id == model.ontology_id


def test_a_runs_name_is_taken_once_in_the_registry(client: Client) -> None:
    client.create_model("cats").create_model_run("v1")
    with pytest.raises(RequestError, match="'v1' is taken: a run of the model 'cats'"):
        client.create_model("dogs").create_model_run("v1")


def test_what_does_not_exist_is_said_to(client: Client) -> None:
    for look in (client.get_model, client.get_model_run, client.registry.ontology, client.registry.data_row):
        with pytest.raises(NotFoundError, match="'none'"):
            look("none")


def test_a_model_keeps_its_ontology(client: Client) -> None:
    onto = client.create_ontology(BOXES)
    client.create_model("cats")
    assert client.create_model("cats", onto).ontology == onto
    with pytest.raises(RequestError, match="with another ontology"):
        client.create_model("cats", client.create_ontology(BOXES))


def test_a_served_models_version_is_a_run(client: Client, settings: Settings) -> None:
    ledger = Ledger.open(settings)
    known = ledger.remember_project(Connection("http://studio", 7, BOXES, "t", model="cats"))
    ledger.plan("cats-12345678", known, [Task(1, {"image": "x"}, 7)])
    run = client.get_model("cats").get_model_run("cats-12345678")
    assert (run.status, run.stage, run.get_config()) == (None, "candidate", {})
    with pytest.raises(RequestError, match="the ledger must remember"):
        run.delete()
    with pytest.raises(RequestError, match="connected to a project"):
        client.get_model("cats").delete()
    ledger.close()


# -- fields


def test_metadata_is_merged_and_config_reset(client: Client) -> None:
    run = client.create_model("cats").create_model_run("v1", {"batchSize": 1})
    before = run.updated_at
    run.update_status("TRAINING_MODEL", {"epoch": 1, "seen": 5})
    run.update_status("FAILED", {"epoch": 2}, "out of memory")
    assert (run.status, run.status_error) == ("FAILED", "out of memory")
    assert run.training_metadata == {"epoch": 2, "seen": 5}
    assert run.update_config({"lr": 0.1}) == {"batchSize": 1, "lr": 0.1}
    assert run.reset_config() == {}
    run.update_provenance(wrapper="sklearn")
    run.update_provenance(checksum="abc")
    assert run.provenance == {"wrapper": "sklearn", "checksum": "abc"}
    assert run.updated_at > before
    with pytest.raises(RequestError, match="no status"):
        run.update_status("DONE")  # type: ignore[arg-type]


def test_one_run_of_a_model_is_promoted(client: Client) -> None:
    model = client.create_model("cats")
    first, second = model.create_model_run("v1"), model.create_model_run("v2")
    other = client.create_model("dogs").create_model_run("d1")
    for run in (first, other, second):
        assert run.promote().promoted
    assert (first.stage, second.stage, other.stage) == ("candidate", "promoted", "promoted")


# -- data rows


def test_a_global_key_names_one_data_row(client: Client) -> None:
    client.import_data_rows("a", [{"row_data": "one", "global_key": "k", "media_type": "TEXT", "metadata": {"m": 1}}])
    dataset = client.import_data_rows("a", [{"row_data": "two", "global_key": "k"}, {"row_data": "free"}])
    rows = list(dataset)
    assert len(dataset) == 2
    assert [(row.global_key, row.row_data, row.media_type) for row in rows] == [
        ("k", "two", "text"),
        (None, "free", ""),
    ]
    assert rows[0].metadata == {"m": 1}
    assert [len(row.uid) for row in rows] == [25, 25]
    assert client.registry.data_row(rows[1].uid) == rows[1]


def test_a_data_row_is_in_the_dataset_that_it_was_last_imported_into(client: Client) -> None:
    client.import_data_rows("a", [{"row_data": "one", "global_key": "k"}, {"row_data": "two", "global_key": "l"}])
    uid = client.registry.data_row("k").uid
    moved = client.import_data_rows("b", [{"row_data": "one", "global_key": "k"}])
    assert [row.uid for row in moved] == [uid]
    assert len(moved) == 1
    assert client.registry.count_data_rows("a") == 1


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"global_key": "k"}, "has no 'row_data'"),
        ({"row_data": "x", "colour": 1}, "has 'colour'"),
        ({"row_data": "x", "media_type": "SMELL"}, "'SMELL' is no media type"),
        ({"row_data": "x", "global_key": "k" * 201}, "has 201 characters"),
    ],
)
def test_a_data_row_that_means_nothing_is_refused(client: Client, row: dict[str, object], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        client.import_data_rows("a", [row])


def test_data_rows_have_a_split_in_each_run(client: Client, keys: Keys) -> None:
    names = keys(1201)
    model = client.create_model("cats")
    run, other = model.create_model_run("v1"), model.create_model_run("v2")
    run.upsert_data_rows(global_keys=names)
    run.upsert_data_rows(global_keys=names[:3])
    other.upsert_data_rows(data_row_ids=[client.registry.data_row("k0").uid])
    run.assign_data_rows_to_split(split="TEST", global_keys=names[:2])  # type: ignore[arg-type] # Labelbox's spelling
    assert [row.split for row in run.model_run_data_rows()].count("test") == 2
    assert [row.data_row.global_key for row in run.model_run_data_rows("test")] == ["k0", "k1"]
    assert [row.split for row in other.model_run_data_rows()] == ["unassigned"]
    with pytest.raises(RequestError, match="1 of the data rows are not in the run"):
        other.assign_data_rows_to_split(split="test", global_keys=["k0", "k1"])
    with pytest.raises(NotFoundError, match="global key 'none'"):
        run.upsert_data_rows(global_keys=["none"])
    with pytest.raises(RequestError, match="'dev' is no split"):
        run.assign_data_rows_to_split(split="dev", global_keys=["k0"])  # type: ignore[arg-type]
    run.delete_model_run_data_rows(global_keys=names[1:])
    assert [row.data_row.global_key for row in run.model_run_data_rows()] == ["k0"]


def test_a_run_that_holds_something_can_be_deleted(client: Client, keys: Keys) -> None:
    model = client.create_model("cats", client.create_ontology(BOXES))
    run = model.create_model_run("v1")
    run.upsert_data_rows(global_keys=keys(1))
    box = {"bbox": {"top": 1, "left": 1, "height": 5, "width": 5}, "name": "cat", "dataRow": {"globalKey": "k0"}}
    run.add_predictions("one", [box]).wait_till_done()
    run.upsert_labels([box])
    assert run.metrics().run.tp == 1
    model.delete()
    assert client.models() == []
    assert client.registry.data_row("k0").row_data == "http://x/0.jpg"


# -- the migration


def test_a_registry_in_use_is_migrated(tmp_path: Path) -> None:
    file = tmp_path / "prelabel.sqlite3"
    database = Database(f"sqlite:///{file}")
    scripts = Config()
    scripts.set_main_option("script_location", str(Path(prelabel.runs.__file__).parent / "migrations"))
    scripts.set_main_option("path_separator", "os")
    with database.write() as connection:
        scripts.attributes["connection"] = connection
        command.upgrade(scripts, "0002")
    database.close()
    with sqlite3.connect(file) as db:
        db.execute("INSERT INTO models VALUES (1, 'cats', 1.0)")
        db.execute("INSERT INTO model_runs VALUES (1, 1, 'cats-12345678', 2.0)")
        db.execute("INSERT INTO connections VALUES (1, 'http://studio', 7, 1, '<View/>', 't', '{}', 1, 3.0)")
    db.close()
    with Client(load_settings(data_dir=tmp_path)) as client:
        run = client.get_model("cats").get_model_run("cats-12345678")
        assert (run.updated_at, run.stage) == (run.created_at, "candidate")
        assert client.registry.connections("cats")[0].token == "t"
    with database.write() as connection:  # and the way back
        scripts.attributes["connection"] = connection
        command.downgrade(scripts, "0002")
        command.upgrade(scripts, "head")
    database.close()
