"""`make test`: set up, lint, and every test; meanwhile Label Studio installs itself, and the tests with it begin.

    python3 scripts/test.py [--all] [pytest arguments]

What tests with Label Studio print comes at the end: they run beside lint and the others, which leave the cores half
idle.
With ``--all`` (`make test-all`) also the tests marked ``slow``, whose frameworks (PyTorch, transformers, Ultralytics,
MLServer) take nine gigabytes and ten minutes: too long for CI. Ultralytics is AGPL-3.0: scripts/set_up.py installs it
for these tests alone; no extra of prelabel's does.
Ends with a table of what took how long. Exit code 0 when lint and all tests passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

import set_up
from set_up import CACHE, ROOT, SetUpError, say

PROCESSES = min(os.cpu_count() or 1, 4)
"""Processes that share the tests without Label Studio; those with it share one server, and one process."""
NO_TESTS = 5
"""pytest's exit code when it found none to run."""


class Report:
    """What ran, how long it took and whether it passed."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, float, bool]] = []
        self.began = time.monotonic()

    def step(self, name: str, what: Callable[[], bool]) -> bool:
        began = time.monotonic()
        say(f"\n=== {name}")
        passed = what()
        self.lines.append((name, time.monotonic() - began, passed))
        return passed

    def close(self) -> int:
        say("")
        for name, seconds, passed in self.lines:
            say(f"  {name:44} {seconds:6.0f} s   {'passed' if passed else 'FAILED'}")
        say(f"  {'all':44} {time.monotonic() - self.began:6.0f} s")
        passed, failed, skipped = totals()
        say(f"{passed} passed, {failed} failed, {skipped} skipped")
        return 0 if all(line[2] for line in self.lines) else 1


def totals() -> tuple[int, int, int]:
    """Passed, failed and skipped tests of all pytest runs."""
    numbers = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for file in CACHE.glob("junit-*.xml"):
        for suite in ET.parse(file).iter("testsuite"):
            for name in numbers:
                numbers[name] += int(suite.get(name, 0))
    failed = numbers["failures"] + numbers["errors"]
    return numbers["tests"] - failed - numbers["skipped"], failed, numbers["skipped"]


def call(*command: str) -> bool:
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def lint(python: Path) -> bool:
    """ruff's rules, ruff's format, mypy strict: all three are run, whatever the first says."""
    tools = str(python.parent)
    return all(
        [
            call(f"{tools}/ruff", "check", "."),
            call(f"{tools}/ruff", "format", "--check", "."),
            call(f"{tools}/mypy"),
        ]
    )


def pytest(
    python: Path, name: str, marked: str, arguments: list[str], *, processes: int = 1, into: IO[bytes] | None = None
) -> bool:
    """One pytest run over the tests with these marks; none at all is a failure, unless ``arguments`` choose some.

    What it prints goes ``into`` a file, or to where ours goes.

    With several ``processes`` each file's tests stay together in one; files come in the order of their names, since
    the slowest have few tests, and would come last in xdist's own.
    """
    command = [str(python), "-m", "pytest", "-q", "--durations=8", f"--junitxml={CACHE / f'junit-{name}.xml'}"]
    if processes > 1:
        command += ["--numprocesses", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]
    command += ["-m", marked, *arguments]
    code = subprocess.run(command, cwd=ROOT, check=False, stdout=into, stderr=into and subprocess.STDOUT).returncode
    return code == 0 or (code == NO_TESTS and bool(arguments))


def with_label_studio(
    python: Path, arguments: list[str], installing: subprocess.Popen[bytes] | None, into: Path
) -> bool:
    """The tests that need Label Studio or a browser, once it is installed."""
    with into.open("wb") as said:
        if installing is not None and installing.wait() != 0:
            said.write(b"Label Studio could not be installed; the reason stands above.\n")
            return False
        return pytest(python, "e2e", "labelstudio or browser", arguments, into=said)


def follow(running: Future[bool], said: Path) -> bool:
    """Print what a run that began earlier has said, and says until it ends; whether it passed."""
    printed = 0
    while True:
        ended = running.done()
        text = said.read_bytes() if said.is_file() else b""
        sys.stdout.buffer.write(text[printed:])
        sys.stdout.flush()
        printed = len(text)
        if ended:
            return running.result()
        time.sleep(1)


def main(arguments: list[str]) -> int:
    everything = "--all" in arguments
    arguments = [each for each in arguments if each != "--all"]
    CACHE.mkdir(exist_ok=True)
    for old in CACHE.glob("junit-*.xml"):
        old.unlink()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    background = set_up.label_studio(wait=False)
    packages = threading.Thread(target=quietly(set_up.debian), daemon=True)
    packages.start()
    report = Report()
    beside = ThreadPoolExecutor(1)
    try:
        kind = "test-all" if everything else "test"
        report.step("prelabel and what its tests need", lambda: bool(set_up.environment(kind)))
        python = set_up.VENV / "bin" / "python"
        packages.join()
        said = CACHE / "e2e.log"
        said.unlink(missing_ok=True)
        running = beside.submit(with_label_studio, python, arguments, background, said)
        report.step("lint", lambda: lint(python))
        quick = "not labelstudio and not browser and not slow"
        report.step("tests", lambda: pytest(python, "unit", quick, arguments, processes=PROCESSES))
        if everything:
            slow = "slow and not labelstudio and not browser"
            report.step("tests with large frameworks", lambda: pytest(python, "slow", slow, arguments))
        report.step("tests with Label Studio, after the others", lambda: follow(running, said))
    finally:
        if background is not None and background.poll() is None:
            background.terminate()
    return report.close()


def quietly(step: Callable[[], None]) -> Callable[[], None]:
    """A step whose failure is said and left to the tests that then miss something."""

    def attempt() -> None:
        try:
            step()
        except SetUpError as error:
            say(f"set-up: {error}")

    return attempt


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetUpError as error:
        sys.exit(f"set-up: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
