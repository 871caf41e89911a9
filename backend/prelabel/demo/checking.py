"""Judges the demo's predictions as Label Studio stored them, from its API alone: is every task predicted, and right?"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from prelabel.demo.label_studio import LabelStudioServer
from prelabel.demo.setting_up import Ready
from prelabel.errors import LabelStudioError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check found in one project; ``problems`` is empty when all is right."""

    project: Ready
    version: str
    predictions: int
    regions: int
    scores: tuple[float, float] | None
    problems: tuple[str, ...]


def check(server: LabelStudioServer, project: Ready) -> Verdict:
    """Compare every stored prediction with the labeling config and with the version that ``/setup`` reports.

    Raises:
        LabelStudioError: Label Studio does not answer.
    """
    answer = server.api.get("/api/predictions/", params={"project": project.id})
    backends = server.api.get("/api/ml", params={"project": project.id})
    tasks = server.api.get("/api/tasks", params={"project": project.id, "page_size": 1000, "include": "id"})
    if not (answer.is_success and backends.is_success and tasks.is_success):
        raise LabelStudioError(f"Label Studio does not list what project {project.id} holds.")
    predictions = answer.json()
    version = next((str(one["model_version"]) for one in backends.json() if one["model_version"]), "")
    problems = [] if version else ["Label Studio knows no model version of the backend"]
    mine = Counter(int(one["task"]) for one in predictions if one["model_version"] == version)
    problems += [f"{count} predictions of {version} on task {task}" for task, count in mine.items() if count != 1]
    problems += [f"no prediction on task {task['id']}" for task in tasks.json()["tasks"] if task["id"] not in mine]
    controls = _controls(project.definition.label_config)
    for one in predictions:
        problems += [f"task {one['task']}: {problem}" for problem in _problems(one, version, controls)]
    scores = [one["score"] for one in predictions if _finite(one["score"])]
    return Verdict(
        project,
        version,
        len(predictions),
        sum(len(one["result"]) for one in predictions),
        (min(scores), max(scores)) if scores else None,
        tuple(problems),
    )


@dataclass(frozen=True, slots=True)
class _Control:
    types: frozenset[str]
    to_name: str
    labels: frozenset[str]


def _controls(label_config: str) -> dict[str, _Control]:
    """The config's control tags by name, with the region types they store."""
    controls = {}
    for tag in ElementTree.fromstring(label_config).iter():  # noqa: S314
        if "toName" in tag.attrib:
            kind = tag.tag.lower()
            labels = frozenset(child.attrib["value"] for child in tag.iter() if "value" in child.attrib)
            types = frozenset({kind, kind.removesuffix("labels")}) if kind != "labels" else frozenset({kind})
            controls[tag.attrib["name"]] = _Control(types, tag.attrib["toName"], labels)
    return controls


def _problems(prediction: dict[str, Any], version: str, controls: dict[str, _Control]) -> list[str]:
    problems = []
    if prediction["model_version"] != version:
        problems.append(f"model version {prediction['model_version']!r} is not {version!r}")
    if not _finite(prediction["score"]):
        problems.append(f"score {prediction['score']!r} is not a finite number")
    for region in prediction["result"]:
        control = controls.get(region.get("from_name", ""))
        if control is None:
            problems.append(f"a region of a control {region.get('from_name')!r} that the config does not have")
            continue
        if region["type"] not in control.types or region["to_name"] != control.to_name:
            problems.append(f"a region {region['type']!r} to {region['to_name']!r} from {region['from_name']!r}")
        said = region["value"].get(region["type"], [])
        unknown = set(said) - control.labels if control.labels and isinstance(said, list) else set()
        problems += [f"label {label!r} is not in the labeling config" for label in sorted(unknown)]
    return problems


def _finite(score: object) -> bool:
    return isinstance(score, (int, float)) and math.isfinite(score)
