"""The server's way to models and runs: one client on the ledger's database, opened when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from prelabel.errors import NotFoundError, OverloadedError
from prelabel.server.runs_work import Works

if TYPE_CHECKING:
    from prelabel.client import Client
    from prelabel.client_model import Model
    from prelabel.client_run import ModelRun
    from prelabel.runs import Ledger
    from prelabel.settings import Settings

REPORTS_AT_ONCE = 4
"""Reports and exports that are made at the same time; they hold a run's matches in memory."""
ID = "id:"

Said = dict[str, Any]


class Runs:
    """The app's way to the registry. Opened when it is first asked for: a server that nobody asks pays nothing."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._client: Client | None = None
        self._opening = threading.Lock()
        self._reports = threading.BoundedSemaphore(REPORTS_AT_ONCE)
        self.works = Works()

    @property
    def client(self) -> Client:
        """A client on the ledger's database. Imports whose lines are here, left by a killed process, go on."""
        with self._opening:
            if self._client is None:
                from prelabel.client import Client  # noqa: PLC0415 (NumPy and more, for those who ask)
                from prelabel.runs.mask_images import MaskImages  # noqa: PLC0415
                from prelabel.runs.registry import Registry  # noqa: PLC0415

                images = MaskImages(self._settings)
                registry = Registry(self._ledger.database, self._settings.data_dir / "imports", images)
                client = Client(self._settings, registry=registry)
                for row in registry.imports(state="RUNNING"):
                    if row.is_here:
                        client.run_in_background(row.id)
                self._client = client
            return self._client

    def run(self, key: str) -> ModelRun:
        """The run that a path names.

        Raises:
            NotFoundError: there is none.
        """
        number = _number(key)
        if number is not None:
            key = self.client.registry.run(number).name
        return self.client.get_model_run(known(key, "model run"))

    def model(self, key: str) -> Model:
        """The model that a path names.

        Raises:
            NotFoundError: there is none.
        """
        number = _number(key)
        if number is not None:
            key = next((row.name for row in self.client.registry.models() if row.id == number), key)
        return self.client.get_model(known(key, "model"))

    @contextmanager
    def report(self) -> Iterator[None]:
        """A seat for what takes memory and time.

        Raises:
            OverloadedError: all are taken.
        """
        if not self._reports.acquire(blocking=False):
            raise OverloadedError("too many reports are being made.", hint="Ask again in a few seconds.")
        try:
            yield
        finally:
            self._reports.release()

    def close(self) -> None:
        """End imports after the batch in hand, and works; imports go on with the next start."""
        self.works.close()
        with self._opening:
            if self._client is not None:
                self._client.close()


def _number(key: str) -> int | None:
    """The number that ``id:NUMBER`` has; None for a name."""
    number = key.removeprefix(ID)
    fits = key.startswith(ID) and number.isascii() and number.isdecimal() and len(number) < 19
    return int(number) if fits else None


def said(answer: BaseModel) -> Said:
    """An answer as JSON."""
    return answer.model_dump()


def known(name: str, what: str) -> str:
    """A name that the registry can be asked for.

    Raises:
        NotFoundError: nothing is ever called so.
    """
    if "\0" in name:
        raise NotFoundError(f"there is no {what} {name!r}.")
    return name
