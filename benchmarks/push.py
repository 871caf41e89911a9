"""2,000 tasks predicted and pushed end to end, against single posts and against Label Studio's own bare times.

    python benchmarks/push.py --url http://127.0.0.1:8080 --token TOKEN [--tasks 2000] [--singles 100] [--repeat 3]

Every measurement has a project of its own with the same tasks (short texts, one Choices region as the result):

* singles: one ``POST /api/predictions`` per task, sequential, reused connection; ``--singles`` of them, extrapolated;
* bare: reading the tasks (id and data; the best of several page sizes) plus writing the same payloads by bulk import
  (the best of several chunk sizes), nothing else; both are Label Studio's own work;
* end to end: ``prelabel worker`` with a model that answers at once is running and idle; from the submission of the
  project's job to its end, then Label Studio is asked whether each task has exactly one prediction.

Medians of ``--repeat`` rounds, in which bare and end to end take turns (a size is best by its median, not by its
luckiest round); singles are posted once. Wall time: other load on the machine disturbs it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from prelabel.labelstudio import LabelStudio
from prelabel.queue import JobQueue, PredictOptions
from prelabel.runs import Connection, Ledger
from prelabel.settings import Settings, load_settings

CHOICES = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
VERSION = "benchmark-12345678"
GIVE_UP_S = 120.0
MODEL = """
def predict(texts: list[str]) -> list[str]:
    return ["Positive"] * len(texts)
"""


Times = dict[int, list[float]]
"""Seconds of each round, by size."""


def new_project(studio: LabelStudio, tasks: int) -> int:
    """A project with so many short texts."""
    project = int(studio.write("POST", "api/projects", json={"title": "benchmark", "label_config": CHOICES})["id"])
    texts = [{"text": f"a short text, number {number}"} for number in range(tasks)]
    studio.write("POST", f"api/projects/{project}/import", json=texts, timeout_s=300)
    return project


@contextmanager
def a_project(studio: LabelStudio, tasks: int) -> Iterator[int]:
    """The same, deleted afterwards."""
    project = new_project(studio, tasks)
    try:
        yield project
    finally:
        studio.write("DELETE", f"api/projects/{project}", timeout_s=300)


def prediction(task: int) -> dict[str, object]:
    """The payload that prelabel sends for such a task."""
    region = {
        "id": "abcdefghij",
        "from_name": "sentiment",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": ["Positive"]},
    }
    return {"task": task, "result": [region], "score": 1.0, "model_version": VERSION}


def seconds(work: Callable[[], object]) -> float:
    """Wall time."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ids_of(studio: LabelStudio, project: int) -> list[int]:
    """All task ids."""
    return [task for page in studio.task_ids(project) for task in page]


def singles(studio: LabelStudio, tasks: int, number: int) -> float:
    """Seconds for ``tasks`` posts, from ``number`` of them."""
    with a_project(studio, tasks) as project:
        ids = ids_of(studio, project)[:number]
        taken = seconds(lambda: [studio.write("POST", "api/predictions", json=prediction(task)) for task in ids])
    return taken * tasks / number


def bare(studio: LabelStudio, tasks: int, reading: Times, writing: Times) -> None:
    """Note the seconds to read the tasks, by page size, and to write the payloads, by chunk size."""
    for chunk in (1000, 5000):
        with a_project(studio, tasks) as project:
            for page in (500, 1000, tasks + 1):
                reading[page].append(seconds(partial(drain, studio.tasks(project, page=page))))
            ids = ids_of(studio, project)
            bodies = [
                json.dumps([prediction(task) for task in ids[start : start + chunk]]).encode()
                for start in range(0, tasks, chunk)
            ]
            imports = (studio.import_predictions(project, body) for body in bodies)
            writing[chunk].append(seconds(partial(drain, imports)))


def drain(work: Iterable[object]) -> None:
    """Do it all."""
    for _ in work:
        pass


def end_to_end(studio: LabelStudio, tasks: int, ledger: Ledger, queue: JobQueue) -> float:
    """Seconds from submitting a project's job to its end.

    Raises:
        SystemExit: a task has no prediction, or more than one.
    """
    with a_project(studio, tasks) as project:
        known = ledger.remember_project(Connection(studio.url, project, CHOICES, model="model"))
        began = time.perf_counter()
        job = queue.submit_project(known, PredictOptions(only_missing=True), version=VERSION)
        while (row := ledger.job(job)).state not in ("done", "failed", "cancelled"):
            if time.perf_counter() - began > GIVE_UP_S:
                raise SystemExit(f"the job does not end: {row}")
            time.sleep(0.02)
        taken = time.perf_counter() - began
        ids = ids_of(studio, project)
        counts = Counter(len(found) for found in studio.predictions(project, ids).values())
    if row.state != "done" or counts != {1: tasks}:
        raise SystemExit(f"job {row.state} ({row.error}); predictions per task: {dict(counts)}")
    return taken


@contextmanager
def worker(settings: Settings, model: Path) -> Iterator[None]:
    """A running ``prelabel worker``."""
    environment = os.environ | {
        "PRELABEL_DATA_DIR": str(settings.data_dir),
        "PRELABEL_MODEL_VERSION": VERSION,
        "PRELABEL_SWEEP_INTERVAL_S": "86400",
        "PRELABEL_AUTO_PREDICT": "false",
        "LABEL_STUDIO_URL": settings.label_studio_url or "",
        "LABEL_STUDIO_API_KEY": settings.label_studio_api_key.get_secret_value()
        if settings.label_studio_api_key
        else "",
    }
    command = [str(Path(sys.executable).parent / "prelabel"), "worker", f"--model={model}:predict"]
    with (settings.data_dir / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--singles", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    n = given.tasks
    taken: dict[str, list[float]] = {"singles": [], "end to end": []}
    reading: Times = defaultdict(list)
    writing: Times = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, LabelStudio(given.url, given.token, timeout_s=300) as studio:
        model = Path(folder) / "model.py"
        model.write_text(MODEL, encoding="utf-8")
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        settings = load_settings(
            data_dir=data, label_studio_url=given.url, label_studio_api_key=given.token, model_version=VERSION
        )
        ledger = Ledger.open(settings)
        queue = JobQueue.open(settings, ledger)
        with worker(settings, model):
            end_to_end(studio, 50, ledger, queue)  # everything is loaded and connected
            for _ in range(given.repeat):
                taken["end to end"].append(end_to_end(studio, n, ledger, queue))
                bare(studio, n, reading, writing)
            taken["singles"].append(singles(studio, n, given.singles))
        queue.close()
        ledger.close()
        version = studio.version()
    taken["read"] = min(reading.values(), key=statistics.median)
    taken["write"] = min(writing.values(), key=statistics.median)
    middle = {name: statistics.median(times) for name, times in taken.items()}
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPU cores, Label Studio {version}, {n} tasks")
    for name, times in taken.items():
        note = f", extrapolated from {given.singles}" if name == "singles" else ""
        print(f"{name:>12}: {middle[name]:7.2f} s  ({', '.join(f'{one:.2f}' for one in times)}{note})")
    own = middle["read"] + middle["write"]
    print(f"end to end is {middle['singles'] / middle['end to end']:.1f}x faster than single posts (wanted: 15x)")
    print(f"end to end takes {middle['end to end'] / own:.2f} of bare reading plus writing (wanted: at most 1.25)")


if __name__ == "__main__":
    main()
