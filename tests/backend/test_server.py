"""The server as Label Studio 1.23.2 meets it: recorded requests in, answers that it accepts out."""

from __future__ import annotations

import dataclasses
import html
import json
import logging
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from prelabel.data import DataReader
from prelabel.errors import ModelLoadError, OverloadedError
from prelabel.model import InputKind, ModelWrapper
from prelabel.outputs import Choice
from prelabel.predictions import Prediction
from prelabel.predictor import Predictor
from prelabel.predictor.local import LocalPredictor
from prelabel.queue import JobQueue
from prelabel.runs import Connection, Ledger
from prelabel.server import create_app, serve_app
from prelabel.server.auth import WEBHOOK_HEADER, webhook_token
from prelabel.server.clients import Clients
from prelabel.server.serving import listen
from prelabel.settings import Settings, load_settings
from prelabel.tasks import Task
from prelabel.testing.fake_label_studio import FakeLabelStudio
from prelabel.testing.stub import StubPredictor, StubWrapper

RECORDINGS = Path(__file__).parents[1] / "recordings"
HOST = "http://localhost:8085"


def recorded(name: str, path: str) -> Any:
    """The body of the first request to ``path`` in a recording."""
    recording = json.loads((RECORDINGS / f"{name}.json").read_text())
    return next(one["body"] for one in recording["requests_received_by_backend"] if one["path"] == path)


SETUP = recorded("predict/task_open_single", "/setup")
OPEN_TASK = recorded("predict/task_open_single", "/predict")
CONFIG = SETUP["schema"]


def question(*texts: str, first: int = 100, **more: Any) -> dict[str, Any]:
    """A ``/predict`` request as recorded, with tasks of ours."""
    like = OPEN_TASK["tasks"][0]
    tasks = [{**like, "id": first + number, "data": {"text": text}} for number, text in enumerate(texts)]
    return {**OPEN_TASK, "tasks": tasks, **more}


class HeldModel(StubWrapper):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.go = threading.Event()
        self.calls: list[int] = []

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        self.calls.append(len(batch))
        self.asked.set()
        assert self.go.wait(30)
        return super().predict(batch)


@dataclass
class World:
    """A server with all its parts."""

    settings: Settings
    predictor: Predictor
    ledger: Ledger | None
    queue: JobQueue | None
    client: FlaskClient = field(repr=False)

    def post(self, path: str, body: Any) -> Any:
        return self.client.post(path, json=body)

    def predict(self, body: Any) -> list[Any]:
        """The entries of the answer, which must be one per task and none of them null."""
        answer = self.post("/predict", body)
        assert answer.status_code == 200
        entries = answer.get_json()["results"]
        assert len(entries) == len(body["tasks"])
        for entry in entries:
            assert entry == [] or (
                isinstance(entry["result"], list)
                and math.isfinite(entry["score"])
                and entry["model_version"] == self.post("/setup", SETUP).get_json()["model_version"]
            )
        return entries

    def states(self) -> dict[int, str]:
        assert self.ledger is not None
        connection = self.ledger.connection(7)
        assert connection is not None
        return self.ledger.states(self.predictor.model_version, connection)


Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path, redis_url: str) -> Iterator[Make]:
    """Makes servers: ``make(wrapper_or_predictor, ledger=True, queue=True, clients=True, setting=...)``."""
    with ExitStack() as stack:

        def world(
            model: Any = None, *, ledger: bool = True, queue: bool = False, clients: bool = False, **settings: Any
        ) -> World:
            given = load_settings(
                **{"data_dir": tmp_path, "redis_url": redis_url, "drain_s": 1.0, "label_studio_url": HOST, **settings}
            )
            predictor = model if isinstance(model, StubPredictor) else None
            if predictor is None:
                reader = DataReader(given)
                predictor = LocalPredictor(model or StubWrapper(), reader, given)
                predictor.wait_ready(60)
                stack.callback(reader.close)
                stack.callback(predictor.close)
            book = Ledger.open(given) if ledger or queue else None
            if book is not None:
                stack.callback(book.close)
            jobs = JobQueue.open(given, book) if queue and book is not None else None
            if jobs is not None:
                stack.callback(jobs.close)
            label_studio = Clients(given, book) if clients else None
            if label_studio is not None:
                stack.callback(label_studio.close)
            factory = label_studio.of if label_studio is not None else None
            app = create_app(given, predictor, ledger=book, queue=jobs, label_studio=factory)
            return World(given, predictor, book, jobs, app.test_client())

        yield world


# --- health, setup, versions
def test_health_is_json_and_up(make: Make) -> None:
    for path in ("/health", "/"):
        answer = make().client.get(path)
        assert (answer.status_code, answer.get_json()["status"]) == (200, "UP")


# --- which version people see
def hidden_world(make: Make, promoted: str = "stub-before", **settings: Any) -> World:
    """A server whose version is hidden: another one of its model is promoted, which said something of task 100."""
    here = make(queue=True, **settings)
    assert here.ledger is not None
    here.post("/setup", SETUP)
    place = here.ledger.connection(7)
    assert place is not None
    here.ledger.enter(promoted, here.predictor.name, shadow=False)
    known = dataclasses.replace(place, model=here.predictor.name)
    here.ledger.plan(promoted, known, [Task(100, {"text": "fine"}, 7)])
    (row,) = here.ledger.planned(version=promoted)
    said = Prediction(
        ({"id": "r1", "from_name": "label", "to_name": "text", "type": "choices", "value": {}},), 0.5, promoted
    )
    here.ledger.record([(row, said)])
    here.ledger.promote(promoted)
    return here


