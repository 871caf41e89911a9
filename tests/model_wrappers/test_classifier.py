"""The classifier that begins knowing nothing: what it learns, keeps and says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prelabel.errors import ModelError, ModelLoadError
from prelabel.examples import Example
from prelabel.labeling import parse
from prelabel.loader import load, load_wrapper
from prelabel.model import InputKind, Silence
from prelabel.outputs import Choice
from prelabel.tasks import Task

CONFIG = parse(
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
ENCODER = """
import numpy as np
from prelabel import InputKind, ModelWrapper


class Lengths(ModelWrapper):
    input = InputKind.TEXT

    def predict(self, batch):
        raise AssertionError("an encoder is not asked to predict")

    def embed(self, batch):
        return np.array([[len(text), text.count(" ")] for text in batch], dtype=np.float32)
"""
LEARNT = [("a good day", "good"), ("so good", "good"), ("a bad day", "bad"), ("so bad", "bad")]


def examples(said: Sequence[tuple[str, str | None]]) -> list[Example]:
    return [
        Example(Task(number, {"text": text}), text, (chosen(label),) if label else (), CONFIG)
        for number, (text, label) in enumerate(said)
    ]


def chosen(label: str) -> dict[str, Any]:
    return {"type": "choices", "from_name": "mood", "to_name": "text", "value": {"choices": [label]}}


def test_it_says_nothing_before_it_learnt() -> None:
    classifier = load_wrapper("classifier")
    load(classifier)
    assert [type(said) for said in classifier.predict(["a", "b"])] == [Silence, Silence], "no empty prediction"
    assert (classifier.can_fit, classifier.can_embed) == (True, False)


def test_what_it_learnt_is_kept_and_read_again(tmp_path: Path) -> None:
    classifier = load_wrapper("classifier")
    load(classifier)
    classifier.fit([*examples(LEARNT), *examples([("nobody said", None)])])
    classifier.save(tmp_path)
    again = load_wrapper("classifier")
    again.artifact = tmp_path
    load(again)
    assert again.labels == ("bad", "good")
    said = again.predict(["good bread", "bad bread"])
    assert [one.label for one in said] == ["good", "bad"]
    assert said == classifier.predict(["good bread", "bad bread"])
    (first, _) = said
    assert isinstance(first, Choice)
    assert first.distribution is not None
    assert sum(first.distribution.values()) == pytest.approx(1)
    assert first.score == max(first.distribution.values())


def test_one_class_is_nothing_to_learn() -> None:
    classifier = load_wrapper("classifier")
    load(classifier)
    with pytest.raises(ModelError, match="only 'good' is annotated"):
        classifier.fit(examples(LEARNT[:2]))
    with pytest.raises(ModelError, match="none is annotated"):
        classifier.fit([])


def test_of_several_controls_it_learns_the_one_that_is_named() -> None:
    said = [(text, mood, topic) for (text, mood), topic in zip(LEARNT, ("bread", "day", "bread", "day"), strict=True)]
    both = [
        Example(Task(1, {"text": text}), text, (chosen(mood), {**chosen(topic), "from_name": "topic"}), CONFIG)
        for text, mood, topic in said
    ]
    undecided, moods, topics = (
        load_wrapper("classifier", given) for given in ({}, {"control": "mood"}, {"control": "topic"})
    )
    for classifier in (undecided, moods, topics):
        load(classifier)
    with pytest.raises(ModelError, match="name the control to learn: -o control=NAME of mood, topic"):
        undecided.fit(both)
    moods.fit(both)
    topics.fit(both)
    (mood, topic) = (classifier.predict(["so good"])[0] for classifier in (moods, topics))
    assert isinstance(mood, Choice)
    assert isinstance(topic, Choice)
    assert (mood.label, mood.control, topic.label, topic.control) == ("good", "mood", "day", "topic")


def test_an_encoder_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "lengths.py").write_text(ENCODER)
    classifier = load_wrapper("classifier", {"encoder": f"{tmp_path / 'lengths.py'}:Lengths"})
    load(classifier)
    assert classifier.input is InputKind.TEXT
    classifier.fit(examples([("x" * size, "good" if size > 40 else "bad") for size in range(1, 81)]))
    assert [one.label for one in classifier.predict(["y" * 70, "y" * 5])] == ["good", "bad"]
    assert np.array_equal(classifier.embed(["ab c"]), [[4, 1]])
    with pytest.raises(ModelLoadError, match="cannot embed"):
        load_wrapper("classifier", {"encoder": "vad"})


def test_the_version_knows_the_encoder(tmp_path: Path) -> None:
    (tmp_path / "lengths.py").write_text(ENCODER)
    words, lengths = load_wrapper("classifier"), load_wrapper("classifier", {"encoder": f"{tmp_path}/lengths.py"})
    assert words.fingerprint() != lengths.fingerprint()
    assert words.fingerprint() == load_wrapper("classifier").fingerprint()
