"""From an address in a task's data to an open file: the network, Label Studio, local files storage, data: URIs.

Every way in passes the guard, and has a size and a time limit. Label Studio's token goes to Label Studio's own origin
(scheme, host, port) and nowhere else; a redirect away from it goes on without the token and through the guard.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import SplitResult, parse_qs, unquote, unquote_to_bytes, urlsplit

import httpx

from prelabel.data import guard
from prelabel.data.cache import Cache, Entry, suffix_of
from prelabel.errors import DataBlockedError, DataError, DataUnavailableError, LabelStudioError
from prelabel.settings import Settings
from prelabel.tasks import Task

CLOUD_SCHEMES = ("s3", "s3s", "gs", "azure-blob", "azure_spi", "redis", "dbx", "dbfs")
"""Schemes that Label Studio's storages resolve."""

_LABEL_STUDIO_PATHS = re.compile(
    r"/(data/(upload|local-files)|storage-data/uploaded|(tasks|projects)/\d+/(resolve|presign)|projects/\d+/file-proxy)(/|$)"
)
"""Where Label Studio hands out task data. Nothing else is asked of it with our token on behalf of a task."""
_REDIRECTS = 10
_FRESH_S = 600.0
_TRY_LATER = {408, 425, 429}


class LabelStudioFiles(Protocol):
    """What is needed of `prelabel.labelstudio.LabelStudio`."""

    @property
    def url(self) -> str:
        """Label Studio's address as prelabel reaches it, with its path prefix if there is one."""

    def stream(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout_s: float | None = None
    ) -> AbstractContextManager[httpx.Response]:
        """GET with our token, body unread, redirects not followed; ``url`` is absolute or relative to `url`."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An open file. ``path`` names it on disk (for data: URIs only when it was leased); ``charset`` as declared."""

    file: IO[bytes]
    path: Path | None = None
    charset: str = ""
    suffix: str = ""


