"""What is reviewed in Label Studio's editor: for each kind of data row, one with every kind of row that it takes.

Rows are the samples of tests/labelbox/data, and a few more where they have none; pictures, sound and film are made
here. Masks, which the samples give by address or 8 x 6 pixels large, become inline pictures of the asset's size.
"""

from __future__ import annotations

import base64
import copy
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import soundfile
from PIL import Image, ImageDraw

Json = dict[str, Any]
Upload = Callable[[str, bytes, str], str]
"""Name, bytes and MIME type of a file to the address under which Label Studio serves it."""

DATA = Path(__file__).parent.parent / "labelbox" / "data"
ONTOLOGY = json.loads((DATA / "ontology.json").read_text(encoding="utf-8"))
WIDTH, HEIGHT = 640, 427
SAMPLES = {
    sample["name"]: sample
    for sample in map(json.loads, (DATA / "payloads.ndjson").read_text(encoding="utf-8").splitlines())
}


@dataclass
class Case:
    """A data row, and the rows about it.

    Attributes:
        row_data: as `prelabel.Client.import_data_rows` takes it.
        rows: NDJSON bodies; which data row they name is not theirs to say.
        facts: what is known of the data row.
        lost: parts of sentences, one for each thing that has no counterpart.
        seen: what else the editor must know: expressions about the annotation ``shown``, and their values.
        tolerance: by which numbers may differ, in the rows' own unit.
    """

    row_data: Any
    rows: list[Json]
    facts: Json = field(default_factory=dict)
    lost: Sequence[str] = ()
    seen: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-3


def samples(asset: str, *, without: Sequence[str] = (), more: Iterable[Json] = ()) -> list[Json]:
    """All samples of an asset in one list, and an answer to every question of the whole data row."""
    found: list[Json] = []
    for name, sample in SAMPLES.items():
        if sample["asset"] == asset and name not in without:
            found += copy.deepcopy(sample.get("expect") or sample["rows"])
    answered = {row.get("name") for row in found if "messageId" not in row}
    added = [*more, *(row for row in everywhere() if row["name"] not in answered)]
    for number, row in enumerate(added):
        row["uuid"] = f"00000000-0000-4000-9000-{number:012x}"
    return [*found, *added]


def smaller(part: Any, factor: float = 0.25) -> Any:
    """Coordinates of the samples (2560 x 1707 pixels) on a picture of 640 x 427, which is faster."""
    if isinstance(part, list):
        return [smaller(one, factor) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        key: one * factor if key in {"top", "left", "width", "height", "x", "y"} else smaller(one, factor)
        for key, one in part.items()
    }


def everywhere() -> Iterator[Json]:
    """An answer to each question that every data row can be asked."""
    first, second = ({"name": f"{place}_checklist_answer"} for place in ("first", "second"))
    inner = {"name": "sub_checklist_question", "answer": [{"name": "first_sub_checklist_answer", "confidence": 0.4}]}
    yield {"name": "radio_question", "answer": {"name": "second_radio_answer", "confidence": 0.25}}
    yield {"name": "checklist_question", "answer": [{**first, "confidence": 0.5}, {**second, "confidence": 0.25}]}
    yield {"name": "nested_checklist_question", "answer": [{**first, "confidence": 0.5, "classifications": [inner]}]}
    yield {"name": "free_text", "answer": "two lines\nof it", "confidence": 0.75}
    yield {"name": "quality_rating", "answer": {"name": "4", "confidence": 0.5}}


# --- media
def picture(width: int, height: int, shade: int = 235) -> bytes:
    """A PNG with a grid of 16 lines."""
    image = Image.new("RGB", (width, height), (shade,) * 3)
    draw = ImageDraw.Draw(image)
    for step in range(0, max(width, height), max(width, height) // 16):
        draw.line([(step, 0), (step, height)], fill=(190, 190, 190))
        draw.line([(0, step), (width, step)], fill=(190, 190, 190))
    return encoded(image)


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def sound(seconds: float) -> bytes:
    """A WAV with a tone."""
    time = np.arange(int(8000 * seconds)) / 8000
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * np.sin(2 * np.pi * 220 * time), 8000, format="WAV")
    return buffer.getvalue()


