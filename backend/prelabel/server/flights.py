"""Single flight: several requests for one task at the same moment make one prediction.

Label Studio does not lock: three people who open a task at once, and a project's first page by itself, each ask for a
prediction and each store it. The first request computes; the others wait until it was answered and a moment longer, so
that Label Studio has stored it, and then have nothing to add.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Hashable, Iterable

STORE_S = 0.05
"""Seconds that Label Studio takes to store one prediction of an answer (measured)."""
GRACE_S = 0.2
LONGEST_GRACE_S = 2.0


class Flight:
    """One prediction being made, or made a moment ago."""

    __slots__ = ("_landed", "answered", "landed_at", "stored_at")

    def __init__(self) -> None:
        self._landed = threading.Event()
        self.answered = False
        self.landed_at = 0.0
        self.stored_at = 0.0

    def land(self, answered: bool, tasks: int) -> None:
        self.answered = answered
        self.landed_at = time.monotonic()
        self.stored_at = self.landed_at + min(GRACE_S + STORE_S * tasks, LONGEST_GRACE_S)
        self._landed.set()

    def wait(self, until: float) -> bool:
        """Wait until it was answered and Label Studio has stored it, at most until a `time.monotonic` moment."""
        if not self._landed.wait(max(0.0, until - time.monotonic())):
            return False
        if self.answered:
            pause = min(self.stored_at, until) - time.monotonic()
            if pause > 0:
                time.sleep(pause)
        return True


class Flights:
    """Flights by key; an answered one is remembered for ``remember_s`` seconds."""

    def __init__(self, remember_s: float) -> None:
        self._remember_s = remember_s
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Flight] = {}
        self._landed: deque[tuple[float, Hashable, Flight]] = deque()

    def __contains__(self, key: Hashable) -> bool:
        """Whether the prediction is being made, or was made at most ``remember_s`` seconds ago."""
        with self._lock:
            self._forget_old()
            return key in self._flights

    def join(self, keys: Iterable[Hashable]) -> list[tuple[Flight, bool]]:
        """Per key its flight, and whether the caller is the one to make it (and must `land` it)."""
        joined = []
        with self._lock:
            self._forget_old()
            for key in keys:
                flying = self._flights.get(key)
                joined.append((flying, False) if flying else (self._flights.setdefault(key, Flight()), True))
        return joined

    def land(self, key: Hashable, flight: Flight, answered: bool, tasks: int) -> None:
        """The prediction was answered, or there is none and the next request tries again."""
        with self._lock:
            if answered and self._remember_s > 0:
                self._landed.append((time.monotonic() + self._remember_s, key, flight))
            elif self._flights.get(key) is flight:
                del self._flights[key]
        flight.land(answered, tasks)

    def _forget_old(self) -> None:
        now = time.monotonic()
        while self._landed and self._landed[0][0] <= now:
            _, key, flight = self._landed.popleft()
            if self._flights.get(key) is flight:
                del self._flights[key]
