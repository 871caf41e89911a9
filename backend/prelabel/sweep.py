"""What is done again and again: find tasks nobody announced, and queue what the registry holds and Redis forgot.

`tend` runs every few seconds and looks into registry and Redis only; `discover` asks Label Studio, at every sweep. Both
change nothing where all is well, and may run in several workers at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prelabel.errors import PrelabelError, QueueError
from prelabel.jobs import JobContext, finish, push_failed_lately
from prelabel.queue import TASKS_JOB, beginning_of, queue_of
from prelabel.redis_queue import push_call, queue_names, same, slices_of
from prelabel.runs.rows import ACTIVE_JOBS, config_hash

if TYPE_CHECKING:
    from prelabel.labelstudio import LabelStudio
    from prelabel.queue import JobQueue
    from prelabel.runs import Connection, JobRow
    from prelabel.tasks import Task

logger = logging.getLogger(__name__)

TEND_LEASE_S = 9.0
ABANDONED_S = 60.0
"""A job of given tasks that is not wholly written down after this long has lost its submitter."""
LEFT_ALONE = ("planned", "pending", "shadow", "sending", "silent", "refused", "quarantined", "cancelled")
"""States in which a task that lacks its prediction is somebody else's business: on its way, left out, or given up."""


def tend(context: JobContext, *, thorough: bool = False) -> None:
    """Queue what was forgotten, wake push lanes that have work, close jobs that are through.

    Args:
        context: of this worker.
        thorough: compare every planned task with the queue, even where slices of its job are queued.
    """
    ledger, queue = context.ledger, context.queue
    active = ledger.jobs(states=ACTIVE_JOBS, limit=10_000)
    names = queue_names(*sorted({row.version for row in active}))
    try:
        live = queue.redis.live_ids(names)
    except QueueError as error:
        logger.warning("%s", error)
        return
    for row in active:
        _tend_job(context, row, live, thorough=thorough)
    for instance in ledger.instances_with_work():
        if not same(push_call(instance), live) and not push_failed_lately(context, instance):
            queue.wake_push(instance)


def _tend_job(context: JobContext, row: JobRow, live: set[str], *, thorough: bool) -> None:
    ledger, queue = context.ledger, context.queue
    if not row.listed:
        if row.kind != TASKS_JOB:
            _plan_again(queue, row, live)
        elif ledger.has_received(row.id):
            _plan_again(queue, row, live)
            return
        elif ledger.now() - row.created_at > ABANDONED_S:
            ledger.set_job_listed(row.id)
        else:
            return
    elif finish(context, row.id):
        return
    if row.counts.get("planned", 0):
        slices = slices_of(row.id, live)
        if thorough or not slices:
            again = queue.enqueue_planned(row.id, queue_of(row.kind, row.version), covered=slices)
            if again:
                logger.info("job %s: %d tasks that were in nobody's hands are queued again", row.id, again)


def _plan_again(queue: JobQueue, row: JobRow, live: set[str]) -> None:
    call = beginning_of(row)
    if not same(call, live):
        queue.redis.enqueue([call])


def discover(context: JobContext, version: str) -> None:
    """Plan the tasks of connected projects that lack a prediction of ``version`` and are in nobody's hands.

    A hidden version, whose predictions Label Studio never has, gets the tasks that the ledger has no word of.
    """
    context.ledger.settle_stages(version)
    if not context.settings.auto_predict:
        return
    for connection in context.ledger.connections(context.ledger.model_of(version)):
        if not connection.connected or not connection.label_config or _gave_up(context, connection, version):
            continue
        try:
            _discover(context, connection, version)
        except PrelabelError as error:  # one project that is gone must not keep the others waiting
            logger.warning("project %d of %s: %s", connection.project, connection.instance, error)


def _discover(context: JobContext, connection: Connection, version: str) -> None:
    ledger = context.ledger
    job = None
    seen = ledger.now()
    for page in _unknown(context, connection, version):
        if context.stopping.is_set():
            break
        if job is None:
            job = ledger.create_job(
                TASKS_JOB,
                connection,
                version,
                reason="sweep",
                options={"config": config_hash(connection.label_config)},
            )
        ids = [task.id for task in page if task.id is not None]
        ledger.plan(version, connection, page, job=job, replan=ids, as_of=seen)
        context.queue.enqueue_planned(job, queue_of(TASKS_JOB, version), after=ids[0] - 1, until=ids[-1])
    if job is not None:
        ledger.set_job_listed(job)
        found = ledger.job(job).total
        logger.info("project %d: the sweep found %d tasks that nobody announced", connection.project, found)
        finish(context, job)


def _unknown(context: JobContext, connection: Connection, version: str) -> Iterator[list[Task]]:
    """Pages of tasks without a prediction of the version that are neither on their way nor given up."""
    label_studio = context.label_studio(connection)
    if context.ledger.standing_of(version).hidden:
        yield from _unseen(context, label_studio, connection, version)
        return
    trained = context.ledger.was_trained(version)
    if trained and context.settings.train_predict != "all":  # what else it predicts was decided after the training
        yield from _unpredicted(context, label_studio, connection, version)
        return
    pages = label_studio.tasks(connection.project, lacking_version=version, page=context.settings.page_tasks)
    active = {row.id for row in context.ledger.jobs(states=ACTIVE_JOBS, limit=10_000)}
    for page in pages:
        states = context.ledger.standing(version, connection, [task.id for task in page if task.id is not None])
        unknown = []
        for task in page:
            state, job = states.get(task.id or 0, ("", None))
            orphan = state == "planned" and job not in active
            if orphan or state not in LEFT_ALONE:
                unknown.append(task)
        if unknown:
            yield unknown


def _unseen(
    context: JobContext, label_studio: LabelStudio, connection: Connection, version: str
) -> Iterator[list[Task]]:
    """Pages of tasks that a hidden version never saw: Label Studio cannot tell which, the ledger can."""
    for ids in label_studio.task_ids(connection.project):
        known = context.ledger.standing(version, connection, ids)
        if unseen := [task for task in ids if known.get(task, ("gone", None))[0] == "gone"]:
            yield from label_studio.tasks(connection.project, ids=unseen, page=context.settings.page_tasks)


def _unpredicted(
    context: JobContext, label_studio: LabelStudio, connection: Connection, version: str
) -> Iterator[list[Task]]:
    """Pages of tasks of which no version of the model has said anything.

    Of the project that ``version`` was trained on only those that came later: of the others the training decided.
    """
    decided = context.ledger.trained_until(connection, version) or 0
    for ids in label_studio.task_ids(connection.project, after=decided):
        unpredicted = context.ledger.unpredicted(connection, ids)
        known = context.ledger.standing(version, connection, unpredicted)
        if unpredicted := {task for task in unpredicted if known.get(task, ("", None))[0] != "silent"}:
            yield from label_studio.tasks(connection.project, ids=unpredicted, page=context.settings.page_tasks)


def _gave_up(context: JobContext, connection: Connection, version: str) -> bool:
    """Whether the last job for this version and config failed for good: then only a person can help."""
    last = next(
        (
            row
            for row in context.ledger.jobs(limit=200)
            if row.connection == connection.id and row.version == version and row.options.get("config")
        ),
        None,
    )
    return (
        last is not None and last.state == "failed" and last.options["config"] == config_hash(connection.label_config)
    )
