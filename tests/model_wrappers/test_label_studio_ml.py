"""Models in the form of Label Studio's own backend package, served as they are and asked as Label Studio asks."""

from __future__ import annotations

import copy
import functools
import http.server
import itertools
import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from label_studio_sdk.label_interface.interface import LabelInterface

from prelabel.data import DataReader
from prelabel.errors import ModelError, ModelLoadError, NotFoundError
from prelabel.labeling import parse
from prelabel.loader import load_wrapper
from prelabel.lsml.learning import learning
from prelabel.predictor.local import LocalPredictor
from prelabel.runs import Ledger
from prelabel.server import create_app
from prelabel.server.serving import listen, serve_app
from prelabel.settings import load_settings

from .cases import FEELINGS, TEXTS

RECORDINGS = Path(__file__).parents[1] / "recordings"
CHOICES = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
ENTITIES = (
    '<View><Text name="text" value="$text"/><Labels name="label" toName="text">'
    '<Label value="Name"/><Label value="Year" predicted_values="date"/></Labels></View>'
)

CLASSIFIER = f"""
from typing import Dict, List, Optional
from label_studio_ml.model import LabelStudioMLBase
from label_studio_ml.response import ModelResponse, PredictionValue
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

made, calls = [], []


class SimpleTextClassifier(LabelStudioMLBase):
    def setup(self):
        self.set("model_version", f"{{self.__class__.__name__}}-v0.0.3")
        self.model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100)).fit({TEXTS!r}, {FEELINGS!r})
        made.append((self.project_id, self.label_config))

    def predict(self, tasks: List[Dict], context: Optional[Dict] = None, **kwargs) -> ModelResponse:
        from_name, to_name, value = self.get_first_tag_occurence("Choices", "Text")
        texts = [self.preload_task_data(task, task["data"][value]) for task in tasks]
        calls.append([task["id"] for task in tasks])
        predictions = []
        for shares in self.model.predict_proba(texts):
            best = shares.argmax()
            region = {{
                "from_name": from_name, "to_name": to_name, "type": "choices",
                "value": {{"choices": [self.model.classes_[best]]}},
            }}
            predictions.append(PredictionValue(result=[region], score=shares[best]))
        return ModelResponse(predictions=predictions, model_version=self.get("model_version"))
"""

TAGGER = """
import re
from label_studio_ml.model import LabelStudioMLBase

class Tagger(LabelStudioMLBase):
    def setup(self):
        self.labels = self.build_label_map("label", ["name", "date"])

    def predict(self, tasks, context=None, **kwargs):
        name, info = next(iter(self.parsed_label_config.items()))
        field = info["inputs"][0]["value"]
        found = []
        for task in tasks:
            text = task["data"][field]
            result = [
                {"from_name": name, "to_name": info["to_name"][0], "type": "labels", "score": 0.7,
                 "value": {"start": m.start(), "end": m.end(), "labels": [self.labels[kind]]}}
                for kind, form in (("name", "[A-Z][a-z]+"), ("date", "[0-9]{4}")) for m in re.finditer(form, text)
            ]
            result.append({"from_name": name, "to_name": "text", "type": "labels",
                           "value": {"start": 0, "end": 9999, "labels": ["name"]}})
            result.append({"from_name": name, "to_name": "text", "type": "labels",
                           "value": {"start": 5000, "end": 9999, "labels": ["Name"]}})
            result.append({"from_name": "nowhere", "to_name": "text", "type": "labels", "value": {}})
            found.append({"result": result})
        return found
"""

CLICKED = """
from label_studio_ml.model import LabelStudioMLBase
from label_studio_ml.response import ModelResponse

class Clicked(LabelStudioMLBase):
    def predict(self, tasks, context=None, **kwargs):
        if not context or not context.get("result"):
            return ModelResponse(predictions=[])
        from_name, to_name, value = self.get_first_tag_occurence("RectangleLabels", "Image")
        point = context["result"][-1]
        x, y = point["value"]["x"], point["value"]["y"]
        return ModelResponse(predictions=[{"score": 0.9, "result": [{
            "from_name": from_name, "to_name": to_name, "type": "rectanglelabels",
            "original_width": point["original_width"], "original_height": point["original_height"],
            "value": {"x": x - 60, "y": y - 10, "width": 100, "height": 20, "rotation": 0,
                      "rectanglelabels": point["value"]["keypointlabels"]}}]}])
"""

