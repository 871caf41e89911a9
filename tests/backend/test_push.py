"""The push lane against a Label Studio that fails in every way; and once against the real one."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from prelabel.errors import (
    LabelStudioAuthError,
    LabelStudioError,
    LabelStudioUnavailableError,
    LabelStudioUnreachableError,
)
from prelabel.labelstudio import LabelStudio
from prelabel.predictions import Prediction
from prelabel.push import LaneReport, remove_versions, run_lane
from prelabel.push import lane as lane_module
from prelabel.runs import Connection, Ledger
from prelabel.settings import Settings, load_settings
from prelabel.tasks import Task
from prelabel.testing.fake_label_studio import FAULTS, FakeLabelStudio, Fault

VERSION = "model-12345678"
CHOICES = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)


def answer(label: str = "Positive", version: str = VERSION) -> Prediction:
    region = {"id": "r1", "from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
    return Prediction((region,), 0.5, version)


@dataclass
class Bench:
    """A fake Label Studio with ten tasks in one project, a ledger and a client."""

    fake: FakeLabelStudio
    ledger: Ledger
    client: LabelStudio
    settings: Settings
    connection: Connection
    steps: list[str] = field(default_factory=list)

    @property
    def project(self) -> int:
        return self.connection.project

    @property
    def tasks(self) -> list[int]:
        return sorted(task for task, one in self.fake.tasks.items() if one["project"] == self.project)

    def predict(self, label: str = "Positive", version: str = VERSION, **changes: str) -> None:
        """Plan and predict every task; ``changes`` are other labels by task id (``t12="Nope"``)."""
        known = [Task(number, self.fake.tasks[number]["data"], self.project) for number in self.tasks]
        self.ledger.plan(version, self.connection, known)
        self.ledger.record(
            (row, answer(changes.get(f"t{row.task.id}", label), version))
            for row in self.ledger.planned(version=version)
        )

    def push(self, **settings: Any) -> LaneReport:
        changed = self.settings.model_copy(update=settings)
        return run_lane(self.ledger, self.client, self.fake.url, changed, on_step=self.steps.append)

    def states(self, version: str = VERSION) -> Counter[str]:
        return Counter(self.ledger.states(version, self.connection).values())

    def later(self, seconds: float) -> None:
        """Let the registry's clock run ahead."""
        self.ledger._clock_offset = self.ledger.now() - time.time() + seconds

    def assert_one_each(self, version: str = VERSION) -> None:
        """Each task has exactly one prediction of the version, in Label Studio and in the ledger."""
        self.fake.wait_for_late()
        counts = {task: versions.count(version) for task, versions in self.fake.versions(self.project).items()}
        assert set(counts.values()) == {1}, counts
        assert set(self.states(version)) == {"stored"}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(lane_module, "IDLE_S", 0.01)
    settings = load_settings(data_dir=tmp_path / "data", push_chunk=4, push_wait_s=0.1, settle_s=0.5)
    ledger = Ledger.open(settings)
    with FakeLabelStudio() as fake, LabelStudio(fake.url, fake.token, read_wait_s=0.01) as client:
        project = fake.add_project(CHOICES, [{"text": f"text {number}"} for number in range(10)])
        yield Bench(
            fake,
            ledger,
            client,
            settings,
            ledger.remember_project(Connection(fake.url, project, CHOICES, model="model")),
        )
    ledger.close()


def test_pending_predictions_go_out_in_chunks(bench: Bench) -> None:
    bench.predict()
    report = bench.push()
    assert bench.fake.imports == [4, 4, 2]
    assert (report.chunks, report.stored, report.refused, report.busy) == (3, 10, 0, False)
    assert bench.steps == ["begun", "sent", "settled"] * 3
    bench.assert_one_each()
    one = next(iter(bench.fake.predictions.values()))
    assert (one["score"], one["model_version"], one["result"][0]["value"]) == (0.5, VERSION, {"choices": ["Positive"]})


def test_pushing_the_same_run_twice_changes_nothing(bench: Bench) -> None:
    for _ in range(2):
        bench.predict()
        bench.push()
    assert bench.fake.imports == [4, 4, 2]
    bench.assert_one_each()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_call_that_fails_in_any_way_leaves_one_prediction_each(bench: Bench, fault: Fault) -> None:
    bench.fake.faults.extend([fault, "ok", fault])
    bench.predict()
    bench.push()
    bench.assert_one_each()


