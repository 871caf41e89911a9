"""`prelabel predict` and `prelabel jobs` as a person uses them, against a real Label Studio."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = pytest.mark.labelstudio

MODEL = """
import time
from pathlib import Path

max_batch_size = 4
held = Path(__file__).with_name("held")

def predict(texts: list[str], pause_s: float = 0.0) -> list[str]:
    time.sleep(pause_s)
    while held.exists():
        time.sleep(0.05)
    if any("bad" in text for text in texts):
        raise ValueError("too bad")
    return ["Positive" for _ in texts]
"""


@dataclass
class Desk:
    """A project and a running `prelabel up`, and the environment of commands beside it.

    While ``held`` exists, the model answers nothing.
    """

    project: Any
    held: Path
    environment: dict[str, str]
    run_prelabel: Callable[..., subprocess.CompletedProcess[str]]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run_prelabel(*arguments, env=self.environment)

    def predict(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("predict", "--project", str(self.project.id), *arguments)

    def job(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("jobs", "show", job, "--json").stdout)
        return found

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[bytes]:
        """A command whose end is not awaited; use it as a context manager."""
        command = [str(Path(sys.executable).parent / "prelabel"), *arguments]
        return subprocess.Popen(command, env=os.environ | self.environment, **more)

    @contextlib.contextmanager
    def watching(self, job: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
        """``prelabel jobs watch``, having shown its first line, and what it says from then on."""
        with self.start("jobs", "watch", job, stderr=subprocess.PIPE) as process:
            said = process.stderr
            assert said is not None
            try:
                assert b" stored" in said.readline()
                yield process, said
            finally:
                process.kill()


@pytest.fixture
def desk(
    label_studio: LabelStudioServer, project: Any, prelabel_process: Any, run_prelabel: Any, tmp_path: Path
) -> Callable[..., Desk]:
    """``desk(texts, "-o", "pause_s=0.2")``: the project has these texts, and the model runs."""
    (tmp_path / "model.py").write_text(MODEL)

    def make(texts: list[str], *arguments: str) -> Desk:
        here = project()
        here.import_texts(texts)
        up = prelabel_process("up", "model.py:predict", *arguments, "--no-auto-predict", label_studio=label_studio)
        environment = {
            "LABEL_STUDIO_URL": label_studio.url,
            "LABEL_STUDIO_API_KEY": label_studio.token,
            "PRELABEL_DATA_DIR": str(up.data_dir),
            "PRELABEL_PORT": up.url.rpartition(":")[2],
            "NO_COLOR": "1",
            "COLUMNS": "160",
        }
        return Desk(here, tmp_path / "held", environment, run_prelabel)

    return make


def test_predicting_twice_changes_nothing_and_chosen_tasks_are_chosen(desk: Any) -> None:
    here = desk(["a", "b", "c", "d"])
    ids = [
        task["id"] for task in here.project.api.get("/api/tasks", params={"project": here.project.id}).json()["tasks"]
    ]
    chosen = here.predict("--tasks", f"{ids[0]},{ids[2]}")
    assert chosen.returncode == 0, chosen.stderr
    assert chosen.stdout.startswith("2 of 2 tasks have their prediction by model-")
    assert set(here.project.predictions_by_task()) == {ids[0], ids[2]}
    assert here.predict().returncode == 0
    again = here.predict("--only-missing")
    assert again.stdout.startswith("Nothing to do: ")
    assert {task: len(found) for task, found in here.project.predictions_by_task().items()} == dict.fromkeys(ids, 1)


def test_failed_tasks_end_the_command_with_1_and_are_explained(desk: Any) -> None:
    here = desk(["a", "bad", "c"])
    predicted = here.predict()
    assert predicted.returncode == 1
    assert predicted.stdout.startswith("2 of 3 tasks")
    (job,) = re.findall(r"why: prelabel jobs failed (\w+)", predicted.stderr)
    failed = here.run("jobs", "failed", job)
    assert failed.returncode == 0
    assert "too bad" in failed.stdout
    assert failed.stdout.count("\n") == 1
    retried = here.run("jobs", "retry", job)
    assert retried.stdout == "1 tried again.\n"
    assert here.run("jobs", "watch", job).returncode == 1


def test_ctrl_c_leaves_the_job_to_the_workers_and_twice_cancels_it(desk: Any, wait_until: Any) -> None:
    here = desk([f"text {number}" for number in range(80)])
    here.held.touch()
    detached = here.predict("--detach")
    job = detached.stdout.strip()
    assert re.fullmatch(r"\w{12}", job)
    wait_until(lambda: here.job(job)["state"] == "running", what="the job runs")

    with here.watching(job) as (process, said):
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
        assert f"prelabel jobs cancel {job}" in said.read().decode()
    assert here.job(job)["state"] == "running"

    with here.watching(job) as (process, said):
        process.send_signal(signal.SIGINT)
        assert b"cancels the job" in said.readline() + said.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
        assert f"prelabel jobs resume {job}" in said.read().decode()
    assert here.job(job)["state"] == "cancelled"

    here.held.unlink()
    assert "tasks wait again" in here.run("jobs", "resume", job).stdout
    ended = here.run("jobs", "watch", job)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("80 of 80 tasks")
    assert all(len(found) == 1 for found in here.project.predictions_by_task().values())


def test_a_terminal_sees_a_bar_with_rate_and_time_left(desk: Any) -> None:
    here = desk([f"text {number}" for number in range(60)], "-o", "pause_s=0.5")
    ours, theirs = pty.openpty()
    command = here.start("predict", "--project", str(here.project.id), stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux' way to say that the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert command.wait(120) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"\d+ of 60 stored", text)
    assert re.search(r"\d/s, \d+ s left", text)
    assert "predicting" in text
