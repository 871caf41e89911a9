"""Labelbox's predictions in Label Studio's own editor: seen as they were meant, submitted, and the same rows again.

The whole way, for every kind of data row: rows are imported into a run, the run is sent to a project whose labeling
config was made from the ontology, a browser opens the task, presses Submit, and the annotation becomes rows.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from prelabel import masks
from prelabel.client import Client
from prelabel.client_run import ModelRun
from prelabel.labelbox.assets import AssetFacts
from prelabel.labelbox.config import to_label_config
from prelabel.labelbox.ontology import Ontology
from prelabel.settings import load_settings

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser]
Json = dict[str, Any]


def _review_cases() -> Any:
    """The cases beside this file (tests are no package, so they are loaded by path)."""
    spec = importlib.util.spec_from_file_location("review_cases", Path(__file__).parent / "review_cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


review_cases = _review_cases()
REGIONS = {
    "rectanglelabels": "rectangleregion", "polygonlabels": "polygonregion", "keypointlabels": "keypointregion",
    "vectorlabels": "vectorregion", "brushlabels": "brushregion", "videorectangle": "videorectangleregion",
    "timelinelabels": "timelineregion", "hypertextlabels": "richtextregion", "paragraphlabels": "textrange",
}  # fmt: skip
"""A result's type to what the editor calls its region."""
HARMLESS = ("heidi-tips",)
"""What Label Studio's own page complains about without a network."""


# --- the browser
class Editor:
    """A signed-in page; ``complaints`` are errors of the page since the last task was opened."""

    def __init__(self, page: Page, open_task: Callable[[Page, int, int], None]) -> None:
        self.page = page
        self.open_task = open_task
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda told: self._note(told.type, told.text, told.location.get("url", "")))

    def _note(self, kind: str, text: str, url: str) -> None:
        if kind == "error" and not any(one in url for one in HARMLESS):
            self.complaints.append(f"{text} {url}")

    def open(self, project: int, task: int) -> None:
        """Open a task; Label Studio makes an annotation of its prediction, and that is shown."""
        self.complaints.clear()
        self.open_task(self.page, project, task)
        self.page.wait_for_function(
            """() => { const shown = Htx.annotationStore.selected;
               return shown?.type === 'annotation' && shown.regions.length; }"""
        )

    def wait_until_loaded(self) -> None:
        """Until what the object tags show is there: the picture, the film's length, the wave."""
        self.page.wait_for_function(
            """() => Htx.annotationStore.selected.objects.every(one => {
               if (one.type === 'image') return one.imageIsLoaded;
               if (one.type === 'video') return one.ref?.current && one.length > 1;
               if (one.type === 'audio') return one._ws?.duration > 0;
               return one.type === 'paragraphs' ? one._value?.length : true; })"""
        )

    def ask(self, script: str) -> Any:
        """What a function of the shown annotation answers."""
        return self.page.evaluate(f"() => {{ const shown = Htx.annotationStore.selected; return ({script}); }}")

    def submit(self) -> None:
        with self.page.expect_response(
            lambda answer: "/annotations" in answer.url and answer.request.method == "POST"
        ) as answered:
            self.page.get_by_role("button", name="Submit").click()
        assert answered.value.status == 201, answered.value.text()


@pytest.fixture(scope="module")
def editor(sign_in: Any, open_task: Any) -> Iterator[Editor]:
    with sign_in(height=1000) as page:
        yield Editor(page, open_task)


@pytest.fixture(scope="module")
def client(label_studio: LabelStudioServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("review"),
        label_studio_url=label_studio.url,
        label_studio_api_key=label_studio.token,
    )
    with Client(settings) as made:
        made.create_model("reviewed", made.create_ontology(review_cases.ONTOLOGY))
        yield made


