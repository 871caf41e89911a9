"""The loaded model of this process: task data in, micro-batches through the scheduler, predictions out."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prelabel.encoded import EncodedItems, Store
from prelabel.errors import DataError, ModelLoadError, OutputError, PrelabelError
from prelabel.labeling import LabelingConfig, ObjectTag, fit
from prelabel.loader import load, model_name, model_version
from prelabel.model import InputKind, Item, ModelWrapper, Surroundings
from prelabel.predictions import NO_SCORE, Prediction, make_prediction
from prelabel.predictor import Outcome, Priority
from prelabel.scheduler import Answer, Scheduler, Ticket
from prelabel.scheduler.failures import checked
from prelabel.tasks import Facts, Task

if TYPE_CHECKING:
    from prelabel.data import DataReader
    from prelabel.data.reader import ModelInput
    from prelabel.labeling import Fit
    from prelabel.runs import Ledger
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

WINDOW_BATCHES = 4
"""Micro-batches of resolved items that one request may have waiting: bounds the memory of decoded images."""
REMEMBERED_CONFIGS = 256
WARM_S = 60.0
"""How long after a task was opened it is still worth while to encode it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An item of which nothing is asked: its task was opened, and may be clicked into soon."""

    item: Item


class WrapperEngine:
    """A `ModelWrapper` as the scheduler's engine; ``store`` keeps what it encodes.

    A model that learns from events may take on another version at any moment, and says of its last results which one
    made them (`lsml.announced`).
    """

    def __init__(self, wrapper: ModelWrapper, version: str, store: Store) -> None:
        self.wrapper = wrapper
        self.store = store
        self._version = version
        wrapper.encodings = EncodedItems(store, version)

    @property
    def version(self) -> str:
        """The version that made the results of the last call."""
        return getattr(self.wrapper, "predicted_as", None) or self._version

    @property
    def announced(self) -> str:
        """The version of what is predicted from now on."""
        return getattr(self.wrapper, "announced", None) or self._version

    @property
    def max_batch_size(self) -> int | None:
        return self.wrapper.max_batch_size

    def load(self) -> None:
        load(self.wrapper)

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        asked = [each for each in batch if not isinstance(each, Opened)]
        if len(asked) == len(batch):
            return self.wrapper.predict(batch)
        results = iter(checked(self.wrapper.predict(asked), len(asked)) if asked else ())
        for each in batch:
            if isinstance(each, Opened):
                self._encode(each.item)
        return [None if isinstance(each, Opened) else next(results) for each in batch]

    def _encode(self, item: Item) -> None:
        try:
            self.wrapper.encoded(item)
        except Exception:  # the user's model may raise anything; a click will, too, and says so to the person
            logger.exception("task %s: it could not be encoded when it was opened", item.task.id)

    def unload(self) -> None:
        self.wrapper.unload()
        self.store.forget(self._version)


class LocalPredictor:
    """A `Predictor` around one wrapper, which begins to load when the predictor is made.

    Args:
        wrapper: not loaded yet.
        reader: resolves what tasks point at.
        settings: batch sizes, score policy, label map, model version.
        ledger: where models of `label_studio_ml` keep what they keep for a project; None: not there.
    """

    def __init__(
        self, wrapper: ModelWrapper, reader: DataReader, settings: Settings, ledger: Ledger | None = None
    ) -> None:
        wrapper.enter(Surroundings(settings, reader, ledger))
        self.encodings = Store(settings.encodings_bytes)
        self._engine = WrapperEngine(wrapper, model_version(wrapper, settings), self.encodings)
        self._reader = reader
        self._settings = settings
        self._ledger = ledger
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
        """Whether the model can be trained."""
        return self.wrapper.can_fit

    @property
    def clicks_only(self) -> bool:
        """Whether the model has nothing to say of a task before somebody clicks."""
        return self.wrapper.clicks_only

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
        return self._engine.announced

    def replace(self, wrapper: ModelWrapper) -> None:
        """Load another version of the model in this thread, and use it from the next micro-batch on.

        Requests that are under way get their answers, each of the version that made it.

        Raises:
            ModelLoadError: it could not be loaded; the version before stays.
        """
        wrapper.enter(Surroundings(self._settings, self._reader, self._ledger))
        load(wrapper)
        engine = WrapperEngine(wrapper, model_version(wrapper, self._settings), self.encodings)
        self._engine = engine
        self._fits = {}
        self.scheduler.replace(engine)

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
            if wrapper.adapts:
                report = replace(report, dropped=())
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
        if self.clicks_only and self.load_error is None and not (context and context.get("result")):
            return [Outcome(Prediction((), NO_SCORE, self.model_version)) for _ in tasks]
        deadline = None if deadline_s is None else time.monotonic() + deadline_s
        primary = config.primary_object(self.wrapper.outputs, self.wrapper.input)
        ticket = self.scheduler.open(len(tasks), priority=priority, deadline=deadline, cancelled=cancelled)
        with ticket:
            feed = _Feed(self._reader, self.wrapper, tasks, config, primary=primary, context=context, ticket=ticket)
            outcomes = [Outcome()] * len(tasks)
            left = len(tasks)
            feed.start(WINDOW_BATCHES * self.scheduler.batch_limit)
            while left > 0:
                done = ticket.wait(None if deadline is None else deadline - time.monotonic())
                if not done:
                    break
                for index in done:
                    answer = ticket.answers[index]
                    outcomes[index] = self._outcome(tasks[index], config, feed.facts[index], answer, context)
                    feed.finished()
                left -= len(done)
        return outcomes

    def warm(self, task: Task, config: LabelingConfig) -> bool:
        """Let the model encode a task that was just opened, if it can; returns at once, and never raises.

        Returns:
            Whether that was asked for: not where it was encoded already.
        """
        wrapper = self.wrapper
        takes_items = wrapper.in_items or wrapper.input in (InputKind.ITEM, InputKind.BARE)
        if not (wrapper.interactive and wrapper.can_encode and takes_items and self.ready):
            return False
        if wrapper.encodings is not None and wrapper.encodings.has(Item(task, config)):
            return False
        try:
            primary = config.primary_object(wrapper.outputs, wrapper.input)
            ticket = self.scheduler.open(1, priority=Priority.LIVE, deadline=time.monotonic() + WARM_S)
        except PrelabelError as error:
            logger.debug("task %s is not encoded ahead: %s", task.id, error)
            return False
        feed = _Feed(self._reader, wrapper, [task], config, primary=primary, context=None, ticket=ticket, ahead=True)
        feed.start(WINDOW_BATCHES)
        return True

    def close(self) -> None:
        """Finish what runs, refuse what comes, unload the model."""
        self.scheduler.close(self._settings.drain_s)

    def _outcome(
        self,
        task: Task,
        config: LabelingConfig,
        facts: Mapping[str, Facts],
        answer: Answer | None,
        context: Mapping[str, Any] | None,
    ) -> Outcome:
        if answer is None:
            return Outcome()
        if answer.error is not None:
            return Outcome(error=about(answer.error, task))
        if not answer.version:  # never reached the model: its deadline was over
            return Outcome()
        try:
            raw = answer.raw
            if context is not None:
                from prelabel.clicked import completed  # noqa: PLC0415 (only where somebody clicks)

                raw = completed(raw, config, context, self._settings.label_map, self.wrapper.labels)
            prediction = make_prediction(
                raw,
                config,
                facts,
                model_version=answer.version,
                policy=self._settings.score,
                label_map=self._settings.label_map,
                names=self.wrapper.labels,
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
    """One call's way from its tasks to the scheduler's queue; ``facts`` fills as items are put.

    ``ahead``: nothing is asked of the items, see `Opened`.
    """

    def __init__(
        self,
        reader: DataReader,
        wrapper: ModelWrapper,
        tasks: Sequence[Task],
        config: LabelingConfig,
        *,
        primary: ObjectTag,
        context: Mapping[str, Any] | None,
        ticket: Ticket,
        ahead: bool = False,
    ) -> None:
        self.facts: list[Mapping[str, Facts]] = [{}] * len(tasks)
        self._reader = reader
        self._kind = wrapper.input
        self._in_items = wrapper.in_items and wrapper.input not in (InputKind.ITEM, InputKind.BARE)
        self._ahead = ahead
        self._tasks = tasks
        self._config = config
        self._primary = primary
        self._context = context
        self._ticket = ticket
        self._room: threading.Semaphore | None = None
        self._left = set(range(len(tasks)))
        self._cheap: bool | None = None

    def start(self, window: int) -> None:
        """Put every task's item: at once where the data is in the tasks, else from a thread that reads ahead."""
        self._cheap = self._reader.all_cheap(self._tasks, self._config, self._primary, self._kind)
        if self._cheap and len(self._tasks) <= window:
            self._put_all()
            return
        self._room = threading.Semaphore(window)
        threading.Thread(target=self._put_guarded, name="prelabel-feed", daemon=True).start()

    def finished(self) -> None:
        """One item is done: there is room for another."""
        if self._room is not None:
            self._room.release()

    def _put_guarded(self) -> None:
        try:
            self._put_all()
        except Exception as error:
            logger.exception("reading task data failed")
            failure = DataError(f"reading task data failed ({type(error).__name__}: {error}).")
            for index in sorted(self._left):
                self._ticket.skip(index, failure)

    def _put_all(self) -> None:
        read = self._reader.arriving(
            self._tasks, self._config, self._primary, self._kind, context=self._context, cheap=self._cheap
        )
        for index, found in read:
            if self._room is not None and not self._wait_for_room(self._room):
                return
            self._left.discard(index)
            if isinstance(found, PrelabelError):
                self._ticket.skip(index, found)
            else:
                self.facts[index] = found.facts
                self._ticket.put(index, self._element(found))

    def _element(self, found: ModelInput) -> Any:
        value = found.value
        if self._in_items:
            value = Item(found.task, self._config, value, {self._primary.name: value}, self._context)
        return Opened(value) if self._ahead else value

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
