"""Tasks in, predictions out: the one interface over the loaded model, in this process or behind a server.

``LocalPredictor`` owns a loaded model and its scheduler. ``RemotePredictor`` asks a prelabel server that does, so a GPU
holds one copy of a model however many workers run beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from prelabel.errors import PrelabelError
from prelabel.labeling import LabelingConfig
from prelabel.predictions import Prediction
from prelabel.tasks import Task


class Priority(IntEnum):
    """Who waits: smaller overtakes larger between micro-batches."""

    INTERACTIVE = 0
    LIVE = 1
    BULK = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one task: a prediction, an error, or (both None) unfinished at the deadline."""

    prediction: Prediction | None = None
    error: PrelabelError | None = None

    @property
    def unfinished(self) -> bool:
        return self.prediction is None and self.error is None


def answers_clicks_only(predictor: Predictor) -> bool:
    """Whether its model has nothing to say of a task before somebody clicks; False where that is not known now."""
    try:
        return bool(getattr(predictor, "clicks_only", False))
    except PrelabelError:  # the server that has the model is away
        return False


class Predictor(Protocol):
    """What the server's ``/predict`` and the worker's jobs call. Thread-safe."""

    @property
    def ready(self) -> bool:
        """Whether the model is loaded. Never blocks."""

    @property
    def name(self) -> str:
        """The model's name, which all its versions share: projects are connected to it."""

    @property
    def model_version(self) -> str:
        """The run's name that predictions carry and ``/setup`` reports. Known before the model is loaded."""

    def fit_report(self, config: LabelingConfig) -> Any:
        """Which of the model's outputs the config takes (``labeling.Fit``). Never blocks on the model."""

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
        """One outcome per task, in the order of ``tasks``; returns at the latest ``deadline_s`` seconds from now.

        Never raises for a single task's failure. ``context`` is Label Studio's ``params.context`` of an interactive
        request, unchanged. ``cancelled`` is asked between micro-batches.
        """

    def close(self) -> None:
        """Finish what runs, refuse what comes, unload the model."""
