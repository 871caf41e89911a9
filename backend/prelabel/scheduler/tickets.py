"""One request's place in the scheduler: its items, their answers, and the wait for them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from prelabel.errors import PrelabelError


class Desk(Protocol):
    """The scheduler as a ticket sees it."""

    def put(self, entry: Entry) -> None:
        """Queue an item."""

    def arrived(self, ticket: Ticket, count: int) -> None:
        """So many announced items will not come any more."""


@dataclass(slots=True)
class Answer:
    """What became of one item: the model's raw result and the version that made it, or an error."""

    raw: Any = None
    version: str = ""
    error: PrelabelError | None = None


class Entry:
    """One queued item."""

    __slots__ = ("index", "item", "limit_before", "since", "ticket")

    def __init__(self, ticket: Ticket, index: int, item: Any, since: float) -> None:
        self.ticket = ticket
        self.index = index
        self.item = item
        self.since = since
        self.limit_before = 0  # size limit before running out of memory halved this item's batch


class Ticket:
    """One request's place in the scheduler: announce ``size`` items, put them, wait for the answers.

    One thread waits; the same or one other thread puts. ``answers`` holds an `Answer` per item, None while it is
    unfinished.
    """

    __slots__ = ("_done", "_scheduler", "_signal", "answers", "cancelled", "closed", "coming", "deadline", "priority")

    def __init__(
        self,
        scheduler: Desk,
        size: int,
        priority: int,
        deadline: float | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self._scheduler = scheduler
        self.answers: list[Answer | None] = [None] * size
        self.priority = priority
        self.deadline = deadline
        self.cancelled = cancelled
        self.closed = False
        self.coming = size
        self._done: deque[int] = deque()
        self._signal = threading.Lock()  # released when something was finished; a binary semaphore
        self._signal.acquire()

    def put(self, index: int, item: Any) -> None:
        """Queue the item with number ``index``."""
        self._scheduler.put(Entry(self, index, item, time.monotonic()))

    def skip(self, index: int, error: PrelabelError) -> None:
        """The announced item will not come: its data could not be read."""
        self._scheduler.arrived(self, 1)
        self.finish(index, Answer(error=error))
        self.wake()

    def wait(self, timeout: float | None) -> list[int]:
        """Numbers of the items finished since the last call; [] when ``timeout`` seconds brought none."""
        until = None if timeout is None else time.monotonic() + timeout
        while not self._done:
            left = -1 if until is None else until - time.monotonic()
            if (until is not None and left <= 0) or not self._signal.acquire(timeout=left):
                break
        done: list[int] = []
        while self._done:
            done.append(self._done.popleft())
        return done

    def close(self) -> None:
        """Forget what is still queued. Safe to call twice."""
        if not self.closed:
            self.closed = True
            self._scheduler.arrived(self, self.coming)

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- called by the scheduler's thread
    def finish(self, index: int, answer: Answer) -> None:
        self.answers[index] = answer
        self._done.append(index)

    def wake(self) -> None:
        if self._signal.locked():
            try:
                self._signal.release()
            except RuntimeError:  # the waiter timed out and took it in between: nothing to wake
                return
