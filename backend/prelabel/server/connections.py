"""What ``/setup`` brings, remembered; and what follows from it in the background: token check and webhook header."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prelabel.errors import LabelStudioAuthError, PrelabelError
from prelabel.runs.rows import Connection
from prelabel.server.auth import WEBHOOK_HEADER, webhook_token
from prelabel.server.requests import project_id

if TYPE_CHECKING:
    from prelabel.labelstudio import LabelStudio
    from prelabel.runs.ledger import Ledger
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

LabelStudioFactory = Callable[[Connection], "LabelStudio | None"]
"""Makes a client for a connection; None where no address or token is known."""

UNKNOWN_S = 5.0
"""How long a project that the ledger does not know is not looked up again."""
ATTEMPTS_S = (0.5, 2.0, 5.0, 15.0, 60.0)
"""Pauses before looking for the webhook: Label Studio makes it after the first ``/setup`` of a new backend."""

REFUSED_SETUP = (
    "Label Studio at %s refuses the token that /setup brought (legacy tokens are switched off by default since 1.23), "
    "so nothing can be pre-labeled in the background. Two ways out: set LABEL_STUDIO_API_KEY to a personal access "
    "token (Account & Settings > Personal Access Token), or enable legacy tokens (Organization > API Tokens Settings)."
)
REFUSED_KEY = (
    "Label Studio at %s refuses LABEL_STUDIO_API_KEY, so nothing can be pre-labeled in the background. "
    "Make a new personal access token under Account & Settings > Personal Access Token."
)


class Connections:
    """The projects that this server's model is connected to. Thread-safe; reading is a look into a dictionary.

    Args:
        model: the model's name; other models' connections in the same ledger are none of ours.
        settings: Label Studio's address and key in them win over what ``/setup`` brings.
        ledger: where connections outlive the process; None: nowhere.
        label_studio: makes clients, for the work in the background.
    """

    def __init__(
        self, model: str, settings: Settings, ledger: Ledger | None, label_studio: LabelStudioFactory | None
    ) -> None:
        self._model = model
        self._settings = settings
        self._ledger = ledger
        self._label_studio = label_studio
        self._lock = threading.Lock()
        self._by_key: dict[str, Connection] = {}
        self._by_id: dict[int, Connection] = {}
        self._unknown: dict[int, float] = {}  # projects that the ledger does not know, and when to ask again
        self._refused: set[tuple[str, str]] = set()
        self._done: set[tuple[str, int, str]] = set()
        self._running: set[tuple[str, int]] = set()

    def remember(
        self,
        key: Any,
        label_config: str,
        hostname: str = "",
        token: str = "",
        extra_params: Any = None,
    ) -> Connection | None:
        """Write down what ``/setup`` (or a webhook) told; only a change reaches the ledger.

        Args:
            key: ``"4.1795321939"``, the project's id and its moment of creation.
            label_config: XML.
            hostname: Label Studio's address as it calls itself.
            token: the legacy token that came along.
            extra_params: an object, or the string that the UI's form sends.
        """
        number = project_id(key)
        if number is None:
            return None
        known = self.find(key)
        instance = self._settings.label_studio_url or hostname or (known.instance if known else "")
        connection = Connection(
            instance=instance.rstrip("/"),
            project=number,
            label_config=label_config or (known.label_config if known else ""),
            token=token or (known.token if known else ""),
            extra_params=_object(extra_params) or (known.extra_params if known else {}),
            model=self._model,
        )
        if known is None or dataclasses.replace(known, id=0) != connection:
            if self._ledger is not None and instance:
                connection = self._ledger.remember_project(connection)
            with self._lock:
                self._by_key[str(key)] = connection
                self._by_id[number] = connection
            return connection
        return known

    def find(self, key: Any) -> Connection | None:
        """The connection of a project: by its full key, else by its id, else from the ledger."""
        number = project_id(key)
        if number is None:
            return None
        found = self._by_key.get(str(key)) or self._by_id.get(number)
        if found is None and self._ledger is not None and self._unknown.get(number, 0.0) <= time.monotonic():
            found = self._ledger.connection(number, self._settings.label_studio_url, model=self._model)
            with self._lock:
                if found is not None:
                    self._by_id[number] = found
                else:
                    self._unknown[number] = time.monotonic() + UNKNOWN_S
        return found

    def forget(self, key: Any) -> None:
        """Forget what is held in memory of a project; the ledger keeps what it knows."""
        number = project_id(key)
        with self._lock:
            self._by_key.pop(str(key), None)
            if number is not None:
                self._by_id.pop(number, None)

    def can_push(self, connection: Connection | None) -> bool:
        """Whether predictions for the project can be brought to Label Studio later."""
        if connection is None or not connection.instance:
            return False
        token = self._token(connection)
        return bool(token) and (connection.instance, token) not in self._refused

    def _token(self, connection: Connection) -> str:
        key = self._settings.label_studio_api_key
        return key.get_secret_value() if key is not None else connection.token

    # -- in the background
    def look_after(self, connection: Connection, own_address: str) -> None:
        """Try the token and give our webhook its header: in a thread, once per project and change.

        Args:
            connection: as `remember` returned it.
            own_address: the address at which Label Studio asked us, e.g. ``http://prelabel:9090``.
        """
        if self._label_studio is None:
            return
        change = (connection.instance, connection.project, self._token(connection))
        place = (connection.instance, connection.project)
        with self._lock:
            if change in self._done or place in self._running:
                return
            self._running.add(place)
        thread = threading.Thread(
            target=self._look_after, args=(connection, own_address, change), name="prelabel-setup", daemon=True
        )
        thread.start()

    def _look_after(self, connection: Connection, own_address: str, change: tuple[str, int, str]) -> None:
        settled = False
        try:
            settled = self._try(connection, own_address)
        except PrelabelError as error:
            logger.warning("project %d: %s", connection.project, error)
        except Exception:
            logger.exception("project %d: looking after the connection failed", connection.project)
        finally:
            with self._lock:
                self._running.discard((connection.instance, connection.project))
                if settled:
                    self._done.add(change)

    def _try(self, connection: Connection, own_address: str) -> bool:
        """True when nothing is left to do until something changes."""
        client = self._label_studio(connection) if self._label_studio is not None else None
        if client is None:
            logger.warning(
                "project %d: no token for Label Studio, so nothing can be pre-labeled in the background; "
                "set LABEL_STUDIO_API_KEY to a personal access token.",
                connection.project,
            )
            return True
        token = self._token(connection)
        try:
            client.whoami()
        except LabelStudioAuthError:
            self._refused.add((connection.instance, token))
            given = self._settings.label_studio_api_key is not None
            logger.error(REFUSED_KEY if given else REFUSED_SETUP, connection.instance)  # noqa: TRY400 (no traceback)
            return True
        self._refused.discard((connection.instance, token))
        header = webhook_token(self._settings)
        if header is None:
            return True
        for pause in ATTEMPTS_S:
            threading.Event().wait(pause)
            if self._mark_webhook(client, connection, own_address, header):
                return True
        logger.warning(
            "project %d: Label Studio has no webhook that points here (%s/webhook), so imported tasks are found by the "
            "sweep only; `prelabel doctor` says more.",
            connection.project,
            own_address,
        )
        return False

    def _mark_webhook(self, client: LabelStudio, connection: Connection, own_address: str, header: str) -> bool:
        ours = {_place(own_address), _place(self._settings.effective_public_url)}
        found = False
        for hook in client.webhooks(connection.project):
            url = str(hook["url"])
            if not url.endswith("/webhook") or _place(url) not in ours:
                continue
            found = True
            headers = dict(hook.get("headers") or {})
            if headers.get(WEBHOOK_HEADER) != header:
                client.set_webhook_headers(int(hook["id"]), {**headers, WEBHOOK_HEADER: header})
                logger.info("project %d: webhook %s carries our header now", connection.project, hook["id"])
        return found


def _place(url: str) -> tuple[str, int]:
    """Host and port of an address."""
    parts = urlsplit(url)
    return (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


def _object(extra_params: Any) -> Mapping[str, Any]:
    """Extra parameters as an object: the API brings one, the UI's form its JSON as a string."""
    if isinstance(extra_params, str) and extra_params.strip():
        try:
            extra_params = json.loads(extra_params)
        except ValueError:
            logger.warning("the backend's extra parameters are not JSON: %.100r", extra_params)
            return {}
    return extra_params if isinstance(extra_params, dict) else {}


def project_key(project: Mapping[str, Any]) -> str:
    """The key that ``/setup`` and ``/predict`` use, from a webhook's project: id and moment of creation."""
    number = str(project.get("id", ""))
    try:
        created = datetime.fromisoformat(str(project["created_at"]).replace("Z", "+00:00"))
    except (KeyError, ValueError):
        return number
    return f"{number}.{int(created.timestamp())}"
