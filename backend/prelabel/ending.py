"""Work that is not wanted any more is ended while it runs: a training that was cancelled, or whose worker stops."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from prelabel.errors import PrelabelError

logger = logging.getLogger(__name__)

LOOK_S = 0.5
"""Pause between two looks whether the work is to end."""
GRACE_S = 10.0
"""Code that is not Python's, and does not come back for so long, is ended with its process."""
BY_FORCE = 1
"""Exit code of that process."""


class _EndedError(BaseException):
    """Raised in the middle of the work; no ``except Exception`` of a model's takes it."""


@contextlib.contextmanager
def ended(why: Callable[[], PrelabelError | None], *, disposable: bool, grace_s: float = GRACE_S) -> Iterator[None]:
    """The work inside ends with the error that ``why`` says, asked every `LOOK_S`; None: it may go on.

    In the main thread it is interrupted; in another one the error is raised when the work is through.

    Args:
        why: called from a thread of its own.
        disposable: this process does nothing else, so that it may be ended where an interruption does not help.
        grace_s: how long that is waited for.
    """
    over = threading.Event()
    said: list[PrelabelError] = []
    main = threading.current_thread() is threading.main_thread()

    def look() -> None:
        while not over.wait(LOOK_S):
            try:
                error = why()
            except Exception:  # a registry that is away for a moment
                logger.debug("could not ask whether the work is to end", exc_info=True)
                continue
            if error is None:
                continue
            said.append(error)
            if main:
                os.kill(os.getpid(), signal.SIGUSR1)
            if main and disposable and not over.wait(grace_s):
                logger.warning("%s It does not stop by itself, and is ended with its process.", error)
                os._exit(BY_FORCE)
            return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if said and not over.is_set():
            raise _EndedError

    before = signal.signal(signal.SIGUSR1, interrupt) if main else None
    looking = threading.Thread(target=look, name="ending", daemon=True)
    looking.start()
    try:
        try:
            yield
        finally:
            over.set()
    except _EndedError:
        pass
    finally:
        looking.join()
        if main:
            signal.signal(signal.SIGUSR1, before or signal.SIG_DFL)
    if said:
        raise said[0]
