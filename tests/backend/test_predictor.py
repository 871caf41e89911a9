"""The local predictor around a real wrapper, data reader and labeling config; the remote one around a real server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from prelabel import labeling
from prelabel.data import DataReader
from prelabel.errors import (
    AuthError,
    CancelledError,
    DataError,
    DataUnavailableError,
    LabelStudioError,
    ModelError,
    ModelLoadError,
    ModelNotReadyError,
    OutputError,
    OverloadedError,
    PrelabelError,
    RequestError,
    TaskError,
)
from prelabel.model import InputKind, Item, ModelWrapper
from prelabel.outputs import Choice
from prelabel.predictions import Prediction
from prelabel.predictor import Outcome, Priority
from prelabel.predictor.local import LocalPredictor
from prelabel.predictor.remote import RemotePredictor, error_from_json, error_json, outcome_json
from prelabel.server import create_app
from prelabel.settings import load_settings
from prelabel.tasks import Task

SENTIMENT = labeling.parse(
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
BOXES = labeling.parse(
    '<View><Image name="image" value="$image"/>'
    '<Choices name="kind" toName="image"><Choice value="10x20"/></Choices></View>'
)


class Sentiment(ModelWrapper):
    """Positive where the text is good."""

    name = "sentiment"
    input = InputKind.TEXT
    outputs = (Choice,)
    labels = ("Positive", "Negative")

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.unloaded = False

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        self.batches.append(list(batch))
        assert self.hold.wait(10)
        if any("explode" in text for text in batch):
            raise ValueError("boom")
        return ["nonsense" if "odd" in text else "Positive" if "good" in text else "Negative" for text in batch]

    def unload(self) -> None:
        self.unloaded = True


Start = Callable[..., LocalPredictor]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Makes local predictors that are closed when the test ends."""
    with ExitStack() as stack:

        def make(wrapper: ModelWrapper, **options: Any) -> LocalPredictor:
            settings = load_settings(**{"data_dir": tmp_path, "drain_s": 1.0, "local_files_root": tmp_path, **options})
            reader = DataReader(settings)
            predictor = LocalPredictor(wrapper, reader, settings)
            stack.callback(reader.close)
            stack.callback(predictor.close)
            return predictor

        yield make


def tasks(*texts: str) -> list[Task]:
    return [Task(id=number, data={"text": text}, project=1) for number, text in enumerate(texts, 1)]


def said(outcomes: Sequence[Outcome]) -> list[str]:
    """The choice of each prediction, or the kind of error, or 'unfinished'."""
    return [
        outcome.prediction.result[0]["value"]["choices"][0]
        if outcome.prediction is not None
        else type(outcome.error).__name__
        if outcome.error is not None
        else "unfinished"
        for outcome in outcomes
    ]


def test_each_task_gets_its_prediction_in_order(start: Start) -> None:
    predictor = start(Sentiment())
    outcomes = predictor.predict(tasks("good", "bad", "very good"), SENTIMENT)
    assert said(outcomes) == ["Positive", "Negative", "Positive"]
    prediction = outcomes[0].prediction
    assert prediction is not None
    assert prediction.model_version == predictor.model_version
    assert prediction.result[0]["from_name"] == "sentiment"


def test_the_model_version_is_known_before_the_model_is_loaded(start: Start) -> None:
    class Slow(Sentiment):
        def load(self) -> None:
            assert self.hold.wait(10)

    wrapper = Slow()
    wrapper.hold.clear()
    predictor = start(wrapper)
    assert predictor.model_version.startswith("sentiment-")
    assert predictor.fit_report(SENTIMENT).ok
    assert not predictor.ready
    assert said(predictor.predict(tasks("good"), SENTIMENT, deadline_s=0.02)) == ["unfinished"]
    wrapper.hold.set()
    assert predictor.wait_ready(60)
    assert said(predictor.predict(tasks("good"), SENTIMENT)) == ["Positive"]


def test_a_request_that_comes_while_the_model_loads_waits_for_it(start: Start) -> None:
    class Slow(Sentiment):
        def load(self) -> None:
            time.sleep(0.1)

    assert said(start(Slow()).predict(tasks("good"), SENTIMENT, deadline_s=10)) == ["Positive"]


def test_a_model_that_cannot_be_loaded_is_an_error_of_the_whole_call(start: Start) -> None:
    class Broken(Sentiment):
        def load(self) -> None:
            raise OSError("no weights")

    predictor = start(Broken())
    assert not predictor.wait_ready(60)
    with pytest.raises(ModelLoadError, match="no weights"):
        predictor.predict(tasks("good"), SENTIMENT)
    assert predictor.load_error is not None


