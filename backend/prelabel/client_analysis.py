"""What a run tells beside its metrics: worst rows, kinds of mistakes, comparison, gate, corrections."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prelabel.client_fields import RunFields
from prelabel.errors import RequestError
from prelabel.runs.blocks import joined
from prelabel.runs.held import DataRow, Split

if TYPE_CHECKING:
    from prelabel.analysis.comparison import Compared
    from prelabel.analysis.corrections import Correction
    from prelabel.analysis.gate import Verdict
    from prelabel.analysis.mistakes import Verdicts
    from prelabel.metrics.bootstrap import Name
    from prelabel.metrics.matches import Matches
    from prelabel.runs.scores import RunMetrics

METRICS = ("precision", "recall", "f1", "iou", "tp", "fp", "fn", "tn")
"""What a gate can ask for, of all classes or of one."""


@dataclass(frozen=True, slots=True)
class Worst:
    """A data row and the number that it was ranked by."""

    data_row: DataRow
    value: float


class Analysis(RunFields):
    """Half of `prelabel.client_run.ModelRun`: what follows from its matches.

    Only data rows that are both predicted and labeled take part. These methods hold the matches of the whole run in
    memory, about 0.5 kB for a row with ten boxes; `metrics` does not.
    """

    def matches(self, *, split: Split | None = None) -> Matches:
        """All that overlaps, brought up to date; row ids are the data rows' uids."""
        from prelabel.metrics.matches import Matches  # noqa: PLC0415 (NumPy is loaded by those who measure)

        self._registry.collect(self.id)
        self._registry.refresh_matches(self.id)
        blocks = list(self._registry.matches(self.id, split=split))
        return joined(blocks) if blocks else Matches.of({})

    def worst(
        self,
        view: str = "low_f1",
        *,
        limit: int = 20,
        confidence: float = 0.5,
        iou: float = 0.5,
        split: Split | None = None,
    ) -> list[Worst]:
        """Data rows in the order of a view (`prelabel.analysis.views.VIEWS`).

        Raises:
            RequestError: there is no such view.
        """
        from prelabel.analysis.views import ranked  # noqa: PLC0415 (as above)

        found = ranked(self.matches(split=split), view, confidence=confidence, iou=iou, limit=limit)
        return [Worst(self._registry.data_row(one.row_id), one.value) for one in found]

    def mistakes(
        self,
        *,
        confidence: float = 0.5,
        iou: float = 0.5,
        foreground: float | None = None,
        split: Split | None = None,
    ) -> Verdicts:
        """What kind of mistake each wrong prediction and each missed annotation is.

        ``foreground``: overlap above which something is no background (0.1 when None; 0 suits spans).
        """
        from prelabel.analysis.mistakes import FOREGROUND, verdicts  # noqa: PLC0415 (as above)

        least = FOREGROUND if foreground is None else foreground
        return verdicts(self.matches(split=split), confidence=confidence, iou=iou, foreground=least)

    def compare(
        self,
        other: Analysis,
        *,
        metric: Name = "f1",
        confidence: float = 0.5,
        iou: float = 0.5,
        split: Split | None = None,
        slices: Mapping[str, Collection[str]] | None = None,
    ) -> list[Compared]:
        """This run against ``other``, on the data rows that count in both; ``difference`` is this one minus the other.

        Args:
            metric: ``f1``, ``precision`` or ``recall``.
            slices: uids of data rows by the slice's name, compared beside the whole.
        """
        from prelabel.analysis.comparison import compare  # noqa: PLC0415 (as above)

        if metric not in ("f1", "precision", "recall"):
            raise RequestError(f"runs cannot be compared by {metric!r}.", hint="Use f1, precision or recall.")
        first, second = other.matches(split=split), self.matches(split=split)
        return compare(first, second, metric=metric, confidence=confidence, iou=iou, slices=slices)

    def judge(
        self, condition: str, *, confidence: float = 0.5, iou: float = 0.5, split: Split | None = None
    ) -> Verdict:
        """Whether a condition such as ``f1 >= v2.f1 and recall[Cat] > 0.8`` holds for this run.

        Where it names other runs, all its metrics are of the data rows that every one of them predicted and somebody
        labeled (in this run's split), so that none has the easier ones.

        Raises:
            RequestError: it cannot be read, or asks for what is no metric.
            NotFoundError: it names a run that does not exist.
        """
        from prelabel.analysis.gate import judge, runs_named  # noqa: PLC0415 (as above)

        known: dict[int, RunMetrics] = {}
        runs = [self.id, *(self._registry.run(name).id for name in runs_named(condition))]
        for number in runs:
            self._registry.collect(number)
            self._registry.refresh_matches(number)

        def lookup(run: str | None, metric: str, feature: str | None) -> float | None:
            if metric not in METRICS:
                raise RequestError(f"{metric!r} is no metric.", hint=f"There are {', '.join(METRICS)}.")
            number = self.id if run is None else self._registry.run(run).id
            if number not in known:
                among = runs if len(runs) > 1 else ()
                known[number] = self._registry.metrics(number, confidence, iou, split=split, among=among)
            counts = known[number].run if feature is None else known[number].classes.get(feature)
            value: Any = getattr(counts, metric) if counts is not None else None
            return None if value is None else float(value)

        return judge(condition, lookup)

    def corrections(self, *, split: Split | None = None) -> list[Correction]:
        """What people did to each prediction; `prelabel.analysis.corrections` tallies it and finds thresholds.

        A data row whose items cannot be compared (a mask whose picture cannot be had) is left out.
        """
        from prelabel.analysis.corrections import corrections  # noqa: PLC0415 (as above)

        self._registry.collect(self.id)
        instances = self._registry.instances_of_run(self.id)
        found: list[Correction] = []
        for said in instances.ahead(self._registry.said(self.id, splits=(split,) if split is not None else ())):
            both = instances.of(said)
            if both is not None:
                found.extend(corrections(*both, row_id=said.data_row.uid))
        return found
