"""What workers do: list a job's tasks, predict slices of them, push what is predicted, sweep up what was missed.

RQ calls these functions with ids only; everything else they read from the registry, so that each may be repeated, at
any moment, by any worker. `use` says which registry, queue and model the functions of this process work with.

```
plan_job ──▶ predict_job (slices) ──▶ push_job (one lane per Label Studio) ──▶ done
sweep_job ─▶ whichever of them was forgotten
```
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ParamSpec

import redis

from prelabel.errors import (
    CancelledError,
    LabelStudioAuthError,
    ModelDiedError,
    ModelError,
    ModelNotReadyError,
    NotFoundError,
    OverloadedError,
    PrelabelError,
)
from prelabel.predictor import Outcome, Priority
from prelabel.queue import TASKS_JOB, JobQueue, queue_of
from prelabel.redis_queue import plan_call, replace_call, slice_call
from prelabel.runs.rows import ACTIVE_JOBS

if TYPE_CHECKING:
    from prelabel.labelstudio import LabelStudio
    from prelabel.predictions import Prediction
    from prelabel.predictor import Predictor
    from prelabel.runs import Connection, JobRow, Ledger, LedgerRow
    from prelabel.settings import Settings
    from prelabel.tasks import Task

logger = logging.getLogger(__name__)

TURN_S = 15.0
"""A slice that took this long gives way to what is more urgent and goes on later."""
BATCH_S = 2.0
"""Predictions are written to the registry about this often: what a killed worker loses, and a pushed one waits for."""
MIN_BATCH = 16
PARTS: tuple[int | None, ...] = (None, 64, 8, 1, 1)
"""How many tasks the model gets at once, by their suspicion; a task whose suspicion is beyond that is given up.

Before the model gets tasks, their suspicion is raised to what applies if the process dies with them. So each death
shrinks the parts until the culprit stands alone, and the second death on a task that stood alone is its last.
"""
ENDED = "the model ended its process on this task."
PUSH_REST_S = 30
"""Pause after a push lane that failed for good, e.g. because the token is refused."""
MOST_ACTIVE = 10_000
STOP_LOOK_S = 0.5
"""How soon after the wish to stop a running call counts as no longer suspected."""
LOOK_S = 1.0
"""How often a running function looks whether its job was cancelled."""

P = ParamSpec("P")


@dataclass
class JobContext:
    """What the functions of one worker process work with. Clients and the predictor are made when first asked for."""

    settings: Settings
    ledger: Ledger
    queue: JobQueue
    make_predictor: Callable[[], Predictor]
    make_label_studio: Callable[[str, str], LabelStudio]
    stopping: threading.Event = field(default_factory=threading.Event)
    rate: float = 0.0
    """Tasks per second that the model last did."""
    disposable: bool = False
    """Whether this process was made for the one function that runs in it."""
    _predictor: Predictor | None = None
    _clients: dict[tuple[str, str], LabelStudio] = field(default_factory=dict)

    @property
    def predictor(self) -> Predictor:
        """The model, or the server that has it."""
        if self._predictor is None:
            self._predictor = self.make_predictor()
        return self._predictor

    def label_studio(self, connection: Connection) -> LabelStudio:
        """A client for the project's Label Studio.

        Raises:
            LabelStudioAuthError: no token is known.
        """
        key = self.settings.label_studio_api_key
        token = key.get_secret_value() if key is not None else connection.token
        if not token:
            raise LabelStudioAuthError(
                f"no token for Label Studio at {connection.instance}.",
                hint="Set LABEL_STUDIO_API_KEY to a personal access token.",
            )
        place = (self.settings.label_studio_url or connection.instance, token)
        if place not in self._clients:
            self._clients[place] = self.make_label_studio(*place)
        return self._clients[place]

    def forget_clients(self) -> None:
        """In a forked child: the parent's connections are the parent's."""
        self._clients = {}
        self._predictor = None

    def close(self) -> None:
        """Close the clients and the predictor."""
        for client in self._clients.values():
            client.close()
        if self._predictor is not None:
            self._predictor.close()


_CONTEXT: ContextVar[JobContext] = ContextVar("prelabel_job_context")


@contextlib.contextmanager
def use(context: JobContext) -> Iterator[JobContext]:
    """Let the job functions called inside work with ``context``."""
    token = _CONTEXT.set(context)
    try:
        yield context
    finally:
        _CONTEXT.reset(token)


def _job_function(function: Callable[P, None]) -> Callable[P, None]:
    """Tell RQ which failures may pass: those are tried again later, all others fail at once."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except NotFoundError as error:
            logger.info("%s: %s", function.__name__, error)  # the job was deleted, or belongs to another registry
        except PrelabelError as error:
            if error.retryable:
                logger.warning("%s is tried again later: %s", function.__name__, error)
            else:
                _no_retries()
            raise
        except Exception:
            _no_retries()
            raise

    return call