def test_setup_reports_only_the_promoted_version(make: Make, wait_until: Any) -> None:
    here = make(queue=True)
    own = here.predictor.model_version
    assert here.post("/setup", SETUP).get_json() == {"model_version": own}
    assert here.ledger is not None
    here.ledger.enter("stub-before", here.predictor.name, shadow=False)
    here.ledger.promote("stub-before")
    wait_until(lambda: here.post("/setup", SETUP).get_json() == {"model_version": "stub-before"})
    assert here.client.get("/versions").get_json() == {"versions": ["stub-before", own]}
    here.ledger.promote(own)
    wait_until(lambda: here.post("/setup", SETUP).get_json() == {"model_version": own})


def test_a_hidden_server_answers_what_the_promoted_version_said(make: Make, wait_until: Any) -> None:
    here = hidden_world(make, single_flight_s=300)
    wait_until(lambda: here.post("/setup", SETUP).get_json() == {"model_version": "stub-before"})
    known, unknown = here.predict(question("fine", "never seen"))
    assert (known["model_version"], unknown) == ("stub-before", [])
    assert here.ledger is not None
    place = here.ledger.connection(7)
    assert place is not None
    assert here.ledger.states("stub-before", place) == {100: "answered", 101: "planned"}
    assert here.states() == {}
    assert here.predict(question("fine")) == [[]]  # it was answered a moment ago


def test_a_shadow_answers_no_click(make: Make) -> None:
    click = question("fine", params={"context": {"result": []}})
    (shown,) = make().predict(click)
    assert shown["result"]
    (hidden,) = make(shadow=True).predict(click)
    assert hidden["result"] == []


def test_imported_tasks_are_predicted_by_the_promoted_version_and_in_shadow(make: Make, wait_until: Any) -> None:
    here = hidden_world(make)
    wait_until(lambda: here.post("/setup", SETUP).get_json() == {"model_version": "stub-before"})
    event = recorded("webhooks/TASKS_CREATED_import_3", "/webhook")
    assert here.post("/webhook", event).status_code == 200
    assert here.queue is not None
    jobs = [job for job in here.queue.jobs() if job.total]
    assert sorted(job.version for job in jobs) == sorted(["stub-before", here.predictor.model_version])
    assert {(job.reason, job.total) for job in jobs} == {("import", 2)}


class Loading(ModelWrapper):
    """Loads until it is let."""

    name = "loading"
    input = InputKind.TEXT
    outputs = (Choice,)

    def __init__(self) -> None:
        self.let = threading.Event()

    def load(self) -> None:
        assert self.let.wait(20)

    def predict(self, batch: Sequence[str]) -> list[str]:
        return ["Positive"] * len(batch)


def test_everything_but_predictions_is_answered_while_the_model_is_loading(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, drain_s=1.0)
    wrapper = Loading()
    predictor = LocalPredictor(wrapper, DataReader(settings), settings)
    client = create_app(settings, predictor).test_client()
    assert client.get("/ready").status_code == 503
    assert client.get("/health").status_code == 200
    version = client.post("/setup", json=SETUP).get_json()["model_version"]
    assert client.get("/versions").get_json() == {"versions": [version]}
    assert client.post("/webhook", json=recorded("webhooks/ANNOTATION_CREATED", "/webhook")).status_code == 200
    assert client.get("/metrics").status_code == 200
    wrapper.let.set()
    assert predictor.wait_ready(60)
    assert client.get("/ready").get_json() == {"ready": True, "error": None}
    predictor.close()


def test_a_model_that_cannot_be_loaded_is_told_in_setups_reason_phrase(make: Make) -> None:
    class Broken(StubWrapper):
        def load(self) -> None:
            raise OSError("no weights")

    world = make(Broken())
    assert world.client.get("/health").status_code == 200
    ready = world.client.get("/ready")
    assert ready.status_code == 503
    assert "no weights" in ready.get_json()["error"]
    answer = world.post("/setup", SETUP)
    assert answer.status_code == 500
    assert "no weights" in answer.status
    assert world.predict(OPEN_TASK) == [[]]


def test_setup_reports_the_version_and_remembers_the_connection(make: Make) -> None:
    world = make(label_studio_url=None)
    answer = world.post("/setup", recorded("ml/create_extra_params_string", "/setup"))
    assert answer.get_json() == {"model_version": world.predictor.model_version}
    assert world.ledger is not None
    connection = world.ledger.connection(4)
    assert connection is not None
    assert connection.instance == HOST
    assert connection.label_config == CONFIG
    assert connection.token == "0123456789abcdef0123456789abcdef01234567"
    assert connection.extra_params == {"threshold": 0.3}


def test_setup_writes_only_what_has_changed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make()
    assert world.ledger is not None
    written: list[Connection] = []
    remember = world.ledger.remember_project

    def counted(connection: Connection) -> Connection:
        written.append(connection)
        return remember(connection)

    monkeypatch.setattr(world.ledger, "remember_project", counted)
    for _ in range(3):
        world.post("/setup", SETUP)
    assert len(written) == 1
    world.post("/setup", {**SETUP, "schema": CONFIG.replace("Negative", "Bad")})
    assert len(written) == 2


