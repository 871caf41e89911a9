"""One prelabel server over HTTP: reused connections, its key, its errors as ours, reads repeated, writes sent once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import httpx
import tenacity

from prelabel.errors import AuthError, DeadlineError, OverloadedError, PrelabelError, RequestError
from prelabel.predictor.remote import error_from_json

log = logging.getLogger(__name__)

READ_ATTEMPTS = 4
"""Tries of a GET before its error is the caller's."""
READ_WAIT_S = 0.5
CONNECT_S = 5.0
ANSWER_S = 60.0
MEASURE_S = 1800.0
"""Longest that metrics, reports and exports of a large run may take."""
CHUNK = 1 << 18
API = "/api/v1/"
WRITTEN = "X-Prelabel-Written"
"""Header of an export: how many things are in it."""


class Connection:
    """The transport below `prelabel.remote.client.RemoteClient`. Safe for threads; a forked child must make its own.

    Args:
        url: the server's address, with a path prefix where it has one.
        key: an API key; None: none is sent.
        auth: user and password, where there is no key.
        transport: a stand-in for the network, in tests.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        auth: tuple[str, str] | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        read_wait_s: float = READ_WAIT_S,
    ) -> None:
        try:
            given = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise RequestError(f"this is no address of a server: {error}.", hint="Write http://host:port.") from error
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            raise RequestError("the API key has signs that a header cannot carry.", hint="Look at PRELABEL_API_KEY.")
        if given.userinfo and auth is None:
            auth = (given.username, given.password)
        self.url = str(given.copy_with(username=None, password=None)).rstrip("/")
        self._read_wait_s = read_wait_s
        self._http = httpx.Client(
            base_url=self.url,
            auth=auth if key is None else None,
            headers={"User-Agent": "prelabel", **({"Authorization": f"Bearer {key}"} if key is not None else {})},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            # a connection that idles longer may be closed by the server just when a write is sent on it
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=4.0),
            transport=transport,
            trust_env=False,
            follow_redirects=False,
        )

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    # -- requests; paths are relative to /api/v1, and made by `path`

    def get(self, path: str, *, timeout_s: float = ANSWER_S, **params: Any) -> Any:
        """JSON of a GET, tried again while the server is busy or does not answer.

        Raises:
            PrelabelError: what the server said is wrong; OverloadedError where it says nothing.
        """
        return self._retrying(path)(self._json, "GET", path, params=_given(params), timeout=_timeout(timeout_s))

    def write(self, method: str, path: str, body: Any = None, *, timeout_s: float = ANSWER_S, **params: Any) -> Any:
        """JSON of a POST, PATCH or DELETE, sent once.

        Raises:
            PrelabelError: as `get`. After OverloadedError or DeadlineError it may or may not have happened.
        """
        more: dict[str, Any] = {} if body is None else {"json": body}
        return self._json(method, path, params=_given(params), timeout=_timeout(timeout_s), **more)

    def upload(self, path: str, file: Path, **params: Any) -> Any:
        """POST a file of lines, read as it is sent.

        Raises:
            PrelabelError: as `write`.
        """
        headers = {"Content-Type": "application/x-ndjson", "Content-Length": str(file.stat().st_size)}
        with file.open("rb") as lines:
            return self._json(
                "POST",
                path,
                params=_given(params),
                content=_chunks(lines),
                headers=headers,
                timeout=_timeout(MEASURE_S),
            )

    @contextmanager
    def download(self, path: str, **params: Any) -> Iterator[httpx.Response]:
        """GET with its body unread; tried again until it begins.

        Raises:
            PrelabelError: as `get`; also while the body is read, when the connection breaks.
        """
        request = {"params": _given(params), "timeout": _timeout(MEASURE_S)}
        response = self._retrying(path)(self._send, "GET", path, stream=True, **request)
        try:
            with self._ours("GET", path):
                yield response
        finally:
            response.close()

    # -- parts

    def _retrying(self, path: str) -> tenacity.Retrying:
        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(READ_ATTEMPTS),
            wait=tenacity.wait_exponential(self._read_wait_s, max=8.0) + tenacity.wait_random(0, self._read_wait_s),
            retry=tenacity.retry_if_exception_type(OverloadedError),
            before_sleep=lambda state: log.warning("asking for %s again: %s", path, _failure(state)),
            reraise=True,
        )

    def _json(self, method: str, path: str, **request: Any) -> Any:
        response = self._send(method, path, **request)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise self._no_server(f"answered {method} {path} with something that is not JSON") from error

    def _send(self, method: str, path: str, *, stream: bool = False, **request: Any) -> httpx.Response:
        with self._ours(method, path):
            response = self._http.send(self._http.build_request(method, API + path, **request), stream=stream)
            if response.is_success:
                return response
            try:
                response.read()
            finally:
                response.close()
            raise self._refusal(method, path, response)

    @contextmanager
    def _ours(self, method: str, path: str) -> Iterator[None]:
        """What goes wrong on the way, as errors of ours."""
        try:
            yield
        except httpx.ConnectError as error:
            raise OverloadedError(
                f"the prelabel server at {self.url} does not answer ({error}).",
                hint="Is `prelabel serve` or `prelabel up` running there?",
            ) from error
        except (httpx.ConnectTimeout, httpx.PoolTimeout, httpx.RemoteProtocolError, httpx.NetworkError) as error:
            raise OverloadedError(
                f"the prelabel server at {self.url} broke off {method} {path} ({type(error).__name__}).",
                hint="Try again; its log may say why.",
            ) from error
        except httpx.TimeoutException as error:
            raise DeadlineError(
                f"the prelabel server at {self.url} took too long for {method} {path}.", hint="Try again later."
            ) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._no_server(f"cannot be asked for {path} ({error})") from error

    def _refusal(self, method: str, path: str, response: httpx.Response) -> PrelabelError:
        status = response.status_code
        try:
            said = response.json()
        except ValueError:
            said = None
        if status in (401, 403) and not (isinstance(said, dict) and said.get("kind", "AuthError") != "AuthError"):
            return AuthError(
                f"the prelabel server at {self.url} refused the key, or asks for one.",
                hint="Give `api_key`, or set PRELABEL_API_KEY to one of the server's PRELABEL_API_KEYS.",
            )
        if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            return RequestError(
                f"what is sent is larger than the prelabel server at {self.url} takes.",
                hint="Set max_request_bytes higher there (PRELABEL_MAX_REQUEST_BYTES), or send less at a time.",
            )
        if isinstance(said, dict) and isinstance(said.get("error"), str):
            return error_from_json({"kind": _kind_of(status), **said})
        if status in (502, 503, 504):
            return OverloadedError(f"the prelabel server at {self.url} answered {method} {path} with {status}.")
        return self._no_server(f"answered {method} {path} with {status}")

    def _no_server(self, what: str) -> PrelabelError:
        return RequestError(f"{self.url} {what}.", hint="Is this the address of a prelabel server of this version?")


def path(*parts: str | int) -> str:
    """A path of these parts, in which a name may have any sign but a slash.

    Raises:
        RequestError: one cannot stand in a path.
    """
    for part in parts:
        if str(part) in {"", ".", ".."} or "/" in str(part):
            raise RequestError(f"{part!r} cannot stand in an address.", hint="Take a name without slashes.")
    return "/".join(quote(str(part), safe=":") for part in parts)


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was not given; httpx writes booleans as ``true`` and ``false``."""
    return {name: value for name, value in params.items() if value is not None}


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=CONNECT_S)


def _chunks(lines: IO[bytes]) -> Iterator[bytes]:
    while chunk := lines.read(CHUNK):
        yield chunk


def _failure(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


def _kind_of(status: int) -> str:
    """For what Flask itself refuses, which has no class of ours."""
    return {404: "NotFoundError", 503: "OverloadedError"}.get(
        status, "RequestError" if status < 500 else "PrelabelError"
    )
