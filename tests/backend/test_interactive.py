"""Clicks from `/predict` to the answer: function forms, the chosen label, controls, encodings, malformed contexts."""

from __future__ import annotations

import base64
import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prelabel.data import DataReader
from prelabel.errors import ModelLoadError
from prelabel.loader import load_wrapper
from prelabel.model import Item, ModelWrapper
from prelabel.outputs import Mask
from prelabel.predictor.local import LocalPredictor
from prelabel.regions.reading import to_outputs
from prelabel.runs import Ledger
from prelabel.server import create_app
from prelabel.settings import load_settings

LABELS = '<Label value="Coin"/><Label value="Other"/>'
BRUSH = f'<BrushLabels name="mask" toName="image">{LABELS}</BrushLabels>'
SQUARE = """
import numpy as np
from prelabel import Prompts

def predict(image: np.ndarray, prompts: Prompts):
    mask = np.zeros(image.shape[:2], bool)
    mask[int(prompts.latest.y) :, int(prompts.latest.x) :] = True
    return mask
"""
"""A mask from the click to the lower right corner."""


def with_controls(controls: str) -> str:
    return (
        '<View><Image name="image" value="$image"/>'
        f'<KeyPointLabels name="point" toName="image" smart="true">{LABELS}</KeyPointLabels>{controls}</View>'
    )


def picture(width: int = 40, height: int = 20) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def point(x: float = 50.0, y: float = 50.0, label: str = "Coin", **more: Any) -> dict[str, Any]:
    """A click as the editor writes it."""
    return {
        "original_width": 40, "original_height": 20, "image_rotation": 0, "id": f"p{x}{y}",
        "value": {"x": x, "y": y, "width": 0.2, "labels": [label], "keypointlabels": [label]},
        "is_positive": True, "from_name": "point", "to_name": "image", "type": "keypointlabels", "origin": "manual",
        **more,
    }  # fmt: skip


class Screen:
    """A labeling screen in front of a server: tasks are opened and clicked into."""

    def __init__(self, predictor: LocalPredictor, app: Any, config: str) -> None:
        self.predictor = predictor
        self.client = app.test_client()
        self.config = config
        self.image = picture()

    def asked(self, task: int = 1, **params: Any) -> Any:
        """The one entry of the answer."""
        body = {
            "tasks": [{"id": task, "data": {"image": self.image}}], "project": "7.1", "label_config": self.config,
            "params": params,
        }  # fmt: skip
        answer = self.client.post("/predict", json=body)
        assert answer.status_code == 200
        (entry,) = answer.get_json()["results"]
        return entry

    def open(self, task: int = 1) -> Any:
        return self.asked(task)

    def click(self, *regions: Any, task: int = 1, **more: Any) -> list[dict[str, Any]]:
        entry = self.asked(task, context={"result": list(regions), **more})
        assert set(entry) == {"result", "score", "model_version"}
        result: list[dict[str, Any]] = entry["result"]
        return result

    def metric(self, name: str) -> float:
        lines = self.client.get("/metrics").get_data(as_text=True).splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


Show = Callable[..., Screen]


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Show]:
    """Makes screens: ``show(model text or wrapper, controls)``."""
    with ExitStack() as stack:

        def make(model: str | ModelWrapper, controls: str = BRUSH, **given: Any) -> Screen:
            settings = load_settings(data_dir=tmp_path, drain_s=1.0, **given)
            if isinstance(model, str):
                (tmp_path / "model.py").write_text(model, encoding="utf-8")
                model = load_wrapper(str(tmp_path / "model.py"))
            reader = DataReader(settings)
            predictor = LocalPredictor(model, reader, settings)
            assert predictor.wait_ready(60)
            ledger = Ledger.open(settings) if settings.shadow else None
            for part in (reader, predictor, ledger):
                if part is not None:
                    stack.callback(part.close)
            return Screen(predictor, create_app(settings, predictor, ledger=ledger), with_controls(controls))

        yield make


