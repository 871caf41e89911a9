"""Training: what is learnt from, what is kept, what is served after it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prelabel import artifacts
from prelabel.data import DataReader
from prelabel.errors import ModelLoadError, RequestError, SettingsError
from prelabel.examples import Example
from prelabel.labeling import parse
from prelabel.loader import load_wrapper, model_version
from prelabel.outputs import Box, Choice, Unit
from prelabel.predictions import Prediction
from prelabel.predictor.local import LocalPredictor
from prelabel.runs import Connection, Ledger
from prelabel.settings import Settings, load_settings
from prelabel.successor import as_trained, following
from prelabel.tasks import Task

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
MODEL = '''
"""Says the word that it was told."""

labels = ["good", "bad"]
word = "bad"


def load(directory):
    global word
    if directory is not None:
        word = (directory / "word.txt").read_text()


def predict(texts: list[str]) -> list[str]:
    return [word for _ in texts]


def fit(examples):
    global word
    word = [example.label for example in examples][-1]


def save(directory):
    (directory / "word.txt").write_text(word)
'''


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    (tmp_path / "mood.py").write_text(MODEL, encoding="utf-8")
    return load_settings(
        data_dir=tmp_path / "data", database_url=database_url, model=f"{tmp_path / 'mood.py'}:predict", drain_s=1.0
    )


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    made = Ledger.open(settings)
    yield made
    made.close()


@pytest.fixture
def place(ledger: Ledger) -> Connection:
    return ledger.remember_project(Connection("http://studio", 7, CONFIG, "secret", model="mood"))


def example(*regions: dict[str, Any], text: str = "x") -> Example:
    return Example(Task(1, {"text": text}, 7), text, regions, parse(CONFIG))


def chosen(*labels: str, **more: Any) -> dict[str, Any]:
    return {"from_name": "mood", "type": "choices", "value": {"choices": list(labels), **more}, "id": "r"}


def trained(settings: Settings, ledger: Ledger, label: str) -> artifacts.Artifact:
    """What a training job does, with one example."""
    wrapper = as_trained(load_wrapper(str(settings.model)), ledger, settings)
    before = model_version(wrapper, settings)
    wrapper.load()
    assert wrapper.fit([example(chosen(label))]) is None
    with artifacts.unfinished(settings, "mood") as directory:
        wrapper.save(directory)
        kept = artifacts.keep(directory, settings, wrapper, said=None, examples=1, now=ledger.now(), before=before)
    ledger.add_trained(kept, "mood", {"trained_from": before})
    return kept


# -- examples


def test_an_examples_label_is_its_one_class() -> None:
    assert example(chosen("good")).label == "good"
    assert example(chosen("good", "bad")).label is None
    assert example(chosen("good", "bad")).labels == ("good", "bad")
    about_a_span = chosen("good", start=0, end=1)
    assert (example(about_a_span).label, example(about_a_span, chosen("bad")).label) == (None, "bad")


def test_boxes_of_an_example_are_in_pixels() -> None:
    value = {"x": 10.0, "y": 20.0, "width": 5.0, "height": 10.0, "rectanglelabels": ["Car"]}
    region = {"type": "rectanglelabels", "from_name": "box", "id": "a", "value": value}
    (box,) = example({**region, "original_width": 400, "original_height": 200}).outputs
    assert box == Box(40, 40, 20, 20, "Car", control="box", id="a")
    (unknown,) = example(region).outputs
    assert isinstance(unknown, Box)
    assert (unknown.unit, unknown.x) == (Unit.PERCENT, 10.0)


def test_a_region_that_is_not_as_label_studio_writes_it_costs_nothing_else() -> None:
    odd = {"type": "choices", "from_name": "mood", "value": {}}
    raw, choice = example(odd, chosen("bad")).outputs
    assert type(raw).__name__ == "Raw"
    assert choice == Choice("bad", control="mood", id="r")


# -- artifacts


def test_a_version_is_made_of_code_and_what_was_learnt(settings: Settings, ledger: Ledger) -> None:
    good, bad, again = (trained(settings, ledger, label) for label in ("good", "bad", "good"))
    assert good.version != bad.version
    assert (again.version, again.sha256, again.directory) == (good.version, good.sha256, good.directory)
    assert (good.version[:5], len(good.version)) == ("mood-", 13)
    assert (good.place(settings) / "word.txt").read_text() == "good"
    assert [one.version for one in ledger.trained("mood")] == [good.version, bad.version]


def test_files_that_were_changed_are_not_served(settings: Settings, ledger: Ledger) -> None:
    kept = trained(settings, ledger, "good")
    (settings.data_dir / kept.directory / "word.txt").write_text("evil")
    with pytest.raises(ModelLoadError, match="are not those that training wrote"):
        kept.place(settings)
    assert as_trained(load_wrapper(str(settings.model)), ledger, settings).artifact is None


def test_a_model_that_writes_nothing_is_refused_and_leaves_nothing(settings: Settings, ledger: Ledger) -> None:
    wrapper = load_wrapper(str(settings.model))
    with pytest.raises(ModelLoadError, match="wrote nothing"), artifacts.unfinished(settings, "mood") as directory:
        artifacts.keep(directory, settings, wrapper, said=None, examples=1, now=0.0, before="")
    assert list((settings.data_dir / "artifacts" / "mood").iterdir()) == []


def test_what_a_killed_training_left_is_removed_a_day_later(settings: Settings) -> None:
    parent = settings.data_dir / "artifacts" / "mood"
    for name, age_s in (("old", 25 * 3600), ("new", 3600)):
        left = parent / f"{artifacts.UNFINISHED}{name}"
        left.mkdir(parents=True)
        os.utime(left, (time.time() - age_s,) * 2)
    with artifacts.unfinished(settings, "mood") as directory:
        assert {path.name for path in parent.iterdir()} == {f"{artifacts.UNFINISHED}new", directory.name}


def test_other_users_may_read_what_they_may_read_of_the_data_directory(settings: Settings, ledger: Ledger) -> None:
    (settings.data_dir / "artifacts" / "mood").mkdir(parents=True, mode=0o750)
    kept = trained(settings, ledger, "good")
    assert kept.place(settings).stat().st_mode & 0o777 == 0o750


def test_a_name_that_fit_gives_twice_is_refused(settings: Settings, ledger: Ledger) -> None:
    kept = trained(settings, ledger, "good")
    other = artifacts.Artifact(kept.version, "elsewhere", "0" * 64, "predict", 1, 0.0, "")
    with pytest.raises(RequestError, match="trained into other files"):
        ledger.add_trained(other, "mood", {})
    with pytest.raises(SettingsError, match="one of the model 'mood' already"):
        ledger.add_trained(kept, "another", {})


# -- the registry


def test_a_project_has_one_training_at_a_time(ledger: Ledger, place: Connection) -> None:
    job, new = ledger.begin_training(place, "mood-1", reason="test")
    assert new
    assert ledger.begin_training(place, "mood-1", reason="test") == (job, False)
    ledger.set_job_state(job, "failed")
    assert ledger.begin_training(place, "mood-1", reason="test")[1]


def test_annotations_are_counted_anew_from_each_training_on(ledger: Ledger, place: Connection) -> None:
    assert [ledger.annotated(place) for _ in range(3)] == [1, 2, 3]
    ledger.begin_training(place, "mood-1", reason="test")
    assert ledger.annotated(place) == 1


def test_the_promoted_version_is_served_and_in_shadow_the_newest(settings: Settings, ledger: Ledger) -> None:
    def served(*, shadow: bool = False) -> str | None:
        found = ledger.to_serve("mood", shadow=shadow)
        return found.version if found is not None else None

    assert served() is None
    first, second = trained(settings, ledger, "good"), trained(settings, ledger, "bad")
    assert served() == second.version
    ledger.promote(first.version)
    assert (served(), served(shadow=True)) == (first.version, second.version)
    ledger.enter("mood-untrained", "mood", shadow=False)
    ledger.promote("mood-untrained")
    assert served() is None


def test_what_no_version_has_said_anything_of(ledger: Ledger, place: Connection) -> None:
    ledger.plan("mood-1", place, [Task(task, {"text": "x"}, 7) for task in (1, 2)])
    first = ledger.planned(version="mood-1")[0]
    ledger.record([(first, Prediction(({"id": "r"},), 0.5, "mood-1"))])
    assert ledger.unpredicted(place, [1, 2, 3]) == {2, 3}


# -- serving


@pytest.fixture
def predictor(settings: Settings, ledger: Ledger) -> Iterator[LocalPredictor]:
    reader = DataReader(settings)
    wrapper = as_trained(load_wrapper(str(settings.model)), ledger, settings)
    made = LocalPredictor(wrapper, reader, settings, ledger)
    assert made.wait_ready(60)
    yield made
    made.close()
    reader.close()


def ask(predictor: LocalPredictor) -> tuple[str, str]:
    """Version and word of one answer."""
    (outcome,) = predictor.predict([Task(1, {"text": "x"}, 7)], parse(CONFIG))
    assert outcome.prediction is not None, outcome.error
    return outcome.prediction.model_version, outcome.prediction.result[0]["value"]["choices"][0]


def test_a_trained_version_replaces_the_served_one_and_no_request_is_dropped(
    settings: Settings, ledger: Ledger, predictor: LocalPredictor, wait_until: Callable[..., None]
) -> None:
    untrained = predictor.model_version
    answers: list[tuple[str, str]] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            answers.append(ask(predictor))

    asking = [threading.Thread(target=keep_asking) for _ in range(4)]
    with following(predictor, ledger, settings):
        for thread in asking:
            thread.start()
        kept = trained(settings, ledger, "good")
        wait_until(lambda: predictor.model_version == kept.version)
        wait_until(lambda: answers[-1][0] == kept.version)
        stop.set()
        for thread in asking:
            thread.join()
    assert set(answers) == {(untrained, "bad"), (kept.version, "good")}


def test_promoting_and_rolling_back_change_what_is_served(
    settings: Settings, ledger: Ledger, predictor: LocalPredictor, wait_until: Callable[..., None]
) -> None:
    with following(predictor, ledger, settings):
        first, second = trained(settings, ledger, "good"), trained(settings, ledger, "bad")
        wait_until(lambda: predictor.model_version == second.version)
        ledger.promote(first.version)
        wait_until(lambda: ask(predictor) == (first.version, "good"))
        ledger.promote(second.version)
        wait_until(lambda: ask(predictor) == (second.version, "bad"))
        assert ledger.roll_back("mood") == first.version
        wait_until(lambda: ask(predictor) == (first.version, "good"))


def test_a_version_that_cannot_be_loaded_leaves_the_one_before(
    settings: Settings, ledger: Ledger, predictor: LocalPredictor, wait_until: Callable[..., None], caplog: Any
) -> None:
    kept = trained(settings, ledger, "good")
    (settings.data_dir / kept.directory / "word.txt").unlink()
    with following(predictor, ledger, settings, rest_s=0.1):
        wait_until(lambda: "stays: " in caplog.text)
        assert ask(predictor)[1] == "bad"
        (settings.data_dir / kept.directory / "word.txt").write_text("good")
        wait_until(lambda: ask(predictor) == (kept.version, "good"))
    assert caplog.text.count("stays: ") == 1
