"""Two models, each with server and workers of its own, on one registry and one Redis: neither does the other's work."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from prelabel import embedded_redis
from prelabel.settings import load_settings
from prelabel.testing.fake_label_studio import FakeLabelStudio

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)


@dataclasses.dataclass
class Model:
    """A model that is served, with a worker beside the server."""

    name: str
    url: str
    environment: dict[str, str]
    run: Callable[..., subprocess.CompletedProcess[str]]

    @property
    def version(self) -> str:
        return str(httpx.get(f"{self.url}/api/v1/model").raise_for_status().json()["model_version"])

    def connect(self, studio: FakeLabelStudio, project: int) -> None:
        """What Label Studio asks when the model is connected."""
        body = {"project": f"{project}.1", "schema": CONFIG, "hostname": studio.url, "access_token": studio.token}
        httpx.post(f"{self.url}/setup", json=body).raise_for_status()

    def announce(self, studio: FakeLabelStudio, project: int, tasks: list[int]) -> None:
        """Label Studio's webhook after an import."""
        raw = [{"id": task, "data": studio.tasks[task]["data"], "project": project} for task in tasks]
        body = {"action": "TASKS_CREATED", "project": {"id": project, "label_config": CONFIG}, "tasks": raw}
        httpx.post(f"{self.url}/webhook", json=body).raise_for_status()

    def predict(self, project: int, *arguments: str) -> None:
        done = self.run("predict", "--project", str(project), *arguments, env=self.environment)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def studio() -> Iterator[FakeLabelStudio]:
    with FakeLabelStudio() as studio:
        yield studio


@pytest.fixture
def models(
    database_url: str, studio: FakeLabelStudio, tmp_path: Path, run_prelabel: Any
) -> Iterator[tuple[Model, Model]]:
    """Cats and dogs."""
    ours = ("PRELABEL_", "LABEL_STUDIO_", "BASIC_AUTH_")
    bare = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    processes: list[subprocess.Popen[bytes]] = []
    made = []
    with embedded_redis.ensure(load_settings(data_dir=tmp_path / "redis")) as redis:
        for name in ("cats", "dogs"):
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = probe.getsockname()[1]
            environment = {
                "PRELABEL_DATA_DIR": str(tmp_path / name),
                "PRELABEL_DATABASE_URL": database_url,
                "PRELABEL_REDIS_URL": redis.url,
                "PRELABEL_PORT": str(port),
                "PRELABEL_MODEL_NAME": name,
                "PRELABEL_SWEEP_INTERVAL_S": "1",
                "LABEL_STUDIO_URL": studio.url,
                "LABEL_STUDIO_API_KEY": studio.token,
            }
            beside = {**environment, "PRELABEL_SERVER_URL": f"http://127.0.0.1:{port}"}
            (tmp_path / name).mkdir()
            for arguments, variables in (
                (["serve", "prelabel.testing.stub:StubWrapper"], environment),
                (["worker"], beside),
            ):
                with (tmp_path / name / "log").open("ab") as log:
                    command = [sys.executable, "-m", "prelabel", *arguments]
                    processes.append(subprocess.Popen(command, env={**bare, **variables}, stdout=log, stderr=log))
            made.append(Model(name, beside["PRELABEL_SERVER_URL"], beside, run_prelabel))
        for model in made:
            wait(partial(answers, model.url))
        yield made[0], made[1]
        for process in reversed(processes):
            process.terminate()
            process.wait(60)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False


def wait(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_every_task_gets_one_prediction_of_each_model_that_is_connected_and_none_of_another(
    studio: FakeLabelStudio, models: tuple[Model, Model]
) -> None:
    cats, dogs = models
    texts = [{"text": f"text {number}"} for number in range(30)]
    of_cats, of_dogs, of_both, of_none = (studio.add_project(CONFIG, texts) for _ in range(4))
    wanted = {of_cats: [cats.version], of_dogs: [dogs.version], of_both: [cats.version, dogs.version], of_none: []}

    def found() -> dict[int, Counter[tuple[str, ...]]]:
        return {one: Counter(tuple(sorted(v)) for v in studio.versions(one).values()) for one in wanted}

    def expected(tasks: int) -> dict[int, Counter[tuple[str, ...]]]:
        return {one: Counter({tuple(sorted(versions)): tasks}) for one, versions in wanted.items()}

    for model, projects in ((cats, (of_cats, of_both)), (dogs, (of_dogs, of_both))):
        for project in projects:
            model.connect(studio, project)
    wait(lambda: found() == expected(30))  # the sweeps find what was there before

    for project, versions in wanted.items():
        tasks = studio.add_tasks(project, texts[:10])
        for model in models:
            if model.version in versions:
                model.announce(studio, project, tasks)
    wait(lambda: found() == expected(40))

    cats.predict(of_both, "--replace")  # takes nothing from dogs
    dogs.predict(of_none)  # the one who is asked, on the registry that knows both
    wanted[of_none] = [dogs.version]
    assert found() == expected(40)
    (later,) = studio.add_tasks(of_none, texts[:1])
    time.sleep(3)  # some sweeps of each
    assert studio.versions(of_none).pop(later) == []  # to ask once is not to connect
    studio.delete_task(later)
    assert found() == expected(40)
    for model in models:
        assert httpx.get(f"{model.url}/versions").json() == {"versions": [model.version]}
