"""Annotations become a new version: from the button, by themselves and from the terminal; and the server goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = pytest.mark.labelstudio

TEXTS = ["good morning", "a bad road", "good bread", "a bad day", "so good", "bad again", "good, is it", "bad, is it"]
LEFT = ["a good one", "a bad one"]


def test_a_model_learns_from_annotations_and_serves_what_it_learnt(
    label_studio: LabelStudioServer, project: Any, prelabel_process: Any, run_prelabel: Any, wait_until: Any
) -> None:
    environment = {"PRELABEL_TRAIN_AFTER": str(len(TEXTS))}
    backend = prelabel_process("up", "classifier", label_studio=label_studio, env=environment)
    here = project()
    made = here.connect(backend.url)
    ids = here.import_texts(TEXTS + LEFT)
    untrained = version_of(backend.url, here)

    refused = here.api.post(f"/api/ml/{made['id']}/train")
    assert refused.status_code == httpx.codes.OK
    wait_until(lambda: [job["state"] for job in listed(run_prelabel) if job["kind"] == "train"] == ["failed"])
    assert "nothing to tell apart" in next(job["error"] for job in listed(run_prelabel) if job["kind"] == "train")
    assert version_of(backend.url, here) == untrained

    for task, text in zip(ids, TEXTS, strict=False):
        choice = "Positive" if "good" in text else "Negative"
        result = [{"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [choice]}}]
        assert here.api.post(f"/api/tasks/{task}/annotations", json={"result": result}).status_code == 201
    wait_until(lambda: version_of(backend.url, here) != untrained, what=lambda: backend.log)
    trained = version_of(backend.url, here)

    def left() -> dict[int, list[str]]:
        return {
            task: [one["result"][0]["value"]["choices"][0] for one in said if one["model_version"] == trained]
            for task, said in here.predictions_by_task().items()
            if task in ids[-2:] and any(one["model_version"] == trained for one in said)
        }

    wait_until(lambda: left() == {ids[-2]: ["Positive"], ids[-1]: ["Negative"]}, what=lambda: backend.log)
    assert {one["task"] for one in here.predictions() if one["model_version"] == trained} == set(ids[-2:])  # unlabeled

    run = json.loads(run_prelabel("runs", "show", trained, "--json").stdout)
    assert run["provenance"]["trained_from"] == untrained
    assert run["provenance"]["examples"] == len(TEXTS)

    again = run_prelabel("train", "--project", str(here.id), env=reach(label_studio, backend))
    assert again.returncode == 0, again.stderr
    assert f" learnt from {len(TEXTS)} tasks." in again.stdout


def version_of(url: str, here: Any) -> str:
    body = {"project": f"{here.id}.1", "schema": here.label_config}
    return str(httpx.post(f"{url}/setup", json=body).json()["model_version"])


def listed(run_prelabel: Any) -> list[dict[str, Any]]:
    return list(json.loads(run_prelabel("jobs", "--json").stdout))


def reach(label_studio: LabelStudioServer, backend: Any) -> dict[str, str]:
    return {
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": label_studio.token,
        "PRELABEL_SERVER_URL": backend.url,
    }