LEARNER = """
from label_studio_ml.model import LabelStudioMLBase

class Learner(LabelStudioMLBase):
    def predict(self, tasks, context=None, **kwargs):
        label = self.get("last") or "Positive"
        return [{"result": [{"from_name": "sentiment", "to_name": "text", "type": "choices",
                             "value": {"choices": [label]}}], "score": 1 if self.has("last") else 0,
                 "model_version": str(self.model_version)} for _ in tasks]

    def fit(self, event, data, **kwargs):
        if event not in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED"):
            return
        self.set("last", data["annotation"]["result"][0]["value"]["choices"][0])
        return {"version": self.bump_model_version(), "params": self.extra_params}
"""

MEASURER = """
from PIL import Image
from label_studio_ml.model import LabelStudioMLBase
from label_studio_ml.utils import get_image_size, get_single_tag_keys

class Measurer(LabelStudioMLBase):
    def predict(self, tasks, context=None, **kwargs):
        from_name, to_name, value, labels = get_single_tag_keys(self.parsed_label_config, "RectangleLabels", "Image")
        predictions = []
        for task in tasks:
            path = self.get_local_path(task["data"][value], task_id=task["id"])
            width, height = get_image_size(path)
            predictions.append({"result": [{
                "original_width": width, "original_height": height, "image_rotation": 0,
                "from_name": from_name, "to_name": to_name, "type": "rectanglelabels", "id": 7,
                "value": {"rotation": 0, "x": 100 * 10 / width, "y": 0, "width": 50, "height": 100,
                          "rectanglelabels": labels}}], "score": 0.4})
        return predictions
"""

FUNCTIONS = """
from label_studio_ml.model import predict_fn, update_fn

@predict_fn
def predict(tasks, context, helper, **kwargs):
    control, shown, field = helper.get_first_tag_occurence("Choices", "Text")
    return [{"result": [{"from_name": control, "to_name": shown, "type": "choices",
                         "value": {"choices": ["Positive" if "good" in task["data"][field] else "Negative"]}}]}
            for task in tasks]

@update_fn
def update(event, data, helper, **kwargs):
    helper.set("seen", event)
"""

ODD = """
from label_studio_ml.model import LabelStudioMLBase, ModelResponse, PredictionValue

def one(label, **rest):
    return {"result": [{"from_name": "sentiment", "to_name": "text", "type": "choices",
                        "value": {"choices": [label]}}], **rest}

class Odd(LabelStudioMLBase):
    def predict(self, tasks, context=None, **kwargs):
        said = [one(task["data"]["text"]) for task in tasks]
        return ANSWER
"""


