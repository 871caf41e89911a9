"""What a run's report is asked for with: everything that can be measured of it, in one object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prelabel.client_fields import RunFields
from prelabel.runs.held import Split

if TYPE_CHECKING:
    from prelabel.runs.reports import Report


class Reports(RunFields):
    """A part of `prelabel.client_run.ModelRun`: what its kinds of predictions are measured by beyond counts."""

    def report(self, confidence: float = 0.5, iou: float = 0.5, *, split: Split | None = None) -> Report:
        """Whatever metric applies to what was said: intervals, curves, calibration, average precision, spans, answers.

        What does not occur is None; so is all of a run in which nothing is both predicted and labeled. A part whose
        library is not installed is None too, and ``refused`` says why. Memory: see `prelabel.runs.reports.compute`.
        """
        from prelabel.runs.reports import compute  # noqa: PLC0415 (NumPy is loaded by those who measure)

        self._registry.collect(self.id)
        self._registry.refresh_matches(self.id)
        return compute(self._registry, self.id, confidence, iou, split=split)
