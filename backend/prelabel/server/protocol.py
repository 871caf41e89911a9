"""What Label Studio asks of an ML backend; each endpoint behaves as recordings of Label Studio 1.23.2 need it.

None of them but ``/predict`` touches the model: Label Studio allows 1 s for ``/health`` and webhooks and 3 s for
``/setup``, and asks for health and setup at every page that shows the backend.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from prelabel.errors import LabelingConfigError, NotFoundError, PrelabelError, RequestError
from prelabel.labeling import parse
from prelabel.predictor import answers_clicks_only
from prelabel.queue import PredictOptions
from prelabel.server import errors
from prelabel.server.annotated import new_annotations
from prelabel.server.connections import project_key
from prelabel.server.requests import client_gone, json_object, project_id, readable_task

if TYPE_CHECKING:
    from prelabel.predictor import Predictor
    from prelabel.queue import JobQueue
    from prelabel.runs import Connection, Ledger
    from prelabel.server.connections import Connections
    from prelabel.server.live import Live
    from prelabel.server.metrics import Metrics
    from prelabel.server.shown import Shown
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

LEARNT_FROM = (
    "ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATION_DELETED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED",
)  # fmt: skip
"""Label Studio's events about annotations."""
JOB_STATUS = {
    "queued": "queued", "running": "started", "done": "finished", "failed": "failed", "cancelled": "canceled",
}  # fmt: skip
"""States of jobs as Label Studio calls them, which are RQ's names: ``queued`` and ``started`` are at it."""


class NotTrainableError(PrelabelError):
    """Training was asked for, and there is none."""

    status = 501


def protocol_blueprint(
    *,
    settings: Settings,
    predictor: Predictor,
    connections: Connections,
    live: Live,
    seats: threading.BoundedSemaphore,
    metrics: Metrics,
    shown: Shown,
    ledger: Ledger | None,
    queue: JobQueue | None,
) -> Blueprint:
    """Blueprint ``protocol``."""
    protocol = Blueprint("protocol", __name__)
    webhooks = _Webhooks(settings, connections, predictor, shown, ledger=ledger, queue=queue)
    fits = _Fits(predictor)

    _add_probes(protocol, predictor, metrics)

    @protocol.post("/setup")
    def setup() -> Response:
        body = json_object(request)
        schema = body.get("schema")
        if not isinstance(schema, str):
            raise RequestError("'schema' must be a string.", hint="Send the project's labeling config.")
        connection = connections.remember(
            body.get("project"),
            schema,
            hostname=str(body.get("hostname") or ""),
            token=str(body.get("access_token") or ""),
            extra_params=body.get("extra_params"),
        )
        load_error: PrelabelError | None = getattr(predictor, "load_error", None)
        if load_error is not None:
            raise load_error
        fits.check(schema, connection.project if connection is not None else None)
        if connection is not None:
            connections.look_after(connection, request.host_url.rstrip("/"))
        return jsonify({"model_version": shown.version})

    @protocol.post("/validate")
    def validate() -> Response:
        body = json_object(request)
        schema = body.get("config", body.get("label_config"))
        if not isinstance(schema, str):
            raise RequestError("'config' must be a string.", hint="Send a labeling config.")
        try:
            report = predictor.fit_report(parse(schema))
        except LabelingConfigError as error:
            return errors.answer(422, str(error), {"ok": False, "refusal": str(error), "dropped": []})
        said = {"ok": report.ok, "refusal": report.refusal, "dropped": list(report.dropped)}
        return jsonify(said) if report.ok else errors.answer(422, report.refusal, said)

    @protocol.post("/predict")
    def predict() -> Response:
        body = json_object(request)
        seated = seats.acquire(blocking=False)
        try:
            said = live.answer(body, client_gone(request)) if seated else live.put_off(body)
        finally:
            if seated:
                seats.release()
        return Response(said, mimetype="application/json")

    @protocol.get("/versions")
    def versions() -> Response:
        found = list(dict.fromkeys([shown.version, predictor.model_version]))
        if ledger is not None:
            found += [version for version in ledger.versions(predictor.name) if version not in found]
        return jsonify({"versions": found})

    @protocol.post("/webhook")
    def webhook() -> Response:
        return jsonify(webhooks.take(json_object(request)))

    @protocol.post("/train")
    def train() -> Response:
        asked = json_object(request).get("project")
        return jsonify(webhooks.train(asked if isinstance(asked, dict) else {"id": project_id(asked)}, "train"))

    @protocol.post("/job_status")
    def job_status() -> Response:
        return _job_status(queue, json_object(request).get("job"))

    @protocol.post("/delete")
    def delete() -> Response:
        connections.forget(json_object(request).get("project"))
        return jsonify({"status": "forgotten"})

    @protocol.post("/duplicate_model")
    def duplicate_model() -> Response:
        return jsonify({"status": "nothing to do", "detail": "All projects share this backend's one model."})

    return protocol


