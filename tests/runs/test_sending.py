"""A run's predictions become those of a project's tasks, once; and what to label next is written beside them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from prelabel import Box
from prelabel.cli import cli
from prelabel.client import Client
from prelabel.client_run import ModelRun
from prelabel.errors import LabelStudioUnavailableError, OverloadedError, PrelabelError, RequestError
from prelabel.labelstudio import LabelStudio
from prelabel.predictions import Prediction
from prelabel.push import run_lane
from prelabel.push.sending import Sent
from prelabel.runs import Connection, Ledger, config_hash
from prelabel.runs.leases import Leases
from prelabel.runs.outbox import send_lease
from prelabel.settings import Settings, load_settings
from prelabel.tasks import Task
from prelabel.testing.fake_label_studio import FakeLabelStudio, Fault

SENTIMENT = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text" choice="single">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
BOXES = (
    '<View><Image name="picture" value="$image"/><RectangleLabels name="o" toName="picture">'
    '<Label value="cat"/><Label value="dog"/></RectangleLabels></View>'
)
CATS = BOXES.replace('<Label value="dog"/>', "")


class Studio(FakeLabelStudio):
    """A fake that also takes changes of single predictions, as the recordings show them."""

    changes = 0
    after_list: Callable[[], None] = staticmethod(lambda: None)

    def answer(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Any) -> Any:
        number = path.rpartition("/")[2]
        if method == "PATCH" and path.startswith("/api/predictions/") and int(number) in self.predictions:
            self.changes += 1
            self.predictions[int(number)] |= body
            return 200, self.predictions[int(number)]
        answered = super().answer(method, path, query, headers, body)
        if (method, path) == ("GET", "/api/tasks"):
            self.after_list()
        return answered

    def texts(self, project: int) -> list[str]:
        """What the project's tasks show, by rising id."""
        return [task["data"]["text"] for _, task in sorted(self.tasks.items()) if task["project"] == project]

    def stored(self, project: int) -> dict[str, list[tuple[list[str], float]]]:
        """Choices and score of each prediction, by the task's text."""
        found: dict[str, list[tuple[list[str], float]]] = {text: [] for text in self.texts(project)}
        for one in self.predictions.values():
            if one["project"] == project:
                said = [choice for region in one["result"] for choice in region["value"]["choices"]]
                found[self.tasks[one["task"]]["data"]["text"]].append((said, one["score"]))
        return found


@dataclass
class Connected:
    """A backend of version v1 that is connected to a project, with its parts under the test's control."""

    ledger: Ledger
    connection: Connection
    client: LabelStudio
    settings: Settings

    def tasks(self, studio: Studio) -> list[Task]:
        return [
            Task(id=number, data=task["data"], project=task["project"])
            for number, task in sorted(studio.tasks.items())
            if task["project"] == self.connection.project
        ]

    def announce(self, studio: Studio) -> None:
        """What a webhook about new tasks does."""
        self.ledger.plan("v1", self.connection, self.tasks(studio))

    def answer_live(self, studio: Studio) -> list[bool]:
        """Whether a person who opens the tasks would be given a prediction."""
        config = config_hash(SENTIMENT)
        return self.ledger.claim_live("v1", self.connection, [(one, config, self.said()) for one in self.tasks(studio)])

    @staticmethod
    def said() -> Prediction:
        region = {"id": "r", "from_name": "sentiment", "to_name": "text", "type": "choices"}
        return Prediction(({**region, "value": {"choices": ["Negative"]}},), 0.125, "v1")

    def predict(self) -> None:
        self.ledger.record((row, self.said()) for row in self.ledger.planned(version="v1"))

    def push(self) -> None:
        assert not run_lane(self.ledger, self.client, self.connection.instance, self.settings).busy

    def predict_and_push(self) -> None:
        self.predict()
        self.push()

    def states(self) -> dict[int, str]:
        return self.ledger.states("v1", self.connection)


