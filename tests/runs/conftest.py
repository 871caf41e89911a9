"""A client on SQLite and on PostgreSQL, and servers whose clients are used in the same way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from prelabel.client import Client
from prelabel.runs import Ledger
from prelabel.server import create_app
from prelabel.server.serving import listen, serve_app
from prelabel.settings import Settings, load_settings
from prelabel.testing.stub import StubPredictor

KEY = "the-key-of-this-test"
Serve = Callable[[Settings], str]


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return load_settings(data_dir=tmp_path / "data", database_url=database_url)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    made = Ledger.open(settings)
    yield made
    made.close()


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with Client(settings) as made:
        yield made


@pytest.fixture
def sqlite_client(tmp_path: Path) -> Iterator[Client]:
    """For what is the same on every database."""
    with Client(tmp_path / "data") as made:
        yield made


@pytest.fixture
def keys(client: Client) -> Callable[[int], list[str]]:
    """Makes data rows of images: ``keys(3)`` are the global keys ``k0``, ``k1``, ``k2``."""

    def make(count: int) -> list[str]:
        rows = [{"row_data": f"http://x/{i}.jpg", "global_key": f"k{i}", "media_type": "IMAGE"} for i in range(count)]
        client.import_data_rows("images", rows)
        return [f"k{i}" for i in range(count)]

    return make


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves a registry on loopback: ``serve(settings)`` is the address of a server that asks for the key `KEY`."""
    with ExitStack() as running:
        yield lambda settings: running.enter_context(_served(settings))


@contextmanager
def _served(settings: Settings) -> Iterator[str]:
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    given = settings.model_copy(update={"port": port, "api_keys": load_settings(api_keys=KEY).api_keys, "drain_s": 1.0})
    stop = threading.Event()
    with closing(Ledger.open(given)) as ledger:
        app = create_app(given, StubPredictor(), ledger=ledger)
        thread = threading.Thread(
            target=serve_app, args=(app, given), kwargs={"listening": listening, "stop": stop}, name="served"
        )
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            stop.set()
            thread.join()
            app.extensions["prelabel"]["runs"].close()


@pytest.fixture
def remote(tmp_path: Path, serve: Serve) -> Iterator[Client]:
    """A client of a server on SQLite, in `tmp_path` / data."""
    with Client(serve(load_settings(data_dir=tmp_path / "data")), api_key=KEY) as made:
        yield made