# --- comparing
def differences(one: Any, other: Any, tolerance: float, where: str = "") -> Iterator[str]:
    """Where two JSON values differ, numbers by more than ``tolerance``."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key not in one or key not in other:
                yield f"{where}.{key}: {one.get(key, 'nothing')!r:.200} and {other.get(key, 'nothing')!r:.200}"
            else:
                yield from differences(one[key], other[key], tolerance, f"{where}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (mine, yours) in enumerate(zip(one, other, strict=True)):
            yield from differences(mine, yours, tolerance, f"{where}[{place}]")
    elif isinstance(one, int | float) and isinstance(other, int | float) and not isinstance(one, bool):
        if not math.isclose(one, other, abs_tol=tolerance):
            yield f"{where}: {one} and {other}"
    elif one != other:
        yield f"{where}: {one!r:.200} and {other!r:.200}"


def by_key(regions: Sequence[Json]) -> dict[tuple[str, str], Json]:
    """Results by region and control; relations by their ends."""
    return {(one.get("id") or f"{one['from_id']} to {one['to_id']}", one.get("from_name", "")): one for one in regions}


def understood_differently(sent: Sequence[Json], shown: Sequence[Json]) -> list[str]:
    """Where the editor's regions are not those that were sent. It may add to a value, such as a region's label."""
    mine, yours = by_key(sent), by_key(shown)
    found = [f"{key} is {'missing' if key in mine else 'new'}" for key in mine.keys() ^ yours.keys()]
    for key in mine.keys() & yours.keys():
        one, other = mine[key], yours[key]
        for part in ("type", "score", "item_index", "labels", "direction", "original_width", "parentID"):
            found += differences(one.get(part), other.get(part), 1e-6, f"{key}.{part}")
        value = comparable(one)
        had = {name: told for name, told in comparable(other).items() if name in value}
        found += differences(value, had, 1e-4, f"{key}.value")
    return found


def comparable(region: Json) -> Json:
    """A result's value, a mask as its pixels: the editor packs them anew."""
    value = dict(region.get("value") or {})
    if "rle" in value:
        size = {"width": region["original_width"], "height": region["original_height"]}
        value["rle"] = np.packbits(masks.decode_rle(value["rle"], **size)).tobytes().hex()
    return value


def kinds_sent(sent: Sequence[Json], asset: str) -> Counter[str]:
    """How many regions of each type the editor should have; an answer about the whole task is one without a type."""
    first: dict[str, str] = {}
    for one in sent:
        if one["type"] == "relation":
            continue
        kind = REGIONS.get(one["type"], "")
        if one["type"] == "labels":
            kind = "audioregion" if asset == "audio" else "richtextregion"
        elif not kind and "startOffset" in one["value"]:
            kind = "textrange"
        first.setdefault(one["id"], kind)
    return Counter(first.values())


def rows_of(run: ModelRun, path: Path) -> dict[str, Json]:
    """The annotations of a run as NDJSON rows, by uuid; those in time, which have none, by name."""
    run.export("ndjson", path, role="annotation")
    return keyed([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])


def keyed(rows: Sequence[Json]) -> dict[str, Json]:
    found = {str(row.get("uuid") or row["name"]): review_cases.meaning(row) for row in rows}
    assert len(found) == len(rows)
    return found


def without_lost(rows: Sequence[Json], asset: str) -> list[Json]:
    """The rows without the parts that Label Studio cannot hold."""
    kept: list[Json] = json.loads(json.dumps(rows))
    for row in kept:
        if asset == "audio" and row["name"] == "transcription":
            del row["answer"][0]["classifications"]
    return kept


@pytest.fixture
def looked_at(
    request: pytest.FixtureRequest, client: Client, editor: Editor, project: Any, tmp_path: Path
) -> Iterator[tuple[Any, ModelRun, list[Json], int]]:
    """The case, its run, the results that Label Studio stored, and the project; the task is open in the editor."""
    asset: str = request.param
    facts = AssetFacts(asset, fps=25 if asset == "video" else None)  # type: ignore[arg-type]
    xml = to_label_config(Ontology.from_json(review_cases.ONTOLOGY), facts.asset, facts)
    here = project(xml, title=f"review of {asset}")

    def upload(name: str, data: bytes, kind: str) -> str:
        path = f"/api/projects/{here.id}/import"
        made = here.api.post(path, params={"commit_to_project": "false"}, files={"file": (name, data, kind)})
        made.raise_for_status()
        (number,) = made.json()["file_upload_ids"]
        return f"/data/{here.api.get(f'/api/import/file-upload/{number}').json()['file']}"

    case = review_cases.CASES[asset](upload, tmp_path)
    key = f"{asset}-{here.id}"
    case.rows = [{**row, "dataRow": {"globalKey": key}} for row in case.rows]
    row = {"row_data": case.row_data, "global_key": key, "media_type": asset, "facts": case.facts}
    client.import_data_rows(asset, [row])
    run = client.get_model("reviewed").create_model_run(f"review-{here.id}")
    run.upsert_data_rows(global_keys=[key])
    job = run.add_predictions("samples", case.rows)
    job.wait_till_done()
    assert list(job.errors) == []
    sent = run.send_to_project(here.id)
    assert (sent.sent, sent.created_tasks, sent.refused) == (1, 1, 0)
    assert len(sent.reasons) == len(case.lost), sent.reasons
    assert all(part in reason for part, reason in zip(case.lost, sent.reasons, strict=True))
    (prediction,) = here.predictions()
    editor.open(here.id, prediction["task"])
    editor.wait_until_loaded()
    yield case, run, prediction["result"], here.id
    editor.page.goto("about:blank")  # before its project is deleted


