"""A prelabel server and the command `prelabel` inside the test process, for tests of what talks to them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from prelabel.cli import cli
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
        assert predictor.wait_ready(60) or predictor.load_error
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


@pytest.fixture
def command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs ``prelabel`` with arguments in this process, in a directory and data directory of its own."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("PRELABEL_", "LABEL_STUDIO_", "BASIC_AUTH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PRELABEL_DATA_DIR", str(tmp_path / "data"))
    return lambda *arguments: CliRunner().invoke(cli, arguments, prog_name="prelabel")
