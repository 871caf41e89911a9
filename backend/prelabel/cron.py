"""RQ's cron for one thing, the sweep: nothing global, JSON on the queue, no second sweep while one waits."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rq import Queue
from rq.cron import CronJob, CronScheduler
from rq.serializers import JSONSerializer

from prelabel import jobs
from prelabel.redis_queue import Call, RedisQueue, sweep_call

if TYPE_CHECKING:
    import redis
    from rq.job import Job


class SweepScheduler(CronScheduler):
    """Queues the sweep of one version at once and then every ``interval_s`` seconds, whenever it is asked to.

    RQ's own ``start`` would take this process's signals; a thread of the worker calls `enqueue_jobs` instead.
    """

    def __init__(self, connection: redis.Redis, version: str, interval_s: int) -> None:
        super().__init__(connection, logging_level=logging.WARNING)
        self.version = version
        self.get_jobs().append(_Sweep(sweep_call(version), interval_s))


class _Sweep(CronJob):
    def __init__(self, call: Call, interval_s: int) -> None:
        super().__init__(call.queue, func=jobs.sweep_job, args=call.args, interval=interval_s)
        self.call = call

    def enqueue(self, connection: redis.Redis) -> Job:
        """Queue the sweep, unless one waits already (several workers have a cron each)."""
        RedisQueue(connection, retries=0).enqueue_once(self.call)
        queue = Queue(self.queue_name, connection=connection, serializer=JSONSerializer)
        return queue.job_class(id=self.call.id, connection=connection, serializer=JSONSerializer)