# --- the function forms
def test_five_lines_answer_a_click_with_a_mask_of_the_clicked_label(show: Show) -> None:
    (region,) = show(SQUARE).click(point(50, 50, "Other"))
    assert (region["from_name"], region["type"]) == ("mask", "brushlabels")
    assert region["value"]["brushlabels"] == ["Other"]
    from prelabel import masks

    inside = masks.decode_rle(region["value"]["rle"], width=40, height=20)
    assert np.argwhere(inside).min(axis=0).tolist() == [10, 20]
    assert inside.sum() == 10 * 20


BATCHES = """
import numpy as np
from prelabel import Box, Prompts

calls = []

def predict(images: list[np.ndarray], prompts: list[Prompts], size: float = 4.0) -> list[Box]:
    calls.append(len(images))
    return [Box(each.latest.x, each.latest.y, size, size) for each in prompts]
"""
RECTANGLES = f'<RectangleLabels name="box" toName="image">{LABELS}</RectangleLabels>'


def test_a_function_may_take_batches_and_options(show: Show) -> None:
    (region,) = show(BATCHES, RECTANGLES).click(point(25, 50))
    assert (region["value"]["x"], region["value"]["width"], region["value"]["rectanglelabels"]) == (25, 10, ["Coin"])


def test_a_function_whose_prompts_have_a_default_also_speaks_of_tasks_that_are_merely_opened(show: Show) -> None:
    code = """
from PIL import Image
from prelabel import Box, Prompts

def predict(image: Image.Image, prompts: Prompts | None = None):
    return Box(0, 0, 10, 10, "Coin" if prompts else "Other")
"""
    screen = show(code.replace("Prompts | None", "'Prompts | None'"), RECTANGLES)
    assert screen.open()["result"][0]["value"]["rectanglelabels"] == ["Other"]
    assert screen.click(point())[0]["value"]["rectanglelabels"] == ["Coin"]
    assert screen.click()[0]["value"]["rectanglelabels"] == ["Other"], "a click that was taken back"


def test_encoded_without_prompts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("def predict(text: str, encoded):\n    return None\n", encoding="utf-8")
    with pytest.raises(ModelLoadError, match="no prompts"):
        load_wrapper(str(tmp_path / "model.py"))


def test_a_function_for_one_click_gets_one_item_a_call_unless_its_file_says_more(show: Show, tmp_path: Path) -> None:
    assert show(SQUARE).predictor.scheduler.batch_limit == 1
    assert show(SQUARE + "\nmax_batch_size = 4\n").predictor.scheduler.batch_limit == 4


def test_an_option_called_prompts_stays_an_option(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("def predict(text: str, prompts: str = 'x'):\n    return prompts\n")
    wrapper = load_wrapper(str(tmp_path / "model.py"), {"prompts": "y"})
    assert (wrapper.interactive, wrapper.predict(["a"])) == (False, ["y"])


# --- what answers clicks only
def test_a_model_that_answers_clicks_only_says_nothing_of_tasks_that_are_opened_or_imported(show: Show) -> None:
    screen = show(SQUARE)
    assert screen.open() == []
    assert screen.click() == [], "every click was taken back"
    event = {"action": "TASKS_CREATED", "project": {"id": 7}, "tasks": [{"id": 1, "data": {"image": screen.image}}]}
    answer = screen.client.post("/webhook", json=event).get_json()
    assert answer["status"] == "ignored"
    assert "before somebody clicks" in answer["detail"]
    assert screen.client.get("/api/v1/model").get_json()["clicks_only"] is True, "workers beside the server are told"
    assert screen.predictor.scheduler.stats.items == [0, 0, 0], "the model was never asked"


# --- what is malformed
@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"result": "nonsense"}, "'result' must be a list"),
        ({"result": [7]}, "region 0"),
        ({"result": [point(x="far")]}, "cannot be read"),
        ({"result": [point(x=float("nan"))]}, "cannot be read"),
        ({"result": [point(image_rotation=90)]}, "turned in the editor"),
        ([], "must be an object"),
    ],
    ids=["no list", "no region", "a word", "no number", "turned", "no object"],
)
def test_a_malformed_context_is_told_in_the_log_and_answered_with_nothing(
    show: Show, caplog: pytest.LogCaptureFixture, context: Any, said: str
) -> None:
    screen = show(SQUARE)
    with caplog.at_level(logging.WARNING):
        assert screen.asked(context=context)["result"] == []
    (told,) = [record for record in caplog.records if record.name == "prelabel.server.live"]
    assert said in told.getMessage()
    assert told.exc_info is None
    assert screen.click(point())[0]["value"]["brushlabels"] == ["Coin"], "the next click is answered"


