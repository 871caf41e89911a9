"""Label Studio clients by connection, made once and kept: the key from the settings, else what ``/setup`` brought."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prelabel.labelstudio import LabelStudio
    from prelabel.runs import Connection, Ledger
    from prelabel.settings import Settings


class Clients:
    """Makes and keeps clients. Thread-safe.

    Args:
        model: the model's name, whose connections `any` looks at; None: everyone's.
    """

    def __init__(self, settings: Settings, ledger: Ledger | None, model: str | None = None) -> None:
        self._model = model
        self._settings = settings
        self._ledger = ledger
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], LabelStudio] = {}

    def of(self, connection: Connection) -> LabelStudio | None:
        """The client for a project; None where no address or token is known."""
        return self._client(connection.instance, connection.token)

    def any(self) -> LabelStudio | None:
        """A client for the Label Studio of the settings, else the one heard of last."""
        if self._settings.label_studio_url is not None and self._settings.label_studio_api_key is not None:
            return self._client("", "")
        known = self._ledger.connections(self._model) if self._ledger is not None else []
        return self.of(known[0]) if known else None

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _client(self, instance: str, token: str) -> LabelStudio | None:
        from prelabel.labelstudio import LabelStudio  # noqa: PLC0415 (only where there is one to talk to)

        url = self._settings.label_studio_url or instance
        key = self._settings.label_studio_api_key
        token = key.get_secret_value() if key is not None else token
        if not url or not token:
            return None
        with self._lock:
            found = self._clients.get((url, token))
            if found is None:
                found = self._clients[url, token] = LabelStudio(url, token)
            return found
