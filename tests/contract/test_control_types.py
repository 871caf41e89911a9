"""The contract with Label Studio, one control type at a time.

For each labeling config recorded from Label Studio 1.23.2: the outputs that a model would return become the recorded
regions; label-studio-sdk's validator accepts them; the real server imports them and gives them back unchanged.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prelabel import labeling, masks
from prelabel.outputs import Choice, Choices, Rating, Raw, Relation, Text
from prelabel.regions import to_regions
from prelabel.regions.reading import to_outputs

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

HERE = Path(__file__).parent
CONFIGS = HERE.parent / "recordings" / "configs"


def _control_types() -> Any:
    """The cases beside this file (tests are no package, so they are loaded by path)."""
    spec = importlib.util.spec_from_file_location("control_types", HERE / "control_types.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


control_types = _control_types()
NAMES = sorted(control_types.CASES)
NOT_READ = frozenset(
    {
        "chat", "magicwand", "ocrlabels_pdf", "ranker", "ranker_buckets", "reactcode",
        "videorectangle", "videovector", "videovectorlabels",
    }
)  # fmt: skip
"""Recorded kinds that a training example has as `Raw` only."""


def recorded(name: str) -> dict[str, Any]:
    return dict(json.loads((CONFIGS / f"{name}.json").read_text(encoding="utf-8")))


def converted(name: str) -> list[dict[str, Any]]:
    """The regions for a case; nothing may be dropped."""
    case = control_types.CASES[name]
    conversion = to_regions(case.outputs, labeling.parse(recorded(name)["label_config"]), case.facts)
    assert conversion.dropped == []
    return conversion.result


def comparable(result: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Regions without what does not matter: what ids are called, in which order they come, the colour of a bitmask."""
    names: dict[str, str] = {}
    regions = sorted(json.loads(json.dumps(result)), key=lambda region: (region["type"], str(region.get("value"))))
    for region in regions:
        if "id" in region:
            region["id"] = names.setdefault(region["id"], f"id{len(names)}")
    for region in regions:
        for end in ("from_id", "to_id"):
            if end in region:
                region[end] = names[region[end]]
        value = region.get("value", {})
        value.pop("score", None)  # one recording keeps the score here too; ours stands beside the value
        region.pop("score", None)
        if "imageDataURL" in value:
            value["imageDataURL"] = masks.from_data_url(value["imageDataURL"]).tolist()
    return sorted(regions, key=lambda region: json.dumps(region, sort_keys=True))


def test_there_is_a_case_for_every_recorded_config() -> None:
    there = {path.stem for path in CONFIGS.glob("[!_]*.json")}
    assert there == set(NAMES) | control_types.REFUSED


@pytest.mark.parametrize("name", NAMES)
def test_outputs_become_the_recorded_regions(name: str) -> None:
    assert comparable(converted(name)) == comparable(recorded(name)["prediction"]["result"])


@pytest.mark.parametrize("name", NAMES)
def test_recorded_regions_read_as_outputs_become_the_same_regions_again(name: str) -> None:
    recording, case = recorded(name), control_types.CASES[name]
    drawn = [region for region in recording["prediction"]["result"] if region["type"] != "relation"]
    said = to_outputs(drawn)
    conversion = to_regions(said, labeling.parse(recording["label_config"]), case.facts)
    assert conversion.dropped == []
    assert comparable(conversion.result) == comparable(drawn)
    understood = {type(one) for one in said if not isinstance(one, Raw)}
    kinds = {type(one) for one in case.outputs} - {Relation, Raw}
    assert understood <= kinds | {Choice, Choices, Text, Rating}
    assert (understood == set()) == (name in NOT_READ)


@pytest.mark.parametrize("name", ["labels_text", "rectanglelabels"])
def test_a_region_carries_the_score_of_its_output(name: str) -> None:
    (region,) = converted(name)
    assert region["score"] == control_types.CASES[name].outputs[0].score


@pytest.mark.parametrize("name", NAMES)
def test_the_sdk_accepts_the_prediction(name: str) -> None:
    from label_studio_sdk.label_interface import LabelInterface

    prediction = {"model_version": "contract", "score": 0.5, "result": converted(name)}
    assert LabelInterface(recorded(name)["label_config"]).validate_prediction(prediction, return_errors=True) == []


@pytest.fixture(scope="module")
def stored(label_studio: LabelStudioServer) -> Mapping[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """What was imported and what Label Studio gives back, by config: a project, a task and a bulk import each."""
    api = label_studio.api
    found = {}
    for name in NAMES:
        recording = recorded(name)
        project = api.post("/api/projects", json={"title": name, "label_config": recording["label_config"]})
        assert project.status_code == 201, f"{name}: {project.text}"
        path = f"/api/projects/{project.json()['id']}"
        tasks = api.post(f"{path}/import", params={"return_task_ids": "true"}, json=[{"data": recording["task_data"]}])
        assert tasks.status_code == 201, f"{name}: {tasks.text}"
        (task,) = tasks.json()["task_ids"]
        sent = converted(name)
        entry = {"task": task, "model_version": "contract", "score": 0.5, "result": sent}
        answer = api.post(f"{path}/import/predictions", json=[entry])
        assert answer.status_code == 201, f"{name}: {answer.text}"
        back = api.get("/api/predictions/", params={"project": project.json()["id"]})
        found[name] = (sent, back.json())
    return found


@pytest.mark.labelstudio
@pytest.mark.parametrize("name", NAMES)
def test_label_studio_imports_the_prediction_and_gives_it_back_unchanged(
    name: str, stored: Mapping[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]]
) -> None:
    sent, back = stored[name]
    assert [prediction["result"] for prediction in back] == [json.loads(json.dumps(sent))]
    assert (back[0]["model_version"], back[0]["score"]) == ("contract", 0.5)
