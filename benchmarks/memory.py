"""Peak memory of a worker's processes against the number of tasks: it must not grow with them.

    python benchmarks/memory.py [--tasks 1000 50000]

A fake Label Studio in this process holds the tasks; `prelabel worker` lists, predicts (with a model that costs nothing)
and pushes them. Printed is the peak resident memory (``VmHWM``) of each of its processes.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prelabel import embedded_redis
from prelabel.queue import JobQueue, PredictOptions
from prelabel.runs import Connection, Ledger
from prelabel.settings import load_settings
from prelabel.testing.fake_label_studio import FakeLabelStudio

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
VERSION = "memory-benchmark"
TEXT = "A sentence of a usual length, as reviews and messages have it. " * 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[1000, 50_000])
    print(f"{'tasks':>8} {'seconds':>8} {'push MiB':>9} {'plan MiB':>9} {'predict MiB':>12}")
    for number in parser.parse_args().tasks:
        seconds, peaks = measure(number)
        print(f"{number:>8} {seconds:>8.1f} {peaks['push']:>9.0f} {peaks['plan']:>9.0f} {peaks['predict']:>12.0f}")


def measure(number: int) -> tuple[float, dict[str, float]]:
    """Seconds until all tasks are stored, and peak MiB by role."""
    with tempfile.TemporaryDirectory() as folder, FakeLabelStudio() as studio:
        settings = load_settings(data_dir=Path(folder))
        ledger = Ledger.open(settings)
        project = studio.add_project(CONFIG, ({"text": f"{number} {TEXT}"} for number in range(number)))
        connection = ledger.remember_project(Connection(studio.url, project, CONFIG, model="stub"))
        with embedded_redis.ensure(settings) as handle:
            queue = JobQueue.open(settings.model_copy(update={"redis_url": handle.url}), ledger)
            job = queue.submit_project(connection, PredictOptions(), version=VERSION)
            began = time.monotonic()
            worker = start(settings.data_dir, handle.url, studio.token)
            peaks = {"push": 0.0, "plan": 0.0, "predict": 0.0}
            while queue.job(job).state not in ("done", "failed", "cancelled"):
                note_peaks(worker.pid, peaks)
                time.sleep(0.2)
            seconds = time.monotonic() - began
            view = queue.job(job)
            assert (view.state, view.stored) == ("done", number), view
            note_peaks(worker.pid, peaks)
            os.killpg(worker.pid, signal.SIGTERM)
            worker.wait()
            queue.close()
        ledger.close()
    return seconds, peaks


def start(data_dir: Path, redis_url: str, token: str) -> subprocess.Popen[bytes]:
    environment = {
        "PRELABEL_DATA_DIR": str(data_dir),
        "PRELABEL_REDIS_URL": redis_url,
        "LABEL_STUDIO_API_KEY": token,
        "PRELABEL_MODEL": "prelabel.testing.stub:StubWrapper",
        "PRELABEL_MODEL_VERSION": VERSION,
        "PRELABEL_LOG_LEVEL": "warning",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "prelabel", "worker"], env={**os.environ, **environment}, start_new_session=True
    )


def note_peaks(worker: int, peaks: dict[str, float]) -> None:
    """Read ``VmHWM`` of the worker's children, which start in the order of `prelabel.worker.RolePool.roles`."""
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    for role, pid in zip(peaks, sorted(map(int, children)), strict=False):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peaks[role] = max(peaks[role], int(line.split()[1]) / 1024)


if __name__ == "__main__":
    main()
