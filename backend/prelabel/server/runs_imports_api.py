"""Imports of predictions and labels over HTTP, and data rows that are sent as lines.

```
POST /api/v1/datasets/{dataset}/data-rows  NDJSON of data rows -> how many
POST /api/v1/runs/{run}/predictions        NDJSON -> 202, the import; ?name= &form=
POST /api/v1/runs/{run}/labels             the same with ground truth
GET  /api/v1/runs/{run}/imports            a page of the run's imports
GET  /api/v1/imports/{id}                  state and progress
GET  /api/v1/imports/{id}/statuses         what became of each line; ?failed=1
POST /api/v1/imports/{id}/resume           202; goes on where it stands
```
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from flask import Blueprint, request

from prelabel.errors import NotFoundError, RequestError
from prelabel.runs.spooling import spooling
from prelabel.server import runs_answers as answers
from prelabel.server import runs_forms as forms
from prelabel.server.operations import LARGEST, Body, Operation, operation, parsed, read_query
from prelabel.server.runs_access import Runs, Said, said

if TYPE_CHECKING:
    from prelabel.runs.held import ImportKind


def imports_blueprint(runs: Runs) -> Blueprint:
    """Blueprint ``imports``."""
    api = Blueprint("imports", __name__, url_prefix="/api/v1")
    _data_rows(api, runs)
    _begins(api, runs)
    _states(api, runs)
    return api


def _data_rows(api: Blueprint, runs: Runs) -> None:
    @api.post("/datasets/<dataset>/data-rows")
    @operation(
        Operation(
            "Write data rows into a dataset: all of them, or none when a line cannot be read.",
            lines=forms.DataRowLine,
            answer=answers.WrittenAnswer,
            errors=(400, 413),
        )
    )
    def write_data_rows(dataset: str) -> Said:
        forms.refuse_dataset(dataset)
        client = runs.client
        with spooling(client.registry.spool_dir) as spool:
            spool.raw(_checked(forms.DataRowLine, _lines()))
            total, path = spool.total, spool.path
        try:
            if not total:
                raise RequestError("there are no data rows in the body.", hint="Send one JSON object a line.")
            with path.open("rb") as file:
                rows = client.import_data_rows(dataset, (json.loads(line) for line in file))
        finally:
            path.unlink()
        return said(answers.WrittenAnswer(dataset=dataset, written=total, data_rows=len(rows)))


def _begins(api: Blueprint, runs: Runs) -> None:
    @api.post("/runs/<run>/predictions")
    @operation(_importing("Import predictions in the background."))
    def predictions(run: str) -> tuple[Said, int]:
        return _begin(runs, run, "predictions"), 202

    @api.post("/runs/<run>/labels")
    @operation(_importing("Import ground truth in the background, with its data rows."))
    def labels(run: str) -> tuple[Said, int]:
        return _begin(runs, run, "annotations"), 202


def _states(api: Blueprint, runs: Runs) -> None:
    @api.get("/runs/<run>/imports")
    @operation(Operation("List a run's imports.", query=forms.Page, answer=answers.ImportsAnswer, errors=(400, 404)))
    def imports(run: str) -> Said:
        page, found = read_query(forms.Page), runs.run(run)
        rows = [row for row in runs.client.registry.imports(found.id) if row.id > page.after][: page.limit]
        after = answers.next_after((row.id for row in rows), page.limit)
        return said(
            answers.ImportsAnswer(imports=[answers.import_answer(row, found.name) for row in rows], after=after)
        )

    @api.get("/imports/<int:number>")
    @operation(Operation("Show how far an import is.", answer=answers.ImportAnswer, errors=(404,)))
    def import_state(number: int) -> Said:
        return _import(runs, number)

    @api.get("/imports/<int:number>/statuses")
    @operation(
        Operation(
            "Show what became of an import's lines.",
            query=forms.StatusPage,
            answer=answers.StatusesAnswer,
            errors=(400, 404),
        )
    )
    def statuses(number: int) -> Said:
        page, _ = read_query(forms.StatusPage), _import(runs, number)
        rows = runs.client.registry.statuses(number, failed_only=page.failed, after=page.after, limit=page.limit)
        found = [answers.RowStatusAnswer.model_validate(row) for row in rows]
        after = answers.next_after((row.position for row in rows), page.limit)
        return said(answers.StatusesAnswer(statuses=found, after=after))

    @api.post("/imports/<int:number>/resume")
    @operation(Operation("Go on with an import that failed.", answer=answers.ImportAnswer, status=202, errors=(404,)))
    def resume(number: int) -> tuple[Said, int]:
        from prelabel.client import Import  # noqa: PLC0415 (as above)

        _import(runs, number)
        Import(runs.client, number).resume()
        return _import(runs, number), 202


def _importing(summary: str) -> Operation:
    return Operation(
        summary,
        query=forms.ImportName,
        lines=forms.ImportLine,
        answer=answers.ImportAnswer,
        status=202,
        errors=(400, 404, 413),
    )


def _import(runs: Runs, number: int) -> Said:
    if number > LARGEST:
        raise NotFoundError(f"there is no import {number}.")
    registry = runs.client.registry
    row = registry.import_row(number)
    return said(answers.import_answer(row, registry.run(row.run_id).name))


def _begin(runs: Runs, run: str, kind: ImportKind) -> Said:
    """The body becomes the import's lines as it is; nothing of it is held in memory."""
    query = read_query(forms.ImportName)
    name = query.name or f"{kind}-{uuid.uuid4().hex[:8]}"
    found, client = runs.run(run), runs.client
    client.registry.refuse_taken(found.id, name)
    with spooling(client.registry.spool_dir) as spool:
        spool.raw(_lines() if query.form == "labelbox" else _checked(forms.RegionLine, _lines()))
        if not spool.total:
            raise RequestError("the body holds no rows.", hint="Send NDJSON: one JSON object a line.")
    try:
        row = client.registry.begin_import(
            found.id, name, kind, query.form, source="sent over HTTP", spool=spool.path, total=spool.total
        )
    except BaseException:
        spool.path.unlink(missing_ok=True)
        raise
    client.run_in_background(row.id)
    return said(answers.import_answer(row, found.name))


def _lines() -> Iterator[bytes]:
    """The body's lines, read as they are needed.

    Raises:
        RequestError: it is one JSON array.
    """
    body = io.BufferedReader(cast("io.RawIOBase", request.stream))
    for place, line in enumerate(body):
        if not place and line.lstrip()[:1] == b"[":
            raise RequestError("the body is one JSON array.", hint="Send NDJSON: one JSON object a line.")
        yield line


def _checked(kind: type[Body], lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, each of which can be read as what it has to be.

    Raises:
        RequestError: one cannot.
    """
    for place, line in enumerate(lines, start=1):
        if line.strip():
            try:
                parsed(kind, line)
            except RequestError as error:
                raise RequestError(f"line {place}: {error.message}", hint=error.hint) from error
        yield line
