"""What is said of a model's file that cannot be read, of frameworks that are missing, of options out of bounds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.dummy import DummyClassifier

from prelabel.errors import ModelLoadError
from prelabel.loader import load, load_wrapper

STORED = {
    "sklearn": {},
    "timeseries": {"window": "2"},
}


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    path = tmp_path / "classifier.joblib"
    joblib.dump(DummyClassifier().fit([[0, 0], [1, 1]], ["a", "b"]), path)
    return path


@pytest.mark.parametrize("name", STORED)
def test_a_file_that_is_no_pickle_is_named_with_what_is_wrong(name: str, tmp_path: Path) -> None:
    path = tmp_path / "text.joblib"
    path.write_text("no pickle", encoding="utf-8")
    with pytest.raises(ModelLoadError, match=r"text\.joblib cannot be read: .*joblib\.dump, by releases"):
        load(load_wrapper(name, {"model": str(path), **STORED[name]}))


@pytest.mark.parametrize("name", STORED)
def test_a_missing_scikit_learn_is_named_even_where_joblib_is_there(
    name: str, classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModelLoadError, match=rf'scikit-learn is not installed.*pip install "prelabel\[{name}\]"'):
        load(load_wrapper(name, {"model": str(classifier), **STORED[name]}))


def test_a_classifier_that_could_never_learn_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModelLoadError, match=r'pip install "prelabel\[sklearn\]"'):
        load(load_wrapper("classifier"))


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("vad", {"threshold": "2"}, "option threshold of vad must be number from 0 to 1, not '2'"),
        ("ocr", {"min_score": "-1"}, "option min_score of ocr must be number from 0 to 1"),
        ("http", {"url": "http://h/", "batch": "0"}, "option batch of http must be integer from 1, not '0'"),
        ("openai", {"model": "m", "concurrency": "0"}, "option concurrency of openai must be integer from 1"),
        ("openai", {"model": "m", "headers": "[1]"}, "option headers of openai must be JSON object"),
        ("whisper", {"model": "m", "beam": "0"}, "option beam of whisper must be integer from 1"),
    ],
)
def test_options_out_of_bounds_are_refused_when_they_are_given(
    name: str, options: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ModelLoadError, match=sentence):
        load_wrapper(name, options)


def test_a_pipeline_that_spacy_does_not_find_is_asked_for_as_a_directory_or_a_package(tmp_path: Path) -> None:
    pytest.importorskip("spacy")
    hints: dict[str, Any] = {}
    for model in (str(tmp_path), "no_such_pipeline"):
        with pytest.raises(ModelLoadError) as found:
            load(load_wrapper("spacy", {"model": model}))
        hints[model] = found.value.hint
    assert "config.cfg" in hints[str(tmp_path)]
    assert "spacy download no_such_pipeline" in hints["no_such_pipeline"]
