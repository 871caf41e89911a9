"""The worker as a process: its roles, how it stops, what happens when parts of it die."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from werkzeug.serving import make_server

from prelabel import embedded_redis, worker
from prelabel.errors import SettingsError
from prelabel.predictor import Predictor
from prelabel.queue import JobQueue, PredictOptions
from prelabel.redis_queue import predicting_queues
from prelabel.runs import Connection, Ledger
from prelabel.server import create_app
from prelabel.settings import Settings, load_settings
from prelabel.testing.fake_label_studio import FakeLabelStudio
from prelabel.testing.stub import StubPredictor

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
STUB = "prelabel.testing.stub:StubWrapper"


@dataclass
class Bench:
    """A project in a fake Label Studio, its registry and queue, and worker processes."""

    studio: FakeLabelStudio
    settings: Settings
    ledger: Ledger
    queue: JobQueue
    connection: Connection
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, **more: str) -> subprocess.Popen[bytes]:
        """``prelabel worker``; its log goes to ``worker.log`` in the data directory."""
        environment = {
            "PRELABEL_DATA_DIR": str(self.settings.data_dir),
            "PRELABEL_REDIS_URL": str(self.settings.redis_url),
            "LABEL_STUDIO_API_KEY": self.studio.token,
            "PRELABEL_PUSH_WAIT_S": "0.1",
            "PRELABEL_WORKER_TTL_S": "2",
            "PRELABEL_DRAIN_S": "10",
            **more,
        }
        if "PRELABEL_SERVER_URL" not in more:
            environment.setdefault("PRELABEL_MODEL", STUB)
        with (self.settings.data_dir / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "prelabel", "worker"],
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    @property
    def log(self) -> str:
        return (self.settings.data_dir / "worker.log").read_text()

    def stored(self) -> dict[int, list[str]]:
        return self.studio.versions(self.connection.project)

    def wait(self, condition: Callable[[], bool], seconds: float = 150.0) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, self.log
            time.sleep(0.05)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """SIGTERM, on which it ends by itself."""
        process.terminate()
        assert process.wait(120) == 0
        assert "is killed" not in self.log

    def wait_stored(self, number: int) -> None:
        """Until so many tasks have a prediction."""
        self.wait(lambda: sum(1 for versions in self.stored().values() if versions) >= number)


@pytest.fixture(scope="module")
def studio() -> Iterator[FakeLabelStudio]:
    with FakeLabelStudio() as studio:
        yield studio


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_redis.ensure(load_settings(data_dir=tmp_path_factory.mktemp("redis"))) as handle:
        yield handle.url


@pytest.fixture
def bench(tmp_path: Path, redis_url: str, studio: FakeLabelStudio) -> Iterator[Bench]:
    settings = load_settings(data_dir=tmp_path, redis_url=redis_url, slice_tasks=50)
    ledger = Ledger.open(settings)
    queue = JobQueue.open(settings, ledger)
    queue.redis.client.flushall()
    project = studio.add_project(CONFIG)
    bench = Bench(
        studio, settings, ledger, queue, ledger.remember_project(Connection(studio.url, project, CONFIG, model="stub"))
    )
    yield bench
    for process in bench.started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    queue.close()
    ledger.close()


def roles(process: subprocess.Popen[bytes]) -> list[int]:
    """Process ids of the worker's children."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(one) for one in children.split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_in_a_burst_one_process_does_everything(bench: Bench) -> None:
    ids = bench.studio.add_tasks(bench.connection.project, [{"text": f"text {n}"} for n in range(120)])
    settings = bench.settings.model_copy(
        update={"model": STUB, "label_studio_api_key": _secret(bench.studio.token), "push_wait_s": 0.0}
    )
    before = signal.getsignal(signal.SIGTERM)
    worker.run(settings, burst=True)
    stored = bench.stored()
    assert sorted(stored) == ids
    assert all(len(versions) == 1 for versions in stored.values())
    assert bench.queue.jobs()[0].state == "done"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_worker_needs_a_model_or_a_server(bench: Bench) -> None:
    with pytest.raises(SettingsError, match="needs a model or a server"):
        worker.run(bench.settings)


def test_a_model_that_does_not_exist_ends_the_worker_with_a_sentence(bench: Bench) -> None:
    process = bench.start(PRELABEL_MODEL="nothing_like_it.py:predict")
    assert process.wait(120) == 1
    assert "nothing_like_it.py" in bench.log
    assert "Traceback" not in bench.log


