"""A model written for Label Studio's own backend package, connected to the real Label Studio as it is."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from prelabel.runs import Ledger
from prelabel.runs.models import Models
from prelabel.settings import load_settings

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = pytest.mark.labelstudio

MODEL = """
from typing import Dict, List, Optional
from label_studio_ml.model import LabelStudioMLBase
from label_studio_ml.response import ModelResponse


class Moods(LabelStudioMLBase):
    def setup(self):
        self.set("model_version", "0.0.2")

    def predict(self, tasks: List[Dict], context: Optional[Dict] = None, **kwargs) -> ModelResponse:
        from_name, to_name, value = self.label_interface.get_first_tag_occurence("Choices", "Text")
        self.set("asked", str(int(self.get("asked") or 0) + len(tasks)))
        return ModelResponse(predictions=[{
            "model_version": self.get("model_version"), "score": 0.75,
            "result": [{"from_name": from_name, "to_name": to_name, "type": "choices",
                        "value": {"choices": ["Positive" if "good" in task["data"][value] else "Negative"]}}],
        } for task in tasks])
"""
WSGI = """
from label_studio_ml.api import init_app
from model import Moods

app = init_app(model_class=Moods)
"""


def test_its_predictions_appear_when_a_task_is_opened_and_when_the_others_are_retrieved(
    label_studio: LabelStudioServer, project: Any, prelabel_process: Any, tmp_path: Path
) -> None:
    (tmp_path / "moods").mkdir()
    (tmp_path / "moods" / "model.py").write_text(MODEL, encoding="utf-8")
    (tmp_path / "moods" / "_wsgi.py").write_text(WSGI, encoding="utf-8")
    backend = prelabel_process("up", "moods", label_studio=label_studio, env={"PRELABEL_AUTO_PREDICT": "false"})
    here = project()
    ids = here.import_texts(["good morning", "a bad road"])
    here.connect(backend.url)
    opened = here.api.get(f"/api/tasks/{ids[0]}", params={"project": here.id}).json()
    (prediction,) = opened["predictions"]
    assert prediction["result"][0]["value"]["choices"] == ["Positive"]
    assert (prediction["score"], prediction["model_version"]) == (0.75, "Moods-0.0.2")
    answer = here.api.post(
        "/api/dm/actions",
        params={"id": "retrieve_tasks_predictions", "project": here.id},
        json={"selectedItems": {"all": True, "excluded": []}, "ordering": []},
    )
    assert answer.is_success, answer.text
    here.wait_for_predictions(2)
    assert {task: len(found) for task, found in here.predictions_by_task().items()} == dict.fromkeys(ids, 1)


REPEATER = """
import json, os, time
from label_studio_ml.model import LabelStudioMLBase

HERE = os.path.dirname(__file__)


class Repeater(LabelStudioMLBase):
    def predict(self, tasks, context=None, **kwargs):
        return [{"result": json.loads(self.get("last") or "[]")} for _ in tasks]

    def fit(self, event, data, **kwargs):
        open(os.path.join(HERE, f"begun {data['annotation']['task']}"), "w").close()
        while os.path.exists(os.path.join(HERE, "hold")):
            time.sleep(0.01)
        self.set("last", json.dumps(data["annotation"]["result"]))
"""


def test_what_a_person_annotated_is_learnt_though_the_backend_was_killed_meanwhile(
    label_studio: LabelStudioServer,
    project: Any,
    prelabel_process: Any,
    tmp_path: Path,
    wait_until: Callable[..., None],
) -> None:
    (tmp_path / "model.py").write_text(REPEATER, encoding="utf-8")
    (tmp_path / "hold").touch()
    quiet = {"PRELABEL_AUTO_PREDICT": "false"}
    first = prelabel_process("up", "model.py", label_studio=label_studio, env=quiet)
    here = project()
    annotated, opened = here.import_texts(["a bad road", "another road"])
    here.connect(first.url)
    result = [{"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": ["Negative"]}}]
    assert here.api.post(f"/api/tasks/{annotated}/annotations", json={"result": result}).status_code == 201
    wait_until((tmp_path / f"begun {annotated}").exists)
    first.child.process.kill()
    first.child.process.wait()

    def gone() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", first.port)) != 0

    wait_until(gone)
    (tmp_path / "hold").unlink()
    prelabel_process("up", "model.py", label_studio=label_studio, env=quiet, port=first.port)
    ledger = Ledger.open(load_settings(data_dir=first.data_dir))
    wait_until(lambda: ledger.events("Repeater") == [])
    assert ledger.events("Repeater", failed=True) == []
    ledger.close()
    (prediction,) = here.api.get(f"/api/tasks/{opened}", params={"project": here.id}).json()["predictions"]
    assert prediction["result"][0]["value"]["choices"] == ["Negative"]


UNTAUGHT = """
import json, os
from label_studio_ml.model import LabelStudioMLBase


