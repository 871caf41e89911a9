"""Exports: rows equal in meaning to what was imported, and files that other programs read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prelabel import Box
from prelabel.client import Client
from prelabel.client_run import ModelRun
from prelabel.errors import RequestError

DATA = Path(__file__).parent.parent / "labelbox" / "data"
SAMPLES = [json.loads(line) for line in (DATA / "payloads.ndjson").read_text().splitlines()]
Keys = Callable[[int], list[str]]
BOXES = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="o" toName="image">'
    '<Label value="cat"/><Label value="dog"/></RectangleLabels></View>'
)


def canonical(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(upright(row), sort_keys=True) for row in rows)


def upright(row: dict[str, Any]) -> dict[str, Any]:
    """Maps' boxes come with negative heights, and are the same box with a positive one."""
    bbox = row.get("bbox", {})
    if bbox.get("height", 0) >= 0:
        return row
    return {**row, "bbox": {**bbox, "top": bbox["top"] + bbox["height"], "height": -bbox["height"]}}


def exported(run: ModelRun, path: Path) -> list[dict[str, Any]]:
    count = run.export("ndjson", path)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == count
    return rows


def make_labelbox_run(client: Client) -> ModelRun:
    """A run whose ontology and data rows cover all samples."""
    keys, ids = {}, {}
    for sample in SAMPLES:
        asset = "image" if sample["asset"] == "metric" else sample["asset"]
        for row in sample["rows"]:
            keys |= {key: asset for key in [row["dataRow"].get("globalKey")] if key}
            ids |= {key: asset for key in [row["dataRow"].get("id")] if key}
    rows = [{"row_data": "x" * 500, "global_key": key, "media_type": asset} for key, asset in keys.items()]
    rows += [{"row_data": "x" * 500, "id": key, "media_type": asset} for key, asset in ids.items()]
    client.import_data_rows("samples", rows)
    onto = client.create_ontology(json.loads((DATA / "ontology.json").read_text()))
    run = client.create_model("samples", onto).create_model_run("v1")
    run.upsert_data_rows(data_row_ids=ids, global_keys=keys)
    return run


@pytest.fixture
def labelbox_run(client: Client) -> ModelRun:
    return make_labelbox_run(client)


@pytest.fixture
def boxes(client: Client, keys: Keys) -> ModelRun:
    """Boxes of Label Studio's form (a control's) and of Labelbox's on three images; the first is labeled."""
    names = keys(3)
    client.import_data_rows(
        "images",
        [{"row_data": f"{name}.jpg", "global_key": name, "facts": {"width": 200, "height": 100}} for name in names],
    )
    run = client.create_model("boxes", client.create_ontology(BOXES)).create_model_run("v1")
    run.upsert_data_rows(global_keys=names)
    run.add_predictions("outputs", {"k0": [Box(20, 10, 40, 30, "cat", score=0.5, id="b1")]}).wait_till_done()
    row = {"dataRow": {"globalKey": "k1"}, "uuid": "b2", "name": "dog", "confidence": 0.25}
    run.add_predictions("rows", [{**row, "bbox": {"top": 1, "left": 2, "height": 3, "width": 4}}]).wait_till_done()
    run.upsert_labels({"k0": [Box(20, 10, 40, 20, "cat", id="a1")]})
    run.assign_data_rows_to_split(split="test", global_keys=["k1"])
    return run


# -- Labelbox


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample["name"] for sample in SAMPLES])
def test_every_payload_exports_as_it_was_imported(
    sqlite_client: Client, tmp_path: Path, sample: dict[str, Any]
) -> None:
    run = make_labelbox_run(sqlite_client)
    job = run.add_predictions(sample["name"], sample["rows"])
    assert [(status.uuid, status.errors) for status in job.errors] == []
    assert canonical(exported(run, tmp_path / "x.ndjson")) == canonical(sample.get("expect", sample["rows"]))


def test_all_payloads_live_in_one_run(labelbox_run: ModelRun, tmp_path: Path) -> None:
    rows = [row for sample in SAMPLES for row in sample["rows"]]
    job = labelbox_run.add_predictions("all", rows)
    assert [(status.uuid, status.errors) for status in job.errors] == []
    found = exported(labelbox_run, tmp_path / "x.ndjson")
    assert canonical(found) == canonical([row for sample in SAMPLES for row in sample.get("expect", sample["rows"])])
    again = labelbox_run._client.get_model("samples").create_model_run("v2")
    again.upsert_data_rows(data_row_ids=[row.data_row.uid for row in labelbox_run.model_run_data_rows()])
    assert list(again.add_predictions("again", tmp_path / "x.ndjson").errors) == []
    assert canonical(exported(again, tmp_path / "y.ndjson")) == canonical(found)


