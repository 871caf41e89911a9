"""The job functions, called as RQ calls them: real registry, real Redis, a fake Label Studio, a stub for the model."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prelabel import embedded_redis, jobs, sweep, worker
from prelabel import queue as queue_module
from prelabel.errors import (
    DataUnavailableError,
    LabelStudioAuthError,
    ModelDiedError,
    ModelLoadError,
    ModelNotReadyError,
)
from prelabel.labelstudio import LabelStudio
from prelabel.predictions import Prediction
from prelabel.predictor import Outcome
from prelabel.queue import AT_ONCE, JobQueue, PredictOptions
from prelabel.redis_queue import PLAN_QUEUE, PUSH_QUEUE, bulk_queue, predict_queue, queue_names
from prelabel.runs import Connection, Ledger
from prelabel.runs.models import Models
from prelabel.settings import load_settings
from prelabel.tasks import Task
from prelabel.testing.fake_label_studio import FakeLabelStudio
from prelabel.testing.stub import StubPredictor

VERSION = "stub-0000000a"
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)


@dataclass
class Setup:
    """All parts of one worker, and a project with tasks."""

    studio: FakeLabelStudio
    context: jobs.JobContext
    predictor: StubPredictor
    connection: Connection

    @property
    def queue(self) -> JobQueue:
        return self.context.queue

    @property
    def ledger(self) -> Ledger:
        return self.context.ledger

    def import_tasks(self, *texts: str) -> list[int]:
        return self.studio.add_tasks(self.connection.project, [{"text": text} for text in texts])

    def given(self, *texts: str) -> list[Task]:
        """Imported tasks as a webhook brings them."""
        return [
            Task(id=number, data={"text": text}, project=self.connection.project)
            for number, text in zip(self.import_tasks(*texts), texts, strict=True)
        ]

    def stored(self) -> dict[int, list[str]]:
        return self.studio.versions(self.connection.project)

    def waiting(self, name: str) -> list[tuple[str, tuple[Any, ...]]]:
        return [(call.func_name, tuple(call.args)) for call in self.queue.redis.queue(name).jobs]

    def work(self) -> None:
        """Call what is queued, one after the other, until nothing is."""
        names = queue_names(self.predictor.model_version)
        while calls := [call for name in names for call in self.queue.redis.queue(name).jobs]:
            call = calls[0]
            self.queue.redis.queue(call.origin).remove(call)
            call.delete()
            getattr(jobs, call.func_name.rpartition(".")[2])(*call.args)


@pytest.fixture(scope="module")
def studio() -> Iterator[FakeLabelStudio]:
    with FakeLabelStudio() as studio:
        yield studio


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_redis.ensure(load_settings(data_dir=tmp_path_factory.mktemp("redis"))) as handle:
        yield handle.url


@pytest.fixture
def setup(tmp_path: Path, redis_url: str, studio: FakeLabelStudio) -> Iterator[Setup]:
    settings = load_settings(
        data_dir=tmp_path,
        redis_url=redis_url,
        label_studio_api_key=studio.token,
        slice_tasks=20,
        page_tasks=30,
        push_wait_s=0.0,
        settle_s=0.2,
    )
    ledger = Ledger.open(settings)
    queue = JobQueue.open(settings, ledger)
    queue.redis.client.flushall()
    predictor = StubPredictor(VERSION)
    context = jobs.JobContext(settings, ledger, queue, lambda: predictor, LabelStudio)
    project = studio.add_project(CONFIG)
    connection = ledger.remember_project(Connection(studio.url, project, CONFIG, model="stub"))
    with jobs.use(context):
        yield Setup(studio, context, predictor, connection)
    context.close()
    queue.close()
    ledger.close()


def test_a_project_is_listed_predicted_and_stored(setup: Setup) -> None:
    ids = setup.import_tasks(*[f"text {number}" for number in range(70)])
    job = setup.queue.submit_project(setup.connection, PredictOptions(), version=VERSION)
    setup.work()
    view = setup.queue.job(job)
    assert (view.state, view.total, view.done, view.stored, view.failed) == ("done", 70, 70, 70, 0)
    assert setup.stored() == {task: [VERSION] for task in ids}
    assert sorted(setup.predictor.seen) == ids


def test_slices_are_queued_while_listing_goes_on(setup: Setup) -> None:
    setup.import_tasks(*["text"] * 70)
    seen: list[int] = []
    label_studio = setup.context.label_studio(setup.connection)
    tasks = label_studio.tasks

    def watched(*args: Any, **kwargs: Any) -> Iterator[list[Task]]:
        for page in tasks(*args, **kwargs):
            seen.append(len(setup.waiting(bulk_queue(VERSION))))
            yield page

    label_studio.tasks = watched  # type: ignore[method-assign]  # an observer, not a replacement
    jobs.plan_job(setup.queue.submit_project(setup.connection, PredictOptions(), version=VERSION))
    assert (len(seen), seen) == (3, sorted(seen))
    assert 0 < seen[-1] < 7  # before the last page is listed, slices of the first ones wait; in the end seven do


def test_only_what_is_missing_is_predicted(setup: Setup) -> None:
    first = setup.import_tasks("one", "two")
    setup.queue.submit_project(setup.connection, PredictOptions(), version=VERSION)
    setup.work()
    second = setup.import_tasks("three")
    again = setup.queue.submit_project(setup.connection, PredictOptions(only_missing=True), version=VERSION)
    setup.work()
    assert setup.queue.job(again).total == 1
    assert setup.predictor.seen == first + second


def test_what_another_registry_stored_is_not_predicted_again(setup: Setup) -> None:
    held, new = setup.import_tasks("one", "two")
    theirs = {"task": held, "result": [], "score": 0.1, "model_version": VERSION}
    label_studio = setup.context.label_studio(setup.connection)
    label_studio.import_predictions(setup.connection.project, b"[" + _json(theirs) + b"]")
    setup.queue.submit_project(setup.connection, PredictOptions(), version=VERSION)
    setup.work()
    assert setup.predictor.seen == [new]
    assert setup.stored() == {held: [VERSION], new: [VERSION]}


def test_what_the_ledger_knows_as_stored_is_not_predicted_again(setup: Setup) -> None:
    first = setup.import_tasks("one", "two")
    setup.queue.submit_project(setup.connection, PredictOptions(), version=VERSION)
    setup.work()
    second = setup.import_tasks("three")
    setup.queue.submit_project(setup.connection, PredictOptions(), version=VERSION)
    setup.work()
    assert setup.predictor.seen == first + second
    assert setup.stored() == {task: [VERSION] for task in first + second}


def test_named_tasks_only(setup: Setup) -> None:
    ids = setup.import_tasks("one", "two", "three", "four")
    setup.queue.submit_project(setup.connection, PredictOptions(tasks=(ids[1], ids[3])), version=VERSION)
    setup.work()
    assert setup.predictor.seen == [ids[1], ids[3]]


def test_a_prediction_that_was_deleted_in_label_studio_is_made_again(setup: Setup) -> None:
    ids = setup.import_tasks("one", "two")
    setup.queue.submit_project(setup.connection, PredictOptions(), version=VERSION)
    setup.work()
    setup.context.label_studio(setup.connection).delete_version(setup.connection.project, VERSION)
    setup.queue.submit_project(setup.connection, PredictOptions(only_missing=True), version=VERSION)
    setup.work()
    assert setup.stored() == {task: [VERSION] for task in ids}


def test_replacing_removes_older_versions_of_ours_afterwards_and_nobody_elses(setup: Setup) -> None:
    ids = setup.import_tasks("one", "two", "three")
    old = StubPredictor("stub-00000001")
    new = setup.context._predictor
    setup.context._predictor = old
    setup.queue.submit_project(setup.connection, PredictOptions(), version=old.model_version)
    setup.predictor, keep = old, setup.predictor
    setup.work()
    setup.predictor, setup.context._predictor = keep, new
    theirs = {"task": ids[0], "result": [], "score": 0.1, "model_version": "somebody's"}
    label_studio = setup.context.label_studio(setup.connection)
    label_studio.import_predictions(setup.connection.project, b"[" + _json(theirs) + b"]")
    assert setup.stored()[ids[0]] == ["stub-00000001", "somebody's"]
    job = setup.queue.submit_project(setup.connection, PredictOptions(replace=True), version=VERSION)
    setup.work()
    assert setup.stored() == {ids[0]: ["somebody's", VERSION], ids[1]: [VERSION], ids[2]: [VERSION]}
    assert setup.queue.job(job).state == "done"


def test_a_task_that_the_new_version_failed_on_keeps_its_old_prediction(setup: Setup) -> None:
    good, bad = setup.import_tasks("one", "two")
    old = StubPredictor("stub-00000001")
    setup.context._predictor = old
    setup.queue.submit_project(setup.connection, PredictOptions(), version=old.model_version)
    setup.predictor, keep = old, setup.predictor
    setup.work()
    setup.predictor, setup.context._predictor = keep, keep
    setup.studio.tasks[bad]["data"]["text"] = "fail"
    setup.queue.submit_project(setup.connection, PredictOptions(replace=True), version=VERSION)
    setup.work()
    assert setup.stored() == {good: [VERSION], bad: ["stub-00000001"]}


def test_a_task_that_fails_costs_the_others_nothing(setup: Setup) -> None:
    good, bad, other = setup.given("one", "fail", "three")
    job = setup.queue.submit_tasks(setup.connection, [good, bad, other], version=VERSION, reason="import")
    setup.work()
    view = setup.queue.job(job)
    assert (view.state, view.stored, view.failed) == ("done", 2, 1)
    assert setup.stored() == {good.id: [VERSION], bad.id: [], other.id: [VERSION]}
    assert "told to fail" in setup.ledger.quarantined(job=job)[0].error


def test_what_may_pass_is_tried_again_and_given_up_at_last(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    good, later = setup.given("one", "later")
    job = setup.queue.submit_tasks(setup.connection, [good, later], version=VERSION, reason="import")
    (_, arguments) = setup.waiting(predict_queue(VERSION))[0]
    monkeypatch.setattr(jobs, "_last_attempt", lambda: False)
    with pytest.raises(DataUnavailableError):
        jobs.predict_job(*arguments)
    assert setup.ledger.states(VERSION, setup.connection) == {good.id: "pending", later.id: "planned"}
    assert setup.queue.job(job).state == "running"
    assert "unavailable" in setup.queue.job(job).error
    monkeypatch.setattr(jobs, "_last_attempt", lambda: True)
    jobs.predict_job(*arguments)
    assert setup.ledger.states(VERSION, setup.connection)[later.id] == "quarantined"


def test_many_tasks_wait_in_the_inbox_until_a_worker_plans_them(setup: Setup) -> None:
    tasks = setup.given(*["text"] * (AT_ONCE + 1))
    job = setup.queue.submit_tasks(setup.connection, tasks, version=VERSION, reason="import")
    assert setup.ledger.states(VERSION, setup.connection) == {}
    assert not setup.queue.job(job).listed
    setup.queue.redis.client.flushall()
    sweep.tend(setup.context)
    assert setup.waiting(predict_queue(VERSION)) == [("prelabel.jobs.plan_job", (job,))]
    setup.work()
    assert (setup.queue.job(job).state, setup.queue.job(job).stored) == ("done", AT_ONCE + 1)
    assert all(versions == [VERSION] for versions in setup.stored().values())
    assert setup.ledger.received(job) == []


def test_what_label_studio_asked_for_is_predicted_again_from_the_inbox_too(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "AT_ONCE", 0)
    (task,) = setup.given("one")
    setup.ledger.plan(VERSION, setup.connection, [task])
    (row,) = setup.ledger.planned()
    setup.ledger.record([(row, DataUnavailableError("away"))])
    imported = setup.queue.submit_tasks(setup.connection, [task], version=VERSION, reason="import")
    setup.work()
    assert (setup.queue.job(imported).state, setup.stored()[task.id or 0]) == ("done", [])
    setup.queue.submit_tasks(setup.connection, [task], version=VERSION, reason="retrieve", missing=True)
    setup.work()
    assert setup.stored()[task.id or 0] == [VERSION]


def test_a_cancelled_job_s_inbox_waits_until_the_job_is_resumed(setup: Setup) -> None:
    job = setup.queue.submit_tasks(
        setup.connection, setup.given(*["text"] * (AT_ONCE + 1)), version=VERSION, reason="import"
    )
    setup.queue.cancel(job)
    setup.work()
    assert setup.ledger.states(VERSION, setup.connection) == {}
    setup.queue.resume(job)
    setup.work()
    assert setup.queue.job(job).stored == AT_ONCE + 1


def test_tasks_in_hand_when_the_model_s_process_died_come_back_in_smaller_parts(setup: Setup) -> None:
    tasks = setup.given(*["text"] * 20)
    setup.queue.submit_tasks(setup.connection, tasks, version=VERSION, reason="import")
    (_, arguments) = setup.waiting(predict_queue(VERSION))[0]
    sizes: list[int] = []
    predict = setup.predictor.predict

    def die(asked: Sequence[Task], *_: object, **__: object) -> list[Outcome]:
        sizes.append(len(asked))
        if tasks[0] in asked:
            raise ModelDiedError("the server broke off.")
        return predict(asked, *_, **__)  # type: ignore[arg-type]

    setup.predictor.predict = die  # type: ignore[assignment, method-assign]
    setup.work()
    assert sizes[:4] == [20, 8, 1, 1]
    states = setup.ledger.states(VERSION, setup.connection)
    assert states.pop(tasks[0].id or 0) == "quarantined"
    assert set(states.values()) == {"stored"}
    assert setup.ledger.quarantined()[0].error.startswith("the model ended its process on this task.")
    assert arguments[0] == setup.queue.jobs()[0].id


def test_a_model_that_was_told_to_stop_is_not_suspected(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "STOP_LOOK_S", 0.01)
    setup.queue.submit_tasks(setup.connection, setup.given("one"), version=VERSION, reason="import")
    seen: list[int] = []

    def stop(*_: object, **__: object) -> list[Outcome]:
        seen.append(setup.ledger.planned()[0].suspicion)
        setup.context.stopping.set()
        while setup.ledger.planned()[0].suspicion:
            time.sleep(0.01)
        raise ModelDiedError("killed.")

    setup.predictor.predict = stop  # type: ignore[assignment, method-assign]
    (_, arguments) = setup.waiting(predict_queue(VERSION))[0]
    jobs.predict_job(*arguments)
    assert seen == [len(jobs.PARTS) - 1]
    assert setup.ledger.planned()[0].suspicion == 0


def test_a_model_that_is_away_fails_nothing(setup: Setup) -> None:
    job = setup.queue.submit_tasks(setup.connection, setup.given("one"), version=VERSION, reason="import")
    setup.predictor.broken = ModelNotReadyError("the server does not answer.")
    with pytest.raises(ModelNotReadyError):
        setup.work()
    assert setup.queue.job(job).state == "running"
    assert setup.queue.job(job).error == "the server does not answer."
    setup.predictor.broken = None
    sweep.tend(setup.context)
    setup.work()
    assert (setup.queue.job(job).state, setup.queue.job(job).error) == ("done", "")


def test_a_model_that_cannot_load_fails_the_job_until_somebody_resumes_it(setup: Setup) -> None:
    job = setup.queue.submit_tasks(setup.connection, setup.given("one"), version=VERSION, reason="import")
    setup.predictor.broken = ModelLoadError("no weights.")
    with pytest.raises(ModelLoadError):
        setup.work()
    assert (setup.queue.job(job).state, setup.queue.job(job).error) == ("failed", "no weights.")
    sweep.tend(setup.context, thorough=True)
    sweep.discover(setup.context, VERSION)
    assert setup.waiting(predict_queue(VERSION)) == []
    setup.predictor.broken = None
    setup.queue.resume(job)
    setup.work()
    assert setup.queue.job(job).state == "done"


def test_a_worker_with_another_version_leaves_the_job_alone(setup: Setup) -> None:
    job = setup.queue.submit_tasks(setup.connection, setup.given("one"), version="other-1", reason="import")
    (_, arguments) = setup.waiting(predict_queue("other-1"))[0]
    with pytest.raises(ModelNotReadyError, match="this worker's model is stub-0000000a"):
        jobs.predict_job(*arguments)
    assert setup.queue.job(job).done == 0


def test_what_another_version_has_said_meanwhile_is_not_taken_for_the_job_s(setup: Setup) -> None:
    class Replaced(StubPredictor):
        """One that learns while it is asked."""

        def predict(self, *arguments: Any, **named: Any) -> list[Outcome]:
            self._version = "stub-0000000b"
            return super().predict(*arguments, **named)

    setup.context._predictor = Replaced(VERSION)
    (task,) = setup.given("one")
    job = setup.queue.submit_tasks(setup.connection, [task], version=VERSION, reason="import")
    (_, arguments) = setup.waiting(predict_queue(VERSION))[0]
    with pytest.raises(ModelNotReadyError, match="model is stub-0000000b, the job's stub-0000000a"):
        jobs.predict_job(*arguments)
    assert (setup.queue.job(job).done, setup.stored()) == (0, {task.id: []})


# --- a model that says nothing


class Silent(StubPredictor):
    """Says nothing of tasks whose text is ``nothing``."""

    def _outcome(self, task: Task, config: Any) -> Outcome:
        if task.data["text"] == "nothing":
            return Outcome(Prediction((), 0.0, self._version, silent=True))
        return super()._outcome(task, config)


def test_where_the_model_says_nothing_nothing_is_stored_and_the_sweep_does_not_ask_again(setup: Setup) -> None:
    asked = setup.context._predictor = Silent(VERSION)
    said, nothing = setup.import_tasks("one", "nothing")
    for _ in range(2):
        jobs.sweep_job(VERSION)
        setup.work()
    (job,) = setup.queue.jobs()
    assert (job.state, job.total, job.done, job.failed) == ("done", 2, 2, 0)
    assert setup.stored() == {said: [VERSION], nothing: []}
    assert sorted(asked.seen) == [said, nothing]


def test_a_model_that_said_nothing_is_asked_again_when_it_has_learnt_or_somebody_asks(setup: Setup) -> None:
    asked = setup.context._predictor = Silent(VERSION)
    (task,) = setup.given("nothing")
    setup.queue.submit_tasks(setup.connection, [task], version=VERSION, reason="retrieve", missing=True)
    setup.work()
    setup.queue.submit_tasks(setup.connection, [task], version=VERSION, reason="retrieve", missing=True)
    setup.work()
    setup.queue.submit_project(setup.connection, PredictOptions(), version=VERSION)
    setup.work()
    assert asked.seen == [task.id] * 3
    assert setup.ledger.forget_silent(VERSION, "999999") == 0
    assert setup.ledger.forget_silent(VERSION, str(setup.connection.project)) == 1
    jobs.sweep_job(VERSION)
    setup.work()
    assert asked.seen == [task.id] * 4


def test_a_learnt_version_that_says_nothing_is_not_asked_by_every_sweep(setup: Setup) -> None:
    asked = setup.context._predictor = Silent(VERSION)
    before, later = setup.import_tasks("nothing", "nothing")
    setup.ledger.enter(VERSION, "stub", shadow=False)
    models = Models(setup.ledger.database)
    learnt = {"trained_from": "stub-0", "tasks_until": {str(setup.connection.id): before}}
    models.change_run(models.run(VERSION).id, provenance=learnt)
    for _ in range(2):
        jobs.sweep_job(VERSION)
        setup.work()
    assert asked.seen == [later]


def test_a_missing_token_is_written_into_the_job(setup: Setup) -> None:
    setup.context.settings = setup.context.settings.model_copy(update={"label_studio_api_key": None})
    job = setup.queue.submit_project(setup.connection, PredictOptions(), version=VERSION)
    with pytest.raises(LabelStudioAuthError):
        setup.work()
    assert setup.queue.job(job).state == "failed"
    assert "LABEL_STUDIO_API_KEY" in setup.queue.job(job).error


def test_a_stopping_worker_keeps_what_is_done_and_gives_the_rest_back(setup: Setup) -> None:
    tasks = setup.given(*["text"] * 20)
    job = setup.queue.submit_tasks(setup.connection, tasks, version=VERSION, reason="import")
    (_, arguments) = setup.waiting(predict_queue(VERSION))[0]
    setup.queue.redis.client.flushall()
    setup.predictor.max_batch_size = 4
    asked = iter([False, False, True])
    setup.context.stopping.is_set = lambda: next(asked, True)  # type: ignore[method-assign]
    jobs.predict_job(*arguments)
    counts = setup.ledger.job(job).counts
    assert 0 < counts["pending"] < 20
    assert setup.waiting(predict_queue(VERSION)) == [("prelabel.jobs.predict_job", arguments)]


def test_a_long_slice_gives_way(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "TURN_S", 0.0)
    tasks = setup.given(*["text"] * 20)
    setup.queue.submit_tasks(setup.connection, tasks, version=VERSION, reason="import")
    (_, arguments) = setup.waiting(predict_queue(VERSION))[0]
    setup.queue.redis.client.flushall()
    jobs.predict_job(*arguments)
    assert setup.waiting(predict_queue(VERSION)) == [("prelabel.jobs.predict_job", arguments)]


def test_a_cancelled_job_does_nothing_more(setup: Setup) -> None:
    job = setup.queue.submit_tasks(setup.connection, setup.given("one"), version=VERSION, reason="import")
    (_, arguments) = setup.waiting(predict_queue(VERSION))[0]
    setup.queue.cancel(job)
    jobs.predict_job(*arguments)
    jobs.plan_job(job)
    assert setup.predictor.seen == []
    assert setup.queue.job(job).state == "cancelled"


def test_a_job_that_nobody_knows_is_no_failure(setup: Setup) -> None:
    jobs.plan_job("unknown")
    jobs.predict_job("unknown", 1, 2)


def test_planning_twice_queues_nothing_twice(setup: Setup) -> None:
    setup.import_tasks(*["text"] * 50)
    job = setup.queue.submit_project(setup.connection, PredictOptions(), version=VERSION)
    setup.queue.redis.client.flushall()
    setup.context.stopping.set()
    jobs.plan_job(job)
    assert len(setup.waiting(bulk_queue(VERSION))) == 2
    assert setup.waiting(PLAN_QUEUE) == [("prelabel.jobs.plan_job", (job,))]
    setup.context.stopping.clear()
    jobs.plan_job(job)
    assert setup.queue.slices(job, VERSION) == sorted(set(setup.queue.slices(job, VERSION)))
    setup.work()
    assert len(setup.predictor.seen) == 50


# -- what is forgotten


def test_redis_may_forget_everything_at_any_time(setup: Setup) -> None:
    setup.import_tasks(*["text"] * 50)
    job = setup.queue.submit_project(setup.connection, PredictOptions(), version=VERSION)
    flush = setup.queue.redis.client.flushall
    flush()
    sweep.tend(setup.context)
    assert setup.waiting(PLAN_QUEUE) == [("prelabel.jobs.plan_job", (job,))]
    jobs.plan_job(job)
    flush()
    sweep.tend(setup.context)
    assert len(setup.waiting(bulk_queue(VERSION))) == 3
    (_, arguments) = setup.waiting(bulk_queue(VERSION))[0]
    jobs.predict_job(*arguments)
    flush()
    sweep.tend(setup.context)
    assert setup.waiting(PUSH_QUEUE)
    assert len(setup.waiting(bulk_queue(VERSION))) == 2
    setup.work()
    assert setup.queue.job(job).stored == 50
    assert len(setup.predictor.seen) == 50


def test_looking_after_the_queue_changes_nothing_where_all_is_well(setup: Setup) -> None:
    setup.import_tasks(*["text"] * 50)
    setup.queue.submit_tasks(setup.connection, setup.given("more"), version=VERSION, reason="import")
    job = setup.queue.submit_project(setup.connection, PredictOptions(), version=VERSION)
    jobs.plan_job(job)
    names = queue_names(VERSION)
    before = {name: setup.queue.redis.queue(name).job_ids for name in names}
    sweep.tend(setup.context, thorough=True)
    assert {name: setup.queue.redis.queue(name).job_ids for name in names} == before


def test_a_sweep_finds_what_no_webhook_announced(setup: Setup) -> None:
    ids = setup.import_tasks("one", "two")
    jobs.sweep_job(VERSION)
    setup.work()
    assert setup.stored() == {task: [VERSION] for task in ids}
    assert setup.queue.jobs()[0].reason == "sweep"


def test_a_sweep_makes_no_job_where_nothing_is_missing(setup: Setup) -> None:
    setup.import_tasks("one", "fail")
    jobs.sweep_job(VERSION)
    setup.work()
    jobs.sweep_job(VERSION)
    setup.work()
    assert len(setup.queue.jobs()) == 1
    assert len(setup.predictor.seen) == 2


def test_a_sweep_leaves_alone_what_is_on_its_way(setup: Setup) -> None:
    setup.queue.submit_tasks(setup.connection, setup.given("one"), version=VERSION, reason="import")
    jobs.sweep_job(VERSION)
    assert len(setup.queue.jobs()) == 1


def test_a_sweep_takes_up_tasks_whose_job_ended_without_them(setup: Setup) -> None:
    job = setup.queue.submit_tasks(setup.connection, setup.given("one"), version=VERSION, reason="import")
    setup.queue.redis.client.flushall()
    setup.ledger.set_job_state(job, "done")
    jobs.sweep_job(VERSION)
    setup.work()
    assert list(setup.stored().values()) == [[VERSION]]


def test_without_auto_predict_a_sweep_finds_nothing_new(setup: Setup) -> None:
    setup.import_tasks("one")
    setup.context.settings = setup.context.settings.model_copy(update={"auto_predict": False})
    jobs.sweep_job(VERSION)
    assert setup.queue.jobs() == []


@pytest.mark.parametrize("clicks_only", [True, False])
def test_a_worker_leaves_tasks_to_clicks_where_the_model_answers_nothing_else(setup: Setup, clicks_only: bool) -> None:
    setup.import_tasks("one")
    setup.predictor.clicks_only = clicks_only
    worker.run_burst(setup.context)
    assert (setup.queue.jobs() == []) is clicks_only


def test_a_project_that_is_gone_does_not_keep_the_others_waiting(setup: Setup) -> None:
    setup.ledger.remember_project(Connection(setup.studio.url, 999_999, CONFIG, model="stub"))
    ids = setup.import_tasks("one")
    jobs.sweep_job(VERSION)
    setup.work()
    assert setup.stored() == {task: [VERSION] for task in ids}


def _json(entry: dict[str, Any]) -> bytes:
    import json

    return json.dumps(entry).encode()


def test_the_lease_of_looking_after_the_queue_is_one_workers(setup: Setup) -> None:
    me = str(os.getpid())
    assert setup.ledger.acquire_lease("tend", me, sweep.TEND_LEASE_S)
    assert not setup.ledger.acquire_lease("tend", "another", sweep.TEND_LEASE_S)
