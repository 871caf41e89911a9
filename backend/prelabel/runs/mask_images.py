"""Pictures of masks that Labelbox's rows only name by address, fetched through the guard for metrics and conversion."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prelabel.errors import DataError, DataUnavailableError, PrelabelError
from prelabel.labelbox.checks_masks import LARGEST_PIXELS
from prelabel.labeling import parse
from prelabel.model import InputKind
from prelabel.tasks import Task

if TYPE_CHECKING:
    from prelabel.data import DataReader
    from prelabel.data.fetch import LabelStudioFiles
    from prelabel.settings import Settings

WINDOW = 32
"""Addresses that are asked for at once, by the reader's threads."""
FAILURES = 3
"""So many pictures of one host that did not come, one after the other, and the host is left alone."""
REST_S = 60.0
"""For how long."""


@dataclass(frozen=True, slots=True)
class Pictures(Mapping[str, bytes]):
    """Bytes by address, read from the cache when they are looked at. ``refused`` says why others are not there."""

    paths: Mapping[str, Path] = field(default_factory=dict)
    refused: Mapping[str, PrelabelError] = field(default_factory=dict)

    def __getitem__(self, address: str) -> bytes:
        return self.paths[address].read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def explained(self, sentence: str) -> str:
        """A sentence of conversion that says that a picture was not given, with the reason."""
        for address, why in self.refused.items():
            sentence = sentence.replace(
                f"the image {address} was not given", f"{address} cannot be read: {why.message}"
            )
        return sentence

    def read(self, address: str) -> bytes:
        """The picture's bytes.

        Raises:
            DataError: it is not there, with the reason.
        """
        if address in self.refused:
            why = self.refused[address]
            raise type(why)(f"the mask's picture cannot be read: {why.message}", hint=why.hint)
        try:
            return self[address]
        except (KeyError, OSError) as error:
            raise DataError(f"the mask's picture at {address!r} was not fetched.") from error


class MaskImages:
    """Fetches pictures, many at a time, into the cache of the data directory. Safe for threads.

    Args:
        settings: limits, cache, guard, and where Label Studio is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._failed: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def fetch(self, addresses: Iterable[str]) -> Pictures:
        """What can be had of these; never fails. A picture is kept for at least ten minutes."""
        wanted = sorted(set(addresses))
        if not wanted:
            return Pictures()
        from prelabel.data import DataReader  # noqa: PLC0415 (httpx and more, for those who have such masks)

        paths: dict[str, Path] = {}
        refused: dict[str, PrelabelError] = {}
        with ExitStack() as stack:
            reader = stack.enter_context(closing(DataReader(self._settings, _files_of(self._settings, stack))))
            for start in range(0, len(wanted), WINDOW):
                self._window(reader, wanted[start : start + WINDOW], paths, refused)
        return Pictures(paths, refused)

    def _window(
        self, reader: DataReader, wanted: list[str], paths: dict[str, Path], refused: dict[str, PrelabelError]
    ) -> None:
        ready = []
        for address in wanted:
            resting = self._resting(_host(address))
            if resting:
                refused[address] = DataUnavailableError(
                    f"{_host(address)} did not answer just now.", hint="Ask again in a minute."
                )
            else:
                ready.append(address)
        tag = parse('<View><Image name="mask" value="$mask"/></View>').objects["mask"]
        tasks = [Task(None, {"mask": address}) for address in ready]
        for address, found in zip(ready, reader.read_many(tasks, tag, InputKind.FILE), strict=True):
            self._note(_host(address), found)
            wrong = found if isinstance(found, PrelabelError) else _unfit(found.value)
            if wrong is None and not isinstance(found, PrelabelError):
                paths[address] = found.value
            elif wrong is not None:
                refused[address] = wrong

    def _resting(self, host: str) -> bool:
        with self._lock:
            count, since = self._failed.get(host, (0, 0.0))
        return count >= FAILURES and time.monotonic() - since < REST_S

    def _note(self, host: str, found: object) -> None:
        with self._lock:
            if isinstance(found, PrelabelError) and found.retryable:
                self._failed[host] = (self._failed.get(host, (0, 0.0))[0] + 1, time.monotonic())
            else:
                self._failed.pop(host, None)


def addresses_of(bodies: Iterable[Any]) -> Iterator[str]:
    """Addresses of the pictures that Labelbox rows name: a mask's, and those of a video mask's frames."""
    for body in bodies:
        if not isinstance(body, Mapping):
            continue
        holders = [body.get("mask")]
        if isinstance(body.get("masks"), Mapping):
            holders += body["masks"].get("frames") or ()
        for holder in holders:
            if isinstance(holder, Mapping) and not holder.get("png") and not holder.get("imBytes"):
                address = holder.get("instanceURI")
                if isinstance(address, str) and address:
                    yield address


def _host(address: str) -> str:
    try:
        return urlsplit(address).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _unfit(path: Path) -> DataError | None:
    """Why a file is no mask's picture, by its header."""
    from prelabel.data import decode  # noqa: PLC0415 (as above)

    try:
        with path.open("rb") as file:
            facts = decode.image_facts(file)
    except DataError as error:
        return error
    width, height = facts.width or 0, facts.height or 0
    if width * height > LARGEST_PIXELS:
        return DataError(f"it has {width} x {height} pixels.", hint=f"Masks have {LARGEST_PIXELS} pixels at most.")
    return None


def _files_of(settings: Settings, stack: ExitStack) -> Callable[[], LabelStudioFiles | None]:
    url, key = settings.label_studio_url, settings.label_studio_api_key
    if url is None or key is None:
        return lambda: None

    @cache
    def client() -> LabelStudioFiles:
        from prelabel.labelstudio import LabelStudio  # noqa: PLC0415 (as above)

        return stack.enter_context(closing(LabelStudio(url, key.get_secret_value())))

    return client


__all__ = ["MaskImages", "Pictures", "addresses_of"]
