"""`create_app`: blueprints, authentication, errors, request ids and metrics put together."""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request

from prelabel.log import request_id
from prelabel.server import errors
from prelabel.server.api import api_blueprint
from prelabel.server.auth import require_credentials
from prelabel.server.connections import Connections, LabelStudioFactory
from prelabel.server.live import Live
from prelabel.server.metrics import Metrics
from prelabel.server.openapi import openapi_blueprint
from prelabel.server.protocol import protocol_blueprint
from prelabel.server.shown import Shown

if TYPE_CHECKING:
    from prelabel.predictor import Predictor
    from prelabel.queue import JobQueue
    from prelabel.runs.ledger import Ledger
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    predictor: Predictor,
    *,
    ledger: Ledger | None = None,
    queue: JobQueue | None = None,
    label_studio: LabelStudioFactory | None = None,
) -> Flask:
    """The application around one predictor.

    Args:
        settings: read once, by the caller.
        predictor: owns or reaches the model.
        ledger: remembers connections, answers and failures; without it every answer stands alone.
        queue: takes what ``/predict`` does not answer itself, and imported tasks; without it there are none.
        label_studio: makes a client for a connection (None where no token is known); without it the webhook gets no
            header and tokens are not tried.

    Raises:
        SettingsError: another model has the same version in this ledger.
    """
    app = Flask("prelabel", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]  # a setting of Flask's default provider
    metrics = Metrics(predictor)
    if ledger is not None:
        standing = ledger.enter(predictor.model_version, predictor.name, shadow=settings.shadow)
        if standing.hidden:
            logger.warning("%s", standing.sentence)
    shown = Shown(predictor, ledger)
    connections = Connections(predictor.name, settings, ledger, label_studio)
    live = Live(settings, predictor, connections, metrics, shown, ledger=ledger, queue=queue)
    seats = threading.BoundedSemaphore(settings.threads)
    app.extensions["prelabel"] = {
        "settings": settings,
        "predictor": predictor,
        "ledger": ledger,
        "queue": queue,
        "metrics": metrics,
        "connections": connections,
    }
    app.register_blueprint(
        protocol_blueprint(
            settings=settings,
            predictor=predictor,
            connections=connections,
            live=live,
            seats=seats,
            metrics=metrics,
            shown=shown,
            ledger=ledger,
            queue=queue,
        )
    )
    app.register_blueprint(api_blueprint(predictor, seats))
    app.register_blueprint(openapi_blueprint(settings))
    _register_jobs_api(app, queue, ledger)
    _register_runs_api(app, settings, ledger)
    errors.install(app)
    require_credentials(app, settings)
    _watch_requests(app, metrics)
    return app


def _register_jobs_api(app: Flask, queue: JobQueue | None, ledger: Ledger | None) -> None:
    if queue is None:
        return
    from prelabel.server.jobs_api import jobs_blueprint  # noqa: PLC0415 (only where there is a queue)

    app.register_blueprint(jobs_blueprint(queue, ledger))


def _register_runs_api(app: Flask, settings: Settings, ledger: Ledger | None) -> None:
    if ledger is None:
        return
    from prelabel.server.models_api import models_blueprint  # noqa: PLC0415 (only where there is a ledger)
    from prelabel.server.runs_access import Runs  # noqa: PLC0415
    from prelabel.server.runs_api import runs_blueprint  # noqa: PLC0415
    from prelabel.server.runs_files_api import files_blueprint  # noqa: PLC0415
    from prelabel.server.runs_imports_api import imports_blueprint  # noqa: PLC0415
    from prelabel.server.runs_reports_api import reports_blueprint  # noqa: PLC0415
    from prelabel.server.runs_selecting_api import selecting_blueprint  # noqa: PLC0415
    from prelabel.server.runs_stages_api import stages_blueprint  # noqa: PLC0415
    from prelabel.server.runs_work_api import work_blueprint  # noqa: PLC0415

    runs = Runs(settings, ledger)
    app.extensions["prelabel"]["runs"] = runs
    for blueprint in (
        models_blueprint, runs_blueprint, imports_blueprint, reports_blueprint, files_blueprint, stages_blueprint,
        work_blueprint, selecting_blueprint,
    ):  # fmt: skip
        app.register_blueprint(blueprint(runs))


def _watch_requests(app: Flask, metrics: Metrics) -> None:
    """A request id on every log line and answer, one log line and one observation per request."""
    prefix, numbers = secrets.token_hex(3), itertools.count(1)

    def begin() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if 0 < len(given) <= 64 and given.isascii() else f"{prefix}-{next(numbers)}"
        g.started = time.perf_counter()
        request_id.set(g.request_id)

    def end(response: Response) -> Response:
        started: float = g.get("started", time.perf_counter())
        seconds = time.perf_counter() - started
        endpoint = request.endpoint or "unknown"
        metrics.request(endpoint.rpartition(".")[2], response.status_code, seconds)
        response.headers["X-Request-Id"] = g.get("request_id", "")
        level = logging.DEBUG if response.status_code < 400 else logging.INFO
        if logger.isEnabledFor(level):
            logger.log(level, "%s %s %d %.1f ms", request.method, request.path, response.status_code, 1000 * seconds)
        return response

    def forget(_error: BaseException | None) -> None:
        request_id.set("")

    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request(end)
    app.teardown_request(forget)
