"""``prelabel worker``: RQ's worker pool with one process that pushes, one that lists, and those that predict.

```
worker ─┬─ push      push lanes, one chunk at a time
        ├─ plan      lists projects, sweeps, looks every few seconds whether anything was forgotten
        └─ predict   x workers: owns the model, or asks the server that does
```

Listing, predicting and pushing thus overlap, and a slow model holds up nobody. A process that dies is replaced. All of
them stop on SIGTERM or SIGINT after the micro-batch they are in, and when their parent is gone.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

import redis
from rq.worker_pool import WorkerData, WorkerPool

from prelabel import embedded_redis, jobs, sweep
from prelabel.errors import LabelStudioAuthError, ModelLoadError, NotFoundError, PrelabelError, SettingsError
from prelabel.namesakes import FIX, namesakes
from prelabel.predictor import answers_clicks_only
from prelabel.queue import JobQueue
from prelabel.redis_queue import (
    PLAN_QUEUE,
    PUSH_QUEUE,
    TRAIN_QUEUE,
    RedisQueue,
    connect,
    predicting_queues,
    queue_names,
    sweep_call,
)
from prelabel.rq_worker import ForkingWorker, InProcessWorker
from prelabel.runs import Ledger
from prelabel.runs.provenance import recorded
from prelabel.signals import set_event

if TYPE_CHECKING:
    from prelabel.labelstudio import LabelStudio
    from prelabel.predictor import Predictor
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

Role = Literal["push", "plan", "predict", "train"]

TEND_S = 3.0
"""Seconds between two looks whether anything was forgotten."""
THOROUGH_S = 60.0
"""Seconds between two thorough ones."""
WAIT_S = 1.0
"""Pause before a server or Redis that is away is tried again."""
RECENT = 100
"""Of so many newest versions the queues are looked after, besides those that have work."""
IDLE_S = 15
"""A worker that has nothing to do looks this often whether the model has another version."""
CANNOT_START = 78
"""Exit code of a process that would fail again: no such model, a malformed setting (``EX_CONFIG``)."""


def run(settings: Settings, burst: bool = False) -> None:
    """Work until SIGTERM or SIGINT; with ``burst`` in this process, until nothing is left to do.

    Raises:
        SettingsError: there is neither a model nor a server.
        ModelLoadError: the model cannot be found.
        QueueError: the embedded Redis does not start.
    """
    if settings.model is None and settings.server_url is None:
        raise SettingsError("a worker needs a model or a server that has one.", hint="Set model or server_url.")
    with embedded_redis.ensure(settings) as handle:
        settings = settings.model_copy(update={"redis_url": handle.url})
        if burst:
            with_context(settings, run_burst)
            return
        pool = RolePool(settings, patient(handle.url))
        pool.start(logging_level="WARNING")
        if pool.cannot_start:
            raise ModelLoadError(f"the model {settings.model} cannot be used.", hint="The log says why.")


# -- the processes


class RolePool(WorkerPool):
    """RQ's pool, whose processes have roles."""

    def __init__(self, settings: Settings, connection: redis.Redis) -> None:
        self.settings = settings
        self.roles: Counter[Role] = Counter({"push": 1, "plan": 1, "predict": settings.workers})
        if settings.model is not None:
            self.roles["train"] = 1
        self.cannot_start = False
        self.queue = RedisQueue(connection, settings.job_retries)
        self._role_of: dict[str, Role] = {}
        self._stop_by = float("inf")
        super().__init__([PUSH_QUEUE, PLAN_QUEUE], connection=connection, num_workers=self.roles.total())

    def get_worker_process(self, name: str, *_args: Any, **_kwargs: Any) -> BaseProcess:
        """A process for the role that lacks one."""
        taken = Counter(self._role_of[one] for one in self.worker_dict)
        role = next(role for role, wanted in self.roles.items() if taken[role] < wanted)
        self._role_of[name] = role
        context = multiprocessing.get_context("fork")  # from a process that has loaded nothing and has no threads
        return context.Process(target=run_role, args=(self.settings, role), name=f"prelabel {role}")

    def handle_dead_worker(self, worker_data: WorkerData) -> None:
        """Replace it, unless it cannot live."""
        super().handle_dead_worker(worker_data)
        role, code = self._role_of.pop(worker_data.name), worker_data.process.exitcode
        if code == CANNOT_START:
            self.cannot_start = True
            if self.status != self.Status.STOPPED:
                self.request_stop()
        elif code and self.status != self.Status.STOPPED:
            logger.warning("the %s process ended with code %s; starting it again", role, code)
            with contextlib.suppress(redis.RedisError):  # then others notice that it gives no signs of life
                self.queue.give_back(worker_data.pid)

    def request_stop(self, signum: int | None = None, frame: FrameType | None = None) -> None:
        """Stop all processes, those that take longer than ``drain_s`` by force."""
        self._stop_by = time.monotonic() + self.settings.drain_s
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ's

    def all_workers_have_stopped(self) -> bool:
        """Whether all have ended; late ones are killed."""
        if time.monotonic() > self._stop_by:
            for data in self.worker_dict.values():
                logger.warning("the %s process did not stop in time and is killed", self._role_of[data.name])
                self.stop_worker(data, signal.SIGKILL)
        return bool(super().all_workers_have_stopped())


