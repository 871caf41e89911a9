"""The push lane is killed at any moment, again and again: afterwards each task has exactly one prediction.

Lanes run in processes that a small helper forks (this file, run as a program), so that a round costs milliseconds. They
die by SIGKILL: by their own hand at a chosen step, by Label Studio's hand while it works on their call, or by the
test's at a random time. ``PRELABEL_CRASH_SEED`` repeats a round that failed, ``PRELABEL_CRASH_ROUNDS`` makes more.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from prelabel.errors import PrelabelError
from prelabel.labelstudio import LabelStudio
from prelabel.predictions import Prediction
from prelabel.push import lane as lane_module
from prelabel.push import run_lane
from prelabel.runs import Connection, Ledger, config_hash
from prelabel.settings import Settings, load_settings
from prelabel.tasks import Task
from prelabel.testing.fake_label_studio import FAULTS, FakeLabelStudio

VERSION = "model-12345678"
CHOICES = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
ROUNDS = int(os.environ.get("PRELABEL_CRASH_ROUNDS", "24"))
REAL_ROUNDS = max(4, ROUNDS // 10)
STEPS = ("begun", "sent", "settled")
SETTLE_S = 0.6
LATE_S = (0.1, 0.7)  # before and after the watch ends, well before the second look
MISHAPS = ("ok", "late", "late", "late", *FAULTS)


def answer() -> Prediction:
    region = {
        "id": "r",
        "from_name": "sentiment",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": ["Positive"]},
    }
    return Prediction((region,), 0.5, VERSION)


# -- the helper: reads what to run, forks it, says its number and how it ended


def helper() -> None:
    lane_module.LEASE_S, lane_module.RENEW_S, lane_module.IDLE_S = 0.25, 0.06, 0.01
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            run_one(order)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)


def run_one(order: dict[str, Any]) -> None:
    """One lane in this process; never returns."""
    seen: Counter[str] = Counter()

    def step(name: str) -> None:
        seen[name] += 1
        if order["die"] == [name, seen[name]]:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = load_settings(**order["settings"])
    ledger = Ledger.open(settings)
    client = LabelStudio(order["url"], order["token"], read_wait_s=0.02)
    try:
        report = run_lane(ledger, client, order["url"], settings, on_step=step)
    except PrelabelError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(2 if report.busy else 0)


@dataclass
class Lanes:
    """Runs lanes one after the other and kills them."""

    process: subprocess.Popen[str]
    pid: int = 0
    ends: list[int] = field(default_factory=list)

    def start(self, order: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        self.pid = int(self._line())

    def wait(self) -> int:
        self.ends.append(int(self._line()))
        return self.ends[-1]

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture(scope="module")
def lanes() -> Iterator[Lanes]:
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Lanes(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(120)


def settings_of(folder: Path, chunk: int, settle_s: float) -> tuple[Settings, dict[str, Any]]:
    plain = {
        "data_dir": str(folder),
        "push_chunk": chunk,
        "push_wait_s": 0.05,
        "settle_s": settle_s,
        "push_timeout_s": 5.0,
        "single_flight_s": 0.2,
    }
    return load_settings(**plain), plain


def seeds(number: int) -> list[int]:
    given = os.environ.get("PRELABEL_CRASH_SEED")
    return [int(given)] if given else random.SystemRandom().sample(range(1_000_000), number)


@pytest.mark.parametrize("part", range(4))
def test_lanes_killed_at_any_moment_leave_one_prediction_each(lanes: Lanes, tmp_path: Path, part: int) -> None:
    for seed in seeds(ROUNDS // 4):
        print(f"PRELABEL_CRASH_SEED={seed}")
        one_round(lanes, tmp_path / str(seed), random.Random(seed))
    assert -signal.SIGKILL in lanes.ends


def one_round(lanes: Lanes, folder: Path, chance: random.Random) -> None:
    settings, plain = settings_of(folder, chance.choice([1, 3, 7, 20]), settle_s=SETTLE_S)
    ledger = Ledger.open(settings)
    with FakeLabelStudio(late_s=chance.choice(LATE_S)) as fake:
        project = fake.add_project(CHOICES, [{"text": f"text {number}"} for number in range(12)])
        known = ledger.remember_project(Connection(fake.url, project, CHOICES, model="model"))
        tasks = [Task(number, one["data"], project) for number, one in fake.tasks.items()]
        ledger.plan(VERSION, known, tasks)
        ledger.record((row, answer()) for row in ledger.planned())
        order = {"url": fake.url, "token": fake.token, "settings": plain, "die": None}
        for _ in range(chance.randint(1, 4)):
            fake.faults.extend(chance.choice(MISHAPS) for _ in range(chance.randint(0, 4)))
            way = chance.choice(["step", "working", "time"])
            order["die"] = [chance.choice(STEPS), chance.randint(1, 3)] if way == "step" else None
            if way == "working":
                fake.on_import = lanes.kill
            lanes.start(order)
            if way == "time":
                time.sleep(chance.uniform(0, 0.3))
                lanes.kill()
            open_a_task(fake, ledger, known, chance.choice(tasks))
            lanes.wait()
            fake.on_import = lambda: None
        fake.faults.clear()
        order["die"] = None
        for _ in range(20):  # until nothing is left to do, late looks at late copies included
            ledger.retry_quarantined(known)  # as a person does with what failed alone three times, and was refused
            lanes.start(order)
            assert lanes.wait() in (0, 1)
            open_a_task(fake, ledger, known, chance.choice(tasks))
            fake.wait_for_late()
            due = ledger.next_due(fake.url)
            if due is not None:
                time.sleep(max(0.0, due - ledger.now()))
            elif not ledger.instances_with_work():
                break
        counts = {task: versions.count(VERSION) for task, versions in fake.versions(project).items()}
        assert set(counts.values()) == {1}, counts
        assert set(ledger.states(VERSION, known).values()) <= {"stored", "answered"}
    ledger.close()


def open_a_task(fake: FakeLabelStudio, ledger: Ledger, known: Connection, task: Task) -> None:
    """A person opens a task: Label Studio asks for a prediction when it has none, and stores what is answered."""
    assert task.id is not None
    if fake.versions(known.project)[task.id]:
        return
    if ledger.claim_live(VERSION, known, [(task, config_hash(CHOICES), answer())]) == [True]:
        fake.store_live(known.project, {"task": task.id, **answer().as_json()})


@pytest.mark.labelstudio
def test_lanes_killed_while_the_real_label_studio_works_leave_one_prediction_each(
    lanes: Lanes, project: Callable[..., Any], tmp_path: Path
) -> None:
    real = project(CHOICES)
    tasks = sorted(real.import_texts([f"text {number}" for number in range(120)]))
    settings, plain = settings_of(tmp_path / "data", 50, settle_s=4.0)
    ledger = Ledger.open(settings)
    known = ledger.remember_project(Connection(real.server.url, real.id, CHOICES, model="model"))
    order = {"url": real.server.url, "token": real.server.token, "settings": plain}
    for seed in seeds(REAL_ROUNDS):
        chance = random.Random(seed)
        version = f"model-{seed:08d}"
        ledger.plan(version, known, [Task(task, {"text": "a"}, real.id) for task in tasks])
        ledger.record((row, answer()) for row in ledger.planned(version=version))
        for _ in range(2):
            die = [chance.choice(STEPS), chance.randint(1, 2)] if chance.random() < 0.5 else None
            lanes.start({**order, "die": die})
            killer = threading.Timer(chance.uniform(0.1, 1.0), lanes.kill)
            if die is None:
                killer.start()
            lanes.wait()
            killer.cancel()
        lanes.start({**order, "die": None})
        assert lanes.wait() == 0
        counts = Counter(entry["task"] for entry in real.predictions() if entry["model_version"] == version)
        assert counts == dict.fromkeys(tasks, 1), f"PRELABEL_CRASH_SEED={seed}"
    ledger.close()


if __name__ == "__main__":
    helper()