def test_errors_name_their_task_and_leave_the_others_alone(start: Start) -> None:
    outcomes = start(Sentiment()).predict(
        [*tasks("good", "explode"), Task(id=3, data={"title": "no text"}), *[Task(id=4, data={"text": "bad"})]],
        SENTIMENT,
    )
    assert said(outcomes) == ["Positive", "ModelError", "TaskError", "Negative"]
    assert [outcome.error.task if outcome.error else None for outcome in outcomes] == [None, 2, 3, None]
    assert isinstance(outcomes[1].error, ModelError)
    assert isinstance(outcomes[2].error, TaskError)
    assert "boom" in str(outcomes[1].error)


def test_an_output_that_means_nothing_fails_or_is_dropped_for_its_task_alone(start: Start) -> None:
    outcomes = start(Sentiment()).predict(tasks("odd", "good"), SENTIMENT)
    assert said(outcomes[1:]) == ["Positive"]
    first = outcomes[0]
    assert isinstance(first.error, OutputError) or (first.prediction is not None and first.prediction.dropped)


def test_what_is_unfinished_at_the_deadline_is_neither_prediction_nor_error(start: Start) -> None:
    wrapper = Sentiment()
    predictor = start(wrapper, max_batch_size=1)
    assert predictor.wait_ready(60)
    wrapper.hold.clear()
    outcomes = predictor.predict(tasks("good", "bad"), SENTIMENT, deadline_s=0.05)
    wrapper.hold.set()
    assert said(outcomes) == ["unfinished", "unfinished"]


def test_a_request_whose_client_has_gone_is_cancelled(start: Start) -> None:
    wrapper = Sentiment()
    outcomes = start(wrapper).predict(tasks("good"), SENTIMENT, cancelled=lambda: True)
    assert isinstance(outcomes[0].error, CancelledError)
    assert wrapper.batches == []


def test_inline_text_is_read_in_the_callers_thread(start: Start) -> None:
    predictor = start(Sentiment())
    assert predictor.wait_ready(60)
    before = set(threading.enumerate())
    predictor.predict(tasks("good"), SENTIMENT)
    assert {thread.name for thread in set(threading.enumerate()) - before} == set()


def test_many_tasks_are_predicted_in_full_batches_and_in_order(start: Start) -> None:
    wrapper = Sentiment()
    predictor = start(wrapper, max_batch_size=8)
    assert predictor.wait_ready(60)
    texts = ["good" if number % 3 else "bad" for number in range(100)]
    outcomes = predictor.predict(tasks(*texts), SENTIMENT, priority=Priority.BULK)
    assert said(outcomes) == ["Positive" if text == "good" else "Negative" for text in texts]
    assert max(map(len, wrapper.batches)) == 8
    assert len(wrapper.batches) < 25


class Sizes(ModelWrapper):
    """Says how large an image is."""

    name = "sizes"
    input = InputKind.IMAGE
    seen = 0

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        self.seen = max(self.seen, len(batch))
        return [f"{image.width}x{image.height}" for image in batch]


def test_images_are_read_by_threads_and_a_missing_one_costs_only_itself(start: Start, tmp_path: Path) -> None:
    Image.new("RGB", (10, 20)).save(tmp_path / "a.png")
    address = "/data/local-files/?d=a.png"
    images = [Task(id=number, data={"image": address if number != 4 else address + ".gone"}) for number in range(30)]
    outcomes = start(Sizes(), max_batch_size=2).predict(images, BOXES)
    assert said(outcomes[:4] + outcomes[5:]) == ["10x20"] * 29
    assert isinstance(outcomes[4].error, DataError)
    assert outcomes[4].error.task == 4


def test_slow_data_does_not_keep_a_request_beyond_its_deadline(start: Start) -> None:
    predictor = start(Sizes(), allow_private_addresses=True)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        images = [Task(number, {"image": f"http://127.0.0.1:{silent.getsockname()[1]}/{number}"}) for number in (1, 2)]
        assert said(predictor.predict(images, BOXES, deadline_s=0.05)) == ["unfinished", "unfinished"]


def test_items_carry_task_config_values_and_context(start: Start) -> None:
    seen: list[Item] = []

    class Looking(ModelWrapper):
        name = "looking"
        interactive = True

        def predict(self, batch: Sequence[Item]) -> Sequence[Any]:
            seen.extend(batch)
            return [None] * len(batch)

    start(Looking()).predict(tasks("hello"), SENTIMENT, priority=Priority.INTERACTIVE, context={"result": [1]})
    assert seen[0].task.id == 1
    assert seen[0].config is SENTIMENT
    assert seen[0].values == {"text": "hello"}
    assert seen[0].context == {"result": [1]}


def test_closing_unloads_the_model_and_refuses_what_comes(start: Start) -> None:
    wrapper = Sentiment()
    predictor = start(wrapper)
    predictor.predict(tasks("good"), SENTIMENT)
    predictor.close()
    assert wrapper.unloaded
    with pytest.raises(OverloadedError):
        predictor.predict(tasks("good"), SENTIMENT)


def test_a_config_that_does_not_fit_is_reported_without_the_model(start: Start) -> None:
    report = start(Sentiment()).fit_report(BOXES)
    assert not report.ok
    assert report.refusal


