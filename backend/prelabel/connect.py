"""Registering the backend in Label Studio without its UI: idempotent, and with its webhook in order.

Label Studio makes a webhook with the first backend of an address, keeps it when the backend is deleted, and never sends
the backend's user and password with it. So the webhook is looked at each time: made when it is missing, given our
header when the server asks for credentials, and reduced to one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prelabel.errors import LabelStudioError, PrelabelError, SettingsError
from prelabel.server.auth import WEBHOOK_HEADER, credentials, webhook_token

if TYPE_CHECKING:
    from prelabel.labelstudio import LabelStudio
    from prelabel.runs.rows import Connection
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

CONNECTED = "CO"
PRIVATE_ADDRESSES_FIX = (
    "Start Label Studio with ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false (both), or give prelabel a "
    "public address with --public-url."
)
_REASON = re.compile(r"Reason: \d{3} \w+ Error: (?P<sentence>.+?) for url:", re.DOTALL)


class ConnectError(LabelStudioError):
    """Label Studio would not connect the backend; the message says why, the hint what to change."""


@dataclass(frozen=True, slots=True)
class Connected:
    """What `connect` found and did.

    ``created`` is False where the backend was there already. ``webhook`` is None where Label Studio refuses webhooks to
    this address; ``warning`` then says what follows.
    """

    project: int
    title: str
    url: str
    backend: int
    model_version: str
    created: bool
    webhook: int | None
    warning: str = ""


def label_studio_for(settings: Settings, connection: Connection | None = None) -> LabelStudio:
    """A client for the Label Studio of the settings, else for the one that ``/setup`` told of.

    Raises:
        SettingsError: neither says where it is, or with which key.
    """
    from prelabel.labelstudio import LabelStudio  # noqa: PLC0415 (httpx is slow to import)

    url = settings.label_studio_url or (connection.instance if connection is not None else "")
    key = settings.label_studio_api_key
    token = key.get_secret_value() if key is not None else (connection.token if connection is not None else "")
    if not url:
        raise SettingsError("where is Label Studio?", hint="Set LABEL_STUDIO_URL, for instance http://127.0.0.1:8080.")
    if not token:
        raise SettingsError(
            f"there is no key for Label Studio at {url}.",
            hint="Make a personal access token (Account & Settings there) and set LABEL_STUDIO_API_KEY to it.",
        )
    return LabelStudio(url, token)


def connect(
    settings: Settings, label_studio: LabelStudio, project: int, *, title: str = "prelabel", interactive: bool = False
) -> Connected:
    """Make sure that the project has this backend, once, with a webhook that gets through.

    Args:
        settings: ``effective_public_url`` is what gets registered; user and password where they are set.
        label_studio: the client.
        project: the project's id.
        title: what Label Studio calls the backend.
        interactive: use it for interactive preannotations.

    Raises:
        ConnectError: Label Studio cannot reach the backend, or the model does not fit the labeling config.
        LabelStudioError: the project does not exist, or the token is refused.
    """
    url = settings.effective_public_url
    name = str(label_studio.project(project).get("title", ""))
    same = [backend for backend in label_studio.backends(project) if str(backend["url"]).rstrip("/") == url]
    good = [backend for backend in same if _is_good(backend, settings, interactive=interactive)]
    created = not good
    backend = good[0] if good else _create(settings, label_studio, project, title, interactive=interactive)
    for surplus in same:
        if surplus["id"] != backend["id"]:
            label_studio.delete_backend(int(surplus["id"]))
    webhook, warning = _webhook(settings, label_studio, project, url)
    return Connected(
        project=project,
        title=name,
        url=url,
        backend=int(backend["id"]),
        model_version=str(backend.get("model_version") or ""),
        created=created,
        webhook=webhook,
        warning=warning,
    )


def _is_good(backend: Mapping[str, Any], settings: Settings, *, interactive: bool) -> bool:
    """Whether this registration works and says what we would say."""
    wanted = credentials(settings)
    user = str(backend.get("basic_auth_user") or "") if backend.get("auth_method") == "BASIC_AUTH" else None
    return (
        backend.get("state") == CONNECTED
        and user == (wanted[0] if wanted else None)
        and bool(backend.get("is_interactive")) == interactive
    )


def _create(
    settings: Settings, label_studio: LabelStudio, project: int, title: str, *, interactive: bool
) -> dict[str, Any]:
    url = settings.effective_public_url
    before = {int(backend["id"]) for backend in label_studio.backends(project)}
    try:
        return label_studio.create_backend(
            project, url, title=title, basic_auth=credentials(settings), interactive=interactive
        )
    except LabelStudioError as error:
        # With one of its two address checks on, Label Studio refuses and keeps the backend all the same.
        for backend in label_studio.backends(project):
            if int(backend["id"]) not in before and str(backend["url"]).rstrip("/") == url:
                label_studio.delete_backend(int(backend["id"]))
        raise explain(error, url) from error


def explain(error: LabelStudioError, url: str) -> LabelStudioError:
    """Label Studio's refusal of a backend, said so that one knows what to do."""
    said = error.message
    fit = _REASON.search(said)
    if "reserved network address" in said or "local IP" in said:
        message, hint = f"Label Studio refuses backends on private addresses such as {url}.", PRIVATE_ADDRESSES_FIX
    elif "health check failed" in said:
        message = f"Label Studio cannot reach {url}."
        hint = "Is `prelabel serve` running? If Label Studio knows this machine by another address, give --public-url."
        if "private or reserved" in said or "blocked" in said:
            hint = PRIVATE_ADDRESSES_FIX
    elif "authentication parameters" in said or (fit and "user name and password" in fit["sentence"]):
        message = f"the server at {url} asks for another user and password."
        hint = "Give `connect` the BASIC_AUTH_USER and BASIC_AUTH_PASS that the server was started with."
    elif fit:
        message, hint = f"the model and the labeling config do not go together: {fit['sentence']}", ""
    else:
        return error
    return ConnectError(message, hint=hint, http_status=error.http_status)


