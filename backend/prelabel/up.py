"""The all-in-one: an embedded Redis, the server that owns the model, and its workers, under one supervisor.

```
prelabel up ─┬─ redis-server      (when no redis_url is given)
             ├─ prelabel serve    owns the model
             └─ prelabel worker   asks the server for predictions, pushes them to Label Studio
```

A process that dies is started again, later each time. Ctrl-C stops the workers first, which still need the server, then
the server, then Redis. No process outlives the supervisor, not even when it is killed (`prelabel.lifeline`).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import httpx

from prelabel import embedded_redis
from prelabel.errors import PrelabelError, SettingsError
from prelabel.lifeline import Lifeline
from prelabel.settings import Settings, environment_of
from prelabel.signals import set_event

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
POLL_S = 0.1
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A process that ran this long is taken as healthy: the pause before its next restart is short again."""


class StartError(PrelabelError):
    """A process of the all-in-one did not start."""


@dataclass
class Child:
    """One supervised process, in a process group of its own so that a terminal's Ctrl-C reaches only the supervisor."""

    name: str
    arguments: Sequence[str]
    environment: dict[str, str]
    lifeline: Lifeline
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    restart_at: float = field(default=0.0)

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 (our own interpreter and arguments)
            [sys.executable, "-m", "prelabel", *self.arguments],
            env={**os.environ, **self.environment, **self.lifeline.environment},
            pass_fds=(self.lifeline.fd,),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
        self.started = time.monotonic()

    @property
    def exit_code(self) -> int | None:
        """What it ended with; None while it runs."""
        return self.process.poll() if self.process is not None else None

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def sweep(self) -> None:
        """Kill whatever is left of its process group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)

    def restart_when_due(self) -> None:
        """Start it again after it died: at once the first time, then after 1, 2, 4 ... seconds."""
        now = time.monotonic()
        if not self.restart_at:
            if now - self.started > STEADY_S:
                self.failures = 0
            pause = min(2.0 ** (self.failures - 1), LONGEST_PAUSE_S) if self.failures else 0.0
            self.failures += 1
            self.restart_at = now + pause
            self.sweep()
            logger.warning("%s ended with code %s; starting it again in %.0f s", self.name, self.exit_code, pause)
        if now >= self.restart_at:
            self.restart_at = 0.0
            self.start()


class Supervisor:
    """Starts, watches and stops the processes.

    Args:
        settings: those of the command; ``model`` must be set.
        announce: called once when the server answers, with its address.

    Raises:
        SettingsError: the port is taken.
    """

    def __init__(self, settings: Settings, announce: Callable[[str], None]) -> None:
        self.settings = _with_free_port(settings)
        self.announce = announce
        self.address = _local_address(self.settings)
        self._stop = threading.Event()
        self._asked = 0

    def run(self) -> None:
        """Run until a signal comes.

        Raises:
            StartError: the server ended before it answered.
            SettingsError: another supervisor has the data directory.
        """
        with _only_one(self.settings.data_dir), self._signals(), embedded_redis.ensure(self.settings) as redis:
            lifeline = Lifeline()
            children: list[Child] = []
            try:
                self._run(children, redis.url, lifeline)
            finally:
                self._stop_all(children)
                lifeline.close()

    def _run(self, children: list[Child], redis_url: str, lifeline: Lifeline) -> None:
        environment = {**environment_of(self.settings), "PRELABEL_REDIS_URL": redis_url}
        server = Child("server", ["serve"], environment, lifeline)
        children.append(server)
        server.start()
        if not self._await_server(server):
            return
        beside = {**environment, "PRELABEL_SERVER_URL": self.address}
        worker = Child("worker", ["worker"], beside, lifeline)
        children.append(worker)
        worker.start()
        self.announce(self.address)
        while not self._stop.wait(POLL_S):
            for child in children:
                if child.exit_code is not None:
                    child.restart_when_due()

    def _await_server(self, server: Child) -> bool:
        """Wait until ``/health`` answers; False when a signal came first."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._stop.is_set():
            if server.exit_code is not None:
                raise StartError("the server ended while it started.", hint="Its own message stands above.")
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.address}/health", timeout=1).status_code in (200, 401):
                    return True
            if time.monotonic() > deadline:
                raise StartError(
                    f"the server did not answer on {self.address} within {START_TIMEOUT_S:.0f} s.",
                    hint="Its log stands above; `--log-level debug` shows more.",
                )
            self._stop.wait(POLL_S)
        return False

    def _stop_all(self, children: Sequence[Child]) -> None:
        """Workers first, since finishing needs the server; whoever does not stop in time is killed."""
        for child in reversed(children):
            child.signal(signal.SIGTERM)
            deadline = time.monotonic() + self.settings.drain_s + 5
            while child.process is not None and child.exit_code is None and self._asked < 2:
                if time.monotonic() > deadline:
                    logger.warning("%s did not stop in time and is killed", child.name)
                    break
                time.sleep(POLL_S / 2)
            child.sweep()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """The first SIGINT or SIGTERM stops in order, the second at once."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self._asked += 1
            set_event(self._stop)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _local_address(settings: Settings) -> str:
    """Where processes on this machine reach the server, whatever address people use."""
    return settings.model_copy(update={"public_url": None}).effective_public_url


def _with_free_port(settings: Settings) -> Settings:
    """The settings with port 0 replaced by a free one.

    Raises:
        SettingsError: the port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}.",
                hint="Choose another with --port, or stop the program that has it.",
            ) from error
        return settings.model_copy(update={"port": probe.getsockname()[1]})


@contextlib.contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data directory, so that two supervisors don't share one Redis and one ledger by mistake."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        held = (data_dir / "up.lock").open("w")
    except OSError as error:
        raise SettingsError(
            f"the data directory {data_dir} cannot be written: {error.strerror or error}.",
            hint="Choose another with --data-dir.",
        ) from error
    with held as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(
                f"another `prelabel up` uses {data_dir}.", hint="Stop it, or give this one its own --data-dir."
            ) from error
        yield