class Parrot(LabelStudioMLBase):
    def predict(self, tasks, context=None, **kwargs):
        with open(os.path.join(os.path.dirname(__file__), "asked"), "a") as asked:
            asked.writelines(f"{task['id']}\\n" for task in tasks)
        if not self.has("last"):
            return []
        return [{"result": json.loads(self.get("last"))} for _ in tasks]

    def fit(self, event, data, **kwargs):
        if event != "START_TRAINING":
            self.set("last", json.dumps(data["annotation"]["result"]))
        self.bump_model_version()
"""


def test_a_model_that_says_nothing_is_asked_again_and_the_version_that_it_learns_is_what_label_studio_gets(
    *,
    label_studio: LabelStudioServer,
    project: Any,
    prelabel_process: Any,
    tmp_path: Path,
    wait_until: Callable[..., None],
    run_prelabel: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    (tmp_path / "model.py").write_text(UNTAUGHT, encoding="utf-8")
    backend = prelabel_process("up", "model.py", label_studio=label_studio)
    here = project()
    here.connect(backend.url)
    untaught = version_of(backend.url, here)
    annotated, opened, waiting = here.import_texts(["a bad road", "another road", "a third one"])
    settings = load_settings(data_dir=backend.data_dir)
    ledger = Ledger.open(settings)

    def states(version: str) -> dict[int, str]:
        (connection,) = ledger.connections("Parrot")
        return ledger.states(version, connection)

    def seen(task: int) -> int:
        return (tmp_path / "asked").read_text(encoding="utf-8").split().count(str(task))

    wait_until(lambda: states(untaught) == dict.fromkeys([annotated, opened, waiting], "silent"))
    for times in (2, 3):
        assert open_task(here, opened) == []
        assert seen(opened) == times
    assert here.retrieve_predictions().is_success
    assert (here.predictions(), seen(waiting)) == ([], 2)

    def annotate(task: int, choice: str) -> None:
        result = [{"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [choice]}}]
        assert here.api.post(f"/api/tasks/{task}/annotations", json={"result": result}).status_code == 201

    annotate(annotated, "Negative")
    wait_until(lambda: version_of(backend.url, here) == "Parrot-0.1.0", what=lambda: backend.log)
    assert open_task(here, opened) == [("Parrot-0.1.0", "Negative")]
    here.wait_for_predictions(2)  # the training policy: what nobody annotated
    assert said(here) == {opened: [("Parrot-0.1.0", "Negative")], waiting: [("Parrot-0.1.0", "Negative")]}

    backend.stop()
    backend = prelabel_process("up", "model.py", label_studio=label_studio, port=backend.port)
    assert version_of(backend.url, here) == "Parrot-0.1.0"
    annotate(annotated, "Positive")
    wait_until(lambda: version_of(backend.url, here) == "Parrot-0.2.0", what=lambda: backend.log)
    assert here.retrieve_predictions().is_success
    learnt_twice = [("Parrot-0.1.0", "Negative"), ("Parrot-0.2.0", "Positive")]
    wait_until(lambda: said(here)[waiting] == learnt_twice, what=lambda: backend.log)
    assert said(here) == {
        annotated: [("Parrot-0.2.0", "Positive")], opened: learnt_twice, waiting: learnt_twice
    }  # fmt: skip
    assert Models(ledger.database).run("Parrot-0.2.0").provenance["trained_from"] == "Parrot-0.1.0"

    beside = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.token}
    beside |= {"PRELABEL_DATA_DIR": str(backend.data_dir), "PRELABEL_PORT": str(backend.port)}
    trained = run_prelabel("train", "--project", str(here.id), env=beside)
    assert (trained.returncode, trained.stdout) == (0, "Parrot-0.3.0 has learnt.\n"), trained.stderr
    assert version_of(backend.url, here) == "Parrot-0.3.0"
    ledger.close()


def version_of(url: str, here: Any) -> str:
    """What Label Studio is told when it asks which version the backend has."""
    body = {"project": f"{here.id}.1", "schema": here.label_config}
    return str(httpx.post(f"{url}/setup", json=body).json()["model_version"])


def open_task(here: Any, task: int) -> list[tuple[str, str]]:
    """Open a task as a browser does: version and label of its predictions."""
    found = here.api.get(f"/api/tasks/{task}", params={"project": here.id}).json()["predictions"]
    return [(one["model_version"], one["result"][0]["value"]["choices"][0]) for one in found]


def said(here: Any) -> dict[int, list[tuple[str, str]]]:
    """Version and label of all predictions in Label Studio, by task."""
    return {
        task: sorted((one["model_version"], one["result"][0]["value"]["choices"][0]) for one in found)
        for task, found in here.predictions_by_task().items()
    }