def studio_settings(settings: Settings, studio: Studio) -> Settings:
    return load_settings(
        data_dir=settings.data_dir,
        database_url=str(settings.database_url),
        label_studio_url=studio.url,
        label_studio_api_key=studio.token,
    )


@pytest.fixture
def studio() -> Iterator[Studio]:
    with Studio() as fake:
        yield fake


@pytest.fixture
def sender(studio: Studio, tmp_path: Path) -> Iterator[Client]:
    """A client whose Label Studio is the fake; it does not watch unanswered calls for long."""
    settings = load_settings(
        data_dir=tmp_path / "data", label_studio_url=studio.url, label_studio_api_key=studio.token, settle_s=0.3
    )
    with Client(settings) as made:
        yield made


def radio(key: str, answer: str, confidence: float | None) -> dict[str, Any]:
    row = {"dataRow": {"globalKey": key}, "uuid": f"u-{key}", "name": "sentiment", "answer": {"name": answer}}
    return row if confidence is None else {**row, "confidence": confidence}


def box(key: str, uuid: str, name: str, confidence: float) -> dict[str, Any]:
    bbox = {"top": 10, "left": 20, "height": 30, "width": 40}
    return {"dataRow": {"globalKey": key}, "uuid": uuid, "name": name, "bbox": bbox, "confidence": confidence}


def make_run(client: Client, name: str = "v1") -> ModelRun:
    """Texts a, b, c, d: Positive 0.9, Negative 0.6, Positive 0.3, and no prediction of d."""
    rows = [{"row_data": f"text {key}", "global_key": key, "media_type": "text"} for key in "abcd"]
    client.import_data_rows("texts", rows)
    run = client.create_model("sentiment", client.create_ontology(SENTIMENT)).create_model_run(name)
    run.upsert_data_rows(global_keys="abcd")
    said = [radio("a", "Positive", 0.9), radio("b", "Negative", 0.6), radio("c", "Positive", 0.3)]
    job = run.add_predictions("import", said)
    job.wait_till_done()
    assert not job.errors
    return run


@pytest.fixture
def run(sender: Client) -> ModelRun:
    return make_run(sender)


ALL = {
    "text a": [(["Positive"], 0.9)],
    "text b": [(["Negative"], 0.6)],
    "text c": [(["Positive"], 0.3)],
}


# -- tasks and predictions


def test_data_rows_become_tasks_with_one_prediction_each_and_a_second_call_changes_nothing(
    run: ModelRun, studio: Studio
) -> None:
    project = studio.add_project(SENTIMENT)
    sent = run.send_to_project(project)
    assert (sent.sent, sent.skipped, sent.created_tasks, sent.refused, sent.reasons) == (3, 0, 3, 0, ())
    assert studio.stored(project) == ALL
    assert {one["model_version"] for one in studio.predictions.values()} == {"v1"}
    assert [task["data"]["global_key"] for task in studio.tasks.values()] == ["a", "b", "c"]
    assert studio.imports == [3], "all in one call"

    again = run.send_to_project(project)
    assert (again.sent, again.skipped, again.created_tasks, again.refused) == (0, 3, 0, 0)
    assert studio.stored(project) == ALL
    assert studio.imports == [3]


def test_tasks_that_name_the_global_key_are_used(run: ModelRun, studio: Studio) -> None:
    tasks = [{"text": f"text {key}", "global_key": key} for key in "cxa"]
    project = studio.add_project(SENTIMENT, tasks)
    sent = run.send_to_project(project)
    assert (sent.sent, sent.created_tasks) == (3, 1)
    assert studio.texts(project) == ["text c", "text x", "text a", "text b"]
    assert studio.stored(project) == {**ALL, "text x": []}


