"""`prelabel train` and what `prelabel jobs` says of a training, in front of a registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from prelabel.artifacts import Artifact
from prelabel.cli.training import Lines
from prelabel.queue import JobQueue
from prelabel.runs import Connection, Ledger
from prelabel.settings import load_settings

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)


class Terminal:
    """Commands of a person, and the worker's part of the registry."""

    def __init__(self, ledger: Ledger, queue: JobQueue, connection: Connection, run: Callable[..., Result]) -> None:
        self.ledger = ledger
        self.queue = queue
        self.connection = connection
        self.run = run

    def begun(self) -> str:
        return self.queue.submit_training(self.connection, version="mood-1", reason="test")[0]

    def learnt(self, job: str, version: str = "mood-2", **more: Any) -> None:
        self.ledger.note(job, of=12, annotations=13, examples=11, phase="trained", version=version, **more)
        artifact = Artifact(version, f"artifacts/mood/{version}", "0" * 64, "Mood", 11, self.ledger.now(), "mood-1")
        self.ledger.add_trained(artifact, "mood", {"job": job})
        self.ledger.set_job_listed(job)
        self.ledger.set_job_state(job, "done", error="")


@pytest.fixture
def terminal(tmp_path: Path, redis_url: str, command_line: Callable[..., Result]) -> Iterator[Terminal]:
    settings = load_settings(data_dir=tmp_path / "data", redis_url=redis_url)
    ledger = Ledger.open(settings)
    queue = JobQueue.open(settings, ledger)
    connection = ledger.remember_project(Connection("http://studio", 7, CONFIG, "secret", model="mood"))

    def run(*arguments: str) -> Result:
        return command_line(*arguments, "--redis-url", redis_url)

    yield Terminal(ledger, queue, connection, run)
    queue.close()
    ledger.close()


def test_a_training_is_listed_with_what_it_is_at(terminal: Terminal) -> None:
    job = terminal.begun()
    assert f"{job}  7        mood-1   queued  0+     -       -" in terminal.run("jobs").stdout
    terminal.ledger.set_job_state(job, "running")
    terminal.ledger.note(job, of=400, examples=120, phase="reading")
    assert "running (reading)  400    -       -" in terminal.run("jobs").stdout
    shown = terminal.run("jobs", "show", job).stdout
    assert "read  120 of 400 tasks" in shown
    assert "stored" not in shown


def test_what_became_of_it_is_told_by_watch_too(terminal: Terminal) -> None:
    job = terminal.begun()
    terminal.learnt(job, unread=1)
    result = terminal.run("jobs", "watch", job)
    assert (result.exit_code, result.stdout) == (0, "mood-2 learnt from 11 tasks.\n")
    assert "1 annotated tasks could not be read" in result.stderr
    assert "prelabel runs labels mood-2 --project 7, then prelabel runs metrics mood-2" in result.stderr
    assert "made  mood-2" in terminal.run("jobs", "show", job).stdout


def test_a_version_that_people_do_not_see_yet_is_told_with_the_remedy(terminal: Terminal) -> None:
    terminal.ledger.enter("mood-1", "mood", shadow=False)
    terminal.ledger.promote("mood-1")
    job = terminal.begun()
    terminal.learnt(job)
    result = terminal.run("jobs", "watch", job)
    assert "People go on seeing mood-1. Show the new one: prelabel runs promote mood-2" in result.stderr


def test_a_failed_training_is_tried_again(terminal: Terminal) -> None:
    job = terminal.begun()
    terminal.ledger.set_job_state(job, "failed", error="no such luck.")
    result = terminal.run("jobs", "watch", job)
    assert result.exit_code == 1
    assert "The training failed: no such luck.\nTry again: prelabel jobs retry" in result.stderr
    assert terminal.run("jobs", "retry", job).stdout == "The training is tried again.\n"
    assert terminal.queue.job(job).state == "queued"
    assert terminal.run("jobs", "cancel", job).stdout == f"Cancelled. Take it up again: prelabel jobs resume {job}\n"
    assert terminal.run("jobs", "resume", job).stdout.startswith("The training waits again.")


def test_stages_are_told_as_they_change(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    job = terminal.begun()
    lines = Lines()
    lines.show(terminal.queue.job(job))
    for phase, examples in (("reading", 3), ("reading", 4), ("learning", 12)):
        terminal.ledger.set_job_state(job, "running", error="")
        terminal.ledger.note(job, of=12, examples=examples, phase=phase)
        lines.show(terminal.queue.job(job))
    terminal.ledger.set_job_state(job, "running", error="Label Studio cannot be reached.")
    lines.show(terminal.queue.job(job))
    assert capsys.readouterr().err.splitlines() == [
        "waiting for a worker",
        "reading: 3 of 12 tasks",
        "learning: 12 tasks",
        "waiting: Label Studio cannot be reached.",
    ]
