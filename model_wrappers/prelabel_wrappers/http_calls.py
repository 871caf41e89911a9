"""Calls of another server over HTTP: reused connections, patience, and nothing secret in what is said about them."""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
import tenacity

from prelabel.errors import DeadlineError, ModelError, OverloadedError, PrelabelError
from prelabel.log import redact
from prelabel_wrappers.http_headers import parsed_url

T = TypeVar("T")

AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may succeed."""
NOT_THE_ITEM = (AGAIN - {500}) | {401, 402, 403, 404, 405}
"""Statuses that say nothing about the item: a later job asks again, when the key, the bill or the address is right."""
LONGEST_WAIT_S = 60.0
"""A server that asks for more patience than this is asked again by a later job, not by this call."""
SHOWN = 300
"""Characters of a server's own words in an error."""


class RefusedError(ModelError):
    """The server refused one request and would refuse it again; ``http_status`` and ``said`` are its answer."""

    def __init__(
        self, message: str, *, hint: str = "", task: int | None = None, http_status: int = 0, said: str = ""
    ) -> None:
        super().__init__(message, hint=hint, task=task)
        self.http_status, self.said = http_status, said


class Caller:
    """One server. Safe for threads; a forked child must make its own.

    Args:
        url: its address; user, password and query in it are used and never shown.
        headers: sent with every request.
        secrets: what must not be shown, wherever the server repeats it.
        timeout_s: seconds for one answer.
        attempts: tries of one request, the first included.
        concurrency: requests at a time, by `each`.
        first_wait_s: before the second try; each further wait is twice as long, and by chance a little longer.
        transport: a stand-in for the network.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        timeout_s: float = 60.0,
        attempts: int = 5,
        concurrency: int = 4,
        first_wait_s: float = 0.5,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        given = parsed_url(url)
        bare = given.copy_with(username=None, password=None)
        self._target = str(bare)
        self.url = str(bare.copy_with(query=None)).rstrip("/")
        self._secrets = sorted({each for each in (*secrets, given.password) if each}, key=len, reverse=True)
        self._attempts = max(1, attempts)
        self._first_wait_s = first_wait_s
        self._closing = threading.Event()
        self._http = httpx.Client(
            auth=(given.username, given.password) if given.userinfo else None,
            headers={"User-Agent": "prelabel", **(headers or {})},
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0)),
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
            transport=transport,
            follow_redirects=False,
        )
        self._pool = ThreadPoolExecutor(max(1, concurrency), thread_name_prefix="prelabel-calls")

    def __repr__(self) -> str:
        return f"Caller({self.url!r})"

    def close(self) -> None:
        """Give up what waits, close all connections."""
        self._closing.set()
        self._pool.shutdown(cancel_futures=True)
        self._http.close()

    def each(self, one: Callable[[Any], T], items: Sequence[Any]) -> list[T | PrelabelError]:
        """``one`` of every item, several at a time, in order; an error stands in its item's place."""

        def settled(item: Any) -> T | PrelabelError:
            try:
                return one(item)
            except PrelabelError as error:
                return error

        if len(items) == 1:
            return [settled(items[0])]
        return list(self._pool.map(settled, items))

    def send(self, method: str, path: str = "", **request: Any) -> httpx.Response:
        """The answer to one request, tried again while the server is busy or away; ``path`` begins with a slash.

        Raises:
            OverloadedError: it is away or busy, and remained so.
            DeadlineError: it takes too long.
            RefusedError: it answered with an error that another try does not cure.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=_wait(self._first_wait_s),
            retry=tenacity.retry_if_exception(self._worth_another),
            sleep=tenacity.sleep_using_event(self._closing),
            reraise=True,
        )
        try:
            return retrying(self._once, method, self._target + path, **request)
        except _Failed as failed:
            raise failed.error from failed.__cause__

    def status_of(self, path: str) -> int | None:
        """The status of one GET, tried once; None where nothing answers."""
        try:
            return self._http.get(self._target + path).status_code
        except httpx.HTTPError:
            return None

    def hidden(self, text: str) -> str:
        """``text`` without secrets, and short enough for a message."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        line = " ".join(redact(text).split())
        return line if len(line) <= SHOWN else line[: SHOWN - 3] + "..."

    # -- parts
    def _worth_another(self, error: BaseException) -> bool:
        return (
            isinstance(error, _Failed) and error.again and error.wait_s <= LONGEST_WAIT_S and not self._closing.is_set()
        )

    def _once(self, method: str, url: str, **request: Any) -> httpx.Response:
        try:
            response = self._http.request(method, url, **request)
        except httpx.ConnectError as error:
            raise _Failed(
                OverloadedError(
                    f"no connection to {self.url} ({self.hidden(str(error))}).", hint="Is the server running there?"
                )
            ) from error
        except httpx.TimeoutException as error:
            raise _Failed(  # a second wait as long would keep everybody waiting behind it
                DeadlineError(f"{self.url} did not answer in time.", hint="Give it longer: --opt timeout_s=SECONDS."),
                again=isinstance(error, httpx.ConnectTimeout),
            ) from error
        except (httpx.TransportError, RuntimeError) as error:  # the latter: closed meanwhile
            raise _Failed(OverloadedError(f"{self.url} broke off ({type(error).__name__}).")) from error
        except httpx.HTTPError as error:
            raise ModelError(f"{self.url} cannot be asked ({self.hidden(str(error))}).") from error
        if response.is_success:
            return response
        raise self._failure(response)

    def _failure(self, response: httpx.Response) -> _Failed:
        status = response.status_code
        said = self.hidden(_words(response))
        what = f"{self.url} answered {status}" + (f": {said}" if said else "") + ("" if said.endswith(".") else ".")
        if status in NOT_THE_ITEM:
            error: PrelabelError = OverloadedError(what, hint=_HINTS.get(status, "It is busy; a later job asks again."))
        else:
            error = RefusedError(what, hint=_HINTS.get(status, ""), http_status=status, said=said)
        return _Failed(error, status in AGAIN, _told_wait(response))