def _no_retries() -> None:
    from rq import get_current_job  # noqa: PLC0415 (only inside a worker)

    job = get_current_job()
    if job is not None:
        job.retries_left = 0


def _last_attempt() -> bool:
    from rq import get_current_job  # noqa: PLC0415 (only inside a worker)

    job = get_current_job()
    return job is None or not job.retries_left


# -- listing


@_job_function
def plan_job(job: str) -> None:
    """Plan a job's tasks and queue slices of them: those in the inbox, or those that Label Studio lists."""
    context = _CONTEXT.get()
    row = context.ledger.job(job)
    if row.state not in ACTIVE_JOBS or row.listed:
        return
    context.ledger.set_job_state(job, "running", error="")
    if row.kind == TASKS_JOB:
        with _explaining(context, row):
            context.queue.plan_received(row)
    else:
        _list(context, row)
    finish(context, job)


def _list(context: JobContext, row: JobRow) -> None:
    """Plan page by page, and queue slices while listing goes on."""
    ledger, queue, job = context.ledger, context.queue, row.id
    connection = ledger.connection_by_id(row.connection)
    with _explaining(context, row):
        label_studio = context.label_studio(connection)
        only_missing = bool(row.options.get("only_missing", False))
        missing_since = ledger.now()
        held = 0 if only_missing else label_studio.model_versions(connection.project).get(row.version, 0)
        slices = queue_of(row.kind, row.version)
        covered = queue.slices(job, row.version)
        pages = label_studio.tasks(
            connection.project,
            ids=row.options.get("tasks") or None,
            view=row.options.get("view"),
            lacking_version=row.version if only_missing else None,
            unlabeled=bool(row.options.get("unlabeled")),
            page=context.settings.page_tasks,
        )
        for page in _read_ahead(pages):
            ids = [task.id for task in page if task.id is not None]
            ledger.plan(
                row.version,
                connection,
                _not_held(context, row, connection, page) if held else page,
                job=job,
                replan=ids if only_missing else (),
                as_of=missing_since,
                again=True,
                reuse=bool(row.options.get("reuse")),
            )
            queue.enqueue_planned(job, slices, after=ids[0] - 1, until=ids[-1], covered=covered)
            if context.stopping.is_set():
                queue.redis.enqueue([plan_call(job)])
                return
            if ledger.cancel_requested(job):
                return
        ledger.set_job_listed(job)
        queue.enqueue_planned(job, slices, covered=queue.slices(job, row.version))
        if row.options.get("reuse"):
            queue.wake_push(connection.instance)


def _not_held(context: JobContext, row: JobRow, connection: Connection, page: list[Task]) -> list[Task]:
    """The tasks without those that the ledger does not know but whose prediction stands in Label Studio already.

    It was made with another registry, or imported with its task.
    """
    ids = [task.id for task in page if task.id is not None]
    known = context.ledger.states(row.version, connection, ids)
    unknown = [task for task in ids if task not in known]
    if not unknown:
        return page
    standing = context.label_studio(connection).predictions(connection.project, unknown)
    held = {task for task, found in standing.items() if any(one.model_version == row.version for one in found)}
    return [task for task in page if task.id not in held]


