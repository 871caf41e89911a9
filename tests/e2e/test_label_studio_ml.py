"""A model written for Label Studio's own backend package, connected to the real Label Studio as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

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
