"""A run of Labelbox rows goes to a real Label Studio project, once; what to label next is written there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from prelabel.client import Client
from prelabel.settings import load_settings

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = pytest.mark.labelstudio

BOXES = (
    '<View><Image name="picture" value="$image"/><RectangleLabels name="box" toName="picture">'
    '<Label value="Cat"/><Label value="Dog"/></RectangleLabels></View>'
)
CONFIDENCES = {"a": 0.9, "b": 0.25, "c": 0.5}


def rows_of(key: str, confidence: float) -> list[dict[str, Any]]:
    """A cat of 40 x 30 pixels as sure as given, and a surer bird, for which the project has no label."""
    bbox = {"top": 10.0, "left": 20.0, "height": 30.0, "width": 40.0}
    common = {"dataRow": {"globalKey": key}, "bbox": bbox}
    return [
        {**common, "uuid": f"cat-{key}", "name": "Cat", "confidence": confidence},
        {**common, "uuid": f"bird-{key}", "name": "Bird", "confidence": 0.95},
    ]


def test_a_run_is_sent_once_and_what_to_label_next_is_written_there(
    label_studio: LabelStudioServer,
    project: Any,
    run_prelabel: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    here = project(BOXES)
    (known,) = here.import_tasks([{"data": {"image": "https://example.com/a.png", "global_key": "a"}}])
    places = {
        "PRELABEL_DATA_DIR": str(tmp_path / "data"),
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": label_studio.token,
    }

    def done(*arguments: str) -> str:
        command = run_prelabel("runs", *arguments, env=places)
        assert command.returncode == 0, command.stdout + command.stderr
        return command.stdout

    rectangle = {"tool": "rectangle", "color": "#ff0000"}
    ontology = {"tools": [{**rectangle, "name": name} for name in ("Cat", "Dog", "Bird")], "classifications": []}
    (tmp_path / "ontology.json").write_text(json.dumps(ontology), encoding="utf-8")
    facts = {"width": 200, "height": 100}
    data = [
        {"row_data": f"https://example.com/{key}.png", "global_key": key, "media_type": "image", "facts": facts}
        for key in CONFIDENCES
    ]
    (tmp_path / "rows.ndjson").write_text("\n".join(map(json.dumps, data)), encoding="utf-8")
    said = [row for key, confidence in CONFIDENCES.items() for row in rows_of(key, confidence)]
    (tmp_path / "predictions.ndjson").write_text("\n".join(map(json.dumps, said)), encoding="utf-8")
    done("create-model", "pets", "--ontology", str(tmp_path / "ontology.json"))
    done("create", "pets", "v3")
    done("import-rows", "photos", str(tmp_path / "rows.ndjson"), "--run", "v3")
    done("import", "v3", str(tmp_path / "predictions.ndjson"))

    output = done("send", "v3", "--project", str(here.id))
    assert "v3: 3 sent, 0 there before, 2 tasks made, 0 refused\n3 parts of predictions" in output
    stored = here.predictions_by_task()
    assert known in stored
    tasks: dict[str, int] = {}
    for task, found in stored.items():
        (prediction,) = found
        key = here.api.get(f"/api/tasks/{task}").json()["data"]["global_key"]
        tasks[key] = task
        assert (prediction["model_version"], prediction["score"]) == ("v3", CONFIDENCES[key])
        (region,) = prediction["result"]
        assert (region["id"], region["from_name"], region["to_name"]) == (f"cat-{key}", "box", "picture")
        assert region["value"]["rectanglelabels"] == ["Cat"]
        assert [region["value"][side] for side in ("x", "y", "width", "height")] == [10, 10, 20, 30]
    assert tasks.keys() == CONFIDENCES.keys()
    assert tasks["a"] == known

    again = done("send", "v3", "--project", str(here.id))
    assert "v3: 0 sent, 3 there before, 0 tasks made, 0 refused" in again
    assert here.predictions_by_task() == stored

    # what to label next: b is labeled meanwhile
    region = {**stored[tasks["b"]][0]["result"][0], "id": "by-hand"}
    made = here.api.post(f"/api/tasks/{tasks['b']}/annotations/", json={"result": [region]})
    assert made.status_code == httpx.codes.CREATED, made.text
    done("labels", "v3", "--project", str(here.id))
    lines = done("select", "v3", "--project", str(here.id), "--strategy", "random", "--seed", "3").splitlines()
    chosen = [line.split()[:2] for line in lines[1:3]]
    assert sorted(chosen) == sorted([str(tasks[key]), key] for key in "ac")
    assert lines[-1] == "2 scores written, 0 were right"
    scores = {entry["task"]: entry["score"] for entry in here.predictions()}
    first, second = (int(task) for task, _ in chosen)
    assert (scores[first], scores[second]) == (0.0, 0.5)
    assert scores[tasks["b"]] == CONFIDENCES["b"], "labeled tasks keep their scores"

    settings = load_settings(
        data_dir=tmp_path / "data", label_studio_url=label_studio.url, label_studio_api_key=label_studio.token
    )
    fields = {
        tasks["a"]: {"score": 0.125, "cluster": 3, "neighbors": [tasks["c"], tasks["b"]], "mislabeling": 0.75},
        tasks["c"]: {"cluster": 1},
    }
    with Client(settings) as client:
        run = client.get_model_run("v3")
        written = run.write_selection(fields, project_id=here.id)
        assert (written.written, written.missing) == (2, 0)
        written = run.write_selection(fields, project_id=here.id)
        assert (written.written, written.unchanged) == (0, 2)
    found = {entry["task"]: entry for entry in here.predictions()}
    assert fields[tasks["a"]].items() <= found[tasks["a"]].items()
    assert (found[tasks["c"]]["cluster"], found[tasks["c"]]["neighbors"]) == (1, None)
    assert [len(entries) for entries in here.predictions_by_task().values()] == [1, 1, 1]
    assert found[tasks["a"]]["result"] == stored[tasks["a"]][0]["result"], "regions stay as they were"
