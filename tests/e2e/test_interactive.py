"""Smart tools in Label Studio's own editor: a click, a box and a selected word become regions of a real model."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from prelabel import masks

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser]

ROOT = Path(__file__).resolve().parents[2]
COIN = (212, 193)
"""The middle of a coin, in pixels from the top left corner; `coin_at` says which pixels are that coin."""
LABELS = '<Label value="Coin"/><Label value="Other"/>'
SMART = (
    f'<KeyPointLabels name="point" toName="image" smart="true">{LABELS}</KeyPointLabels>'
    f'<RectangleLabels name="box" toName="image" smart="true">{LABELS}</RectangleLabels>'
)
TOOLS = ("key-point-tool", "rectangle-tool")
WORDS = """
import re
from prelabel import Prompts, Span


def predict(text: str, prompts: Prompts) -> list[Span]:
    word = re.escape(prompts.latest.text)
    return [Span(*found.span()) for found in re.finditer(word, text) if found.start() != prompts.latest.start]
"""


def with_control(control: str) -> str:
    return f'<View><Image name="image" value="$image"/>{SMART}{control}</View>'


@pytest.fixture(scope="module")
def coins() -> np.ndarray:
    return np.asarray(pytest.importorskip("skimage.data").coins())


def coin_at(coins: np.ndarray, x: int, y: int) -> np.ndarray:
    """The coin's pixels as scikit-image's own example of a watershed finds them: no part of it is GrabCut's."""
    from scipy import ndimage
    from skimage import filters, segmentation

    markers = np.where(coins < 30, 1, np.where(coins > 150, 2, 0))
    filled = ndimage.binary_fill_holes(segmentation.watershed(filters.sobel(coins), markers) == 2)
    parts, _ = ndimage.label(filled)
    return np.asarray(parts == parts[y, x])


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def data_uri(picture: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def metric(url: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", httpx.get(f"{url}/metrics").text, flags=re.MULTILINE)
    return float(found.group(1)) if found else 0.0


@pytest.fixture(scope="module")
def backends(
    label_studio: LabelStudioServer, tmp_path_factory: pytest.TempPathFactory, processes: Any
) -> Iterator[Any]:
    made = processes(tmp_path_factory.mktemp("interactive"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def grabcut(label_studio: LabelStudioServer, backends: Any) -> str:
    url: str = backends("serve", str(ROOT / "examples" / "grabcut.py"), label_studio=label_studio).url
    return url


class Editor:
    """A signed-in page with *Auto-Annotation* on; places are in pixels of the picture."""

    def __init__(self, page: Page, open_task: Callable[[Page, int, int], None], size: tuple[int, int]) -> None:
        self.page = page
        self.open_task = open_task
        self.width, self.height = size

    def open(self, project: int, task: int) -> None:
        self.open_task(self.page, project, task)
        self.page.wait_for_function(
            """() => Htx.annotationStore.selected.objects.every(one => one.type !== 'image'
                     || (one.imageIsLoaded ?? one.currentImageEntity?.imageLoaded))"""
        )
        toggle = self.page.get_by_test_id("bottombar-auto-annotation-toggle")
        toggle.wait_for(state="attached")
        if not self.page.evaluate("() => Htx.autoAnnotation"):
            toggle.click(force=True)
        self.page.wait_for_function("() => Htx.autoAnnotation")

    def take(self, tool: str, label: str) -> None:
        """A smart tool out of their menu, and one of its control's labels (`SMART` has the controls in this order)."""
        self.page.locator("button.lsf-tool_smart").first.hover()
        self.page.locator(f"button.lsf-tool_smart[aria-label={tool}]:visible").first.click()
        self.page.locator(".lsf-label", has_text=label).nth(TOOLS.index(tool)).click()

    def place(self, x: float, y: float) -> tuple[float, float]:
        box = self.page.locator("canvas").first.bounding_box()
        assert box is not None
        return box["x"] + box["width"] * x / self.width, box["y"] + box["height"] * y / self.height

    def click(self, x: float, y: float, *, alt: bool = False) -> Any:
        """Click, with Alt for "not here"; Label Studio's answer, once it is there."""
        if alt:
            self.page.keyboard.down("Alt")
        try:
            with self.answered() as answer:
                self.page.mouse.click(*self.place(x, y))
        finally:
            self.page.keyboard.up("Alt")
        return answer.value

    def drag(self, x1: float, y1: float, x2: float, y2: float) -> None:
        with self.answered():
            self.page.mouse.move(*self.place(x1, y1))
            self.page.mouse.down()
            self.page.mouse.move(*self.place((x1 + x2) / 2, (y1 + y2) / 2))
            self.page.mouse.move(*self.place(x2, y2))
            self.page.mouse.up()

    def answered(self) -> Any:
        return self.page.expect_response(lambda answer: "interactive-annotating" in answer.url)

    def suggested(self, number: int = 1) -> list[Any]:
        """The types of the suggested regions, once there are so many."""
        self.page.wait_for_function(f"() => Htx.annotationStore.selected.suggestions.size === {number}")
        found: list[Any] = self.page.evaluate(
            "() => Array.from(Htx.annotationStore.selected.suggestions.values()).map(one => one.type)"
        )
        return found

    def accept(self) -> list[dict[str, Any]]:
        """Accept what is suggested; the annotation's regions then. The prompts are gone with it."""
        self.page.get_by_test_id("bottombar-accept-suggestions-button").click()
        self.page.wait_for_function(
            "() => { const shown = Htx.annotationStore.selected;"
            " return !shown.suggestions.size && shown.regions.every(one => !one.dynamic || one.fromSuggestion); }"
        )
        found: list[dict[str, Any]] = self.page.evaluate(
            "() => JSON.parse(JSON.stringify(Htx.annotationStore.selected.serializeAnnotation()))"
        )
        return found

    def submit(self) -> None:
        with self.page.expect_response(
            lambda answer: "/annotations" in answer.url and answer.request.method == "POST"
        ) as answered:
            self.page.get_by_role("button", name="Submit").click()
        assert answered.value.status == httpx.codes.CREATED, answered.value.text()


@pytest.fixture(scope="module")
def editor(sign_in: Any, open_task: Any, coins: np.ndarray) -> Iterator[Editor]:
    with sign_in(height=1000) as page:
        yield Editor(page, open_task, (coins.shape[1], coins.shape[0]))


@pytest.fixture
def opened(editor: Editor, project: Any, grabcut: str, coins: np.ndarray) -> Callable[[str], tuple[Any, int]]:
    """A project with one picture of coins, connected for interactive preannotations, and its task opened."""

    def make(control: str) -> tuple[Any, int]:
        here = project(with_control(control))
        here.connect(grabcut, is_interactive=True)
        task = here.import_tasks([{"image": data_uri(coins)}])[0]
        editor.open(here.id, task)
        return here, task

    return make


BRUSH = f'<BrushLabels name="mask" toName="image">{LABELS}</BrushLabels>'


def test_a_click_on_a_coin_becomes_its_mask_and_a_box_the_mask_of_another(
    editor: Editor, opened: Callable[[str], tuple[Any, int]], grabcut: str, coins: np.ndarray, wait_until: Any
) -> None:
    kept = metric(grabcut, "prelabel_encodings_kept")
    here, task = opened(BRUSH)
    wait_until(lambda: metric(grabcut, "prelabel_encodings_kept") > kept, what="the opened task is encoded")
    assert here.predictions() == [], "a model that answers clicks only says nothing of a task that is opened"
    made = metric(grabcut, 'prelabel_encodings_total{outcome="miss"}')
    editor.take("key-point-tool", "Coin")
    editor.click(*COIN)
    assert editor.suggested() == ["brushregion"]
    editor.accept()
    editor.take("rectangle-tool", "Other")
    editor.drag(75, 172, 129, 221)
    assert editor.suggested() == ["brushregion"]
    editor.accept()
    assert metric(grabcut, 'prelabel_encodings_total{outcome="miss"}') == made, "both used what was kept"
    editor.submit()
    (annotation,) = here.api.get(f"/api/tasks/{task}/annotations").json()
    found = {
        region["value"]["brushlabels"][0]: masks.decode_rle(
            region["value"]["rle"], width=region["original_width"], height=region["original_height"]
        )
        for region in annotation["result"]
    }
    assert overlap(found["Coin"], coin_at(coins, *COIN)) > 0.9
    assert overlap(found["Other"], coin_at(coins, 102, 196)) > 0.9


def test_a_second_click_and_one_with_alt_go_to_the_model_with_the_first(
    editor: Editor, opened: Callable[[str], tuple[Any, int]]
) -> None:
    opened(BRUSH)
    editor.take("key-point-tool", "Coin")
    editor.click(*COIN)
    editor.suggested()
    editor.take("key-point-tool", "Coin")
    answer = editor.click(COIN[0] + 40, COIN[1], alt=True)
    sent = answer.request.post_data_json["context"]["result"]
    assert [region["is_positive"] for region in sent] == [True, False]
    assert answer.json()["data"]["result"], "the first click still counts"


@pytest.mark.parametrize(
    ("control", "region"),
    [
        (f'<PolygonLabels name="out" toName="image">{LABELS}</PolygonLabels>', "polygonregion"),
        (f'<BitmaskLabels name="out" toName="image">{LABELS}</BitmaskLabels>', "bitmaskregion"),
        (f'<Brush name="out" toName="image"/><Labels name="l" toName="image">{LABELS}</Labels>', "brushregion"),
        ("", "rectangleregion"),
    ],
    ids=["polygon", "bitmask", "brush beside labels", "the clicked box's own control"],
)
def test_the_mask_comes_as_what_the_labeling_config_takes(
    editor: Editor, opened: Callable[[str], tuple[Any, int]], control: str, region: str
) -> None:
    opened(control)
    editor.take("key-point-tool", "Coin")
    editor.click(*COIN)
    assert editor.suggested() == [region]
    said = [
        label for one in editor.accept() for key, value in one["value"].items() if "labels" in key for label in value
    ]
    assert said == ["Coin"]


def test_of_an_image_with_pages_the_shown_one_is_marked(
    editor: Editor, project: Any, grabcut: str, coins: np.ndarray
) -> None:
    here = project(with_control(BRUSH).replace('value="$image"', 'valueList="$images"'))
    here.connect(grabcut, is_interactive=True)
    task = here.import_tasks([{"images": [data_uri(coins[:, ::-1]), data_uri(coins)]}])[0]
    editor.open(here.id, task)
    editor.page.evaluate("() => Htx.annotationStore.selected.objects[0].setCurrentImage(1)")
    editor.page.wait_for_function("() => Htx.annotationStore.selected.objects[0].currentImageEntity.imageLoaded")
    editor.take("key-point-tool", "Coin")
    editor.click(*COIN)
    assert editor.suggested() == ["brushregion"]
    (region,) = editor.accept()
    assert region["item_index"] == 1
    found = masks.decode_rle(region["value"]["rle"], width=region["original_width"], height=region["original_height"])
    assert overlap(found, coin_at(coins, *COIN)) > 0.9


def test_a_selected_word_is_found_everywhere_in_the_text(
    editor: Editor, project: Any, backends: Any, label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    (tmp_path / "words.py").write_text(WORDS, encoding="utf-8")
    here = project(
        '<View><Labels name="label" toName="text" smart="true"><Label value="PER"/><Label value="ORG"/></Labels>'
        '<Text name="text" value="$text"/></View>'
    )
    here.connect(backends("serve", str(tmp_path / "words.py"), label_studio=label_studio).url, is_interactive=True)
    text = "Acme hired Anna. \U0001f600 Later Acme let Anna go, and Acme closed."
    editor.open(here.id, here.import_texts([text])[0])
    editor.page.locator(".lsf-label", has_text="ORG").first.click()
    with editor.answered():
        editor.page.locator(".lsf-richtext__line", has_text="Acme hired").dblclick(position={"x": 12, "y": 8})
    editor.page.wait_for_function("() => Htx.annotationStore.selected.regions.length === 3")
    found = editor.page.evaluate(
        "() => JSON.parse(JSON.stringify(Htx.annotationStore.selected.serializeAnnotation().map(one => one.value)))"
    )
    assert [(one["start"], text[one["start"] : one["end"]], one["labels"]) for one in found] == [
        (0, "Acme", ["ORG"]),
        (text.index("Acme let"), "Acme", ["ORG"]),
        (text.index("Acme closed"), "Acme", ["ORG"]),
    ]
