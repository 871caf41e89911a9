"""What the scheduler counts, for ``/metrics``; and the names of its priorities."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

PRIORITIES = ("interactive", "live", "bulk")
"""Names by number; smaller overtakes larger."""
INTERACTIVE = 0
WAIT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(slots=True)
class Histogram:
    """Counts by upper bound (the last count is everything above), and the sum."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class Stats:
    """What the scheduler has done so far; written by its thread, read by ``/metrics``."""

    items: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Items that the model answered, by priority."""
    failed: int = 0
    """Items that failed alone."""
    dropped: int = 0
    """Items that never reached the model: deadline over, client gone, ticket closed."""
    refused: int = 0
    """Items refused because too many were queued."""
    retried_batches: int = 0
    """Micro-batches that failed and were halved."""
    memory_errors: int = 0
    """Micro-batches that ran out of memory."""
    sizes: Histogram = field(default_factory=lambda: Histogram(SIZE_BUCKETS))
    """Items in a call of the model."""
    model_s: Histogram = field(default_factory=lambda: Histogram(WAIT_BUCKETS_S))
    """Seconds that a call of the model took."""
    waits_s: tuple[Histogram, ...] = field(default_factory=lambda: tuple(Histogram(WAIT_BUCKETS_S) for _ in PRIORITIES))
    """Seconds from putting an item to the start of its micro-batch, by priority."""
