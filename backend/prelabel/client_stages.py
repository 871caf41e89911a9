"""The part of a model run that decides whether people see it: shadow, promoted, rolled back."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prelabel.client_fields import RunFields

if TYPE_CHECKING:
    from prelabel.analysis.gate import Verdict
    from prelabel.client import Client
    from prelabel.runs.held import Split


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became of a wish to promote.

    ``reasons`` has each comparison of the condition with both its sides; ``jobs`` the jobs, one for each connected
    project, that bring the run's predictions there.
    """

    promoted: bool
    reasons: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()


class Staging(RunFields):
    """Methods of `prelabel.ModelRun`."""

    if TYPE_CHECKING:

        def judge(self, condition: str, *, confidence: float, iou: float, split: Split | None) -> Verdict: ...

    def promote(
        self,
        condition: str | None = None,
        *,
        confidence: float = 0.5,
        iou: float = 0.5,
        split: Split | None = None,
    ) -> Promotion:
        """Let people see this run, and no other of its model.

        ``/setup`` of running servers reports it within a second. What it predicted in shadow, and what of it is missing
        in connected projects, is sent there without asking a model; tasks that it never saw wait for a worker that has
        this version.

        Args:
            condition: promote only where it holds, for instance ``f1 >= v2.f1``; see `judge`.
            confidence: of the condition's metrics.
            iou: of the condition's metrics.
            split: only data rows in this split count for the condition.

        Raises:
            RequestError: the condition cannot be read.
            NotFoundError: it names a run that does not exist.
            QueueError: the run is promoted, and the embedded Redis does not start; workers find the work by themselves.
        """
        reasons: tuple[str, ...] = ()
        if condition is not None:
            verdict = self.judge(condition, confidence=confidence, iou=iou, split=split)
            reasons = verdict.reasons
            if not verdict.holds:
                return Promotion(False, reasons)
        self._registry.promote(self.name)
        return Promotion(True, reasons, bring(self._client, self.name))

    def put_in_shadow(self) -> bool:
        """Let it predict without being shown; False: it is promoted, and stays so."""
        return self._registry.put_in_shadow(self.name)

    def demote(self) -> None:
        """Make it a candidate again. With no run promoted, the version that is served is what people see."""
        self._registry.demote(self.name)


def bring(client: Client, version: str) -> tuple[str, ...]:
    """Queue what brings a version that is shown to the projects of its model; the jobs' ids."""
    from prelabel.queue import JobQueue  # noqa: PLC0415 (Redis and all, only where a project is connected)
    from prelabel.runs.ledger import Ledger  # noqa: PLC0415

    if not client.registry.model_connections(version):
        return ()
    ledger = Ledger(client.registry.database, single_flight_s=client.settings.single_flight_s)
    with closing(JobQueue.open(client.settings, ledger)) as queue:
        return tuple(queue.submit_shown(version))
