"""A training from its job to what it leaves: real registry and Redis, a fake Label Studio, a model in a file."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from prelabel import embedded_redis, jobs, sweep
from prelabel.cli.stores import current_model
from prelabel.data import DataReader
from prelabel.errors import ModelError, ModelLoadError, OverloadedError
from prelabel.labelstudio import LabelStudio
from prelabel.loader import load_wrapper, model_version
from prelabel.lsml.learning import learning
from prelabel.predictor.local import LocalPredictor
from prelabel.queue import JobQueue, JobView, PredictOptions
from prelabel.runs import Connection, Ledger
from prelabel.server.annotated import counting
from prelabel.settings import Settings, load_settings
from prelabel.tasks import Task
from prelabel.testing.fake_label_studio import FakeLabelStudio
from prelabel.testing.stub import StubPredictor

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
MODEL = '''
"""Learns the last word that it is told; `order` says what else its fit does."""

import os
import threading
from pathlib import Path

labels = ["good", "bad"]
word = "bad"
here = Path(__file__).parent


def load(directory):
    global word
    word = (directory / "word.txt").read_text() if directory else "bad"


def predict(texts: list[str]) -> list[str]:
    return [word for _ in texts]


def fit(examples):
    global word
    for example in examples:
        word = example.label
    order = (here / "order").read_text() if (here / "order").exists() else ""
    if order == "fail":
        raise ValueError("no such luck")
    if order == "exit":
        raise SystemExit(3)
    if order == "die":
        os._exit(9)
    if order == "wait":
        (here / "waits").touch()
        threading.Event().wait()
    if order == "answer the model":
        return object()
    if order == "name it":
        return " mood-of-may "


def save(directory):
    (directory / "word.txt").write_text(word)
'''


@dataclass
class World:
    """One worker, and a project."""

    studio: FakeLabelStudio
    context: jobs.JobContext
    connection: Connection
    folder: Path

    @property
    def ledger(self) -> Ledger:
        return self.context.ledger

    @property
    def queue(self) -> JobQueue:
        return self.context.queue

    @property
    def untrained(self) -> str:
        settings = self.context.settings
        return model_version(load_wrapper(str(settings.model)), settings)

    def order(self, what: str) -> None:
        (self.folder / "order").write_text(what)

    def tasks(self, *labels: str | None) -> list[int]:
        """Imported tasks, annotated so; None: not."""
        ids = self.studio.add_tasks(self.connection.project, [{"text": "x"} for _ in labels])
        for task, label in zip(ids, labels, strict=True):
            if label is not None:
                self.annotate(task, label)
        return ids

    def annotate(self, task: int, label: str, **more: Any) -> None:
        self.studio.annotate(
            task, {"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": [label]}}, **more
        )

    def begun(self) -> str:
        job, new = self.queue.submit_training(self.connection, version=self.untrained, reason="test")
        assert new
        return job

    def trained(self) -> JobView:
        """What one training comes to."""
        job = self.begun()
        jobs.train_job(job)
        return self.queue.job(job)

    def listed(self) -> list[list[int]]:
        """The tasks that each job after a training would predict."""
        for view in self.queue.jobs():
            if not view.is_training and view.state == "queued":
                jobs.plan_job(view.id)
        return [sorted(self.ledger.planned_tasks(view.id, limit=100)) for view in self.queue.jobs()]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_redis.ensure(load_settings(data_dir=tmp_path_factory.mktemp("redis"))) as handle:
        yield handle.url


Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path, redis_url: str) -> Iterator[Make]:
    """Makes a world with settings of its own."""
    (tmp_path / "mood.py").write_text(MODEL, encoding="utf-8")
    with FakeLabelStudio() as studio:
        made: list[jobs.JobContext] = []

        def start(**given: Any) -> World:
            settings: Settings = load_settings(
                data_dir=tmp_path / "data",
                redis_url=redis_url,
                label_studio_api_key=studio.token,
                **{"model": f"{tmp_path / 'mood.py'}:predict", **given},
            )
            ledger = Ledger.open(settings)
            queue = JobQueue.open(settings, ledger)
            queue.redis.client.flushall()
            context = jobs.JobContext(settings, ledger, queue, lambda: StubPredictor("mood-0"), LabelStudio)
            made.append(context)
            project = studio.add_project(CONFIG)
            connection = ledger.remember_project(Connection(studio.url, project, CONFIG, model="mood"))
            world = World(studio, context, connection, tmp_path)
            stack.enter_context(jobs.use(context))
            return world

        with ExitStack() as stack:
            yield start
        for context in made:
            context.close()
            context.queue.close()
            context.ledger.close()


# --- what a training does


def test_a_training_makes_a_version_and_says_how_far_it_came(make: Make) -> None:
    world = make()
    tasks = world.tasks("good", "bad", "good", None)
    world.studio.annotate(tasks[3], skipped=True)
    job = world.begun()
    waiting = world.queue.job(job)
    assert (waiting.state, waiting.phase, waiting.total, waiting.done) == ("queued", "", 0, 0)
    jobs.train_job(job)
    view = world.queue.job(job)
    assert (view.state, view.phase, view.total, view.done, view.error) == ("done", "trained", 3, 3, "")
    served = world.ledger.to_serve("mood", shadow=False)
    assert served is not None
    assert (served.version, served.examples, served.before) == (view.options["version"], 3, world.untrained)
    assert (served.place(world.context.settings) / "word.txt").read_text() == "good"


def test_commands_beside_workers_without_a_server_speak_of_the_trained_version(make: Make) -> None:
    world = make()
    assert current_model(world.context.settings, world.ledger) == ("mood", world.untrained)
    world.tasks("good")
    version = world.trained().options["version"]
    assert current_model(world.context.settings, world.ledger) == ("mood", version)


def test_what_fit_returns_is_the_versions_name_if_it_is_text(make: Make) -> None:
    world = make()
    world.tasks("good")
    world.order("name it")
    assert world.trained().options["version"] == "mood-of-may"
    world.order("answer the model")
    assert str(world.trained().options["version"]).startswith("mood-")


@pytest.mark.parametrize("missing", ["fit", "save"])
def test_a_model_that_cannot_learn_is_said_so_before_anything_is_read(make: Make, tmp_path: Path, missing: str) -> None:
    world = make()
    (tmp_path / "mood.py").write_text(MODEL.replace(f"def {missing}(", f"def no_{missing}("), encoding="utf-8")
    job = world.begun()
    with pytest.raises(ModelError):
        jobs.train_job(job)
    assert world.queue.job(job).error.startswith("mood cannot be trained: it lacks `fit` or `save`.")


@pytest.mark.parametrize(
    ("order", "line", "said"),
    [
        ("fail", '        raise ValueError("no such luck")', "ValueError: no such luck"),
        ("exit", "        raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_fit_that_fails_leaves_the_version_before_and_says_why(make: Make, order: str, line: str, said: str) -> None:
    world = make()
    world.tasks("good")
    world.order(order)
    job = world.begun()
    with pytest.raises(ModelError):
        jobs.train_job(job)
    view = world.queue.job(job)
    assert view.state == "failed"
    assert view.error.startswith("the model's fit failed: ")
    assert f"mood.py:{MODEL.splitlines().index(line) + 1}: {said}." in view.error
    assert world.ledger.to_serve("mood", shadow=False) is None
    world.order("")
    world.queue.retry(job)
    jobs.train_job(job)
    assert world.queue.job(job).state == "done"


def test_nothing_to_learn_from_is_a_failure(make: Make) -> None:
    world = make()
    world.tasks(None)
    job = world.begun()
    with pytest.raises(ModelError, match="has no annotation that mood can learn from"):
        jobs.train_job(job)


def test_a_training_that_ends_its_process_twice_is_given_up(make: Make) -> None:
    world = make()
    world.tasks("good")
    world.order("die")
    job = world.begun()
    for _ in range(2):
        child: Any = multiprocessing.get_context("fork").Process(target=jobs.train_job, args=(job,))
        child.start()
        child.join(30)
        assert child.exitcode == 9
        assert world.queue.job(job).state == "running"
    with pytest.raises(ModelError, match="ended its process 2 times"):
        jobs.train_job(job)
    assert world.queue.job(job).state == "failed"
    world.order("")
    world.queue.retry(job)
    jobs.train_job(job)
    assert world.queue.job(job).state == "done"


def once(happened: Callable[[], object], do: Callable[[], object], wait_until: Callable[..., None]) -> threading.Thread:
    def watch() -> None:
        wait_until(happened)
        do()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_cancelling_ends_a_model_that_is_learning(make: Make, wait_until: Callable[..., None]) -> None:
    world = make()
    world.tasks("good")
    world.order("wait")
    job = world.begun()
    thread = once((world.folder / "waits").exists, lambda: world.queue.cancel(job), wait_until)
    jobs.train_job(job)
    thread.join()
    assert world.queue.job(job).state == "cancelled"
    assert world.ledger.to_serve("mood", shadow=False) is None
    world.order("")
    world.queue.resume(job)
    jobs.train_job(job)
    assert world.queue.job(job).state == "done"


def test_a_worker_that_stops_leaves_the_training_to_the_next(make: Make, wait_until: Callable[..., None]) -> None:
    world = make()
    world.tasks("good")
    world.order("wait")
    job = world.begun()
    thread = once((world.folder / "waits").exists, world.context.stopping.set, wait_until)
    with pytest.raises(OverloadedError, match="begins anew"):
        jobs.train_job(job)
    thread.join()
    view = world.queue.job(job)
    assert view.state == "running"
    assert "worker was stopped" in view.error
    world.context.stopping.clear()
    world.order("")
    jobs.train_job(job)
    assert (world.queue.job(job).state, world.queue.job(job).error) == ("done", "")


def test_files_that_were_changed_are_not_learnt_on(make: Make) -> None:
    world = make()
    world.tasks("good")
    world.trained()
    served = world.ledger.to_serve("mood", shadow=False)
    assert served is not None
    (served.place(world.context.settings) / "word.txt").write_text("evil")
    job = world.begun()
    with pytest.raises(ModelLoadError, match="are not those that training wrote"):
        jobs.train_job(job)
    assert "are not those that training wrote" in world.queue.job(job).error


# --- models of label_studio_ml, whose fit is called by the server
LEARNER = """
from pathlib import Path
from label_studio_ml.model import LabelStudioMLBase