@pytest.mark.parametrize("looked_at", sorted(review_cases.CASES), indirect=True)
def test_rows_are_seen_as_they_were_meant_and_come_back_from_an_annotation(
    request: pytest.FixtureRequest,
    looked_at: tuple[Any, ModelRun, list[Json], int],
    editor: Editor,
    tmp_path: Path,
) -> None:
    case, run, sent, project = looked_at
    asset: str = request.node.callspec.params["looked_at"]
    assert Counter(editor.ask("shown.regions.map(one => one.type)")) == kinds_sent(sent, asset)
    relations = [one for one in sent if one["type"] == "relation"]
    assert editor.ask("shown.relationStore.relations.length") == len(relations)
    assert understood_differently(sent, editor.ask("shown.serializeAnnotation()")) == []
    zooms = editor.ask("shown.objects.filter(one => one.type === 'image').map(one => one.zoomScale)")
    assert set(zooms) <= {1}, "the whole picture is seen"
    for script, answer in case.seen.items():
        assert list(differences(answer, editor.ask(script), 1e-3)) == [], script
    editor.submit()
    assert editor.complaints == []
    labels = run.upsert_labels(project_id=project)
    assert list(labels.errors) == []
    expected = keyed(without_lost(case.rows, asset))
    assert list(differences(expected, rows_of(run, tmp_path / "rows.ndjson"), case.tolerance)) == []


@pytest.mark.parametrize("looked_at", ["geospatial"], indirect=True)
def test_what_a_person_draws_changes_and_deletes_is_in_the_rows(
    looked_at: tuple[Any, ModelRun, list[Json], int], editor: Editor, tmp_path: Path
) -> None:
    case, run, _, project = looked_at
    page = editor.page
    stage = page.locator(".konvajs-content").first.bounding_box()
    assert stage is not None
    corners = [(stage["x"] + x * stage["width"], stage["y"] + y * stage["height"]) for x, y in ((0.1, 0.1), (0.3, 0.2))]
    there = editor.ask("shown.regions.length")
    page.get_by_text("bounding_box", exact=True).first.click()
    page.mouse.move(*corners[0])
    page.mouse.down()
    page.mouse.move(*corners[1], steps=4)
    page.mouse.up()
    page.wait_for_function(f"() => Htx.annotationStore.selected.regions.length === {there + 1}")
    editor.ask("shown.regions.find(one => one.type === 'polygonregion').deleteRegion()")
    page.get_by_text("second_radio_answer").first.click()
    editor.submit()
    run.upsert_labels(project_id=project)
    rows = rows_of(run, tmp_path / "rows.ndjson")
    sent = {row["uuid"]: row for row in case.rows}
    (new,) = rows.keys() - sent.keys()
    assert {sent[uuid]["name"] for uuid in sent.keys() - rows.keys()} == {"polygon"}
    assert rows[new].keys() == {"dataRow", "uuid", "name", "bbox"}, "a person states no confidence"
    box = {"left": -99.28, "top": 19.44, "width": 0.04, "height": 0.03}
    assert list(differences(box, rows[new]["bbox"], 1e-3)) == []
    (radio,) = (row for row in rows.values() if row["name"] == "radio_question")
    assert radio["answer"]["name"] == "second_radio_answer"
