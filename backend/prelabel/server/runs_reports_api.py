"""What a run tells, over HTTP: items, metrics, report, worst rows, mistakes, comparison, check, corrections.

```
GET /api/v1/runs/{run}/items         a page of predictions or annotations; ?role= &order= &feature= &split= &after=
GET /api/v1/runs/{run}/metrics       counts at ?confidence= and ?iou=
GET /api/v1/runs/{run}/report        all that can be measured
GET /api/v1/runs/{run}/worst         data rows to look at first; ?view=
GET /api/v1/runs/{run}/mistakes      kinds of mistakes by class
GET /api/v1/runs/{run}/compare       with ?other=
POST /api/v1/runs/{run}/compare      {"other", "slices", ...}: in slices, too
GET /api/v1/runs/{run}/check         whether ?condition= holds
GET /api/v1/runs/{run}/corrections   what people did to predictions
```
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from flask import Blueprint

from prelabel.errors import RequestError
from prelabel.server import runs_answers as answers
from prelabel.server import runs_forms as forms
from prelabel.server.operations import LARGEST, Operation, operation, read_body, read_query
from prelabel.server.runs_access import Runs, Said, said

if TYPE_CHECKING:
    from prelabel.client_run import ModelRun

NUMBERS = {
    "type": "object",
    "description": "tp, fp, fn, tn, precision, recall, f1, iou; what is undefined is null.",
    "additionalProperties": {"type": ["number", "null"]},
}
METRICS = {
    "type": "object",
    "required": ["confidence", "iou", "data_rows", "run", "micro", "macro", "classes", "confusion"],
    "properties": {
        "confidence": {"type": "number"},
        "iou": {"type": "number"},
        "data_rows": {"type": "integer", "description": "Those that count: predicted and labeled."},
        "run": NUMBERS,
        "micro": NUMBERS,
        "macro": NUMBERS,
        "classes": {"type": "object", "additionalProperties": NUMBERS},
        "confusion": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "annotated": {"type": "string"},
                    "predicted": {"type": "string"},
                    "count": {"type": "integer"},
                },
            },
        },
    },
}
PART = {"type": ["object", "null"]}
REPORT = {
    "type": "object",
    "description": "What `prelabel.runs.reports.Report` has; what does not occur in the run is null.",
    "required": ["metrics", "refused"],
    "properties": {
        "metrics": METRICS,
        "intervals": {**PART, "description": "Precision, recall and F1 with their 95 % intervals."},
        "class_intervals": PART,
        "curves": {**PART, "description": "By class: precision and recall over confidences, and the best F1."},
        "calibration": PART,
        "boxes": {**PART, "description": "COCO's average precision."},
        "masks": PART,
        "spans": PART,
        "texts": PART,
        "numbers": PART,
        "ratings": PART,
        "rankings": PART,
        "datetimes": PART,
        "questions": PART,
        "times": PART,
        "custom": {**PART, "description": "Imported metric rows by name, put together as they say."},
        "refused": {
            "type": "object",
            "description": "Why a part is missing.",
            "additionalProperties": {"type": "string"},
        },
    },
}
MISTAKES = {
    "type": "object",
    "description": "For each class how often each kind of `prelabel.analysis.mistakes` is there.",
    "additionalProperties": {"type": "object", "additionalProperties": {"type": "integer"}},
}
COMPARED = {
    "type": "object",
    "properties": {
        "lines": {
            "type": "array",
            "description": "First all classes, then each. `difference` is this run minus the other.",
            "items": {
                "type": "object",
                "properties": {
                    "slice": {"type": "string", "description": "Empty: all data rows."},
                    "class": {"type": "string", "description": "Empty: all of them."},
                    "data_rows": {"type": "integer"},
                    "first": {"type": "object", "description": "The other run, with its interval."},
                    "second": {"type": "object", "description": "This run, with its interval."},
                    "difference": {"type": "object"},
                    "p_adjusted": {"type": ["number", "null"]},
                },
            },
        }
    },
}


def reports_blueprint(runs: Runs) -> Blueprint:
    """Blueprint ``reports``."""
    api = Blueprint("reports", __name__, url_prefix="/api/v1")
    _measures(api, runs)
    _verdicts(api, runs)
    _contents(api, runs)
    return api


def _report(summary: str, query: Any, answer: Any, **more: Any) -> Operation:
    return Operation(summary, query=query, answer=answer, errors=(400, 404, 503), **more)


def _measures(api: Blueprint, runs: Runs) -> None:
    @api.get("/runs/<run>/metrics")
    @operation(_report("Show how good a run is.", forms.Thresholds, METRICS))
    def metrics(run: str) -> Said:
        at, found = read_query(forms.Thresholds), runs.run(run)
        with runs.report():
            return found.metrics(at.confidence, at.iou, split=at.split).as_json()

    @api.get("/runs/<run>/report")
    @operation(_report("Show all that can be measured of a run.", forms.Thresholds, REPORT))
    def report(run: str) -> Said:
        at, found = read_query(forms.Thresholds), runs.run(run)
        with runs.report():
            return found.report(at.confidence, at.iou, split=at.split).as_json()

    @api.get("/runs/<run>/worst")
    @operation(_report("Show the data rows to look at first.", forms.WorstQuery, answers.WorstAnswer))
    def worst(run: str) -> Said:
        at, found = read_query(forms.WorstQuery), runs.run(run)
        with runs.report():
            rows = found.worst(at.view, limit=at.limit, confidence=at.confidence, iou=at.iou, split=at.split)
        found_rows = [
            answers.WorstRow(
                id=one.data_row.uid,
                global_key=one.data_row.global_key,
                place=answers.PlaceAnswer.model_validate(one.data_row.place) if one.data_row.place else None,
                value=one.value,
                data_row=answers.data_row_answer(one.data_row),
            )
            for one in rows
        ]
        return said(answers.WorstAnswer(view=at.view, data_rows=found_rows))

    @api.get("/runs/<run>/mistakes")
    @operation(_report("Show what kinds of mistakes a run makes, by class.", forms.MistakesQuery, MISTAKES))
    def mistakes(run: str) -> Said:
        at, found = read_query(forms.MistakesQuery), runs.run(run)
        with runs.report():
            judged = found.mistakes(confidence=at.confidence, iou=at.iou, foreground=at.foreground, split=at.split)
            return {feature: dict(counts) for feature, counts in judged.counts().items()}


def _verdicts(api: Blueprint, runs: Runs) -> None:
    @api.get("/runs/<run>/compare")
    @operation(_report("Compare a run with another on the data rows that both have.", forms.CompareQuery, COMPARED))
    def compare(run: str) -> Said:
        at = read_query(forms.CompareQuery)
        found, other = runs.run(run), runs.run(at.other)
        with runs.report():
            lines = found.compare(other, metric=at.metric, confidence=at.confidence, iou=at.iou, split=at.split)
            return {"lines": [line.as_json() for line in lines]}

    @api.post("/runs/<run>/compare")
    @operation(
        Operation(
            "Compare a run with another, in slices too.",
            body=forms.Comparison,
            answer=COMPARED,
            errors=(400, 404, 503),
        )
    )
    def compare_slices(run: str) -> Said:
        at = read_body(forms.Comparison)
        found, other = runs.run(run), runs.run(at.other)
        with runs.report():
            slices = {name: _rows_of(found, inside, at) for name, inside in at.slices.items()}
            lines = found.compare(
                other, metric=at.metric, confidence=at.confidence, iou=at.iou, split=at.split, slices=slices
            )
            return {"lines": [line.as_json() for line in lines]}

    @api.get("/runs/<run>/check")
    @operation(_report("Test a condition on a run's metrics.", forms.CheckQuery, answers.CheckAnswer))
    def check(run: str) -> Said:
        at, found = read_query(forms.CheckQuery), runs.run(run)
        with runs.report():
            verdict = found.judge(at.condition, confidence=at.confidence, iou=at.iou, split=at.split)
        return said(answers.CheckAnswer(holds=verdict.holds, reasons=list(verdict.reasons)))

    @api.get("/runs/<run>/corrections")
    @operation(_report("Show what people did to predictions.", forms.CorrectionsQuery, answers.CorrectionsAnswer))
    def corrections(run: str) -> Said:
        from prelabel.analysis.corrections import tallies, thresholds  # noqa: PLC0415 (NumPy, for those who ask)

        at, found = read_query(forms.CorrectionsQuery), runs.run(run)
        with runs.report():
            ledger = found.corrections(split=at.split)
            trusted = thresholds(ledger, at.precision)
            classes = {
                name: answers.FateAnswer(
                    **tally.as_json(),
                    kept=tally.kept,
                    trust_from=trusted[name].confidence if name in trusted else None,
                )
                for name, tally in tallies(ledger).items()
            }
        return said(answers.CorrectionsAnswer(precision=at.precision, classes=classes))


def _rows_of(run: ModelRun, inside: str | list[str], at: forms.Comparison) -> list[str]:
    """Ids of the data rows of a slice that is given by them, by a condition or by its name."""
    if not isinstance(inside, str):
        return inside
    return [row.uid for row in run.slice(inside, confidence=at.confidence, iou=at.iou)]


def _contents(api: Blueprint, runs: Runs) -> None:
    @api.get("/runs/<run>/items")
    @operation(
        Operation(
            "List a run's predictions or annotations.",
            query=forms.ItemsPage,
            answer=answers.ItemsAnswer,
            errors=(400, 404),
        )
    )
    def items(run: str) -> Said:
        at, found = read_query(forms.ItemsPage), runs.run(run)
        after = _cursor(at.after, at.order) if at.after is not None else None
        page = found.items(at.limit, after, role=at.role, order=at.order, feature=at.feature, split=at.split)
        found_items = [answers.ItemAnswer.model_validate(item) for item in page.items]
        return said(answers.ItemsAnswer(items=found_items, after=page.after))


def _cursor(after: str, order: str) -> str:
    """The mark of a page, looked at before the registry is asked with it.

    Raises:
        RequestError: no page of this order has it.
    """
    try:
        *head, number, uuid = json.loads(after)
        fits = type(number) is int and 0 <= number <= LARGEST and isinstance(uuid, str) and b"\0" not in uuid.encode()
        if order == "confidence":
            fits &= len(head) == 1 and type(head[0]) in (int, float) and math.isfinite(head[0])
        else:
            fits &= not head
    except (ValueError, TypeError, OverflowError, RecursionError):
        fits = False
    if not fits:
        raise RequestError(
            f"'after' does not name a page: {after[:80]!r}.", hint="Give the `after` of the page before, or none."
        )
    return after
