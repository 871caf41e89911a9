"""RQ's workers with what prelabel needs besides: quick signs of life, and stopping without finishing the whole slice.

A worker that owns a model runs its functions itself (CUDA contexts and thread pools do not survive a fork); one whose
model is a server's forks for each. Both send a sign of life every few seconds, so that what a killed worker had in hand
is somebody else's soon, and tell the running function to give way when they are to stop.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from datetime import datetime, timezone
from types import FrameType
from typing import TYPE_CHECKING, Any

import redis
from rq import Queue, SimpleWorker, Worker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer

from prelabel import jobs
from prelabel.signals import set_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rq.job import Job

logger = logging.getLogger(__name__)

BEATS = 6
"""Signs of life within ``worker_ttl_s``."""
PR_SET_PDEATHSIG = 1


if TYPE_CHECKING:
    _Mixed = Worker
else:
    _Mixed = object  # RQ's SimpleWorker is a sibling of its Worker since 3.0, a child of it before


class _Stoppable(_Mixed):
    """What both kinds share.

    Args:
        context: what the job functions work with.
        queues: names, the most urgent first.
        connection: a patient Redis client.
    """

    log_result_lifespan = False
    log_job_description = False
    max_connection_wait_time = 2.0

    def __init__(self, context: jobs.JobContext, queues: Sequence[str], connection: redis.Redis) -> None:
        self.context = context
        self.ttl_s = context.settings.worker_ttl_s
        self._taken = False
        super().__init__(
            [Queue(name, connection=connection, serializer=JSONSerializer) for name in queues],
            connection=connection,
            serializer=JSONSerializer,
            maintenance_interval=60,
            job_monitoring_interval=max(1, self.ttl_s // BEATS),
        )

    def get_heartbeat_ttl(self, job: Job, *_args: Any, **_kwargs: Any) -> int:
        """How long a sign of life counts."""
        return self.ttl_s

    @property
    def dequeue_timeout(self) -> int:
        """Seconds between two looks whether this worker is to stop."""
        return 1

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Give way at the next opportunity; a second signal, a second later, stops at once.

        Nothing is raised here: an exception in the middle of anything may be swallowed, or cost a call just taken.
        """
        self._shutdown_requested_date = datetime.now(timezone.utc)
        set_event(self.context.stopping)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.request_force_stop)
        self.tell_horse()

    def reorder_queues(self, reference_queue: Queue) -> None:
        """RQ says here that it has taken a call off this queue."""
        self._taken = True
        super().reorder_queues(reference_queue)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """RQ's sign of life; between two calls also the opportunity to stop.

        Raises:
            StopRequested: this worker is to stop, and has nothing in hand.
        """
        if self.context.stopping.is_set() and not self._taken:
            raise StopRequested
        super().heartbeat(timeout, pipeline)

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """Note that the call in hand is done."""
        super().set_state(state, pipeline)
        if state == "idle":
            self._taken = False

    def tell_horse(self) -> None:
        """Tell the process that runs the function, where that is another."""


class InProcessWorker(_Stoppable, SimpleWorker):
    """Runs functions itself; a thread sends the signs of life."""

    def __init__(self, context: jobs.JobContext, queues: Sequence[str], connection: redis.Redis) -> None:
        super().__init__(context, queues, connection)
        self._in_hand: tuple[Job, Any] | None = None

    def prepare_execution(self, job: Job) -> Any:
        """Remember what is begun, for the signs of life."""
        execution = super().prepare_execution(job)
        self._in_hand = (job, execution)
        return execution

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run the function here."""
        over = threading.Event()
        beating = threading.Thread(target=self._beat, args=(over,), name="worker-heartbeat", daemon=True)
        beating.start()
        try:
            with jobs.use(self.context):
                super().execute_job(job, queue)
        finally:
            self._in_hand = None
            over.set()
            beating.join()

    def _beat(self, over: threading.Event) -> None:
        while not over.wait(self.ttl_s / BEATS):
            in_hand = self._in_hand
            if in_hand is None:
                continue
            job, execution = in_hand
            with contextlib.suppress(redis.RedisError, StopRequested), self.connection.pipeline() as pipeline:
                self.heartbeat(self.ttl_s + 60, pipeline=pipeline)
                execution.heartbeat(job.started_job_registry, self.ttl_s, pipeline)
                pipeline.execute()


class ForkingWorker(_Stoppable, Worker):
    """Forks for every function."""

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """In the child: connections of its own, and no life without its parent."""
        _die_with_parent()
        self.context.forget_clients()
        self.context.disposable = True
        with jobs.use(self.context):
            super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """In the child: SIGTERM means to give way."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda _number, _frame: set_event(self.context.stopping))

    def tell_horse(self) -> None:
        """Pass the wish to stop on."""
        if self.horse_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGTERM)


def _die_with_parent() -> None:
    """Have the kernel send this process SIGTERM when its parent ends (Linux; elsewhere it finishes its function)."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 (only in forked children)

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
