"""How benchmarks of pure computation take their time; not a benchmark itself."""

from __future__ import annotations

import time
from collections.abc import Callable


def best_ms(work: Callable[[], object], repeat: int) -> float:
    """The fastest of ``repeat`` runs, in milliseconds of processor time."""
    taken = []
    for _ in range(repeat):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken) * 1000
