"""A run's report: whatever metric fits the kinds of things that were said in it, made a page of data rows at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prelabel.errors import PrelabelError
from prelabel.metrics.answers import by_question, single_pairs
from prelabel.metrics.bootstrap import Interval, Name, intervals
from prelabel.metrics.calibration import Calibration, calibrate, right_ones
from prelabel.metrics.classification import Answers, QuestionScores
from prelabel.metrics.custom import CustomMetric, CustomMetrics
from prelabel.metrics.detection import Detection, Detections
from prelabel.metrics.matches import ClassKey, Matches
from prelabel.metrics.matching import Both
from prelabel.metrics.spans import SpanScores, span_scores
from prelabel.metrics.summary import Curve, class_names, curve, summarize
from prelabel.metrics.texts import TextErrors, TextTally, sure
from prelabel.metrics.times import TIME_KINDS, TimeSummary, TimeTally
from prelabel.metrics.values import (
    NumberErrors,
    RankingErrors,
    compare_numbers,
    compare_rankings,
    seconds,
)
from prelabel.runs.held import Split
from prelabel.runs.scores import Instances, RunMetrics

if TYPE_CHECKING:
    from prelabel.runs.items import Said
    from prelabel.runs.registry import Registry

PAGE = 500
"""Data rows whose items are compared at once."""
THRESHOLDS = (*(place / 50 for place in range(50)), 0.99, 0.995, 0.999, 1.0)
"""Confidences of the curves: many models are nearly sure of nearly everything."""

Pattern = tuple[int, int, int]
"""TP, FP and FN of a data row."""
Intervals = Mapping[Name, Interval]


@dataclass(frozen=True, slots=True)
class Report:
    """All that can be measured of a run. What does not occur in it, or could not be measured, is None.

    Only data rows that are predicted and labeled take part. Everything but average precision, curves and calibration
    ignores predictions below ``metrics.confidence``.

    Attributes:
        metrics: counts, averages and confusion, at one confidence and one IoU threshold.
        intervals, class_intervals: precision, recall and F1 of the run and of each class, with the 95 % interval of a
            bootstrap over data rows.
        curves: by class, precision and recall at each confidence; ``best`` has the highest F1.
        calibration: whether confidences mean what they say. None also where no prediction has one below 1.
        boxes, masks: COCO's average precision.
        spans: strict, exact, partial and type.
        texts, numbers, ratings, rankings, datetimes, questions: by question.
        times: by ``segment``, ``frames`` and ``track``.
        custom: the metric rows that were imported, by name; of all data rows that have them.
        refused: why a part is missing that would have been here, by the part's name.
    """

    metrics: RunMetrics
    intervals: Intervals | None = field(default=None, hash=False)
    class_intervals: Mapping[str, Intervals] | None = field(default=None, hash=False)
    curves: Mapping[str, Curve] | None = field(default=None, hash=False)
    calibration: Calibration | None = None
    boxes: Detection | None = None
    masks: Detection | None = None
    spans: SpanScores | None = None
    texts: Mapping[str, TextErrors] | None = field(default=None, hash=False)
    numbers: Mapping[str, NumberErrors] | None = field(default=None, hash=False)
    ratings: Mapping[str, NumberErrors] | None = field(default=None, hash=False)
    rankings: Mapping[str, RankingErrors] | None = field(default=None, hash=False)
    datetimes: Mapping[str, NumberErrors] | None = field(default=None, hash=False)
    questions: Mapping[str, QuestionScores] | None = field(default=None, hash=False)
    times: Mapping[str, TimeSummary] | None = field(default=None, hash=False)
    custom: Mapping[str, CustomMetric] | None = field(default=None, hash=False)
    refused: Mapping[str, str] = field(default_factory=dict, hash=False)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; undefined is None."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return value.as_json() if hasattr(value, "as_json") else value


def compute(
    registry: Registry, run: int, confidence: float = 0.5, iou: float = 0.5, *, split: Split | None = None
) -> Report:
    """The report of a run whose matches are up to date (`prelabel.runs.scores.Scores.refresh_matches`).

    Stored matches and items are read in pages. Held until the end: 9 bytes for each prediction (calibration), the
    distinct counts of data rows, 16 bytes for each answered number, rankings, and each box and mask as COCO's entry
    (`prelabel.metrics.detection.Detections`). Everything else is added up.
    """
    metrics = registry.metrics(run, confidence, iou, split=split)
    known = _Known(confidence, iou)
    for matches in registry.matches(run, split=split):
        known.add(matches)
    parts = _Parts(confidence, iou)
    instances = registry.instances_of_run(run)
    said = registry.said(run, splits=(split,) if split is not None else ())
    for page in _pages(said, instances):
        parts.add(page)
    custom = CustomMetrics(confidence)
    for bodies in registry.metrics_by_row(run, split=split):
        custom.add(bodies)
    return Report(metrics, **known.found(), **parts.found(), custom=custom.found() or None)


def _pages(said: Iterable[Said], instances: Instances) -> Iterator[Mapping[str, Both]]:
    both = ((one.data_row.uid, instances.of(one)) for one in instances.ahead(said))
    comparable = ((uid, sides) for uid, sides in both if sides is not None)
    while page := dict(islice(comparable, PAGE)):
        yield {**page}


# --- from stored matches
@dataclass(slots=True)
class _Known:
    """Intervals, curves and calibration."""

    confidence: float
    iou: float
    rows: int = 0
    run: Counter[Pattern] = field(default_factory=Counter)
    classes: dict[ClassKey, Counter[Pattern]] = field(default_factory=dict)
    curves: dict[ClassKey, dict[float, Pattern]] = field(default_factory=dict)
    sure: list[NDArray[np.float64]] = field(default_factory=list)
    right: list[NDArray[np.bool_]] = field(default_factory=list)

    def add(self, matches: Matches) -> None:
        keys = matches.columns.classes
        # rows are stored only where both sides are known, also where one of them said nothing
        cells = summarize(matches, self.confidence, self.iou, all_rows=True).counted.cells
        size = len(matches.row_ids)
        self.rows += size
        counts = (cells.tp, cells.fp, cells.fn)
        by_row = np.column_stack([np.bincount(cells.row, part, minlength=size) for part in counts])
        for tp, fp, fn, often in _distinct(by_row):
            self.run[tp, fp, fn] += often
        for cls, tp, fp, fn, often in _distinct(np.column_stack((cells.cls, *counts))):
            self.classes.setdefault(keys[cls], Counter())[tp, fp, fn] += often
        for key, found in zip(
            keys, curve(matches, self.iou, thresholds=THRESHOLDS, all_rows=True).values(), strict=True
        ):
            points = self.curves.setdefault(key, {})
            for point in found.points:
                tp, fp, fn = points.get(point.confidence, (0, 0, 0))
                points[point.confidence] = (tp + point.tp, fp + point.fp, fn + point.fn)
        self.sure.append(matches.columns.prediction_confidence)
        self.right.append(right_ones(matches, self.iou))

    def found(self) -> dict[str, Any]:
        if not self.classes and not self.curves:
            return {}
        keys = sorted({*self.classes, *self.curves})
        names = dict(zip(keys, class_names(keys), strict=True))
        confidences = np.concatenate(self.sure)
        return {
            "intervals": self._intervals(self.run),
            "class_intervals": {names[key]: self._intervals(self.classes.get(key, Counter())) for key in keys},
            "curves": {names[key]: Curve.of((at, *counts) for at, counts in self.curves[key].items()) for key in keys},
            "calibration": calibrate(confidences, np.concatenate(self.right)) if (confidences < 1).any() else None,
        }

    def _intervals(self, patterns: Counter[Pattern]) -> dict[Name, Interval]:
        """Data rows without the class count too: a resample has more or fewer of them."""
        often = dict(patterns)
        often[0, 0, 0] = often.get((0, 0, 0), 0) + self.rows - sum(patterns.values())
        return intervals(list(often), list(often.values()))


def _distinct(table: NDArray[Any]) -> list[list[int]]:
    """Distinct lines, each with how often it is there."""
    if not len(table):
        return []
    lines, often = np.unique(table.astype(np.int64), axis=0, return_counts=True)
    return np.column_stack((lines, often)).tolist()  # type: ignore[no-any-return] # NumPy says Any


# --- from items
@dataclass(slots=True)
class _Parts:
    """One gatherer for each kind of metric; one that cannot go on says why, and the others do."""

    confidence: float
    iou: float
    boxes: Detections = field(default_factory=lambda: Detections("box"))
    masks: Detections = field(default_factory=lambda: Detections("mask"))
    spans: SpanScores | None = None
    texts: dict[str, TextTally] = field(default_factory=dict)
    questions: Answers = field(default_factory=Answers)
    times: dict[str, TimeTally] = field(default_factory=lambda: {kind: TimeTally(kind) for kind in TIME_KINDS})
    values: dict[str, dict[str, tuple[list[Any], list[Any]]]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def add(self, page: Mapping[str, Both]) -> None:
        kinds = {one.kind for both in page.values() for side in both for one in side}
        steps: tuple[tuple[str, bool, Callable[[Mapping[str, Both]], None]], ...] = (
            ("boxes", "box" in kinds, lambda rows: self.boxes.add(rows.values())),
            ("masks", "mask" in kinds, lambda rows: self.masks.add(rows.values())),
            ("spans", "span" in kinds, self._add_spans),
            ("texts", "text" in kinds, self._add_texts),
            ("questions", "choice" in kinds, lambda rows: self.questions.add(rows, confidence=self.confidence)),
            ("times", not kinds.isdisjoint(TIME_KINDS), self._add_times),
            ("numbers", "number" in kinds, lambda rows: self._add_values(rows, "number", float)),
            ("ratings", "rating" in kinds, lambda rows: self._add_values(rows, "rating", float)),
            ("rankings", "ranking" in kinds, lambda rows: self._add_values(rows, "ranking", tuple)),
            ("datetimes", "datetime" in kinds, lambda rows: self._add_values(rows, "datetime", _seconds)),
        )
        for name, occurs, step in steps:
            if occurs and name not in self.refused:
                self._try(name, lambda step=step: step(page))  # type: ignore[misc] # bound here and now

    def found(self) -> dict[str, Any]:
        makers: dict[str, Callable[[], Any]] = {
            "boxes": lambda: self.boxes.average_precision() if len(self.boxes) else None,
            "masks": lambda: self.masks.average_precision() if len(self.masks) else None,
            "spans": lambda: self.spans,
            "texts": lambda: {name: tally.errors() for name, tally in self.texts.items()},
            "questions": self.questions.scores,
            "times": lambda: {kind: made for kind, tally in self.times.items() if (made := tally.summary())},
            "numbers": lambda: self._of("number", compare_numbers),
            "ratings": lambda: self._of("rating", lambda ours, theirs: compare_numbers(ours, theirs, ordered=True)),
            "rankings": lambda: self._of("ranking", compare_rankings),
            "datetimes": lambda: self._of("datetime", compare_numbers),
        }
        found = {name: self._try(name, make) or None for name, make in makers.items() if name not in self.refused}
        return {**found, "refused": self.refused}

    def _try(self, name: str, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except (PrelabelError, ValueError, TypeError) as error:  # the last two: a library refuses what it is given
            self.refused[name] = str(error)
            return None

    def _add_spans(self, page: Mapping[str, Both]) -> None:
        scores = span_scores(page, confidence=self.confidence)
        self.spans = scores if self.spans is None else self.spans + scores

    def _add_texts(self, page: Mapping[str, Both]) -> None:
        for question, pairs in by_question(list(single_pairs(sure(page, self.confidence), {"text"}))).items():
            ours, theirs = ([str(pair[side].value) for pair in pairs] for side in (0, 1))
            self.texts.setdefault(question, TextTally()).add(ours, theirs)

    def _add_times(self, page: Mapping[str, Both]) -> None:
        for tally in self.times.values():
            tally.add(page, confidence=self.confidence, iou=self.iou)

    def _add_values(self, page: Mapping[str, Both], kind: str, read: Callable[[Any], Any]) -> None:
        for question, pairs in by_question(list(single_pairs(sure(page, self.confidence), {kind}))).items():
            sides = self.values.setdefault(kind, {}).setdefault(question, ([], []))
            for ours, theirs in pairs:
                values = read(ours.value), read(theirs.value)
                if None not in values:
                    sides[0].append(values[0])
                    sides[1].append(values[1])

    def _of(self, kind: str, compare: Callable[[list[Any], list[Any]], Any]) -> dict[str, Any]:
        return {question: compare(*sides) for question, sides in self.values.get(kind, {}).items()}


def _seconds(value: Any) -> float | None:
    return seconds(str(value))