def test_data_rows_that_came_from_the_project_are_its_tasks(sender: Client, studio: Studio) -> None:
    project = studio.add_project(BOXES, [{"image": "1.png", "global_key": "k1"}, {"image": "2.png"}])
    sender.import_data_rows("pictures", project_id=project)
    sender.import_data_rows(
        "pictures", [{"row_data": {"image": "1.png"}, "global_key": "k1", "facts": {"width": 200, "height": 100}}]
    )
    run = sender.create_model("boxes", sender.create_ontology(BOXES)).create_model_run("v1")
    run.upsert_data_rows(global_keys=["k1"])
    run.add_predictions("rows", [box("k1", "b1", "dog", 0.75)]).wait_till_done()
    assert run.send_to_project(project).sent == 1
    assert len(studio.tasks) == 2
    (stored,) = studio.predictions.values()
    (region,) = stored["result"]
    assert (region["from_name"], region["to_name"], region["value"]["rectanglelabels"]) == ("o", "picture", ["dog"])
    assert [region["value"][side] for side in ("x", "y", "width", "height")] == [10, 10, 20, 30]
    assert (stored["score"], region["score"]) == (0.75, 0.75)


def test_a_data_row_that_the_project_does_not_show_gets_no_task_and_is_named(
    run: ModelRun, sender: Client, studio: Studio
) -> None:
    there = {"row_data": "https://example.com/v.mp4", "global_key": "v", "media_type": "video"}
    named = {"row_data": {"text": "text w"}, "global_key": "w", "media_type": "video"}
    sender.import_data_rows("mixed", [there, named])
    run.upsert_data_rows(global_keys=["v", "w"])
    run.add_predictions("more", [radio("v", "Positive", 0.9), radio("w", "Positive", 0.9)]).wait_till_done()
    project = studio.add_project(SENTIMENT)
    sent = run.send_to_project(project)
    assert (sent.sent, sent.created_tasks, sent.refused) == (4, 4, 1)
    assert sent.reasons == ("v: its media type is video, which the labeling config's Text does not show.",)
    assert studio.texts(project) == ["text a", "text b", "text c", "text w"], "a field that somebody named is believed"
    known = studio.add_project(SENTIMENT, [{"text": "a transcript", "global_key": "v"}])
    assert run.send_to_project(known).refused == 0, "a task that is there is used"


def test_a_data_row_without_a_key_is_found_again_in_each_project(sender: Client, studio: Studio) -> None:
    sender.import_data_rows("texts", [{"row_data": "text", "id": "c0ffee", "media_type": "text"}])
    run = sender.create_model("sentiment", sender.create_ontology(SENTIMENT)).create_model_run("v1")
    run.upsert_data_rows(data_row_ids=["c0ffee"])
    run.add_predictions("rows", [{**radio("", "Positive", 0.5), "dataRow": {"id": "c0ffee"}}]).wait_till_done()
    first, second = studio.add_project(SENTIMENT), studio.add_project(SENTIMENT)
    for project in (first, second):
        assert run.send_to_project(project).created_tasks == 1
    for project in (first, second):
        again = run.send_to_project(project)
        assert (again.created_tasks, again.sent, again.skipped) == (0, 0, 1)


def test_two_data_rows_that_are_one_task_give_it_one_prediction(sender: Client, studio: Studio) -> None:
    project = studio.add_project(SENTIMENT, [{"text": "text"}])
    (placed,) = sender.import_data_rows("texts", project_id=project)
    (task,) = studio.tasks.values()
    task["data"]["global_key"] = "a"
    sender.import_data_rows("texts", [{"row_data": "text", "global_key": "a", "media_type": "text"}])
    run = sender.create_model("sentiment", sender.create_ontology(SENTIMENT)).create_model_run("v1")
    run.upsert_data_rows(data_row_ids=[placed.uid], global_keys=["a"])
    first, second = radio("a", "Positive", 0.5), {**radio("a", "Negative", 0.5), "dataRow": {"id": placed.uid}}
    run.add_predictions("import", [first, second]).wait_till_done()
    for sent, skipped in ((1, 1), (0, 2)):
        done = run.send_to_project(project)
        assert (done.sent, done.skipped, done.created_tasks) == (sent, skipped, 0)
    assert len(studio.predictions) == 1


