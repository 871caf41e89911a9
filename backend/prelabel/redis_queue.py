"""RQ's queues over Redis, as prelabel uses them: ids and JSON only, short waits, nothing that cannot be made anew.

```
prelabel-push                 push_job(instance)            one lane per Label Studio
prelabel-plan                 plan_job(job), replace_job(job), sweep_job(version)
prelabel-train                train_job(job)
prelabel-predict-VERSION      predict_job(job, first, last) of what a person or an import waits for,
                              plan_job(job) of what came in with a request
prelabel-bulk-VERSION         predict_job(job, first, last) of a whole project's job
```

A queue of predictions names its model version, so that a worker only takes work that its model can do.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry as RedisRetry

from prelabel.errors import NotFoundError, QueueError

if TYPE_CHECKING:
    from rq import Queue
    from rq.job import Job

logger = logging.getLogger(__name__)

PUSH_QUEUE = "prelabel-push"
PLAN_QUEUE = "prelabel-plan"
TRAIN_QUEUE = "prelabel-train"
JOB_TIMEOUT_S = 24 * 3600
"""A function that runs longer than this is taken for hung; slices yield long before."""
FAILURE_TTL_S = 7 * 24 * 3600
BACKOFF_S = (1, 2, 5, 15, 30)
"""Seconds before the first, second ... retry; the last one repeats."""
SOCKET_TIMEOUT_S = 0.5
"""Longest that one exchange with Redis may hold up a request."""
REST_S = 3.0
"""After a failed exchange Redis is left alone for this long: requests must not wait one after the other."""
JOB_ID = re.compile(r"(?:plan|replace|train)-([0-9a-zA-Z]+)-[0-9a-f]+")
SLICE_ID = re.compile(r"slice-([0-9a-zA-Z]+)-(\d+)-(\d+)-[0-9a-f]+")


def predict_queue(version: str) -> str:
    """The queue of what somebody waits for."""
    return f"prelabel-predict-{version}"


def bulk_queue(version: str) -> str:
    """The queue of whole projects."""
    return f"prelabel-bulk-{version}"


def predicting_queues(version: str) -> list[str]:
    """The queues of a version's slices, in the order in which they are served."""
    return [predict_queue(version), bulk_queue(version)]


def queue_names(*versions: str) -> list[str]:
    """All queues that concern these versions, in the order in which one worker for all would serve them."""
    return [
        PUSH_QUEUE,
        *map(predict_queue, versions),
        PLAN_QUEUE,
        TRAIN_QUEUE,
        *map(bulk_queue, versions),
    ]


@dataclass(frozen=True, slots=True)
class Call:
    """One function to be called by a worker: ``prelabel.jobs.<function>(*args)``. ``id`` names it in Redis."""

    queue: str
    function: str
    args: tuple[str | int, ...]
    id: str
    at_front: bool = False


@dataclass(frozen=True, slots=True)
class FailedCall:
    """One entry of RQ's failed registry. ``job`` is the ledger's job, where the call belongs to one."""

    id: str
    queue: str
    function: str
    args: tuple[Any, ...]
    job: str | None
    error: str
    ended_at: datetime | None


def slice_call(job: str, first: int, last: int, queue: str, *, at_front: bool = False) -> Call:
    """The call that predicts the planned tasks ``first`` to ``last`` of a job; its id says so."""
    return Call(queue, "predict_job", (job, first, last), _named(f"slice-{job}-{first}-{last}"), at_front)


def plan_call(job: str, queue: str = PLAN_QUEUE) -> Call:
    """The call that lists a job's tasks, or plans those in its inbox."""
    return Call(queue, "plan_job", (job,), _named(f"plan-{job}"))


def train_call(job: str) -> Call:
    """The call that trains a project's model."""
    return Call(TRAIN_QUEUE, "train_job", (job,), _named(f"train-{job}"))


def replace_call(job: str) -> Call:
    """The call that removes older versions' predictions once a job is through."""
    return Call(PLAN_QUEUE, "replace_job", (job,), _named(f"replace-{job}"))


def sweep_call(version: str) -> Call:
    """The call that sweeps for a version."""
    return Call(PLAN_QUEUE, "sweep_job", (version,), _named(f"sweep-{_short(version)}"))


def push_call(instance: str) -> Call:
    """The call that pushes what is pending for one Label Studio."""
    return Call(PUSH_QUEUE, "push_job", (instance,), _named(f"push-{_short(instance)}"))


