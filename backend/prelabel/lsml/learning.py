"""A model's ``fit`` called for the events that wait in the registry, in the order in which they came.

By the process whose instance predicts, one event after the other: what ``fit`` sets on the instance, ``predict`` sees.
Of several servers of one model the one that holds a lease does it. An event leaves the registry when ``fit`` has
returned, so that one may reach ``fit`` again when the process is killed just then.

A version that ``fit`` set is taken on when no event waits, or something is predicted before. What the training policy
says is predicted with it when the model has learnt nothing for a while, so that one that raises its version with every
annotation does not begin anew with each.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from prelabel.errors import PrelabelError
from prelabel.push.leasing import leased
from prelabel.user_code import first_line

if TYPE_CHECKING:
    from prelabel.predictor.local import LocalPredictor
    from prelabel.runs import Connection, Ledger

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""Pause between two looks into the registry, where another process may have written events."""
LEASE_S = 6.0
"""After so long another process takes up the events of one that was killed."""
END_S = 2.0
"""How long the end of the process waits for the thread, which may have waited for a ``fit`` to return before."""
QUIET_S = 10.0
"""A new version predicts again when the model has learnt nothing for so long,"""
LONGEST_S = 120.0
"""or so long after the first change that was not yet followed by that."""

Again = Callable[["Connection", str], None]
"""Asks for the predictions of a new version in a project."""


def learn_lease(model: str) -> str:
    """Name of the lease that the process holds in which a model learns from its events."""
    return f"learn {model}"


@contextmanager
def learning(
    predictor: LocalPredictor, ledger: Ledger, again: Again | None = None, *, quiet_s: float = QUIET_S
) -> Iterator[Callable[[], None]]:
    """While inside, a thread lets the model learn from its events; what is given says that no other is to be begun.

    Nothing happens for a model that does not learn from events. A ``fit`` that has not returned at the end is called
    again by the next process.

    Args:
        predictor: has the model.
        ledger: has the events.
        again: called for each project in which the model has learnt a new version; None: nothing is predicted again.
        quiet_s: see `QUIET_S`.
    """
    learner = _Learner(predictor, ledger, again, quiet_s)
    if hasattr(predictor.wrapper, "learn"):
        learner.start()
    try:
        yield learner.stop
    finally:
        learner.end()


class _Learner(threading.Thread):
    def __init__(self, predictor: LocalPredictor, ledger: Ledger, again: Again | None, quiet_s: float) -> None:
        super().__init__(name="learn", daemon=True)
        self._predictor = predictor
        self._ledger = ledger
        self._again = again
        self._quiet_s = quiet_s
        self._changed_at: float | None = time.monotonic()  # the process before may have left something
        self._learnt_at = 0.0
        self._taught: set[str] = set()
        self._no_more = threading.Event()
        self._begun: int | None = None

    def stop(self) -> None:
        """Take no further event."""
        self._no_more.set()
        self._ledger.heard.set()

    def end(self) -> None:
        """Wait for the thread; an event that the model still has in hand waits for the next process."""
        self.stop()
        if self.is_alive():
            self.join(END_S)
        if self._begun is not None:
            self._ledger.put_back(self._begun)

    def run(self) -> None:
        while not self._no_more.is_set() and self._predictor.load_error is None:
            if self._predictor.wait_ready(LOOK_S):
                self._look(self._predictor.name)
                self._predict_again()

    def _look(self, model: str) -> None:
        """Take what waits, once this process is the one that does; else wait a moment."""
        self._ledger.heard.clear()
        try:
            if self._ledger.events(model, limit=1):
                with leased(
                    self._ledger, learn_lease(model), self._patient, lease_s=LEASE_S, renew_s=LEASE_S / 3
                ) as lost:
                    taken = False
                    while lost is not None and not (lost.is_set() or self._no_more.is_set()):
                        if not self._take_event(model):
                            break
                        taken = True
                    if taken:
                        self._take_on()
        except SQLAlchemyError:
            logger.exception("the registry cannot be used; events for %s wait", model)
        self._ledger.heard.wait(LOOK_S)

    def _take_on(self) -> None:
        """Let the model go by the version that ``fit`` has set, if it has; where it said nothing it is asked again."""
        wrapper: Any = self._predictor.wrapper
        try:
            wrapper.settle()
        except PrelabelError as error:
            logger.warning("%s", error)
        while self._taught:
            self._ledger.forget_silent(self._predictor.model_version, self._taught.pop())
        self._learnt_at = time.monotonic()
        if self._changed_at is None:
            self._changed_at = self._learnt_at

    def _predict_again(self) -> None:
        """Ask for the predictions of a new version, if there is one, once it is likely to stay."""
        now = time.monotonic()
        if self._again is None or self._changed_at is None:
            return
        if now < self._learnt_at + self._quiet_s and now < self._changed_at + LONGEST_S:
            return
        self._changed_at = None
        wrapper: Any = self._predictor.wrapper
        try:
            for connection in self._ledger.connections(self._predictor.name):
                if connection.connected and wrapper.to_predict_again(str(connection.project)):
                    self._again(connection, self._predictor.model_version)
                    wrapper.predicted_again(str(connection.project))
        except Exception:
            logger.exception("the predictions of %s could not be asked for yet", self._predictor.model_version)
            self._changed_at = self._learnt_at = now

    def _patient(self) -> bool:
        """Whether to try again for the lease, after a moment."""
        return not self._no_more.wait(LOOK_S)

    def _take_event(self, model: str) -> bool:
        """Whether one waited."""
        event = self._ledger.next_event(model)
        if event is None:
            return False
        self._begun = event.id
        error = self._learnt(event.event, event.project, event.body)
        self._begun = None
        if error is None:
            self._ledger.learnt(event.id)
            self._taught.add(event.project)
        else:
            self._ledger.event_failed(event, error)
        return True

    def _learnt(self, event: str, project: str, body: Mapping[str, Any]) -> str | None:
        """Call ``fit``; None, or why it failed."""
        wrapper: Any = self._predictor.wrapper
        try:
            wrapper.learn(event, body)
        except PrelabelError as error:
            logger.warning("project %s: %s: %s", project, event, error)
            return str(error)
        except (Exception, SystemExit) as error:
            logger.exception("project %s: the model could not learn from %s", project, event)
            return f"{type(error).__name__}: {first_line(error)}"
        return None
