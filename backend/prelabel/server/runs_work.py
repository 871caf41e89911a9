"""Long work that a request begins and does not wait for: how far it is, and what came of it.

It lives in the server's memory and ends with it. Everything done here may be done again: what was done already stays as
it is, so the same request goes on where a stopped server ended.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from prelabel.errors import CancelledError, NotFoundError, OverloadedError, PrelabelError

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Works that run at the same time."""
KEPT = 200
"""Works that are remembered."""
LAST_WAIT_S = 10.0
"""How long a stopping server waits for a work to notice."""

Progress = Callable[[int, int | None], None]
"""Told how many things are done, and of how many (None: not known)."""
Step = Callable[[Progress], Mapping[str, Any]]
"""The work itself; returns its result as JSON."""


@dataclass(frozen=True, slots=True)
class Work:
    """How far a work is. ``result`` is there when it is FINISHED, ``error`` when it FAILED."""

    id: str
    kind: str
    run: str | None
    created_at: float
    state: Literal["RUNNING", "FINISHED", "FAILED"] = "RUNNING"
    done: int = 0
    total: int | None = None
    result: Mapping[str, Any] | None = None
    error: PrelabelError | None = None


class Works:
    """All works of a server, each in a thread of its own. Thread-safe."""

    def __init__(self) -> None:
        self._works: OrderedDict[str, Work] = OrderedDict()
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def begin(self, kind: str, run: str | None, step: Step) -> Work:
        """Begin one.

        Raises:
            OverloadedError: too many are running, or the server stops.
        """
        work = Work(secrets.token_hex(8), kind, run, time.time())
        thread = threading.Thread(target=self._do, args=(work.id, step), name=f"{kind}-{work.id}", daemon=True)
        with self._lock:
            if self._stopping.is_set() or len(self._threads) >= AT_ONCE:
                raise OverloadedError("too much is being done already.", hint="Ask again when some of it has ended.")
            self._works[work.id] = work
            while len(self._works) > KEPT and (old := self._oldest_ended()) is not None:
                del self._works[old]
            self._threads[work.id] = thread
        thread.start()
        return work

    def one(self, key: str) -> Work:
        """The work with that id.

        Raises:
            NotFoundError: there is none, or the server was started anew since.
        """
        with self._lock:
            found = self._works.get(key)
        if found is None:
            raise NotFoundError(
                f"there is no work {key[:40]!r}; a server that was started anew knows none of before.",
                hint="Make the call again: what is done already stays as it is.",
            )
        return found

    def all(self) -> list[Work]:
        """The newest first."""
        with self._lock:
            return list(reversed(self._works.values()))

    def close(self) -> None:
        """Ask all to stop, and wait a little for them."""
        self._stopping.set()
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(LAST_WAIT_S)

    def _oldest_ended(self) -> str | None:
        return next((key for key, work in self._works.items() if work.state != "RUNNING"), None)

    def _change(self, key: str, **changes: Any) -> None:
        with self._lock:
            self._works[key] = replace(self._works[key], **changes)

    def _do(self, key: str, step: Step) -> None:
        def progress(done: int, total: int | None) -> None:
            if self._stopping.is_set():
                raise CancelledError("the server was stopped.", hint="Make the call again: it does what is left.")
            self._change(key, done=done, total=total)

        try:
            result = step(progress)
        except PrelabelError as error:
            log.warning("work %s failed: %s", key, error)
            self._change(key, state="FAILED", error=error)
        except Exception:
            log.exception("work %s failed", key)
            self._change(key, state="FAILED", error=PrelabelError("internal error; the server's log has the details."))
        else:
            self._change(key, state="FINISHED", result=result)
        finally:
            with self._lock:
                del self._threads[key]
