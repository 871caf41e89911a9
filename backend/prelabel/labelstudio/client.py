"""One Label Studio over HTTP: reused connections, tokens, errors of ours, reads retried, writes never blindly."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import tenacity

from prelabel.errors import (
    LabelStudioAuthError,
    LabelStudioError,
    LabelStudioUnavailableError,
    LabelStudioUnreachableError,
)
from prelabel.labelstudio.tokens import PERSONAL, LegacyAuth, PersonalAuth, TokenKind, refused, token_kind

log = logging.getLogger(__name__)

READ_ATTEMPTS = 4
"""Tries of a GET before its error is the caller's."""
CONNECT_S = 5.0
"""Longest that a connection may take; Label Studio is near."""
TRY_LATER = frozenset({408, 425, 429})


class Client:
    """The transport below `LabelStudio`. Safe for threads; a forked child must make its own."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        read_wait_s: float = 0.5,
    ) -> None:
        self._url = url.rstrip("/")
        self._token = token.strip()
        self.token_kind: TokenKind = token_kind(self._token)
        self._read_wait_s = read_wait_s
        self._http = httpx.Client(
            base_url=self._url + "/",
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_S),
            # a connection that idles longer may be closed by Label Studio just when a write is sent on it
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=4.0),
            transport=transport,
            headers={"User-Agent": "prelabel", "Accept": "application/json"},
            follow_redirects=False,
        )
        self._auth: httpx.Auth = (
            PersonalAuth(self._exchange) if self.token_kind == PERSONAL else LegacyAuth(self._token)
        )

    @property
    def url(self) -> str:
        """Label Studio's address, without a slash at its end."""
        return self._url

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- requests

    def get(self, path: str, **params: Any) -> Any:
        """JSON of a GET, tried again while Label Studio is unavailable.

        Raises:
            LabelStudioAuthError: the token is refused.
            LabelStudioUnavailableError: Label Studio is still unavailable after the last try.
            LabelStudioError: any other refusal.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(READ_ATTEMPTS),
            wait=tenacity.wait_exponential(self._read_wait_s, max=8.0) + tenacity.wait_random(0, self._read_wait_s),
            retry=tenacity.retry_if_exception_type(LabelStudioUnavailableError),
            before_sleep=lambda state: log.warning("reading %s again: %s", path, _failure(state)),
            reraise=True,
        )
        return retrying(self._json, "GET", path, params=params)

    def write(self, method: str, path: str, *, timeout_s: float | None = None, **request: Any) -> Any:
        """JSON of a POST, PATCH or DELETE, sent once.

        Raises:
            LabelStudioUnreachableError: it was never sent.
            LabelStudioUnavailableError: it may or may not have happened.
            LabelStudioAuthError: the token is refused; nothing happened.
            LabelStudioError: refused.
        """
        if timeout_s is not None:
            request["timeout"] = httpx.Timeout(timeout_s, connect=CONNECT_S)
        return self._json(method, path, **request)

    @contextmanager
    def stream(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout_s: float | None = None
    ) -> Iterator[httpx.Response]:
        """GET with our token, body unread, redirects not followed; ``url`` is absolute or relative to `url`.

        The token is sent to Label Studio's own scheme, host and port only.

        Raises:
            LabelStudioError: ``url`` is another host's, the token is refused, or Label Studio cannot be reached.
        """
        target = self._http.base_url.join(url) if "://" in url else httpx.URL(self._url + "/" + url.lstrip("/"))
        base = self._http.base_url
        if (target.scheme, target.host, target.port) != (base.scheme, base.host, base.port):
            raise LabelStudioError(f"{target.host} is not Label Studio; it does not get its token.")
        timeout = httpx.USE_CLIENT_DEFAULT if timeout_s is None else httpx.Timeout(timeout_s)
        request = self._http.build_request("GET", target, headers={"Accept": "*/*", **(headers or {})}, timeout=timeout)
        response = self._send(request, stream=True)
        try:
            if response.status_code == httpx.codes.UNAUTHORIZED:
                response.read()
                raise refused(response.status_code, _detail(response), self.token_kind)
            yield response
        finally:
            response.close()

    def _json(self, method: str, path: str, **request: Any) -> Any:
        response = self._send(self._http.build_request(method, path.lstrip("/"), **request))
        if response.is_error or response.is_redirect:
            raise self._error(method, path, response)
        if response.status_code == httpx.codes.NO_CONTENT or not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise LabelStudioUnavailableError(
                f"{self._url} answered {method} {path} with something that is not JSON.",
                hint="Is that Label Studio's address, and not a proxy's login page?",
                http_status=response.status_code,
            ) from error

    def _send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        try:
            return self._http.send(request, auth=self._auth, stream=stream)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise LabelStudioUnreachableError(
                f"Label Studio cannot be reached at {self._url}: {error or type(error).__name__}.",
                hint="Check LABEL_STUDIO_URL and that Label Studio is running.",
            ) from error
        except httpx.TransportError as error:
            what = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "broke off the connection"
            raise LabelStudioUnavailableError(
                f"Label Studio at {self._url} {what} ({request.method} {request.url.path})."
            ) from error

    def _error(self, method: str, path: str, response: httpx.Response) -> LabelStudioError:
        status = response.status_code
        detail = _detail(response)
        if status == httpx.codes.UNAUTHORIZED:
            return refused(status, detail, self.token_kind)
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or status in TRY_LATER:
            return LabelStudioUnavailableError(
                f"Label Studio answered {method} {path} with {status}.", http_status=status
            )
        hint = ""
        if status == httpx.codes.FORBIDDEN:
            hint = "Check that the token's user may see and change the project."
        elif status == httpx.codes.NOT_FOUND:
            hint = "Check the id, and that the token's user may see it."
        elif response.is_redirect:
            hint = f"It redirects to {response.headers.get('location', '')}: set LABEL_STUDIO_URL to the final address."
        return LabelStudioError(
            f"Label Studio refused {method} {path} ({status}): {detail}", hint=hint, http_status=status
        )

    def _exchange(self) -> str:
        """A new access token for the personal one."""
        try:
            answer = self._http.post("api/token/refresh/", json={"refresh": self._token}, auth=httpx.Auth())
        except httpx.TransportError as error:  # the request that needed the token has not been sent
            raise LabelStudioUnreachableError(
                f"Label Studio cannot be reached at {self._url}: {error or type(error).__name__}.",
                hint="Check LABEL_STUDIO_URL and that Label Studio is running.",
            ) from error
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise refused(answer.status_code, _detail(answer), "personal")
        try:
            answer.raise_for_status()
            return str(answer.json()["access"])
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            raise LabelStudioUnreachableError(
                f"{self._url} answered {answer.status_code} to the exchange of the personal access token.",
                hint="Is that Label Studio's address?",
                http_status=answer.status_code,
            ) from error


def _detail(response: httpx.Response) -> str:
    """Label Studio's own words, shortened."""
    try:
        body = response.json()
    except ValueError:
        return response.text[:200].strip()
    if not isinstance(body, dict):
        return str(body)[:2000]
    errors = body.get("validation_errors")
    if isinstance(errors, dict):
        said = " ".join(
            f"{name}: {text}" if name != "non_field_errors" else str(text)
            for name, texts in errors.items()
            for text in (texts if isinstance(texts, list) else [texts])
        )
    else:
        said = str(errors) if errors else ""
    return f"{body.get('detail') or ''} {said}".strip()[:200_000]


def _failure(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


__all__ = ["Client", "LabelStudioAuthError"]