def _add_probes(protocol: Blueprint, predictor: Predictor, metrics: Metrics) -> None:
    @protocol.get("/health", endpoint="health")
    @protocol.get("/", endpoint="root")
    def health() -> Response:
        return jsonify({"status": "UP", "model_class": predictor.name})

    @protocol.get("/ready")
    def ready() -> Response:
        error = getattr(predictor, "load_error", None)
        response = jsonify({"ready": predictor.ready, "error": str(error) if error is not None else None})
        response.status_code = 200 if predictor.ready else 503
        return response

    @protocol.get("/metrics", endpoint="metrics")
    def exposition() -> Response:
        return Response(metrics.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _job_status(queue: JobQueue | None, job: Any) -> Response:
    if queue is None or not isinstance(job, str):
        raise NotFoundError("there is no such job.")
    try:
        view = queue.job(job)
    except NotFoundError as error:  # Label Studio takes this status for a job that was removed
        return errors.answer(410, str(error), error.as_json())
    said = {"job_status": JOB_STATUS[view.state], "error": view.error or None, "phase": view.phase or None}
    return jsonify(said | {"total": view.total, "done": view.done, "model_version": view.options.get("version")})


def training_queue(predictor: Predictor, queue: JobQueue | None) -> JobQueue:
    """The queue that takes trainings of the model.

    Raises:
        NotTrainableError: the model has no ``fit`` or no ``save``, or there is no queue.
    """
    if not getattr(predictor, "trainable", False):
        raise NotTrainableError(
            f"{predictor.name} cannot be trained: it lacks `fit` or `save`.", hint="docs/training.md says what they do."
        )
    if queue is None:
        raise NotTrainableError("training needs a queue, and this server has none.", hint="Use `prelabel up`.")
    return queue


class _Fits:
    """Whether the model fits a project's labeling config; what will be dropped is told once per project and config."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._told: dict[int | None, tuple[str, tuple[str, ...]]] = {}

    def check(self, schema: str, project: int | None) -> None:
        """Raises LabelingConfigError where nothing fits."""
        config = parse(schema)
        report = self._predictor.fit_report(config)
        if not report.ok:
            raise LabelingConfigError(report.refusal)
        told = (config.hash, report.dropped)
        if self._told.get(project) != told:
            self._told[project] = told
            if report.dropped:
                logger.warning("project %s: will be dropped: %s", project, " ".join(report.dropped))


class _Webhooks:
    """Label Studio's events: persisted or acknowledged, in milliseconds; it gives up after 1 s and never retries."""

    def __init__(
        self,
        settings: Settings,
        connections: Connections,
        predictor: Predictor,
        shown: Shown,
        *,
        ledger: Ledger | None,
        queue: JobQueue | None,
    ) -> None:
        self._settings = settings
        self._connections = connections
        self._ledger = ledger
        self._queue = queue
        self._predictor = predictor
        self._shown = shown

    def take(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Act on one event and say what was done."""
        action = body.get("action")
        project = body.get("project")
        if not isinstance(action, str):
            raise RequestError("'action' is missing.", hint="This endpoint takes Label Studio's webhooks.")
        if action == "START_TRAINING":
            return self.train(project, "start training")
        if action in LEARNT_FROM:
            return self._annotated(action, body)
        if not isinstance(project, dict) or project_id(project.get("id")) is None:
            return {"status": "ignored", "detail": "the event names no project"}
        if action == "TASKS_CREATED":
            return self._tasks_created(project, body.get("tasks"))
        if action == "TASKS_DELETED":
            return self._tasks_deleted(project, body.get("tasks"))
        if action == "PROJECT_UPDATED":
            self._remember(project)
        return {"status": "ok"}

    def train(self, project: Any, reason: str) -> dict[str, Any]:
        """Queue the training of a project's model.

        Raises:
            NotTrainableError: the model has no ``fit`` or no ``save``, or there is no queue.
            RequestError: the project is not named, or was never connected.
        """
        if isinstance(project, dict):
            if "label_config" not in project and (known := self._connections.find(project_key(project))) is not None:
                project = {**project, "label_config": known.label_config}
            learning = self._learn("START_TRAINING", {"project": project})
            if learning is not None:
                return learning
        queue = training_queue(self._predictor, self._queue)
        if not isinstance(project, dict) or project_id(project.get("id")) is None:
            raise RequestError("the request names no project.", hint='Send {"project": {"id": 1}}.')
        connection = self._remember(project)
        if connection is None or not connection.instance:
            raise RequestError("this project was never connected here.", hint="Connect the model to it first.")
        job, new = queue.submit_training(connection, version=self._predictor.model_version, reason=reason)
        return {"status": "ok", "job": job} | ({} if new else {"detail": "this training is at it already"})

    def _annotated(self, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Count an annotation; enough of them begin a training."""
        learning = self._learn(action, body)
        if learning is not None:
            return learning
        project, after = body.get("project"), self._settings.train_after
        count = new_annotations(action, body)
        if not count or not after or self._queue is None or self._ledger is None:
            return {"status": "ok"}
        if not isinstance(project, dict) or not getattr(self._predictor, "trainable", False):
            return {"status": "ok"}
        connection = self._remember(project)
        if connection is None or not connection.instance:
            return {"status": "ok"}
        if self._ledger.annotated(connection, count) < after:
            return {"status": "ok"}
        version = self._predictor.model_version
        job, _ = self._queue.submit_training(connection, version=version, reason=f"{after} annotations")
        return {"status": "ok", "job": job}

    def _learn(self, action: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Keep an event for a model of `label_studio_ml`, which learns from it after the answer (`lsml.learning`).

        None: the model is another one.
        """
        learns_from = getattr(getattr(self._predictor, "wrapper", None), "learns_from", None)
        if learns_from is None:
            return None
        if action not in learns_from or self._ledger is None:
            return {"status": "ignored", "detail": "the model does not learn from it"}
        project = body.get("project")
        number = project.get("id", "") if isinstance(project, dict) else ""
        kept = {name: value for name, value in body.items() if name != "action"}
        self._ledger.hear(self._predictor.name, str(number), action, kept)
        return {"status": "ok", "detail": "the model learns from it"}

    def _remember(self, project: Mapping[str, Any]) -> Connection | None:
        config = project.get("label_config")
        return self._connections.remember(project_key(project), config if isinstance(config, str) else "")

    def _tasks_created(self, project: Mapping[str, Any], raw: Any) -> dict[str, Any]:
        if answers_clicks_only(self._predictor):
            silent = "this model says nothing of tasks before somebody clicks, or before it learnt"
            return {"status": "ignored", "detail": silent}
        if self._queue is None or not self._settings.auto_predict:
            return {"status": "ignored", "detail": "imported tasks are not predicted by themselves here"}
        if not isinstance(raw, list):
            raise RequestError("'tasks' must be a list.")
        connection = self._remember(project)
        if connection is None or not connection.instance:
            return {"status": "ignored", "detail": "this project was never connected here"}
        tasks = [task for task in map(readable_task, raw) if task is not None and task.id is not None]
        brought = {one["id"] for one in raw if isinstance(one, dict) and one.get("total_predictions")}
        new = [task for task in tasks if task.id not in brought]
        ids = tuple(task.id for task in tasks if task.id is not None and task.id in brought)
        jobs = []
        for version in dict.fromkeys([self._shown.version, self._predictor.model_version]):
            if new or not ids:
                jobs.append(self._queue.submit_tasks(connection, new, version=version, reason="import"))
            if ids:  # they were imported with predictions: Label Studio knows which of them lack ours
                lacking = PredictOptions(only_missing=True, tasks=ids)
                jobs.append(self._queue.submit_project(connection, lacking, version=version, reason="import"))
        logger.info("project %d: %d imported tasks queued as job %s", connection.project, len(tasks), ", ".join(jobs))
        return {"status": "ok", "job": jobs[0]}

    def _tasks_deleted(self, project: Mapping[str, Any], raw: Any) -> dict[str, Any]:
        connection = self._connections.find(project_key(project))
        if self._ledger is None or connection is None or not isinstance(raw, list):
            return {"status": "ok"}
        ids = [one["id"] for one in raw if isinstance(one, dict) and isinstance(one.get("id"), int)]
        return {"status": "ok", "forgotten": self._ledger.forget_tasks(connection, ids)}
