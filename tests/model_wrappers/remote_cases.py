"""Cases of the contract suite for wrappers that reach other servers or other wrappers."""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache
from typing import Any

import numpy as np
from flask import Flask, request

from prelabel.labeling import parse
from prelabel.model import Item
from prelabel.tasks import Task

from .cases import DIGIT, DIGITS, FEELING, TEXTS, Bench, Case
from .servers import FakeOpenAI, said, served

_CHEERFUL = ("love", "great", "Brilliant", "fantastic", "Superb", "joy", "best", "Charming", "happy", "excellent")
EXPECTED = {0: ["Positive"], 19: ["Negative"]}


@cache
def standing(make: Callable[[], Flask]) -> str:
    """The address of a server that stays until the tests are over."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(served(make()))


def _feeling(text: str) -> str:
    return "Positive" if any(word in text for word in _CHEERFUL) else "Negative"


def _service() -> Flask:
    app = Flask("feelings")

    @app.post("/")
    def feelings() -> Any:
        return {"results": [{"label": _feeling(text), "score": 0.9} for text in request.get_json()["texts"]]}

    return app


def _language_model() -> Flask:
    fake = FakeOpenAI()
    fake.otherwise = lambda body: said({"c": _feeling(str(body["messages"][-1]["content"]))})
    return fake.app


def _model_server() -> Flask:
    """Digits by the protocol, in JSON; its model is trained here."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    digits = load_digits()
    trained = LogisticRegression(max_iter=500).fit(digits.data[:500], digits.target[:500])
    app = Flask("digits")
    told = {"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}
    scores = {"name": "scores", "datatype": "FP64", "shape": [-1, 10], "parameters": {"names": DIGITS}}
    app.add_url_rule("/v2", "server", lambda: {"name": "digits", "extensions": []})
    app.add_url_rule("/v2/models/digits", "model", lambda: {"inputs": [told], "outputs": [scores]})
    app.add_url_rule("/v2/models/digits/ready", "ready", dict)

    @app.post("/v2/models/digits/infer")
    def infer() -> Any:
        (given,) = request.get_json()["inputs"]
        found = trained.predict_proba(np.array(given["data"]).reshape(given["shape"]))
        return {"outputs": [{**scores, "shape": list(found.shape), "data": found.ravel().tolist()}]}

    return app


def _items(config: str) -> list[Item]:
    parsed = parse(config)
    return [Item(Task(at, {"text": text}), parsed, text, {"x": text}) for at, text in enumerate(TEXTS)]


def _openai(bench: Bench) -> Case:
    options = {"url": f"{standing(_language_model)}/v1", "model": "tiny"}
    return Case("openai", _items(FEELING), FEELING, EXPECTED, options, other={"instructions": "Be strict."})


def _http(bench: Bench) -> Case:
    options = {
        "url": standing(_service),
        "request": "{texts: items[].value}",
        "answer": "results",
        "batch": "8",
        "labels": "Positive,Negative",
    }
    return Case("http", _items(FEELING), FEELING, EXPECTED, options, "jmespath", "http", {"batch": "2"})


def _inference_protocol(bench: Bench) -> Case:
    options = {"url": standing(_model_server), "model": "digits", "columns": "pixels", "wait_s": "0"}
    expected = {3: ["3"], 9: ["9"]}
    return Case("inference_protocol", bench.tasks, DIGIT, expected, options, other={"says": "class"})


def _ensemble(bench: Bench) -> Case:
    members = {
        "sure": {"model": "sklearn", "options": {"model": str(bench.models / "texts.joblib")}, "weight": 2},
        "margins": {"model": "sklearn", "options": {"model": str(bench.models / "margins.joblib")}},
    }
    return Case(
        "ensemble", _items(FEELING), FEELING, EXPECTED, {"members": json.dumps(members)}, other={"together": "vote"}
    )


REMOTE: Mapping[str, Callable[[Bench], Case]] = {
    "openai": _openai,
    "http": _http,
    "inference_protocol": _inference_protocol,
    "ensemble": _ensemble,
}