def test_a_worker_predicts_pushes_and_stops_on_sigterm(bench: Bench) -> None:
    bench.studio.add_tasks(bench.connection.project, [{"text": f"text {n}"} for n in range(200)])
    process = bench.start()
    bench.wait_stored(200)
    bench.wait(lambda: bench.queue.jobs()[0].state == "done")
    children = roles(process)
    assert len(children) == 4  # one each to push, plan, predict and train
    bench.stop(process)
    assert not any(alive(pid) for pid in children)
    assert [len(versions) for versions in bench.stored().values()] == [1] * 200
    assert bench.log.count(" loaded in ") == 1  # the processes that push, plan and train have no copy of the model


def test_a_worker_that_is_stopped_gives_back_what_it_has_not_done(bench: Bench) -> None:
    bench.studio.add_tasks(bench.connection.project, [{"text": f"text {n}"} for n in range(200)])
    slow = '{"item_s": "0.05"}'
    process = bench.start(PRELABEL_MODEL_OPTIONS=slow, PRELABEL_MAX_BATCH_SIZE="4")
    bench.wait(lambda: any(job.done for job in bench.queue.jobs()))
    bench.stop(process)
    job = bench.queue.jobs()[0]
    assert 0 < job.done < 200
    assert bench.queue.slices(job.id, job.version)
    assert bench.queue.redis.live_ids(predicting_queues(job.version))
    bench.start(PRELABEL_MODEL_OPTIONS='{"item_s": "0"}')
    bench.wait_stored(200)
    assert [len(versions) for versions in bench.stored().values()] == [1] * 200


def test_a_killed_process_of_the_pool_is_replaced_and_its_slice_done_by_another(bench: Bench) -> None:
    bench.studio.add_tasks(bench.connection.project, [{"text": f"text {n}"} for n in range(300)])
    process = bench.start(PRELABEL_MODEL_OPTIONS='{"item_s": "0.01"}')
    bench.wait(lambda: any(job.done for job in bench.queue.jobs()))
    for pid in roles(process):
        os.kill(pid, signal.SIGKILL)
    bench.wait_stored(300)
    assert [len(versions) for versions in bench.stored().values()] == [1] * 300


def test_a_worker_says_when_another_one_has_a_model_of_the_same_name(bench: Bench) -> None:
    bench.start(PRELABEL_MODEL_OPTIONS='{"label": "bad"}')
    bench.wait(lambda: "predicting as" in bench.log)
    first = bench.log.rpartition("predicting as ")[2].split()[0]
    bench.start()
    bench.wait(lambda: f"a worker predicts as {first}, too" in bench.log)


DEADLY = """
import os

def predict(texts: list[str]) -> list[str]:
    if "deadly" in texts:
        os._exit(11)
    return ["good"] * len(texts)
"""


def test_a_task_that_ends_the_model_s_process_is_given_up_and_the_rest_is_stored(bench: Bench) -> None:
    (deadly,) = bench.studio.add_tasks(bench.connection.project, [{"text": "deadly"}])
    others = bench.studio.add_tasks(bench.connection.project, [{"text": f"text {n}"} for n in range(40)])
    model = bench.settings.data_dir / "deadly.py"
    model.write_text(DEADLY)
    bench.start(PRELABEL_MODEL=f"{model}:predict", PRELABEL_MODEL_NAME=bench.connection.model)
    bench.wait_stored(40)
    bench.wait(lambda: bench.queue.jobs()[0].state == "done")
    stored = bench.stored()
    assert [len(stored[task]) for task in others] == [1] * 40
    assert stored[deadly] == []
    (given_up,) = bench.ledger.quarantined()
    assert given_up.task == deadly
    assert "the model ended its process on this task" in given_up.error
    assert bench.log.count("ended with code 11") <= 5


def test_a_task_that_ends_the_server_s_process_is_given_up_by_the_worker_beside_it(bench: Bench) -> None:
    (deadly,) = bench.studio.add_tasks(bench.connection.project, [{"text": "deadly"}])
    bench.studio.add_tasks(bench.connection.project, [{"text": f"text {n}"} for n in range(20)])
    model = bench.settings.data_dir / "deadly.py"
    model.write_text(DEADLY)
    with restarted_server(bench, f"{model}:predict") as url:
        bench.start(PRELABEL_SERVER_URL=url)
        bench.wait_stored(20)
        bench.wait(lambda: bench.queue.jobs()[0].state == "done")
    assert [one.task for one in bench.ledger.quarantined()] == [deadly]