@dataclass
class Served:
    """A running server around one model."""

    url: str
    predictor: LocalPredictor
    ledger: Ledger
    ids: Iterator[int]

    @property
    def wrapper(self) -> Any:
        return self.predictor.wrapper

    @property
    def module(self) -> Any:
        return sys.modules[self.wrapper.model.__module__]

    def setup(self, config: str, project: int = 7, **more: Any) -> dict[str, Any]:
        """What Label Studio asks when the model is connected."""
        body = recorded("predict/dm_retrieve_10", "/setup")
        body |= {"project": f"{project}.1795322033", "schema": config, **more}
        answer = httpx.post(f"{self.url}/setup", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def predict(self, config: str, data: list[dict[str, Any]], project: int = 7) -> list[Any]:
        """The answers to a retrieval of new tasks with such data; each is checked as Label Studio's import does."""
        body = recorded("predict/dm_retrieve_10", "/predict")
        task = body["tasks"][0]
        body["tasks"] = [task | {"id": next(self.ids), "data": one, "project": project} for one in data]
        body |= {"project": f"{project}.1795322033", "label_config": config}
        answer = httpx.post(f"{self.url}/predict", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        results = answer.json()["results"]
        assert len(results) == len(data)
        interface: Any = LabelInterface(config)
        for entry in results:
            assert entry == [] or interface.validate_prediction(entry)
        return list(results)


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serves a model's text: ``serve(TEXT, name="model.py", data_dir=..., setting=...)``."""
    ends: list[Callable[[], None]] = []
    ids = itertools.count(1)

    def start(text: str, name: str = "model.py", **settings: Any) -> Served:
        file = tmp_path / str(len(ends)) / name
        file.parent.mkdir()
        file.write_text(text)
        listening = listen("127.0.0.1", 0)
        given = load_settings(**{"data_dir": tmp_path / "data", "drain_s": 1.0, "model": str(file), **settings})
        ledger, reader = Ledger.open(given), DataReader(given)
        predictor = LocalPredictor(load_wrapper(str(file)), reader, given, ledger)
        assert predictor.wait_ready(60), predictor.load_error
        app = create_app(given, predictor, ledger=ledger)
        stop = threading.Event()
        thread = threading.Thread(
            target=serve_app,
            args=(app, given),
            kwargs={"listening": listening, "stop": stop, "on_drained": predictor.close},
        )
        thread.start()
        learns = learning(predictor, ledger)
        learns.__enter__()

        def end() -> None:
            learns.__exit__(None, None, None)
            stop.set()
            thread.join(30)
            reader.close()
            ledger.close()

        ends.append(end)
        return Served(f"http://127.0.0.1:{listening.getsockname()[1]}", predictor, ledger, ids)

    yield start
    for end in ends:
        end()


def recorded(name: str, path: str) -> dict[str, Any]:
    """The body that Label Studio sent to ``path`` in a recording."""
    events = json.loads((RECORDINGS / f"{name}.json").read_text())["requests_received_by_backend"]
    return copy.deepcopy(next(event["body"] for event in events if event["path"] == path))


def choices(entries: list[Any]) -> list[str | None]:
    return [entry["result"][0]["value"]["choices"][0] if entry and entry["result"] else None for entry in entries]


# --- models as they are
def test_a_classifier_is_made_once_and_asked_for_many_tasks_at_once(serve: Serve) -> None:
    here = serve(CLASSIFIER)
    announced = here.setup(CHOICES)["model_version"]
    entries = here.predict(CHOICES, [{"text": text} for text in TEXTS])
    assert choices(entries) == FEELINGS
    assert {entry["model_version"] for entry in entries} == {announced} == {"SimpleTextClassifier-v0.0.3"}
    assert all(0.5 < entry["score"] <= 1 for entry in entries)
    here.predict(CHOICES, [{"text": "a great film"}])
    assert here.module.made == [("7", CHOICES)]
    assert [len(call) for call in here.module.calls] == [len(TEXTS), 1]


def test_another_project_and_another_config_get_instances_of_their_own(serve: Serve) -> None:
    here = serve(CLASSIFIER)
    other = CHOICES.replace("sentiment", "mood")
    for project, config in ((1, CHOICES), (2, CHOICES), (1, other), (1, CHOICES)):
        assert choices(here.predict(config, [{"text": "a great film"}], project)) == ["Positive"]
    assert here.module.made == [("1", CHOICES), ("2", CHOICES), ("1", other)]


def test_the_instance_used_least_recently_goes_when_there_are_too_many(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(CLASSIFIER)
    wrapper: Any = load_wrapper("label_studio_ml", {"model": str(file), "instances": "2"})
    config = parse(CHOICES)
    first, *_ = (wrapper.instance(project, config.xml, config.hash) for project in "123")
    assert wrapper.instance("3", config.xml, config.hash) is not first
    assert wrapper.instance("1", config.xml, config.hash) is not first
    assert [project for project, _ in sys.modules[wrapper.model.__module__].made] == ["1", "2", "3", "1"]


def test_regions_are_kept_put_right_or_dropped_with_their_reason(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    here = serve(TAGGER)
    with caplog.at_level(logging.WARNING):
        (entry,) = here.predict(ENTITIES, [{"text": "Anne left in 1944."}])
    spans = [(one["value"]["start"], one["value"]["end"], one["value"]["labels"]) for one in entry["result"]]
    assert spans == [(0, 4, ["Name"]), (13, 17, ["Year"]), (0, 18, ["Name"])]
    assert len({one["id"] for one in entry["result"]}) == 3
    assert entry["score"] == 0.7
    assert "region 4 (labels): characters 5000 to 9999 are not in the text" in caplog.text
    assert "the labeling config has no control 'nowhere', but label" in caplog.text


def test_a_click_reaches_the_model_as_context_and_its_box_comes_back(serve: Serve) -> None:
    here = serve(CLICKED)
    body = recorded("interactive/keypoint", "/predict")
    answer = httpx.post(f"{here.url}/predict", json=body).json()
    (region,) = answer["results"][0]["result"]
    assert region["value"]["rectanglelabels"] == ["Person"]
    assert (region["value"]["x"], region["value"]["y"]) == (0, pytest.approx(49.9))  # inside the image
    assert region["value"]["width"] == pytest.approx(89.3)
    assert (region["original_width"], answer["results"][0]["score"]) == (800, 0.9)
    body["params"]["context"] = None
    (nothing,) = httpx.post(f"{here.url}/predict", json=body).json()["results"]
    assert nothing == [] or nothing["result"] == []


def test_what_a_model_keeps_for_a_project_outlives_the_server(serve: Serve) -> None:
    here = serve(LEARNER)
    event = recorded("webhooks/ANNOTATION_CREATED", "/webhook")
    project = event["project"]["id"]
    here.setup(CHOICES, project, extra_params='{"depth": 3}')
    assert choices(here.predict(CHOICES, [{"text": "x"}], project)) == ["Positive"]
    assert here.wrapper.learn(event["action"], event) == {"version": "0.1.0", "params": {"depth": 3}}
    assert here.wrapper.learn("PROJECT_UPDATED", event) is None
    (entry,) = here.predict(CHOICES, [{"text": "y"}], project)
    assert (choices([entry]), entry["score"]) == (["Negative"], 1)
    assert choices(here.predict(CHOICES, [{"text": "x"}], project + 1)) == ["Positive"]
    again = serve(LEARNER)
    assert choices(again.predict(CHOICES, [{"text": "z"}], project)) == ["Negative"]
    instance = again.wrapper.instance(str(project), CHOICES, parse(CHOICES).hash)
    assert (str(instance.model_version), instance.model_version.minor) == ("0.1.0", 1)
    with pytest.raises(ValueError, match="must be a text, not int"):
        instance.set("last", 3)


def test_a_model_learns_from_the_events_that_label_studio_sends(
    serve: Serve, wait_until: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    here = serve(LEARNER)
    event = recorded("webhooks/ANNOTATION_CREATED", "/webhook")
    project = event["project"]["id"]
    here.setup(CHOICES, project)
    answer = httpx.post(f"{here.url}/webhook", json=event)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    wait_until(lambda: choices(here.predict(CHOICES, [{"text": "x"}], project)) == ["Negative"])
    started = httpx.post(f"{here.url}/webhook", json={"action": "START_TRAINING", "project": event["project"]})
    assert started.status_code == 200
    broken = {"action": "ANNOTATION_UPDATED", "project": event["project"]}  # without the annotation
    assert httpx.post(f"{here.url}/webhook", json=broken).status_code == 200
    wait_until(lambda: "ANNOTATION_UPDATED: Learner.fit failed" in caplog.text)
    wait_until(lambda: here.ledger.events("Learner") == [])
    (failed,) = here.ledger.events("Learner", failed=True)
    assert (failed.event, failed.project) == ("ANNOTATION_UPDATED", str(project))
    assert "KeyError" in str(failed.error)


def test_training_says_where_it_failed_and_what_an_event_must_bring(serve: Serve) -> None:
    here = serve(LEARNER)
    event = recorded("webhooks/ANNOTATION_CREATED", "/webhook")
    with pytest.raises(ModelError, match=r"Learner.fit failed: .*model.py:\d+: KeyError"):
        here.wrapper.learn("ANNOTATION_UPDATED", {"project": event["project"]})
    with pytest.raises(ModelError, match="names no project"):
        here.wrapper.learn("ANNOTATION_CREATED", {})


@pytest.fixture
def picture_url(tmp_path: Path) -> Iterator[str]:
    """A picture of 40 x 20 pixels behind HTTP."""
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (40, 20), "green").save(folder / "green.png")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/green.png"
    server.shutdown()
    server.server_close()
    thread.join()


BOXES = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image">'
    '<Label value="Thing"/></RectangleLabels></View>'
)


def test_local_copies_of_task_data_are_fetched_by_prelabel(serve: Serve, picture_url: str) -> None:
    here = serve(MEASURER, allow_private_addresses=True)
    (entry,) = here.predict(BOXES, [{"image": picture_url}])
    (region,) = entry["result"]
    assert (region["id"], region["original_width"], region["value"]["x"]) == ("7", 40, 25)
    assert entry["score"] == 0.4


def test_the_guard_holds_for_local_copies_too(serve: Serve, picture_url: str, caplog: pytest.LogCaptureFixture) -> None:
    here = serve(MEASURER)
    (secret, private) = here.predict(BOXES, [{"image": "file:///etc/passwd"}, {"image": picture_url}])
    assert secret == private == []
    assert "file:// addresses are not read" in caplog.text


def test_two_functions_are_a_model_too(serve: Serve) -> None:
    here = serve(FUNCTIONS, "moods.py")
    assert here.predictor.name == "moods"
    assert choices(here.predict(CHOICES, [{"text": "good"}, {"text": "bad"}])) == ["Positive", "Negative"]
    event = recorded("webhooks/ANNOTATION_CREATED", "/webhook")
    here.wrapper.learn("ANNOTATION_CREATED", event)
    assert here.wrapper._state(here.wrapper._around).get(str(event["project"]["id"]), "seen") == "ANNOTATION_CREATED"


# --- whatever predict returns
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("said", ["Positive", "Negative", "Positive"]),
        ("None", [None, None, None]),
        ("[]", [None, None, None]),
        ("{'predictions': said}", ["Positive", "Negative", "Positive"]),
        ("ModelResponse(predictions=said)", ["Positive", "Negative", "Positive"]),
        ("ModelResponse(predictions=[[one] for one in said])", ["Positive", "Negative", "Positive"]),
        ("[PredictionValue(**one) for one in said]", ["Positive", "Negative", "Positive"]),
        ("said[:-1] if len(tasks) > 1 else said", ["Positive", "Negative", "Positive"]),
        ("said[0]", ["Positive", "Negative", "Positive"]),
        ("[said[0]]", ["Positive", "Negative", "Positive"]),
        ("said[0]['result']", ["Positive", "Negative", "Positive"]),
        ("[said[0], None, said[2]]", ["Positive", None, "Positive"]),
        ("[said[0], {}, []]", ["Positive", None, None]),
        ("[one['result'] for one in said]", ["Positive", "Negative", "Positive"]),
        ("(each for each in said)", ["Positive", "Negative", "Positive"]),
        ("[[one('Negative', score=.2), one('Positive', score=.9)], said[1], said[2]]",
         ["Positive", "Negative", "Positive"]),
        ("[[one('Negative'), one('Positive')], said[1], said[2]]", ["Negative", "Negative", "Positive"]),
        ("[one('positive'), one('NEGATIVE', score=7), one('Neutral')]", ["Positive", "Negative", None]),
        ("[{'result': None}, {'result': [3]}, {'result': [None]}]", [None, None, None]),
    ],
)  # fmt: skip
def test_every_form_of_answer_becomes_one_prediction_per_task(
    serve: Serve, answer: str, expected: list[str | None]
) -> None:
    here = serve(ODD.replace("ANSWER", answer))
    entries = here.predict(CHOICES, [{"text": "Positive"}, {"text": "Negative"}, {"text": "Positive"}])
    assert choices(entries) == expected
    for entry in filter(None, entries):
        assert 0 <= entry["score"] <= 1
        assert entry["model_version"] == here.predictor.model_version


def test_of_a_task_that_the_model_says_nothing_of_nothing_is_stored_but_an_empty_result_is_a_prediction(
    serve: Serve,
) -> None:
    here = serve(ODD.replace("ANSWER", "[said[0], None, [], {}, {'result': []}][:len(tasks)]"))
    entries = here.predict(CHOICES, [{"text": "Positive"}] * 5)
    assert entries[1:4] == [[], [], []]
    assert (choices(entries[:1]), entries[4]["result"]) == (["Positive"], [])


@pytest.mark.parametrize("answer", ["'Positive'", "3", "[{'result': 'Positive'} for _ in tasks]", "[7 for _ in tasks]"])
def test_what_is_no_answer_costs_no_more_than_its_tasks(
    serve: Serve, answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    here = serve(ODD.replace("ANSWER", answer))
    assert here.predict(CHOICES, [{"text": "a"}, {"text": "b"}]) == [[], []]
    assert "Odd.predict returned" in caplog.text


def test_one_task_that_the_model_fails_on_costs_no_other(serve: Serve) -> None:
    here = serve(ODD.replace("ANSWER", "[1 / ('bad' not in t['data']['text']) and one('Positive') for t in tasks]"))
    assert choices(here.predict(CHOICES, [{"text": "x"}, {"text": "bad"}, {"text": "y"}])) == [
        "Positive",
        None,
        "Positive",
    ]


def test_a_model_that_cannot_be_made_for_a_config_says_so_once(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    here = serve(
        CLASSIFIER.replace(
            "        self.model = ", '        self.get_first_tag_occurence("Taxonomy", "Text")\n        self.model = '
        )
    )
    assert here.predict(CHOICES, [{"text": "a"}] * 8) == [[]] * 8
    assert "could not be made for this labeling config" in caplog.text
    assert caplog.text.count("could not be made for project 7") == 1


# --- the version
@pytest.mark.parametrize(
    ("body", "version"),
    [
        ('self.set("model_version", "moods-2")', "moods-2"),
        ('self.set("model_version", "0.0.5")', "Named-0.0.5"),
        ('self.set("model_version", f"{type(self).__name__}/{BASE}")', "Named/tiny"),
        ('self.set("model_version", BASE)', "tiny"),
        ('self.set("model_version", "0.0.1")', None),
        ('self.set("model_version", open("version").read())', None),
        ("pass", None),
    ],
)
def test_the_version_in_setup_is_known_before_the_model_runs(tmp_path: Path, body: str, version: str | None) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "from label_studio_ml.model import LabelStudioMLBase\nBASE = 'tiny'\n"
        f"class Named(LabelStudioMLBase):\n    def setup(self):\n        {body}\n"
        '    def fit(self, event, data, **kwargs):\n        self.set("model_version", "later")\n'
    )
    assert load_wrapper(str(file)).version == version


def test_a_changed_file_is_another_version_where_the_model_names_none(serve: Serve) -> None:
    before, same, after = serve(LEARNER), serve(LEARNER), serve(LEARNER.replace("Positive", "Negative"))
    versions = [one.predictor.model_version for one in (before, same, after)]
    assert versions[0] == versions[1] != versions[2]
    assert versions[0].startswith("Learner-")


# --- finding it
def test_a_file_with_two_models_asks_which_and_takes_the_name(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(TAGGER + CLICKED)
    with pytest.raises(ModelLoadError, match="unclear which model") as refused:
        load_wrapper(str(file))
    assert "Tagger" in refused.value.hint
    assert load_wrapper(f"{file}:Clicked").name == "Clicked"


def test_of_a_class_and_the_class_made_from_it_the_latter_is_the_model(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(TAGGER + "\nclass Better(Tagger):\n    pass\n\ndef helper(x):\n    return x\n")
    assert load_wrapper(str(file)).name == "Better"


def test_a_directory_without_a_model_and_a_class_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"neither a model\.py nor a _wsgi\.py"):
        load_wrapper(str(tmp_path))
    (tmp_path / "model.py").write_text("class Model:\n    pass\n")
    with pytest.raises(ModelLoadError, match="no model of label_studio_ml"):
        load_wrapper("label_studio_ml", {"model": f"{tmp_path}/model.py:Model"})


def test_options_go_to_the_constructor(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "from label_studio_ml.model import LabelStudioMLBase\n"
        "class Sure(LabelStudioMLBase):\n"
        "    def __init__(self, project_id=None, label_config=None, threshold: float = 0.5):\n"
        "        self.threshold = threshold\n        super().__init__(project_id, label_config)\n"
    )
    wrapper: Any = load_wrapper(str(file), {"threshold": "0.75"})
    assert wrapper.instance("1", CHOICES, "h").threshold == 0.75
    with pytest.raises(ModelLoadError, match="no option 'project_id'"):
        load_wrapper(str(file), {"project_id": "3"})


WSGI = """
import logging.config, os
logging.config.dictConfig({
    "version": 1, "handlers": {"console": {"class": "logging.StreamHandler", "level": os.getenv("LOG_LEVEL")}},
    "root": {"level": os.getenv("LOG_LEVEL"), "handlers": ["console"], "propagate": True}})

from label_studio_ml.api import init_app
from model import Tagger

if __name__ == "__main__":
    init_app(model_class=Tagger).run(host="0.0.0.0", port=9090)
else:
    app = init_app(model_class=Tagger)
"""


def test_a_directory_is_served_by_one_command_with_the_variables_of_its_image(
    tmp_path: Path, prelabel_process: Any
) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "model.py").write_text(TAGGER)
    (tmp_path / "backend" / "_wsgi.py").write_text(WSGI)
    variables = {"BASIC_AUTH_USER": "bob", "BASIC_AUTH_PASS": "secret", "LOG_LEVEL": "DEBUG", "WORKERS": "2"}
    variables |= {"MODEL_DIR": str(tmp_path / "made" / "models"), "LABEL_STUDIO_URL": "http://127.0.0.1:9"}
    running = prelabel_process("serve", "backend", env=variables, wait=False)
    running.wait_until_ready()
    body = recorded("predict/dm_retrieve_10", "/predict")
    body |= {"label_config": ENTITIES, "tasks": [body["tasks"][0] | {"data": {"text": "Anne"}}]}
    assert httpx.post(f"{running.url}/predict", json=body).status_code == 401
    answer = httpx.post(f"{running.url}/predict", json=body, auth=("bob", "secret"), timeout=30).json()
    assert answer["results"][0]["result"][0]["value"]["labels"] == ["Name"]
    assert (tmp_path / "made" / "models").is_dir()
    assert "the variable WORKERS means nothing here" in running.log
    assert "listening on" in running.log  # the file's own logging does not silence the server


def test_a_password_in_the_file_is_never_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BASIC_AUTH_USER", raising=False)
    text = "\nfrom label_studio_ml.api import init_app\ninit_app(Tagger, basic_auth_user='a', basic_auth_pass='b')\n"
    (tmp_path / "model.py").write_text(TAGGER + text)
    with pytest.raises(ModelLoadError, match="a user and a password") as refused:
        load_wrapper(str(tmp_path))
    assert "BASIC_AUTH_USER" in refused.value.hint


# --- whose package it is
ASK = """
import sys
from prelabel.loader import load_wrapper
from prelabel.lsml.learning import learning
before = "label_studio_ml" in sys.modules
load_wrapper(sys.argv[1])
import label_studio_ml.model
import label_studio_ml.response
print(before, label_studio_ml.model.__name__, label_studio_ml.__spec__.name)
"""
OWN_FORM = {
    "__init__.py": "import sys\nassert not hasattr(sys, 'seen')\nsys.seen = True  # it is run once\n",
    "model.py": "class LabelStudioMLBase:\n    def __init__(self, project_id=None, label_config=None): ...\n",
    "response.py": "class ModelResponse: ...\n",
    "api.py": "MODEL_CLASS = None\n",
}
OLD_FORM = {"__init__.py": "", "model.py": "class LabelStudioMLBase: ...\n"}
BROKEN = OWN_FORM | {"model.py": "from flask import no_such_name\n"}


@pytest.mark.parametrize(
    ("package", "whose", "said"),
    [
        (OWN_FORM, "label_studio_ml.model", ""),
        (OLD_FORM, "prelabel.lsml.surface.model", "No module named 'label_studio_ml.response'"),
        (BROKEN, "prelabel.lsml.surface.model", "no_such_name"),
        ({}, "prelabel.lsml.surface.model", ""),
    ],
    ids=["installed", "installed, of the older form", "installed, cannot be imported", "missing"],
)
def test_the_installed_package_is_used_where_it_works(
    tmp_path: Path, package: dict[str, str], whose: str, said: str
) -> None:
    if package:
        (tmp_path / "site" / "label_studio_ml").mkdir(parents=True)
    for name, text in package.items():
        (tmp_path / "site" / "label_studio_ml" / name).write_text(text)
    (tmp_path / "model.py").write_text(
        "from label_studio_ml.model import LabelStudioMLBase\nclass Mine(LabelStudioMLBase): ...\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path / "model.py")],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["False", whose, whose.removesuffix(".model")]
    assert said in ran.stderr
    assert bool(said) == ("prelabel stands in for it" in ran.stderr)


def test_nothing_of_that_name_is_installed_with_prelabel() -> None:
    code = textwrap.dedent("""
        import importlib.util, prelabel.loader
        print(importlib.util.find_spec("label_studio_ml"))
    """)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "None"
