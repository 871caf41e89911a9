"""Errors to JSON answers: status, one sentence, hint; the sentence also as HTTP reason phrase, never a traceback.

The reason phrase matters: it is the only text that Label Studio's *Connect model* dialog shows of an error.
"""

from __future__ import annotations

import html
import json
import logging

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from prelabel.errors import PrelabelError
from prelabel.labeling import reason_phrase

logger = logging.getLogger(__name__)

UNKNOWN = {404: "NotFoundError", 405: "RequestError"}
"""Kinds of errors for a path or a method that is none."""


def answer(status: int, sentence: str, body: dict[str, object]) -> Response:
    """A JSON answer whose status line carries the sentence.

    Label Studio's dialog renders it as HTML and removes tags: ``<Choices>`` is only seen there when it is escaped, and
    letters beyond ASCII, which a status line cannot carry, are seen when they are written as character references.
    """
    phrase = html.escape(reason_phrase(sentence), quote=False).encode("ascii", "xmlcharrefreplace").decode()
    response = Response(json.dumps(body), mimetype="application/json")
    response.status = f"{status} {phrase}"
    return response


def install(app: Flask) -> None:
    """Register the handlers."""

    @app.errorhandler(PrelabelError)
    def ours(error: PrelabelError) -> Response:
        if error.status >= 500:
            logger.error("%s", error, exc_info=error)
        else:
            logger.warning("%s", error)
        said = answer(error.status, str(error), error.as_json() | _kind(error))
        if error.retryable:
            said.headers["Retry-After"] = "5"
        if error.status == 401:
            said.headers["WWW-Authenticate"] = 'Basic realm="prelabel", charset="UTF-8"'
        return said

    @app.errorhandler(HTTPException)
    def werkzeugs(error: HTTPException) -> Response:
        status = error.code or 500
        sentence = error.description or error.name
        if isinstance(error, RequestEntityTooLarge):
            sentence = f"The request is larger than max_request_bytes ({app.config['MAX_CONTENT_LENGTH']})."
        body: dict[str, object] = {"error": sentence}
        if request.path.startswith("/api/v1/") and status in UNKNOWN:
            body |= {"hint": "GET /api/v1/openapi.json lists what there is.", "kind": UNKNOWN[status]}
        said = answer(status, error.name, body)
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                said.headers[name] = value
        return said

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        logger.error("unexpected error", exc_info=error)
        where = {"error": "Internal error; the server's log has the details.", "request_id": g.get("request_id", "")}
        return answer(500, "Internal error", dict(where))


def _kind(error: PrelabelError) -> dict[str, object]:
    """Programs are told which error it is, so that they can raise the same one."""
    return {"kind": type(error).__name__} if request.path.startswith("/api/v1/") else {}