def test_an_import_survives_the_death_of_the_server_and_of_redis_right_after_the_answer(bench: Bench) -> None:
    texts = [{"text": f"text {n}"} for n in range(1000)]
    ids = bench.studio.add_tasks(bench.connection.project, texts)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        "PRELABEL_DATA_DIR": str(bench.settings.data_dir),
        "PRELABEL_REDIS_URL": str(bench.settings.redis_url),
        "PRELABEL_PORT": str(port),
        "PRELABEL_MODEL_NAME": bench.connection.model,
        "LABEL_STUDIO_API_KEY": bench.studio.token,
    }
    event = {
        "action": "TASKS_CREATED",
        "project": {"id": bench.connection.project, "label_config": CONFIG},
        "tasks": [{"id": task, "data": data} for task, data in zip(ids, texts, strict=True)],
    }
    with (bench.settings.data_dir / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "prelabel", "serve", STUB],
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
        )
    bench.started.append(server)
    answers: list[int] = []

    def post() -> bool:
        with contextlib.suppress(httpx.ConnectError):
            answers.append(httpx.post(f"http://127.0.0.1:{port}/webhook", json=event, timeout=10).status_code)
        return bool(answers)

    bench.wait(post)
    server.kill()
    server.wait()
    bench.queue.redis.client.flushall()
    assert answers == [200]
    bench.start(PRELABEL_AUTO_PREDICT="false")
    bench.wait_stored(1000)
    assert [len(versions) for versions in bench.stored().values()] == [1] * 1000


@contextlib.contextmanager
def restarted_server(bench: Bench, model: str) -> Iterator[str]:
    """``prelabel serve``, started again whenever it ends; a thread sees to it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    over = threading.Event()
    environment = {
        "PRELABEL_DATA_DIR": str(bench.settings.data_dir),
        "PRELABEL_REDIS_URL": str(bench.settings.redis_url),
        "PRELABEL_PORT": str(port),
        "PRELABEL_MODEL_NAME": bench.connection.model,
    }

    def keep() -> None:
        with (bench.settings.data_dir / "server.log").open("ab") as log:
            while not over.is_set():
                process = subprocess.Popen(
                    [sys.executable, "-m", "prelabel", "serve", model],
                    env={**os.environ, **environment},
                    stdout=log,
                    stderr=log,
                )
                while process.poll() is None and not over.wait(0.05):
                    pass
                process.kill()
                process.wait()

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        over.set()
        keeper.join()


def test_no_process_outlives_a_killed_worker(bench: Bench) -> None:
    process = bench.start()
    bench.wait(lambda: len(roles(process)) == 4)
    bench.wait(lambda: "predicting as" in bench.log)
    children = roles(process)
    process.kill()
    process.wait()
    bench.wait(lambda: not any(alive(pid) for pid in children))


@contextlib.contextmanager
def served(settings: Settings, predictor: Predictor, port: int = 0) -> Iterator[tuple[str, int]]:
    """A prelabel server with that predictor, on a thread."""
    server = make_server("127.0.0.1", port, create_app(settings, predictor), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_worker_beside_a_server_asks_it_and_loads_nothing(bench: Bench) -> None:
    ids = bench.studio.add_tasks(bench.connection.project, [{"text": f"text {n}"} for n in range(120)])
    predictor = StubPredictor("stub-0000000b")
    with served(bench.settings, predictor) as (url, port):
        process = bench.start(PRELABEL_SERVER_URL=url)
        bench.wait_stored(120)
        assert sorted(task for task in predictor.seen if task is not None) == ids
        assert bench.stored() == {task: ["stub-0000000b"] for task in ids}
    bench.studio.add_tasks(bench.connection.project, [{"text": "one more"}])
    bench.queue.submit_project(bench.connection, PredictOptions(), version="stub-0000000b")
    bench.wait(lambda: "does not answer" in bench.queue.jobs()[0].error)
    with served(bench.settings, predictor, port):
        bench.wait_stored(121)
        bench.stop(process)


def test_a_worker_waits_for_a_server_that_is_not_there_yet(bench: Bench) -> None:
    process = bench.start(PRELABEL_SERVER_URL="http://127.0.0.1:9")
    bench.wait(lambda: "Waiting for it" in bench.log)
    bench.stop(process)


def _secret(text: str) -> object:
    from pydantic import SecretStr

    return SecretStr(text)
