"""Every example works as its first line says, and Label Studio would take all that it predicts."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path

import pytest

from prelabel.checking import check
from prelabel.settings import load_settings
from prelabel.tasks import Task

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [file for file in sorted((ROOT / "examples").glob("*.py")) if file.stem != "active_learning"]
"""All but the proof for docs/what-to-label-next.md, which is no model; tests/selection runs it."""
NEEDS = {"sentiment": "vaderSentiment"}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_predicts_what_label_studio_takes(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if file.stem in NEEDS and importlib.util.find_spec(NEEDS[file.stem]) is None:
        pytest.skip(f"{NEEDS[file.stem]} comes with the demo")
    monkeypatch.chdir(ROOT)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    assert example.__doc__ is not None
    _, _, target, *rest = shlex.split(example.__doc__.split("`")[1])
    options = dict(pair.split("=", 1) for pair in rest if "=" in pair)
    tasks = [Task.from_json(entry) for entry in example.tasks]
    report = check(target, example.label_config, tasks, load_settings(data_dir=tmp_path), options=options)
    assert report.ok, [(each.error, each.refusals) for each in report.tasks]
    assert any(each.prediction and each.prediction.result for each in report.tasks)
