"""Jobs over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from prelabel.queue import JobQueue
from prelabel.redis_queue import PLAN_QUEUE, predict_queue
from prelabel.runs import Connection, Ledger
from prelabel.server import create_app
from prelabel.settings import load_settings
from prelabel.tasks import Task
from prelabel.testing.stub import StubPredictor

VERSION = "stub-0000000c"
AUTH = ("bob", "secret")


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[tuple[FlaskClient, JobQueue, Connection]]:
    settings = load_settings(data_dir=tmp_path, basic_auth_user=AUTH[0], basic_auth_pass=SecretStr(AUTH[1]))
    ledger = Ledger.open(settings)
    queue = JobQueue.open(settings, ledger)
    connection = ledger.remember_project(Connection("http://label-studio", 7, "<View/>", model="stub"))
    app = create_app(settings, StubPredictor(VERSION), ledger=ledger, queue=queue)
    yield app.test_client(), queue, connection
    queue.close()
    ledger.close()


def submit(queue: JobQueue, connection: Connection) -> str:
    tasks = [Task(id=number, data={"text": "text"}, project=7) for number in range(1, 4)]
    return queue.submit_tasks(connection, tasks, version=VERSION, reason="import")


def test_a_project_is_predicted(parts: tuple[FlaskClient, JobQueue, Connection]) -> None:
    client, queue, _ = parts
    answer = client.post("/api/v1/projects/7/predict", json={"replace": True, "tasks": [1, 2]}, auth=AUTH)
    assert answer.status_code == 202
    job = answer.get_json()
    assert (job["project"], job["version"], job["state"], job["kind"]) == (7, VERSION, "queued", "project")
    assert job["options"]["tasks"] == [1, 2]
    assert queue.redis.queue(PLAN_QUEUE).count == 1
    assert client.post("/api/v1/projects/7/predict", auth=AUTH).status_code == 202


def test_a_project_that_is_not_connected_is_404(parts: tuple[FlaskClient, JobQueue, Connection]) -> None:
    answer = parts[0].post("/api/v1/projects/8/predict", json={}, auth=AUTH)
    assert answer.status_code == 404
    assert "prelabel connect --project 8" in answer.get_json()["hint"]


def test_wrong_options_are_400(parts: tuple[FlaskClient, JobQueue, Connection]) -> None:
    client = parts[0]
    assert client.post("/api/v1/projects/7/predict", json={"tasks": "all"}, auth=AUTH).status_code == 400
    assert client.post("/api/v1/projects/7/predict", data="{", auth=AUTH).status_code == 400
    assert client.get("/api/v1/jobs?limit=0", auth=AUTH).status_code == 400


def test_jobs_are_listed_and_shown(parts: tuple[FlaskClient, JobQueue, Connection]) -> None:
    client, queue, connection = parts
    job = submit(queue, connection)
    listed = client.get("/api/v1/jobs", auth=AUTH).get_json()["jobs"]
    assert [one["id"] for one in listed] == [job]
    shown = client.get(f"/api/v1/jobs/{job}", auth=AUTH).get_json()
    assert (shown["total"], shown["done"], shown["stored"], shown["failed"], shown["left_s"]) == (3, 0, 0, 0, None)
    assert client.get("/api/v1/jobs/unknown", auth=AUTH).status_code == 404


def test_a_job_is_cancelled_resumed_and_retried(parts: tuple[FlaskClient, JobQueue, Connection]) -> None:
    client, queue, connection = parts
    job = submit(queue, connection)
    cancelled = client.post(f"/api/v1/jobs/{job}/cancel", auth=AUTH).get_json()
    assert (cancelled["stopped"], cancelled["job"]["state"]) == (3, "cancelled")
    resumed = client.post(f"/api/v1/jobs/{job}/resume", auth=AUTH).get_json()
    assert (resumed["waiting"], resumed["job"]["state"]) == (3, "queued")
    assert client.post(f"/api/v1/jobs/{job}/retry", auth=AUTH).get_json() == {"retried": 0}
    for action in ("cancel", "resume", "retry"):
        assert client.post(f"/api/v1/jobs/unknown/{action}", auth=AUTH).status_code == 404


def test_failed_calls_are_shown_and_retried(parts: tuple[FlaskClient, JobQueue, Connection]) -> None:
    client, queue, connection = parts
    job = submit(queue, connection)
    waiting = queue.redis.queue(predict_queue(VERSION))
    call = waiting.jobs[0]
    waiting.remove(call)
    call.set_status("failed")
    waiting.failed_job_registry.add(call, ttl=100)
    calls = client.get("/api/v1/jobs/failed", auth=AUTH).get_json()["calls"]
    assert [(one["id"], one["job"], one["function"]) for one in calls] == [(call.id, job, "predict_job")]
    assert client.post(f"/api/v1/jobs/{call.id}/retry", auth=AUTH).get_json() == {"retried": 1}
    assert waiting.job_ids == [call.id]


def test_jobs_need_the_same_credentials_as_everything_else(parts: tuple[FlaskClient, JobQueue, Connection]) -> None:
    client = parts[0]
    assert client.get("/api/v1/jobs").status_code == 401
    assert client.post("/api/v1/projects/7/predict", json={}, auth=("bob", "wrong")).status_code == 401
