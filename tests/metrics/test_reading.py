"""Label Studio regions and Labelbox lines to instances."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from PIL import Image

from prelabel import labeling
from prelabel.errors import DataError
from prelabel.labelbox.assets import AssetFacts, Page
from prelabel.metrics.instances import Instance
from prelabel.metrics.matching import match_row
from prelabel.metrics.reading import instances_of_regions, instances_of_rows
from prelabel.metrics.summary import summarize

CONFIGS = sorted(
    path for path in (Path(__file__).parent.parent / "recordings" / "configs").glob("*.json") if path.name[0] != "_"
)


def read(name: str, *, with_config: bool = True) -> list[Instance]:
    """A recorded prediction of Label Studio."""
    said = json.loads(next(path for path in CONFIGS if path.stem == name).read_text())
    config = labeling.parse(said["label_config"]) if with_config else None
    return instances_of_regions(said["prediction"]["result"], config=config)


def line(**body: Any) -> dict[str, Any]:
    """A Labelbox line."""
    return {"dataRow": {"globalKey": "a"}, "uuid": "u1", **body}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_recorded_prediction_is_read_and_equals_itself(path: Path) -> None:
    said = json.loads(path.read_text())
    found = instances_of_regions(said["prediction"]["result"], config=labeling.parse(said["label_config"]))
    run = summarize({"a": match_row(found, found)}).run
    assert found
    assert (run.tp, run.fp, run.fn, run.iou) == (len(found), 0, 0, 1.0)


@pytest.mark.parametrize(
    ("name", "kind", "feature", "value"),
    [
        ("rectanglelabels", "box", "Car", (42, 60, 162, 105)),
        ("labels_on_rectangle_split", "box", "Car", (40, 30, 120, 90)),
        ("ellipselabels", "ellipse", "Car", (200, 150, 40, 15, 0)),
        ("polygonlabels", "polygon", "Car", ((40, 30), (80, 30), (60, 75))),
        ("vectorlabels", "polyline", "Car", ((40, 30), (120, 60), (160, 150))),
        ("labels_text", "span", "PER", (0, 12)),
        ("hypertextlabels", "span", "PER", (0, 12)),
        ("audio_labels", "segment", "Speech", (1.2, 3.4)),
        ("timeserieslabels", "segment", "Run", (1, 2)),
        ("timelinelabels", "frames", "Goal", (3, 25)),
        ("rating", "rating", "stars", 4),
        ("ranker", "ranking", "rank", ("i2", "i1")),
        ("textarea", "text", "summary", "A short summary"),
    ],
)
def test_percent_become_pixels_and_values_what_their_kind_says(
    name: str, kind: str, feature: str, value: object
) -> None:
    (one,) = read(name)
    assert (one.kind, one.feature) == (kind, feature)
    assert one.value == pytest.approx(value) if kind == "box" else one.value == value


def test_a_mask_has_the_image_s_pixels() -> None:
    (brush,), (bitmask,) = read("brushlabels_rle"), read("bitmasklabels")
    assert brush.value.shape == bitmask.value.shape == (30, 40)
    assert 0 < np.count_nonzero(brush.value) < brush.value.size


def test_an_answer_about_a_region_has_the_region_as_its_scope() -> None:
    box, answer = read("choices_per_region")
    assert (answer.kind, answer.question, answer.feature, answer.scope) == ("choice", "occl", "yes", box.id)
    assert read("image_multipage_item_index")[0].scope == "1"


def test_the_config_says_which_choices_exclude_each_other() -> None:
    assert [one.exclusive for one in read("choices_multiple")] == [False, False]
    assert read("choices_nested")[0].feature == "A/A1"
    assert read("choices_nested", with_config=False)[0].feature == "A1"


def test_a_video_track_is_interpolated_and_ends_with_its_disabled_keyframe() -> None:
    (track,) = read("videorectangle")
    assert sorted(track.value) == list(range(1, 51))
    assert track.value[50] == pytest.approx((15, 10, 35, 30))
    assert track.value[25][0] == pytest.approx(10 + 5 * 24 / 49)
    (line_track,) = read("videovector")
    assert max(line_track.value) == 100


def test_a_broken_region_is_named() -> None:
    region = {"id": "r9", "type": "rectanglelabels", "value": {"x": 1, "y": 1, "height": 2, "rectanglelabels": ["A"]}}
    with pytest.raises(DataError, match="'r9' of type 'rectanglelabels'"):
        instances_of_regions([region])


def test_inclusive_ends_become_exclusive_and_a_message_is_a_scope() -> None:
    (one,) = instances_of_rows([line(name="entity", location={"start": 7, "end": 7}, messageId="4")])
    assert (one.kind, one.value, one.scope, one.confidence) == ("span", (7, 8), "4", 1.0)


def test_radio_excludes_checklist_does_not_and_nested_questions_are_scoped() -> None:
    inner = {"name": "why", "answer": [{"name": "dark", "confidence": 0.4}]}
    radio = line(name="q", answer={"name": "yes", "confidence": 0.0, "classifications": [inner]})
    box = line(name="car", confidence=0.5, bbox={"top": 2, "left": 1, "height": 4, "width": 3}, classifications=[inner])
    top, nested, drawn, about = instances_of_rows([radio, {**box, "uuid": "u2"}])
    assert (top.exclusive, top.confidence, nested.exclusive) == (True, 0.0, False)
    assert (nested.question, nested.feature, nested.scope, nested.confidence) == ("why", "dark", "q/yes", 0.4)
    assert (drawn.value, about.scope) == ((1, 2, 4, 6), "u2")


def test_geographic_boxes_may_have_a_negative_height() -> None:
    (one,) = instances_of_rows([line(name="b", bbox={"top": 19.5, "left": -99, "height": -0.25, "width": 0.5})])
    assert one.value == (-99, 19.25, -98.5, 19.5)


def test_a_video_object_is_interpolated_inside_a_segment_only() -> None:
    def at(frame: int, left: float) -> dict[str, Any]:
        return {"frame": frame, "bbox": {"top": 0, "left": left, "height": 1, "width": 1}}

    segments = [{"keyframes": [at(1, 0), at(3, 10)]}, {"keyframes": [at(7, 0)]}]
    (one,) = instances_of_rows([line(name="b", segments=segments)])
    assert one.value == {1: (0, 0, 1, 1), 2: (5, 0, 6, 1), 3: (10, 0, 11, 1), 7: (0, 0, 1, 1)}


def test_answers_over_time_are_intervals_and_what_they_say_is_scoped_to_them() -> None:
    said = line(name="t", answer=[{"value": "Hello", "frames": [{"start": 1600, "end": 2000}]}])
    segment, text = instances_of_rows([said], asset="audio")
    assert (segment.kind, segment.value, text.value, text.scope) == ("segment", (1.6, 2.0), "Hello", segment.id)
    frames, _ = instances_of_rows([said])
    assert (frames.kind, frames.value) == ("frames", (1600, 2000))


def test_a_mask_by_url_needs_somebody_who_reads_it() -> None:
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    pixels[1:3, 2:5] = (255, 0, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    by_url = line(name="m", mask={"instanceURI": "https://example.com/m.png", "colorRGB": [255, 0, 0]})
    inline = line(name="m", mask={"imBytes": base64.b64encode(buffer.getvalue()).decode(), "colorRGB": [255, 0, 0]})
    (one,), (other,) = instances_of_rows([by_url], read_image=lambda _: buffer.getvalue()), instances_of_rows([inline])
    assert one.value.sum() == 6
    assert (one.value == other.value).all()
    with pytest.raises(DataError, match="nobody may read"):
        instances_of_rows([by_url])


def test_metric_lines_say_nothing_and_unreadable_ones_are_named() -> None:
    assert instances_of_rows([line(metricName="m", metricValue=1.0)]) == []
    with pytest.raises(DataError, match=r"line 1 \(b\) cannot be read"):
        instances_of_rows([line(name="b", bbox={"top": 1})])


# -- documents


def page_box(unit: str, page: int = 0, scale: float = 1.0, **more: Any) -> dict[str, Any]:
    bbox = {"left": 61.2 * scale, "top": 79.2 * scale, "width": 122.4 * scale, "height": 158.4 * scale}
    return line(name="b", bbox=bbox, unit=unit, page=page, **more)


LETTER = AssetFacts("document", pages=(Page(612, 792, pixels=(1224, 1584)), Page(612, 792, pixels=(1224, 1584))))
"""Two pages of US letter: 8.5 x 11 inches."""
SCALES = {"POINTS": 1.0, "INCHES": 1 / 72, "PIXELS": 2.0}


def test_a_box_on_a_page_is_the_same_in_every_unit() -> None:
    percent = line(name="b", bbox={"left": 10, "top": 10, "width": 20, "height": 20}, unit="PERCENT", page=1)
    (expected,) = instances_of_rows([percent], facts=LETTER)
    assert (expected.scope, expected.value) == ("1", pytest.approx((10, 10, 30, 30)))
    for unit, scale in SCALES.items():
        (one,) = instances_of_rows([page_box(unit, 1, scale)], facts=LETTER)
        assert (one.scope, one.value) == ("1", pytest.approx(expected.value)), unit
        assert summarize({"a": match_row([one], [expected])}).run.tp == 1


def test_boxes_on_different_pages_never_match() -> None:
    first, second = (instances_of_rows([page_box("POINTS", page)], facts=LETTER) for page in (0, 1))
    assert summarize({"a": match_row(first, second)}).run.tp == 0
    later = AssetFacts("document", pages=LETTER.pages, first_box_page=1)
    assert instances_of_rows([page_box("POINTS", 1)], facts=later)[0].scope == "", "where pages begin with 1"


def test_without_a_page_s_size_points_and_inches_are_alike_and_others_stand_apart() -> None:
    points, inches, pixels = (instances_of_rows([page_box(unit, 2, SCALES[unit])])[0] for unit in SCALES)
    assert (points.scope, pixels.scope) == ("2 POINTS", "2 PIXELS")
    assert (inches.scope, inches.value) == (points.scope, pytest.approx(points.value))


# -- turned boxes


def turned(degrees: float, **more: Any) -> dict[str, Any]:
    value = {"x": 40, "y": 20, "width": 20, "height": 10, "rotation": degrees, "rectanglelabels": ["b"]}
    return {"id": "r", "type": "rectanglelabels", "from_name": "o", "original_width": 200, "original_height": 100,
            "value": value, **more}  # fmt: skip


def test_a_turned_box_overlaps_as_the_polygon_that_it_is() -> None:
    """40 x 10 pixels at (80, 20), turned by a quarter: it lies left of and below its corner."""
    (quarter,) = instances_of_regions([turned(90)])
    around = Instance("box", "b", (70, 20, 80, 60))
    assert match_row([quarter], [around]).pair_iou == pytest.approx([1.0])
    (tilted,), (straight,) = instances_of_regions([turned(45)]), instances_of_regions([turned(0)])
    corner, turn = np.array((80.0, 20.0)), np.sqrt(0.5)
    corners = [corner + turn * np.array((x - y, x + y)) for x, y in ((0, 0), (40, 0), (40, 10), (0, 10))]
    outline = Instance("polygon", "b", tuple(map(tuple, corners)))
    assert match_row([tilted], [outline]).pair_iou == pytest.approx([1.0])
    shared = shapely.intersection(shapely.Polygon(corners), shapely.box(*straight.value)).area
    assert match_row([tilted], [straight]).pair_iou == pytest.approx([shared / (800 - shared)])


def video(*keyframes: tuple[int, float, float], last: bool = True) -> dict[str, Any]:
    sequence = [
        {"frame": frame, "x": x, "y": 40, "width": 20, "height": 10, "rotation": rotation, "enabled": True}
        for frame, x, rotation in keyframes
    ]
    sequence[-1]["enabled"] = not last
    return {"id": "v", "type": "videorectangle", "from_name": "o", "value": {"sequence": sequence, "labels": ["b"]}}


def test_a_video_s_box_turns_between_its_keyframes() -> None:
    (one,) = instances_of_regions([video((1, 40, 0), (3, 40, 90))], size=(200, 100))
    assert one.value == {frame: pytest.approx((80, 40, 40, 10, 45 * (frame - 1))) for frame in (1, 2, 3)}
    (same,) = instances_of_regions([video((1, 40, 0), (2, 40, 45), (3, 40, 90))], size=(200, 100))
    assert match_row([one], [same]).pair_iou == pytest.approx([1.0])


def test_a_video_s_turned_boxes_overlap_frame_by_frame() -> None:
    (turns,) = instances_of_regions([video((1, 40, 90), (2, 40, 90))], size=(200, 100))
    (straight,) = instances_of_regions([video((1, 40, 0), (3, 40, 0))], size=(200, 100))
    # 400 pixels in 2 frames against 400 in 3: a quarter turn about the corner leaves nothing in common
    assert len(match_row([turns], [straight]).pair_iou) == 0
    (beside,) = instances_of_regions([video((2, 35, 0), (3, 35, 0))], size=(200, 100))
    # in frame 2 the turned one covers x 70 to 80 and y 40 to 80, the straight one x 70 to 110 and y 40 to 50
    assert match_row([turns], [beside]).pair_iou == pytest.approx([100 / (800 + 800 - 100)])


# -- masks' colours


def png(pixels: Any, mode: str, palette: list[int] | None = None) -> bytes:
    image = Image.fromarray(np.asarray(pixels, dtype=np.uint8), "L" if mode == "P" else mode)
    if palette is not None:
        image = image.convert("L")
        image = Image.frombytes("P", image.size, image.tobytes())
        image.putpalette(palette)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_instances_of_one_picture_are_told_by_their_colours_and_it_is_fetched_once() -> None:
    composite = np.zeros((4, 6, 3), dtype=np.uint8)
    composite[:2, :3], composite[2:, 3:] = (255, 0, 0), (0, 0, 255)
    asked: list[str] = []

    def read_image(address: str) -> bytes:
        asked.append(address)
        return png(composite, "RGB")

    masks = [
        line(name="m", mask={"instanceURI": "https://x/m.png", "colorRGB": color})
        for color in ([255, 0, 0], [0, 0, 255])
    ]
    red, blue = instances_of_rows(masks, read_image=read_image)
    assert asked == ["https://x/m.png"]
    assert (red.value[:2, :3].all(), red.value.sum(), blue.value[2:, 3:].all(), blue.value.sum()) == (True, 6, True, 6)


def test_a_palette_s_numbers_count_and_not_its_colours() -> None:
    encoded = base64.b64encode(png([[0, 1], [1, 0]], "P", [255, 255, 255, 0, 0, 0])).decode()
    (one,) = instances_of_rows([line(name="m", mask={"png": encoded})])
    assert one.value.tolist() == [[False, True], [True, False]]
