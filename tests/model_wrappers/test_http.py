"""Any REST service: requests and answers by expressions, single and in batches, headers with secrets, faults."""

from __future__ import annotations

import base64
import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from flask import Flask, Response, request
from PIL import Image

from prelabel import loader
from prelabel.data import DataReader
from prelabel.errors import DeadlineError, ModelError, ModelLoadError, OverloadedError
from prelabel.labeling import parse
from prelabel.model import Audio, Item, ModelWrapper
from prelabel.predictions import make_prediction
from prelabel.predictor.local import LocalPredictor
from prelabel.settings import load_settings
from prelabel.tasks import Facts, Task
from prelabel_wrappers.http_values import as_json

from .servers import served

SENTIMENT = """<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">
<Choice value="Positive"/><Choice value="Negative"/></Choices></View>"""


class Service:
    """A REST service of words: positive is what has "good" in it."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.queries: list[dict[str, str]] = []
        self.replies: list[Response] = []
        self.hold = threading.Event()
        self.hold.set()
        self.url = ""
        self.app = Flask("service")
        self.app.add_url_rule("/score/", view_func=self._one, methods=["POST", "PUT"])
        self.app.add_url_rule("/many", view_func=self._many, methods=["POST"])

    def _heard(self) -> Any:
        self.hold.wait(30)
        body = request.get_json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.queries.append(dict(request.args))
        return body

    def _one(self) -> Any:
        body = self._heard()
        if self.replies:
            return self.replies.pop(0)
        return {"result": {"labels": _scores(str(body))}}

    def _many(self) -> Any:
        texts = self._heard()["inputs"]
        if any("bad" in text for text in texts):
            return Response("one of these is bad", 422)
        return {"results": [{"scores": _scores(text)} for text in texts]}


def _scores(text: str) -> dict[str, float]:
    return {"Positive": 0.9, "Negative": 0.1} if "good" in text else {"Positive": 0.2, "Negative": 0.8}


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    with served(made.app) as url:
        made.url = url
        yield made
        made.hold.set()


@pytest.fixture
def model(service: Service, opened: Callable[..., ModelWrapper]) -> Callable[..., ModelWrapper]:
    return lambda path="/score/", **options: opened("http", {"url": service.url + path, **options})


def item(text: str, **data: Any) -> Item:
    return Item(Task(5, {"text": text, **data}, project=2), parse(SENTIMENT), text, {"text": text})


def test_two_expressions_make_a_model_of_a_service(service: Service, model: Callable[..., ModelWrapper]) -> None:
    wrapper = model(request="{document: value, language: data.lang, id: id}", answer="result.labels")
    found = wrapper.predict([item("a good one", lang="en"), item("dull")])
    assert {"document": "a good one", "language": "en", "id": 5} in service.bodies
    said = [make_prediction(each, parse(SENTIMENT), {"text": Facts(text="x")}, model_version="v") for each in found]
    assert [each.result[0]["value"]["choices"] for each in said] == [["Positive"], ["Negative"]]
    assert [each.score for each in said] == [0.9, 0.8]


def test_a_template_keeps_types_and_writes_text_between_text(
    service: Service, model: Callable[..., ModelWrapper], tmp_path: Path
) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"prompt": "Classify: ${value} (task ${id})", "raw": ["${data.n}", "${data.none}", 1.5, true]}')
    model(request=str(file), answer="result.labels").predict([item("a good one", n=[1, {"a": 2}])])
    assert service.bodies == [{"prompt": "Classify: a good one (task 5)", "raw": [[1, {"a": 2}], None, 1.5, True]}]


def test_labels_of_the_config_reach_services_without_classes_of_their_own(
    service: Service, model: Callable[..., ModelWrapper]
) -> None:
    model(request="{text: value, candidate_labels: labels.sentiment}", answer="result.labels").predict([item("x")])
    assert service.bodies[0]["candidate_labels"] == ["Positive", "Negative"]


def test_many_tasks_go_in_one_request(service: Service, model: Callable[..., ModelWrapper]) -> None:
    wrapper = model("/many", request="{inputs: items[].value}", answer="results[].scores", batch="3")
    found = wrapper.predict([item("good"), item("x"), item("y"), item("good again")])
    assert [max(each, key=lambda label: each[label]) for each in found] == [
        "Positive",
        "Negative",
        "Negative",
        "Positive",
    ]
    assert sorted(len(body["inputs"]) for body in service.bodies) == [1, 3]


def test_of_a_refused_batch_only_the_culprit_fails(service: Service, model: Callable[..., ModelWrapper]) -> None:
    wrapper = model("/many", request="{inputs: items[].value}", answer="results[].scores", batch="4")
    found = wrapper.predict([item("good"), item("bad"), item("x")])
    assert [isinstance(each, ModelError) for each in found] == [False, True, False]
    assert "422: one of these is bad" in str(found[1])


def test_an_answer_of_the_wrong_length_is_told(service: Service, model: Callable[..., ModelWrapper]) -> None:
    wrapper = model("/many", request="{inputs: items[].value}", answer="results[0]", batch="2")
    first, _ = wrapper.predict([item("a"), item("b")])
    assert "makes a dict of the answer" in str(first)


def test_pictures_sounds_and_arrays_go_as_base64_and_lists() -> None:
    with Image.open(io.BytesIO(base64.b64decode(as_json(Image.new("RGB", (3, 2), (9, 8, 7)))))) as image:
        assert (image.size, image.getpixel((0, 0))) == ((3, 2), (9, 8, 7))
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(as_json(Audio(np.zeros((80, 1), np.float32), 8000)))))
    assert (len(samples), rate) == (80, 8000)
    assert as_json({"column": np.array([1.5, 2.5])}) == {"column": [1.5, 2.5]}


def test_addresses_can_go_unread(service: Service, model: Callable[..., ModelWrapper], tmp_path: Path) -> None:
    config = SENTIMENT.replace("<Text ", "<Image ")
    settings = load_settings(data_dir=tmp_path)
    options = {"url": f"{service.url}/score/", "request": "{url: data.text}", "answer": "result.labels", "fetch": "no"}
    predictor = LocalPredictor(loader.load_wrapper("http", options), DataReader(settings), settings)
    try:
        (outcome,) = predictor.predict([Task(1, {"text": "s3://bucket/good.png"})], parse(config))
    finally:
        predictor.close()
    assert service.bodies == [{"url": "s3://bucket/good.png"}]
    assert outcome.prediction is not None
    assert outcome.prediction.result[0]["value"]["choices"] == ["Positive"]


def test_secrets_go_into_headers_and_nowhere_else(
    service: Service,
    model: Callable[..., ModelWrapper],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SERVICE_KEY", "hush-hush-42")
    told = json.dumps({"X-Key": "Key ${SERVICE_KEY}"})
    wrapper = model("/score/?version=2", headers=told, answer="result.labels")
    service.replies = [Response("hush-hush-42 is wrong", 400)]
    (error,) = wrapper.predict([item("x")])
    assert service.headers[0]["X-Key"] == "Key hush-hush-42"
    assert service.queries[0] == {"version": "2"}
    assert "*** is wrong" in str(error)
    assert "hush-hush-42" not in caplog.text + str(error) + repr(vars(wrapper)) + str(wrapper.fingerprint())
    monkeypatch.delenv("SERVICE_KEY")
    with pytest.raises(ModelLoadError, match="SERVICE_KEY is not set"):
        loader.load(wrapper)


def test_a_service_that_stumbles_is_asked_again(service: Service, model: Callable[..., ModelWrapper]) -> None:
    service.replies = [Response("", 503), Response("", 429, {"Retry-After": "0"})]
    assert model(answer="result.labels").predict([item("good")]) == [{"Positive": 0.9, "Negative": 0.1}]
    assert len(service.bodies) == 3


@pytest.mark.parametrize(
    ("reply", "kind", "sentence"),
    [
        (Response("busy", 503), OverloadedError, "answered 503: busy"),
        (Response("Traceback (most recent call last):\n  File x\nKeyError: 'text'", 500), ModelError, "500: KeyError"),
        (Response("<html>nginx</html>", 502, content_type="text/html"), OverloadedError, "answered 502."),
        (Response("fine", 200), ModelError, "not JSON"),
        (Response("", 302, {"Location": "http://elsewhere/"}), ModelError, "Give the address that it leads to"),
    ],
)
def test_errors_are_told_apart_and_no_traceback_is_passed_on(
    service: Service, model: Callable[..., ModelWrapper], reply: Response, kind: type[Exception], sentence: str
) -> None:
    service.replies = [reply]
    (error,) = model(attempts="1").predict([item("x")])
    assert isinstance(error, kind)
    assert sentence in str(error)
    assert "Traceback" not in str(error)


def test_a_service_that_hangs_is_given_up(service: Service, model: Callable[..., ModelWrapper]) -> None:
    service.hold.clear()
    (error,) = model(attempts="1", timeout_s="0.2").predict([item("x")])
    assert isinstance(error, DeadlineError)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"request": "{text: "}, "the option request is no JMESPath expression"),
        ({"answer": "a b"}, "the option answer is no JMESPath expression"),
        ({"request": '{"a": "${value +}"}'}, "no JMESPath expression"),
        ({"request": "none.json"}, "there is no file none.json"),
    ],
)
def test_what_is_no_expression_is_told_when_loading(
    model: Callable[..., ModelWrapper], options: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ModelLoadError, match=sentence):
        model(**options)


def test_an_expression_that_finds_nothing_is_told_once(
    service: Service, model: Callable[..., ModelWrapper], caplog: pytest.LogCaptureFixture
) -> None:
    assert list(model(answer="result.nothing").predict([item("x"), item("y")])) == [None, None]
    told = [record.getMessage() for record in caplog.records if "finds nothing" in record.getMessage()]
    assert len(told) == 1
    assert "'result.nothing' finds nothing in the answer of http://" in told[0]


def test_an_expression_that_fails_on_an_answer_names_itself(
    service: Service, model: Callable[..., ModelWrapper]
) -> None:
    (error,) = model(answer="sum(result)").predict([item("x")])
    assert "the expression 'sum(result)' fails" in str(error)


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(ModelLoadError, match="must begin with http:// or https://"):
        loader.load_wrapper("http", {"url": "localhost:9000"})
