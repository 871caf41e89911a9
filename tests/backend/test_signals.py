"""Signals that come at a bad moment."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from prelabel.signals import set_event


@contextmanager
def handling(handler: Callable[..., Any]) -> Iterator[None]:
    before = signal.signal(signal.SIGUSR2, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR2, before)


def storm(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM again and again, so quickly that each may interrupt the handling of the one before."""
    for _ in range(3000):
        if process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)


@pytest.mark.timeout(30)
def test_an_event_is_set_though_the_interrupted_code_holds_its_lock() -> None:
    event = threading.Event()
    with handling(lambda *_: set_event(event)):
        with event._cond:  # type: ignore[attr-defined]  # where `Event.wait` and `Event.set` are interrupted
            signal.raise_signal(signal.SIGUSR2)
            assert not event.is_set()
        assert event.wait(10)


@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_storm_of_signals_ends_it_all_the_same(prelabel_process: Any, sentiment_file: Path, command: str) -> None:
    one = prelabel_process(command, f"{sentiment_file}:predict")
    storm(one.child.process)
    assert one.child.process.wait(120) is not None
