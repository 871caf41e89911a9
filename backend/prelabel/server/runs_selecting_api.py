"""What to label next, over HTTP, which labels to doubt, and whether choosing helped.

```
POST /api/v1/runs/{run}/select      202, the work; which tasks to label first, as scores
POST /api/v1/runs/{run}/selection   202; scores, clusters, neighbors, mislabeling as given
POST /api/v1/runs/{run}/embed       202; the data rows as vectors
POST /api/v1/runs/{run}/enrich      202; clusters, neighbors and mislabeling are found and written
GET  /api/v1/runs/{run}/selections  the rounds of choosing
GET  /api/v1/runs/{run}/arms        whether the strategies found more mistakes than picks by lot
```
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint

from prelabel.server import runs_work_forms as forms
from prelabel.server.operations import Operation, operation, read_body, read_query
from prelabel.server.runs_access import Runs, Said, said
from prelabel.server.runs_work import Progress
from prelabel.server.runs_work_api import begun, working


def selecting_blueprint(runs: Runs) -> Blueprint:
    """Blueprint ``selecting``."""
    api = Blueprint("selecting", __name__, url_prefix="/api/v1")
    _choosing(api, runs)
    _embedding(api, runs)
    _rounds(api, runs)
    return api


def _choosing(api: Blueprint, runs: Runs) -> None:
    @api.post("/runs/<run>/select")
    @operation(working("Rank a run's unlabeled tasks, and write that as their predictions' score.", forms.Selection))
    def select(run: str) -> tuple[Said, int]:
        at, found = read_body(forms.Selection), runs.run(run)

        def step(progress: Progress) -> Mapping[str, Any]:
            progress(0, None)
            chosen = found.select(
                at.project,
                at.strategy,
                count=at.count,
                seed=at.seed,
                splits=at.splits,
                others=at.others,
                encoder=at.encoder,
                question=at.question,
                shares=at.shares,
                show=at.show,
                progress=progress,
            )
            return _result(chosen)

        return begun(runs.works.begin("select", found.name, step)), 202

    @api.post("/runs/<run>/selection")
    @operation(working("Write scores, clusters, neighbors and mislabeling of a run's tasks.", forms.SelectionFields))
    def selection(run: str) -> tuple[Said, int]:
        at, found = read_body(forms.SelectionFields), runs.run(run)

        def step(progress: Progress) -> Mapping[str, Any]:
            return _result(found.write_selection(at.fields, project_id=at.project, progress=progress))

        return begun(runs.works.begin("selection", found.name, step)), 202


def _embedding(api: Blueprint, runs: Runs) -> None:
    @api.post("/runs/<run>/embed")
    @operation(working("Embed a run's data rows.", forms.Embedding))
    def embed(run: str) -> tuple[Said, int]:
        at, found = read_body(forms.Embedding), runs.run(run)

        def step(progress: Progress) -> Mapping[str, Any]:
            return _result(found.embed(at.encoder, project_id=at.project, progress=progress))

        return begun(runs.works.begin("embed", found.name, step)), 202

    @api.post("/runs/<run>/enrich")
    @operation(working("Find clusters, neighbors and doubtful labels of a run's tasks.", forms.Enrichment))
    def enrich(run: str) -> tuple[Said, int]:
        at, found = read_body(forms.Enrichment), runs.run(run)

        def step(progress: Progress) -> Mapping[str, Any]:
            progress(0, None)
            made = found.enrich(
                at.project,
                encoder=at.encoder,
                neighbors=at.neighbors,
                clusters=at.clusters,
                mislabeling=at.mislabeling,
                question=at.question,
                splits=at.splits,
                seed=at.seed,
                progress=progress,
            )
            return _result(made)

        return begun(runs.works.begin("enrich", found.name, step)), 202


def _rounds(api: Blueprint, runs: Runs) -> None:
    @api.get("/runs/<run>/selections")
    @operation(Operation("List the rounds of choosing.", answer=forms.RoundsAnswer, errors=(404,)))
    def selections(run: str) -> Said:
        found = [forms.RoundAnswer.model_validate(one) for one in runs.run(run).selections()]
        return said(forms.RoundsAnswer(selections=found))

    @api.get("/runs/<run>/arms")
    @operation(
        Operation(
            "Show whether the strategies found more mistakes than picks by lot.",
            query=forms.ArmsQuery,
            answer=forms.ArmsAnswer,
            errors=(400, 404, 503),
        )
    )
    def arms(run: str) -> Said:
        at, found = read_query(forms.ArmsQuery), runs.run(run)
        with runs.report():
            return said(forms.ArmsAnswer.model_validate(found.arms(at.selection, confidence=at.confidence, iou=at.iou)))


def _result(made: Any) -> dict[str, Any]:
    """A frozen class as JSON; what is undefined is null."""
    plain: dict[str, Any] = _plain(asdict(made))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
