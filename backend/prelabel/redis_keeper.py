"""The process that keeps an embedded Redis: starts it, restarts it, ends it when nobody uses it any more.

Run as a script (``python -I -S redis_keeper.py DIRECTORY SERVER``) by `embedded_redis`, never imported by it: it needs
the standard library only and starts in a few milliseconds. Every process that uses the Redis holds a shared lock on
``DIRECTORY/users``. The kernel gives those locks back however a process ends, so that the keeper, which asks for the
exclusive lock a few times a second, learns of a user's death by SIGKILL as surely as of a clean stop.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

POLL_S = 0.1
"""Seconds between two looks at the users' lock and at the server."""
STOP_S = 10.0
"""Longest that the server may take to write its file and end before it is killed."""
QUICK_S = 2.0
"""A server that ends sooner than this after its start has not read its append-only file."""
PR_SET_PDEATHSIG = 1


def main(directory: Path, server: str) -> int:
    """Keep ``server`` running on ``directory/redis.conf`` while the users' lock is held by anybody."""
    stopping = False

    def stop(_signum: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with (directory / "users").open("w") as users:
        process, started = _start(directory, server), time.monotonic()
        quick_ends = 0
        while not stopping and not _unused(users.fileno()):
            if process.poll() is not None:
                quick_ends = quick_ends + 1 if time.monotonic() - started < QUICK_S else 0
                if quick_ends == 2:  # (once may be a leftover socket; twice is the file)
                    _set_aside(directory)
                time.sleep(min(5.0, POLL_S * 2**quick_ends))
                process, started = _start(directory, server), time.monotonic()
            time.sleep(POLL_S)
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        (directory / "pid").unlink(missing_ok=True)
    return 0


def _unused(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start(directory: Path, server: str) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    keeper = os.getpid()

    def die_with_keeper() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != keeper:
                os._exit(1)

    process = subprocess.Popen(  # noqa: S603 (our own binary and file)
        [server, str(directory / "redis.conf")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=directory,
        preexec_fn=die_with_keeper,  # noqa: PLW1509 (this process has one thread)
    )
    (directory / "pid").write_text(f"{os.getpid()} {process.pid}\n")
    return process


def _set_aside(directory: Path) -> None:
    """Move an append-only file that the server refuses out of its way: the registry can refill the queue."""
    broken = directory / "appendonly.aof"
    if broken.exists():
        broken.rename(directory / f"appendonly.aof.refused-{int(time.time())}")


if __name__ == "__main__":
    if os.fork():  # the starter waits for this process only; the keeper belongs to nobody
        os._exit(0)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
