"""A training job of a model that learns from events: what *Start Training* sends is written down, and waited for.

The process that serves the model calls its ``fit`` (`lsml.learning`); the worker with the job only watches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from prelabel.errors import ModelError, PrelabelError
from prelabel.lsml.learning import learn_lease

if TYPE_CHECKING:
    from prelabel.runs import Connection, JobRow, Ledger

START_TRAINING = "START_TRAINING"
POLL_S = 0.25


def ask_to_learn(
    ledger: Ledger, job: JobRow, connection: Connection, unwanted: Callable[[], PrelabelError | None]
) -> None:
    """Have a project's model learn, and wait until its ``fit`` has returned and what it set is taken on.

    The job says which event it waits for, so that one that begins anew in another process waits for the same.

    Args:
        ledger: where the event is written down.
        job: the training.
        connection: the project's.
        unwanted: why the training is to end now, if it is.

    Raises:
        ModelError: ``fit`` failed.
        OverloadedError: too many events wait.
        PrelabelError: what ``unwanted`` said.
    """
    model, asked = connection.model, job.options.get("event")
    if asked is None:
        project = {"id": connection.project, "label_config": connection.label_config}
        asked = ledger.hear(model, str(connection.project), START_TRAINING, {"project": project})
        ledger.note(job.id, event=asked)
    phase = ""
    while (event := ledger.event(asked)) is not None:
        if event.error is not None:
            ledger.note(job.id, event=None)  # tried again, the job asks anew
            raise ModelError(event.error)
        now = "learning" if event.attempts else "waiting for the server that has the model"
        if now != phase:
            phase = now
            ledger.note(job.id, phase=phase)
        if (why := unwanted()) is not None:
            raise why
        time.sleep(POLL_S)
    while (until := ledger.lease_until(learn_lease(model))) is not None and until > ledger.now():
        time.sleep(POLL_S)  # events behind it are learnt, too, before the version is taken on


def withdraw(ledger: Ledger, job: JobRow) -> None:
    """The training was cancelled: its event is not wanted any more. A ``fit`` that has it in hand goes on."""
    if (asked := ledger.job(job.id).options.get("event")) is not None:
        ledger.withdraw(asked)
        ledger.note(job.id, event=None)
