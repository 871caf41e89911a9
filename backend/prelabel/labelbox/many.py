"""What is remembered of an upload's rows: small numbers by key, about twelve bytes each instead of a dict's hundred."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

NEWEST = 2**16
"""So many keys wait in a dict before they are sorted into the arrays."""


class Many:
    """A map from keys to numbers of 32 bits that grows by about twelve bytes a key.

    Keys are told apart by their hash of 64 bits only: among ten million keys two have the same one once in 400,000
    uploads.
    """

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}
        self._keys: NDArray[np.int64] = np.empty(0, np.int64)
        self._values: NDArray[np.int32] = np.empty(0, np.int32)

    def get(self, key: Hashable) -> int | None:
        """The number of ``key``; None where it has none."""
        hashed = hash(key)
        found = self._newest.get(hashed)
        if found is None and self._keys.size:
            at = int(self._keys.searchsorted(hashed))
            if at < self._keys.size and self._keys[at] == hashed:
                return int(self._values[at])
        return found

    def put(self, key: Hashable, value: int) -> None:
        """Let ``key`` have the number ``value``."""
        newest = self._newest
        newest[hash(key)] = value
        if len(newest) >= NEWEST:
            self._sort_in()

    def _sort_in(self) -> None:
        size = len(self._newest)
        keys = np.fromiter(self._newest.keys(), np.int64, size)
        values = np.fromiter(self._newest.values(), np.int32, size)
        order = keys.argsort()
        keys, values = np.concatenate([self._keys, keys[order]]), np.concatenate([self._values, values[order]])
        order = keys.argsort(kind="stable")  # merges two sorted runs; of twins the newer stands behind
        keys, values = keys[order], values[order]
        last = np.append(keys[1:] != keys[:-1], True)
        self._keys, self._values = keys[last], values[last]
        self._newest.clear()
