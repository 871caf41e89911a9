"""What workers pushed and the server answered, in the run: copied once, again when it changes, never asked for."""

from __future__ import annotations

import time
from typing import Any

import pytest

from prelabel.client import Client
from prelabel.client_run import ModelRun
from prelabel.predictions import Prediction
from prelabel.runs import Connection, Ledger, config_hash
from prelabel.tasks import Task

CONFIG = (
    '<View><Image name="image" value="$image"/>'
    '<RectangleLabels name="objects" toName="image"><Label value="cat"/><Label value="dog"/></RectangleLabels></View>'
)
VERSION = "cats-12345678"
URL = "http://studio:8080"


def box(region: str, x: float = 10, label: str = "cat", score: float | None = 0.9) -> dict[str, Any]:
    value = {"x": x, "y": 10, "width": 20, "height": 20, "rotation": 0, "rectanglelabels": [label]}
    found = {"id": region, "from_name": "objects", "to_name": "image", "type": "rectanglelabels", "value": value}
    return found | {"original_width": 200, "original_height": 100} | ({"score": score} if score is not None else {})


def said(*regions: dict[str, Any]) -> Prediction:
    return Prediction(regions, 0.5, VERSION)


@pytest.fixture
def connection(ledger: Ledger) -> Connection:
    return ledger.remember_project(Connection(URL, 7, CONFIG, "t", model="cats"))


def push(ledger: Ledger, connection: Connection, answers: dict[int, Prediction], words: str = "") -> None:
    ledger.plan(VERSION, connection, [Task(task, {"image": f"{words}{task}.jpg"}, 7) for task in answers])
    ledger.record((row, answers[row.task.id or 0]) for row in ledger.planned(version=VERSION, limit=10_000))


def run_of(client: Client) -> ModelRun:
    return client.get_model("cats").get_model_run(VERSION)


def test_what_was_pushed_and_answered_is_in_the_run(client: Client, ledger: Ledger, connection: Connection) -> None:
    push(ledger, connection, {task: said(box("a"), box("b", 50, "dog", None)) for task in range(1, 2502)})
    live = (Task(9999, {"image": "live.jpg"}, 7), config_hash(CONFIG), said(box("c")))
    assert ledger.claim_live(VERSION, connection, [live]) == [True]
    run = run_of(client)
    assert run.collect() == 2502
    assert run.collect() == 0
    first, second = run.items(2).items
    assert (first.uuid, first.feature, first.confidence, first.kind) == ("a", "cat", 0.9, "rectanglelabels")
    assert (second.uuid, second.feature, second.confidence) == ("b", "dog", None)
    assert first.body == [box("a")]
    assert client.registry.count_items(run.id) == 2 * 2501 + 1
    rows = list(run.model_run_data_rows())
    assert [row.data_row.place.task for row in rows if row.data_row.place] == [*range(1, 2502), 9999]


def test_a_prediction_that_changed_takes_the_old_ones_place(
    client: Client, ledger: Ledger, connection: Connection
) -> None:
    push(ledger, connection, {1: said(box("a"), box("b")), 2: said(box("a"))})
    run = run_of(client)
    run.collect()
    push(ledger, connection, {1: said(box("z"))}, "other")
    assert run.collect() == 1
    assert [item.uuid for item in run.items().items] == ["z", "a"]


def test_a_row_that_is_only_sent_changes_nothing(client: Client, ledger: Ledger, connection: Connection) -> None:
    push(ledger, connection, {1: said(box("a"))})
    run = run_of(client)
    assert run.collect() == 1
    (waiting,) = ledger.waiting(URL)
    chunk = ledger.begin_chunk(waiting, 10, 10**8)
    assert chunk is not None
    ledger.settle(chunk, stored=[row.id for row in chunk.rows])
    assert run.collect() == 0


def test_a_deleted_task_counts_no_more(client: Client, ledger: Ledger, connection: Connection) -> None:
    push(ledger, connection, {1: said(box("a")), 2: said(box("a"))})
    run = run_of(client)
    run.collect()
    ledger.forget_tasks(connection, [1])
    assert run.collect() == 1
    assert len(run.items().items) == 1
    ledger.forget_tasks(connection, [3])  # was never here
    assert run.collect() == 0


def test_a_row_whose_transaction_took_long_is_not_missed(
    client: Client, ledger: Ledger, connection: Connection
) -> None:
    push(ledger, connection, {1: said(box("a"))})
    run = run_of(client)
    run.collect()
    ledger._clock_offset = ledger.now() - time.time() - 30  # it wrote down when it began
    push(ledger, connection, {2: said(box("b"))})
    assert run.collect() == 1


def test_a_prediction_without_regions_is_one(client: Client, ledger: Ledger, connection: Connection) -> None:
    push(ledger, connection, {1: said()})
    run = run_of(client)
    assert run.collect() == 1
    (row,) = client.registry.said(run.id)
    assert (row.predicted, row.labeled, row.predictions) == (True, False, ())


def test_imported_predictions_stay_beside_collected_ones(
    client: Client, ledger: Ledger, connection: Connection
) -> None:
    push(ledger, connection, {1: said(box("a"))})
    client.create_model("cats", client.create_ontology(CONFIG))
    run = run_of(client)
    run.collect()
    (row,) = run.model_run_data_rows()
    line = {"dataRow": {"id": row.data_row.uid}, "uuid": "u", "name": "cat"}
    job = run.add_predictions("more", [{**line, "bbox": {"top": 1, "left": 1, "height": 5, "width": 5}}])
    assert list(job.errors) == []
    push(ledger, connection, {1: said(box("z"))}, "other")
    run.collect()
    assert {item.uuid for item in run.items().items} == {"u", "z"}
