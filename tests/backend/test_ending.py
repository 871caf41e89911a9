"""Work that is ended while it runs."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from typing import Any

import pytest

from prelabel import ending
from prelabel.errors import CancelledError

GONE = CancelledError("nobody waits for it.")


def test_work_that_is_wanted_is_left_alone() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with ending.ended(lambda: None, disposable=False):
        made = 6 * 7
    assert made == 42
    assert signal.getsignal(signal.SIGUSR1) == before


def test_a_wait_is_interrupted_though_it_takes_every_exception() -> None:
    began = threading.Event()

    def stubborn() -> None:
        while True:
            began.set()
            try:
                threading.Event().wait()
            except Exception:  # noqa: BLE001 (as a model's may)
                continue

    with (
        pytest.raises(CancelledError, match="nobody waits"),
        ending.ended(lambda: GONE if began.is_set() else None, disposable=False),
    ):
        stubborn()


def test_outside_the_main_thread_the_error_comes_when_the_work_is_through() -> None:
    asked = threading.Event()
    raised: list[CancelledError] = []
    done: list[bool] = []

    def why() -> CancelledError:
        asked.set()
        return GONE

    def work() -> None:
        try:
            with ending.ended(why, disposable=False):
                asked.wait(10)
                done.append(True)
        except CancelledError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert (done, raised) == ([True], [GONE])


def test_what_failed_by_itself_says_so() -> None:
    with pytest.raises(ValueError, match="its own"), ending.ended(lambda: None, disposable=False):
        raise ValueError("its own fault")


def test_a_registry_that_is_away_for_a_moment_ends_nothing() -> None:
    asked: list[int] = []

    def why() -> CancelledError | None:
        asked.append(1)
        if len(asked) == 1:
            raise OSError("away")
        return GONE

    with pytest.raises(CancelledError), ending.ended(why, disposable=False):
        threading.Event().wait()
    assert len(asked) == 2


def test_code_that_does_not_come_back_is_ended_with_its_process() -> None:
    def work() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # as code that is not Python's hears of no signal
        with ending.ended(lambda: GONE, disposable=True, grace_s=0.1):
            time.sleep(60)

    child: Any = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(20)
    assert child.exitcode == ending.BY_FORCE