def test_what_label_studio_stored_despite_its_silence_is_not_sent_again(bench: Bench) -> None:
    bench.fake.faults.append("drop stored")
    bench.predict()
    bench.push(settle_s=60)
    assert bench.fake.imports == [4, 4, 2]
    bench.assert_one_each()


def test_a_late_copy_that_comes_after_the_watch_is_deleted(bench: Bench) -> None:
    bench.fake.late_s = 1.0
    bench.fake.faults.append("late")
    bench.predict()
    report = bench.push(settle_s=0.2)
    assert sum(bench.fake.imports) > 10  # sent again
    assert report.due_at is not None
    bench.fake.wait_for_late()
    bench.later(60)
    bench.push()
    bench.assert_one_each()
    assert bench.ledger.next_due(bench.fake.url) is None


def test_what_label_studio_drops_is_found_and_explained(bench: Bench) -> None:
    bad = bench.tasks[1]
    bench.predict(**{f"t{bad}": "Nope"})
    report = bench.push()
    assert (report.stored, report.refused) == (9, 1)
    (refused,) = bench.ledger.quarantined()
    assert (refused.task, refused.state) == (bad, "refused")
    assert "Nope" in refused.error
    assert "valid labels: ['Positive', 'Negative']" in refused.error


def test_deleted_tasks_are_taken_out_and_the_rest_goes_again(bench: Bench) -> None:
    bench.predict()
    for task in bench.tasks[1:3]:
        bench.fake.delete_task(task)
    report = bench.push()
    assert (report.stored, report.gone) == (8, 2)
    assert bench.states() == {"stored": 8, "gone": 2}
    assert set(Counter(map(len, bench.fake.versions(bench.project).values()))) == {1}


def test_a_deleted_project_leaves_nothing_pending_and_other_projects_go_on(bench: Bench) -> None:
    bench.predict()
    other = bench.fake.add_project(CHOICES, [{"text": "other"}])
    bench.connection = bench.ledger.remember_project(Connection(bench.fake.url, other, CHOICES, model="model"))
    bench.predict()
    doomed = next(number for number in bench.fake.projects if number != other)
    del bench.fake.projects[doomed]
    report = bench.push()
    assert (report.stored, report.gone) == (1, 10)