# --- controls
@pytest.mark.parametrize(
    ("controls", "types"),
    [
        (BRUSH, ["brushlabels"]),
        (f'<BitmaskLabels name="out" toName="image">{LABELS}</BitmaskLabels>', ["bitmasklabels"]),
        (f'<PolygonLabels name="out" toName="image">{LABELS}</PolygonLabels>', ["polygonlabels"]),
        (RECTANGLES, ["rectanglelabels"]),
        (f'<Brush name="b" toName="image"/><Labels name="l" toName="image">{LABELS}</Labels>', ["brush", "labels"]),
        ('<BrushLabels name="b" toName="image"><Label value="Thing"/></BrushLabels>', ["brushlabels"]),
    ],
    ids=["brush", "bitmask", "polygon", "rectangle", "split", "only one label, and another"],
)
def test_a_mask_goes_to_the_control_that_takes_it(show: Show, controls: str, types: list[str]) -> None:
    found = show(SQUARE, controls).click(point())
    assert [region["type"] for region in found] == types
    label = "Thing" if "Thing" in controls else "Coin"
    assert [region["value"].get(region["type"], [label]) for region in found] == [[label]] * len(types)


def test_between_controls_alike_the_clicked_one_is_meant(show: Show) -> None:
    code = """
from PIL import Image
from prelabel import Box, Prompts

def predict(image: Image.Image, prompts: Prompts):
    box = prompts.latest
    return Box(box.x, box.y, box.width, box.height)
"""
    two = RECTANGLES + RECTANGLES.replace('"box"', '"other"').replace("toName", 'smart="true" toName')
    box = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0, "rectanglelabels": ["Coin"]}
    region = {**point(), "value": box, "from_name": "other", "type": "rectanglelabels"}
    assert [each["from_name"] for each in show(code, two).click(region)] == ["other"]


def test_a_label_that_the_model_says_itself_stays(show: Show) -> None:
    code = SQUARE.replace("return mask", 'return {"mask": mask, "label": "Other"}')
    assert show(code).click(point())[0]["value"]["brushlabels"] == ["Other"]


# --- encodings
class Slow(ModelWrapper):
    """Counts what it encodes."""

    name = "slow"
    interactive = True
    clicks_only = True
    outputs = (Mask,)

    def __init__(self) -> None:
        self.encoded_tasks: list[int | None] = []
        self.done = threading.Event()

    def encode(self, item: Item) -> np.ndarray:
        assert not item.prompts
        self.encoded_tasks.append(item.task.id)
        self.done.set()
        if item.task.id == 13:
            raise ValueError("boom")
        return np.asarray(item.value)

    def predict(self, batch: Any) -> Any:
        return [Mask(self.encoded(item).any(axis=2)) for item in batch]


def test_a_task_is_encoded_when_it_is_opened_and_clicks_use_what_is_kept(show: Show, wait_until: Any) -> None:
    model = Slow()
    screen = show(model)
    assert screen.open(task=5) == []
    wait_until(lambda: screen.metric("prelabel_encodings_kept") == 1)
    assert screen.click(point(), task=5)
    assert screen.click(point(), point(60, 60), task=5)
    screen.open(task=5)
    assert model.encoded_tasks == [5]
    assert screen.metric('prelabel_encodings_total{outcome="hit"}') == 2
    assert screen.metric('prelabel_encodings_total{outcome="miss"}') == 1
    assert screen.click(point(), task=6), "what nobody opened before is encoded by the click"
    assert model.encoded_tasks == [5, 6]


def test_with_no_room_for_encodings_every_click_makes_its_own(show: Show) -> None:
    model = Slow()
    screen = show(model, encodings_bytes=0)
    assert screen.click(point())
    assert screen.click(point())
    assert model.encoded_tasks == [1, 1]


