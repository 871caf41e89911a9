"""Models of `label_studio_ml` that learn: events outlive a killed process, and state is one for all processes."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from prelabel.cli.stores import current_model
from prelabel.data import DataReader
from prelabel.doctor import examine
from prelabel.encoded import Store
from prelabel.labeling import parse
from prelabel.loader import load_wrapper
from prelabel.lsml.learning import learning
from prelabel.model import Item, Surroundings
from prelabel.predictor.local import LocalPredictor, WrapperEngine
from prelabel.runs import Connection, Ledger
from prelabel.runs.models import Models
from prelabel.settings import Settings, load_settings
from prelabel.successor import following
from prelabel.tasks import Task
from prelabel.testing.fake_label_studio import FakeLabelStudio

WEBHOOKS = Path(__file__).parents[1] / "recordings" / "webhooks"
CHOICES = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
LEARNER = """
import os, time
from label_studio_ml.model import LabelStudioMLBase

HERE = os.path.dirname(__file__)


def note(text):
    with open(os.path.join(HERE, "notes"), "a") as notes:
        notes.write(text + "\\n")


class Learner(LabelStudioMLBase):
    def setup(self):
        self.last = None

    def predict(self, tasks, context=None, **kwargs):
        result = [{"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [self.last]}}]
        return [{"result": result if self.last else []} for _ in tasks]

    def fit(self, event, data, **kwargs):
        assert "action" not in data
        label = data["annotation"]["result"][0]["value"]["choices"][0]
        note(f"begins {data['annotation']['id']}")
        while os.path.exists(os.path.join(HERE, "hold")):
            time.sleep(0.01)
        self.last = label
        self.set("count", str(int(self.get("count") or 0) + 1))
        note(f"learnt {data['annotation']['id']}")
"""


def annotated(number: int, label: str, action: str = "ANNOTATION_CREATED") -> dict[str, Any]:
    """Label Studio's webhook for an annotation."""
    events = json.loads((WEBHOOKS / "ANNOTATION_CREATED.json").read_text())["requests_received_by_backend"]
    event: dict[str, Any] = copy.deepcopy(next(each["body"] for each in events if each["path"] == "/webhook"))
    event |= {"action": action}
    event["annotation"]["id"] = number
    event["annotation"]["result"][0]["value"]["choices"] = [label]
    event["project"]["label_config"] = CHOICES
    return event


def predicted(url: str, project: int, task: int) -> Any:
    """The label that the model gives a task."""
    tasks = [{"id": task, "data": {"text": "x"}, "project": project}]
    body = {"tasks": tasks, "project": f"{project}.1", "label_config": CHOICES, "params": {"context": None}}
    (entry,) = httpx.post(f"{url}/predict", json=body, timeout=30).json()["results"]
    return entry["result"][0]["value"]["choices"][0] if entry and entry["result"] else None


def test_events_that_wait_when_the_process_is_killed_are_learnt_by_the_next_one(
    tmp_path: Path, prelabel_process: Any, wait_until: Callable[..., None]
) -> None:
    (tmp_path / "model.py").write_text(LEARNER)
    (tmp_path / "hold").touch()
    notes = tmp_path / "notes"
    notes.touch()
    first = prelabel_process("serve", "model.py")
    event = annotated(1, "Positive")
    for number, label in ((1, "Positive"), (2, "Positive"), (3, "Negative")):
        answer = httpx.post(f"{first.url}/webhook", json=annotated(number, label))
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    wait_until(lambda: notes.read_text().split() == ["begins", "1"])
    first.child.process.kill()
    first.child.process.wait()

    (tmp_path / "hold").unlink()
    second = prelabel_process("serve", "model.py")
    wait_until(lambda: "learnt 3" in notes.read_text())
    again = ["begins 1", "learnt 1", "begins 2", "learnt 2", "begins 3", "learnt 3"]
    assert notes.read_text().splitlines() == ["begins 1", *again]
    project = event["project"]["id"]
    assert predicted(second.url, project, 1) == "Negative"  # by the instance that learnt
    assert "prelabel_lsml_fits_total 3.0" in httpx.get(f"{second.url}/metrics").text
    settings = load_settings(data_dir=second.data_dir, port=second.port)
    ledger = Ledger.open(settings)
    assert ledger.events("Learner") == ledger.events("Learner", failed=True) == []
    httpx.post(f"{second.url}/webhook", json=event | {"annotation": {"id": 4, "result": []}})
    wait_until(lambda: ledger.events("Learner", failed=True) != [])
    (finding,) = [each for each in examine(settings) if each.thing == "learning"]
    assert "could not learn from 1 events; the last, ANNOTATION_CREATED" in finding.says
    assert "IndexError" in finding.says
    ledger.close()


def test_a_process_that_is_stopped_while_the_model_learns_leaves_the_event_to_the_next_one(
    tmp_path: Path, prelabel_process: Any, wait_until: Callable[..., None]
) -> None:
    (tmp_path / "model.py").write_text(LEARNER)
    (tmp_path / "hold").touch()
    notes = tmp_path / "notes"
    notes.touch()
    running = prelabel_process("serve", "model.py", env={"PRELABEL_DRAIN_S": "0.5"})
    httpx.post(f"{running.url}/webhook", json=annotated(1, "Positive"))
    wait_until(lambda: "begins 1" in notes.read_text())
    running.stop()
    ledger = Ledger.open(load_settings(data_dir=running.data_dir))
    (waiting,) = ledger.events("Learner")
    ledger.close()
    assert (waiting.attempts, waiting.error) == (0, None)


@pytest.mark.parametrize(
    ("events", "action", "status"),
    [
        ("", "ANNOTATION_CREATED", "ok"),
        ("", "ANNOTATION_DELETED", "ok"),
        ("", "ANNOTATIONS_DELETED", "ignored"),
        ('TRAIN_EVENTS = ("ANNOTATIONS_DELETED",)', "ANNOTATIONS_DELETED", "ok"),
        ('TRAIN_EVENTS = ("ANNOTATIONS_DELETED",)', "ANNOTATION_CREATED", "ignored"),
    ],
)
def test_the_model_hears_of_the_events_that_its_class_names(
    tmp_path: Path, events: str, action: str, status: str
) -> None:
    from prelabel.server import create_app

    (tmp_path / "model.py").write_text(LEARNER.replace("    def setup", f"    {events}\n\n    def setup"))
    settings = load_settings(data_dir=tmp_path / "data")
    ledger, reader = Ledger.open(settings), DataReader(settings)
    predictor = LocalPredictor(load_wrapper(str(tmp_path / "model.py")), reader, settings, ledger)
    client = create_app(settings, predictor, ledger=ledger).test_client()
    answer = client.post("/webhook", json=annotated(1, "Positive", action))
    assert answer.json is not None
    assert answer.json["status"] == status
    assert [event.event for event in ledger.events("Learner")] == ([action] if status == "ok" else [])
    predictor.close()
    reader.close()
    ledger.close()


# --- several processes
ELSEWHERE = """
import sys
from prelabel.data import DataReader
from prelabel.labeling import parse
from prelabel.loader import load_wrapper
from prelabel.model import Item, Surroundings
from prelabel.runs import Ledger
from prelabel.settings import load_settings
file, config = sys.argv[1:]
settings = load_settings()
ledger, reader = Ledger.open(settings), DataReader(settings)
wrapper = load_wrapper(file)
wrapper.enter(Surroundings(settings, reader, ledger))
model = wrapper.instance("7", config, parse(config).hash)
print(model.get("count"), model.model_version)
model.set("count", "5")
print(model.bump_model_version())
"""


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data", database_url=database_url)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    opened = Ledger.open(settings)
    yield opened
    opened.close()


def test_what_one_process_keeps_another_one_finds(tmp_path: Path, settings: Settings, ledger: Ledger) -> None:
    file = tmp_path / "model.py"
    file.write_text(LEARNER)
    wrapper: Any = load_wrapper(str(file))
    reader = DataReader(settings)
    wrapper.enter(Surroundings(settings, reader, ledger))
    model = wrapper.instance("7", CHOICES, parse(CHOICES).hash)
    model.set("count", "4")
    model.bump_model_version()
    told = {"PRELABEL_DATABASE_URL": settings.effective_database_url, "PRELABEL_DATA_DIR": str(settings.data_dir)}
    ran = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(file), CHOICES],
        env=os.environ | told,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["4", "0.1.0", "0.2.0"]
    assert (model.get("count"), str(model.model_version)) == ("5", "0.2.0")
    assert wrapper.instance("8", CHOICES, parse(CHOICES).hash).get("count") is None  # another project
    reader.close()


# --- of the form before 2, which the package on PyPI still has
OLDER = """
import os
from label_studio_ml.api import init_app
from label_studio_ml.model import LabelStudioMLBase


class Repeater(LabelStudioMLBase):
    def __init__(self, **kwargs):
        super(Repeater, self).__init__(**kwargs)
        self.from_name, self.info = list(self.parsed_label_config.items())[0]
        self.label = self.train_output.get("label")
        self.reached = (self.hostname, self.access_token)

    def predict(self, tasks, **kwargs):
        return [{"result": [{"from_name": self.from_name, "to_name": self.info["to_name"][0], "type": "choices",
                             "value": {"choices": [self.label]}}]} for _ in tasks] if self.label else []

    def fit(self, completions, workdir=None, **kwargs):
        if kwargs.get("data"):
            return {"label": kwargs["data"]["annotation"]["result"][0]["value"]["choices"][0]}


app = init_app(model_class=Repeater, model_dir=os.environ.get("MODEL_DIR", "."), redis_queue="default",
               redis_host="localhost", redis_port=6379)
"""


def test_what_an_older_models_fit_returned_is_its_train_output_from_then_on(
    tmp_path: Path, settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://127.0.0.1:9")  # which it sets itself: not for tests after this one
    file = tmp_path / "_wsgi.py"
    file.write_text(OLDER)
    reader = DataReader(settings)
    told = settings.model_copy(update={"label_studio_url": "http://127.0.0.1:9"})

    def asked(wrapper: Any) -> list[Any]:
        model = wrapper.instance("7", CHOICES, parse(CHOICES).hash)
        assert model.reached[0] == "http://127.0.0.1:9"
        return [entry["result"][0]["value"]["choices"] for entry in model.predict([{"id": 1, "data": {"text": "x"}}])]

    wrapper: Any = load_wrapper(str(tmp_path))
    wrapper.enter(Surroundings(told, reader, ledger))
    event = annotated(1, "Negative")
    event["project"]["id"] = 7
    assert asked(wrapper) == []
    assert wrapper.learn("ANNOTATION_CREATED", event) == {"label": "Negative"}
    assert asked(wrapper) == [["Negative"]]
    again: Any = load_wrapper(str(tmp_path))
    again.enter(Surroundings(told, reader, ledger))
    assert asked(again) == [["Negative"]]
    reader.close()


# --- a version that fit sets
TENS = (
    '<View><Text name="text" value="$text"/><Choices name="count" toName="text">'
    + "".join(f'<Choice value="v{number}"/>' for number in range(10))
    + "</Choices></View>"
)
COUNTER = """
from label_studio_ml.model import LabelStudioMLBase


class Counter(LabelStudioMLBase):
    def predict(self, tasks, context=None, **kwargs):
        label = "v" + (self.get("count") or "0")
        result = [{"from_name": "count", "to_name": "text", "type": "choices", "value": {"choices": [label]}}]
        return [{"result": result} for _ in tasks]

    def fit(self, event, data, **kwargs):
        self.set("count", str(int(self.get("count") or 0) + 1))
        self.bump_model_version()
"""
RESETTING = COUNTER.replace(
    "    def predict", '    def setup(self):\n        self.set("model_version", "0.0.2")\n\n    def predict'
)


def learnt_event(project: int = 7, config: str = TENS) -> dict[str, Any]:
    """What `fit` hears of."""
    return {"project": {"id": project, "label_config": config}, "annotation": {"id": 1}}


@dataclass
class Process:
    """A model and its registry, as one process has them."""

    predictor: LocalPredictor
    ledger: Ledger
    settings: Settings

    @property
    def wrapper(self) -> Any:
        return self.predictor.wrapper

    def said(self, project: int = 7, tasks: int = 1) -> list[tuple[str, str]]:
        """Label and version of predictions."""
        asked = [Task(id=number, data={"text": "x"}, project=project) for number in range(tasks)]
        made = [outcome.prediction for outcome in self.predictor.predict(asked, parse(TENS))]
        return [(one.result[0]["value"]["choices"][0], one.model_version) for one in made if one is not None]


Begin = Callable[..., Process]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Begins processes that share a registry: ``begin(TEXT, setting=...)``."""
    with ExitStack() as stack:

        def start(text: str, **given: Any) -> Process:
            file = tmp_path / "model.py"
            file.write_text(text)
            settings = load_settings(data_dir=tmp_path / "data", drain_s=1.0, model=str(file), **given)
            ledger = stack.enter_context(closing(Ledger.open(settings)))
            reader = stack.enter_context(closing(DataReader(settings)))
            predictor = LocalPredictor(load_wrapper(str(file)), reader, settings, ledger)
            stack.callback(predictor.close)
            assert predictor.wait_ready(60), predictor.load_error
            ledger.enter(predictor.model_version, predictor.name, shadow=False)
            return Process(predictor, ledger, settings)

        yield start


def test_a_prediction_carries_the_version_that_made_it_whenever_fit_sets_another(begin: Begin) -> None:
    here = begin(COUNTER)
    first = here.predictor.model_version
    made: list[tuple[str, str]] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            made.extend(here.said(tasks=3))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for number in range(1, 10):
        here.wrapper.learn("ANNOTATION_CREATED", learnt_event())
        assert set(here.said()) == {(f"v{number}", f"Counter-0.{number}.0")}
    over.set()
    for asker in askers:
        asker.join()
    versions = {"v0": first} | {f"v{number}": f"Counter-0.{number}.0" for number in range(1, 10)}
    assert len(set(made)) > 1
    assert {(label, versions[label]) for label, _ in made} == set(made)


def test_results_keep_the_version_that_made_them_when_fit_is_quicker_than_whoever_asks(begin: Begin) -> None:
    here = begin(COUNTER)
    first = here.predictor.model_version
    engine = WrapperEngine(here.wrapper, first, Store(0))
    engine.predict([Item(Task(id=1, data={"text": "x"}, project=7), parse(TENS))])
    here.wrapper.learn("ANNOTATION_CREATED", learnt_event())
    here.wrapper.settle()
    assert (engine.version, engine.announced) == (first, "Counter-0.1.0")


def test_events_that_wait_together_make_one_version_and_one_repetition(
    begin: Begin, wait_until: Callable[..., None]
) -> None:
    here = begin(COUNTER)
    first = here.predictor.model_version
    connection = here.ledger.remember_project(Connection("http://ls", 7, TENS, model="Counter"))
    here.ledger.remember_project(Connection("http://ls", 8, TENS, model="Counter"))
    here.ledger.plan(first, connection, [Task(id=41, data={}), Task(id=40, data={})])
    for _ in range(3):
        here.ledger.hear("Counter", "7", "ANNOTATION_CREATED", learnt_event())
    asked: list[tuple[int, str]] = []

    def again(connection: Connection, version: str) -> None:
        asked.append((connection.project, version))

    with learning(here.predictor, here.ledger, again, quiet_s=0.0):
        wait_until(lambda: asked != [])
        here.ledger.hear("Counter", "7", "ANNOTATION_CREATED", learnt_event())
        wait_until(lambda: len(asked) > 1)
    assert asked == [(7, "Counter-0.3.0"), (7, "Counter-0.4.0")]
    assert here.ledger.versions("Counter") == ["Counter-0.4.0", "Counter-0.3.0", first]
    provenance = Models(here.ledger.database).run("Counter-0.3.0").provenance
    assert (provenance["trained_from"], provenance["project"]) == (first, "7")
    assert here.ledger.trained_until(connection, "Counter-0.4.0") == 41


def test_what_is_to_be_predicted_again_is_known_after_a_restart(begin: Begin, wait_until: Callable[..., None]) -> None:
    before = begin(COUNTER)
    before.ledger.remember_project(Connection("http://ls", 7, TENS, model="Counter"))
    before.wrapper.learn("ANNOTATION_CREATED", learnt_event())
    before.wrapper.settle()
    after = begin(COUNTER)
    asked: list[str] = []
    with learning(after.predictor, after.ledger, lambda _, version: asked.append(version)):
        wait_until(lambda: asked == ["Counter-0.1.0"])


@pytest.mark.parametrize(("text", "first"), [(COUNTER, None), (RESETTING, "Counter-0.0.2")])
def test_the_version_outlives_the_process_and_counts_on(begin: Begin, text: str, first: str | None) -> None:
    before = begin(text)
    assert first in {None, before.predictor.model_version}
    before.said()
    for _ in range(2):
        before.wrapper.learn("ANNOTATION_CREATED", learnt_event())
    assert before.said() == [("v2", "Counter-0.2.0")]
    after = begin(text)
    assert after.predictor.model_version == "Counter-0.2.0"
    assert after.said() == [("v2", "Counter-0.2.0")]
    assert current_model(after.settings, after.ledger) == ("Counter", "Counter-0.2.0")
    after.wrapper.learn("ANNOTATION_CREATED", learnt_event())
    assert after.said() == [("v3", "Counter-0.3.0")]
    changed = begin(text + "\n# changed\n" if first is None else text.replace("0.0.2", "1.0.0"))
    assert changed.predictor.model_version not in {before.predictor.model_version, "Counter-0.3.0"}


def test_a_version_that_is_given_stays(begin: Begin) -> None:
    here = begin(COUNTER, model_version="mine")
    here.said()
    here.wrapper.learn("ANNOTATION_CREATED", learnt_event())
    assert (here.predictor.model_version, here.said()) == ("mine", [("v1", "mine")])


def test_a_model_in_another_process_follows(begin: Begin, wait_until: Callable[..., None]) -> None:
    learner, worker = begin(COUNTER), begin(COUNTER)
    first = learner.predictor.model_version
    assert worker.said() == [("v0", first)]
    with following(worker.predictor, worker.ledger, worker.settings):
        learner.wrapper.learn("ANNOTATION_CREATED", learnt_event())
        learner.wrapper.settle()
        wait_until(lambda: worker.predictor.model_version == "Counter-0.1.0")
        assert worker.said() == [("v1", "Counter-0.1.0")]


def test_a_worker_with_a_model_of_its_own_predicts_with_the_version_that_the_server_learnt(
    tmp_path: Path, prelabel_process: Any, wait_until: Callable[..., None]
) -> None:
    (tmp_path / "model.py").write_text(COUNTER)
    with FakeLabelStudio() as studio:
        reach = {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": studio.token}
        server = prelabel_process("serve", "model.py", env=reach)
        worker = prelabel_process("worker", "--model", "model.py", env=reach, wait=False)
        project = studio.add_project(TENS, [{"text": "one"}, {"text": "two"}])
        setup = {"project": f"{project}.1", "schema": TENS, "hostname": studio.url, "access_token": studio.token}
        assert httpx.post(f"{server.url}/setup", json=setup).status_code == 200
        event = {"action": "START_TRAINING", "project": {"id": project, "label_config": TENS}}
        assert httpx.post(f"{server.url}/webhook", json=event).status_code == 200

        def stored() -> list[list[str]]:
            return [[one for one in said if one == "Counter-0.1.0"] for said in studio.versions(project).values()]

        wait_until(lambda: stored() == [["Counter-0.1.0"]] * 2, what=lambda: server.log + worker.log)


def test_two_projects_that_count_alike_have_versions_of_their_own(begin: Begin) -> None:
    here = begin(COUNTER)
    for project in (7, 8):
        here.wrapper.learn("ANNOTATION_CREATED", learnt_event(project))
        here.wrapper.settle()
    assert here.said(8) == [("v1", "Counter-0.1.0-p8")]
    here.wrapper.learn("ANNOTATION_CREATED", learnt_event(7))
    assert here.said(7) == [("v2", "Counter-0.2.0")]


def test_a_version_of_another_model_is_not_taken_on(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    here = begin(COUNTER)
    first = here.predictor.model_version
    here.ledger.enter("Counter-0.1.0", "another", shadow=False)
    here.wrapper.learn("ANNOTATION_CREATED", learnt_event())
    assert here.said() == [("v1", first)]
    assert f"Counter goes on as {first}" in caplog.text
