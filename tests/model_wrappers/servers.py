"""Servers on loopback that tests script: what wrappers reach over HTTP, answering as they are told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, request
from werkzeug.serving import make_server


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """An application on a free port of loopback; its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


Reply = Callable[[dict[str, Any]], Any]


def said(answer: Any, *, finish: str = "stop", usage: tuple[int, int] = (100, 10), **message: Any) -> dict[str, Any]:
    """A chat completion with this answer: a text, or what is written as JSON."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return {
        "object": "chat.completion",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
        ],
        "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }


class FakeOpenAI:
    """A language model's server: ``replies`` are used up one a request, then ``otherwise`` answers.

    A reply is a completion (see `said`), a Flask response, or a function of the request's body that returns one.
    """

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.replies: list[Any] = []
        self.otherwise: Any = said({"sentiment": "Positive"})
        self.models_status = 200
        self.url = ""
        self._lock = threading.Lock()
        self.app = Flask("fake openai")
        self.app.add_url_rule("/v1/models", view_func=self._models)
        self.app.add_url_rule("/v1/chat/completions", view_func=self._complete, methods=["POST"])

    def _models(self) -> Response:
        return Response("{}", self.models_status, content_type="application/json")

    def _complete(self) -> Any:
        body = request.get_json()
        with self._lock:
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
            reply = self.replies.pop(0) if self.replies else self.otherwise
        return reply(body) if callable(reply) and not isinstance(reply, Response) else reply

    def texts(self) -> list[str]:
        """What each request's last message says."""
        return [str(body["messages"][-1]["content"]) for body in self.bodies]


def refused(status: int, message: str, **headers: str) -> Response:
    """An error as OpenAI words it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(json.dumps({"error": {"message": message}}), status, named, content_type="application/json")
