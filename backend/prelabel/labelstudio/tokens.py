"""Label Studio's two kinds of tokens, told apart by their form, and the headers that each needs.

A personal access token is a JSON Web Token; it is exchanged for access tokens that live five minutes. A legacy token
is 40 hexadecimal digits and is sent as it is; organisations made by Label Studio 1.23 refuse it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
import time
from collections.abc import Callable, Generator
from typing import Literal

import httpx

from prelabel.errors import LabelStudioAuthError

TokenKind = Literal["personal", "legacy"]
PERSONAL: TokenKind = "personal"

REFRESH_BEFORE_S = 45.0
"""An access token is exchanged this long before it ends."""
ASSUMED_LIFE_S = 300.0
"""Life of an access token that does not say it."""
LEGACY_REFUSED_HINT = (
    "Two ways out: make a personal access token (Account & Settings > Personal Access Token) and set "
    "LABEL_STUDIO_API_KEY to it; or let an owner allow legacy tokens (Organization > API Tokens Settings)."
)

_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def token_kind(token: str) -> TokenKind:
    """Which kind of token this is, by its form alone."""
    return "personal" if _JWT.fullmatch(token) else "legacy"


class LegacyAuth(httpx.Auth):
    """Sends the token as it is."""

    def __init__(self, token: str) -> None:
        self._header = f"Token {token}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers["Authorization"] = self._header
        yield request


class PersonalAuth(httpx.Auth):
    """Keeps a fresh access token; safe for threads. One thread exchanges, the others wait for it.

    Args:
        exchange: personal access token to a new access token; raises the caller's errors.
    """

    def __init__(self, exchange: Callable[[], str]) -> None:
        self._exchange = exchange
        self._lock = threading.Lock()
        self._access = ""
        self._until = 0.0  # time.monotonic

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header; when Label Studio refuses an access token (which it then did not act upon), once more."""
        access = self._fresh(refused="")
        request.headers["Authorization"] = f"Bearer {access}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            request.headers["Authorization"] = f"Bearer {self._fresh(refused=access)}"
            yield request

    def _fresh(self, refused: str) -> str:
        with self._lock:
            if not self._access or self._access == refused or time.monotonic() >= self._until:
                self._access = self._exchange()
                self._until = time.monotonic() + max(_life_s(self._access) - REFRESH_BEFORE_S, 1.0)
            return self._access


def refused(status: int, detail: str, kind: TokenKind) -> LabelStudioAuthError:
    """The error that says why the token was refused and what to do about it."""
    if kind == "legacy":
        disabled = "legacy token authentication has been disabled" in detail
        message = (
            "Label Studio refuses legacy tokens (its default since 1.23), and this is one."
            if disabled
            else "Label Studio refused the token, which by its form is a legacy one."
        )
        return LabelStudioAuthError(message, hint=LEGACY_REFUSED_HINT, http_status=status)
    return LabelStudioAuthError(
        "Label Studio refused the personal access token: it was revoked, has ended, or is of another Label Studio.",
        hint="Make a new one (Account & Settings > Personal Access Token) and set LABEL_STUDIO_API_KEY to it.",
        http_status=status,
    )


def _life_s(access: str) -> float:
    """Seconds from issue to end, as the token says; both ends by Label Studio's clock, so no clock of ours matters."""
    try:
        body = access.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return float(claims["exp"]) - float(claims["iat"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return ASSUMED_LIFE_S
