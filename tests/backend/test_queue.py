"""Jobs submitted, looked at, cancelled, resumed: against a real Redis and a real registry."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prelabel import embedded_redis
from prelabel.errors import ModelError, NotFoundError, RequestError
from prelabel.predictions import Prediction
from prelabel.queue import JobQueue, PredictOptions
from prelabel.redis_queue import (
    PLAN_QUEUE,
    PUSH_QUEUE,
    bulk_queue,
    connect,
    job_of,
    plan_call,
    predict_queue,
    slice_call,
    slices_of,
    sweep_call,
)
from prelabel.runs import Connection, Ledger
from prelabel.settings import Settings, load_settings
from prelabel.tasks import Task

VERSION = "stub-0000000a"


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_redis.ensure(load_settings(data_dir=tmp_path_factory.mktemp("redis"))) as handle:
        yield handle.url


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return load_settings(data_dir=tmp_path, redis_url=redis_url, slice_tasks=100)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    ledger = Ledger.open(settings)
    yield ledger
    ledger.close()


@pytest.fixture
def queue(settings: Settings, ledger: Ledger) -> Iterator[JobQueue]:
    queue = JobQueue.open(settings, ledger)
    queue.redis.client.flushall()
    yield queue
    queue.close()


@pytest.fixture
def connection(ledger: Ledger) -> Connection:
    return ledger.remember_project(Connection("http://label-studio", 7, "<View/>", "token"))


def tasks(first: int, last: int) -> list[Task]:
    return [Task(id=number, data={"text": f"text {number}"}, project=7) for number in range(first, last + 1)]


def predict_all(ledger: Ledger, job: str) -> None:
    rows = ledger.planned(job=job, limit=10_000)
    ledger.record([(row, Prediction(({},), 0.5, VERSION)) for row in rows])


def test_submitted_tasks_are_in_the_ledger_and_queued_in_slices(
    queue: JobQueue, ledger: Ledger, connection: Connection
) -> None:
    job = queue.submit_tasks(connection, tasks(1, 250), version=VERSION, reason="import")
    assert queue.slices(job, VERSION) == [(1, 100), (101, 200), (201, 250)]
    assert queue.redis.queue(predict_queue(VERSION)).count == 3
    view = queue.job(job)
    assert (view.state, view.total, view.done, view.listed, view.reason) == ("queued", 250, 0, True, "import")
    assert len(ledger.planned(job=job)) == 250


def test_what_is_queued_is_json_with_ids_only(queue: JobQueue, connection: Connection) -> None:
    job = queue.submit_tasks(connection, tasks(1, 10), version=VERSION, reason="import")
    call = queue.redis.queue(predict_queue(VERSION)).jobs[0]
    assert call.func_name == "prelabel.jobs.predict_job"
    assert list(call.args) == [job, 1, 10]
    stored = queue.redis.client.hgetall(f"rq:job:{call.id}")
    assert b"text 1" not in b"".join(stored.values())


def test_tasks_that_are_known_make_a_job_with_nothing_to_do(queue: JobQueue, connection: Connection) -> None:
    first = queue.submit_tasks(connection, tasks(1, 10), version=VERSION, reason="import")
    second = queue.submit_tasks(connection, tasks(1, 10), version=VERSION, reason="import")
    assert queue.job(first).total == 10
    assert (queue.job(second).total, queue.job(second).state) == (0, "done")


def test_tasks_that_label_studio_lacks_are_predicted_again(
    queue: JobQueue, ledger: Ledger, connection: Connection
) -> None:
    first = queue.submit_tasks(connection, tasks(1, 1), version=VERSION, reason="import")
    row = ledger.planned(job=first)[0]
    ledger.record([(row, ModelError("failed"))])
    again = queue.submit_tasks(connection, tasks(1, 1), version=VERSION, reason="import")
    assert queue.job(again).total == 0
    asked = queue.submit_tasks(connection, tasks(1, 1), version=VERSION, reason="retrieve", missing=True)
    assert queue.job(asked).total == 1


def test_a_project_is_listed_by_a_worker(queue: JobQueue, connection: Connection) -> None:
    job = queue.submit_project(connection, PredictOptions(replace=True, view=3), version=VERSION, reason="cli")
    assert [job_of(one) for one in queue.redis.queue(PLAN_QUEUE).job_ids] == [job]
    view = queue.job(job)
    assert not view.listed
    assert view.options["replace"] is True
    assert view.options["view"] == 3


def test_without_redis_everything_is_kept_for_the_sweep_and_quickly(
    settings: Settings, ledger: Ledger, connection: Connection
) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{settings.data_dir}/nowhere.sock"})
    queue = JobQueue.open(away, ledger)
    job = queue.submit_tasks(connection, tasks(1, 250), version=VERSION, reason="import")
    queue.submit_project(connection, PredictOptions(), version=VERSION)
    queue.wake_push("http://label-studio")
    assert queue.job(job).total == 250
    assert queue.slices(job, VERSION) == []
    assert queue.job(job).state == "queued"
    with pytest.raises(Exception, match="Redis cannot be reached"):
        queue.failed()
    queue.close()


def test_a_redis_that_hangs_holds_nobody_up_for_long(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    ledger = Ledger.open(settings)
    queue = JobQueue.open(settings, ledger)
    connection = ledger.remember_project(Connection("http://label-studio", 7))
    pid = queue._handle.pid if queue._handle else None
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        job = queue.submit_tasks(connection, tasks(1, 5), version=VERSION, reason="import")
        assert queue.redis.enqueue([slice_call(job, 1, 5, predict_queue(VERSION))]) is False
    finally:
        os.kill(pid, signal.SIGCONT)
    assert queue.job(job).total == 5
    queue.close()
    ledger.close()


def test_slices_that_are_queued_already_are_not_queued_again(
    queue: JobQueue, ledger: Ledger, connection: Connection
) -> None:
    job = queue.submit_tasks(connection, tasks(1, 300), version=VERSION, reason="import")
    waiting = queue.redis.queue(predict_queue(VERSION))
    lost = next(one for one in waiting.job_ids if slices_of(job, [one]) == [(101, 200)])
    waiting.remove(lost)
    assert queue.enqueue_planned(job, predict_queue(VERSION), covered=queue.slices(job, VERSION)) == 100
    assert queue.slices(job, VERSION) == [(1, 100), (101, 200), (201, 300)]
    assert queue.enqueue_planned(job, predict_queue(VERSION), covered=queue.slices(job, VERSION)) == 0


def test_the_push_lane_is_woken_once(queue: JobQueue) -> None:
    for _ in range(3):
        queue.wake_push("http://label-studio")
    queue.wake_push("http://another")
    waiting = queue.redis.queue(PUSH_QUEUE).jobs
    assert [list(call.args) for call in waiting] == [["http://label-studio"], ["http://another"]]


def test_a_push_lane_that_runs_is_woken_all_the_same(queue: JobQueue) -> None:
    queue.wake_push("http://label-studio")
    waiting = queue.redis.queue(PUSH_QUEUE)
    running = waiting.jobs[0]
    waiting.remove(running)
    running.set_status("started")
    queue.wake_push("http://label-studio")
    assert len(waiting.job_ids) == 1
    assert waiting.job_ids[0] != running.id


def test_a_cancelled_job_leaves_the_queue_and_its_tasks(
    queue: JobQueue, ledger: Ledger, connection: Connection
) -> None:
    job = queue.submit_tasks(connection, tasks(1, 250), version=VERSION, reason="import")
    other = queue.submit_tasks(connection, tasks(301, 310), version=VERSION, reason="import")
    assert queue.cancel(job) == 250
    assert queue.slices(job, VERSION) == []
    assert queue.slices(other, VERSION) == [(301, 310)]
    assert queue.job(job).state == "cancelled"
    assert ledger.planned(job=job) == []


def test_a_resumed_job_goes_on_where_it_stopped(queue: JobQueue, ledger: Ledger, connection: Connection) -> None:
    job = queue.submit_tasks(connection, tasks(1, 250), version=VERSION, reason="import")
    rows = ledger.planned(job=job, limit=120)
    ledger.record([(row, Prediction(({},), 0.5, VERSION)) for row in rows])
    queue.cancel(job)
    assert queue.resume(job) == 250
    assert queue.job(job).state == "queued"
    assert queue.slices(job, VERSION) == [(121, 220), (221, 250)]
    assert queue.job(job).done == 120


def test_a_resumed_project_job_that_was_not_listed_is_listed(queue: JobQueue, connection: Connection) -> None:
    job = queue.submit_project(connection, PredictOptions(), version=VERSION)
    queue.cancel(job)
    assert queue.redis.queue(PLAN_QUEUE).job_ids == []
    queue.resume(job)
    assert [job_of(one) for one in queue.redis.queue(PLAN_QUEUE).job_ids] == [job]


def test_retrying_a_job_takes_up_what_failed(queue: JobQueue, ledger: Ledger, connection: Connection) -> None:
    job = queue.submit_tasks(connection, tasks(1, 5), version=VERSION, reason="import")
    rows = ledger.planned(job=job)
    ledger.record(
        [(row, ModelError("failed") if row.task.id == 3 else Prediction(({},), 0.5, VERSION)) for row in rows]
    )
    ledger.set_job_state(job, "done")
    queue.redis.client.flushall()
    assert queue.job(job).failed == 1
    assert queue.retry(job) == 1
    assert queue.slices(job, VERSION) == [(3, 3)]
    assert queue.job(job).state == "queued"


def test_a_failed_call_can_be_looked_at_and_retried(queue: JobQueue, ledger: Ledger, connection: Connection) -> None:
    job = queue.submit_tasks(connection, tasks(1, 5), version=VERSION, reason="import")
    waiting = queue.redis.queue(predict_queue(VERSION))
    call = waiting.jobs[0]
    waiting.remove(call)
    call.set_status("failed")
    waiting.failed_job_registry.add(call, ttl=100)
    found = queue.failed()
    assert [(one.id, one.job, one.function, one.args) for one in found] == [(call.id, job, "predict_job", (job, 1, 5))]
    assert queue.retry(call.id) == 1
    assert waiting.job_ids == [call.id]
    assert queue.failed() == []


def test_what_does_not_exist_is_said(queue: JobQueue) -> None:
    for ask in (queue.job, queue.cancel, queue.resume, queue.retry):
        with pytest.raises(NotFoundError, match="nothing-like-it"):
            ask("nothing-like-it")


def test_progress_comes_from_the_ledger_and_survives_redis(
    queue: JobQueue, ledger: Ledger, connection: Connection
) -> None:
    job = queue.submit_tasks(connection, tasks(1, 20), version=VERSION, reason="import")
    ledger.set_job_state(job, "running")
    time.sleep(0.05)
    predict_all(ledger, job)
    queue.redis.client.flushall()
    view = queue.jobs()[0]
    assert (view.id, view.total, view.done, view.stored) == (job, 20, 20, 0)
    assert view.rate is not None
    assert view.rate > 0
    assert view.left_s == 0
    assert view.as_json()["done"] == 20


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ([], "must be a JSON object"),
        ({"only_mising": True}, "unknown option 'only_mising'"),
        ({"replace": "yes"}, "replace must be true or false"),
        ({"replace": True, "only_missing": True}, "exclude each other"),
        ({"tasks": ["1"]}, "list of task ids"),
        ({"tasks": [True]}, "list of task ids"),
        ({"view": "3"}, "id of a view"),
    ],
)
def test_wrong_options_are_refused(raw: object, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        PredictOptions.from_json(raw)


def test_options_are_read() -> None:
    assert PredictOptions.from_json({}) == PredictOptions()
    assert PredictOptions.from_json({"only_missing": False, "replace": True, "tasks": [2, 1], "view": 4}) == (
        PredictOptions(only_missing=False, replace=True, tasks=(2, 1), view=4)
    )
    assert PredictOptions.from_json({"only_missing": True}) == PredictOptions(only_missing=True)


def test_a_call_says_whose_it_is() -> None:
    call = slice_call("abc123", 5, 9, bulk_queue(VERSION))
    assert job_of(call.id) == "abc123"
    assert slices_of("abc123", [call.id, "plan-abc123", slice_call("other", 1, 2, "q").id]) == [(5, 9)]
    assert job_of(plan_call("abc123").id) == "abc123"
    assert job_of(sweep_call(VERSION).id) is None


def test_a_request_waits_for_redis_at_most_half_a_second(redis_url: str) -> None:
    with connect(redis_url) as client:
        options = client.connection_pool.connection_kwargs
        assert options["socket_timeout"] == 0.5