def test_a_prediction_that_makes_label_studio_fail_is_found_by_halving(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = bench.tasks[5]
    store = bench.fake._store

    def failing(project: int, items: list[dict[str, Any]]) -> int:
        if any(item["task"] == poison for item in items):
            raise lane_failure()
        return store(project, items)

    monkeypatch.setattr(bench.fake, "_store", failing)
    bench.predict()
    report = bench.push(push_chunk=100)
    assert (report.stored, report.refused) == (9, 1)
    (refused,) = bench.ledger.quarantined()
    assert refused.task == poison
    assert "500" in refused.error


def lane_failure() -> Exception:
    from prelabel.testing.fake_label_studio import Refusal

    return Refusal(500, "'NoneType' object is not iterable")


def test_a_label_studio_that_fails_at_everything_is_given_up_for_now(bench: Bench) -> None:
    bench.fake.faults.extend(["500"] * 40)
    bench.predict()
    with pytest.raises(LabelStudioUnavailableError):
        bench.push()
    assert bench.states()["refused"] < lane_module.MOST_ALONE
    bench.fake.faults.clear()
    bench.ledger.retry_quarantined(bench.connection)
    bench.push()
    bench.assert_one_each()


def test_a_label_studio_that_is_away_costs_nothing(bench: Bench) -> None:
    bench.predict()
    with LabelStudio("http://127.0.0.1:1", bench.fake.token) as away, pytest.raises(LabelStudioUnreachableError):
        run_lane(bench.ledger, away, bench.fake.url, bench.settings)
    assert bench.states() == {"pending": 10}
    bench.push()
    bench.assert_one_each()


def test_a_refused_token_costs_nothing(bench: Bench) -> None:
    bench.predict()
    with LabelStudio(bench.fake.url, "a.b.c") as stranger, pytest.raises(LabelStudioAuthError):
        run_lane(bench.ledger, stranger, bench.fake.url, bench.settings)
    assert bench.states() == {"pending": 10}


def test_a_project_that_may_not_be_changed_does_not_hold_up_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prelabel.testing.fake_label_studio import Refusal

    bench.predict()
    closed = bench.connection
    other = bench.fake.add_project(CHOICES, [{"text": "other"}])
    bench.connection = bench.ledger.remember_project(Connection(bench.fake.url, other, CHOICES, model="model"))
    bench.predict()
    store = bench.fake._store

    def forbidding(project: int, items: list[dict[str, Any]]) -> int:
        if project == closed.project:
            raise Refusal(403, "You do not have permission to perform this action.")
        return store(project, items)

    monkeypatch.setattr(bench.fake, "_store", forbidding)
    with pytest.raises(LabelStudioError) as refusal:
        bench.push()
    assert refusal.value.http_status == 403
    bench.assert_one_each()
    assert set(bench.ledger.states(VERSION, closed).values()) == {"pending"}


def test_a_task_whose_data_changed_keeps_only_the_new_prediction(bench: Bench) -> None:
    bench.predict()
    bench.push()
    for task in bench.tasks[:3]:
        bench.fake.tasks[task]["data"] = {"text": "changed"}
    bench.predict("Negative")
    report = bench.push()
    assert (report.stored, report.deleted) == (3, 3)
    bench.assert_one_each()
    by_task = {one["task"]: one["result"][0]["value"]["choices"][0] for one in bench.fake.predictions.values()}
    assert [by_task[task] for task in bench.tasks] == ["Negative"] * 3 + ["Positive"] * 7


@pytest.mark.parametrize("fault", FAULTS)
def test_a_changed_task_keeps_one_prediction_whatever_fails(bench: Bench, fault: Fault) -> None:
    bench.predict()
    bench.push()
    for task in bench.tasks[:3]:
        bench.fake.tasks[task]["data"] = {"text": "changed"}
    bench.predict("Negative")
    bench.fake.faults.append(fault)
    bench.push()
    bench.assert_one_each()
    by_task = {one["task"]: one["result"][0]["value"]["choices"][0] for one in bench.fake.predictions.values()}
    assert [by_task[task] for task in bench.tasks[:3]] == ["Negative"] * 3


# -- after a crash: a chunk was begun by a lane that is no more


@pytest.mark.parametrize("stored", [0, 2, 4])
def test_a_chunk_of_a_dead_lane_is_settled_by_reading_back(bench: Bench, stored: int) -> None:
    bench.predict()
    chunk = bench.ledger.begin_chunk(bench.ledger.waiting(bench.fake.url)[0], 4, 10**8)
    assert chunk is not None
    sent = [json.loads(row.payload) | {"task": row.task} for row in chunk.rows[:stored]]
    bench.client.import_predictions(bench.project, json.dumps(sent).encode())
    bench.push()
    bench.assert_one_each()


@pytest.mark.parametrize("stored", [False, True])
def test_a_dead_lanes_chunk_of_changed_tasks_ends_with_one_prediction_each(bench: Bench, stored: bool) -> None:
    bench.predict()
    bench.push()
    for task in bench.tasks[:3]:
        bench.fake.tasks[task]["data"] = {"text": "changed"}
    bench.predict("Negative")
    chunk = bench.ledger.begin_chunk(bench.ledger.waiting(bench.fake.url)[0], 4, 10**8)
    assert chunk is not None
    if stored:
        sent = [json.loads(row.payload) | {"task": row.task} for row in chunk.rows]
        bench.client.import_predictions(bench.project, json.dumps(sent).encode())
    bench.push()
    bench.assert_one_each()
    by_task = {one["task"]: one["result"][0]["value"]["choices"][0] for one in bench.fake.predictions.values()}
    assert [by_task[task] for task in bench.tasks[:3]] == ["Negative"] * 3


# -- one lane at a time, and when it sends


def test_a_second_lane_leaves_the_work_to_the_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "RENEW_S", 0.05)
    bench.predict()
    begun, go_on = threading.Event(), threading.Event()

    def step(name: str) -> None:
        begun.set()
        assert go_on.wait(30)

    first = threading.Thread(
        target=run_lane, args=(bench.ledger, bench.client, bench.fake.url, bench.settings), kwargs={"on_step": step}
    )
    first.start()
    assert begun.wait(30)
    assert bench.push().busy
    go_on.set()
    first.join()
    bench.assert_one_each()


def test_a_dead_lanes_lease_is_taken_over(bench: Bench) -> None:
    bench.predict()
    assert bench.ledger.acquire_lease(f"push:{bench.fake.url}", "dead", 0.5)
    assert not bench.push().busy
    bench.assert_one_each()


def test_small_chunks_wait_for_company_while_more_is_on_its_way(bench: Bench) -> None:
    job = bench.ledger.create_job("project", bench.connection, VERSION, listed=True)
    known = [Task(number, bench.fake.tasks[number]["data"], bench.project) for number in bench.tasks]
    bench.ledger.plan(VERSION, bench.connection, known, job=job)

    def model() -> None:
        for row in bench.ledger.planned(job=job):
            bench.ledger.record([(row, answer())])
            time.sleep(0.02)

    thread = threading.Thread(target=model)
    thread.start()
    bench.push(push_chunk=100, push_wait_s=5.0)
    thread.join()
    bench.push()
    assert bench.fake.imports == [10]
    bench.assert_one_each()


