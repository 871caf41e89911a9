"""A second version beside a served one: it predicts in shadow, is promoted by a condition, and rolled back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = pytest.mark.labelstudio

TEXTS = ["good morning", "a bad road", "good bread", "nothing to say", "great"]
TRUTH = ["Positive", "Negative", "Positive", "Negative", "Positive"]
NAME = {"PRELABEL_MODEL_NAME": "sentiment"}
MODEL = """
labels = ["Positive", "Negative"]
WORDS = {words}


def predict(texts: list[str]) -> list[str]:
    with open({log!r}, "a", encoding="utf-8") as log:
        log.writelines(text + chr(10) for text in texts)
    return ["Positive" if any(word in text for word in WORDS) else "Negative" for text in texts]
"""


@pytest.fixture
def server(label_studio: LabelStudioServer, prelabel_process: Any, tmp_path: Path) -> Any:
    """``prelabel up`` with the old model."""
    old = tmp_path / "old.py"
    old.write_text(MODEL.format(words=["good"], log=str(tmp_path / "old.log")), encoding="utf-8")
    return prelabel_process("up", f"{old}:predict", label_studio=label_studio, env=NAME)


def test_a_shadow_is_promoted_and_rolled_back_without_asking_a_model_again(
    server: Any, project: Any, prelabel_process: Any, run_prelabel: Any, wait_until: Any
) -> None:
    folder = prelabel_process.folder
    new = folder / "new.py"
    new.write_text(MODEL.format(words=["good", "great"], log=str(folder / "new.log")), encoding="utf-8")
    here = project()
    label_studio = here.server
    here.connect(server.url)
    ids = here.import_texts(TEXTS)
    before = {one["model_version"] for one in here.wait_for_predictions(len(ids))}.pop()

    prelabel_process("worker", "--model", f"{new}:predict", "--shadow", label_studio=label_studio, env=NAME, wait=False)

    def runs() -> dict[str, str]:
        return {one["run"]: one["stage"] for one in json.loads(run_prelabel("runs", "list", "--json").stdout)}

    wait_until(lambda: "shadow" in runs().values())
    (after,) = (run for run, stage in runs().items() if stage == "shadow")
    wait_until(lambda: (folder / "new.log").exists() and len(lines(folder / "new.log")) >= len(TEXTS))
    assert {one["model_version"] for one in here.predictions()} == {before}

    for task, label in zip(ids, TRUTH, strict=True):
        result = [{"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [label]}}]
        assert here.api.post(f"/api/tasks/{task}/annotations", json={"result": result}).status_code == 201
    reach = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.token}
    for run in (before, after):
        said = run_prelabel("runs", "labels", run, "--project", str(here.id), env=reach)
        assert said.returncode == 0, said.stderr
    refused = run_prelabel("runs", "promote", before, "--if", f"f1 > {after}.f1")
    assert refused.returncode == 1, refused.stdout + refused.stderr
    promoted = run_prelabel("runs", "promote", after, "--if", f"f1 > {before}.f1")
    assert promoted.returncode == 0, promoted.stdout + promoted.stderr
    assert promoted.stdout.startswith("f1 (1) > ")

    setup = {"project": f"{here.id}.1", "schema": here.label_config, "hostname": label_studio.url}

    def shown() -> str:
        return str(httpx.post(f"{server.url}/setup", json=setup).json()["model_version"])

    wait_until(lambda: shown() == after)
    asked = lines(folder / "new.log")
    here.wait_for_predictions(2 * len(ids))
    assert {one["model_version"] for one in here.predictions()} == {before, after}
    assert lines(folder / "new.log") == asked

    doomed = [one["id"] for one in here.predictions() if one["model_version"] == before]
    for prediction in doomed:
        assert here.api.delete(f"/api/predictions/{prediction}").status_code == 204
    asked = lines(folder / "old.log")
    assert run_prelabel("runs", "rollback", "sentiment").returncode == 0
    wait_until(lambda: shown() == before)
    here.wait_for_predictions(2 * len(ids))
    assert sorted(one["model_version"] for one in here.predictions()) == sorted([before, after] * len(ids))
    assert lines(folder / "old.log") == asked


def lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines()
