"""Jobs: submitted, looked at, cancelled, resumed. A job lives in the registry; Redis only says what to do next.

`JobQueue.submit_tasks` takes tasks that somebody else has read (a webhook, a large ``/predict``): before it returns,
they are in the ledger or, where they are many, in its inbox. `JobQueue.submit_project` makes a worker read them from
Label Studio. When Redis is away both succeed all the same, and the workers' sweep queues what the registry holds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from prelabel import embedded_redis
from prelabel.errors import NotFoundError, QueueError, RequestError
from prelabel.redis_queue import (
    PLAN_QUEUE,
    Call,
    FailedCall,
    RedisQueue,
    bulk_queue,
    connect,
    job_of,
    plan_call,
    predict_queue,
    predicting_queues,
    push_call,
    queue_names,
    slice_call,
    slices_of,
    train_call,
)
from prelabel.runs.rows import config_hash
from prelabel.runs.trainings import TRAIN_JOB

if TYPE_CHECKING:
    import redis

    from prelabel.runs import Connection, JobRow, Ledger
    from prelabel.settings import Settings
    from prelabel.tasks import Task

TASKS_JOB = "tasks"
PROJECT_JOB = "project"
AT_ONCE = 300
"""So many tasks are planned by whoever submits them; more go to the inbox, and a worker plans them."""
MOST_RETRIED = 10_000
"""Failed tasks of a job that one `JobQueue.retry` takes up."""
RETRIEVE_GRACE_S = 10.0
"""Label Studio chose the tasks that it asks for at most this long before its request arrived."""


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """What of a project to predict.

    Attributes:
        only_missing: ask Label Studio for the tasks without a prediction of this version, which also brings back
            predictions that were deleted there; False: all tasks are listed, and those that the ledger knows as stored
            are left.
        replace: remove the predictions of older versions once the new ones are stored.
        tasks: ids of tasks; empty: all.
        view: id of a Data Manager view whose filter chooses the tasks.
        unlabeled: only tasks that nobody has annotated.
        reuse: with ``only_missing``, send again what the ledger still has of a task instead of asking the model.
    """

    only_missing: bool = False
    replace: bool = False
    tasks: tuple[int, ...] = ()
    view: int | None = None
    reuse: bool = False
    unlabeled: bool = False

    @classmethod
    def from_json(cls, raw: object) -> PredictOptions:
        """Read the options of a request.

        Raises:
            RequestError: an unknown key or a wrong type.
        """
        if not isinstance(raw, dict):
            raise RequestError("the options must be a JSON object.", hint='Send {"only_missing": true}.')
        known = {one.name for one in fields(cls)}
        unknown = sorted(set(raw) - known)
        if unknown:
            raise RequestError(f"unknown option {unknown[0]!r}.", hint=f"Known are {', '.join(sorted(known))}.")
        for name in ("only_missing", "replace", "reuse", "unlabeled"):
            if not isinstance(raw.get(name, False), bool):
                raise RequestError(f"option {name} must be true or false, got {raw[name]!r}.")
        if raw.get("only_missing") and raw.get("replace"):
            raise RequestError("only_missing and replace exclude each other.", hint="Send one of the two.")
        if raw.get("reuse") and not raw.get("only_missing"):
            raise RequestError("reuse is for tasks that lack their prediction.", hint="Send only_missing, too.")
        tasks = raw.get("tasks") or []
        if not isinstance(tasks, list) or not all(isinstance(one, int) and not isinstance(one, bool) for one in tasks):
            raise RequestError("option tasks must be a list of task ids.", hint='Send {"tasks": [1, 2, 3]}.')
        view = raw.get("view")
        if view is not None and (not isinstance(view, int) or isinstance(view, bool)):
            raise RequestError(f"option view must be the id of a view, got {view!r}.")
        return cls(
            only_missing=raw.get("only_missing", False),
            replace=raw.get("replace", False),
            tasks=tuple(tasks),
            view=view,
            reuse=raw.get("reuse", False),
            unlabeled=raw.get("unlabeled", False),
        )


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as people and programs see it. Counts are tasks; times are seconds since 1970.

    ``done`` counts the tasks that the model is finished with, ``stored`` those whose prediction stands in Label Studio,
    ``shadow`` those whose prediction waits until its version is shown, ``failed`` those in quarantine or refused.
    ``listed`` False: ``total`` still grows. ``rate`` is done tasks per second, ``left_s`` the seconds until all are
    done at that rate; None where that cannot be said. Of a training, ``total`` counts the annotated tasks and ``done``
    those that the model has read; ``phase`` is what it is at: reading, learning, saving, trained.
    """

    id: str
    kind: str
    project: int
    instance: str
    model: str
    version: str
    state: str
    reason: str
    total: int
    done: int
    stored: int
    failed: int
    listed: bool
    error: str
    created: float
    started: float | None
    finished: float | None
    rate: float | None
    left_s: float | None
    options: dict[str, Any] = field(default_factory=dict)
    shadow: int = 0
    phase: str = ""

    @property
    def is_training(self) -> bool:
        """Whether a model learns in it, rather than predicts."""
        return self.kind == TRAIN_JOB

    def as_json(self) -> dict[str, Any]:
        """The view as the HTTP API answers it."""
        return asdict(self)