def test_the_address_in_the_settings_wins_over_what_setup_brings(make: Make) -> None:
    world = make(label_studio_url="http://label-studio:8080")
    world.post("/setup", SETUP)
    assert world.ledger is not None
    assert [one.instance for one in world.ledger.connections()] == ["http://label-studio:8080"]


@pytest.mark.parametrize("path", ["/setup", "/validate"])
def test_a_config_that_nothing_fits_is_refused_in_the_reason_phrase(make: Make, path: str) -> None:
    class Sentiment(StubWrapper):
        outputs = (Choice,)
        labels = ("Cat", "Dog")

    answer = make(Sentiment()).post(path, {**SETUP, "config": CONFIG})
    assert answer.status_code == 422
    reason = answer.status.removeprefix("422 ")
    body = answer.get_json()
    assert reason.startswith((body.get("error") or body["refusal"])[:60])
    assert "Cat" in reason
    assert "Positive" in reason
    assert reason.isascii()
    assert reason.isprintable()
    assert len(reason) <= 300


def test_labels_of_any_language_are_readable_in_the_dialog(make: Make) -> None:
    class Sentiment(StubWrapper):
        outputs = (Choice,)
        labels = ("großartig", "übel")

    answer = make(Sentiment()).post("/setup", SETUP)
    assert "says großartig, übel" in answer.get_json()["error"]
    assert answer.status.isascii()
    assert "says großartig, übel" in html.unescape(answer.status)


def test_a_config_that_is_not_xml_is_refused(make: Make) -> None:
    for path, body in (("/setup", {**SETUP, "schema": "<View"}), ("/validate", {"config": "<View"})):
        assert make().post(path, body).status_code == 422


def test_a_partial_fit_connects_and_says_what_will_be_dropped(make: Make) -> None:
    class Sentiment(StubWrapper):
        outputs = (Choice,)
        labels = ("Positive", "Mixed")

    world = make(Sentiment())
    assert world.post("/setup", SETUP).status_code == 200
    assert "Mixed" in str(world.post("/validate", {"config": CONFIG}).get_json()["dropped"])


def test_what_will_be_dropped_is_logged_once_per_project_and_config(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    class Sentiment(StubWrapper):
        outputs = (Choice,)
        labels = ("Positive", "Mixed")

    world = make(Sentiment())
    other = CONFIG.replace("Positive", "Positive!").replace("Negative", "Mixed")
    for schema in (CONFIG, CONFIG, other, other):
        assert world.post("/setup", {**SETUP, "schema": schema}).status_code == 200
    world.post("/setup", {**SETUP, "project": "99.1"})
    said = [one.getMessage() for one in caplog.records if one.levelname == "WARNING" and "dropped" in one.message]
    assert [(line.split(":")[0], "'Mixed'" in line, "'Positive'" in line) for line in said] == [
        ("project 7", True, False),
        ("project 7", False, True),
        ("project 99", True, False),
    ]


def test_versions_are_those_of_the_ledger_the_present_one_first(make: Make) -> None:
    world = make()
    assert world.ledger is not None
    world.ledger.plan("older-00000000", Connection(HOST, 7, CONFIG), [])
    world.post("/setup", SETUP)
    world.ledger.plan("oldest", world.ledger.connection(7) or Connection(HOST, 7), [_task(1)])
    assert world.client.get("/versions").get_json() == {"versions": [world.predictor.model_version, "oldest"]}


def _task(number: int) -> Any:
    from prelabel.tasks import Task

    return Task(number, {"text": str(number)}, 7)


# --- predict
def test_opening_a_task_gives_its_prediction_and_a_row_in_the_ledger(make: Make) -> None:
    world = make()
    world.post("/setup", SETUP)
    (entry,) = world.predict(OPEN_TASK)
    region = entry["result"][0]
    assert (region["from_name"], region["to_name"], region["type"]) == ("sentiment", "text", "choices")
    assert region["value"] == {"choices": ["Positive"]}
    assert world.states() == {1: "answered"}


def test_a_retrieval_of_ten_is_answered_with_ten_in_order(make: Make) -> None:
    body = question(*[f"text {number}" for number in range(10)])
    entries = make().predict(body)
    assert all(entry["result"] for entry in entries)


def test_a_task_that_fails_is_nothing_a_log_line_and_a_quarantine_entry(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    world = make()
    world.post("/setup", SETUP)
    body = question("fine", "fail", "fine too")
    body["tasks"][2]["data"] = {"title": "another field"}
    with caplog.at_level(logging.WARNING):
        entries = world.predict(body)
    assert entries[0]["result"]
    assert entries[1:] == [[], []]
    assert world.ledger is not None
    assert {one.task: one.state for one in world.ledger.quarantined()} == {101: "quarantined", 102: "quarantined"}
    assert "task 101" in caplog.text
    assert "task 102" in caplog.text
    assert world.states()[100] == "answered"


def test_something_that_is_no_task_costs_only_itself(make: Make) -> None:
    body = question("fine")
    body["tasks"] += [7, None, {"id": 3}, {"id": "x", "data": {}}]
    entries = make().predict(body)
    assert entries[0]["result"]
    assert entries[1:] == [[]] * 4


def test_a_prediction_that_is_not_json_costs_only_itself(make: Make) -> None:
    class Odd(StubWrapper):
        def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
            from prelabel.outputs import Raw

            good = {"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": ["Positive"]}}
            return [Raw({**good, "meta": {"odd": math.nan}}) if "odd" in item.value else Raw(good) for item in batch]

    entries = make(Odd()).predict(question("odd", "fine"))
    assert entries[0] == []
    assert entries[1]["result"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"not json", "not JSON"),
        (b"[1]", "JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{}", "label_config"),
        (json.dumps({"label_config": CONFIG}).encode(), "tasks"),
        (json.dumps({"label_config": CONFIG, "tasks": {}}).encode(), "tasks"),
    ],
)
def test_a_malformed_request_is_refused_with_the_reason(make: Make, body: bytes, said: str) -> None:
    answer = make().client.post("/predict", data=body)
    assert answer.status_code == 400
    assert said in answer.get_json()["error"]
    assert said in answer.status


