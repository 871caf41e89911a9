"""`prelabel up`: one supervisor over Redis, server and workers, of which nothing is left when it ends."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

MODEL = """
def predict(texts: list[str]) -> list[str]:
    return ["Positive" for _ in texts]
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "model.py").write_text(MODEL)
    return "model.py:predict"


def processes_of(data_dir: Path, root: int) -> dict[int, str]:
    """Descendants of ``root``, and everything else that works in the data directory, by process id."""
    found = {}
    for process in psutil.process_iter(["pid", "cmdline", "environ"]):
        command = " ".join(process.info["cmdline"] or ())
        environment = process.info["environ"] or {}
        ours = str(data_dir) in command or environment.get("PRELABEL_DATA_DIR") == str(data_dir)
        if ours and process.pid not in (root, os.getpid()) and process.status() != psutil.STATUS_ZOMBIE:
            found[process.pid] = command
    return found


def of_kind(running: dict[int, str], word: str) -> list[int]:
    return [pid for pid, command in running.items() if word in command]


def test_everything_starts_and_ctrl_c_leaves_nothing(
    prelabel_process: Any, model: str, wait_until: Callable[..., None]
) -> None:
    up = prelabel_process("up", model)
    wait_until(lambda: "connect it:  prelabel connect" in up.log, what=lambda: up.log)
    running = processes_of(up.data_dir, up.child.pid)
    for part in ("redis-server", "prelabel serve", "prelabel worker"):
        assert of_kind(running, part), f"no {part} among {running}"
    assert httpx.get(f"{up.url}/health").json()["status"] == "UP"
    os.kill(up.child.pid, signal.SIGINT)
    assert up.child.process.wait(120) == 0
    wait_until(lambda: not processes_of(up.data_dir, up.child.pid), what="all processes ended")
    assert "Traceback" not in up.log


def test_nothing_outlives_a_killed_supervisor(
    prelabel_process: Any, model: str, wait_until: Callable[..., None]
) -> None:
    up = prelabel_process("up", model, env={"PRELABEL_DRAIN_S": "1"})
    wait_until(lambda: of_kind(processes_of(up.data_dir, up.child.pid), "prelabel worker"), what="a worker")
    os.kill(up.child.pid, signal.SIGKILL)
    up.child.process.wait(120)
    wait_until(lambda: not processes_of(up.data_dir, up.child.pid), what="all processes ended")


@pytest.mark.parametrize("part", ["prelabel serve", "prelabel worker"])
def test_a_process_that_dies_is_started_again(
    prelabel_process: Any, model: str, wait_until: Callable[..., None], part: str
) -> None:
    up = prelabel_process("up", model, env={"PRELABEL_DRAIN_S": "1"})
    wait_until(lambda: of_kind(processes_of(up.data_dir, up.child.pid), "prelabel worker"), what="a worker")
    before = of_kind(processes_of(up.data_dir, up.child.pid), part)
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    def there_again() -> bool:
        after = of_kind(processes_of(up.data_dir, up.child.pid), part)
        return bool(after) and not set(after) & set(before)

    wait_until(there_again, what=f"{part} again")
    assert "starting it again" in up.log
    up.wait_until_ready()
    assert up.stop() == 0


def test_a_second_one_in_the_same_data_directory_is_refused(
    prelabel_process: Any, run_prelabel: Any, model: str
) -> None:
    up = prelabel_process("up", model)
    second = run_prelabel("up", model, "--port", "0", env={"PRELABEL_DATA_DIR": str(up.data_dir)})
    assert second.returncode == 1
    assert second.stderr == (
        f"Error: another `prelabel up` uses {up.data_dir}.\n  Fix: Stop it, or give this one its own --data-dir.\n"
    )


def test_a_taken_port_is_said_so(run_prelabel: Any, model: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = run_prelabel("up", model, "--port", str(port))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"Error: cannot listen on 127.0.0.1:{port}: ")


def test_a_model_that_cannot_be_imported_ends_it_with_the_reason(run_prelabel: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def predict(texts):\n    return [\n")
    refused = run_prelabel("up", "broken.py:predict", "--port", "0")
    assert refused.returncode == 1
    assert "broken.py" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "the server ended while it started" in refused.stderr
