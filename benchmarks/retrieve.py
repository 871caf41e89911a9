"""Data Manager > select all > Retrieve predictions, on the real Label Studio: prelabel against a backend that answers.

    make labelstudio && .venv/bin/python benchmarks/retrieve.py [--tasks 5000] [--full]

Two figures for prelabel: how long the action keeps the person waiting, and when the last prediction is stored. Beside
them, in the same run and the same Label Studio, a naive backend that answers every task at once in the call, so that
its time is Label Studio's own storing of the answers, one by one. It is measured on 300 tasks and extrapolated, which
is fair since that time is linear (recorded: 500 tasks 25 s, 5,000 tasks 256 s); ``--full`` measures it on all.

The action cannot be quicker than Label Studio reads and sends the tasks, before it asks any backend: that share is
measured with a backend that answers nothing (`[]` for each task) at once.

Exit code 0 when the action took less than 10 s and all was stored in at most an eighth of the naive backend's time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from prelabel.demo import installing, label_studio, processes
from prelabel.demo.label_studio import LabelStudioServer

ROOT = Path(__file__).resolve().parent.parent
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
MODEL = """
def predict(texts: list[str]) -> list[str]:
    return ["Positive" if "good" in text else "Negative" for text in texts]
"""
NAIVE_SAMPLE = 300
LONGEST_ACTION_S = 10.0
SHARE = 1 / 8


class Naive(BaseHTTPRequestHandler):
    """What a plain ML backend does: predict all tasks of the call and answer them."""

    protocol_version = "HTTP/1.1"
    nothing = False
    """Answer nothing for every task instead."""

    def do_GET(self) -> None:
        self._answer({"status": "UP", "model_class": "Naive"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        if self.path == "/setup":
            self._answer({"model_version": "naive"})
        elif self.path == "/predict":
            self._answer({"results": [[] if self.nothing else self._predict(task) for task in body["tasks"]]})
        else:
            self._answer({})

    def _predict(self, task: dict[str, Any]) -> dict[str, Any]:
        label = "Positive" if "good" in task["data"]["text"] else "Negative"
        region = {"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
        return {"result": [region], "score": 0.5, "model_version": "naive"}

    def _answer(self, body: dict[str, Any]) -> None:
        payload = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


class Nothing(Naive):
    nothing = True


def make_project(server: LabelStudioServer, tasks: int, backend: str) -> int:
    """A project with so many short texts, then connected: nothing is predicted yet."""
    made = server.api.post("/api/projects", json={"title": "retrieve", "label_config": CONFIG}).raise_for_status()
    project = int(made.json()["id"])
    texts = [{"text": f"a good text, number {number}"} for number in range(tasks)]
    server.api.post(f"/api/projects/{project}/import", json=texts, timeout=600).raise_for_status()
    server.api.post("/api/ml", json={"project": project, "url": backend, "title": "backend"}).raise_for_status()
    return project


def stored(server: LabelStudioServer, project: int) -> int:
    return int(server.api.get(f"/api/projects/{project}").raise_for_status().json()["total_predictions_number"])


def retrieve(server: LabelStudioServer, project: int) -> float:
    """The action on all tasks; the seconds until Label Studio answers it."""
    selection = {"ordering": [], "selectedItems": {"all": True, "excluded": []}, "project": str(project)}
    began = time.monotonic()
    server.api.post(
        "/api/dm/actions",
        params={"id": "retrieve_tasks_predictions", "project": project},
        json=selection | {"filters": {"conjunction": "and", "items": []}},
        timeout=3600,
    ).raise_for_status()
    return time.monotonic() - began


def with_prelabel(server: LabelStudioServer, folder: Path, tasks: int) -> tuple[float, float]:
    """Seconds of the action, and until all predictions are stored, exactly one on each task."""
    (folder / "model.py").write_text(MODEL, encoding="utf-8")
    port = processes.free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PRELABEL_", "LABEL_STUDIO_"))}
    backend = processes.start(
        "prelabel up",
        [sys.executable, "-m", "prelabel", "up", "model.py:predict"],
        log=folder / "prelabel.log",
        cwd=folder,
        env=kept
        | {
            "LABEL_STUDIO_URL": server.url,
            "LABEL_STUDIO_API_KEY": server.token,
            "PRELABEL_DATA_DIR": str(folder / "data"),
            "PRELABEL_PORT": str(port),
            "PRELABEL_AUTO_PREDICT": "false",
        },
    )
    try:
        wait_until_ready(backend, f"http://127.0.0.1:{port}")
        project = make_project(server, tasks, f"http://127.0.0.1:{port}")
        began = time.monotonic()
        action = retrieve(server, project)
        while stored(server, project) < tasks:
            if time.monotonic() - began > 600:
                sys.exit(f"only {stored(server, project)} of {tasks} are stored after 600 s:\n{backend.log_tail(30)}")
            time.sleep(0.25)
        all_stored = time.monotonic() - began
        listed = server.api.get("/api/predictions/", params={"project": project}, timeout=600).raise_for_status()
        counts = Counter(one["task"] for one in listed.json())
        if len(counts) != tasks or set(counts.values()) != {1}:
            sys.exit(f"{len(counts)} of {tasks} tasks have predictions, up to {max(counts.values())} each")
        return action, all_stored
    finally:
        backend.stop()


def wait_until_ready(backend: processes.Child, url: str) -> None:
    for _ in range(600):
        try:
            if httpx.get(f"{url}/ready", timeout=1).is_success:
                return
        except httpx.HTTPError:
            pass
        if not backend.running:
            break
        time.sleep(0.1)
    sys.exit(f"prelabel did not start:\n{backend.log_tail(30)}")


def naively(server: LabelStudioServer, tasks: int, handler: type[Naive] = Naive) -> float:
    """Seconds of the action with a backend that answers at once; then everything is stored."""
    backend = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    try:
        project = make_project(server, tasks, f"http://127.0.0.1:{backend.server_address[1]}")
        seconds = retrieve(server, project)
        if stored(server, project) != (0 if handler.nothing else tasks):
            sys.exit(f"the naive backend left {stored(server, project)} of {tasks} predictions")
        return seconds
    finally:
        backend.shutdown()
        backend.server_close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--full", action="store_true", help="measure the naive backend on all tasks, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prelabel-benchmark-") as folder:
        server = label_studio.start(
            installing.environment_of(ROOT),
            Path(folder) / "label-studio",
            template=installing.template_of(ROOT),
            port=0,
        )
        try:
            sample = options.tasks if options.full else min(NAIVE_SAMPLE, options.tasks)
            naive = naively(server, sample) * options.tasks / sample
            share = naively(server, options.tasks, Nothing)
            action, all_stored = with_prelabel(server, Path(folder), options.tasks)
        finally:
            server.stop()
    how = "measured" if sample == options.tasks else f"extrapolated from {sample} tasks"
    print(f"{platform.machine()}, {os.cpu_count()} cores, Label Studio {installing.VERSION} (SQLite)")
    print(f"{options.tasks} tasks: Retrieve predictions")
    print(f"  naive backend   action {naive:7.1f} s   all stored {naive:7.1f} s   ({how})")
    print(f"  no answer       action {share:7.1f} s   (Label Studio's own share)")
    print(f"  prelabel        action {action:7.1f} s   all stored {all_stored:7.1f} s   1/{naive / all_stored:.1f}")
    good = action < LONGEST_ACTION_S and all_stored <= naive * SHARE
    print("within" if good else "NOT within", f"{LONGEST_ACTION_S:.0f} s and an eighth")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