def test_a_task_that_was_deleted_is_made_again(run: ModelRun, studio: Studio) -> None:
    project = studio.add_project(SENTIMENT)
    run.send_to_project(project)
    studio.delete_task(min(studio.tasks))
    sent = run.send_to_project(project)
    assert (sent.created_tasks, sent.sent, sent.skipped) == (1, 1, 2)
    assert studio.stored(project) == ALL
    assert run.send_to_project(project).skipped == 3


def test_versions_are_compared_whole(sender: Client, studio: Studio) -> None:
    project = studio.add_project(SENTIMENT)
    make_run(sender, "v10").send_to_project(project)
    model = sender.get_model("sentiment")
    other = model.create_model_run("v1")
    other.upsert_data_rows(global_keys="a")
    other.add_predictions("import", [radio("a", "Negative", 0.2)]).wait_till_done()
    sent = other.send_to_project(project)
    assert (sent.sent, sent.created_tasks) == (1, 0)
    assert studio.stored(project)["text a"] == [(["Positive"], 0.9), (["Negative"], 0.2)]


def test_a_new_prediction_takes_the_place_of_the_old_one_when_asked_for(run: ModelRun, studio: Studio) -> None:
    project = studio.add_project(SENTIMENT)
    run.send_to_project(project)
    run.add_predictions("better", [radio("a", "Negative", 0.8)]).wait_till_done()
    assert run.send_to_project(project).sent == 0
    assert run.send_to_project(project, only_missing=False).sent == 3
    assert studio.stored(project) == {**ALL, "text a": [(["Negative"], 0.8)]}


# -- what is chosen, and in which order


def test_what_is_below_the_confidence_is_left_out(run: ModelRun, studio: Studio) -> None:
    project = studio.add_project(SENTIMENT)
    sent = run.send_to_project(project, confidence=0.5)
    assert (sent.sent, sent.unsure, sent.created_tasks, sent.refused) == (2, 1, 3, 0)
    assert studio.stored(project) == {**ALL, "text c": []}
    assert run.send_to_project(project).sent == 1, "a lower confidence sends the rest"


def test_of_a_data_row_only_the_items_above_the_confidence_are_sent(sender: Client, studio: Studio) -> None:
    facts = {"width": 200, "height": 100}
    sender.import_data_rows("pictures", [{"row_data": "1.png", "global_key": "k", "facts": facts}])
    run = sender.create_model("boxes", sender.create_ontology(BOXES)).create_model_run("v1")
    run.upsert_data_rows(global_keys=["k"])
    outputs = [Box(0, 0, 10, 10, "cat", score=0.9), Box(0, 0, 20, 20, "dog", score=0.2), Box(0, 0, 30, 30, "cat")]
    run.add_predictions("outputs", {"k": outputs}).wait_till_done()
    project = studio.add_project(BOXES)
    run.send_to_project(project, confidence=0.5)
    (stored,) = studio.predictions.values()
    assert sorted(region["value"]["width"] for region in stored["result"]) == [5, 15], "one states no confidence"
    assert stored["score"] == 0.9


def test_priority_decides_the_order_of_new_tasks(sender: Client, run: ModelRun, studio: Studio) -> None:
    first, second = studio.add_project(SENTIMENT), studio.add_project(SENTIMENT)
    run.send_to_project(first, priority={"c": 1, "b": 3})
    assert studio.texts(first) == ["text c", "text b", "text a"]
    run.send_to_project(second, priority=run.rank_unlabeled("least_confident"), limit=2)
    assert studio.texts(second) == ["text c", "text b"]
    assert run.send_to_project(second, priority=run.rank_unlabeled("least_confident"), limit=2).skipped == 2


