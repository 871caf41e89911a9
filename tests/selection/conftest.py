"""A client whose Label Studio is a fake that also takes changes of single predictions, as the recordings show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from prelabel.client import Client
from prelabel.settings import load_settings
from prelabel.testing.fake_label_studio import FakeLabelStudio


class Studio(FakeLabelStudio):
    """The fake; ``changes`` counts changed predictions."""

    changes = 0

    def answer(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Any) -> Any:
        number = path.rpartition("/")[2]
        if method == "PATCH" and path.startswith("/api/predictions/") and int(number) in self.predictions:
            self.changes += 1
            self.predictions[int(number)] |= body
            return 200, self.predictions[int(number)]
        if method == "PATCH" and path.startswith("/api/projects/") and int(number) in self.projects:
            self.projects[int(number)] |= body
            return 200, self.projects[int(number)]
        return super().answer(method, path, query, headers, body)

    def by_text(self, field: str) -> dict[str, Any]:
        """A field of the predictions, by the text of their tasks."""
        return {self.tasks[one["task"]]["data"]["text"]: one.get(field) for one in self.predictions.values()}

    def task_of(self, text: str) -> int:
        """The id of the task that shows a text."""
        return next(number for number, task in self.tasks.items() if task["data"]["text"] == text)


@pytest.fixture
def studio() -> Iterator[Studio]:
    with Studio() as fake:
        yield fake


@pytest.fixture
def client(studio: Studio, database_url: str, tmp_path: Path) -> Iterator[Client]:
    """On SQLite and on PostgreSQL."""
    settings = load_settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        label_studio_url=studio.url,
        label_studio_api_key=studio.token,
    )
    with Client(settings) as made:
        yield made


@pytest.fixture
def sqlite_client(studio: Studio, tmp_path: Path) -> Iterator[Client]:
    """For what is the same on every database."""
    settings = load_settings(data_dir=tmp_path / "data", label_studio_url=studio.url, label_studio_api_key=studio.token)
    with Client(settings) as made:
        yield made
