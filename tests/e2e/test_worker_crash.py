"""Workers killed at random, Redis killed and emptied, Label Studio failing: every task ends with one prediction."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from prelabel import embedded_redis
from prelabel.embedded_redis import EmbeddedRedis
from prelabel.queue import JobQueue, PredictOptions
from prelabel.runs import Connection, Ledger
from prelabel.settings import load_settings
from prelabel.testing.fake_label_studio import FAULTS, FakeLabelStudio

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
TASKS = 600
VERSION = "crash-test"


def start_worker(data_dir: Path, redis_url: str, token: str) -> subprocess.Popen[bytes]:
    environment = {
        "PRELABEL_DATA_DIR": str(data_dir),
        "PRELABEL_REDIS_URL": redis_url,
        "LABEL_STUDIO_API_KEY": token,
        "PRELABEL_MODEL": "prelabel.testing.stub:StubWrapper",
        "PRELABEL_MODEL_OPTIONS": '{"item_s": "0.02"}',
        "PRELABEL_MODEL_VERSION": VERSION,
        "PRELABEL_SLICE_TASKS": "50",
        "PRELABEL_PAGE_TASKS": "150",
        "PRELABEL_PUSH_WAIT_S": "0.2",
        "PRELABEL_SETTLE_S": "1",
        "PRELABEL_WORKER_TTL_S": "2",
        "PRELABEL_WORKERS": "2",
        "PRELABEL_DRAIN_S": "5",
    }
    with (data_dir / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "prelabel", "worker"],
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def kill_all(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_one(process: subprocess.Popen[bytes], rng: random.Random) -> None:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    if children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(rng.choice(children)), signal.SIGKILL)


def empty(handle: EmbeddedRedis) -> None:
    with contextlib.suppress(redis.RedisError), redis.Redis.from_url(handle.url) as client:
        client.flushall()


def kill_redis(handle: EmbeddedRedis) -> None:
    pid = handle.pid
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def studio() -> Iterator[FakeLabelStudio]:
    with FakeLabelStudio() as studio:
        yield studio


@pytest.mark.parametrize("seed", [1, 2])
def test_every_task_has_one_prediction_whatever_dies(studio: FakeLabelStudio, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    settings = load_settings(data_dir=tmp_path)
    project = studio.add_project(CONFIG, [{"text": f"text {number}"} for number in range(TASKS)])
    ledger = Ledger.open(settings)
    with embedded_redis.ensure(settings) as handle:
        queue = JobQueue.open(settings.model_copy(update={"redis_url": handle.url}), ledger)
        connection = ledger.remember_project(Connection(studio.url, project, CONFIG, model="stub"))
        worker = start_worker(tmp_path, handle.url, studio.token)
        job = queue.submit_project(connection, PredictOptions(), version=VERSION)
        done = []
        until = time.monotonic() + 150
        blows = 14
        while blows or not finished(studio, project):
            assert time.monotonic() < until, (done, queue.job(job), (tmp_path / "worker.log").read_text()[-6000:])
            time.sleep(rng.uniform(0.2, 0.8))
            if not blows:
                continue
            blows -= 1
            what = rng.choice(["worker", "process", "process", "process", "flush", "redis", "studio", "import"])
            done.append(what)
            if what == "worker":
                kill_all(worker)
                worker = start_worker(tmp_path, handle.url, studio.token)
            elif what == "process":
                kill_one(worker, rng)
            elif what == "flush":
                empty(handle)
            elif what == "redis":
                kill_redis(handle)
            elif what == "studio":
                studio.faults.append(rng.choice(FAULTS))
            else:
                studio.add_tasks(project, [{"text": "one more"}] * 20)
                queue.submit_project(connection, PredictOptions(), version=VERSION)
        settle(studio, project, queue)
        kill_all(worker)
        queue.close()
    ledger.close()
    versions = studio.versions(project)
    assert {task: found for task, found in versions.items() if found != [VERSION]} == {}, done


def finished(studio: FakeLabelStudio, project: int) -> bool:
    """Whether every task has a prediction."""
    return all(studio.versions(project).values())


def settle(studio: FakeLabelStudio, project: int, queue: JobQueue) -> None:
    """Wait until late imports have arrived and the worker has tidied up after them."""
    studio.wait_for_late()
    until = time.monotonic() + 120
    while time.monotonic() < until:
        single = all(len(found) == 1 for found in studio.versions(project).values())
        if single and all(job.state == "done" for job in queue.jobs()):
            return
        time.sleep(0.2)
