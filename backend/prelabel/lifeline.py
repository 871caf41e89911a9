"""A child process that ends when its parent does, however the parent dies.

The parent holds the writing end of a pipe and hands the reading end down; when the parent is gone, SIGKILL included,
the kernel closes the pipe, the child reads its end and stops as it would on SIGTERM.
"""

from __future__ import annotations

import os
import signal
import threading
import time

VARIABLE = "_PRELABEL_LIFELINE"
"""Environment variable with the number of the pipe's reading end."""


class Lifeline:
    """The parent's side: pass ``fd`` on (``pass_fds``) and merge ``environment`` into the child's."""

    def __init__(self) -> None:
        self.fd, self._writing = os.pipe()
        self.environment = {VARIABLE: str(self.fd)}

    def close(self) -> None:
        """Let go of the children; those that still run stop."""
        os.close(self._writing)
        os.close(self.fd)


def hold(grace_s: float) -> None:
    """In a child: start watching the parent, if there is one to watch.

    Args:
        grace_s: seconds between SIGTERM and SIGKILL for this process and its group.
    """
    number = os.environ.pop(VARIABLE, "")
    if number:
        threading.Thread(target=_watch, args=(int(number), grace_s), name="lifeline", daemon=True).start()


def _watch(fd: int, grace_s: float) -> None:
    while os.read(fd, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os.killpg(os.getpgid(0), signal.SIGKILL)