class Fetcher:
    """Opens what an address points at. Thread-safe.

    Args:
        settings: limits, the cache's size and place, ``local_files_root``, ``allow_private_addresses``.
        label_studio: gives the Label Studio to ask for uploads and cloud storage, or None while none is known.
    """

    def __init__(self, settings: Settings, label_studio: Callable[[], LabelStudioFiles | None]) -> None:
        self._settings = settings
        self._label_studio = label_studio
        self._cache = Cache(settings.data_dir / "cache", settings.cache_bytes)
        connections = settings.fetch_threads * 2
        private = settings.allow_private_addresses
        self._http = httpx.Client(
            transport=None if private else guard.GuardedTransport(connections),
            timeout=min(settings.fetch_timeout_s, 10.0),
            headers={"User-Agent": "prelabel", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """Close connections; the cache stays."""
        self._http.close()

    @contextmanager
    def open(self, address: str, task: Task, *, lease: bool = False) -> Iterator[Fetched]:
        """Open what ``address`` points at.

        Args:
            address: a URL, a path on Label Studio, a cloud URI or a data: URI.
            task: the task it stands in (cloud URIs are resolved by its id).
            lease: whether the file's path is needed; it then stays for ten minutes.

        Raises:
            DataBlockedError: the guard refuses the address.
            DataUnavailableError: the origin did not answer in time or answered 5xx.
            DataError: anything else that another try does not cure.
        """
        fetched = self._open(address.strip(), task, lease)
        with fetched.file:
            yield fetched

    def _open(self, address: str, task: Task, lease: bool) -> Fetched:
        parts = _split(address)
        scheme = parts.scheme.lower()
        if scheme == "data":
            return self._inline(address, lease)
        if scheme in CLOUD_SCHEMES:
            return self._from_url(self._resolver_path(address, task), lease, suffix_of(parts.path))
        if scheme in {"http", "https"}:
            if self._is_ours(address):
                return self._from_label_studio(address, lease)
            return self._from_url(address, lease, suffix_of(parts.path))
        if not scheme and address.startswith("/") and not address.startswith("//"):
            return self._from_label_studio(address, lease)
        if scheme == "file":
            raise DataBlockedError(
                "file:// addresses are not read.",
                hint="Use Label Studio's local files storage and set PRELABEL_LOCAL_FILES_ROOT.",
            )
        raise DataError(
            f"{shown(address)} is not an address that can be read.",
            hint="Give a http(s) URL, a path on Label Studio (/data/...), a cloud URI (s3://, gs://, azure-blob://) or "
            "a data: URI.",
        )

    # --- Label Studio's own files
    def _is_ours(self, url: str) -> bool:
        """Whether a URL is in our Label Studio: its origin, or its paths under a name only it has for itself."""
        if self._local_file(url) is not None:
            return True
        studio = self._label_studio()
        if studio is None:
            return False
        return _origin(url) == _origin(studio.url) or (_is_local(url) and _gives_data(url))

    def _local_file(self, address: str) -> Path | None:
        """The file that a local-files address names, where ``local_files_root`` is set."""
        parts = urlsplit(address)
        if self._settings.local_files_root is None or not parts.path.rstrip("/").endswith("/data/local-files"):
            return None
        named = parse_qs(parts.query).get("d")
        if not named:
            raise DataError(f"{shown(address)} names no file.", hint="Local files are /data/local-files/?d=PATH.")
        return guard.path_inside(self._settings.local_files_root, named[0])

    def _from_label_studio(self, address: str, lease: bool) -> Fetched:
        local = self._local_file(address)
        if local is not None:
            size = local.stat().st_size
            if size > self._settings.fetch_max_bytes:
                raise self._too_large(size)
            handle = os.open(local, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
            return Fetched(os.fdopen(handle, "rb"), local, suffix=local.suffix.lower())
        parts = urlsplit(address)
        named = parse_qs(parts.query).get("d", [parts.path])[0]
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        return self._from_url(self._on_label_studio(path), lease, suffix_of(named))

    def _on_label_studio(self, path: str, what: str = "") -> str:
        studio = self._label_studio()
        if studio is None:
            raise DataError(
                f"{shown(what or path)} is read through Label Studio, which prelabel does not know yet.",
                hint="Set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.",
            )
        base = studio.url.rstrip("/")
        prefix = urlsplit(base).path
        return base.removesuffix(prefix) + path if prefix and path.startswith(prefix + "/") else base + path

    def _resolver_path(self, uri: str, task: Task) -> str:
        """Where Label Studio hands out a cloud URI: presigned (a redirect) or through itself."""
        encoded = base64.urlsafe_b64encode(uri.encode()).decode()
        if task.id is not None:
            return self._on_label_studio(f"/tasks/{task.id}/resolve/?fileuri={encoded}", uri)
        if task.project is not None:
            return self._on_label_studio(f"/projects/{task.project}/resolve/?fileuri={encoded}", uri)
        raise DataError(
            f"{shown(uri)} can only be read through Label Studio, and the task has no id there.",
            hint="Use tasks exported from Label Studio, with id and project.",
        )

    # --- the network
    def _from_url(self, url: str, lease: bool, suffix: str) -> Fetched:
        with self._cache.only_one(url):
            known = self._cache.find(url, suffix)
            if known is not None and known.fresh:
                opened = self._cache.open(known, lease=lease)
                if opened is not None:
                    return Fetched(opened, known.path, known.charset, suffix)
            entry, opened = self._download(url, suffix, known, lease)
        self._cache.shrink()
        return Fetched(opened, entry.path, entry.charset, suffix)

    def _download(self, url: str, suffix: str, known: Entry | None, lease: bool) -> tuple[Entry, IO[bytes]]:
        deadline = time.monotonic() + self._settings.fetch_timeout_s
        conditions = _conditions(known)
        here = url
        for _ in range(_REDIRECTS):
            try:
                with self._get(here, conditions, deadline) as response:
                    if response.is_redirect and "location" in response.headers:
                        here = str(httpx.URL(here).join(response.headers["location"]))
                        if urlsplit(here).scheme not in {"http", "https"}:
                            raise DataBlockedError(f"{shown(url)} redirects to {shown(here)}, which is not http(s).")
                        continue
                    if response.status_code == httpx.codes.NOT_MODIFIED and known is not None:
                        opened = self._cache.open(known, lease=lease)
                        if opened is not None:
                            return self._cache.renew(known, _fresh_until(response)), opened
                        conditions, known = {}, None
                        continue
                    self._check_status(response, here)
                    return self._store(url, suffix, response, deadline, lease)
            except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError) as error:
                late = isinstance(error, httpx.TimeoutException)
                raise DataUnavailableError(
                    f"{shown(here)} " + ("did not answer in time." if late else "broke the connection off."),
                    hint="Check that this machine reaches it; PRELABEL_FETCH_TIMEOUT_S is the longest wait.",
                ) from error
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
                raise DataError(f"{shown(here)} cannot be fetched: {error}.", hint="Check the address.") from error
        raise DataError(f"{shown(url)} redirects more than {_REDIRECTS} times.", hint="Check the address.")

    @contextmanager
    def _get(self, url: str, headers: Mapping[str, str], deadline: float) -> Iterator[httpx.Response]:
        studio = self._label_studio()
        if studio is not None and _origin(url) == _origin(studio.url):
            if not _gives_data(url):
                raise DataBlockedError(
                    f"{shown(url)} is not where Label Studio keeps task data.",
                    hint="Task data in Label Studio is at /data/upload/..., /data/local-files/?d=... or a cloud URI.",
                )
            try:
                left = max(deadline - time.monotonic(), 0.1)
                with studio.stream(url, headers=headers, timeout_s=left) as response:
                    yield response
            except LabelStudioError as error:
                kind = DataUnavailableError if error.retryable else DataError
                raise kind(error.message, hint=error.hint) from error
        else:
            with self._http.stream("GET", url, headers=dict(headers)) as response:
                yield response

    def _check_status(self, response: httpx.Response, url: str) -> None:
        status = response.status_code
        if status == httpx.codes.OK:
            return
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or status in _TRY_LATER:
            raise DataUnavailableError(f"{shown(url)} answered {status}.", hint="It may do better later.")
        hint = "Check that it exists and that this machine may read it."
        studio = self._label_studio()
        if studio is not None and _origin(url) == _origin(studio.url):
            hint = (
                "Check in Label Studio that the storage is connected and the file is there, and that the token of "
                "LABEL_STUDIO_API_KEY may see the project."
            )
            if "/data/local-files" in url:
                hint += " Label Studio itself needs LOCAL_FILES_SERVING_ENABLED=true."
        elif _gives_data(url):
            hint = "If this is your Label Studio, set LABEL_STUDIO_URL to the same address, so that it gets the token."
        raise DataError(f"{shown(url)} answered {status}.", hint=hint)

    def _store(
        self, url: str, suffix: str, response: httpx.Response, deadline: float, lease: bool
    ) -> tuple[Entry, IO[bytes]]:
        limit = self._settings.fetch_max_bytes
        announced = response.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > limit:
            raise self._too_large(int(announced))
        size = 0
        with self._cache.part() as part:
            for chunk in response.iter_bytes():  # as it comes, so that the time is looked at
                size += len(chunk)
                if size > limit:
                    raise self._too_large(None)
                if time.monotonic() > deadline:
                    raise DataUnavailableError(
                        f"{shown(url)} took longer than {self._settings.fetch_timeout_s:g} s.",
                        hint="Raise PRELABEL_FETCH_TIMEOUT_S if such files are to be read.",
                    )
                part.write(chunk)
            entry = Entry(
                path=Path(part.name),
                fresh_until=_fresh_until(response),
                etag=response.headers.get("etag", ""),
                last_modified=response.headers.get("last-modified", ""),
                charset=response.charset_encoding or "",
            )
            return self._cache.add(url, suffix, part, entry, lease=lease)

    # --- inline
    def _inline(self, uri: str, lease: bool) -> Fetched:
        head, comma, body = uri[len("data:") :].partition(",")
        if not comma:
            raise DataError("a data: URI lacks its comma.", hint="It is data:[type][;base64],CONTENT.")
        if len(body) > self._settings.fetch_max_bytes * 4 // 3 + 4:
            raise self._too_large(len(body) * 3 // 4)
        kind, *parameters = head.split(";")
        try:
            encoded = "base64" in (parameter.strip().lower() for parameter in parameters)
            content = base64.b64decode(unquote(body), validate=False) if encoded else unquote_to_bytes(body)
        except (binascii.Error, ValueError) as error:
            raise DataError("a data: URI's base64 is malformed.", hint="Encode the file again.") from error
        charset = next((p.partition("=")[2] for p in parameters if p.strip().lower().startswith("charset=")), "")
        suffix = suffix_of("." + kind.rpartition("/")[2])
        if not lease:
            return Fetched(io.BytesIO(content), charset=charset, suffix=suffix)
        with self._cache.part() as part:
            part.write(content)
            entry = Entry(path=Path(part.name), fresh_until=0.0, charset=charset)
            stored, opened = self._cache.add(uri, suffix, part, entry, lease=True)
        self._cache.shrink()
        return Fetched(opened, stored.path, charset, suffix)

    def _too_large(self, size: int | None) -> DataError:
        limit = self._settings.fetch_max_bytes
        said = f"{size:,} bytes" if size is not None else "larger"
        return DataError(
            f"the file is {said}, more than the {limit:,} bytes allowed.", hint="Raise PRELABEL_FETCH_MAX_BYTES."
        )


def shown(address: str) -> str:
    """An address for messages: no query (it may hold a signature), no password, not endless."""
    if address[:5].lower() == "data:":
        return address[:40] + "..."
    parts = _split(address)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return plain if len(plain) <= 160 else plain[:157] + "..."


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError as error:
        raise DataError(f"{address[:80]!r} is not an address.", hint="Check the task's data.") from error


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(scheme)


def _is_local(url: str) -> bool:
    """Whether the host is a name that a Label Studio behind it has for itself only."""
    return (urlsplit(url).hostname or "").lower() in {"localhost", "127.0.0.1", "0.0.0.0", "::1"}  # noqa: S104 (a name)


def _gives_data(url: str) -> bool:
    """Whether a URL's path is one at which Label Studio hands out task data, at its root or under a prefix."""
    path = unquote(urlsplit(url).path)
    return ".." not in path.split("/") and _LABEL_STUDIO_PATHS.search(path) is not None


def _conditions(known: Entry | None) -> dict[str, str]:
    if known is None:
        return {}
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.last_modified} if known.last_modified else {}


def _fresh_until(response: httpx.Response) -> float:
    """Until when a file counts as unchanged: as the origin says, else ten minutes."""
    said = response.headers.get("cache-control", "").lower()
    if "no-store" in said or "no-cache" in said:
        return 0.0
    match = re.search(r"max-age=(\d+)", said)
    return time.time() + (float(match.group(1)) if match else _FRESH_S)