class JobQueue:
    """Submits jobs and looks at them. Thread-safe; make it with `JobQueue.open`."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        redis_queue: RedisQueue,
        handle: embedded_redis.EmbeddedRedis | None = None,
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.redis = redis_queue
        self._handle = handle

    @classmethod
    def open(cls, settings: Settings, ledger: Ledger, *, client: redis.Redis | None = None) -> JobQueue:
        """The queue of these settings; starts the embedded Redis when no ``redis_url`` is given.

        Args:
            settings: ``redis_url``, ``slice_tasks`` and ``job_retries`` are used.
            ledger: where jobs live.
            client: a Redis client to use instead of one with short timeouts.

        Raises:
            QueueError: the embedded Redis does not start. A given Redis that is away is no error.
        """
        handle = None
        if client is None:
            handle = embedded_redis.ensure(settings)
            client = connect(handle.url)
        return cls(settings, ledger, RedisQueue(client, settings.job_retries), handle)

    def prepare(self) -> None:
        """Import what the first submission would import: a tenth of a second that no request should pay."""
        self.redis.queue(PLAN_QUEUE)

    def close(self) -> None:
        """Close the connections, and stop using the embedded Redis."""
        self.redis.client.close()
        if self._handle is not None:
            self._handle.close()

    # -- submitting

    def submit_tasks(
        self,
        connection: Connection,
        tasks: Sequence[Task],
        *,
        version: str,
        reason: str,
        missing: bool = False,
    ) -> str:
        """Have these tasks predicted ahead of whole projects; they are on disk when this returns the job's id.

        Args:
            connection: the project, as the ledger remembers it.
            tasks: tasks with id and data, in any order.
            version: the model version that is to predict them.
            reason: who asked, for people: ``"import"``, ``"retrieve"`` ...
            missing: Label Studio asked for them, so it lacks what the ledger may know as stored.
        """
        options = {**_options(connection), "missing": missing}
        if len(tasks) > AT_ONCE:
            job = self.ledger.receive(TASKS_JOB, connection, version, tasks, reason=reason, options=options)
            self.redis.enqueue([plan_call(job, predict_queue(version))])
            return job
        job = self.ledger.create_job(TASKS_JOB, connection, version, reason=reason, options=options)
        self._plan(self.ledger.job(job), connection, tasks)
        self.ledger.set_job_listed(job)
        if not self.enqueue_planned(job, predict_queue(version)):
            self.ledger.set_job_state(job, "done")
        return job

    def plan_received(self, row: JobRow) -> None:
        """Plan what is in the inbox for a job, and queue slices of it."""
        connection = self.ledger.connection_by_id(row.connection)
        for entry, tasks in self.ledger.received(row.id):
            self._plan(row, connection, tasks)
            self.ledger.forget_received(entry)
        self.ledger.set_job_listed(row.id)
        self.enqueue_planned(row.id, predict_queue(row.version), covered=self.slices(row.id, row.version))

    def _plan(self, row: JobRow, connection: Connection, tasks: Sequence[Task]) -> None:
        missing = bool(row.options.get("missing"))
        self.ledger.plan(
            row.version,
            connection,
            tasks,
            job=row.id,
            replan=[task.id for task in tasks if task.id is not None] if missing else (),
            as_of=row.created_at - RETRIEVE_GRACE_S if missing else None,
            again=missing,
        )

    def submit_project(self, connection: Connection, options: PredictOptions, *, version: str, reason: str = "") -> str:
        """Have a worker list the project's tasks and predict them; returns the job's id."""
        job = self.ledger.create_job(
            PROJECT_JOB, connection, version, reason=reason, options={**_options(connection), **asdict(options)}
        )
        self.redis.enqueue([plan_call(job)])
        return job

    def submit_training(self, connection: Connection, *, version: str, reason: str) -> tuple[str, bool]:
        """Have a project's model trained on its annotations.

        Returns:
            The job's id, and whether it is new; where one waits or runs, it is that one's.
        """
        job, new = self.ledger.begin_training(connection, version, reason=reason)
        if new:
            self.redis.enqueue([train_call(job)])
        return job, new

    def submit_shown(self, version: str) -> list[str]:
        """Have every connected project get the predictions of a version that is shown from now on; the jobs' ids.

        What the ledger has is sent without asking the model; tasks that the version never saw wait for its workers.
        """
        connections = self.ledger.model_connections(version)
        for instance in sorted({one.instance for one in connections}):
            self.wake_push(instance)
        lacking = PredictOptions(only_missing=True, reuse=True)
        return [self.submit_project(one, lacking, version=version, reason="promote") for one in connections]

    def enqueue_planned(
        self,
        job: str,
        queue: str,
        *,
        after: int = -1,
        until: int | None = None,
        covered: Sequence[tuple[int, int]] = (),
    ) -> int:
        """Queue slices for the planned tasks of a job; returns how many tasks that are.

        Args:
            job: the ledger's id.
            queue: `predict_queue` or `bulk_queue` of the job's version.
            after: tasks up to this id are left.
            until: tasks beyond this id are left.
            covered: slices (first and last task) that are queued already.
        """
        size = self.settings.slice_tasks
        waiting: list[int] = []
        count = 0
        while page := self.ledger.planned_tasks(job, after=after, until=until, limit=max(size, 1000)):
            after = page[-1]
            waiting += _uncovered(page, covered)
            full = len(waiting) - len(waiting) % size
            count += self._enqueue_slices(job, queue, waiting[:full])
            waiting = waiting[full:]
        return count + self._enqueue_slices(job, queue, waiting)

    def _enqueue_slices(self, job: str, queue: str, tasks: Sequence[int]) -> int:
        size = self.settings.slice_tasks
        parts = [tasks[start : start + size] for start in range(0, len(tasks), size)]
        self.redis.enqueue([slice_call(job, part[0], part[-1], queue) for part in parts])
        return len(tasks)

    def slices(self, job: str, version: str) -> list[tuple[int, int]]:
        """First and last task of every slice of the job that waits or runs, rising; none while Redis is away."""
        with contextlib.suppress(QueueError):
            return slices_of(job, self.redis.live_ids(predicting_queues(version)))
        return []

    def wake_push(self, instance: str) -> None:
        """Have the push lane of a Label Studio look for pending predictions."""
        self.redis.enqueue_once(push_call(instance))

    # -- looking

    def jobs(self, limit: int = 100, *, ids: Sequence[str] | None = None) -> list[JobView]:
        """Jobs, newest first; ``ids``: only these, as far as there are such."""
        now = self.ledger.now()
        return [view_of(row, now) for row in self.ledger.jobs(limit=limit, ids=ids)]

    def job(self, job: str) -> JobView:
        """One job.

        Raises:
            NotFoundError: there is none.
        """
        return view_of(self.ledger.job(job), self.ledger.now())

    def failed(self) -> list[FailedCall]:
        """Calls that failed for good and wait for a person to look at them and `retry` them.

        Raises:
            QueueError: Redis cannot be reached.
        """
        return self.redis.failed(self._all_queues())

    # -- changing

    def cancel(self, job: str) -> int:
        """End a job; what is being sent is finished. Returns how many tasks will not be predicted or pushed.

        Raises:
            NotFoundError: there is none.
        """
        stopped = self.ledger.cancel_job(job)
        version = self.ledger.job(job).version
        self.redis.drop(job, queue_names(version))
        return stopped

    def resume(self, job: str) -> int:
        """Take up a cancelled or failed job where it stopped. Returns how many tasks wait again.

        Raises:
            NotFoundError: there is none.
        """
        waiting = self.ledger.resume_job(job)
        self._enqueue_again(self.ledger.job(job))
        return waiting

    def retry(self, name: str) -> int:
        """Try again what failed: of a job its quarantined and refused tasks, or one failed call by its id.

        Returns:
            How many tasks are tried again; 1 for a call.

        Raises:
            NotFoundError: neither a job nor a failed call has that id.
            QueueError: Redis cannot be reached.
        """
        try:
            row = self.ledger.job(name)
        except NotFoundError:
            self.redis.retry(name, self._all_queues())
            owner = job_of(name)
            if owner is not None:
                self.ledger.resume_job(owner)
            return 1
        connection = self.ledger.connection_by_id(row.connection)
        failed = [one.task for one in self.ledger.quarantined(job=name, limit=MOST_RETRIED)]
        self.ledger.resume_job(name)
        retried = self.ledger.retry_quarantined(connection, version=row.version, job=name, tasks=failed)
        self._enqueue_again(self.ledger.job(name))
        return retried

    def _enqueue_again(self, row: JobRow) -> None:
        if not row.listed:
            self.redis.enqueue([beginning_of(row)])
        self.enqueue_planned(row.id, queue_of(row.kind, row.version))
        self.wake_push(row.instance)

    def _all_queues(self) -> list[str]:
        return queue_names(*self.ledger.versions())


def queue_of(kind: str, version: str) -> str:
    """The queue on which the slices of a kind of job go."""
    return bulk_queue(version) if kind == PROJECT_JOB else predict_queue(version)


def beginning_of(row: JobRow) -> Call:
    """The call with which a job begins: its training or its planning.

    Planning of what is in the inbox never waits behind the listing of a project.
    """
    if row.kind == TRAIN_JOB:
        return train_call(row.id)
    return plan_call(row.id, PLAN_QUEUE if row.kind == PROJECT_JOB else predict_queue(row.version))


def view_of(row: JobRow, now: float) -> JobView:
    """A job's row as people see it."""
    rate = left = None
    until = row.finished_at or now
    if row.started_at is not None and row.predicted > 0 and until > row.started_at:
        rate = row.predicted / (until - row.started_at)
        if row.listed and row.state in ("queued", "running"):
            left = (row.total - row.predicted) / rate
    told = row.options if row.kind == TRAIN_JOB else None
    return JobView(
        id=row.id,
        kind=row.kind,
        project=row.project,
        instance=row.instance,
        model=row.model,
        version=row.version,
        state=row.state,
        reason=row.reason,
        total=row.total if told is None else max(int(told.get("of", 0)), int(told.get("examples", 0))),
        done=row.predicted if told is None else int(told.get("examples", 0)),
        stored=row.stored,
        failed=row.failed,
        listed=row.listed if told is None else "of" in told or row.listed,
        error=row.error,
        created=row.created_at,
        started=row.started_at,
        finished=row.finished_at,
        rate=rate,
        left_s=left,
        options=dict(row.options),
        shadow=row.shadow,
        phase=str(told.get("phase", "")) if told is not None else "",
    )


def _options(connection: Connection) -> dict[str, Any]:
    return {"config": config_hash(connection.label_config)}


def _uncovered(tasks: Iterable[int], covered: Sequence[tuple[int, int]]) -> list[int]:
    """Those of the rising ``tasks`` that lie in none of the rising ``covered`` ranges."""
    left: list[int] = []
    ranges = iter(covered)
    current = next(ranges, None)
    reach = -1
    for task in tasks:
        while current is not None and current[0] <= task:
            reach = max(reach, current[1])
            current = next(ranges, None)
        if task > reach:
            left.append(task)
    return left