def test_the_lane_stops_when_asked(bench: Bench) -> None:
    bench.predict()
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(len(bench.fake.imports))
        return len(bench.fake.imports) >= 1

    run_lane(bench.ledger, bench.client, bench.fake.url, bench.settings, stopping=stopping)
    assert bench.fake.imports == [4]
    assert bench.states() == {"stored": 4, "pending": 6}


# -- replacing


def test_older_versions_of_ours_go_once_the_new_one_stands(bench: Bench) -> None:
    bench.predict(version="model-00000000")
    bench.push()
    human = json.dumps([{"task": task, "result": [], "model_version": "by hand"} for task in bench.tasks]).encode()
    bench.client.import_predictions(bench.project, human)
    bench.predict()
    bench.push()
    assert remove_versions(bench.ledger, bench.client, bench.connection, VERSION) == 10
    assert bench.client.model_versions(bench.project) == {"by hand": 10, VERSION: 10}


def test_what_another_model_said_stays(bench: Bench) -> None:
    bench.predict(version="model-00000000")
    ours = bench.connection
    bench.connection = bench.ledger.remember_project(Connection(bench.fake.url, bench.project, CHOICES, model="other"))
    bench.predict(version="other-00000000")
    bench.connection = ours
    bench.predict()
    bench.push(push_chunk=100)
    assert bench.fake.imports == [10, 10, 10]  # one lane for all models
    assert remove_versions(bench.ledger, bench.client, ours, VERSION) == 10
    assert bench.client.model_versions(bench.project) == {"other-00000000": 10, VERSION: 10}


def test_a_task_without_the_new_version_keeps_the_old_one(bench: Bench) -> None:
    bench.predict(version="model-00000000")
    bench.push()
    bad = bench.tasks[3]
    bench.predict(**{f"t{bad}": "Nope"})
    bench.push()
    assert remove_versions(bench.ledger, bench.client, bench.connection, VERSION) == 9
    assert bench.fake.versions(bench.project)[bad] == ["model-00000000"]
    assert remove_versions(bench.ledger, bench.client, bench.connection, VERSION, tasks=bench.tasks[:2]) == 0


@pytest.mark.labelstudio
def test_the_real_label_studio_is_pushed_to_exactly_once(project: Callable[..., Any], tmp_path: Path) -> None:
    real = project(CHOICES)
    tasks = sorted(real.import_texts([f"text {number}" for number in range(60)]))
    settings = load_settings(data_dir=tmp_path / "data", push_chunk=25, settle_s=3)
    ledger = Ledger.open(settings)
    with LabelStudio(real.server.url, real.server.token) as client:
        known = ledger.remember_project(Connection(real.server.url, real.id, CHOICES, model="model"))
        for page in client.tasks(real.id):
            ledger.plan(VERSION, known, page)
        rows = ledger.planned()
        ledger.record((row, answer("Nope" if row.task.id == tasks[7] else "Positive")) for row in rows)
        real.api.delete(f"/api/tasks/{tasks[30]}")
        report = run_lane(ledger, client, real.server.url, settings)
        assert (report.stored, report.refused, report.gone) == (58, 1, 1)
        counts = Counter(entry["task"] for entry in real.predictions())
        assert counts == {task: 1 for task in tasks if task not in (tasks[7], tasks[30])}
        (refused,) = ledger.quarantined()
        assert "valid labels: ['Positive', 'Negative']" in refused.error
        # a chunk that was stored although its sender died
        ledger.plan("next-12345678", known, [Task(task, {"text": "a"}, real.id) for task in tasks[:20]])
        ledger.record((row, answer(version="next-12345678")) for row in ledger.planned())
        chunk = ledger.begin_chunk(ledger.waiting(real.server.url)[0], 12, 10**8)
        assert chunk is not None
        client.import_predictions(real.id, lane_module._body(chunk))
        run_lane(ledger, client, real.server.url, settings)
        assert client.model_versions(real.id) == {VERSION: 58, "next-12345678": 20}
        assert remove_versions(ledger, client, known, "next-12345678", tasks=tasks[:20]) == 19
        assert client.model_versions(real.id) == {VERSION: 39, "next-12345678": 20}
    ledger.close()
