"""How long health, setup, versions and webhooks take while the model loads, predicts, or holds the interpreter.

    python benchmarks/probes.py [--seconds 6] [--clients 4]

Starts `prelabel serve` once for each kind of model and asks as Label Studio does, with a new connection each time,
while `--clients` others keep ``/predict`` busy. The webhook is TASKS_CREATED with ten tasks: written down and queued.
Python's switch interval matters to models in pure Python; `--switch-ms 1` tries another.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text"><Choice value="Positive"/>'
    '<Choice value="Negative"/></Choices></View>'
)
MODEL = """
import os, sys, time
import numpy as np

WHAT = os.environ["PROBES_WHAT"]
labels = ["Positive", "Negative"]

def python(seconds):
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        sum(i * i for i in range(200))

def load():
    if os.environ.get("PROBES_SWITCH_MS"):
        time.sleep(1)
        sys.setswitchinterval(float(os.environ["PROBES_SWITCH_MS"]) / 1000)
    if WHAT == "loading":
        python(3600)

def predict(texts: list[str]):
    for _ in texts:
        if WHAT == "sleeping":
            time.sleep(0.01)
        elif WHAT == "numpy":
            until = time.perf_counter() + 0.01
            while time.perf_counter() < until:
                np.dot(A, A)
        elif WHAT == "python":
            python(0.01)
        elif WHAT == "holding":
            sum(range(5_000_000))  # one call in C that never lets others run
    return ["Positive" for _ in texts]

A = np.ones((300, 300))
"""
KINDS = {
    "idle": "nothing",
    "loading": "loads in pure Python",
    "sleeping": "predicts, waiting (a GPU, a service)",
    "numpy": "predicts in NumPy",
    "python": "predicts in pure Python",
    "holding": "predicts in C calls that hold the interpreter",
}


def ask(port: int, method: str, path: str, body: Any = None) -> float:
    """Milliseconds of one request on a connection of its own."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=100)
    connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == http.client.OK, (path, answer.status, answer.reason)
    return 1000 * (time.perf_counter() - started)


def measure(what: str, seconds: float, clients: int, switch_ms: str) -> None:
    """Start a server whose model does ``what``; print one line of the table."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "probed.py").write_text(MODEL)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "prelabel", "serve", "probed.py", "--port", str(port), "--data-dir", directory]
        more = {"PROBES_WHAT": what, "PROBES_SWITCH_MS": switch_ms, "OPENBLAS_NUM_THREADS": "1"}
        server = subprocess.Popen(
            [*command, "--log-level", "error"], cwd=directory, env=os.environ | more, stderr=subprocess.DEVNULL
        )
        try:
            _wait(port)
            time.sleep(2.0)
            said = _probe(port, seconds, 0 if what in ("idle", "loading") else clients)
        finally:
            server.send_signal(signal.SIGKILL if what == "loading" else signal.SIGTERM)
            server.wait()
    cells = [f"{statistics.median(times):.0f} / {sorted(times)[int(len(times) * 0.99)]:.0f}" for times in said.values()]
    print(f"| {KINDS[what]} | {' | '.join(cells)} |", flush=True)


def _wait(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            ask(port, "GET", "/health")
        except OSError:  # noqa: PERF203 (once per try)
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not start")


def _probe(port: int, seconds: float, clients: int) -> dict[str, list[float]]:
    until = time.monotonic() + seconds
    numbers = itertools.count(1)

    def body(count: int) -> list[dict[str, Any]]:
        return [{"id": next(numbers), "data": {"text": "a text"}} for _ in range(count)]

    def work() -> None:
        while time.monotonic() < until:
            ask(port, "POST", "/predict", {"tasks": body(10), "label_config": CONFIG, "project": "8.1"})

    setup = {"project": "9.1", "schema": CONFIG, "hostname": "http://127.0.0.1:9", "access_token": "unknown"}
    ask(port, "POST", "/setup", setup)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    times: dict[str, list[float]] = {"health": [], "setup": [], "versions": [], "webhook": []}
    while time.monotonic() < until:
        event = {"action": "TASKS_CREATED", "project": {"id": 9, "label_config": CONFIG}, "tasks": body(10)}
        times["health"].append(ask(port, "GET", "/health"))
        times["setup"].append(ask(port, "POST", "/setup", setup))
        times["versions"].append(ask(port, "GET", "/versions"))
        times["webhook"].append(ask(port, "POST", "/webhook", event))
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    return times


def main() -> None:
    """Print a table: medians and 99th percentiles in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--switch-ms", default="", help="Python's switch interval; default: 5, as Python has it")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    given = parser.parse_args()
    print("| the model | health | setup | versions | webhook |\n|---|---|---|---|---|")
    for what in given.kinds:
        measure(what, given.seconds, given.clients, given.switch_ms)


if __name__ == "__main__":
    main()