def run_role(settings: Settings, role: Role) -> None:
    """The life of one process of the pool."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # not the pool's handlers, which this process was forked with
        signal.signal(number, lambda _number, _frame: set_event(stopping))
    threading.Thread(target=_watch_parent, args=(os.getppid(), settings.drain_s), name="parent", daemon=True).start()
    try:
        with_context(settings, {"push": _push, "plan": _plan, "predict": _predict, "train": _train}[role], stopping)
    except (ModelLoadError, NotFoundError, SettingsError) as error:
        logger.error("%s", error)  # noqa: TRY400 (a sentence for people)
        sys.exit(CANNOT_START)


def _push(context: jobs.JobContext) -> None:
    _work(context, lambda: InProcessWorker(context, [PUSH_QUEUE], _redis(context)))


def _plan(context: jobs.JobContext) -> None:
    threading.Thread(target=_tend, args=(context,), name="tend", daemon=True).start()
    _work(context, lambda: InProcessWorker(context, [PLAN_QUEUE], _redis(context)))


def _predict(context: jobs.JobContext) -> None:
    remote = context.settings.server_url is not None
    kind = ForkingWorker if remote else InProcessWorker
    versions: list[str] = []
    swept: list[str] = []
    whole = contextlib.ExitStack()

    def make() -> ForkingWorker | InProcessWorker:
        version = context.predictor.model_version
        if version not in versions:
            _enter(context, version)
            if not remote and not versions:  # else the server, or the training, writes down where it came from
                whole.enter_context(recorded(context.ledger, context.predictor, context.settings))
                whole.enter_context(_following(context))
            versions[:] = [version]
            swept[:] = [] if answers_clicks_only(context.predictor) else [version]
            logger.info("predicting as %s", version)
            for other in namesakes(context.ledger, context.queue.redis.client, context.predictor.name, version):
                logger.warning("a worker predicts as %s, too, a version of the same name. %s", other, FIX)
        return kind(context, predicting_queues(version), _redis(context))

    threading.Thread(target=_cron, args=(context, swept), name="cron", daemon=True).start()
    with whole:
        _work(context, make, max_idle_time=IDLE_S)


def _following(context: jobs.JobContext) -> contextlib.AbstractContextManager[None]:
    from prelabel.predictor.local import LocalPredictor  # noqa: PLC0415 (as above)
    from prelabel.successor import following  # noqa: PLC0415

    predictor = context.predictor
    if not isinstance(predictor, LocalPredictor):
        return contextlib.nullcontext()
    return following(predictor, context.ledger, context.settings)


def _train(context: jobs.JobContext) -> None:
    _work(context, lambda: ForkingWorker(context, [TRAIN_QUEUE], _redis(context)))


def _enter(context: jobs.JobContext, version: str) -> None:
    standing = context.ledger.enter(version, context.predictor.name, shadow=context.settings.shadow)
    if standing.hidden:
        logger.warning("%s", standing.sentence)


def _work(
    context: jobs.JobContext,
    make: Callable[[], ForkingWorker | InProcessWorker],
    *,
    max_idle_time: int | None = None,
) -> None:
    """Work until told to stop; a Redis or server that is away is waited for, with the model kept loaded."""
    told = False
    while not context.stopping.is_set():
        began = time.monotonic()
        try:
            make().work(logging_level="WARNING", max_idle_time=max_idle_time)
            told = False
        except redis.RedisError as error:
            if not told:
                logger.warning("Redis is away (%s); waiting for it", error)
            told = True
        except PrelabelError as error:
            if not error.retryable:
                raise
            if not told:
                logger.warning("%s Waiting for it.", error)
            told = True
        if time.monotonic() - began < WAIT_S:
            context.stopping.wait(WAIT_S)


# -- beside the work


def _tend(context: jobs.JobContext) -> None:
    """Every few seconds, in one of all workers: see that nothing is forgotten."""
    owner, thorough_at = f"{os.getpid()}-{id(context):x}", 0.0
    while not context.stopping.wait(TEND_S):
        try:
            if not context.ledger.acquire_lease("tend", owner, sweep.TEND_LEASE_S):
                continue
            context.queue.redis.tidy(queue_names(*context.ledger.versions_at_work(RECENT)))
            thorough = time.monotonic() >= thorough_at
            sweep.tend(context, thorough=thorough)
            if thorough:
                thorough_at = time.monotonic() + THOROUGH_S
        except (redis.RedisError, PrelabelError) as error:
            logger.debug("could not look after the queue: %s", error)
        except Exception:
            logger.exception("looking after the queue failed")
    context.ledger.release_lease("tend", owner)


def _cron(context: jobs.JobContext, versions: Sequence[str]) -> None:
    """Queue the sweep at once and then every ``sweep_interval_s``, by RQ's cron.

    A process that has no model does it, so whether the model has something to say is decided by whoever fills
    ``versions``: it is empty where clicks are waited for.
    """
    from prelabel.cron import SweepScheduler  # noqa: PLC0415 (croniter and all)

    scheduler: SweepScheduler | None = None
    while not context.stopping.wait(WAIT_S):
        if not versions:
            continue
        try:
            if scheduler is None or scheduler.version != versions[0]:
                scheduler = SweepScheduler(_redis(context), versions[0], context.settings.sweep_interval_s)
                scheduler.register_birth()
            scheduler.enqueue_jobs()
            scheduler.heartbeat()
        except redis.RedisError as error:
            logger.debug("could not queue the sweep: %s", error)


def _watch_parent(parent: int, drain_s: float) -> None:
    while os.getppid() == parent:
        time.sleep(WAIT_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(drain_s)
    os._exit(1)


# -- everything in one process


def run_burst(context: jobs.JobContext) -> None:
    """Sweep, then do what is queued until nothing is: in this process, one function after the other."""
    version = context.predictor.model_version
    _enter(context, version)
    names = queue_names(version)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if not answers_clicks_only(context.predictor):
        context.queue.redis.enqueue_once(sweep_call(version))
    try:
        with recorded(context.ledger, context.predictor, context.settings):
            while True:
                context.queue.redis.tidy(names)
                sweep.tend(context, thorough=True)
                with contextlib.closing(_redis(context)) as client:
                    worked = InProcessWorker(context, names, client).work(burst=True, logging_level="WARNING")
                if not worked or context.stopping.is_set():
                    return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -- what they work with


def with_context(
    settings: Settings,
    body: Callable[[jobs.JobContext], None],
    stopping: threading.Event | None = None,
    *,
    predictor: Predictor | None = None,
) -> None:
    """Run ``body`` with a registry, a queue and clients of this process; ``predictor``: instead of the settings' one.

    ``settings.redis_url`` must be set.
    """
    from prelabel.labelstudio import LabelStudio  # noqa: PLC0415 (httpx and all)

    assert settings.redis_url is not None  # noqa: S101 (see `run`)
    ledger = Ledger.open(settings)
    client = connect(settings.redis_url)
    context = jobs.JobContext(
        settings,
        ledger,
        JobQueue(settings, ledger, RedisQueue(client, settings.job_retries)),
        make_predictor=lambda: predictor or make_predictor(context),
        make_label_studio=LabelStudio,
        stopping=stopping or threading.Event(),
    )
    try:
        with jobs.use(context):
            body(context)
    finally:
        context.close()
        client.close()
        ledger.close()


def make_predictor(context: jobs.JobContext) -> Predictor:
    """The server's model where the settings name a server, else a copy of our own, which begins to load.

    Raises:
        NotFoundError, ModelLoadError: there is no such model.
    """
    settings = context.settings
    if settings.server_url is not None:
        from prelabel.predictor.remote import RemotePredictor  # noqa: PLC0415 (httpx and all)
        from prelabel.server.auth import credentials  # noqa: PLC0415

        return RemotePredictor(settings.server_url, credentials(settings), settings)
    from prelabel.data import DataReader  # noqa: PLC0415 (the model's libraries are imported by its own process only)
    from prelabel.loader import model_name  # noqa: PLC0415
    from prelabel.predictor.local import LocalPredictor  # noqa: PLC0415
    from prelabel.successor import as_served  # noqa: PLC0415

    assert settings.model is not None  # noqa: S101 (see `run`)
    wrapper = as_served(settings.model, context.ledger, settings)
    name = model_name(wrapper, settings)
    return LocalPredictor(wrapper, DataReader(settings, lambda: _files_of(context, name)), settings, context.ledger)


def _files_of(context: jobs.JobContext, model: str) -> LabelStudio | None:
    """The Label Studio whose files the model's tasks point at: the one heard of last."""
    for connection in context.ledger.connections(model):
        with contextlib.suppress(LabelStudioAuthError):
            return context.label_studio(connection)
    return None


def patient(url: str) -> redis.Redis:
    """A client for workers; RQ sets how long it may wait."""
    return redis.Redis.from_url(url)


def _redis(context: jobs.JobContext) -> redis.Redis:
    assert context.settings.redis_url is not None  # noqa: S101 (see `with_context`)
    return patient(context.settings.redis_url)
