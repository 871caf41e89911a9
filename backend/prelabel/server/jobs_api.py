"""Jobs over HTTP: predict a project, look at jobs, cancel, resume and retry them.

```
POST /api/v1/projects/{id}/predict      {"only_missing", "replace", "tasks", "view", "reuse", "unlabeled"} -> 202, job
POST /api/v1/projects/{id}/train        202, the job; the one that is at it where one is
GET  /api/v1/jobs                       {"jobs": [...]}, newest first; ?limit=100
GET  /api/v1/jobs/{id}                  the job (`prelabel.queue.JobView`)
POST /api/v1/jobs/{id}/cancel           {"stopped": tasks, "job": ...}
POST /api/v1/jobs/{id}/resume           {"waiting": tasks, "job": ...}
POST /api/v1/jobs/{id}/retry            {"retried": tasks}; the id of a job or of a failed call
GET  /api/v1/jobs/failed                {"calls": [...]}: RQ's failed registry
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, current_app, request

from prelabel.errors import NotFoundError, RequestError
from prelabel.queue import PredictOptions
from prelabel.server.protocol import training_queue
from prelabel.server.requests import json_object

if TYPE_CHECKING:
    from prelabel.queue import JobQueue
    from prelabel.redis_queue import FailedCall
    from prelabel.runs import Connection, Ledger

MOST_LISTED = 1000


def jobs_blueprint(queue: JobQueue, ledger: Ledger | None) -> Blueprint:
    """The blueprint; ``ledger`` knows the projects (by default the queue's own)."""
    blueprint = Blueprint("jobs", __name__, url_prefix="/api/v1")
    registry = ledger or queue.ledger

    def connected(project: int) -> tuple[Connection, str]:
        predictor = current_app.extensions["prelabel"]["predictor"]
        connection = registry.connection(project, queue.settings.label_studio_url, model=predictor.name)
        if connection is None:
            raise NotFoundError(
                f"project {project} is not connected.",
                hint=f"Connect it in Label Studio (Settings > Model) or with `prelabel connect --project {project}`.",
            )
        return connection, predictor.model_version

    @blueprint.post("/projects/<int:project>/predict")
    def predict(project: int) -> tuple[dict[str, Any], int]:
        options = PredictOptions.from_json(json_object(request) if request.content_length else {})
        connection, version = connected(project)
        job = queue.submit_project(connection, options, version=version, reason="api")
        return queue.job(job).as_json(), 202

    @blueprint.post("/projects/<int:project>/train")
    def train(project: int) -> tuple[dict[str, Any], int]:
        takes = training_queue(current_app.extensions["prelabel"]["predictor"], queue)
        connection, version = connected(project)
        job, _ = takes.submit_training(connection, version=version, reason="api")
        return queue.job(job).as_json(), 202

    @blueprint.get("/jobs")
    def jobs() -> dict[str, Any]:
        limit = request.args.get("limit", default=100, type=int)
        if not 1 <= limit <= MOST_LISTED:
            raise RequestError(f"limit must be 1 to {MOST_LISTED}, got {limit}.")
        return {"jobs": [view.as_json() for view in queue.jobs(limit)]}

    @blueprint.get("/jobs/failed")
    def failed() -> dict[str, Any]:
        return {"calls": [_call_json(call) for call in queue.failed()]}

    @blueprint.get("/jobs/<job>")
    def one(job: str) -> dict[str, Any]:
        return queue.job(job).as_json()

    @blueprint.post("/jobs/<job>/cancel")
    def cancel(job: str) -> dict[str, Any]:
        return {"stopped": queue.cancel(job), "job": queue.job(job).as_json()}

    @blueprint.post("/jobs/<job>/resume")
    def resume(job: str) -> dict[str, Any]:
        return {"waiting": queue.resume(job), "job": queue.job(job).as_json()}

    @blueprint.post("/jobs/<job>/retry")
    def retry(job: str) -> dict[str, Any]:
        return {"retried": queue.retry(job)}

    return blueprint


def _call_json(call: FailedCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "queue": call.queue,
        "function": call.function,
        "args": list(call.args),
        "job": call.job,
        "error": call.error,
        "ended": call.ended_at.timestamp() if call.ended_at else None,
    }
