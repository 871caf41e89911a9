"""Older versions' predictions removed once the new ones stand."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from itertools import islice

from prelabel.labelstudio import LabelStudio
from prelabel.runs import Connection, Ledger

log = logging.getLogger(__name__)

PAGE = 500


def remove_versions(
    ledger: Ledger,
    label_studio: LabelStudio,
    connection: Connection,
    version: str,
    *,
    older: Collection[str] | None = None,
    tasks: Iterable[int] | None = None,
) -> int:
    """Remove predictions of older versions from tasks on which ``version`` stands; returns how many.

    Only versions of the same model are removed, never another model's, a person's, another tool's or ``version``
    itself. A task without a prediction of ``version`` keeps what it has.

    Args:
        ledger: knows which versions are the model's.
        label_studio: the client.
        connection: the project and the model.
        version: the version that replaces them.
        older: which versions; None: all others of the model's.
        tasks: only of these tasks; None: the whole project.
    """
    project = connection.project
    ours = set(ledger.versions(connection.model)) - {version}
    doomed = {name for name in label_studio.model_versions(project) if name in ours}
    if older is not None:
        doomed &= set(older)
    if not doomed:
        return 0
    removed = 0
    if tasks is None:
        if not any(label_studio.task_ids(project, lacking_version=version)):
            removed = sum(label_studio.delete_version(project, name) for name in sorted(doomed))
            log.info("project %d: %d predictions of older versions removed", project, removed)
            return removed
        tasks = (task for page in label_studio.task_ids(project) for task in page)
    numbers = iter(tasks)
    while page := list(islice(numbers, PAGE)):
        for standing in label_studio.predictions(project, page).values():
            if any(one.model_version == version for one in standing):
                removed += label_studio.delete_predictions(one.id for one in standing if one.model_version in doomed)
    log.info("project %d: %d predictions of older versions removed", project, removed)
    return removed
