"""A prelabel server inside the test process, for tests of what talks to one; SQLite and PostgreSQL."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import create_engine, text

from prelabel.settings import Settings, load_settings

MODEL = """
labels = ["Positive", "Negative"]

def predict(texts: list[str]) -> list[str]:
    return ["Positive" if "good" in text else "Negative" for text in texts]
"""


@dataclass
class Backend:
    """A running server: its settings (with the port it listens on) and its address."""

    settings: Settings
    url: str
    stop: threading.Event = field(repr=False)
    thread: threading.Thread | None = field(default=None, repr=False)

    def end(self) -> None:
        """Stop the server and wait for it."""
        self.stop.set()
        if self.thread is not None:
            self.thread.join(30)


BackendFactory = Callable[..., Backend]


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[BackendFactory]:
    """Starts servers: ``backend()`` or ``backend(MODEL_TEXT, basic_auth_user="bob", ...)``; stopped after the test."""
    from prelabel.data import DataReader
    from prelabel.loader import load_wrapper
    from prelabel.predictor.local import LocalPredictor
    from prelabel.runs import Ledger
    from prelabel.server import create_app
    from prelabel.server.serving import listen, serve_app

    started: list[Backend] = []

    def start(model: str = MODEL, **settings: Any) -> Backend:
        file = tmp_path / f"model{len(started)}.py"
        file.write_text(model)
        listening = listen("127.0.0.1", settings.pop("port", 0))
        given = load_settings(
            **{
                "data_dir": tmp_path / "prelabel",
                "port": listening.getsockname()[1],
                "drain_s": 1.0,
                "model": f"{file}:predict",
                **settings,
            }
        )
        ledger = Ledger.open(given)
        reader = DataReader(given)
        predictor = LocalPredictor(load_wrapper(str(given.model)), reader, given)
        assert predictor.wait_ready(30) or predictor.load_error
        app = create_app(given, predictor, ledger=ledger)
        running = Backend(given, f"http://127.0.0.1:{given.port}", threading.Event())

        def serve() -> None:
            try:
                serve_app(app, given, listening=listening, stop=running.stop, on_drained=predictor.close)
            finally:
                reader.close()
                ledger.close()

        running.thread = threading.Thread(target=serve)
        running.thread.start()
        started.append(running)
        return running

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="session")
def postgres(missing: Callable[[str], NoReturn]) -> Iterator[str]:
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
    deadline = time.monotonic() + 30
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
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'prelabel.sqlite3'}"
    server = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?").replace("+psycopg", "")
