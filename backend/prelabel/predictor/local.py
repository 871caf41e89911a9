"""The loaded model of this process: task data in, micro-batches through the scheduler, predictions out."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prelabel.errors import DataError, ModelLoadError, OutputError, PrelabelError
from prelabel.labeling import LabelingConfig, ObjectTag, fit
from prelabel.loader import load, model_name, model_version
from prelabel.model import InputKind, ModelWrapper
from prelabel.predictions import make_prediction
from prelabel.predictor import Outcome, Priority
from prelabel.scheduler import Answer, Scheduler, Ticket
from prelabel.tasks import Facts, Task

if TYPE_CHECKING:
    from prelabel.data import DataReader
    from prelabel.labeling import Fit
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

WINDOW_BATCHES = 4
"""Micro-batches of resolved items that one request may have waiting: bounds the memory of decoded images."""
REMEMBERED_CONFIGS = 256


class WrapperEngine:
    """A `ModelWrapper` as the scheduler's engine."""

    def __init__(self, wrapper: ModelWrapper, version: str) -> None:
        self.wrapper = wrapper
        self.version = version

    @property
    def max_batch_size(self) -> int | None:
        return self.wrapper.max_batch_size

    def load(self) -> None:
        load(self.wrapper)

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        return self.wrapper.predict(batch)

    def unload(self) -> None:
        self.wrapper.unload()