class mood(LabelStudioMLBase):
    TRAIN_EVENTS = ("START_TRAINING",)

    def predict(self, tasks, context=None, **kwargs):
        return []

    def fit(self, event, data, **kwargs):
        if (Path(__file__).parent / "order").read_text() == "fail":
            raise ValueError("no such luck")
        assert (event, set(data), data["project"]["id"] > 0) == ("START_TRAINING", {"project"}, True)
        self.bump_model_version()
"""


@pytest.fixture
def taught(make: Make, tmp_path: Path) -> Callable[..., World]:
    """Makes a world whose model is one of `label_studio_ml`; ``text`` is its file."""

    def start(text: str = LEARNER) -> World:
        (tmp_path / "learner.py").write_text(text, encoding="utf-8")
        world = make(model=str(tmp_path / "learner.py"), drain_s=1.0)
        world.order("")
        return world

    return start


@contextmanager
def served(world: World) -> Iterator[LocalPredictor]:
    """As the server does: the model is there, and learns from its events."""
    settings = world.context.settings
    with closing(DataReader(settings)) as reader:
        predictor = LocalPredictor(load_wrapper(str(settings.model)), reader, settings, world.ledger)
        with closing(predictor), learning(predictor, world.ledger):
            yield predictor


def test_a_model_of_label_studio_ml_is_told_to_learn_and_the_training_ends_with_what_it_set(
    taught: Callable[..., World],
) -> None:
    world = taught()
    with served(world) as predictor:
        assert world.trained().options["version"] == predictor.model_version == "mood-0.1.0"
        assert world.trained().options["version"] == "mood-0.2.0"
        world.order("fail")
        job = world.begun()
        with pytest.raises(ModelError, match=r"learner.py:14: ValueError: no such luck"):
            jobs.train_job(job)
        assert world.queue.job(job).state == "failed"
        world.order("")
        world.queue.retry(job)
        jobs.train_job(job)
        assert world.queue.job(job).options["version"] == "mood-0.3.0"


def test_a_training_waits_for_the_server_and_when_cancelled_takes_its_event_along(
    taught: Callable[..., World], wait_until: Callable[..., None]
) -> None:
    world = taught()
    job = world.begun()
    waiting: list[str] = []

    def cancel() -> None:
        waiting.extend(event.event for event in world.ledger.events("mood"))
        world.queue.cancel(job)

    thread = once(lambda: world.queue.job(job).phase == "waiting for the server that has the model", cancel, wait_until)
    jobs.train_job(job)
    thread.join()
    assert waiting == ["START_TRAINING"]
    assert world.queue.job(job).state == "cancelled"
    assert world.ledger.events("mood") == []
    world.queue.resume(job)
    with served(world):
        jobs.train_job(job)
    assert world.queue.job(job).options["version"] == "mood-0.1.0"


def test_a_training_that_begins_anew_waits_for_the_event_that_it_wrote(
    taught: Callable[..., World], wait_until: Callable[..., None]
) -> None:
    world = taught()
    job = world.begun()
    thread = once(lambda: world.ledger.events("mood"), world.context.stopping.set, wait_until)
    with pytest.raises(OverloadedError, match="begins anew"):
        jobs.train_job(job)
    thread.join()
    world.context.stopping.clear()
    with served(world):
        jobs.train_job(job)
    assert world.queue.job(job).options["version"] == "mood-0.1.0"  # it learnt once


def test_a_model_that_does_not_learn_from_start_training_says_from_what_it_does(taught: Callable[..., World]) -> None:
    world = taught(LEARNER.replace('"START_TRAINING",', '"ANNOTATION_CREATED",', 1))
    job = world.begun()
    with pytest.raises(ModelError, match=r"does not learn from START_TRAINING\. .*ANNOTATION_CREATED"):
        jobs.train_job(job)


# --- what the new version predicts


@pytest.mark.parametrize("policy", ["nothing", "unlabeled", "all"])
def test_the_policy_says_what_is_predicted_and_the_sweep_keeps_to_it(make: Make, policy: str) -> None:
    world = make(train_predict=policy)
    tasks = world.tasks("good", None, "bad", None)
    version = str(world.trained().options["version"])
    here = {"nothing": [], "unlabeled": [tasks[1], tasks[3]], "all": tasks}[policy]
    assert [found for found in world.listed() if found] == ([here] if here else [])
    sweep.discover(world.context, version)
    assert [found for found in world.listed() if found] == ([here] if here else [])
    later = world.tasks(None, "good")
    sweep.discover(world.context, version)
    assert [found for found in world.listed() if found and found != here] == [later]


def test_jobs_of_the_version_before_make_way_in_all_projects(make: Make) -> None:
    world = make(train_predict="nothing")
    world.tasks("good")
    other = world.ledger.remember_project(replace(world.connection, id=0, project=world.studio.add_project(CONFIG)))
    asked = world.queue.submit_project(other, PredictOptions(), version=world.untrained, reason="predict command")
    imported = world.queue.submit_tasks(other, [Task(9, {"text": "x"})], version=world.untrained, reason="import")
    in_shadow = world.queue.submit_project(other, PredictOptions(), version="mood-shadow", reason="sweep")
    world.ledger.put_in_shadow("mood-shadow")
    version = world.trained().options["version"]
    states = {view.id: view.state for view in world.queue.jobs()}
    assert (states[asked], states[imported], states[in_shadow]) == ("cancelled", "cancelled", "queued")
    (goes_on,) = [view for view in world.queue.jobs() if view.version == version]
    assert (goes_on.project, goes_on.reason, goes_on.state) == (other.project, "predict command", "queued")
    assert world.queue.job(asked).error == (f"{version} took the place of {world.untrained}. Job {goes_on.id} goes on.")


# --- annotations that no webhook told of


def test_annotations_without_a_webhook_begin_a_training(make: Make, wait_until: Callable[..., None]) -> None:
    world = make(train_after=3, sweep_interval_s=1)
    predictor = StubPredictor(world.untrained, name="mood")
    predictor.trainable = True  # type: ignore[attr-defined]  # as a model with fit and save

    def trainings() -> list[JobView]:
        return [view for view in world.queue.jobs() if view.is_training]

    with (
        LabelStudio(world.studio.url, world.studio.token) as client,
        counting(predictor, world.queue, lambda _: client, world.context.settings),
    ):
        world.tasks("good", "bad")
        world.annotate(world.tasks(None)[0], "good")
        wait_until(lambda: len(trainings()) == 1)
        (first,) = trainings()
        assert first.reason == "3 annotations"
        jobs.train_job(first.id)
        world.tasks("good", "bad")
        assert world.ledger.recount(world.connection, 5) == 2
        world.tasks("good")
        wait_until(lambda: len(trainings()) == 2)


def test_counted_are_annotations_since_the_last_training_began(make: Make) -> None:
    world = make()
    world.tasks("good", "bad")
    assert world.ledger.recount(world.connection, 2) == 2
    job = world.begun()
    assert world.ledger.recount(world.connection, 9) == 0, "one waits"
    jobs.train_job(job)
    assert world.ledger.recount(world.connection, 5) == 3
    assert world.ledger.annotated(world.connection) == 4
    assert world.ledger.recount(world.connection, 1) == 0, "some were deleted"