class _Failed(Exception):  # noqa: N818 (never leaves this module)
    """One try that failed: the error that the caller gets if it was the last, and how long the server asks to wait."""

    def __init__(self, error: PrelabelError, again: bool = True, wait_s: float = 0.0) -> None:
        super().__init__(str(error))
        self.error, self.again, self.wait_s = error, again, wait_s


_HINTS = {
    401: "Check the key: it is read from an environment variable.",
    402: "The account has to be paid.",
    403: "Check the key: it is read from an environment variable.",
    404: "Check the address and the model's name.",
    413: "The item is too large for the server.",
    301: "Give the address that it leads to.",
    302: "Give the address that it leads to.",
    307: "Give the address that it leads to.",
    308: "Give the address that it leads to.",
}


def _wait(first_s: float) -> Callable[[tenacity.RetryCallState], float]:
    """What the server asked for, else exponential with jitter."""
    backoff = tenacity.wait_exponential(first_s, max=30.0) + tenacity.wait_random(0, first_s)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        return (error.wait_s if isinstance(error, _Failed) else 0.0) or backoff(state)

    return wait


def _told_wait(response: httpx.Response) -> float:
    """Seconds that ``Retry-After`` asks for (a number or a date; OpenAI also has it in milliseconds); 0: nothing."""
    told = response.headers.get("retry-after-ms")
    try:
        if told:
            return max(float(told) / 1000, 0.0)
        told = response.headers.get("retry-after", "")
        if told.strip().replace(".", "", 1).isdecimal():
            return float(told)
        return max(email.utils.parsedate_to_datetime(told).timestamp() - time.time(), 0.0) if told else 0.0
    except ValueError:
        return 0.0


def _words(response: httpx.Response) -> str:
    """What the server says is wrong, from the places where servers say it."""
    try:
        body = response.json()
    except ValueError:
        text = response.text.strip()
        return "" if text.startswith("<") else _told(text)  # a page says nothing in a sentence
    found = body
    for key in ("error", "message", "detail"):
        if isinstance(found, Mapping) and found.get(key):
            found = found[key]
    return _told(found if isinstance(found, str) else str(found))


def _told(text: str) -> str:
    """The beginning of a text; of another program's traceback the last line."""
    text = text.strip()
    if "Traceback (most recent call last)" in text:
        text = text.splitlines()[-1].strip()
    return text[: 2 * SHOWN]
