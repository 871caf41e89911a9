"""How long Label Studio waits for the answer to its TASKS_CREATED webhook.

    python benchmarks/webhook.py [--tasks 5000] [--repeat 8]

Starts ``prelabel serve`` with a registry and a Redis of its own, connects a project, and posts events in the form of
Label Studio 1.23.2, each with new tasks. Wall time of the whole request, in milliseconds; the first one apart, because
it connects and imports. Other load on the machine disturbs it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
STAMP = "2026-01-01T12:00:00.000000Z"
PAUSE_S = 0.5


def task(number: int) -> dict[str, object]:
    """A task as the webhook brings it."""
    return {
        "id": number,
        "data": {"text": f"a short text, number {number}"},
        "meta": {},
        "created_at": STAMP,
        "updated_at": STAMP,
        "is_labeled": False,
        "overlap": 1,
        "inner_id": number,
        "total_annotations": 0,
        "cancelled_annotations": 0,
        "total_predictions": 0,
        "comment_count": 0,
        "unresolved_comment_count": 0,
        "last_comment_updated_at": None,
        "project": 7,
        "updated_by": None,
        "file_upload": None,
        "comment_authors": [],
        "annotations": [],
        "predictions": [],
    }


def measure(client: httpx.Client, tasks: int, repeat: int) -> list[float]:
    """Milliseconds of each request."""
    setup = {"project": "7.1", "schema": CONFIG, "hostname": "http://127.0.0.1:9", "access_token": "none"}
    client.post("/setup", json=setup).raise_for_status()
    taken = []
    for one in range(repeat):
        new = [task(one * tasks + number + 1) for number in range(tasks)]
        project = {"id": 7, "title": "benchmark", "label_config": CONFIG}
        body = json.dumps({"action": "TASKS_CREATED", "tasks": new, "project": project}).encode()
        time.sleep(PAUSE_S)
        began = time.perf_counter()
        answer = client.post("/webhook", content=body, headers={"Content-Type": "application/json"})
        taken.append(1000 * (time.perf_counter() - began))
        if answer.json().get("status") != "ok":
            raise SystemExit(answer.text)
    return taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--repeat", type=int, default=8)
    given = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PRELABEL_DATA_DIR": folder, "PRELABEL_PORT": str(port), "LABEL_STUDIO_API_KEY": "none"}
        with (Path(folder) / "server.log").open("wb") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "prelabel", "serve", "prelabel.testing.stub:StubWrapper"],
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
            )
        try:
            transport = httpx.HTTPTransport(retries=8)  # until the server listens
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, transport=transport) as client:
                taken = measure(client, given.tasks, given.repeat)
        finally:
            server.terminate()
            server.wait(60)
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPU cores, {given.tasks} tasks in one event")
    print(f"first {taken[0]:.0f} ms, then {', '.join(f'{one:.0f}' for one in taken[1:])} ms")
    print(f"median of these {statistics.median(taken[1:]):.0f} ms (Label Studio gives up after 1000 ms)")


if __name__ == "__main__":
    main()