def same(call: Call, call_ids: Iterable[str]) -> bool:
    """Whether one of these ids is of a call for the same thing."""
    name = call.id.rpartition("-")[0]
    return any(one.rpartition("-")[0] == name for one in call_ids)


def _named(name: str) -> str:
    """An id of its own: RQ deletes a call that is done by its id, and must not delete one queued meanwhile."""
    return f"{name}-{secrets.token_hex(3)}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def connect(url: str) -> redis.Redis:
    """A client for requests: it answers or fails within `SOCKET_TIMEOUT_S`, and never tries again by itself."""
    limits: dict[str, Any] = {"socket_timeout": SOCKET_TIMEOUT_S, "retry": RedisRetry(NoBackoff(), 0)}
    if not url.startswith("unix:"):
        limits["socket_connect_timeout"] = SOCKET_TIMEOUT_S
    return redis.Redis.from_url(url, **limits)


class RedisQueue:
    """Enqueues calls and looks at what is queued. Thread-safe; survives Redis being away or emptied.

    Args:
        client: from `connect`, or a patient one in a worker.
        retries: how often a call is tried again when its failure may pass or its worker died.
    """

    def __init__(self, client: redis.Redis, retries: int = 5) -> None:
        self.client = client
        self.retries = retries
        self._rest_until = 0.0
        self._lock = threading.Lock()

    def enqueue(self, calls: Sequence[Call]) -> bool:
        """Queue calls in one exchange; False when Redis cannot be reached: then the sweep will."""
        if not calls:
            return True
        if time.monotonic() < self._rest_until:
            return False
        try:
            with self.client.pipeline() as pipeline:
                for name in dict.fromkeys(call.queue for call in calls):
                    queue = self.queue(name)
                    queue.enqueue_many([self._data(call) for call in calls if call.queue == name], pipeline=pipeline)
                pipeline.execute()
        except redis.RedisError as error:
            self._rest(error)
            return False
        return True

    def enqueue_once(self, call: Call) -> bool:
        """Queue a call unless the same waits, or waits to be tried again; False when Redis cannot be reached.

        One that runs is no reason not to: it may have taken its last look.
        """
        if time.monotonic() < self._rest_until:
            return False
        try:
            queue = self.queue(call.queue)
            if same(call, queue.get_job_ids()) or same(call, queue.scheduled_job_registry.get_job_ids()):
                return True
        except redis.RedisError as error:
            self._rest(error)
            return False
        return self.enqueue([call])

    def queue(self, name: str) -> Queue:
        """RQ's queue of that name."""
        from rq import Queue  # noqa: PLC0415 (a tenth of a second at start)
        from rq.serializers import JSONSerializer  # noqa: PLC0415

        return Queue(name, connection=self.client, serializer=JSONSerializer)

    def live_ids(self, names: Iterable[str]) -> set[str]:
        """Ids of all calls on these queues that wait, run (with a sign of life) or are to be tried again.

        Raises:
            QueueError: Redis cannot be reached.
        """
        live: set[str] = set()
        try:
            for name in names:
                queue = self.queue(name)
                live.update(queue.get_job_ids())
                live.update(queue.started_job_registry.get_job_ids(cleanup=False))
                live.update(queue.scheduled_job_registry.get_job_ids())
        except redis.RedisError as error:
            raise _unreachable(error) from error
        return live

    def drop(self, job: str, names: Iterable[str]) -> None:
        """Take the calls of a cancelled job off the queues; those that run look at the ledger themselves."""
        try:
            for name in names:
                queue = self.queue(name)
                for waiting in queue.get_job_ids():
                    if job_of(waiting) == job:
                        queue.remove(waiting)
                        queue.failed_job_registry.remove(waiting)
        except redis.RedisError as error:
            self._rest(error)

    # -- what failed

    def failed(self, names: Iterable[str]) -> list[FailedCall]:
        """RQ's failed registry of these queues.

        Raises:
            QueueError: Redis cannot be reached.
        """
        found = []
        try:
            for name in names:
                queue = self.queue(name)
                ids = queue.failed_job_registry.get_job_ids()
                found += [_failed(job, name) for job in self._fetch(ids)]
        except redis.RedisError as error:
            raise _unreachable(error) from error
        return found

    def retry(self, call_id: str, names: Iterable[str]) -> None:
        """Queue a failed call again.

        Raises:
            NotFoundError: no failed call has that id.
            QueueError: Redis cannot be reached.
        """
        from rq.exceptions import InvalidJobOperation, NoSuchJobError  # noqa: PLC0415

        for name in names:
            registry = self.queue(name).failed_job_registry
            try:
                if call_id in registry.get_job_ids():
                    registry.requeue(call_id)
                    return
            except (NoSuchJobError, InvalidJobOperation):
                continue
            except redis.RedisError as error:
                raise _unreachable(error) from error
        raise NotFoundError(
            f"no job and no failed call has the id {call_id!r}.",
            hint="`prelabel jobs` lists jobs, `prelabel jobs failed` failed calls.",
        )

    # -- housekeeping, by workers

    def tidy(self, names: Iterable[str]) -> None:
        """Queue what was to be tried later and is due, and what a dead worker had in hand.

        Raises:
            redis.RedisError: Redis cannot be reached.
        """
        for name in names:
            queue = self.queue(name)
            queue.started_job_registry.cleanup()
            scheduled = queue.scheduled_job_registry
            due = scheduled.get_jobs_to_schedule(int(time.time()))
            mine = [one for one in due if scheduled.remove(one)]  # several workers tidy: one of them gets it
            for job in self._fetch(mine):
                queue.enqueue_job(job)

    def give_back(self, pid: int) -> int:
        """A worker of this machine is dead: queue again at once the slice that it had in hand; returns how many.

        Raises:
            redis.RedisError: Redis cannot be reached.
        """
        from rq import Worker  # noqa: PLC0415
        from rq.serializers import JSONSerializer  # noqa: PLC0415

        here, given = socket.gethostname(), 0
        for worker in Worker.all(connection=self.client, serializer=JSONSerializer):
            if worker.pid != pid or worker.hostname != here:
                continue
            for job in self._fetch([one for one in [worker.get_current_job_id()] if one]):
                found = SLICE_ID.fullmatch(job.id)
                if found is None:
                    continue
                self.enqueue([slice_call(found[1], int(found[2]), int(found[3]), job.origin)])
                job.delete()
                given += 1
            worker.register_death()  # type: ignore[no-untyped-call]  # RQ's
        return given

    def _fetch(self, ids: Sequence[str]) -> list[Job]:
        from rq.job import Job  # noqa: PLC0415
        from rq.serializers import JSONSerializer  # noqa: PLC0415

        jobs = Job.fetch_many(list(ids), connection=self.client, serializer=JSONSerializer)
        return [job for job in jobs if job is not None]

    def _data(self, call: Call) -> Any:
        from rq import Queue, Retry  # noqa: PLC0415

        intervals = [*BACKOFF_S, *[BACKOFF_S[-1]] * self.retries][: self.retries]
        return Queue.prepare_data(
            f"prelabel.jobs.{call.function}",
            args=call.args,
            job_id=call.id,
            timeout=JOB_TIMEOUT_S,
            result_ttl=0,
            failure_ttl=FAILURE_TTL_S,
            description=f"{call.function}({', '.join(map(str, call.args))})",
            at_front=call.at_front,
            retry=Retry(max=self.retries, interval=intervals) if self.retries else None,
        )

    def _rest(self, error: redis.RedisError) -> None:
        with self._lock:
            if time.monotonic() >= self._rest_until:
                logger.warning("Redis cannot be reached (%s); what was to be queued stands in the registry", error)
            self._rest_until = time.monotonic() + REST_S


def job_of(call_id: str) -> str | None:
    """The ledger's job that a call belongs to, by its id."""
    found = SLICE_ID.fullmatch(call_id) or JOB_ID.fullmatch(call_id)
    return found[1] if found else None


def slices_of(job: str, call_ids: Iterable[str]) -> list[tuple[int, int]]:
    """First and last task of every slice of the job among these calls, rising."""
    found = (SLICE_ID.fullmatch(one) for one in call_ids)
    return sorted((int(one[2]), int(one[3])) for one in found if one and one[1] == job)


def _failed(job: Job, queue: str) -> FailedCall:
    result = job.latest_result()
    text = (result.exc_string if result is not None else "") or ""
    lines = text.strip().splitlines()
    return FailedCall(
        id=job.id,
        queue=queue,
        function=(job.func_name or "").rpartition(".")[2],
        args=tuple(job.args),
        job=job_of(job.id),
        error=lines[-1] if lines else "",
        ended_at=job.ended_at,
    )


def _unreachable(error: redis.RedisError) -> QueueError:
    return QueueError(f"Redis cannot be reached: {error}.", hint="Is it running, and is redis_url right?")