@pytest.mark.parametrize("priority", [None, {"b": 1}])
def test_only_data_rows_of_the_splits_are_sent(
    run: ModelRun, studio: Studio, priority: Mapping[str, float] | None
) -> None:
    run.assign_data_rows_to_split(split="test", global_keys="b")
    project = studio.add_project(SENTIMENT)
    assert run.send_to_project(project, splits=["test"], priority=priority).sent == 1
    assert studio.texts(project) == ["text b"]


@pytest.mark.parametrize("wrong", [{"confidence": 1.5}, {"limit": 0}, {"splits": ["exam"]}, {"priority": 3}])
def test_wrong_arguments_are_said(run: ModelRun, studio: Studio, wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        run.send_to_project(studio.add_project(SENTIMENT), **wrong)
    assert not studio.tasks


# -- what does not fit


def test_what_the_projects_config_has_no_place_for_is_counted_and_named(sender: Client, studio: Studio) -> None:
    facts = {"width": 200, "height": 100}
    sender.import_data_rows("pictures", [{"row_data": f"{k}.png", "global_key": k, "facts": facts} for k in "xy"])
    run = sender.create_model("boxes", sender.create_ontology(BOXES)).create_model_run("v1")
    run.upsert_data_rows(global_keys="xy")
    rows = [box("x", "x1", "cat", 0.9), box("x", "x2", "dog", 0.8), box("y", "y1", "dog", 0.7)]
    run.add_predictions("rows", rows).wait_till_done()
    project = studio.add_project(CATS)
    sent = run.send_to_project(project)
    assert (sent.sent, sent.refused, sent.dropped) == (1, 1, 2)
    assert [reason[:3] for reason in sent.reasons] == ["x: ", "y: "]
    assert all("dog" in reason for reason in sent.reasons)
    (stored,) = studio.predictions.values()
    assert [region["value"]["rectanglelabels"] for region in stored["result"]] == [["cat"]]


def test_what_label_studio_leaves_out_is_found_and_explained(sender: Client, studio: Studio) -> None:
    facts = {"width": 200, "height": 100}
    sender.import_data_rows("pictures", [{"row_data": f"{k}.png", "global_key": k, "facts": facts} for k in "xy"])
    run = sender.create_model("boxes", sender.create_ontology(BOXES)).create_model_run("v1")
    run.upsert_data_rows(global_keys="xy")
    outputs = {"x": [Box(0, 0, 10, 10, "cat", score=0.9)], "y": [Box(0, 0, 10, 10, "dog", score=0.9)]}
    run.add_predictions("outputs", outputs).wait_till_done()
    sent = run.send_to_project(studio.add_project(CATS))
    assert (sent.sent, sent.refused) == (1, 1)
    (reason,) = sent.reasons
    assert reason.startswith("y: Label Studio left it out")
    assert "dog" in reason


def test_a_data_row_without_what_the_config_shows_costs_no_other(sender: Client, run: ModelRun, studio: Studio) -> None:
    sender.import_data_rows("texts", [{"row_data": {"title": "text b"}, "global_key": "b"}])
    project = studio.add_project(SENTIMENT)
    sent = run.send_to_project(project)
    assert (sent.sent, sent.created_tasks, sent.refused) == (2, 2, 1)
    assert sent.reasons == ("b: its data has no 'text', which the labeling config shows.",)


def test_a_document_needs_its_pages(sender: Client, studio: Studio) -> None:
    rows = [{"row_data": "https://example.com/a.pdf", "global_key": "a", "media_type": "document"}]
    rows += [{"row_data": {"pages": ["1.png", "2.png"]}, "global_key": "b", "media_type": "document"}]
    sender.import_data_rows("documents", rows)
    run = sender.create_model("documents", sender.create_ontology(SENTIMENT)).create_model_run("v1")
    run.upsert_data_rows(global_keys="ab")
    run.add_predictions("import", [radio("a", "Positive", 0.9), radio("b", "Negative", 0.6)]).wait_till_done()
    pages = SENTIMENT.replace("Text ", "Image ").replace('value="$text"', 'valueList="$pages"')
    sent = run.send_to_project(studio.add_project(pages))
    assert (sent.sent, sent.refused) == (1, 1)
    assert sent.reasons[0].startswith("a: its data needs a list of pages as 'pages'")


# -- calls that fail


@pytest.mark.parametrize("fault", ["drop stored", "503 stored", "late"])
def test_a_call_without_an_answer_is_not_repeated_when_it_was_carried_out(
    run: ModelRun, studio: Studio, fault: Fault
) -> None:
    project = studio.add_project(SENTIMENT)
    studio.faults.append(fault)
    studio.late_s = 0.1
    assert run.send_to_project(project).sent == 3
    assert studio.imports == [3]
    assert studio.stored(project) == ALL


@pytest.mark.parametrize("fault", ["500", "502", "drop", "half stored"])
def test_after_a_failure_a_second_call_sends_what_is_missing(run: ModelRun, studio: Studio, fault: Fault) -> None:
    project = studio.add_project(SENTIMENT)
    studio.faults.append(fault)
    with pytest.raises(LabelStudioUnavailableError, match="predictions are not there"):
        run.send_to_project(project)
    sent = run.send_to_project(project)
    assert (sent.created_tasks, sent.refused) == (0, 0)
    assert studio.stored(project) == ALL


# -- others at work


def test_of_two_calls_at_once_the_second_waits_and_finds_everything_there(
    settings: Settings, client: Client, studio: Studio
) -> None:
    """Two clients of one registry, on SQLite and on PostgreSQL; the second begins while the first is in the import."""
    project = studio.add_project(SENTIMENT)
    make_run(client)
    with Client(studio_settings(settings, studio)) as first, Client(studio_settings(settings, studio)) as second:
        running: list[Future[Sent]] = []
        waiting = threading.Event()

        def begin_the_second() -> None:
            if not running:
                running.append(pool.submit(second.get_model_run("v1").send_to_project, project))
                assert not waiting.wait(0.3), "it waits"
                assert not running[0].done()

        studio.on_import = begin_the_second
        with ThreadPoolExecutor(1) as pool:
            one = first.get_model_run("v1").send_to_project(project)
            other = running[0].result()
    assert (one.sent, one.created_tasks) == (3, 3)
    assert (other.sent, other.created_tasks, other.skipped) == (0, 0, 3)
    assert studio.stored(project) == ALL


def test_of_two_processes_each_task_gets_one_prediction(sender: Client, run: ModelRun, studio: Studio) -> None:
    project = studio.add_project(SENTIMENT)
    order = [sys.executable, __file__, str(sender.settings.data_dir), studio.url, studio.token, str(project)]
    both = [subprocess.Popen(order, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sent = [int(process.communicate(timeout=60)[0]) for process in both]
    assert sorted(sent) == [0, 3]
    assert studio.stored(project) == ALL


def test_who_does_not_wait_is_refused_with_a_reason(sender: Client, run: ModelRun, studio: Studio) -> None:
    project = studio.add_project(SENTIMENT)
    leases = Leases(sender.registry.database)
    assert leases.acquire_lease(send_lease(studio.url, project), "another", 60)
    with pytest.raises(OverloadedError, match=f"somebody else is sending to project {project}"):
        run.send_to_project(project, wait_s=0)
    assert not studio.tasks
    other = studio.add_project(SENTIMENT)
    assert run.send_to_project(other, wait_s=0).sent == 3, "another project is another's business"
    leases.release_lease(send_lease(studio.url, project), "another")
    assert run.send_to_project(project, wait_s=0).sent == 3


@pytest.fixture
def connected(sender: Client, run: ModelRun, studio: Studio) -> Iterator[Connected]:
    """The run's model is connected to a project, as `/setup` writes it down."""
    with closing(Ledger.open(sender.settings)) as ledger:
        project = studio.add_project(SENTIMENT)
        connection = Connection(studio.url, project, SENTIMENT, studio.token, model="sentiment")
        connection = ledger.remember_project(connection)
        with closing(LabelStudio(studio.url, studio.token)) as client:
            yield Connected(ledger, connection, client, sender.settings)


def test_beside_a_backend_of_the_same_version_a_task_gets_one_prediction(
    run: ModelRun, studio: Studio, connected: Connected
) -> None:
    """The webhook announces the new tasks, a person opens one, and a worker is fast, all during the import."""
    project = connected.connection.project
    given: list[bool] = []

    def backend() -> None:
        studio.on_import = lambda: None
        connected.announce(studio)
        given.extend(connected.answer_live(studio))
        connected.predict_and_push()

    studio.on_import = backend
    assert run.send_to_project(project).sent == 3
    assert given == [False, False, False], "what is being sent is not given live"
    assert studio.stored(project) == ALL
    connected.announce(studio)
    connected.predict_and_push()
    assert studio.stored(project) == ALL, "the ledger knows that they have their prediction"
    assert set(connected.states().values()) == {"stored"}
    run.collect()
    assert [len(said.predictions) for said in run._client.registry.said(run.id)] == [1, 1, 1, 0]


def test_what_a_worker_has_on_its_way_is_left_to_it(run: ModelRun, studio: Studio, connected: Connected) -> None:
    project = connected.connection.project
    studio.add_tasks(project, [{"text": f"text {key}", "global_key": key} for key in "abc"])
    connected.announce(studio)
    connected.predict()
    chunk = connected.ledger.begin_chunk(connected.ledger.waiting(studio.url)[0], 2, 2**20)
    assert chunk is not None
    sent = run.send_to_project(project)
    assert (sent.sent, sent.skipped) == (1, 5), "what the worker said of the three tasks is in the run too"
    assert studio.stored(project) == {**ALL, "text a": [], "text b": []}
    connected.push()  # of the chunk nobody knows what became of it: it is read back, and sent
    assert [len(said) for said in studio.stored(project).values()] == [1, 1, 1]


def test_a_prediction_that_was_stored_after_the_look_is_seen_in_the_ledger(
    run: ModelRun, studio: Studio, connected: Connected
) -> None:
    project = connected.connection.project
    studio.add_tasks(project, [{"text": f"text {key}", "global_key": key} for key in "abc"])
    connected.announce(studio)
    connected.predict()
    looks = iter((False, True))  # the first look finds the tasks, the second one what stands there
    studio.after_list = lambda: connected.push() if next(looks, False) else None
    sent = run.send_to_project(project)
    assert (sent.sent, sent.skipped) == (0, 6)
    assert [len(said) for said in studio.stored(project).values()] == [1, 1, 1]


@pytest.mark.parametrize("fault", ["drop", "half stored", "late", "500"])
@pytest.mark.parametrize("goes_on", ["a second call", "a lane"])
def test_what_a_call_left_in_doubt_beside_a_backend_is_settled(
    run: ModelRun, studio: Studio, connected: Connected, fault: Fault, goes_on: str
) -> None:
    project = connected.connection.project
    studio.faults.append(fault)
    studio.late_s = 0.1
    if fault == "late":
        assert run.send_to_project(project).sent == 3
    else:
        with pytest.raises(LabelStudioUnavailableError):
            run.send_to_project(project)
        assert set(connected.states().values()) == {"sending"}
    if goes_on == "a lane":
        assert connected.ledger.instances_with_work() == ([] if fault == "late" else [studio.url])
        connected.push()
        assert connected.ledger.instances_with_work() == []
    run.send_to_project(project)
    assert studio.stored(project) == ALL
    assert set(connected.states().values()) == {"stored"}


# -- what to label next


def test_fields_for_choosing_are_written_to_this_runs_predictions_only(
    sender: Client, run: ModelRun, studio: Studio
) -> None:
    project = studio.add_project(SENTIMENT)
    run.send_to_project(project)
    tasks = sorted(studio.tasks)
    studio.store_live(project, {"task": tasks[0], "result": [], "score": 0.5, "model_version": "v10"})
    fields = {
        tasks[0]: {"score": 0.1, "cluster": 2, "neighbors": [tasks[1]], "mislabeling": 0.25},
        tasks[1]: {"score": 0.2},
        999: {"score": 0.3},
    }
    seen: list[tuple[int, int]] = []
    written = run.write_selection(fields, project_id=project, progress=lambda *done: seen.append(done))
    assert (written.written, written.unchanged, written.missing) == (2, 0, 1)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    ours = {one["task"]: one for one in studio.predictions.values() if one["model_version"] == "v1"}
    assert fields[tasks[0]].items() <= ours[tasks[0]].items()
    assert [ours[task]["score"] for task in tasks] == [0.1, 0.2, 0.3]
    assert [one["score"] for one in studio.predictions.values() if one["model_version"] == "v10"] == [0.5]

    again = run.write_selection(fields, project_id=project)
    assert (again.written, again.unchanged, again.missing, studio.changes) == (0, 2, 1, 2)
    with pytest.raises(RequestError, match="'colour'"):
        run.write_selection({tasks[0]: {"colour": 1}}, project_id=project)


def test_unlabeled_tasks_are_ranked_and_get_scores(run: ModelRun, studio: Studio) -> None:
    project = studio.add_project(SENTIMENT)
    run.send_to_project(project)
    run.upsert_labels([radio("c", "Positive", None)])
    selected = run.select(project, count=1)
    assert [(one.data_row, round(one.priority, 6), one.arm) for one in selected.first] == [("b", 0.4, "")]
    assert (selected.written.written, selected.without) == (0, 0), "its scores are the confidences already"
    assert selected.written.unchanged == 2

    by_lot = run.select(project, "random", seed=1)
    assert by_lot.written.written == 2
    order = sorted(studio.predictions.values(), key=lambda one: one["score"])
    labeled = {one["task"] for one in order} - {one.task for one in by_lot.first}
    assert [one["task"] for one in order if one["task"] not in labeled] == [one.task for one in by_lot.first]
    mixed = run.select(project, "mix", count=2)
    assert {one.arm for one in mixed.first} <= {"least_confident", "random"}


def test_the_terminal_says_what_was_sent_and_what_comes_first(
    run: ModelRun, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRELABEL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    project = studio.add_project(SENTIMENT)

    def said(*arguments: str, code: int = 0) -> list[str]:
        done = CliRunner().invoke(cli, ["runs", *arguments, "--project", str(project)], prog_name="prelabel")
        assert done.exit_code == code, done.output
        return done.output.splitlines()

    nothing = said("select", "v1")
    assert nothing[-1].endswith("`prelabel runs send` first.")
    sent = said("send", "v1", "--confidence", "0.5", "--order", "least_confident")
    assert sent[0] == "v1: 2 sent, 0 there before, 3 tasks made, 0 refused"
    assert studio.texts(project) == ["text c", "text b", "text a"]
    assert [line.split()[1] for line in said("select", "v1", "--count", "1")[:2]] == ["DATA", "b"]
    run.add_predictions("more", [radio("d", "Positive", 0.4)]).wait_till_done()
    studio.projects[project]["label_config"] = SENTIMENT.replace("sentiment", "mood")
    assert said("send", "v1", code=1)[-2] == "v1: 0 sent, 2 there before, 1 tasks made, 2 refused"


def test_a_strategy_that_needs_more_says_what(run: ModelRun) -> None:
    with pytest.raises(PrelabelError, match="needs embeddings"):
        run.rank_unlabeled("diversity")


if __name__ == "__main__":
    with Client(
        load_settings(data_dir=Path(sys.argv[1]), label_studio_url=sys.argv[2], label_studio_api_key=sys.argv[3])
    ) as one:
        print(one.get_model_run("v1").send_to_project(int(sys.argv[4])).sent)
