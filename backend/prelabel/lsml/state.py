"""What a `label_studio_ml` model keeps for each project (``get``, ``set``): in the registry, a file, or memory."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import delete, select

from prelabel.errors import ModelError
from prelabel.runs.tables import model_state

if TYPE_CHECKING:
    from prelabel.runs import Ledger


class State(Protocol):
    """Texts by project and key. Thread-safe."""

    def get(self, project: str, key: str) -> str | None:
        """The text; None where there is none."""

    def set(self, project: str, key: str, value: str | None) -> None:
        """Keep a text; None forgets it."""


class MemoryState:
    """State that lives in this process, and in a JSON file where one is given.

    Raises:
        ModelError: the file is there but cannot be read.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, str]] = {}
        if file is not None and file.exists():
            try:
                self._known = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise ModelError(f"the model's state {file} cannot be read: {error}.", hint="Remove it.") from error

    def get(self, project: str, key: str) -> str | None:
        with self._lock:
            return self._known.get(project, {}).get(key)

    def set(self, project: str, key: str, value: str | None) -> None:
        with self._lock:
            kept = self._known.setdefault(project, {})
            if kept.get(key) == value:
                return
            if value is None:
                kept.pop(key, None)
            else:
                kept[key] = value
            self._write()

    def _write(self) -> None:
        """Replace the file as a whole, so that whoever reads it finds the old or the new state."""
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self._file.parent, delete=False) as part:
            try:
                json.dump(self._known, part)
                part.close()
                Path(part.name).replace(self._file)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(part.name)


class RegistryState:
    """State in the registry's table ``model_state``: shared by all processes of a model, and there after a restart."""

    def __init__(self, ledger: Ledger, model: str) -> None:
        self._ledger = ledger
        self._model = model

    def get(self, project: str, key: str) -> str | None:
        query = select(model_state.c.value).where(*self._place(project, key))
        with self._ledger.database.read() as db:
            return db.execute(query).scalar()

    def set(self, project: str, key: str, value: str | None) -> None:
        if value is None:
            with self._ledger.database.write() as db:
                db.execute(delete(model_state).where(*self._place(project, key)))
            return
        if self.get(project, key) == value:
            return
        written = {"value": value, "updated_at": self._ledger.now()}
        statement = self._ledger.insert(model_state).values(model=self._model, project=project, key=key, **written)
        with self._ledger.database.write() as db:
            db.execute(statement.on_conflict_do_update(index_elements=["model", "project", "key"], set_=written))

    def _place(self, project: str, key: str) -> tuple[Any, ...]:
        return (
            model_state.c.model == self._model,
            model_state.c.project == project,
            model_state.c.key == key,
        )