@pytest.mark.parametrize("junk", [5, "x", [1, None], {"id": 1}])
def test_what_a_task_brings_beside_its_data_may_be_anything(make: Make, junk: Any) -> None:
    body = question("fine", "fine too")
    body["tasks"][0] |= {"predictions": junk, "annotations": junk, "meta": junk}
    assert all(entry["result"] for entry in make().predict(body))


def test_tasks_of_a_config_that_the_model_cannot_read_are_quarantined_not_tried_forever(make: Make) -> None:
    class Reader(StubWrapper):
        input = InputKind.IMAGE

    world = make(Reader(), queue=True)
    world.post("/setup", SETUP)  # refused, and remembered all the same
    body = question("a text")
    assert world.post("/predict", body).get_json()["results"] == [[]]
    assert world.states() == {100: "quarantined"}


def test_a_missing_config_is_taken_from_the_connection(make: Make) -> None:
    world = make()
    world.post("/setup", SETUP)
    body = question("fine")
    del body["label_config"]
    assert world.predict(body)[0]["result"]


def test_three_people_opening_a_task_get_one_prediction(make: Make) -> None:
    world = make(StubWrapper(call_s=0.1))
    world.post("/setup", SETUP)
    entries: list[Any] = []

    def open_task() -> None:
        entries.extend(world.client.application.test_client().post("/predict", json=OPEN_TASK).get_json()["results"])

    people = [threading.Thread(target=open_task) for _ in range(3)]
    for person in people:
        person.start()
    for person in people:
        person.join(10)
    assert len(entries) == 3
    assert len([entry for entry in entries if entry]) == 1
    assert world.predict(OPEN_TASK) == [[]]  # asked again at once: Label Studio is still storing it


def test_a_task_is_answered_again_once_the_single_flight_is_over(make: Make) -> None:
    world = make(single_flight_s=0.05)
    world.post("/setup", SETUP)
    assert world.predict(OPEN_TASK)[0]
    time.sleep(0.1)
    assert world.predict(OPEN_TASK)[0]


def test_a_task_whose_data_changed_is_predicted_anew_at_once(make: Make) -> None:
    world = make(ledger=False)
    assert world.predict(question("one"))[0]
    assert world.predict(question("another"))[0]


def test_after_a_failure_the_next_request_tries_again(make: Make) -> None:
    predictor = StubPredictor()
    world = make(predictor)
    predictor.broken = OverloadedError("busy.")
    assert world.predict(OPEN_TASK) == [[]]
    predictor.broken = None
    assert world.predict(OPEN_TASK)[0]["result"]


def test_a_task_that_is_being_pushed_is_not_answered_as_well(make: Make) -> None:
    world = make()
    world.post("/setup", SETUP)
    assert world.ledger is not None
    connection = world.ledger.connection(7)
    assert connection is not None
    version = world.predictor.model_version
    task = _task(5)
    world.ledger.claim_live(version, connection, [])
    world.ledger.plan(version, connection, [task])
    body = question("5", first=5)
    assert world.predict(body)[0]  # planned: whoever answers first
    assert world.states() == {5: "answered"}


def test_what_is_unfinished_at_the_deadline_is_nothing(make: Make) -> None:
    world = make(StubWrapper(call_s=0.5), predict_deadline_s=0.05)
    assert world.predict(question("slow", "slow too")) == [[], []]


def test_what_is_unfinished_goes_to_the_queue(make: Make) -> None:
    world = make(StubWrapper(call_s=0.5), queue=True, predict_deadline_s=0.05, label_studio_api_key="a-token")
    world.post("/setup", SETUP)
    assert world.predict(question("slow", "slow too")) == [[], []]
    assert world.queue is not None
    (job,) = world.queue.jobs()
    assert (job.reason, job.total) == ("unfinished", 2)
    assert world.states() == {100: "planned", 101: "planned"}


def test_what_may_pass_goes_to_the_queue_and_not_into_quarantine(make: Make) -> None:
    world = make(queue=True, label_studio_api_key="a-token")
    world.post("/setup", SETUP)
    assert world.predict(question("later"))[0] == []
    assert world.states() == {100: "planned"}


def test_a_large_retrieval_becomes_a_job_at_once(make: Make) -> None:
    predictor = StubPredictor()
    world = make(predictor, queue=True, live_tasks=3, label_studio_api_key="a-token")
    world.post("/setup", SETUP)
    assert world.predict(question("a", "b", "c", "d")) == [[]] * 4
    assert predictor.calls == []
    assert world.queue is not None
    (job,) = world.queue.jobs()
    assert (job.reason, job.total, job.project) == ("retrieve", 4, 7)


@pytest.mark.parametrize("how", ["no queue", "no token"])
def test_a_large_retrieval_that_nobody_could_push_is_answered_live(make: Make, how: str) -> None:
    world = make(queue=how == "no token", live_tasks=3)
    world.post("/setup", {**SETUP, "access_token": ""})
    assert all(world.predict(question("a", "b", "c", "d")))