def _read_ahead(pages: Iterator[list[Task]]) -> Iterator[list[Task]]:
    """The same pages; while one is planned, Label Studio is asked for the next."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        coming = reader.submit(next, pages, None)
        while (page := coming.result()) is not None:
            coming = reader.submit(next, pages, None)
            yield page


# -- predicting


@_job_function
def predict_job(job: str, first: int, last: int) -> None:
    """Predict the planned tasks ``first`` to ``last`` of a job, in parts whose results are kept as they come."""
    context = _CONTEXT.get()
    row = context.ledger.job(job)
    if row.state not in ACTIVE_JOBS:
        return
    if row.state == "queued":
        context.ledger.set_job_state(job, "running")
    with _explaining(context, row):
        _Slice(context, row, first, last).run()
    if row.listed:
        finish(context, job)


class _Slice:
    """One run of `predict_job`."""

    def __init__(self, context: JobContext, row: JobRow, first: int, last: int) -> None:
        from prelabel.labeling import parse  # noqa: PLC0415

        self.context = context
        self.row = row
        self.span = (first, last)
        self.connection = context.ledger.connection_by_id(row.connection)
        self.config = parse(self.connection.label_config)
        self.postponed: PrelabelError | None = None
        self._looked = time.monotonic()
        self._cancelled = False
        self._left = False

    def run(self) -> None:
        context, started, after = self.context, time.monotonic(), 0
        if context.predictor.model_version != self.row.version:
            raise ModelNotReadyError(
                f"this worker's model is {context.predictor.model_version}, the job's {self.row.version}."
            )
        while rows := self._next(after):
            if self.stopped() or time.monotonic() - started > TURN_S:
                self._give_way()
                return
            after = rows[-1].id
            try:
                self._predict(rows)
            except ModelDiedError as error:
                logger.warning("%s %d tasks are tried again in smaller parts", error, len(rows))
                self._give_way()
                return
        if self._left:
            self._give_way()
        elif self.postponed is not None:
            raise self.postponed

    def stopped(self) -> bool:
        """Whether this worker is to stop, or the job was cancelled."""
        if time.monotonic() - self._looked > LOOK_S:
            self._looked = time.monotonic()
            self._cancelled = self.context.ledger.cancel_requested(self.row.id)
        return self._cancelled or self.context.stopping.is_set()

    def _next(self, after: int) -> list[LedgerRow]:
        """The tasks that the model gets next, all of one suspicion."""
        wanted = max(MIN_BATCH, self.context.settings.max_batch_size, int(self.context.rate * BATCH_S))
        rows = self.context.ledger.planned(
            job=self.row.id,
            version=self.row.version,
            connection=self.row.connection,
            between=self.span,
            after=after,
            limit=min(wanted, self.context.settings.slice_tasks),
        )
        alike = list(itertools.takewhile(lambda row: row.suspicion == rows[0].suspicion, rows))
        return alike[: PARTS[alike[0].suspicion]] if alike and alike[0].suspicion < len(PARTS) else alike

    def _predict(self, rows: list[LedgerRow]) -> None:
        context = self.context
        if rows[0].suspicion >= len(PARTS):
            self._give_up(rows)
            return
        began = time.monotonic()
        with self._suspecting(rows):
            outcomes = context.predictor.predict(
                [row.task for row in rows], self.config, priority=Priority.BULK, cancelled=self.stopped
            )
        results = [
            (row, result)
            for row, outcome in zip(rows, outcomes, strict=True)
            if (result := self._result(outcome)) is not None
        ]
        left = len(results) < len(rows)
        if left:  # before the others are recorded: what is recorded is no longer suspected
            context.ledger.suspect(rows, rows[0].suspicion)
        if results:
            context.ledger.record(results)
            context.rate = len(results) / max(time.monotonic() - began, 1e-6)
            context.queue.wake_push(self.connection.instance)

    @contextlib.contextmanager
    def _suspecting(self, rows: list[LedgerRow]) -> Iterator[None]:
        """Raise the tasks' suspicion while the model has them; a process that is told to stop does not count."""
        ledger, known, over = self.context.ledger, rows[0].suspicion, threading.Event()

        def watch() -> None:
            while not over.wait(STOP_LOOK_S):
                if self.context.stopping.is_set():
                    ledger.suspect(rows, known)
                    return

        ledger.suspect(rows, _worse(known, len(rows)))
        watcher = threading.Thread(target=watch, name="suspicion", daemon=True)
        watcher.start()
        try:
            yield
        except ModelDiedError:
            raise
        except BaseException:
            ledger.suspect(rows, known)
            raise
        finally:
            over.set()
            watcher.join()

    def _give_up(self, rows: list[LedgerRow]) -> None:
        for row in rows:
            logger.error("task %s: %s", row.task.id, ENDED)
        error = ModelError(ENDED, hint="Try the task with `prelabel check`; `prelabel jobs retry` tries it again.")
        self.context.ledger.record((row, error) for row in rows)

    def _result(self, outcome: Outcome) -> Prediction | PrelabelError | None:
        """What is final; None leaves the task planned."""
        if outcome.prediction is not None:
            made_by = outcome.prediction.model_version
            if made_by == self.row.version:
                return outcome.prediction
            self.postponed = ModelNotReadyError(f"this worker's model is {made_by}, the job's {self.row.version}.")
            return None
        error = outcome.error
        if error is None:
            error = OverloadedError("the model did not come to this task.")
        if isinstance(error, CancelledError):
            self._left = True
            return None
        if error.retryable and (outcome.error is None or not _last_attempt()):
            self.postponed = error
            return None
        return error

    def _give_way(self) -> None:
        """Leave the rest of the slice to whoever is next."""
        if not self._cancelled:
            queue = queue_of(self.row.kind, self.row.version)
            self.context.queue.redis.enqueue([slice_call(self.row.id, *self.span, queue, at_front=True)])


