"""Which version people see where this one is served: itself, or the run of its model that was promoted."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from prelabel.runs.stages import Standing

if TYPE_CHECKING:
    from prelabel.predictor import Predictor
    from prelabel.runs import Ledger

logger = logging.getLogger(__name__)

FRESH_S = 1.0
"""A promotion is noticed within this time; until then no request asks the registry."""


class Shown:
    """How the served version stands, as of a moment ago. Thread-safe.

    Args:
        predictor: says which version is served.
        ledger: knows the stages; without it the served version is always shown.
    """

    def __init__(self, predictor: Predictor, ledger: Ledger | None) -> None:
        self._predictor = predictor
        self._ledger = ledger
        self._lock = threading.Lock()
        self._known = Standing("", "candidate", None)
        self._until = 0.0

    @property
    def now(self) -> Standing:
        """How the served version stands. A registry that is away leaves it as it was."""
        version = self._predictor.model_version
        known = self._known
        if self._ledger is None:
            return Standing(version, "candidate", None)
        if known.version == version and time.monotonic() < self._until:
            return known
        with self._lock:
            if self._known.version != version or time.monotonic() >= self._until:
                self._known = self._ask(self._ledger, version)
                self._until = time.monotonic() + FRESH_S
            return self._known

    def _ask(self, ledger: Ledger, version: str) -> Standing:
        try:
            return ledger.standing_of(version)
        except Exception:  # whatever the driver raises: live answers go on
            logger.exception("the registry could not be asked which version is shown")
            return self._known if self._known.version == version else Standing(version, "candidate", None)

    @property
    def version(self) -> str:
        """The version that ``/setup`` reports and answers carry."""
        return self.now.shown
