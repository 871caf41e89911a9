"""The demo's own parts: its judge finds each kind of fault, its data never changes, its processes end with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from prelabel.demo import checking, media, processes
from prelabel.demo.label_studio import LabelStudioServer
from prelabel.demo.projects import PROJECTS, DemoProject
from prelabel.demo.setting_up import Ready
from prelabel.labeling import parse

TEXTS: DemoProject = PROJECTS[0]


def region(**changes: Any) -> dict[str, Any]:
    return {
        "from_name": "sentiment",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": ["Positive"]},
    } | changes


def prediction(task: int, *regions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"task": task, "result": list(regions), "score": 0.5, "model_version": "v1"} | changes


def judge(predictions: list[dict[str, Any]], tasks: int = 1) -> tuple[str, ...]:
    """The check's complaints about these predictions, with tasks 1, 2 ... in the project."""
    answers: dict[str, Any] = {
        "/api/token/refresh/": {"access": "a"},
        "/api/predictions/": predictions,
        "/api/ml": [{"model_version": "v1"}],
        "/api/tasks": {"tasks": [{"id": number} for number in range(1, tasks + 1)]},
    }
    server = LabelStudioServer("http://label-studio", "token")
    server.api.close()
    server.api = httpx.Client(
        base_url=server.url,
        transport=httpx.MockTransport(lambda request: httpx.Response(200, json=answers[request.url.path])),
    )
    with server.api:
        return checking.check(server, Ready(TEXTS, 1, "http://backend", tasks)).problems


def test_right_predictions_are_right() -> None:
    span = {"start": 0, "end": 3, "text": "Ann", "labels": ["Person"]}
    assert judge([prediction(1, region(), region(from_name="entities", type="labels", value=span))]) == ()


@pytest.mark.parametrize(
    ("predictions", "complaint"),
    [
        ([], "no prediction on task 1"),
        ([prediction(1), prediction(1)], "2 predictions of v1 on task 1"),
        ([prediction(1, model_version="v0")], "model version 'v0' is not 'v1'"),
        ([prediction(1, score=None)], "score None is not a finite number"),
        ([prediction(1, region(from_name="mood"))], "a control 'mood' that the config does not have"),
        ([prediction(1, region(type="labels"))], "a region 'labels' to 'text' from 'sentiment'"),
        ([prediction(1, region(to_name="image"))], "a region 'choices' to 'image' from 'sentiment'"),
        ([prediction(1, region(value={"choices": ["Great"]}))], "label 'Great' is not in the labeling config"),
    ],
)
def test_each_fault_is_found(predictions: list[dict[str, Any]], complaint: str) -> None:
    assert any(complaint in problem for problem in judge(predictions))


def test_every_projects_labeling_config_is_one(tmp_path: Path) -> None:
    for project in PROJECTS:
        config = parse(project.label_config)
        fields = {tag.field for tag in config.objects.values()}
        if project.key != "images":  # needs scikit-image, which only the demo installs
            tasks = project.tasks(tmp_path)
            assert len(tasks) > 5
            assert all(set(task) == fields for task in tasks)


def test_recordings_are_the_same_each_time(tmp_path: Path) -> None:
    once = media.write_recordings(tmp_path / "once")
    again = media.write_recordings(tmp_path / "again")
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path, wait_until: Callable[..., None]) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from prelabel.demo import processes\n"
        "child = processes.start('sleeper', ['sleep', '60'], log=Path(sys.argv[1]) / 'log')\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.5)  # until the child has become `sleep`
        parent.kill()
    wait_until(lambda: not alive(child), what="the child's end")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def test_a_taken_port_is_replaced_by_the_next_free_one() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        assert processes.free_port(port) != port
