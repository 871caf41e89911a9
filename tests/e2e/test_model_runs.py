"""A served model is measured against what people labeled in Label Studio."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = pytest.mark.labelstudio


def test_what_people_labeled_measures_the_version_that_predicted_it(
    label_studio: LabelStudioServer,
    sentiment_backend: Any,
    project: Any,
    run_prelabel: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    here = project()
    here.connect(sentiment_backend.url)
    ids = here.import_texts(["good", "good as new", "bad", "so good it hurts", "worse"])
    here.wait_for_predictions(len(ids))
    for task, answer in zip(
        ids, ["Positive", "Positive", "Negative", "Negative"], strict=False
    ):  # the last is not labeled
        region = {"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [answer]}}
        made = here.api.post(f"/api/tasks/{task}/annotations/", json={"result": [region]})
        assert made.status_code == httpx.codes.CREATED, made.text
    version = here.predictions()[0]["model_version"]
    places = {
        "PRELABEL_DATA_DIR": str(sentiment_backend.data_dir),
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": label_studio.token,
    }

    labels = run_prelabel("runs", "labels", version, "--project", str(here.id), env=places)
    assert labels.returncode == 0, labels.stderr
    assert "FINISHED, 4 of 4 taken, 0 refused" in labels.stdout
    found = json.loads(run_prelabel("runs", "metrics", version, "--json", env=places).stdout)
    assert found["data_rows"] == 4
    assert {name: (one["tp"], one["fp"], one["fn"]) for name, one in found["classes"].items()} == {
        "Positive": (2, 1, 0),
        "Negative": (1, 0, 1),
    }
    (worst,) = json.loads(
        run_prelabel("runs", "worst", version, "--view", "candidate_mislabels", "--json", env=places).stdout
    )
    assert worst["task"] == ids[3]
    answer = httpx.get(f"{sentiment_backend.url}/api/v1/runs/{version}/metrics")
    assert answer.json()["run"] == found["run"], "the server says the same"
