"""Which run of a model people see, over HTTP: promoted, in shadow, rolled back.

```
POST /api/v1/runs/{run}/promote        {"condition", "confidence", "iou", "split"} -> whether, reasons, jobs
POST /api/v1/runs/{run}/shadow         it predicts without being shown
POST /api/v1/runs/{run}/demote         it is a candidate again
POST /api/v1/models/{model}/roll-back  the run that was promoted before is promoted again
```
"""

from __future__ import annotations

from flask import Blueprint

from prelabel.server import runs_answers as answers
from prelabel.server import runs_work_forms as forms
from prelabel.server.operations import Operation, operation, read_body
from prelabel.server.runs_access import Runs, Said, said


def stages_blueprint(runs: Runs) -> Blueprint:
    """Blueprint ``stages``."""
    api = Blueprint("stages", __name__, url_prefix="/api/v1")

    @api.post("/runs/<run>/promote")
    @operation(
        Operation(
            "Let people see a run, if a condition holds.",
            body=forms.Promoting,
            answer=answers.PromotionAnswer,
            errors=(400, 404, 503),
        )
    )
    def promote(run: str) -> Said:
        at, found = read_body(forms.Promoting), runs.run(run)
        with runs.report():
            done = found.promote(at.condition, confidence=at.confidence, iou=at.iou, split=at.split)
        return said(answers.PromotionAnswer.model_validate(done))

    @api.post("/runs/<run>/shadow")
    @operation(Operation("Let a run predict without being shown.", answer=answers.ShadowAnswer, errors=(404,)))
    def shadow(run: str) -> Said:
        return said(answers.ShadowAnswer(shadow=runs.run(run).put_in_shadow()))

    @api.post("/runs/<run>/demote")
    @operation(Operation("Make a run a candidate again.", status=204, errors=(404,)))
    def demote(run: str) -> tuple[str, int]:
        runs.run(run).demote()
        return "", 204

    @api.post("/models/<model>/roll-back")
    @operation(
        Operation("Promote the run that was promoted before.", answer=answers.RolledBack, errors=(400, 404, 503))
    )
    def roll_back(model: str) -> Said:
        run, jobs = runs.model(model).roll_back()
        row = runs.client.registry.run(run.id)
        return said(answers.RolledBack(run=answers.RunAnswer.model_validate(row), jobs=list(jobs)))

    return api
