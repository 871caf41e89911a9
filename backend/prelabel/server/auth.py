"""HTTP Basic authentication, API keys, and the header by which our own webhook is known.

Label Studio sends the backend's user and password with health, setup, predict and training, but not with webhooks. So
``/webhook`` also takes the header ``X-Prelabel-Webhook``, whose value follows from the password and is stored nowhere.
``/health`` and ``/ready`` stay open for probes: they say nothing that is worth protecting, and a wrong password is
explained better by ``/setup``, whose reason phrase Label Studio shows. Programs may send one of ``api_keys`` instead,
under ``/api/v1`` alone; with keys and without a password, all else stays open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Flask, Response, request

from prelabel.errors import AuthError

if TYPE_CHECKING:
    from prelabel.settings import Settings

WEBHOOK_HEADER = "X-Prelabel-Webhook"
OPEN = frozenset({"protocol.health", "protocol.root", "protocol.ready"})


def webhook_token(settings: Settings) -> str | None:
    """The value of the webhook's header; None where no password is set."""
    if settings.basic_auth_pass is None:
        return None
    key = settings.basic_auth_pass.get_secret_value().encode()
    return hmac.new(key, b"prelabel webhook", hashlib.sha256).hexdigest()


def credentials(settings: Settings) -> tuple[str, str] | None:
    """User and password that are asked for; None where no authentication is set."""
    if settings.basic_auth_pass is None:
        return None
    return settings.basic_auth_user or "", settings.basic_auth_pass.get_secret_value()


def require_credentials(app: Flask, settings: Settings) -> None:
    """Refuse requests without the right user and password, or, under ``/api/v1``, the right key, where they are set."""
    wanted = credentials(settings)
    keys = [key.encode() for key in settings.keys]
    if wanted is None and not keys:
        return
    expected = _encodings(":".join(wanted)) if wanted is not None else []
    token = (webhook_token(settings) or "").encode()

    @app.before_request
    def check() -> None:
        takes_keys = bool(keys) and _in_api()
        if request.endpoint in OPEN or not (wanted or takes_keys):
            return
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        said = _decoded(given)
        if sum(hmac.compare_digest(said, each) for each in expected):  # every one is compared
            return
        if takes_keys and sum(hmac.compare_digest(_bearer(given), each) for each in keys):
            return
        if (
            wanted is not None
            and request.endpoint == "protocol.webhook"
            and hmac.compare_digest(request.headers.get(WEBHOOK_HEADER, "").encode("utf-8", "surrogateescape"), token)
        ):
            return
        raise _refusal(takes_keys=takes_keys, given=bool(given))

    @app.after_request
    def challenge(response: Response) -> Response:
        if response.status_code == HTTPStatus.UNAUTHORIZED and keys and _in_api():
            basic = response.headers.get("WWW-Authenticate") if wanted is not None else None
            response.headers["WWW-Authenticate"] = ", ".join(filter(None, ('Bearer realm="prelabel"', basic)))
        return response


def _in_api() -> bool:
    return request.path.startswith("/api/v1/")


def _refusal(*, takes_keys: bool, given: bool) -> AuthError:
    if takes_keys:
        return AuthError(
            "wrong or missing API key." if given else "this prelabel server asks for an API key.",
            hint="Send the header `Authorization: Bearer KEY` with one of PRELABEL_API_KEYS.",
        )
    return AuthError(
        "wrong or missing user name and password." if given else "this prelabel server asks for a user and password.",
        hint="Choose Basic Authentication in Label Studio's Connect model dialog.",
    )


def _encodings(secret: str) -> list[bytes]:
    """As browsers send it (UTF-8), and as Label Studio does (Latin-1 where that has the letters)."""
    found = [secret.encode()]
    try:
        found.append(secret.encode("latin-1"))
    except UnicodeEncodeError:
        return found
    return found


def _decoded(header: bytes) -> bytes:
    scheme, _, encoded = header.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return b""


def _bearer(header: bytes) -> bytes:
    scheme, _, key = header.partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""
