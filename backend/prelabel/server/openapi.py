"""``GET /api/v1/openapi.json``: the OpenAPI 3.1 document, made of the app's routes and what stands beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, current_app
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from prelabel.server.operations import Operation, Query, Schema, operation, operation_of

if TYPE_CHECKING:
    from prelabel.settings import Settings

PREFIX = "/api/v1/"
REFERENCE = "#/components/schemas/{model}"
OBJECT: Mapping[str, Any] = {"type": "object"}
JOB: Mapping[str, Any] = {"type": "object", "description": "Id, state, counts, rate and seconds left."}
ERROR: Mapping[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "What failed."},
        "hint": {"type": "string", "description": "What to do about it."},
        "kind": {"type": "string", "description": "Name of the error's class in `prelabel.errors`."},
        "task": {"type": "integer", "description": "Label Studio's task, where one is concerned."},
        "request_id": {"type": "string", "description": "Stands on the log lines of the request."},
    },
}


def _object(required: tuple[str, ...] = (), **properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


class JobsQuery(Query):
    """Which jobs."""

    limit: int = 100


_NUMBER = {"type": "integer"}
_PREDICT = _object(
    ("label_config", "tasks"),
    label_config={"type": "string", "description": "The project's labeling config (XML)."},
    tasks={"type": "array", "items": _object(("id", "data"), id=_NUMBER, data=OBJECT)},
    priority={"enum": ["interactive", "live", "bulk"], "default": "live"},
    deadline_s={"type": ["number", "null"], "exclusiveMinimum": 0},
    context={"type": ["object", "null"]},
)
_OPTIONS = _object(
    only_missing={"type": "boolean"},
    replace={"type": "boolean"},
    tasks={"type": ["array", "null"], "items": _NUMBER},
    view={"type": ["integer", "null"]},
    reuse={"type": "boolean"},
    unlabeled={"type": "boolean"},
)
OPERATIONS: Mapping[str, Operation] = {
    "api.model": Operation(
        "Show the model that this server has.",
        answer=_object(
            name={"type": "string"},
            model_version={"type": "string"},
            ready={"type": "boolean"},
            error={"type": ["object", "null"]},
        ),
        errors=(),
    ),
    "api.predict": Operation(
        "Predict tasks.",
        body=_PREDICT,
        answer=_object(
            model_version={"type": "string"},
            outcomes={"type": "array", "items": OBJECT, "description": "A prediction, an error or {}: unfinished."},
        ),
        errors=(400, 422, 503),
    ),
    "jobs.predict": Operation(
        "Predict a project as a job.",
        body=_OPTIONS,
        body_required=False,
        answer=JOB,
        status=202,
        errors=(400, 404, 503),
    ),
    "jobs.train": Operation("Train a project's model as a job.", answer=JOB, status=202, errors=(404, 501, 503)),
    "jobs.jobs": Operation(
        "List jobs, the newest first.", query=JobsQuery, answer=_object(jobs={"type": "array", "items": JOB})
    ),
    "jobs.failed": Operation(
        "List calls given up for good.", answer=_object(calls={"type": "array", "items": OBJECT}), errors=(503,)
    ),
    "jobs.one": Operation("Show a job.", answer=JOB, errors=(404,)),
    "jobs.cancel": Operation("Cancel a job.", answer=_object(stopped=_NUMBER, job=JOB), errors=(404, 503)),
    "jobs.resume": Operation("Go on with a job.", answer=_object(waiting=_NUMBER, job=JOB), errors=(404, 503)),
    "jobs.retry": Operation("Retry a job or a failed call.", answer=_object(retried=_NUMBER), errors=(404, 503)),
}
"""Endpoints whose modules say nothing of OpenAPI, by Flask's name for them."""


def openapi_blueprint(settings: Settings) -> Blueprint:
    """Blueprint ``openapi``."""
    blueprint = Blueprint("openapi", __name__, url_prefix="/api/v1")

    @blueprint.get("/openapi.json")
    @operation(Operation("This document.", answer=OBJECT, errors=()))
    def openapi() -> dict[str, Any]:
        return document(current_app, settings)

    return blueprint