def film(width: int, height: int, frames: int, fps: int, folder: Path) -> bytes:
    """A WebM (VP8) in which each frame shows its number."""
    path = folder / "film.webm"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), fps, (width, height))
    assert writer.isOpened(), "OpenCV cannot write VP8"
    for number in range(1, frames + 1):
        canvas = np.full((height, width, 3), 230, np.uint8)
        cv2.putText(canvas, str(number), (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 2, (0, 0, 0), 3)
        writer.write(canvas)
    writer.release()
    return path.read_bytes()


def with_masks(rows: list[Json], width: int, height: int) -> list[Json]:
    """Give every mask pixels of its own, shaped like an L, so that mirrored or shifted ones differ."""
    for number, row in enumerate(rows):
        at = (width * (number % 5 + 1) // 8, height // 3)
        if "png" in row.get("mask", {}):
            mask = drawn(width, height, at) > 0
            row["mask"] = {"png": base64.b64encode(encoded(Image.fromarray(mask.astype(np.uint8)))).decode()}
        elif "mask" in row:
            color = row["mask"]["colorRGB"]
            row["mask"] = {"imBytes": composite(width, height, [(at, color)]), "colorRGB": color}
        for place, frame in enumerate(row.get("masks", {}).get("frames", ())):
            instances = row["masks"]["instances"]
            ats = [(width // 8 + width * one // 3 + 7 * place, height // 2) for one in range(len(instances))]
            colors = [one["colorRGB"] for one in instances]
            frame.pop("instanceURI", None)
            frame["imBytes"] = composite(width, height, list(zip(ats, colors, strict=True)))
    return rows


def drawn(width: int, height: int, at: tuple[int, int]) -> Any:
    """An L whose upper left corner is there: pixels [height, width]."""
    canvas = np.zeros((height, width), np.uint8)
    x, y = at
    canvas[y : y + height // 4, x : x + width // 24] = 1
    canvas[y + height // 5 : y + height // 4, x : x + width // 10] = 1
    return canvas


def composite(width: int, height: int, parts: Sequence[tuple[tuple[int, int], Sequence[int]]]) -> str:
    pixels = np.zeros((height, width, 3), np.uint8)
    for at, color in parts:
        pixels[drawn(width, height, at) > 0] = color
    return base64.b64encode(encoded(Image.fromarray(pixels))).decode()


# --- the cases
def image(upload: Upload, _: Path) -> Case:
    answers = [
        {"name": "sub_radio_question", "answer": {"name": "first_sub_radio_answer", "confidence": 0.4,
                                                  "customMetrics": [{"name": "inner", "value": 0.25}]}},
        {"name": "sub_checklist_question", "answer": [{"name": "first_sub_checklist_answer"}]},
        {"name": "sub_free_text", "answer": "said", "confidence": 0.125},
    ]  # fmt: skip
    box = {"top": 100.0, "left": 1000.0, "height": 100.0, "width": 200.0}
    told_apart = {"name": "bbox_with_subclasses", "confidence": 0.9, "bbox": box, "classifications": answers,
                  "customMetrics": [{"name": "own", "value": 0.5}]}  # fmt: skip
    twice = ("image.radio.custom_metrics", "image.radio.schema_id", "image.checklist.answers_alias")
    rows = samples("image", without=twice, more=[told_apart])
    where = upload("image.png", picture(WIDTH, HEIGHT), "image/png")
    return Case(where, with_masks(smaller(rows), WIDTH, HEIGHT), {"width": WIDTH, "height": HEIGHT})


def geospatial(upload: Upload, _: Path) -> Case:
    ring = [{"x": -99.25, "y": 19.4}, {"x": -99.2, "y": 19.45}, {"x": -99.15, "y": 19.3}, {"x": -99.25, "y": 19.4}]
    raster = {"width": 1024, "height": 768, "left": -99.3, "top": 19.5, "right": -99.1, "bottom": 19.2}
    rows = samples("geospatial", more=[{"name": "polygon", "confidence": 0.5, "polygon": ring}])
    return Case(upload("map.png", picture(1024, 768), "image/png"), rows, {"raster": raster}, tolerance=2e-7)


def document(upload: Upload, _: Path) -> Case:
    rows = samples("document", without=["document.relationship.source_ontology_name"])
    group, ids = next(
        (one["groupId"], one["tokenIds"]) for row in rows for one in row.get("textSelections", ()) if one["page"] == 1
    )
    tokens = [
        {"id": one, "page": 1, "left": 10 + 9 * place, "top": 10, "width": 8, "height": 2, "group": group, "text": word}
        for place, (one, word) in enumerate(zip(ids, ["Hello", "all"], strict=True))
    ]
    pages = [upload(f"page{shade}.png", picture(612, 792, shade), "image/png") for shade in (235, 215)]
    size = {"width": 612, "height": 792, "unit": "POINTS", "pixels": [612, 792]}
    return Case({"pages": pages}, rows, {"pages": [size, size], "tokens": tokens})


def video(upload: Upload, folder: Path) -> Case:
    def frames(key: str, *shapes: Any) -> Json:
        keyframes = [{"frame": 40 + 10 * place, key: shape} for place, shape in enumerate(shapes)]
        return {"name": key, "segments": [{"keyframes": keyframes}]}

    points = frames("point", {"x": 2000.0, "y": 300.0}, {"x": 2100.0, "y": 400.0})
    twice = ["video.radio.frames_in_answer", "video.checklist.frames_in_answer"]
    rows = with_masks(smaller(samples("video", without=twice, more=[points])), WIDTH, HEIGHT)
    where = upload("film.webm", film(WIDTH, HEIGHT, 100, 25, folder), "video/webm")
    row = next(row for row in rows if row["name"] == "polyline")
    drawn_at = (
        "[4, 5, 10, 20, 21, 23, 24, 25].map(frame => {"
        f" const one = shown.regions.find(one => one.cleanId === '{row['uuid']}');"
        " return one.isInLifespan(frame) ? one.getShape(frame)?.y ?? null : null; })"
    )
    first, last, second_segment = (25.0 * top / HEIGHT for top in (100, 180, 310))  # in frames 5, 20 and 24
    third = first + (last - first) / 3
    seen = {drawn_at: [None, first, third, last, None, None, second_segment, None], "shown.objects[0].length": 100}
    return Case(where, rows, {"width": WIDTH, "height": HEIGHT, "fps": 25, "frames_count": 100}, seen=seen)


def text(_: Upload, __: Path) -> Case:
    said = "The quick brown fox jumped over the lazy dog.\nA second line, with an é and an emoji \U0001f600 and more."
    inner = {"name": "sub_checklist_question", "answer": [{"name": "first_sub_checklist_answer", "confidence": 0.5}]}
    nested = {"name": "ner_with_checklist_subclass", "location": {"start": 46, "end": 53}, "classifications": [inner]}
    return Case(said, samples("text", without=["text.text.nested_text"], more=[nested]))


def html(_: Upload, __: Path) -> Case:
    return Case("<p>Hello <b>bold</b> world</p><p>Another paragraph.</p>", samples("html"))


def audio(upload: Upload, _: Path) -> Case:
    rows = samples("audio")
    lost = "the labeling config has no control for 'speaker_notes' below 'transcription'"
    return Case(upload("tone.wav", sound(4), "audio/wav"), rows, {"duration_s": 4}, lost=[lost])


def conversational(_: Upload, __: Path) -> Case:
    ids = ["clxfzocbm00083b6v8vczsept", "clxfzocbm00093b6vx4ndisub"]
    messages = [{"author": ("bot", "user")[n % 2], "text": f"this is message {n}"} for n in range(11)]
    shown = {"messages": messages, "a": "one answer", "b": "another", "answers_ids": [{"value": one} for one in ids],
             "answers": [{"id": one, "title": one, "body": "said"} for one in ids]}  # fmt: skip
    known = {"messages": [{"id": str(n), "text": one["text"]} for n, one in enumerate(messages)],
             "responses": [{"id": one, "model": "GPT 5"} for one in ids]}  # fmt: skip
    seen = {
        "shown.names.get('multi_selection').selectedValues()": ids[:1],
        "shown.names.get('single_selection').selected": "left",
    }
    return Case(shown, samples("conversational"), known, seen=seen)


def dicom(upload: Upload, _: Path) -> Case:
    slices = 7 * [upload(f"slice{n}.png", picture(512, 512, 150 + 9 * n), "image/png") for n in range(3)]
    rows = with_masks(samples("dicom"), 512, 512)
    shown = {"axial": slices, "sagittal": slices[:2], "coronal": slices[:2]}
    return Case(shown, rows, {"width": 512, "height": 512})


CASES: Mapping[str, Callable[[Upload, Path], Case]] = {
    "image": image, "geospatial": geospatial, "document": document, "video": video, "text": text, "html": html,
    "audio": audio, "conversational": conversational, "dicom": dicom,
}  # fmt: skip


# --- comparing rows
def meaning(body: Mapping[str, Any]) -> Json:
    """A row in the form in which equal meanings are equal: masks as pixels, boxes with positive heights."""
    row: Json = copy.deepcopy(dict(body))
    if "mask" in row:
        row["mask"] = _pixels(row["mask"], row["mask"].get("colorRGB"))
    if "masks" in row:
        instances = row["masks"]["instances"]
        frames = {f"{one['index']}": [_pixels(one, i["colorRGB"]) for i in instances] for one in row["masks"]["frames"]}
        row["masks"] = {"instances": instances, "frames": frames}
    if "bbox" in row and row["bbox"]["height"] < 0:
        box = row["bbox"]
        row["bbox"] = {**box, "top": box["top"] + box["height"], "height": -box["height"]}
    if "polygon" in row and row["polygon"][0] != row["polygon"][-1]:
        row["polygon"].append(row["polygon"][0])
    return row


def _pixels(holder: Mapping[str, Any], color: Sequence[int] | None) -> str:
    with Image.open(io.BytesIO(base64.b64decode(holder.get("png") or holder["imBytes"]))) as opened:
        array = np.asarray(opened)
    inside = array > 0 if array.ndim == 2 else (array == np.asarray(color)).all(axis=2)
    return f"{inside.shape} {np.packbits(inside).tobytes().hex().lstrip('0')[:60]} {hash(inside.tobytes())}"
