"""What an interactive model made of the items that people have open, so that the next click does not wait for it again.

Bounded by bytes; what was not used for longest goes first. The key is the task's id, its data and the model's version:
when the data of a task changes, or the model, what was kept is not found any more. What an address points at may change
under the same address; that is not noticed while it is kept.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prelabel.model import Item

Key = tuple[Any, ...]
DEEPEST = 6
"""Containers inside each other that are looked into for their size."""


@dataclass(slots=True)
class Counts:
    """What ``/metrics`` tells of a store."""

    hits: int = 0
    misses: int = 0
    evicted: int = 0
    too_large: int = 0


@dataclass(slots=True)
class Store:
    """Values by key, at most ``max_bytes`` in all. Thread-safe.

    A value that is larger than that alone is not kept. 0 keeps nothing.
    """

    max_bytes: int
    counts: Counts = field(default_factory=Counts)
    bytes: int = 0
    _kept: OrderedDict[Key, tuple[Any, int]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, key: Key, make: Callable[[], Any]) -> Any:
        """The value kept under ``key``, or what ``make`` makes now; nothing is locked while it does."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self.counts.hits += 1
                self._kept.move_to_end(key)
                return found[0]
            self.counts.misses += 1
        made = make()
        size = size_of(made)
        with self._lock:
            if size > self.max_bytes:
                self.counts.too_large += 1
                return made
            before = self._kept.pop(key, None)  # somebody else was quicker
            self.bytes += size - (before[1] if before is not None else 0)
            self._kept[key] = (made, size)
            while self.bytes > self.max_bytes:
                _, (_, freed) = self._kept.popitem(last=False)
                self.bytes -= freed
                self.counts.evicted += 1
        return made

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def forget(self, version: str) -> None:
        """Let go of what a version of the model made: it was unloaded."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == version]:
                self.bytes -= self._kept.pop(key)[1]


@dataclass(frozen=True, slots=True)
class EncodedItems:
    """A store's entries of one version of a model: what a wrapper gets as ``encodings``."""

    store: Store
    version: str

    def of(self, item: Item, encode: Callable[[Item], Any]) -> Any:
        """What ``encode`` made of the item, now or before."""
        return self.store.of(key_of(self.version, item), lambda: encode(item))

    def has(self, item: Item) -> bool:
        """Whether it is kept."""
        return key_of(self.version, item) in self.store


def key_of(version: str, item: Item) -> Key:
    """What makes two items the same for a model."""
    data = json.dumps(dict(item.task.data), sort_keys=True, default=str).encode()
    return version, item.task.project, item.task.id, item.page, hashlib.sha256(data).digest()


def size_of(value: Any, depth: int = 0) -> int:  # noqa: PLR0911 (one return a kind)
    """Bytes that a value holds: arrays and tensors by their data, containers and dataclasses by what is in them."""
    bytes_held = getattr(value, "nbytes", None)
    if isinstance(bytes_held, int):
        return bytes_held
    own = sys.getsizeof(value, 64)
    if depth >= DEEPEST or isinstance(value, str | bytes | bytearray):
        return own
    if isinstance(value, Mapping):
        return own + sum(size_of(each, depth + 1) for each in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return own + sum(size_of(each, depth + 1) for each in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return own + sum(size_of(getattr(value, each.name), depth + 1) for each in dataclasses.fields(value))
    if hasattr(value, "size") and hasattr(value, "getbands"):  # a Pillow image
        return int(value.width * value.height * len(value.getbands()))
    inside = getattr(value, "__dict__", None)
    return own + (sum(size_of(each, depth + 1) for each in inside.values()) if isinstance(inside, dict) else 0)