def test_outputs_export_as_labelbox_rows(boxes: ModelRun, tmp_path: Path) -> None:
    by_key = {row["dataRow"]["globalKey"]: row for row in exported(boxes, tmp_path / "x.ndjson")}
    assert by_key.keys() == {"k0", "k1"}
    assert by_key["k0"]["name"] == "cat"
    assert by_key["k0"]["confidence"] == 0.5
    assert by_key["k0"]["bbox"] == pytest.approx({"top": 10, "left": 20, "height": 30, "width": 40})
    assert boxes.export("ndjson", tmp_path / "labels.ndjson", role="annotation") == 1
    assert boxes.export("ndjson", tmp_path / "test.ndjson", splits=["test"]) == 1


# -- Label Studio


def test_label_studio_takes_the_export(boxes: ModelRun, tmp_path: Path) -> None:
    assert boxes.export("labelstudio", tmp_path / "x.json") == 3
    tasks = json.loads((tmp_path / "x.json").read_text())
    assert [task["data"] for task in tasks] == [{"image": f"k{n}.jpg", "global_key": f"k{n}"} for n in range(3)]
    first, second, third = tasks
    (prediction,) = first["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("v1", 0.5)
    (region,) = prediction["result"]
    assert (region["id"], region["type"], region["from_name"]) == ("b1", "rectanglelabels", "o")
    assert first["annotations"][0]["result"][0]["id"] == "a1"
    (converted,) = second["predictions"][0]["result"]
    assert converted["value"]["rectanglelabels"] == ["dog"]
    assert converted["value"]["width"] == pytest.approx(2.0)
    assert "predictions" not in third


def test_an_export_of_nothing_is_an_empty_list(client: Client, tmp_path: Path) -> None:
    run = client.create_model("empty").create_model_run("e1")
    assert run.export("labelstudio", tmp_path / "x.json") == 0
    assert json.loads((tmp_path / "x.json").read_text()) == []
    assert run.export("ndjson", tmp_path / "x.ndjson") == 0
    assert run.export("coco", tmp_path / "x.coco") == 0
    assert json.loads((tmp_path / "x.coco").read_text()) == {"images": [], "annotations": [], "categories": []}


# -- COCO, Parquet


def test_coco_is_what_coco_tools_read(boxes: ModelRun, tmp_path: Path) -> None:
    faster_coco_eval = pytest.importorskip("faster_coco_eval")
    assert boxes.export("coco", tmp_path / "x.json") == 2
    coco = faster_coco_eval.COCO(str(tmp_path / "x.json"))
    assert {category["name"] for category in coco.cats.values()} == {"cat", "dog"}
    assert [(image["file_name"], image["width"]) for image in coco.imgs.values()] == [
        (f"k{n}.jpg", 200) for n in range(3)
    ]
    first, second = coco.anns.values()
    assert (first["image_id"], first["score"], first["bbox"]) == (1, 0.5, pytest.approx([20, 10, 40, 30]))
    assert (second["image_id"], second["score"], second["bbox"]) == (2, 0.25, pytest.approx([2, 1, 4, 3]))


def test_masks_become_run_lengths_down_the_columns() -> None:
    import numpy as np

    from prelabel.runs.exports_coco import _mask

    inside = np.zeros((3, 4), dtype=np.bool_)
    inside[0:2, 1] = inside[2, 3] = True
    assert _mask(inside) == {
        "bbox": [1, 0, 3, 3],
        "area": 3,
        "segmentation": {"size": [3, 4], "counts": [3, 2, 6, 1]},
    }
    mask_api = pytest.importorskip("faster_coco_eval.core.mask")
    coded = mask_api.frPyObjects(_mask(inside)["segmentation"], 3, 4)  # type: ignore[index]
    assert (mask_api.decode(coded).astype(bool) == inside).all()


def test_parquet_is_a_table_of_items(boxes: ModelRun, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert boxes.export("parquet", tmp_path / "x.parquet") == 2
    table = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert [(row["global_key"], row["split"], row["feature"], row["confidence"]) for row in table] == [
        ("k0", "unassigned", "cat", 0.5),
        ("k1", "test", "dog", 0.25),
    ]
    assert json.loads(table[1]["body"])["uuid"] == "b2"


def test_a_format_that_is_none_leaves_no_file(boxes: ModelRun, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="'yolo' is no export format"):
        boxes.export("yolo", tmp_path / "x")  # type: ignore[arg-type]
    assert list(tmp_path.glob("*x*")) == []