def webhooks_of(label_studio: LabelStudio, project: int, url: str) -> list[dict[str, Any]]:
    """The project's webhooks that point to the backend at ``url``, oldest first."""
    found = [hook for hook in label_studio.webhooks(project) if str(hook["url"]).rstrip("/") == f"{url}/webhook"]
    return sorted(found, key=lambda hook: int(hook["id"]))


def _webhook(settings: Settings, label_studio: LabelStudio, project: int, url: str) -> tuple[int | None, str]:
    """The one webhook, made and marked where need be; or None and what follows."""
    token = webhook_token(settings)
    headers = {WEBHOOK_HEADER: token} if token else {}
    found = webhooks_of(label_studio, project, url)
    try:
        if not found:
            body = {
                "project": project,
                "url": f"{url}/webhook",
                "send_payload": True,
                "send_for_all_actions": True,
                "headers": headers,
            }
            found = [label_studio.write("POST", "api/webhooks/", json=body)]
        for surplus in found[1:]:
            label_studio.write("DELETE", f"api/webhooks/{surplus['id']}/")
        hook = found[0]
        there = dict(hook.get("headers") or {})
        if any(there.get(name) != value for name, value in headers.items()):
            label_studio.set_webhook_headers(int(hook["id"]), {**there, **headers})
    except LabelStudioError as error:
        logger.debug("the webhook could not be put in order", exc_info=error)
        warning = f"imports will be noticed by the sweep only, since Label Studio refuses the webhook: {error.message}"
        return None, f"{warning} {PRIVATE_ADDRESSES_FIX}" if _is_about_addresses(error) else warning
    return int(hook["id"]), ""


def _is_about_addresses(error: PrelabelError) -> bool:
    return "address" in error.message
