"""What a run tells, over HTTP: items, metrics, worst rows, mistakes, comparison, check, corrections, and files.

```
GET /api/v1/runs/{run}/items         a page of predictions or annotations; ?role= &order= &feature= &split= &after=
GET /api/v1/runs/{run}/metrics       counts at ?confidence= and ?iou=
GET /api/v1/runs/{run}/worst         data rows to look at first; ?view=
GET /api/v1/runs/{run}/mistakes      kinds of mistakes by class
GET /api/v1/runs/{run}/compare       with ?other=
GET /api/v1/runs/{run}/check         whether ?condition= holds
GET /api/v1/runs/{run}/corrections   what people did to predictions
GET /api/v1/runs/{run}/export        a file; ?format=
```
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from flask import Blueprint, Response, request

from prelabel.errors import RequestError
from prelabel.server import runs_answers as answers
from prelabel.server import runs_forms as forms
from prelabel.server.operations import LARGEST, Operation, operation, read_query
from prelabel.server.runs_access import Runs, Said, said

CHUNK = 1 << 18
"""Bytes of a file that are sent at once."""
FILES = {
    "ndjson": ("application/x-ndjson", "ndjson"),
    "labelstudio": ("application/json", "json"),
    "coco": ("application/json", "json"),
    "parquet": ("application/vnd.apache.parquet", "parquet"),
}
"""Media type and file name's ending of each export format."""
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

    @api.get("/runs/<run>/export")
    @operation(_report("Download a run as a file.", forms.ExportQuery, None, files=tuple(_media_types())))
    def export(run: str) -> Response:
        at, found = read_query(forms.ExportQuery), runs.run(run)
        media_type, ending = FILES[at.format]
        if request.method == "HEAD":
            return Response(mimetype=media_type)
        folder = runs.client.registry.spool_dir
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with runs.report(), tempfile.TemporaryDirectory(prefix="export-", dir=folder) as place:
            file = Path(place) / f"run.{ending}"
            found.export(at.format, file, splits=(at.split,) if at.split else (), role=at.role)
            size, opened = file.stat().st_size, file.open("rb")  # the name goes, the open file stays
        answer = Response(_chunks(opened), mimetype=media_type)
        answer.content_length = size
        answer.headers.set("Content-Disposition", "attachment", filename=_file_name(found.name, ending))
        return answer


def _media_types() -> list[str]:
    return sorted({media_type for media_type, _ in FILES.values()})


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


def _file_name(run: str, ending: str) -> str:
    plain = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else "_" for sign in run)
    return f"{plain[:100]}.{ending}"


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
