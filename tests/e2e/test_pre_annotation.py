"""Imported tasks get their predictions without anybody asking: by webhook, and by the sweep after downtime."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = pytest.mark.labelstudio

TEXTS = ["good morning", "a bad road", "good bread", "nothing to say", "good"]

SHAPES = """
import numpy as np
from prelabel import Box


def predict(images: list[np.ndarray]) -> list[Box]:
    return [Box(10, 20, image.shape[1] - 10, image.shape[0] - 20, "Thing", score=0.7) for image in images]
"""

BOXES = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image">'
    '<Label value="Thing"/></RectangleLabels></View>'
)


def test_imported_tasks_are_predicted_by_themselves(sentiment_backend: Any, project: Any) -> None:
    here = project()
    here.connect(sentiment_backend.url)
    ids = here.import_texts(TEXTS)
    here.wait_for_predictions(len(ids))
    stored = here.predictions_by_task()
    assert sorted(stored) == sorted(ids)
    announced = here.api.get("/api/ml", params={"project": here.id}).json()[0]["model_version"]
    for task, text in zip(ids, TEXTS, strict=True):
        (prediction,) = stored[task]
        expected = "Positive" if "good" in text else "Negative"
        assert [region["value"]["choices"] for region in prediction["result"]] == [[expected]]
        assert prediction["result"][0]["type"] == "choices"
        assert math.isfinite(prediction["score"])
        assert prediction["model_version"] == announced != ""


def test_what_was_imported_while_the_backend_was_down_is_predicted_when_it_is_back(
    label_studio: LabelStudioServer, project: Any, prelabel_process: Any, sentiment_file: Path
) -> None:
    often = {"PRELABEL_SWEEP_INTERVAL_S": "2"}
    first = prelabel_process("up", f"{sentiment_file}:predict", label_studio=label_studio, env=often)
    here = project()
    here.connect(first.url)
    assert first.stop() == 0
    ids = here.import_texts(TEXTS)
    assert here.predictions() == []
    prelabel_process("up", f"{sentiment_file}:predict", label_studio=label_studio, env=often, port=first.port)
    here.wait_for_predictions(len(ids))
    assert sorted((task, len(found)) for task, found in here.predictions_by_task().items()) == [(i, 1) for i in ids]


def test_uploaded_images_reach_the_model_and_its_boxes_come_back_in_percent(
    label_studio: LabelStudioServer, project: Any, prelabel_process: Any, tmp_path: Path
) -> None:
    from PIL import Image

    (tmp_path / "shapes.py").write_text(SHAPES, encoding="utf-8")
    backend = prelabel_process("up", "shapes.py:predict", label_studio=label_studio)
    here = project(BOXES)
    here.connect(backend.url)
    picture = io.BytesIO()
    Image.new("RGB", (200, 100), "green").save(picture, "PNG")
    answer = here.api.post(
        f"/api/projects/{here.id}/import", files={"file": ("green.png", picture.getvalue(), "image/png")}
    )
    assert answer.status_code == httpx.codes.CREATED, answer.text
    (prediction,) = here.wait_for_predictions(1)
    (region,) = prediction["result"]
    assert region["type"] == "rectanglelabels"
    assert (region["original_width"], region["original_height"]) == (200, 100)
    value = region["value"]
    assert [value[name] for name in ("x", "y", "width", "height")] == pytest.approx([5, 20, 95, 80])
    assert value["rectanglelabels"] == ["Thing"]
