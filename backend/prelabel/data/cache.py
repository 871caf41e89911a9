"""Fetched files on disk, bounded in size: least recently used go first. Safe for many threads and processes.

An entry is two files: the body (named by a digest of its address, with the address's suffix, so that libraries which
look at suffixes work) and a small JSON beside it. The time of last use is the body's modification time; no index is
kept, so that processes sharing the directory cannot disagree.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, cast

_LEASE_S = 600.0
_SCAN_EVERY = 256
_STALE_PART_S = 3600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One cached file. ``fresh_until`` is a Unix time; later the origin is asked whether ``etag`` still holds."""

    path: Path
    fresh_until: float
    etag: str = ""
    last_modified: str = ""
    charset: str = ""

    @property
    def fresh(self) -> bool:
        return time.time() < self.fresh_until


@dataclass(slots=True)
class _Fetched:
    """An address being fetched; forgotten when no thread wants it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    wanted_by: int = 0


class Cache:
    """A directory of fetched files that stays below ``max_bytes`` (as soon as an entry has been added).

    Args:
        directory: made when first used; may be shared by processes on one machine.
        max_bytes: 0 keeps nothing beyond the next addition.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self._fetched: dict[str, _Fetched] = {}
        self._fetched_lock = threading.Lock()
        self._size_lock = threading.Lock()
        self._added_bytes = 0
        self._known_bytes: int | None = None
        self._added = 0

    @contextmanager
    def only_one(self, key: str) -> Iterator[None]:
        """Held while an address is fetched, so that threads wanting the same file fetch it once.

        Other addresses are never waited for: a host that does not answer holds up its own files only.
        """
        with self._fetched_lock:
            fetched = self._fetched.setdefault(key, _Fetched())
            fetched.wanted_by += 1
        try:
            with fetched.lock:
                yield
        finally:
            with self._fetched_lock:
                fetched.wanted_by -= 1
                if not fetched.wanted_by:
                    del self._fetched[key]

    def find(self, key: str, suffix: str) -> Entry | None:
        """The entry for an address, marked as used now; None where there is none."""
        body = self._body(key, suffix)
        try:
            about = json.loads(body.with_suffix(".about").read_text(encoding="utf-8"))
            if body.stat().st_mtime < time.time():
                os.utime(body)
        except (OSError, ValueError):
            return None
        return Entry(path=body, **about)

    def open(self, entry: Entry, *, lease: bool = False) -> IO[bytes] | None:
        """The entry's body, or None where it was removed meanwhile.

        An open body can be read to the end whatever happens to the entry; with ``lease`` its path too stays for ten
        minutes.
        """
        try:
            if lease:
                _lease(entry.path)
            return entry.path.open("rb")
        except FileNotFoundError:
            return None

    @contextmanager
    def part(self) -> Iterator[IO[bytes]]:
        """A file to download into; removed unless `add` took it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(suffix=".part", dir=self.directory, delete=False) as file:
            try:
                yield cast("IO[bytes]", file)
            finally:
                Path(file.name).unlink(missing_ok=True)

    def add(
        self, key: str, suffix: str, part: IO[bytes], entry: Entry, *, lease: bool = False
    ) -> tuple[Entry, IO[bytes]]:
        """Turn a downloaded part into the entry for ``key`` (``entry.path`` is ignored), and open it."""
        part.flush()
        if lease:
            _lease(Path(part.name))
        body = self._body(key, suffix)
        size = os.fstat(part.fileno()).st_size
        Path(part.name).replace(body)
        opened = os.fdopen(os.dup(part.fileno()), "rb")
        opened.seek(0)
        stored = replace(entry, path=body)
        self._describe(stored)
        with self._size_lock:
            self._added_bytes += size
            self._added += 1
        return stored, opened

    def renew(self, entry: Entry, fresh_until: float) -> Entry:
        """The origin said that the entry still holds."""
        renewed = replace(entry, fresh_until=fresh_until)
        self._describe(renewed)
        return renewed

    def shrink(self) -> None:
        """Remove what was used least recently until the cache is at nine tenths of its size. Cheap when below it."""
        with self._size_lock:
            known = self._known_bytes
            due = known is None or known + self._added_bytes > self.max_bytes or self._added >= _SCAN_EVERY
            if not due:
                return
            self._added_bytes = self._added = 0
            self._known_bytes = self._remove_oldest()

    def _remove_oldest(self) -> int:
        now = time.time()
        bodies: list[tuple[float, int, Path]] = []
        for path in self.directory.iterdir() if self.directory.is_dir() else ():
            try:
                stat = path.stat()
            except OSError:
                continue
            if path.suffix == ".part":
                if stat.st_mtime < now - _STALE_PART_S:
                    path.unlink(missing_ok=True)
            elif path.suffix != ".about":
                bodies.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in bodies)
        if total <= self.max_bytes:
            return total
        for used, size, path in sorted(bodies):
            if total <= self.max_bytes * 0.9 or used > now:
                break
            path.with_suffix(".about").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            total -= size
        return total

    def _body(self, key: str, suffix: str) -> Path:
        return self.directory / (hashlib.sha256(key.encode()).hexdigest()[:40] + suffix)

    def _describe(self, entry: Entry) -> None:
        about = asdict(entry)
        del about["path"]
        with self.part() as file:
            file.write(json.dumps(about).encode())
            file.flush()
            Path(file.name).replace(entry.path.with_suffix(".about"))


def _lease(path: Path) -> None:
    """Date the last use into the future: such entries are not removed."""
    until = time.time() + _LEASE_S
    os.utime(path, (until, until))


def suffix_of(path: str) -> str:
    """The suffix of an address's path (``.jpg``), or ``.bin`` where it has none that is safe to use."""
    match = re.search(r"\.([A-Za-z0-9]{1,8})$", path)
    return f".{match.group(1).lower()}" if match and match.group(1).lower() not in {"part", "about"} else ".bin"
