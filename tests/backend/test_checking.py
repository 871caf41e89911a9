"""`prelabel check` says what Label Studio would get and refuse, without a Label Studio."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prelabel.checking import CheckReport, check, read_tasks
from prelabel.errors import LabelingConfigError, ModelLoadError, TaskError
from prelabel.model import InputKind
from prelabel.settings import load_settings
from prelabel.tasks import Task

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="Good"/><Choice value="Bad"/></Choices>'
    '<Labels name="ner" toName="text"><Label value="PER"/></Labels></View>'
)


def checked(tmp_path: Path, code: str, *texts: str, config: str = CONFIG) -> CheckReport:
    (tmp_path / "model.py").write_text(code)
    tasks = [Task(None, {"text": text}) for text in texts]
    return check(str(tmp_path / "model.py"), config, tasks, load_settings(data_dir=tmp_path))


def test_a_model_that_fits_gets_a_prediction_for_every_task(tmp_path: Path) -> None:
    report = checked(
        tmp_path, "def predict(texts: list[str]):\n    return [{'Good': 0.75, 'Bad': 0.25} for _ in texts]", "a", "b"
    )
    assert report.ok
    assert report.usable
    assert (report.input, report.reads) == (InputKind.TEXT, "text")
    assert not report.declares
    assert [task.prediction.score for task in report.tasks if task.prediction] == [0.75, 0.75]
    assert report.import_json()[0]["data"] == {"text": "a"}
    assert report.import_json()[0]["predictions"][0]["result"][0]["value"] == {"choices": ["Good"]}


def test_labels_that_no_control_has_are_named(tmp_path: Path) -> None:
    report = checked(
        tmp_path, "labels = ['Ugly']\ndef predict(texts: list[str]):\n    return ['Ugly' for _ in texts]", "a"
    )
    assert not report.usable
    assert "Ugly" in report.fit.refusal
    assert report.tasks == ()


def test_what_would_be_dropped_is_said_task_by_task(tmp_path: Path) -> None:
    code = (
        "from prelabel import Choice, Span\n"
        "def predict(texts: list[str]):\n"
        "    return [[Choice('Good'), Span(0, 2, 'ORG')] if t == 'ab' else Choice('Good') for t in texts]"
    )
    whole, part = checked(tmp_path, code, "xy", "ab").tasks
    assert whole.ok
    assert not part.ok
    assert part.prediction is not None
    assert "ORG" in part.prediction.dropped[0]


def test_one_task_that_fails_does_not_cost_the_others(tmp_path: Path) -> None:
    code = "def predict(texts: list[str]):\n    return [{'a': 'Good'}[text] for text in texts]"
    good, bad = checked(tmp_path, code, "a", "b").tasks
    assert good.ok
    assert bad.error is not None
    assert "KeyError" in str(bad.error)


def test_what_label_studios_validator_would_refuse_is_said(tmp_path: Path) -> None:
    code = (
        "from prelabel import Raw\n"
        "def predict(texts: list[str]):\n"
        "    region = {'from_name': 'mood', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['Odd']}}\n"
        "    return [Raw(region) for _ in texts]"
    )
    (task,) = checked(tmp_path, code, "a").tasks
    assert not task.ok
    assert "Odd" in " ".join(task.refusals + (task.prediction.dropped if task.prediction else ()))


def test_a_model_that_cannot_be_loaded_is_an_error_that_says_where(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"model\.py:2: ValueError: no weights"):
        checked(tmp_path, "def load():\n    raise ValueError('no weights')\ndef predict(t: list[str]): ...", "a")


def test_a_config_that_is_no_xml_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabelingConfigError):
        checked(tmp_path, "def predict(t: list[str]): ...", "a", config="<View>")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.json", json.dumps([{"data": {"text": "a"}}, {"text": "b"}])),
        ("t.jsonl", '{"text": "a"}\n\n{"text": "b"}\n'),
        ("t.csv", "text\na\nb\n"),
        ("t.tsv", "id_\ttext\n1\ta\n2\tb\n"),
        ("t.txt", "a\n\nb\n"),
    ],
)
def test_tasks_are_read_as_label_studio_imports_them(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert [task.data["text"] for task in read_tasks(tmp_path / name)] == ["a", "b"]
    assert len(read_tasks(tmp_path / name, limit=1)) == 1


@pytest.mark.parametrize(("content", "sentence"), [("[1]", "must be a JSON object"), ("{", "is malformed")])
def test_a_file_that_holds_no_tasks_is_an_error(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(TaskError, match=sentence):
        read_tasks(tmp_path / "t.json")
    with pytest.raises(TaskError, match="cannot be read"):
        read_tasks(tmp_path / "none.json")
