"""A client on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prelabel.client import Client
from prelabel.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return load_settings(data_dir=tmp_path / "data", database_url=database_url)


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
