"""Which addresses and paths task data may be read from.

Whoever can import tasks into Label Studio chooses the URLs that prelabel fetches, so prelabel must not become a way
into the network behind it: names are resolved here, every address is checked, and the connection goes to the address
that was checked, at every redirect anew.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpcore
import httpx

from prelabel.errors import DataBlockedError, DataError, DataUnavailableError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")

PRIVATE_HINT = (
    "Set PRELABEL_ALLOW_PRIVATE_ADDRESSES=true if task data really lives on your own network; "
    "Label Studio's own address (LABEL_STUDIO_URL) is always allowed."
)


def is_public(address: str) -> bool:
    """Whether an IP address (as text) is globally reachable: not private, loopback, link-local, reserved, multicast."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip.sixtofour is not None:
            ip = ip.sixtofour
        elif ip in _NAT64:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def public_addresses(host: str, port: int) -> list[str]:
    """The addresses of a host, all of them public.

    Raises:
        DataBlockedError: one of them is not public.
        DataUnavailableError: the name does not resolve.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DataUnavailableError(
            f"the host {host!r} cannot be resolved.", hint="Check the address and this machine's DNS."
        ) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not is_public(address):
            raise DataBlockedError(
                f"the host {host!r} is at {address}, which is not a public address.", hint=PRIVATE_HINT
            )
    return addresses


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to public addresses only, and to the very address that was checked (no second look-up)."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for address in public_addresses(host, port):
            try:
                return self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:  # noqa: PERF203 (the next address)
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise DataBlockedError(f"a unix socket ({path}) is no place for task data.")


class GuardedTransport(httpx.BaseTransport):
    """An httpx transport whose connections go to public addresses only. TLS is checked against the name as always."""

    def __init__(self, connections: int) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=15.0,
            network_backend=_CheckedBackend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        wire = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            extensions=request.extensions,
        )
        answer = _translated(self._pool.handle_request, wire)
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Any:
        chunks = iter(self._answer.iter_stream())
        while (chunk := _translated(next, chunks, None)) is not None:
            yield chunk

    def close(self) -> None:
        self._answer.close()


def _translated(call: Any, *args: Any) -> Any:
    """Call, and turn httpcore's errors into httpx's, as httpx's own transport does."""
    try:
        return call(*args)
    except httpcore.TimeoutException as error:
        raise httpx.TimeoutException(str(error)) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError) as error:
        raise httpx.NetworkError(str(error)) from error


def path_inside(root: Path, relative: str) -> Path:
    """The file ``relative`` names under ``root``, symlinks followed.

    Raises:
        DataBlockedError: it lies outside the root, by ``..``, an absolute path or a symlink.
        DataError: there is no such file.
    """
    real_root = root.resolve()
    real = Path(os.path.realpath(real_root / relative.replace("\\", "/").lstrip("/").replace("\0", "")))
    if not real.is_relative_to(real_root):
        raise DataBlockedError(
            f"the path {relative!r} leads out of the local files directory.",
            hint=f"Only files under {root} are read (LOCAL_FILES_DOCUMENT_ROOT).",
        )
    if not real.is_file():
        raise DataError(
            f"there is no file {relative!r} under {root}.",
            hint="PRELABEL_LOCAL_FILES_ROOT must be the directory that is Label Studio's LOCAL_FILES_DOCUMENT_ROOT.",
        )
    return real
