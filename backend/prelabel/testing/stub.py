"""A model that does nothing but take its time: for tests, benchmarks and trying out a set-up without a model.

`StubWrapper` is a wrapper like any other (``prelabel serve prelabel.testing.stub:StubWrapper -o call_s=0.02``), with
the scheduler, the data and the conversion to regions around it. `StubPredictor` stands in for the whole `Predictor`.
Both say the first label of the config's first ``Choices`` (or labels) control, take a settable time, and fail on tasks
whose data say so: a value that contains ``fail`` raises, one that contains ``later`` fails in a way that may pass.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prelabel.errors import CancelledError, DataUnavailableError, ModelError, PrelabelError
from prelabel.labeling import Fit, LabelingConfig
from prelabel.model import InputKind, Item, ModelWrapper
from prelabel.outputs import Choice
from prelabel.predictions import Prediction
from prelabel.predictor import Outcome, Priority
from prelabel.tasks import Task

FAIL = "fail"
LATER = "later"
SCORE = 0.5


class StubWrapper(ModelWrapper):
    """Says one choice of every item.

    Args:
        load_s: seconds that `load` takes.
        call_s: seconds that every call of `predict` takes.
        item_s: seconds that every item takes besides.
        label: the choice to say; default: the first label of the config.
    """

    name = "stub"
    input = InputKind.ITEM

    def __init__(
        self,
        load_s: float | str = 0.0,
        call_s: float | str = 0.0,
        item_s: float | str = 0.0,
        label: str | None = None,
    ) -> None:
        self.load_s = float(load_s)
        self.call_s = float(call_s)
        self.item_s = float(item_s)
        self.label = label

    def load(self) -> None:
        """Take ``load_s`` seconds."""
        time.sleep(self.load_s)

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """One `Choice` per item, after ``call_s + item_s * len(batch)`` seconds.

        Raises:
            ModelError: an item's data contain ``fail``.
        """
        time.sleep(self.call_s + self.item_s * len(batch))
        return [self._say(item) for item in batch]

    def _say(self, item: Item) -> Choice:
        error = _wanted_error(item.task)
        if error is not None:
            raise error
        return Choice(self.label or _first_label(item.config), score=SCORE)

    def fingerprint(self) -> bytes:
        """The same for the same label: delays don't change what it says."""
        return f"stub:{self.label or ''}".encode()


class StubPredictor:
    """A `Predictor` without scheduler, data or conversion.

    Args:
        version: what it reports and writes into its predictions.
        name: the model's.
        call_s: seconds that every ``max_batch_size`` tasks take together.
        item_s: seconds that every task takes besides.
        max_batch_size: tasks between two looks at ``cancelled``.

    Attributes:
        calls: how many tasks every call of `predict` had.
        seen: the ids of all tasks that were predicted, in order, repetitions included.
        broken: an error that `predict` raises as a whole, while it is set.
    """

    def __init__(
        self,
        version: str = "stub-00000000",
        *,
        name: str = "stub",
        call_s: float = 0.0,
        item_s: float = 0.0,
        max_batch_size: int = 32,
    ) -> None:
        self._version = version
        self.name = name
        self.clicks_only = False
        self.call_s = call_s
        self.item_s = item_s
        self.max_batch_size = max_batch_size
        self.calls: list[int] = []
        self.seen: list[int | None] = []
        self.broken: PrelabelError | None = None
        self.closed = False
        self._one_at_a_time = threading.Lock()

    @property
    def ready(self) -> bool:
        return not self.closed

    @property
    def model_version(self) -> str:
        return self._version

    def fit_report(self, config: LabelingConfig) -> Fit:
        """Every config with a label fits."""
        ok = any(control.labels for control in config.controls)
        return Fit(ok, "" if ok else "The stub needs a control with labels.", ())

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
        if self.broken is not None:
            raise self.broken
        until = None if deadline_s is None else time.monotonic() + deadline_s
        outcomes: list[Outcome] = []
        with self._one_at_a_time:
            self.calls.append(len(tasks))
            for start in range(0, len(tasks), self.max_batch_size):
                batch = tasks[start : start + self.max_batch_size]
                if cancelled is not None and cancelled():
                    outcomes += [Outcome(error=CancelledError("cancelled.", task=task.id)) for task in batch]
                    continue
                wait = self.call_s + self.item_s * len(batch)
                if until is not None and time.monotonic() + wait > until:
                    outcomes += [Outcome()] * len(batch)
                    continue
                time.sleep(wait)
                outcomes += [self._outcome(task, config) for task in batch]
                self.seen += [task.id for task in batch]
        return outcomes

    def _outcome(self, task: Task, config: LabelingConfig) -> Outcome:
        error = _wanted_error(task)
        if error is not None:
            return Outcome(error=error)
        control = next(control for control in config.controls if control.labels)
        region = {
            "from_name": control.name,
            "to_name": control.to_name[0],
            "type": "choices",
            "value": {"choices": [_first_label(config)]},
            "score": SCORE,
        }
        return Outcome(Prediction((region,), SCORE, self._version))

    def close(self) -> None:
        """Say that it is not ready any more."""
        self.closed = True


def _first_label(config: LabelingConfig) -> str:
    control = next(control for control in config.controls if control.labels)
    label = control.labels[0]
    return label if isinstance(label, str) else str(getattr(label, "value", label))


def _wanted_error(task: Task) -> PrelabelError | None:
    for value in task.data.values():
        if isinstance(value, str) and FAIL in value:
            return ModelError("the stub was told to fail.", task=task.id)
        if isinstance(value, str) and LATER in value:
            return DataUnavailableError("the stub was told to be unavailable.", task=task.id)
    return None
