"""What a language model has cost: requests, tokens, money; and how much may be asked in a minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

WINDOW_S = 60.0


@dataclass(frozen=True)
class Usage:
    """Sums since the model was loaded. ``cost`` is in the unit of the prices; ``repairs`` are questions asked again."""

    requests: int = 0
    repairs: int = 0
    rejected: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def __str__(self) -> str:
        cached = f" ({self.tokens_cached} cached)" if self.tokens_cached else ""
        cost = f", cost {self.cost:.4f}" if self.cost else ""
        return (
            f"{self.requests} requests, {self.tokens_in} tokens in{cached}, {self.tokens_out} out{cost}; "
            f"{self.repairs} asked again, {self.rejected} answers rejected"
        )


@dataclass(frozen=True)
class Prices:
    """Per million tokens, in any currency."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0
    tokens_cached: float | None = None

    def of(self, tokens_in: int, tokens_out: int, cached: int) -> float:
        """What one answer cost; cached tokens are a part of those in."""
        of_cached = self.tokens_in if self.tokens_cached is None else self.tokens_cached
        return ((tokens_in - cached) * self.tokens_in + cached * of_cached + tokens_out * self.tokens_out) / 1e6


class Account:
    """Adds up usage. Safe for threads."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._lock = threading.Lock()
        self._total = Usage()

    @property
    def total(self) -> Usage:
        """All so far."""
        return self._total

    def request(self, told: Mapping[str, Any] | None) -> int:
        """Count an answer with the ``usage`` that the server told; its tokens, 0 where it told nothing."""
        told = told if isinstance(told, Mapping) else {}
        tokens_in, tokens_out = (_count(told.get(key)) for key in ("prompt_tokens", "completion_tokens"))
        details = told.get("prompt_tokens_details")
        cached = min(_count(details.get("cached_tokens")) if isinstance(details, Mapping) else 0, tokens_in)
        with self._lock:
            was = self._total
            self._total = replace(
                was,
                requests=was.requests + 1,
                tokens_in=was.tokens_in + tokens_in,
                tokens_cached=was.tokens_cached + cached,
                tokens_out=was.tokens_out + tokens_out,
                cost=was.cost + self._prices.of(tokens_in, tokens_out, cached),
            )
        return tokens_in + tokens_out

    def repair(self) -> None:
        """Count a question that was asked again."""
        with self._lock:
            self._total = replace(self._total, repairs=self._total.repairs + 1)

    def rejection(self) -> None:
        """Count an answer of which nothing could be used."""
        with self._lock:
            self._total = replace(self._total, rejected=self._total.rejected + 1)


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value > 0 else 0


class Rate:
    """At most ``per_minute`` of something within any minute: requests, or tokens. Safe for threads.

    Args:
        per_minute: None: no limit.
        stopped: set when waiting is to end.
        clock: seconds.
        wait: waits at most so long for ``stopped``.
    """

    def __init__(
        self,
        per_minute: int | None,
        stopped: threading.Event,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._limit = per_minute
        self._stopped = stopped
        self._clock = clock
        self._wait = wait or stopped.wait
        self._lock = threading.Lock()
        self._taken: deque[list[float]] = deque()

    def take(self, amount: float = 1) -> list[float]:
        """Wait until ``amount`` may be used, and book it; what is more than the limit waits for an empty minute."""
        booking = [0.0, amount]
        while self._limit is not None and not self._stopped.is_set():
            with self._lock:
                delay = self._delay(amount)
                if delay <= 0:
                    booking[0] = self._clock()
                    self._taken.append(booking)
                    return booking
            self._wait(delay)
        return booking

    def settle(self, booking: list[float], amount: float) -> None:
        """Correct what was booked by what was used."""
        with self._lock:
            booking[1] = amount

    def _delay(self, amount: float) -> float:
        """Seconds until there is room; 0 or less: now."""
        now = self._clock()
        while self._taken and self._taken[0][0] <= now - WINDOW_S:
            self._taken.popleft()
        used = sum(booked for _, booked in self._taken)
        delay = 0.0
        for since, booked in self._taken:  # the oldest first: until enough of them are a minute old
            if used + amount <= (self._limit or 0):
                break
            used -= booked
            delay = since + WINDOW_S - now
        return delay
