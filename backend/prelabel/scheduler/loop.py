"""The thread that owns the model: takes the most urgent items, calls the model, halves what fails."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from prelabel.errors import CancelledError, ModelLoadError, OverloadedError, PrelabelError
from prelabel.scheduler.failures import checked, free_memory, in_words, is_out_of_memory, item_error, load_error
from prelabel.scheduler.stats import INTERACTIVE, PRIORITIES, Stats
from prelabel.scheduler.tickets import Answer, Entry, Ticket

logger = logging.getLogger(__name__)


class Engine(Protocol):
    """A model as the scheduler sees it; ``load``, ``predict`` and ``unload`` are called by its thread alone."""

    @property
    def version(self) -> str:
        """The model version that results carry."""

    @property
    def max_batch_size(self) -> int | None:
        """Largest batch the model takes; None: the scheduler's."""

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]: ...

    def unload(self) -> None: ...


class Scheduler:
    """Micro-batches, priorities, deadlines, bisecting and memory back-off around one `Engine`.

    Args:
        engine: the model; loaded by the scheduler's thread after `start`.
        max_batch_size: most items in one call; an engine may lower it.
        batch_wait_s: longest wait for company, see the package's docstring.
        max_queued_items: items of the same or a more urgent priority that may wait before a request is refused.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        max_batch_size: int = 32,
        batch_wait_s: float = 0.005,
        max_queued_items: int = 20_000,
    ) -> None:
        self._engine = engine
        self._next_engine: Engine | None = None
        self._configured_size = max_batch_size
        self._limit = self._size_of(engine)
        self._batch_wait_s = batch_wait_s
        self._max_queued_items = max_queued_items
        self._changed = threading.Condition(threading.Lock())
        self._queues: tuple[deque[Entry], ...] = (deque(), deque(), deque())
        self._groups: tuple[deque[list[Entry]], ...] = (deque(), deque(), deque())  # halves of failed batches
        self._coming = 0
        self._waiting = ""  # what the thread waits for: "" (it works), "items", "company"
        self._closing = False
        self._drain_until = float("inf")
        self._settled = threading.Event()  # loaded or failed
        self._load_error: ModelLoadError | None = None
        self._stopped: PrelabelError | None = None  # what every further item gets
        self._thread = threading.Thread(target=self._run, name="prelabel-model", daemon=True)
        self.stats = Stats()

    # -- for everybody
    def start(self) -> None:
        """Begin to load the model, in the scheduler's thread."""
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._settled.is_set() and self._load_error is None

    @property
    def load_error(self) -> ModelLoadError | None:
        """Why the model could not be loaded."""
        return self._load_error

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until the model is loaded; False when it is not in time, or cannot be."""
        self._settled.wait(timeout)
        return self.ready

    @property
    def batch_limit(self) -> int:
        """Most items in one call now: ``max_batch_size``, less where memory ran out."""
        return self._limit

    def queued(self) -> list[int]:
        """Items waiting, by priority."""
        return [
            len(queue) + sum(map(len, groups)) for queue, groups in zip(self._queues, tuple(self._groups), strict=True)
        ]

    def open(
        self,
        size: int,
        *,
        priority: int,
        deadline: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Ticket:
        """Announce ``size`` items. ``deadline`` is a `time.monotonic` moment; ``cancelled`` is asked between batches.

        Raises:
            OverloadedError: too many items of this or a more urgent priority wait, or the scheduler is stopping.
            ModelLoadError: the model could not be loaded.
        """
        if self._load_error is not None:
            raise self._load_error.with_traceback(None)
        with self._changed:
            if self._closing:
                raise OverloadedError("this server is stopping.", hint="Ask again in a few seconds.")
            waiting = sum(len(queue) for queue in self._queues[: priority + 1])
            if waiting + size > self._max_queued_items and waiting > 0:
                self.stats.refused += size
                raise OverloadedError(
                    f"{waiting} items wait for the model already.",
                    hint="Ask again later, or raise max_queued_items.",
                )
            self._coming += size
        return Ticket(self, size, priority, deadline, cancelled)

    def replace(self, engine: Engine) -> None:
        """Use another, already loaded engine from the next micro-batch on; the old one is unloaded then."""
        with self._changed:
            self._next_engine = engine
            self._changed.notify()

    def close(self, drain_s: float = 30.0) -> bool:
        """Refuse new items, finish the queued ones for at most ``drain_s`` seconds, unload the model.

        Returns:
            Whether the model's thread has ended; False while a call of the model is still running.
        """
        with self._changed:
            self._closing = True
            self._drain_until = time.monotonic() + drain_s
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(drain_s + 1.0)
        return not self._thread.is_alive()

    # -- called by tickets
    def put(self, entry: Entry) -> None:
        ticket = entry.ticket
        with self._changed:
            if ticket.coming > 0:  # else closed in between
                ticket.coming -= 1
                self._coming -= 1
            if self._stopped is not None:
                ticket.finish(entry.index, Answer(error=self._stopped))
                ticket.wake()
                return
            priority = ticket.priority
            self._queues[priority].append(entry)
            if self._waiting == "items" or (
                self._waiting == "company"
                and (priority == INTERACTIVE or self._coming <= 0 or self._waiting_items() >= self._limit)
            ):
                self._changed.notify()

    def arrived(self, ticket: Ticket, count: int) -> None:
        with self._changed:
            count = min(count, ticket.coming)
            ticket.coming -= count
            self._coming -= count
            if self._waiting == "company" and self._coming <= 0:
                self._changed.notify()

    def _waiting_items(self) -> int:
        return len(self._queues[0]) + len(self._queues[1]) + len(self._queues[2])

    def _size_of(self, engine: Engine) -> int:
        return max(1, min(self._configured_size, engine.max_batch_size or self._configured_size))

    # -- the model's thread
    def _run(self) -> None:
        started = time.monotonic()
        try:
            self._engine.load()
        except (Exception, SystemExit) as error:
            logger.exception("the model could not be loaded")
            self._fail_everything(load_error(error))
            return
        self._limit = self._size_of(self._engine)
        logger.info("model %s loaded in %.1f s", self._engine.version, time.monotonic() - started)
        self._settled.set()
        while batch := self._next_batch():
            self._execute(batch)
        self._fail_everything(OverloadedError("this server is stopping.", hint="Ask again in a few seconds."))
        self._unload(self._engine)

    def _next_batch(self) -> list[Entry]:
        """Block until there is something to do; [] when the scheduler has closed."""
        while True:
            stale: list[tuple[Entry, PrelabelError | None]] = []
            with self._changed:
                while not self._anything():
                    if self._closing:
                        return []
                    if self._next_engine is not None:
                        break
                    self._wait("items", None)
                self._wait_for_company()
                batch = self._take(stale) if time.monotonic() < self._drain_until else []
                over = self._closing and time.monotonic() >= self._drain_until
                new, self._next_engine = self._next_engine, None
            for entry, error in stale:
                self.stats.dropped += 1
                entry.item = None
                entry.ticket.finish(entry.index, Answer(error=error))
                entry.ticket.wake()
            if new is not None:
                old, self._engine, self._limit = self._engine, new, self._size_of(new)
                self._unload(old)
            if batch or over:
                return batch

    def _anything(self) -> bool:
        return any(self._queues) or any(self._groups)

    def _wait(self, what: str, timeout: float | None) -> None:
        self._waiting = what
        self._changed.wait(timeout)
        self._waiting = ""

    def _wait_for_company(self) -> None:
        """Wait for items on their way, unless the batch is full, urgent, or left over from a failure."""
        until = time.monotonic() + self._batch_wait_s
        while (
            self._coming > 0
            and not self._closing
            and not self._queues[INTERACTIVE]
            and not any(self._groups)
            and 0 < self._waiting_items() < self._limit
            and (left := until - time.monotonic()) > 0
        ):
            self._wait("company", left)

    def _take(self, stale: list[tuple[Entry, PrelabelError | None]]) -> list[Entry]:
        """The next micro-batch; entries that must not run are moved to ``stale``."""
        now = time.monotonic()
        gone: dict[int, bool] = {}
        batch: list[Entry] = []
        for priority in range(len(PRIORITIES)):
            groups, queue = self._groups[priority], self._queues[priority]
            if not batch:
                while groups and not batch:
                    batch = self._runnable(groups.popleft(), now, gone, stale)
                if batch:
                    if len(batch) > self._limit:
                        groups.appendleft(batch[self._limit :])
                    return batch[: self._limit]
            while queue and len(batch) < self._limit:
                batch += self._runnable([queue.popleft()], now, gone, stale)
            if batch and (priority == INTERACTIVE or len(batch) >= self._limit):
                break
        return batch

    def _runnable(
        self,
        entries: list[Entry],
        now: float,
        gone: dict[int, bool],
        stale: list[tuple[Entry, PrelabelError | None]],
    ) -> list[Entry]:
        keep = []
        for entry in entries:
            ticket = entry.ticket
            if ticket.closed or (ticket.deadline is not None and now >= ticket.deadline):
                stale.append((entry, None))
                continue
            if ticket.cancelled is not None:
                key = id(ticket)
                if key not in gone:
                    gone[key] = _asked(ticket.cancelled)
                if gone[key]:
                    stale.append((entry, CancelledError("the client has gone.")))
                    continue
            keep.append(entry)
        return keep

    def _execute(self, batch: list[Entry]) -> None:
        engine, stats = self._engine, self.stats
        started = time.monotonic()
        for entry in batch:
            stats.waits_s[entry.ticket.priority].observe(started - entry.since)
        try:
            results = checked(engine.predict([entry.item for entry in batch]), len(batch))
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the user's model may raise anything)
            stats.sizes.observe(len(batch))
            stats.model_s.observe(time.monotonic() - started)
            self._failed(batch, error)
            return
        stats.sizes.observe(len(batch))
        stats.model_s.observe(time.monotonic() - started)
        version = engine.version
        tickets = {}
        for entry, raw in zip(batch, results, strict=True):
            if isinstance(raw, PrelabelError):  # the model itself says which item failed: the others stand
                self._fail(entry, raw)
                continue
            ticket = entry.ticket
            entry.item = None  # a decoded image is not kept alive by a waiting request
            stats.items[ticket.priority] += 1
            ticket.finish(entry.index, Answer(raw, version))
            tickets[id(ticket)] = ticket
        for ticket in tickets.values():
            ticket.wake()

    def _failed(self, batch: list[Entry], error: BaseException) -> None:
        """Halve the batch, or give the single culprit its error."""
        size = len(batch)
        memory = is_out_of_memory(error)
        if memory:
            self.stats.memory_errors += 1
            free_memory(error)
        if isinstance(error, PrelabelError) and error.retryable:  # a service behind the wrapper is away: not an item
            for entry in batch:
                self._fail(entry, error)
            return
        if size == 1:
            entry = batch[0]
            if memory and entry.limit_before:  # this item alone is too large: others may still go in larger batches
                self._limit = max(self._limit, entry.limit_before)
            if not isinstance(error, PrelabelError):
                logger.error("the model failed on one item", exc_info=error)
            self._fail(entry, item_error(error, memory))
            return
        self.stats.retried_batches += 1
        half = (size + 1) // 2
        if memory:
            for entry in batch:
                entry.limit_before = max(entry.limit_before, self._limit)
            self._limit = min(self._limit, half)
            logger.warning("the model ran out of memory with %d items: at most %d at once from now on", size, half)
        else:
            logger.warning("the model failed on a batch of %d (%s): halving it", size, in_words(error))
        priority = min(entry.ticket.priority for entry in batch)
        with self._changed:
            self._groups[priority].extendleft((batch[half:], batch[:half]))

    def _fail(self, entry: Entry, error: PrelabelError) -> None:
        self.stats.failed += 1
        entry.item = None
        entry.ticket.finish(entry.index, Answer(error=error))
        entry.ticket.wake()

    def _fail_everything(self, error: PrelabelError) -> None:
        with self._changed:
            self._stopped = error
            if isinstance(error, ModelLoadError):
                self._load_error = error
            left = [entry for queue in self._queues for entry in queue]
            left += [entry for groups in self._groups for group in groups for entry in group]
            for queue in self._queues:
                queue.clear()
            for groups in self._groups:
                groups.clear()
        self._settled.set()
        for entry in left:
            self._fail(entry, error)

    def _unload(self, engine: Engine) -> None:
        try:
            engine.unload()
        except Exception:  # (the user's code may raise anything; the process goes on stopping)
            logger.exception("the model could not be unloaded")


def _asked(cancelled: Callable[[], bool]) -> bool:
    """Ask whether a request's client has gone; a question that fails counts as no."""
    try:
        return cancelled()
    except Exception:
        logger.exception("could not find out whether a request was cancelled")
        return False
