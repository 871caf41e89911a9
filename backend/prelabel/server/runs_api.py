"""Runs and their data rows over HTTP; models are in `prelabel.server.models_api`, imports in
`prelabel.server.runs_imports_api`, what a run tells in `prelabel.server.runs_reports_api`.

```
GET    /api/v1/runs                       a page of runs, newest first; ?model= &name=
POST   /api/v1/runs                       {"model", "name", "config"} -> 201, the run
GET    /api/v1/runs/{run}                 the run
PATCH  /api/v1/runs/{run}                 {"status", "error_message", "config", ...} -> the run
DELETE /api/v1/runs/{run}                 204
GET    /api/v1/datasets/{dataset}/data-rows   a page of them
GET    /api/v1/runs/{run}/data-rows       a page of the run's data rows; ?split=
POST   /api/v1/runs/{run}/collect         what workers and the server predicted is brought in
POST   /api/v1/runs/{run}/data-rows       {"global_keys", "data_row_ids", "dataset", "split"}
POST   /api/v1/runs/{run}/data-rows/find  {"global_keys"}: those of them that are in the run
POST   /api/v1/runs/{run}/data-rows/remove {"global_keys", "data_row_ids"}
POST   /api/v1/runs/{run}/splits          {"split", "global_keys", "data_row_ids"}
```
A run is named in the path, or, where its name has a slash, given as ``id:NUMBER``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint

from prelabel.errors import NotFoundError, RequestError
from prelabel.server import runs_answers as answers
from prelabel.server import runs_forms as forms
from prelabel.server.operations import Operation, operation, read_body, read_query
from prelabel.server.runs_access import Runs, Said, known, said

if TYPE_CHECKING:
    from prelabel.client import Dataset


def runs_blueprint(runs: Runs) -> Blueprint:
    """Blueprint ``runs``."""
    api = Blueprint("runs", __name__, url_prefix="/api/v1")
    _runs(api, runs)
    _data_rows(api, runs)
    return api


def _runs(api: Blueprint, runs: Runs) -> None:
    @api.get("/runs")
    @operation(Operation("List runs, the newest first.", query=forms.RunsPage, answer=answers.RunsAnswer))
    def list_runs() -> Said:
        page = read_query(forms.RunsPage)
        rows = [
            row
            for row in runs.client.registry.runs(page.model)
            if (page.after is None or row.id < page.after) and page.name in (None, row.name)
        ]
        found = [answers.RunAnswer.model_validate(row) for row in rows[: page.limit]]
        return said(answers.RunsAnswer(runs=found, after=found[-1].id if len(rows) > page.limit else None))

    @api.post("/runs")
    @operation(
        Operation("Make a run of a model.", body=forms.NewRun, answer=answers.RunAnswer, status=201, errors=(400, 404))
    )
    def create_run() -> tuple[Said, int]:
        new = read_body(forms.NewRun)
        made = runs.client.get_model(new.model).create_model_run(new.name, new.config)
        return _run(runs, made.id), 201

    @api.get("/runs/<run>")
    @operation(Operation("Show a run.", answer=answers.RunAnswer, errors=(404,)))
    def run(run: str) -> Said:
        return _run(runs, runs.run(run).id)

    @api.patch("/runs/<run>")
    @operation(
        Operation(
            "Change a run's status, config, metadata or provenance.",
            body=forms.RunChange,
            answer=answers.RunAnswer,
            errors=(400, 404),
        )
    )
    def change_run(run: str) -> Said:
        change, number = read_body(forms.RunChange), runs.run(run).id
        if change.error_message is not None and change.status is None:
            raise RequestError("'error_message' needs a 'status' beside it.")
        runs.client.registry.change_run(
            number,
            status=change.status,
            status_error=change.error_message,
            metadata=change.metadata,
            config=change.config,
            reset_config=change.reset_config,
            provenance=change.provenance,
        )
        return _run(runs, number)

    @api.delete("/runs/<run>")
    @operation(Operation("Delete a run with all it holds here.", status=204, errors=(400, 404)))
    def delete_run(run: str) -> tuple[str, int]:
        runs.run(run).delete()
        return "", 204

    @api.post("/runs/<run>/collect")
    @operation(Operation("Bring in what workers and the server predicted.", answer=answers.CountAnswer, errors=(404,)))
    def collect(run: str) -> Said:
        return said(answers.CountAnswer(data_rows=runs.run(run).collect()))


def _run(runs: Runs, number: int) -> Said:
    return said(answers.RunAnswer.model_validate(runs.client.registry.run(number)))


def _data_rows(api: Blueprint, runs: Runs) -> None:
    @api.get("/datasets/<dataset>/data-rows")
    @operation(
        Operation("List a dataset's data rows.", query=forms.Page, answer=answers.DataRowsAnswer, errors=(400, 404))
    )
    def dataset_rows(dataset: str) -> Said:
        page, registry = read_query(forms.Page), runs.client.registry
        total = len(_dataset(runs, dataset))
        rows = registry.data_rows(dataset, after=page.after, limit=page.limit)
        after = answers.next_after((row.id for row in rows), page.limit)
        found = [answers.data_row_answer(row) for row in rows]
        return said(answers.DataRowsAnswer(data_rows=found, after=after, total=total))

    @api.get("/runs/<run>/data-rows")
    @operation(
        Operation(
            "List a run's data rows with their splits.",
            query=forms.RowsPage,
            answer=answers.DataRowsAnswer,
            errors=(400, 404),
        )
    )
    def run_rows(run: str) -> Said:
        page, number = read_query(forms.RowsPage), runs.run(run).id
        rows = runs.client.registry.run_rows(number, split=page.split, after=page.after, limit=page.limit)
        after = answers.next_after((row.data_row.id for row in rows), page.limit)
        found = [answers.data_row_answer(row.data_row, row.split) for row in rows]
        return said(answers.DataRowsAnswer(data_rows=found, after=after))

    @api.post("/runs/<run>/data-rows")
    @operation(
        Operation("Put data rows into a run.", body=forms.ChosenRows, answer=answers.CountAnswer, errors=(400, 404))
    )
    def add_rows(run: str) -> Said:
        chosen, number, registry = read_body(forms.ChosenRows), runs.run(run).id, runs.client.registry
        numbers = registry.numbers_of(chosen.global_keys, chosen.data_row_ids)
        if chosen.dataset is not None:
            numbers += [row.id for row in _dataset(runs, chosen.dataset)]
        if not numbers:
            raise RequestError(
                "no data rows are chosen.", hint="Give 'global_keys', 'data_row_ids' or the name of a 'dataset'."
            )
        registry.add_to_run(number, numbers)
        if chosen.split is not None:
            registry.assign_split(number, chosen.split, numbers)
        return said(answers.CountAnswer(data_rows=len(set(numbers))))

    @api.post("/runs/<run>/data-rows/find")
    @operation(
        Operation(
            "Show data rows of a run by global key; those that are not in it are left out.",
            body=forms.KeyedRows,
            answer=answers.DataRowsAnswer,
            errors=(400, 404),
        )
    )
    def find_rows(run: str) -> Said:
        wanted, number = read_body(forms.KeyedRows), runs.run(run).id
        rows = runs.client.registry.in_run(number, wanted.global_keys, [])
        return said(
            answers.DataRowsAnswer(data_rows=[answers.data_row_answer(row) for row in rows.values()], after=None)
        )

    @api.post("/runs/<run>/data-rows/remove")
    @operation(
        Operation(
            "Take data rows out of a run, with all that was said of them in it.",
            body=forms.NamedRows,
            answer=answers.CountAnswer,
            errors=(400, 404),
        )
    )
    def remove_rows(run: str) -> Said:
        chosen, found, registry = read_body(forms.NamedRows), runs.run(run), runs.client.registry
        numbers = registry.numbers_of(chosen.global_keys, chosen.data_row_ids)
        registry.take_from_run(found.id, numbers)
        return said(answers.CountAnswer(data_rows=len(set(numbers))))

    @api.post("/runs/<run>/splits")
    @operation(
        Operation(
            "Set the split of data rows of a run.",
            body=forms.SplitRows,
            answer=answers.CountAnswer,
            errors=(400, 404),
        )
    )
    def assign_split(run: str) -> Said:
        chosen, number, registry = read_body(forms.SplitRows), runs.run(run).id, runs.client.registry
        numbers = registry.numbers_of(chosen.global_keys, chosen.data_row_ids)
        if not numbers:
            raise RequestError("no data rows are chosen.", hint="Give 'global_keys' or 'data_row_ids'.")
        registry.assign_split(number, chosen.split, numbers)
        return said(answers.CountAnswer(data_rows=len(set(numbers))))


def _dataset(runs: Runs, name: str) -> Dataset:
    from prelabel.client import Dataset  # noqa: PLC0415 (as above)

    dataset = Dataset(runs.client, known(name, "dataset"))
    if not len(dataset):
        raise NotFoundError(
            f"there is no dataset {name!r}.", hint="POST its data rows to /api/v1/datasets/NAME/data-rows first."
        )
    return dataset