# --- remote
@pytest.fixture
def remote(start: Start, tmp_path: Path) -> RemotePredictor:
    """A remote predictor whose network is the application itself."""
    predictor = start(Sentiment())
    assert predictor.wait_ready(60)
    settings = load_settings(data_dir=tmp_path, basic_auth_user="bob", basic_auth_pass="secret-pass")
    app = create_app(settings, predictor)
    return RemotePredictor("http://server", ("bob", "secret-pass"), settings, transport=httpx.WSGITransport(app))


def test_a_remote_predictor_gives_what_the_servers_gives(remote: RemotePredictor) -> None:
    outcomes = remote.predict([*tasks("good", "explode"), Task(id=9, data={})], SENTIMENT, priority=Priority.BULK)
    assert said(outcomes) == ["Positive", "ModelError", "TaskError"]
    assert [outcome.error.task if outcome.error else None for outcome in outcomes] == [None, 2, 9]
    prediction = outcomes[0].prediction
    assert prediction is not None
    assert prediction.model_version == remote.model_version
    assert remote.ready
    assert remote.fit_report(SENTIMENT).ok
    assert not remote.fit_report(BOXES).ok


def test_wrong_credentials_are_an_error_that_says_what_to_set(start: Start, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, basic_auth_user="bob", basic_auth_pass="secret-pass")
    app = create_app(settings, start(Sentiment()))
    remote = RemotePredictor("http://server", ("bob", "wrong"), settings, transport=httpx.WSGITransport(app))
    with pytest.raises(AuthError, match="BASIC_AUTH_PASS"):
        remote.predict(tasks("good"), SENTIMENT)


def test_a_server_that_is_not_there_can_be_asked_again(tmp_path: Path) -> None:
    remote = RemotePredictor("http://127.0.0.1:1", None, load_settings(data_dir=tmp_path))
    assert not remote.ready
    with pytest.raises(ModelNotReadyError) as caught:
        remote.predict(tasks("good"), SENTIMENT)
    assert caught.value.retryable
    remote.close()


@pytest.mark.parametrize(
    ("answer", "error", "retryable"),
    [
        (httpx.Response(503), OverloadedError, True),
        (httpx.Response(502, text="<html>"), OverloadedError, True),
        (httpx.Response(404, text="<html>"), RequestError, False),
        (httpx.Response(200, json=[1]), RequestError, False),
        (httpx.Response(200, json={"outcomes": []}), RequestError, False),
        (httpx.Response(500, json={"error": "broken."}), PrelabelError, False),
    ],
)
def test_answers_of_something_else_are_told_apart(
    answer: httpx.Response, error: type[PrelabelError], retryable: bool, tmp_path: Path
) -> None:
    transport = httpx.MockTransport(lambda _request: answer)
    remote = RemotePredictor("http://server", None, load_settings(data_dir=tmp_path), transport=transport)
    with pytest.raises(error) as caught:
        remote.predict(tasks("good"), SENTIMENT)
    assert caught.value.retryable is retryable


@pytest.mark.parametrize(
    "failure", [httpx.ReadError("reset"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("?")]
)
def test_a_server_that_breaks_off_can_be_asked_again(failure: Exception, tmp_path: Path) -> None:
    def break_off(_request: httpx.Request) -> httpx.Response:
        raise failure

    transport = httpx.MockTransport(break_off)
    remote = RemotePredictor("http://server", None, load_settings(data_dir=tmp_path), transport=transport)
    with pytest.raises(ModelNotReadyError):
        remote.predict(tasks("good"), SENTIMENT)


def test_a_cancelled_call_is_not_sent(tmp_path: Path) -> None:
    remote = RemotePredictor("http://127.0.0.1:1", None, load_settings(data_dir=tmp_path))
    outcomes = remote.predict(tasks("good"), SENTIMENT, cancelled=lambda: True)
    assert isinstance(outcomes[0].error, CancelledError)


@pytest.mark.parametrize(
    "error",
    [
        ModelError("m", hint="h", task=3),
        DataUnavailableError("d", task=4),
        LabelStudioError("l"),
    ],
)
def test_errors_keep_kind_text_and_task_on_their_way(error: PrelabelError) -> None:
    back = error_from_json(error_json(error))
    assert type(back) is type(error)
    assert (str(back), back.task, back.retryable) == (str(error), error.task, error.retryable)


def test_an_error_of_an_unknown_kind_becomes_the_base_class() -> None:
    assert type(error_from_json({"error": "x", "kind": "annotations"})) is PrelabelError


def test_an_unfinished_task_is_an_empty_object() -> None:
    assert outcome_json(Outcome()) == {}
    assert outcome_json(Outcome(Prediction((), 0.5, "v"))) == {
        "prediction": {"result": [], "score": 0.5, "model_version": "v", "dropped": []}
    }