class LocalPredictor:
    """A `Predictor` around one wrapper, which begins to load when the predictor is made.

    Args:
        wrapper: not loaded yet.
        reader: resolves what tasks point at.
        settings: batch sizes, score policy, label map, model version.
    """

    def __init__(self, wrapper: ModelWrapper, reader: DataReader, settings: Settings) -> None:
        self._engine = WrapperEngine(wrapper, model_version(wrapper, settings))
        self._reader = reader
        self._settings = settings
        self._fits: dict[tuple[str, bool], Fit] = {}
        self._told: set[tuple[str, str]] = set()
        self.scheduler = Scheduler(
            self._engine,
            max_batch_size=settings.max_batch_size,
            batch_wait_s=settings.batch_wait_s,
            max_queued_items=settings.max_queued_items,
        )
        self.scheduler.start()

    @property
    def wrapper(self) -> ModelWrapper:
        """The user's model."""
        return self._engine.wrapper

    @property
    def name(self) -> str:
        """The model's name."""
        return model_name(self.wrapper, self._settings)

    @property
    def trainable(self) -> bool:
        """Whether the wrapper has a ``fit`` of its own."""
        return type(self.wrapper).fit is not ModelWrapper.fit

    @property
    def ready(self) -> bool:
        return self.scheduler.ready

    @property
    def load_error(self) -> ModelLoadError | None:
        """Why the model could not be loaded."""
        return self.scheduler.load_error

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until the model is loaded; False when it is not in time, or cannot be."""
        return self.scheduler.wait_ready(timeout)

    @property
    def model_version(self) -> str:
        return self._engine.version

    def fit_report(self, config: LabelingConfig) -> Fit:
        key = (config.hash, self.ready)  # loading may tell the labels
        report = self._fits.get(key)
        if report is None:
            wrapper = self.wrapper
            report = fit(
                config,
                outputs=wrapper.outputs,
                labels=wrapper.labels,
                label_map=self._settings.label_map,
                kind=wrapper.input,
            )
            if len(self._fits) >= REMEMBERED_CONFIGS:
                self._fits.clear()
            self._fits[key] = report
        return report

    def predict(
        self,
        tasks: Sequence[Task],
        config: LabelingConfig,
        *,
        priority: Priority = Priority.LIVE,
        deadline_s: float | None = None,
        context: Mapping[str, Any] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Outcome]:
        """See `Predictor.predict`.

        Raises:
            ModelLoadError: the model could not be loaded.
            OverloadedError: too many items wait, or the process is stopping.
            LabelingConfigError: nothing of what the model says fits the config.
        """
        deadline = None if deadline_s is None else time.monotonic() + deadline_s
        primary = config.primary_object(self.wrapper.outputs, self.wrapper.input)
        ticket = self.scheduler.open(len(tasks), priority=priority, deadline=deadline, cancelled=cancelled)
        with ticket:
            feed = _Feed(
                self._reader, self.wrapper.input, tasks, config, primary=primary, context=context, ticket=ticket
            )
            outcomes = [Outcome()] * len(tasks)
            left = len(tasks)
            feed.start(WINDOW_BATCHES * self.scheduler.batch_limit)
            while left > 0:
                done = ticket.wait(None if deadline is None else deadline - time.monotonic())
                if not done:
                    break
                for index in done:
                    outcomes[index] = self._outcome(tasks[index], config, feed.facts[index], ticket.answers[index])
                    feed.finished()
                left -= len(done)
        return outcomes

    def close(self) -> None:
        """Finish what runs, refuse what comes, unload the model."""
        self.scheduler.close(self._settings.drain_s)

    def _outcome(
        self, task: Task, config: LabelingConfig, facts: Mapping[str, Facts], answer: Answer | None
    ) -> Outcome:
        if answer is None:
            return Outcome()
        if answer.error is not None:
            return Outcome(error=about(answer.error, task))
        if not answer.version:  # never reached the model: its deadline was over
            return Outcome()
        try:
            prediction = make_prediction(
                answer.raw,
                config,
                facts,
                model_version=answer.version,
                policy=self._settings.score,
                label_map=self._settings.label_map,
            )
        except PrelabelError as error:
            return Outcome(error=about(error, task))
        except Exception as error:
            logger.exception("task %s: what the model returned could not be converted", task.id)
            return Outcome(
                error=OutputError(
                    f"what the model returned could not be converted ({type(error).__name__}: {error}).",
                    hint="The log has the traceback.",
                    task=task.id,
                )
            )
        for sentence in prediction.dropped:
            self._tell_once(config, task, sentence)
        return Outcome(prediction)

    def _tell_once(self, config: LabelingConfig, task: Task, sentence: str) -> None:
        key = (config.hash, sentence)
        if key not in self._told:
            if len(self._told) >= REMEMBERED_CONFIGS:
                self._told.clear()
            self._told.add(key)
            logger.warning("task %s: dropped: %s (said once)", task.id, sentence)


class _Feed:
    """One call's way from its tasks to the scheduler's queue; ``facts`` fills as items are put."""

    def __init__(
        self,
        reader: DataReader,
        kind: InputKind,
        tasks: Sequence[Task],
        config: LabelingConfig,
        *,
        primary: ObjectTag,
        context: Mapping[str, Any] | None,
        ticket: Ticket,
    ) -> None:
        self.facts: list[Mapping[str, Facts]] = [{}] * len(tasks)
        self._reader = reader
        self._kind = kind
        self._tasks = tasks
        self._config = config
        self._primary = primary
        self._context = context
        self._ticket = ticket
        self._room: threading.Semaphore | None = None
        self._next = 0

    def start(self, window: int) -> None:
        """Put every task's item: at once where the data is in the tasks, else from a thread that reads ahead."""
        if len(self._tasks) <= window and self._cheap():
            self._put_all()
            return
        self._room = threading.Semaphore(window)
        threading.Thread(target=self._put_guarded, name="prelabel-feed", daemon=True).start()

    def finished(self) -> None:
        """One item is done: there is room for another."""
        if self._room is not None:
            self._room.release()

    def _cheap(self) -> bool:
        tags = list(self._config.objects.values()) if self._kind is InputKind.ITEM else [self._primary]
        return all(self._reader.cheap(task, tag, self._kind) for task in self._tasks for tag in tags)

    def _put_guarded(self) -> None:
        try:
            self._put_all()
        except Exception as error:
            logger.exception("reading task data failed")
            failure = DataError(f"reading task data failed ({type(error).__name__}: {error}).")
            for index in range(self._next, len(self._tasks)):
                self._ticket.skip(index, failure)

    def _put_all(self) -> None:
        read = self._reader.inputs(self._tasks, self._config, self._primary, self._kind, context=self._context)
        for index, found in enumerate(read):
            if self._room is not None and not self._wait_for_room(self._room):
                return
            self._next = index + 1
            if isinstance(found, PrelabelError):
                self._ticket.skip(index, found)
            else:
                self.facts[index] = found.facts
                self._ticket.put(index, found.value)

    def _wait_for_room(self, room: threading.Semaphore) -> bool:
        """False when the request was given up."""
        while not room.acquire(timeout=1.0):
            if self._ticket.closed:
                return False
        return not self._ticket.closed


def about(error: PrelabelError, task: Task) -> PrelabelError:
    """The same error, naming the task; errors may be shared by many items."""
    if error.task is not None or task.id is None:
        return error
    named = copy.copy(error)
    named.task = task.id
    return named