def test_a_task_that_cannot_be_encoded_harms_nothing_but_its_own_clicks(
    show: Show, caplog: pytest.LogCaptureFixture
) -> None:
    model = Slow()
    screen = show(model)
    assert screen.open(task=13) == []
    assert model.done.wait(10)
    assert screen.click(point(), task=13) == []
    assert screen.click(point(), task=14)
    assert "task 13" in caplog.text
    assert screen.predictor.ready


def test_a_shadow_encodes_nothing_and_answers_no_click(show: Show) -> None:
    model = Slow()
    screen = show(model, shadow=True)
    assert screen.open() == []
    assert screen.click(point()) == []
    assert model.encoded_tasks == []


def test_what_an_unloaded_version_made_is_let_go(show: Show, wait_until: Any) -> None:
    screen = show(Slow())
    screen.click(point())
    other = Slow()
    other.version = "slow-2"
    screen.predictor.replace(other)
    wait_until(lambda: screen.metric("prelabel_encodings_kept") == 0)
    assert screen.click(point())
    assert other.encoded_tasks == [1]


def test_a_functions_file_may_have_an_encode(show: Show, tmp_path: Path) -> None:
    code = """
import json, pathlib
import numpy as np
from prelabel import Prompts

def encode(image: np.ndarray):
    with open(pathlib.Path(__file__).parent / "encoded", "a") as file:
        print(image.shape, file=file)
    return image.any(axis=2)

def predict(image: np.ndarray, prompts: Prompts, encoded):
    return encoded
"""
    screen = show(code)
    assert screen.click(point())
    assert screen.click(point(10, 10))
    assert (tmp_path / "encoded").read_text().split("\n") == ["(20, 40, 3)", ""]


def test_where_the_mask_control_lacks_the_clicked_label_another_that_has_it_is_taken(show: Show) -> None:
    """The recorded project's brush knows only "Car"; a click as "Person" becomes a rectangle, which knows both."""
    recording = json.loads((Path(__file__).parents[1] / "recordings" / "interactive" / "keypoint.json").read_text())
    body = recording["requests_received_by_backend"][0]["body"]
    body["tasks"][0]["data"]["image"] = picture(800, 600)
    (entry,) = show(SQUARE).client.post("/predict", json=body).get_json()["results"]
    (region,) = entry["result"]
    assert (region["from_name"], region["value"]["rectanglelabels"]) == ("rect", ["Person"])


PAGED = """
import numpy as np
from prelabel import Prompts

def encode(image: np.ndarray):
    encoded.append(image.shape[:2])
    return image.shape[:2]

encoded = []

def predict(image: np.ndarray, prompts: Prompts, encoded):
    assert image.shape[:2] == encoded
    mask = np.zeros(encoded, bool)
    for point in prompts.points:
        mask[int(point.y), int(point.x)] = True
    return mask
"""


def test_of_an_image_with_pages_the_model_gets_the_clicked_one_and_answers_on_it(show: Show) -> None:
    screen = show(PAGED)
    screen.config = screen.config.replace('value="$image"', 'valueList="$image"')
    screen.image = [picture(40, 20), picture(10, 30)]  # type: ignore[assignment]  # pages
    first = point()
    second = point(95.0, 50.0, original_width=10, original_height=30, item_index=1)
    (region,) = screen.click({**first, "item_index": 0}, second)
    assert (region["item_index"], region["original_width"], region["original_height"]) == (1, 10, 30)
    (decoded,) = to_outputs([region])
    assert isinstance(decoded, Mask)
    assert np.argwhere(decoded.array).tolist() == [[15, 9]]
    (region,) = screen.click(second, {**first, "item_index": 0})
    assert (region["item_index"], region["original_width"]) == (0, 40)
    assert screen.metric('prelabel_encodings_total{outcome="miss"}') == 2, "each page is encoded once"
    screen.click(second)
    assert screen.metric('prelabel_encodings_total{outcome="miss"}') == 2
    assert screen.click({**second, "item_index": 2}) == []
