"""A lease that is held while something is done: renewed by a thread, given back at the end."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from prelabel.runs.leases import Leases

log = logging.getLogger(__name__)

LEASE_S = 12.0
"""Who does not renew its lease for so long is dead, and another may begin."""
RENEW_S = 3.0
IDLE_S = 0.05
"""Pause between two tries to get a lease."""


@contextmanager
def leased(
    leases: Leases,
    name: str,
    waits: Callable[[], bool],
    *,
    lease_s: float = LEASE_S,
    renew_s: float = RENEW_S,
    idle_s: float = IDLE_S,
) -> Iterator[threading.Event | None]:
    """Hold the lease ``name``; inside it is the event that it was lost, or None when another holds it.

    Args:
        leases: where it is written.
        name: of the lease.
        waits: asked after each try whether to try again.
        lease_s: how long it stands without being renewed.
        renew_s: how often it is renewed.
        idle_s: the pause between two tries.
    """
    owner = uuid.uuid4().hex
    held = leases.acquire_lease(name, owner, lease_s)
    while not held and waits():
        time.sleep(idle_s)
        held = leases.acquire_lease(name, owner, lease_s)
    if not held:
        yield None
        return
    done, lost = threading.Event(), threading.Event()

    def renew() -> None:
        try:
            if not leases.acquire_lease(name, owner, lease_s):
                lost.set()
        except SQLAlchemyError as error:  # the database is away or busy; the next renewal may be in time
            log.warning("the lease %s could not be renewed: %s", name, error)

    def keep() -> None:
        while not done.wait(renew_s):
            renew()

    keeper = threading.Thread(target=keep, name="push-lease", daemon=True)
    keeper.start()
    try:
        yield lost
    finally:
        done.set()
        keeper.join()
        leases.release_lease(name, owner)


__all__ = ["IDLE_S", "LEASE_S", "RENEW_S", "leased"]