def document(app: Flask, settings: Settings) -> dict[str, Any]:
    """The document of an app. An endpoint that nobody described is missing."""
    described = list(_described(app))
    schemas = _Schemas([one for _, _, one in described])
    paths: dict[str, dict[str, Any]] = {}
    asked = _security(settings)
    for rule, method, one in sorted(described, key=lambda entry: (entry[0].rule, entry[1])):
        paths.setdefault(_path(rule), {})[method.lower()] = _operation(rule, one, schemas, asked=bool(asked))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "prelabel",
            "version": version("prelabel"),
            "description": "Models, model runs and jobs of a prelabel server.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": asked or [{}],
        "paths": paths,
        "components": {
            "schemas": {"Error": ERROR, **schemas.definitions},
            "responses": {"Error": {"description": "Refused.", "content": _content("application/json", _ref("Error"))}},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "One of PRELABEL_API_KEYS."},
                "password": {"type": "http", "scheme": "basic", "description": "BASIC_AUTH_USER, BASIC_AUTH_PASS."},
            },
        },
    }


def _described(app: Flask) -> Iterator[tuple[Rule, str, Operation]]:
    for rule in app.url_map.iter_rules():
        found = operation_of(app.view_functions[rule.endpoint]) or OPERATIONS.get(rule.endpoint)
        if rule.rule.startswith(PREFIX) and found is not None:
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield rule, method, found


def _security(settings: Settings) -> list[dict[str, list[str]]]:
    """Any one of these is enough; none where the server is open."""
    asked: list[dict[str, list[str]]] = [{"key": []}] if settings.keys else []
    return asked + ([{"password": []}] if settings.basic_auth_pass is not None else [])


class _Schemas:
    """Schemas of all classes that operations name."""

    def __init__(self, operations: list[Operation]) -> None:
        written = {one.answer for one in operations if isinstance(one.answer, type)}
        read = {kind for one in operations for kind in (one.body, one.lines) if isinstance(kind, type)}
        wanted = [(kind, "serialization") for kind in written] + [(kind, "validation") for kind in read]
        self._refs, found = models_json_schema(
            sorted(wanted, key=lambda one: one[0].__name__),  # type: ignore[arg-type]  # the modes are literals
            ref_template=REFERENCE,
        )
        self.definitions: dict[str, Any] = found.get("$defs", {})

    def of(self, schema: Schema, mode: str) -> Mapping[str, Any]:
        if isinstance(schema, type):
            return self._refs[schema, mode]  # type: ignore[index]  # as above
        return schema


def _operation(rule: Rule, one: Operation, schemas: _Schemas, *, asked: bool) -> dict[str, Any]:
    success: dict[str, Any] = {"description": HTTPStatus(one.status).phrase}
    if one.answer is not None:
        success["content"] = _content("application/json", schemas.of(one.answer, "serialization"))
    for media_type in one.files:
        success.setdefault("content", {})[media_type] = {}
    errors = {*one.errors, *((401,) if asked else ())}
    refused = {"$ref": "#/components/responses/Error"}
    said: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "summary": one.summary,
        "tags": [rule.endpoint.partition(".")[0]],
        "parameters": [*_in_path(rule), *(_in_query(one.query) if one.query is not None else ())],
        "responses": {
            str(one.status): success,
            **{str(status): refused for status in sorted(errors)},
            "default": refused,
        },
    }
    if one.body is not None:
        content = _content("application/json", schemas.of(one.body, "validation"))
        said["requestBody"] = {"required": one.body_required, "content": content}
    elif one.lines is not None:
        shape = schemas.of(one.lines, "validation")
        said["requestBody"] = {
            "required": True,
            "description": "One JSON object a line.",
            "content": {"application/x-ndjson": {"schema": {"type": "string", "x-line": shape}}},
        }
    return said


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _in_path(rule: Rule) -> list[dict[str, Any]]:
    kinds = {name: kind for kind, name in re.findall(r"<(?:(\w+):)?(\w+)>", rule.rule)}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "minimum": 0} if kind == "int" else {"type": "string"},
        }
        for name, kind in kinds.items()
    ]


def _in_query(query: type[BaseModel]) -> list[dict[str, Any]]:
    schema = query.model_json_schema()
    required = set(schema.get("required", ()))
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": shape.get("description", ""),
            "schema": {key: value for key, value in shape.items() if key not in ("title", "description")},
        }
        for name, shape in schema.get("properties", {}).items()
    ]


def _content(media_type: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {media_type: {"schema": schema}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=name)}
