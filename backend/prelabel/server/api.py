"""What programs ask: ``/api/v1/predict`` and ``/api/v1/model``, used by workers beside this server."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from prelabel.errors import OverloadedError, RequestError
from prelabel.labeling import parse
from prelabel.predictor import Priority, answers_clicks_only
from prelabel.predictor.remote import error_json, outcome_json
from prelabel.server.requests import client_gone, json_object, tasks_of

if TYPE_CHECKING:
    from prelabel.predictor import Predictor


def api_blueprint(predictor: Predictor, seats: threading.BoundedSemaphore) -> Blueprint:
    """Blueprint ``api``."""
    api = Blueprint("api", __name__, url_prefix="/api/v1")

    @api.get("/model")
    def model() -> Response:
        error = getattr(predictor, "load_error", None)
        return jsonify(
            {
                "name": predictor.name,
                "model_version": predictor.model_version,
                "ready": predictor.ready,
                "clicks_only": answers_clicks_only(predictor),
                "error": error_json(error) if error is not None else None,
            }
        )

    @api.post("/predict")
    def predict() -> Response:
        body = json_object(request)
        config = body.get("label_config")
        if not isinstance(config, str):
            raise RequestError("'label_config' must be a string.", hint="Send the project's labeling config.")
        tasks, parsed, cancelled = tasks_of(body), parse(config), client_gone(request)
        priority, deadline_s = _priority(body.get("priority", "live")), _deadline(body.get("deadline_s"))
        context = _context(body.get("context"))
        if not seats.acquire(blocking=False):
            raise OverloadedError("too many requests wait for the model.", hint="Ask again in a few seconds.")
        try:
            outcomes = predictor.predict(
                tasks, parsed, priority=priority, deadline_s=deadline_s, context=context, cancelled=cancelled
            )
        finally:
            seats.release()
        said = {
            "model_version": predictor.model_version,
            "outcomes": [outcome_json(outcome) for outcome in outcomes],
        }
        return Response(json.dumps(said, separators=(",", ":"), default=str), mimetype="application/json")

    return api


def _priority(said: Any) -> Priority:
    try:
        return Priority[str(said).upper()]
    except KeyError:
        raise RequestError(f"'priority' is interactive, live or bulk, not {said!r}.") from None


def _deadline(said: Any) -> float | None:
    if said is None:
        return None
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not math.isfinite(said) or said <= 0:
        raise RequestError(f"'deadline_s' must be a positive number of seconds, not {said!r}.")
    return float(said)


def _context(said: Any) -> Mapping[str, Any] | None:
    if said is not None and not isinstance(said, dict):
        raise RequestError("'context' must be an object or null.")
    return said
