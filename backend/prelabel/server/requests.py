"""Reading requests: JSON bodies, tasks, project keys, and whether the client is still there."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from flask import Request

from prelabel.errors import RequestError, TaskError
from prelabel.tasks import Task

logger = logging.getLogger(__name__)

CLIENT_GONE = "prelabel.client_gone"
"""Key of the WSGI environment under which `prelabel.server.serving` puts a function: has the client hung up?"""


def json_object(request: Request) -> dict[str, Any]:
    """The request's body.

    Raises:
        RequestError: it is not a JSON object.
    """
    raw = request.get_data(cache=False)
    try:
        body = json.loads(raw)
    except RecursionError:
        raise RequestError("the body's JSON is nested too deeply.") from None
    except ValueError as error:
        raise RequestError(f"the body is not JSON: {error}.", hint="Send Content-Type: application/json.") from error
    if not isinstance(body, dict):
        raise RequestError(f"the body must be a JSON object, got {type(body).__name__}.")
    return body


def tasks_of(body: Mapping[str, Any]) -> list[Task]:
    """The request's tasks.

    Raises:
        RequestError: ``tasks`` is not a list.
        TaskError: one of them is no task.
    """
    return [Task.from_json(raw) for raw in raw_tasks(body)]


def raw_tasks(body: Mapping[str, Any]) -> list[Any]:
    """The request's tasks as they came."""
    tasks = body.get("tasks")
    if not isinstance(tasks, list):
        raise RequestError(
            "'tasks' must be a list.", hint='Send {"tasks": [{"id": 1, "data": {...}}], "label_config": "<View>..."}.'
        )
    return tasks


def readable_task(raw: Any) -> Task | None:
    """The task, or None (and a log line) where Label Studio's JSON is none: the others go on."""
    try:
        return Task.from_json(raw)
    except TaskError as error:
        logger.warning("%s", error)
        return None


def client_gone(request: Request) -> Callable[[], bool] | None:
    """A function that says whether the client has hung up; None where the WSGI server cannot tell."""
    found: Callable[[], bool] | None = request.environ.get(CLIENT_GONE)
    return found


def project_id(key: Any) -> int | None:
    """The project's id from what Label Studio sends: ``"4.1795321939"`` (id, moment of creation), or a number."""
    if isinstance(key, bool):
        return None
    if isinstance(key, int):
        return key
    if isinstance(key, str):
        head = key.partition(".")[0]
        return int(head) if head.isdecimal() else None
    return None
