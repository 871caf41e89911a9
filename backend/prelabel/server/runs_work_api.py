"""What takes minutes, over HTTP: predictions to a project, labels and tasks from a project.

```
POST /api/v1/runs/{run}/send                     202, the work; the run's predictions become a project's
POST /api/v1/runs/{run}/labels-of-project        202; the import is in the result
POST /api/v1/datasets/{dataset}/tasks-of-project 202; a project's tasks as data rows
GET  /api/v1/works                               works since the server's start
GET  /api/v1/works/{id}                          how far one is, and its result
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint

from prelabel.errors import RequestError
from prelabel.server import runs_answers as answers
from prelabel.server import runs_forms as forms
from prelabel.server import runs_work_forms as work_forms
from prelabel.server.operations import Body, Operation, operation, read_body, read_query
from prelabel.server.runs_access import Runs, Said, said
from prelabel.server.runs_work import Progress, Work


def work_blueprint(runs: Runs) -> Blueprint:
    """Blueprint ``work``."""
    api = Blueprint("work", __name__, url_prefix="/api/v1")
    _to_projects(api, runs)
    _from_projects(api, runs)
    _states(api, runs)
    return api


def working(summary: str, body: type[Body]) -> Operation:
    """An endpoint that begins work."""
    return Operation(summary, body=body, answer=work_forms.WorkAnswer, status=202, errors=(400, 404, 503))


def _to_projects(api: Blueprint, runs: Runs) -> None:
    @api.post("/runs/<run>/send")
    @operation(working("Make a run's predictions the predictions of a project's tasks.", work_forms.Sending))
    def send(run: str) -> tuple[Said, int]:
        at, found = read_body(work_forms.Sending), runs.run(run)
        if at.priority is not None and at.order is not None:
            raise RequestError("give either 'priority' or 'order'.")

        def step(progress: Progress) -> Mapping[str, Any]:
            progress(0, None)
            sent = found.send_to_project(
                at.project,
                confidence=at.confidence,
                splits=at.splits,
                limit=at.limit,
                priority=found.rank_unlabeled(at.order) if at.order is not None else at.priority,
                only_missing=at.only_missing,
                task_field=at.task_field,
                wait_s=at.wait_s,
                progress=lambda done: progress(done, None),
            )
            return asdict(sent)

        return begun(runs.works.begin("send", found.name, step)), 202


def _from_projects(api: Blueprint, runs: Runs) -> None:
    @api.post("/runs/<run>/labels-of-project")
    @operation(working("Import what people labeled in a project, as ground truth.", work_forms.LabelsOfProject))
    def labels(run: str) -> tuple[Said, int]:
        at, found = read_body(work_forms.LabelsOfProject), runs.run(run)

        def step(progress: Progress) -> Mapping[str, Any]:
            progress(0, None)
            row = found.upsert_labels(project_id=at.project, name=at.name).row
            return {"import": answers.import_answer(row, found.name).model_dump()}

        return begun(runs.works.begin("labels", found.name, step)), 202

    @api.post("/datasets/<dataset>/tasks-of-project")
    @operation(working("Write a project's tasks into a dataset as data rows.", work_forms.OfProject))
    def data_rows(dataset: str) -> tuple[Said, int]:
        at, client = read_body(work_forms.OfProject), runs.client
        forms.refuse_dataset(dataset)

        def step(progress: Progress) -> Mapping[str, Any]:
            progress(0, None)
            return {"dataset": dataset, "data_rows": len(client.import_data_rows(dataset, project_id=at.project))}

        return begun(runs.works.begin("data-rows", None, step)), 202


def _states(api: Blueprint, runs: Runs) -> None:
    @api.get("/works")
    @operation(
        Operation("List works since the server's start.", query=work_forms.WorkPage, answer=work_forms.WorksAnswer)
    )
    def works() -> Said:
        page = read_query(work_forms.WorkPage)
        return said(work_forms.WorksAnswer(work=[_answer(one) for one in runs.works.all()[: page.limit]]))

    @api.get("/works/<work>")
    @operation(Operation("Show how far a work is.", answer=work_forms.WorkAnswer, errors=(404,)))
    def one(work: str) -> Said:
        return said(_answer(runs.works.one(work)))


def begun(work: Work) -> Said:
    """The answer to what began it."""
    return said(_answer(work))


def _answer(work: Work) -> work_forms.WorkAnswer:
    wrong = work.error
    error = (
        work_forms.WorkError(error=wrong.message, hint=wrong.hint, kind=type(wrong).__name__)
        if wrong is not None
        else None
    )
    return work_forms.WorkAnswer(
        id=work.id,
        kind=work.kind,
        run=work.run,
        state=work.state,
        done=work.done,
        total=work.total,
        result=dict(work.result) if work.result is not None else None,
        error=error,
        created_at=work.created_at,
    )