def test_when_every_seat_is_taken_the_answer_is_nothing_and_health_still_answers(make: Make) -> None:
    model = HeldModel()
    world = make(model, threads=1)
    world.post("/setup", SETUP)
    first = threading.Thread(target=world.predict, args=(question("a"),))
    first.start()
    assert model.asked.wait(30)
    other = world.client.application.test_client()
    assert other.post("/predict", json=question("b", first=200)).get_json()["results"] == [[]]
    assert other.get("/health").status_code == 200
    assert other.post("/api/v1/predict", json={"label_config": CONFIG, "tasks": []}).status_code == 503
    model.go.set()
    first.join(10)


def test_a_client_that_has_gone_costs_no_model_time(make: Make) -> None:
    world = make()
    answer = world.client.post("/predict", json=OPEN_TASK, environ_overrides={"prelabel.client_gone": lambda: True})
    assert answer.get_json()["results"] == [[]]
    assert isinstance(world.predictor, LocalPredictor)
    assert sum(world.predictor.scheduler.stats.items) == 0


def test_a_registry_that_is_away_costs_the_answer_but_no_error(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make(queue=True, live_tasks=1)
    world.post("/setup", SETUP)

    def away(*_: Any, **_more: Any) -> Any:
        raise OSError("disk is full")

    for name in ("claim_live", "quarantine", "create_job"):
        monkeypatch.setattr(world.ledger, name, away)
    assert world.predict(question("fine")) == [[]]
    assert world.predict(question("fine", "fail", first=200)) == [[], []]


# --- interactive and test requests
@pytest.mark.parametrize("name", ["interactive/rectangle", "interactive/keypoint"])
def test_an_interactive_request_gives_its_context_to_the_model_and_stores_nothing(make: Make, name: str) -> None:
    seen: list[Any] = []

    class Smart(ModelWrapper):
        name = "smart"
        input = InputKind.TASK
        interactive = True

        def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
            from prelabel.outputs import Box, Unit

            seen.extend(batch)
            return [Box(10, 10, 20, 20, "Car", unit=Unit.PERCENT, score=0.9)] * len(batch)

    world = make(Smart())
    body = recorded(name, "/predict")
    answers = [world.post("/predict", body).get_json()["results"] for _ in range(2)]  # no single flight
    assert len(seen) == 2
    for (entry,) in answers:
        assert set(entry) == {"result", "score", "model_version"}
    assert world.ledger is not None
    assert world.ledger.connection(51) is None or world.states() == {}


def test_an_interactive_failure_is_an_empty_result_that_the_editor_takes(make: Make) -> None:
    world = make()
    body = question("fail", params={"context": {"result": []}})
    (entry,) = world.predict(body)
    assert entry["result"] == []
    assert world.ledger is not None
    assert world.ledger.quarantined() == []


def test_interactive_requests_overtake(make: Make) -> None:
    world = make()
    world.predict(question("x", params={"context": {"result": []}}))
    assert isinstance(world.predictor, LocalPredictor)
    assert world.predictor.scheduler.stats.items == [1, 0, 0]


def test_send_test_request_is_answered_although_the_prediction_stands_already(make: Make) -> None:
    world = make()
    world.post("/setup", SETUP)
    body = question("x")
    body["tasks"][0]["predictions"] = [{"model_version": world.predictor.model_version, "result": []}]
    assert world.predict(body)[0]["result"]
    assert world.predict(body)[0]["result"]
    assert world.states() == {}


@pytest.mark.parametrize("flights_forget", [False, True])
def test_a_task_that_shows_what_was_answered_a_moment_ago_was_opened_by_two_people(
    make: Make, flights_forget: bool
) -> None:
    """Label Studio looks for predictions first and writes the task, with those that came meanwhile, after."""
    world = make()
    world.post("/setup", SETUP)
    body = question("x")
    first = world.predict(body)[0]
    assert first["result"]
    if flights_forget:
        world = make()  # another process on the same ledger
        world.post("/setup", SETUP)
    body["tasks"][0]["predictions"] = [first]
    assert world.predict(body) == [[]]


# --- webhooks
def test_imported_tasks_become_a_job(make: Make) -> None:
    world = make(queue=True)
    event = recorded("webhooks/TASKS_CREATED_import_3", "/webhook")
    world.post("/setup", {**SETUP, "project": "39.1795322446"})
    answer = world.post("/webhook", event)
    assert answer.status_code == 200
    assert world.queue is not None
    job = world.queue.job(answer.get_json()["job"])
    assert (job.reason, job.total, job.project) == ("import", 2, 39)
    assert world.ledger is not None
    assert [row.task.data["text"] for row in world.ledger.planned(job=job.id)] == ["flat task", "with meta"]
    (other,) = (one for one in world.queue.jobs() if one.id != job.id)
    assert other.options["only_missing"]  # it may have brought a prediction of this very version
    assert other.options["tasks"] == [one["id"] for one in event["tasks"] if one["total_predictions"]]


def test_five_thousand_imported_tasks_are_written_down_before_the_answer(make: Make) -> None:
    world = make(queue=True)
    event = recorded("webhooks/TASKS_CREATED_import_3", "/webhook")
    like = event["tasks"][0]
    event["tasks"] = [{**like, "id": number, "data": {"text": f"text {number}"}} for number in range(1, 5001)]
    world.post("/setup", {**SETUP, "project": "39.1795322446"})
    assert world.post("/webhook", event).status_code == 200
    assert world.queue is not None
    assert world.ledger is not None
    received = world.ledger.received(world.queue.jobs()[0].id)  # in the inbox, where a worker plans them
    assert sum(len(tasks) for _, tasks in received) == 5000


@pytest.mark.parametrize("how", ["no queue", "switched off", "unknown project"])
def test_imported_tasks_are_left_where_nobody_wants_them(make: Make, how: str) -> None:
    world = make(queue=how != "no queue", auto_predict=how != "switched off", label_studio_url=None)
    answer = world.post("/webhook", recorded("webhooks/TASKS_CREATED_import_3", "/webhook"))
    assert answer.status_code == 200
    assert answer.get_json()["status"] == "ignored"


def test_a_changed_labeling_config_is_remembered(make: Make) -> None:
    world = make()
    world.post("/setup", {**SETUP, "project": "39.1795322446"})
    event = recorded("webhooks/PROJECT_UPDATED_label_config", "/webhook")
    assert world.post("/webhook", event).status_code == 200
    assert world.ledger is not None
    connection = world.ledger.connection(39)
    assert connection is not None
    assert connection.label_config == event["project"]["label_config"]
    assert connection.token == SETUP["access_token"]


def test_deleted_tasks_are_forgotten(make: Make) -> None:
    world = make(queue=True)
    event = recorded("webhooks/TASKS_DELETED_dm", "/webhook")
    world.post("/setup", {**SETUP, "project": "39.1795322446"})
    assert world.ledger is not None
    connection = world.ledger.connection(39)
    assert connection is not None
    version = world.predictor.model_version
    ids = [one["id"] for one in event["tasks"]]
    world.ledger.plan(version, connection, [_task(number) for number in (*ids, 1)])
    assert world.post("/webhook", event).get_json()["forgotten"] == len(ids)
    assert world.ledger.states(version, connection) == {**dict.fromkeys(ids, "gone"), 1: "planned"}


@pytest.mark.parametrize("name", ["ANNOTATION_CREATED", "ANNOTATIONS_DELETED"])
def test_annotation_events_are_acknowledged(make: Make, name: str) -> None:
    assert make().post("/webhook", recorded(f"webhooks/{name}", "/webhook")).get_json() == {"status": "ok"}


def test_a_model_without_fit_says_that_it_cannot_be_trained(make: Make) -> None:
    world = make()
    for path, body in (
        ("/webhook", recorded("webhooks/START_TRAINING", "/webhook")),
        ("/train", recorded("ml/train_legacy_flag_off", "/train")),
    ):
        answer = world.post(path, body)
        assert answer.status_code == 501
        assert "cannot be trained" in answer.status


class Trainable(StubWrapper):
    """Can learn."""

    def fit(self, examples: Any) -> None:
        """Nothing."""

    def save(self, directory: Path) -> None:
        """Nothing."""


def test_training_is_one_job_for_a_project(make: Make) -> None:
    world = make(Trainable(), queue=True)
    said = [
        world.post("/webhook", recorded("webhooks/START_TRAINING", "/webhook")),
        world.post("/train", recorded("ml/train_legacy_flag_off", "/train")),
        world.post("/train", {"project": recorded("webhooks/START_TRAINING", "/webhook")["project"]}),
    ]
    assert [answer.status_code for answer in said] == [200, 200, 200]
    first, other, again = (answer.get_json()["job"] for answer in said)
    assert first == again != other  # the recordings are of two projects
    assert world.queue is not None
    job = world.queue.job(first)
    assert (job.kind, job.state, job.reason, job.version) == (
        "train", "queued", "start training", world.predictor.model_version,
    )  # fmt: skip
    assert world.post("/job_status", {"job": first}).get_json()["job_status"] == "queued"
    assert "at it already" not in said[0].get_json().get("detail", "")
    assert "at it already" in said[2].get_json()["detail"]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("queued", "queued"),
        ("running", "started"),
        ("done", "finished"),
        ("failed", "failed"),
        ("cancelled", "canceled"),
    ],
)
def test_label_studio_is_told_a_trainings_state_in_its_own_words(make: Make, state: Any, status: str) -> None:
    world = make(Trainable(), queue=True)
    job = world.post("/webhook", recorded("webhooks/START_TRAINING", "/webhook")).get_json()["job"]
    assert world.ledger is not None
    world.ledger.note(job, of=12, examples=5, phase="reading")
    world.ledger.set_job_state(job, state, error="why" if state == "failed" else "")
    assert world.post("/job_status", {"job": job}).get_json() == {
        "job_status": status, "error": "why" if state == "failed" else None,
        "total": 12, "done": 5, "phase": "reading", "model_version": None,
    }  # fmt: skip


