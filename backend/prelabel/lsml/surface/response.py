"""`label_studio_ml.response`: the answer of ``predict`` as a class."""

from __future__ import annotations

from label_studio_sdk.label_interface.objects import PredictionValue
from pydantic import BaseModel, ConfigDict

__all__ = ["ModelResponse", "PredictionValue", "SingleTaskPredictions"]

SingleTaskPredictions = list[PredictionValue] | PredictionValue
"""One prediction of a task, or several."""


class ModelResponse(BaseModel):
    """Predictions, one entry per task in the order of the tasks, and the version that made them."""

    model_config = ConfigDict(protected_namespaces=())

    model_version: str | None = None
    predictions: list[SingleTaskPredictions]

    def has_model_version(self) -> bool:
        """Whether a version was said."""
        return bool(self.model_version)

    def update_predictions_version(self) -> None:
        """Give the version to the predictions that have none."""
        for entry in self.predictions:
            for prediction in entry if isinstance(entry, list) else [entry]:
                prediction.model_version = prediction.model_version or self.model_version

    def set_version(self, version: str) -> None:
        """Say the version, and give it to the predictions that have none."""
        self.model_version = version
        self.update_predictions_version()
