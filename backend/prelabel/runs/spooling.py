"""What is to be imported becomes a file of lines first: so that an import can begin again, and memory stays small."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from prelabel.errors import DataError, DataUnavailableError, RequestError
from prelabel.labelbox.objects import rows_of_objects

KEPT_S = 24 * 3600.0
"""How long the lines of a finished import are kept, to be looked at; Labelbox keeps them as long."""
CHUNK = 1 << 20
CONNECT_S = 10.0
READ_S = 120.0
OF_LABELBOX = "labelbox."
"""Beginning of the modules whose objects are Labelbox's own."""


@dataclass(slots=True)
class Spool:
    """Lines that are being written. ``total`` counts them."""

    path: Path
    file: IO[bytes]
    total: int = 0

    def line(self, record: object) -> None:
        """One object as a line; what is no JSON is written as text, to be refused with its own status."""
        try:
            text = json.dumps(record, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)
        except (TypeError, ValueError):
            text = json.dumps(str(record))
        self.file.write(text.encode("utf-8", "surrogatepass") + b"\n")
        self.total += 1

    def raw(self, lines: Iterable[bytes]) -> None:
        """Lines as they are; empty ones are left out."""
        for line in lines:
            stripped = line.strip()
            if stripped:
                self.file.write(stripped + b"\n")
                self.total += 1


@contextmanager
def spooling(folder: Path) -> Iterator[Spool]:
    """A new file in ``folder``, on disk when this ends; it is gone when it ends with an error."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{time.time_ns():x}-{os.urandom(4).hex()}.ndjson"
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            yield Spool(path, file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def sweep(folder: Path, still_needed: Iterable[str]) -> None:
    """Delete files of finished imports that are older than a day."""
    needed = set(still_needed)
    if not folder.is_dir():
        return
    for path in folder.glob("*.ndjson"):
        if str(path) not in needed and time.time() - path.stat().st_mtime > KEPT_S:
            path.unlink(missing_ok=True)


def spool_rows(spool: Spool, source: object) -> str:
    """Write NDJSON rows from a path, an address, dicts or Labelbox's objects; returns what the source is called.

    Raises:
        RequestError: the source is none of these, or empty.
        DataError: a file or an address cannot be read.
    """
    name = _spool_rows(spool, source)
    if not spool.total:
        said = f"{name} holds no rows." if isinstance(source, str | os.PathLike) else "there are no rows to import."
        raise RequestError(said, hint="Give one JSON object a line.")
    return name


def _spool_rows(spool: Spool, source: object) -> str:
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        _fetch(spool, source)
        return source
    if isinstance(source, str | os.PathLike):
        _copy(spool, Path(source))
        return str(source)
    if isinstance(source, Mapping):
        source = [source]
    if not isinstance(source, Iterable):
        raise RequestError(
            f"{type(source).__name__} is nothing to import.",
            hint="Give a path, an http(s) address, an iterable of dicts or of Labelbox's Label objects, or a dict of "
            "outputs by global key.",
        )
    for record in source:
        if type(record).__module__.startswith(OF_LABELBOX):
            for row in rows_of_objects([record]):
                spool.line(row)
        else:
            spool.line(record)
    return f"{spool.total} rows"


def _copy(spool: Spool, path: Path) -> None:
    try:
        with path.open("rb") as file:
            first = file.readline(64)
            if first.lstrip()[:1] == b"[":
                raise RequestError(
                    f"{path} is one JSON array.", hint="Write NDJSON: one JSON object a line, without commas between."
                )
            rest = b"" if first.endswith(b"\n") else file.readline()
            spool.raw(itertools.chain([first + rest], file))  # a pipe cannot go back
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}.", hint="Give a path or an http(s) address."
        ) from error


def _fetch(spool: Spool, url: str) -> None:
    """The caller names the address, on the command line or in a program of their own; redirects are followed."""
    timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
    try:
        with httpx.stream("GET", url, timeout=timeout, follow_redirects=True) as answer:
            answer.raise_for_status()
            spool.raw(_lines(answer.iter_bytes(CHUNK)))
    except httpx.HTTPStatusError as error:
        raise DataError(f"{url} answered {error.response.status_code}.", hint="Look at it in a browser.") from error
    except httpx.HTTPError as error:
        raise DataUnavailableError(f"{url} does not answer: {error}.", hint="Try again later.") from error


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    yield rest


def _plain(value: object) -> object:
    """What JSON has no word for: NumPy's numbers and arrays."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(type(value).__name__)