def _worse(suspicion: int, together: int) -> int:
    """The suspicion of so many tasks if the process dies with them: their next parts are smaller than this one."""
    fits = (step for step, part in enumerate(PARTS) if part is not None and part < together)
    alone = len(PARTS) - 1
    return max(suspicion + 1, next(fits, alone))


@contextlib.contextmanager
def _explaining(context: JobContext, row: JobRow) -> Iterator[None]:
    """Write a failure into the job, where people look: for good, or as what it waits for."""
    try:
        yield
    except PrelabelError as error:
        context.ledger.set_job_state(row.id, "running" if error.retryable else "failed", error=str(error))
        raise
    except Exception as error:
        context.ledger.set_job_state(row.id, "failed", error=f"{type(error).__name__}: {error}")
        raise


# -- done


def finish(context: JobContext, job: str) -> bool:
    """Close a job for whose tasks nothing more will happen; one that replaces older versions does that first."""
    row = context.ledger.job(job)
    if row.state not in ACTIVE_JOBS or not row.listed or row.finished < row.total:
        return False
    if row.options.get("replace"):
        return context.queue.redis.enqueue_once(replace_call(job))
    return context.ledger.set_job_state(job, "done", error="")


@_job_function
def replace_job(job: str) -> None:
    """Remove what older versions of ours said of the job's tasks, now that the new predictions stand; close the job."""
    from prelabel import push  # noqa: PLC0415 (httpx and all)

    context = _CONTEXT.get()
    row = context.ledger.job(job)
    if row.state not in ACTIVE_JOBS:
        return
    connection = context.ledger.connection_by_id(row.connection)
    some = bool(row.options.get("tasks")) or row.options.get("view") is not None
    with _explaining(context, row):
        stored = (task for page in context.ledger.job_tasks(job, ("stored", "answered")) for task in page)
        push.remove_versions(
            context.ledger,
            context.label_studio(connection),
            connection,
            row.version,
            tasks=stored if some else None,
        )
    context.ledger.set_job_state(job, "done", error="")


# -- pushing


@_job_function
def push_job(instance: str) -> None:
    """Push what is pending for one Label Studio, then close the jobs that this completed."""
    from prelabel import push  # noqa: PLC0415 (httpx and all)

    context = _CONTEXT.get()
    ledger = context.ledger
    known = [one for one in ledger.connections() if one.instance == instance]
    if not known:
        raise NotFoundError(f"no project of {instance} is known.")
    connection = next((one for one in known if one.token), known[0])
    error: PrelabelError | None = None
    try:
        push.run_lane(
            ledger,
            context.label_studio(connection),
            instance,
            context.settings,
            stopping=context.stopping.is_set,
        )
    except PrelabelError as raised:
        error = raised
        _note_push_failure(context, instance)
    for row in ledger.jobs(states=ACTIVE_JOBS, limit=MOST_ACTIVE):
        if row.instance != instance or finish(context, row.id):
            continue
        if error is not None:
            ledger.set_job_state(row.id, row.state, error=str(error))
    if error is not None:
        raise error


def _note_push_failure(context: JobContext, instance: str) -> None:
    """Keep the lane from being woken again at once; RQ tries it again where that may help."""
    with contextlib.suppress(redis.RedisError):
        context.queue.redis.client.set(_push_failure(instance), 1, ex=PUSH_REST_S)


def push_failed_lately(context: JobContext, instance: str) -> bool:
    """Whether the push lane of a Label Studio failed less than `PUSH_REST_S` ago."""
    try:
        return bool(context.queue.redis.client.exists(_push_failure(instance)))
    except redis.RedisError:
        return False


def _push_failure(instance: str) -> str:
    return f"prelabel:push-failed:{instance}"


# -- training


@_job_function
def train_job(job: str) -> None:
    """Train a project's model on its annotations."""
    from prelabel.training import train  # noqa: PLC0415 (the model and all it needs)

    context = _CONTEXT.get()
    row = context.ledger.job(job)
    if row.state not in ACTIVE_JOBS:
        return
    context.ledger.set_job_state(job, "running", error="")
    try:
        with _explaining(context, row):
            train(context, row)
    except CancelledError:
        logger.info("project %d: job %s was cancelled", row.project, job)
        return
    context.ledger.set_job_listed(job)
    context.ledger.set_job_state(job, "done", error="")


# -- sweeping


@_job_function
def sweep_job(version: str) -> None:
    """Find tasks of connected projects that nobody announced, and whatever the queue has forgotten."""
    from prelabel import sweep  # noqa: PLC0415 (it needs this module)

    context = _CONTEXT.get()
    sweep.tend(context, thorough=True)
    sweep.discover(context, version)