def test_training_needs_a_project_and_a_queue(make: Make) -> None:
    answer = make(Trainable(), queue=True).post("/train", {"project": None})
    assert (answer.status_code, "names no project" in answer.status) == (400, True)
    answer = make(Trainable()).post("/train", {"project": 7})
    assert (answer.status_code, "needs a queue" in answer.status) == (501, True)


def test_enough_new_annotations_begin_a_training(make: Make) -> None:
    world = make(Trainable(), queue=True, train_after=3)
    event = recorded("webhooks/ANNOTATION_CREATED", "/webhook")
    said = [world.post("/webhook", event).get_json() for _ in range(3)]
    assert said[:2] == [{"status": "ok"}] * 2
    assert world.queue is not None
    assert world.queue.job(said[2]["job"]).reason == "3 annotations"
    assert world.post("/webhook", event).get_json() == {"status": "ok"}  # counted anew


def test_changed_and_skipped_annotations_are_no_new_ones_and_several_at_once_are_several(make: Make) -> None:
    world = make(Trainable(), queue=True, train_after=3)
    for name in ("ANNOTATION_CREATED_skipped", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED") * 3:
        assert world.post("/webhook", recorded(f"webhooks/{name}", "/webhook")).get_json() == {"status": "ok"}
    several = recorded("webhooks/ANNOTATIONS_CREATED_from_predictions", "/webhook")
    several["annotation"] *= 2
    assert ["job" in world.post("/webhook", several).get_json() for _ in range(2)] == [False, True]


@pytest.mark.parametrize("event", [{}, {"action": 7}, {"action": "TASKS_CREATED", "project": {"id": 7}, "tasks": 3}])
def test_a_malformed_event_is_refused(make: Make, event: Any) -> None:
    assert make(queue=True).post("/webhook", event).status_code == 400


def test_an_event_of_the_organisation_is_ignored(make: Make) -> None:
    assert make().post("/webhook", {"action": "TASKS_DELETED", "project": None}).get_json()["status"] == "ignored"


# --- what else the protocol knows
def test_a_jobs_state_can_be_asked(make: Make) -> None:
    world = make(queue=True, live_tasks=0, label_studio_api_key="a-token")
    world.post("/setup", SETUP)
    world.predict(question("a"))
    assert world.queue is not None
    (job,) = world.queue.jobs()
    assert world.post("/job_status", {"job": job.id}).get_json()["job_status"] == "queued"
    assert world.post("/job_status", {"job": "nonsense"}).status_code == 410  # removed, says Label Studio


def test_delete_and_duplicate_are_acknowledged(make: Make) -> None:
    world = make()
    world.post("/setup", SETUP)
    assert world.post("/delete", {"project": SETUP["project"]}).status_code == 200
    assert world.post("/duplicate_model", {}).status_code == 200


def test_metrics_are_in_prometheus_format_and_belong_to_their_server(make: Make) -> None:
    world = make()
    world.post("/setup", SETUP)
    world.predict(question("a", "fail"))
    text = world.client.get("/metrics").get_data(as_text=True)
    assert 'prelabel_live_tasks_total{outcome="answered"} 1.0' in text
    assert 'prelabel_live_tasks_total{outcome="failed"} 1.0' in text
    assert 'prelabel_requests_total{endpoint="predict",status="200"} 1.0' in text
    assert 'prelabel_items_total{priority="live"} 1.0' in text
    assert "prelabel_ready 1.0" in text
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    sizes = next(family for family in families if family.name == "prelabel_batch_items")
    counts = [one.value for one in sizes.samples if one.name.endswith("_bucket")]
    assert counts == sorted(counts)
    assert counts[-1] == next(one.value for one in sizes.samples if one.name.endswith("_count"))
    assert 'prelabel_live_tasks_total{outcome="answered"}' not in make(ledger=False).client.get("/metrics").get_data(
        as_text=True
    )


# --- errors
def test_errors_are_json_without_traceback(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    world = make(max_request_bytes=2000)
    for answer, status in (
        (world.client.get("/nothing"), 404),
        (world.client.get("/predict"), 405),
        (world.client.post("/setup", data=b"x" * 3000), 413),
    ):
        assert answer.status_code == status
        assert "error" in answer.get_json()
    assert world.client.get("/predict").headers["Allow"]


def test_an_unexpected_error_is_told_without_details_and_logged_with_them(
    make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = StubPredictor()
    world = make(predictor)

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(predictor, "fit_report", broken)
    answer = world.client.post("/setup", json=SETUP, headers={"X-Request-Id": "my-id"})
    assert answer.status_code == 500
    assert "secret detail" not in answer.get_data(as_text=True)
    assert "Traceback" not in answer.get_data(as_text=True)
    assert answer.get_json()["request_id"] == answer.headers["X-Request-Id"] == "my-id"
    assert "ZeroDivisionError: secret detail" in caplog.text


def test_every_answer_has_a_request_id_of_its_own(make: Make) -> None:
    client = make().client
    assert client.get("/health").headers["X-Request-Id"] != client.get("/health").headers["X-Request-Id"]


# --- what follows from /setup in the background
@pytest.fixture
def studio() -> Iterator[FakeLabelStudio]:
    with FakeLabelStudio() as studio:
        yield studio


def test_setup_gives_our_own_webhook_its_header(
    make: Make, studio: FakeLabelStudio, wait_until: Callable[..., None]
) -> None:
    project = studio.add_project(CONFIG)
    hooks = {1: "http://localhost/webhook", 2: "http://elsewhere/webhook", 3: "http://localhost/other"}
    for number, url in hooks.items():
        studio.webhooks[number] = {"id": number, "url": url, "headers": {"X-Kept": "1"}, "project": project}
    world = make(
        clients=True,
        label_studio_url=studio.url,
        label_studio_api_key=studio.token,
        basic_auth_user="bob",
        basic_auth_pass="secret-pass",
    )
    world.client.post("/setup", json={**SETUP, "project": f"{project}.1"}, auth=("bob", "secret-pass"))
    wanted = {"X-Kept": "1", WEBHOOK_HEADER: webhook_token(world.settings)}
    wait_until(lambda: studio.webhooks[1]["headers"] == wanted)
    assert studio.webhooks[2]["headers"] == studio.webhooks[3]["headers"] == {"X-Kept": "1"}


def test_a_token_that_label_studio_refuses_is_told_with_the_two_ways_out(
    make: Make, studio: FakeLabelStudio, caplog: pytest.LogCaptureFixture, wait_until: Callable[..., None]
) -> None:
    project = studio.add_project(CONFIG)
    world = make(
        queue=True,
        live_tasks=0,
        clients=True,
        label_studio_url=studio.url,
    )
    setup = {**SETUP, "project": f"{project}.1"}
    world.post("/setup", setup)
    wait_until(lambda: "Two ways out" in caplog.text)
    assert "LABEL_STUDIO_API_KEY" in caplog.text
    assert "legacy tokens" in caplog.text
    assert SETUP["access_token"] not in caplog.text
    answer = world.post("/predict", question("a", project=f"{project}.1"))
    assert answer.get_json()["results"][0]["result"]  # nobody could push it later: it is answered now


# --- over the wire
@dataclass
class Served:
    """A running server."""

    url: str
    port: int
    stop: threading.Event
    thread: threading.Thread
    world: World
    drained: threading.Event
    """Set when the time to finish is over, and the model is stopped."""

    @property
    def queued(self) -> int:
        """Items that wait for the model."""
        assert isinstance(self.world.predictor, LocalPredictor)
        return sum(self.world.predictor.scheduler.queued())


@pytest.fixture
def served(make: Make) -> Iterator[Callable[..., Served]]:
    """Serves a model with waitress; stopped after the test."""
    running: list[Served] = []

    def start(model: Any = None, **settings: Any) -> Served:
        world = make(model, **settings)
        listening = listen("127.0.0.1", 0)
        port = listening.getsockname()[1]
        stop, drained = threading.Event(), threading.Event()

        def on_drained() -> None:
            drained.set()
            world.predictor.close()

        thread = threading.Thread(
            target=serve_app,
            args=(world.client.application, world.settings),
            kwargs={"listening": listening, "stop": stop, "on_drained": on_drained},
        )
        thread.start()
        running.append(Served(f"http://127.0.0.1:{port}", port, stop, thread, world, drained))
        return running[-1]

    yield start
    for server in running:
        server.stop.set()
        server.thread.join(30)
        assert not server.thread.is_alive()


def test_the_reason_phrase_goes_over_the_wire(served: Callable[..., Served]) -> None:
    answer = httpx.post(f"{served().url}/setup", json={**SETUP, "schema": "<View><Text name='t' value='$t'/></View>"})
    assert answer.status_code == 422
    assert answer.reason_phrase.startswith("The labeling config has no control tag")


def test_a_hang_up_is_noticed_before_the_model_is_asked(
    served: Callable[..., Served], wait_until: Callable[..., None]
) -> None:
    model = HeldModel()
    server = served(model, ledger=False)
    busy = threading.Thread(target=httpx.post, args=(f"{server.url}/predict",), kwargs={"json": OPEN_TASK})
    busy.start()
    assert model.asked.wait(30)
    body = json.dumps(question("x", first=500)).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as impatient:
        impatient.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        wait_until(lambda: server.queued == 1)
    time.sleep(0.5)  # nothing tells that the server has seen the connection end
    model.go.set()
    busy.join(10)
    httpx.post(f"{server.url}/predict", json=question("y", first=600))
    assert model.calls == [1, 1]


def test_stopping_finishes_what_is_being_answered_and_refuses_what_comes(
    served: Callable[..., Served], wait_until: Callable[..., None]
) -> None:
    model = HeldModel()
    server = served(model, ledger=False, drain_s=30.0)
    answers: list[httpx.Response] = []
    running = threading.Thread(target=lambda: answers.append(httpx.post(f"{server.url}/predict", json=OPEN_TASK)))
    running.start()
    assert model.asked.wait(30)
    server.stop.set()

    def refused() -> bool:
        try:
            return httpx.get(f"{server.url}/health").status_code == 503
        except httpx.TransportError:
            return True

    wait_until(refused)
    model.go.set()
    running.join(10)
    assert answers[0].json()["results"][0]["result"]
    server.thread.join(10)
    assert not server.thread.is_alive()


def test_what_cannot_be_finished_while_stopping_is_answered_with_nothing(
    served: Callable[..., Served], wait_until: Callable[..., None]
) -> None:
    model = HeldModel()
    server = served(model, ledger=False, drain_s=0.1, max_batch_size=1)
    answers: list[Any] = []

    def ask(number: int) -> None:
        answers.extend(httpx.post(f"{server.url}/predict", json=question("x", first=number)).json()["results"])

    people = [threading.Thread(target=ask, args=(number,)) for number in (100, 200, 300)]
    for person in people:
        person.start()
    wait_until(lambda: server.queued == 2)
    server.stop.set()
    assert server.drained.wait(30)
    time.sleep(0.5)  # longer than `drain_s`, which the model has, too
    model.go.set()
    for person in people:
        person.join(10)
    assert len(answers) == 3
    assert answers.count([]) == 2


def test_a_load_error_is_not_taken_for_a_models_version(make: Make) -> None:
    predictor = StubPredictor()
    predictor.broken = ModelLoadError("no weights.")
    assert make(predictor).predict(OPEN_TASK) == [[]]
