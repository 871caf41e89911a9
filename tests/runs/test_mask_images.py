"""Masks whose pictures stand at an address: measured, exported, sent; one that cannot be had costs no other."""

from __future__ import annotations

import http.server
import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prelabel import masks
from prelabel.client import Client
from prelabel.client_run import ModelRun
from prelabel.runs.mask_images import FAILURES, MaskImages, addresses_of
from prelabel.settings import load_settings
from prelabel.testing.fake_label_studio import FakeLabelStudio

RED, BLUE = [255, 0, 0], [0, 0, 255]
ONTOLOGY: dict[str, Any] = {
    "tools": [{"tool": "raster-segmentation", "name": "road"}, {"tool": "raster-segmentation", "name": "car"}],
    "classifications": [],
}
BRUSHES = (
    '<View><Image name="image" value="$image"/><BrushLabels name="o" toName="image">'
    '<Label value="road"/><Label value="car"/></BrushLabels></View>'
)
SIZE = (40, 30)


class Pictures:
    """A server of pictures that counts what it is asked for. ``answers``: a path's status where it is not 200."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, int] = {}
        self.files: dict[str, bytes] = {}
        pictures = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                pictures.asked[self.path] += 1
                body = pictures.files.get(self.path, b"")
                self.send_response(pictures.answers.get(self.path, 200 if body else 404))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,)).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def add(self, path: str, shift: int = 0) -> str:
        """A red road, left, and a blue car, right; both moved to the right. Its address."""
        pixels = np.zeros((SIZE[1], SIZE[0], 3), dtype=np.uint8)
        pixels[5:25, shift : 10 + shift], pixels[5:15, 20 + shift : 30 + shift] = RED, BLUE
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        self.files[path] = file.getvalue()
        return self.url + path


@pytest.fixture
def pictures() -> Iterator[Pictures]:
    server = Pictures()
    yield server
    server.close()


@pytest.fixture
def client(tmp_path: Path, database_url: str) -> Iterator[Client]:
    """One that may read from this machine."""
    with Client(
        load_settings(data_dir=tmp_path / "data", database_url=database_url, allow_private_addresses=True)
    ) as made:
        yield made


def mask(key: str, uuid: str, name: str, address: str, color: list[int], **more: Any) -> dict[str, Any]:
    holder = {"instanceURI": address, "colorRGB": color}
    return {"dataRow": {"globalKey": key}, "uuid": uuid, "name": name, "mask": holder, **more}


def both(key: str, address: str) -> list[dict[str, Any]]:
    return [mask(key, f"{key}-r", "road", address, RED), mask(key, f"{key}-c", "car", address, BLUE)]


def run_with(client: Client, said: dict[str, str], there: dict[str, str]) -> ModelRun:
    """A run whose data rows have a road and a car each, in the pictures at these addresses."""
    facts = {"width": SIZE[0], "height": SIZE[1]}
    rows = [{"row_data": f"{key}.png", "global_key": key, "media_type": "IMAGE", "facts": facts} for key in said]
    client.import_data_rows("images", rows)
    run = client.create_model("streets", client.create_ontology(ONTOLOGY)).create_model_run("v1")
    run.upsert_data_rows(global_keys=list(said))
    assert not run.add_predictions("p", [one for key, at in said.items() for one in both(key, at)]).errors
    if there:
        assert not run.upsert_labels([one for key, at in there.items() for one in both(key, at)]).errors
    return run


def test_masks_at_addresses_are_measured_and_a_picture_is_fetched_once(client: Client, pictures: Pictures) -> None:
    said = {key: pictures.add(f"/said-{key}.png", 5) for key in "ab"}
    run = run_with(client, said, {key: pictures.add(f"/there-{key}.png") for key in "ab"})
    found = run.metrics(iou=0.3)
    # moved by half of their width: a third of the union is shared
    assert (found.data_rows, found.left_out, found.run.tp, found.run.iou) == (2, 0, 4, pytest.approx(1 / 3))
    report = run.report(iou=0.3)
    assert report.masks is not None
    assert report.masks.all.ap50 == 0
    assert set(pictures.asked.values()) == {1}, "the report finds them in the cache"


def test_a_picture_that_is_not_there_costs_its_data_row_only_and_is_named(client: Client, pictures: Pictures) -> None:
    there = {key: pictures.add(f"/{key}.png") for key in "abcd"}
    text = pictures.url + "/text.png"
    pictures.files["/text.png"] = b"no picture"
    run = run_with(client, {**there, "b": pictures.url + "/none.png", "c": text}, there)
    found = run.metrics()
    assert (found.data_rows, found.left_out, found.run.tp) == (2, 2, 4)
    first, second = found.reasons
    assert first.startswith("b: the mask's picture cannot be read:")
    assert "/none.png answered 404" in first
    assert second.startswith("c: the mask's picture cannot be read: the file is not an image")
    assert found.as_json()["reasons"] == [first, second]
    pictures.add("/none.png")
    run.metrics()  # whoever looks for the reasons finds that there are none any more
    found = run.metrics()
    assert (found.data_rows, found.left_out, len(found.reasons)) == (3, 1, 1)


def test_a_picture_that_did_not_come_is_asked_for_again_the_next_time(client: Client, pictures: Pictures) -> None:
    there = {key: pictures.add(f"/{key}.png") for key in "ab"}
    late = pictures.add("/late.png")
    pictures.answers["/late.png"] = 503
    run = run_with(client, {**there, "b": late}, there)
    found = run.metrics()
    assert (found.data_rows, found.left_out) == (1, 1)
    assert "answered 503" in found.reasons[0]
    del pictures.answers["/late.png"]
    found = run.metrics()
    assert (found.data_rows, found.left_out, found.reasons) == (2, 0, ())


def test_a_host_that_fails_is_left_alone_for_a_while(tmp_path: Path, pictures: Pictures) -> None:
    pictures.answers = {f"/{number}.png": 503 for number in range(200)}
    images = MaskImages(load_settings(data_dir=tmp_path, allow_private_addresses=True))
    found = images.fetch(f"{pictures.url}/{number}.png" for number in range(200))
    assert (len(found), len(found.refused)) == (0, 200)
    assert FAILURES <= sum(pictures.asked.values()) < 100
    assert all(why.retryable for why in found.refused.values())


def test_the_guard_refuses_this_machine_unless_it_is_allowed(tmp_path: Path, pictures: Pictures) -> None:
    address = pictures.add("/a.png")
    with Client(tmp_path / "data") as client:
        run = run_with(client, {"a": address}, {"a": address})
        found = run.metrics()
    assert (found.data_rows, found.left_out) == (0, 1)
    assert "PRELABEL_ALLOW_PRIVATE_ADDRESSES" in found.reasons[0]
    assert not pictures.asked


def test_exports_have_masks_from_addresses(client: Client, pictures: Pictures, tmp_path: Path) -> None:
    addresses = {"a": pictures.add("/a.png"), "b": pictures.url + "/none.png"}
    run = run_with(client, addresses, {})
    run.export("labelstudio", tmp_path / "x.json")
    first, second = json.loads((tmp_path / "x.json").read_text())
    regions = {region["value"]["brushlabels"][0]: region for region in first["predictions"][0]["result"]}
    road = masks.decode_rle(regions["road"]["value"]["rle"], width=SIZE[0], height=SIZE[1])
    assert (road[5:25, :10].all(), int(road.sum())) == (True, 200)
    assert second["predictions"][0]["result"] == []
    run.export("coco", tmp_path / "c.json")
    assert sorted(one["area"] for one in json.loads((tmp_path / "c.json").read_text())["annotations"]) == [100, 200]


def test_masks_from_addresses_are_sent_and_what_is_not_there_is_named(tmp_path: Path, pictures: Pictures) -> None:
    with FakeLabelStudio() as studio:
        settings = load_settings(
            data_dir=tmp_path / "data",
            label_studio_url=studio.url,
            label_studio_api_key=studio.token,
            allow_private_addresses=True,
        )
        with Client(settings) as client:
            run = run_with(client, {"a": pictures.add("/a.png"), "b": pictures.url + "/none.png"}, {})
            sent = run.send_to_project(studio.add_project(BRUSHES))
        assert (sent.sent, sent.refused, sent.dropped) == (1, 1, 2)
        assert all(reason.startswith("b: ") and "answered 404" in reason for reason in sent.reasons)
        (stored,) = studio.predictions.values()
    assert sorted(region["value"]["brushlabels"][0] for region in stored["result"]) == ["car", "road"]


def test_video_masks_name_a_picture_for_each_frame() -> None:
    frames = [{"index": 1, "instanceURI": "https://x/1.png"}, {"index": 2, "imBytes": "iVBO"}]
    bodies = [{"masks": {"frames": frames, "instances": []}}, {"mask": {"png": "iVBO"}}, {"bbox": {}}, "no row"]
    assert list(addresses_of([*bodies, mask("a", "u", "road", "https://x/a.png", RED)])) == [
        "https://x/1.png", "https://x/a.png",
    ]  # fmt: skip
