"""What frameworks return becomes outputs: every row of the table in docs/outputs.md, on an example."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import supervision as sv

from prelabel import outputs as o
from prelabel.adapters import to_outputs
from prelabel.adapters.native import OBJECTS
from prelabel.adapters.sources import SOURCES, Source
from prelabel.errors import OutputError
from prelabel.predictions import make_prediction
from prelabel.regions import to_regions
from prelabel.tasks import Facts

from .native_examples import (
    CONFIGS,
    CORNERS,
    IMAGE,
    LINES,
    MADE,
    PLANES,
    READ,
    THINGS,
    TOKENS,
    config,
    control,
    doc,
    labelbox,
)

FACTS = Facts(width=40, height=30, duration_s=10.0, text="a red car and a boat", frames_count=10, fps=25.0)
PAGE = Facts(width=400, height=140)
ONE_LABEL = config(IMAGE, control("RectangleLabels", "image", "Car"))
CASES = [
    pytest.param(source, kind, number, id=f"{source.framework}-{kind.__name__}-{source.form[:24]}-{number}")
    for source in SOURCES
    for kind in source.outputs
    for number in range(len(MADE[source.form]))
]


def one(raw: object, kind: type[o.Output], **rest: Any) -> Any:
    (output,) = to_outputs(raw, CONFIGS[kind], **rest)
    return output


# --- the table
def test_every_row_of_the_table_has_an_example_and_none_is_left_over() -> None:
    assert [source.form for source in SOURCES] == list(MADE)


@pytest.mark.parametrize(("source", "kind", "number"), CASES)
def test_what_comes_in_becomes_what_the_table_says(source: Source, kind: type[o.Output], number: int) -> None:
    reads = source.framework in ("Tesseract", "RapidOCR")
    parsed = ONE_LABEL if source.form == "`[N, 4]` corners" else READ[kind] if reads else CONFIGS[kind]
    raw = MADE[source.form][number](kind)
    outputs = to_outputs(raw, parsed, names=THINGS)
    assert kind in {type(output) for output in outputs}
    conversion = to_regions(outputs, parsed, dict.fromkeys(parsed.objects, PAGE if reads else FACTS))
    assert conversion.dropped == []
    controls = [parsed.control(region["from_name"]) for region in conversion.result if "value" in region]
    assert {each.tag for each in controls if each} & {*source.controls}
    json.dumps(conversion.result)


def test_examples_made_by_a_light_library_are_called_real() -> None:
    packages = {"supervision", "pandas", "spacy", "labelbox", "numpy"}
    for source in SOURCES:
        example = MADE[source.form][0](source.outputs[0])
        package = type(example).__module__.partition(".")[0]
        is_light = package in packages - {"numpy"}
        assert is_light <= (source.tested == "real"), source.form


def test_no_framework_is_imported_to_know_its_objects() -> None:
    names = {module for module, _ in OBJECTS} | {"torch", "transformers"}
    code = (
        "import sys\n"
        "from prelabel import parse\n"
        "from prelabel.adapters import to_outputs\n"
        'config = parse(\'<View><Image name="i" value="$i"/><RectangleLabels name="r" toName="i"><Label value="Car"/>'
        "</RectangleLabels></View>')\n"
        'assert to_outputs({"boxes": [[1, 2, 3, 4]], "labels": ["Car"]}, config)\n'
        f"print([name for name in {sorted(names)!r} if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


# --- names of classes
def test_names_of_detections_travel_to_the_config_without_configuration() -> None:
    found = sv.Detections(xyxy=CORNERS, class_id=np.array([5, 9]), data={"class_name": np.array(["car", "PERSON"])})
    conversion = to_regions(to_outputs(found, CONFIGS[o.Boxes]), CONFIGS[o.Boxes], {"image": FACTS})
    assert [region["value"]["rectanglelabels"] for region in conversion.result] == [["Car"], ["Person"]]


def test_a_number_without_a_name_is_looked_up_in_the_config_then_in_the_models_labels() -> None:
    predicted = config(
        IMAGE,
        '<RectangleLabels name="r" toName="image"><Label value="Car" predicted_values="1"/><Label value="Person"/>'
        "</RectangleLabels>",
    )
    raw = {"boxes": CORNERS, "labels": np.array([1, 1])}
    (found,) = to_outputs(raw, predicted, names=THINGS)
    assert to_regions([found], predicted, {"image": FACTS}).result[0]["value"]["rectanglelabels"] == ["Car"]
    assert one(raw, o.Boxes, names=THINGS).labels == ["Person", "Person"]
    with pytest.raises(OutputError, match="numbers for labels"):
        to_outputs(raw, CONFIGS[o.Boxes])


def test_numbers_of_coco_are_never_counted_in_the_models_labels() -> None:
    rows = [{"image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 10], "score": 0.5}]
    with pytest.raises(OutputError, match="numbers for labels"):
        to_outputs(rows, CONFIGS[o.Boxes], names=THINGS)
    with pytest.raises(OutputError, match="has the class 7, for which its names have no entry"):
        to_outputs({"boxes": CORNERS, "labels": [0, 7], "names": THINGS}, CONFIGS[o.Boxes])


def test_a_class_that_the_config_lacks_costs_only_its_own_boxes() -> None:
    raw = {"boxes": CORNERS, "labels": ["Car", "Boat"], "scores": [0.5, 0.9]}
    prediction = make_prediction(raw, CONFIGS[o.Boxes], {"image": FACTS}, model_version="v")
    assert len(prediction.result) == 1
    (sentence,) = prediction.dropped
    assert sentence == "Box 'Boat': label 'Boat' is not in RectangleLabels 'rectanglelabels', which has Car, Person."


# --- what exactly comes out
def test_boxes_in_every_stated_format_are_the_same_boxes() -> None:
    form = next(source.form for source in SOURCES if "cxcywh" in source.form)
    parsed = CONFIGS[o.Boxes]
    outputs = [to_outputs(make(o.Boxes), parsed) for make in MADE[form]]
    found = [to_regions(each, parsed, {"image": FACTS}).result for each in outputs]
    values = [[region["value"] for region in result] for result in found]
    assert all(value == values[0] for value in values)
    assert values[0][0] == {"x": 5, "y": 10, "width": 25, "height": 33.33333, "rotation": 0, "rectanglelabels": ["Car"]}
    assert [region["score"] for region in found[0]] == [0.75, 0.5]


def test_a_detection_becomes_the_most_exact_form_that_the_config_holds() -> None:
    found = MADE["`Detections`; names from `data['class_name']`"][0](o.Mask)
    both = config(IMAGE, control("RectangleLabels", "image", "Car"), control("BrushLabels", "image", *THINGS))
    assert {type(output) for output in to_outputs(found, both)} == {o.Mask}
    assert {type(output) for output in to_outputs(found, CONFIGS[o.Boxes])} == {o.Boxes}
    with pytest.raises(OutputError, match="holds boxes and masks, which no control"):
        to_outputs(found, CONFIGS[o.Choice])


def test_masks_of_ultralytics_lose_the_bars_that_made_them_square() -> None:
    results = MADE["`Results`; names from `names`"][0](o.Mask)
    square = np.zeros((1, 64, 64), dtype=np.float32)
    square[0, 8:56] = np.repeat(np.repeat(PLANES[0], 2, axis=0), 2, axis=1)[:48, :64]
    results.masks.data, results.masks.xy = square, results.masks.xy[:1]
    for column in ("xyxy", "conf", "cls"):
        setattr(results.boxes, column, getattr(results.boxes, column)[:1])
    results.orig_shape = (48, 64)
    mask = one(results, o.Mask)
    assert np.array_equal(mask.array, square[0, 8:56])


def test_a_turned_box_is_turned_as_label_studio_turns_it() -> None:
    results = MADE["`Results`; names from `names`"][0](o.Box)
    turned, straight = to_outputs(results, CONFIGS[o.Box])
    assert isinstance(turned, o.Box)
    assert turned.rotation in (45, 315)
    assert (turned.width, turned.height) == pytest.approx((math.sqrt(50), math.sqrt(50)))
    assert straight == o.Box(20, 4, 10, 20, "Person", score=0.5)


def test_a_track_has_a_keyframe_wherever_it_was_seen_and_ends_where_it_was_not() -> None:
    car, person = to_outputs(MADE["list of `Detections` with `tracker_id`, one a frame"][0](o.Track), CONFIGS[o.Track])
    assert isinstance(car, o.Track)
    assert isinstance(person, o.Track)
    assert (car.label, [(box.frame, box.enabled) for box in car.boxes]) == ("Car", [(1, True), (2, False)])
    assert (person.label, [(box.frame, box.enabled) for box in person.boxes]) == ("Person", [(1, False), (3, False)])


def test_tokens_with_bio_tags_are_joined_to_spans() -> None:
    assert one(TOKENS, o.Span) == o.Span(2, 9, "Car", score=0.5)
    apart = [TOKENS[0], {**TOKENS[1], "index": 4}]
    assert [(span.start, span.end) for span in to_outputs(apart, CONFIGS[o.Span])] == [(2, 5), (6, 9)]  # type: ignore[attr-defined]
    with pytest.raises(OutputError, match="without character offsets"):
        to_outputs([{**TOKENS[0], "start": None, "end": None}], CONFIGS[o.Span])


def test_speech_is_segments_with_their_text_and_the_last_ends_with_the_recording() -> None:
    raw = MADE["speech recognition, with or without `chunks`"][0](o.Segment)
    outputs = to_outputs(raw, CONFIGS[o.Segment])
    assert [(part.start, part.end, part.text) for part in outputs] == [(0.5, 1.5, "a car"), (1.5, math.inf, "goes by")]  # type: ignore[attr-defined]
    result = to_regions(outputs, CONFIGS[o.Segment], {"audio": FACTS}).result
    assert result[2]["value"]["end"] == 10
    unknown = to_regions(outputs, CONFIGS[o.Segment], {})
    assert unknown.dropped == ["Segment: it has no end, and the length of the audio is not known."]


def test_flags_are_stretches_in_the_units_of_what_is_labeled() -> None:
    flags = {"flags": [False, True, True, False, True], "times": [0.0, 0.5, 1.0, 1.5, 2.0], "label": "Car"}
    assert to_outputs(flags, CONFIGS[o.SeriesSegment]) == [
        o.SeriesSegment(0.5, 1.0, "Car"),
        o.SeriesSegment(2.0, None, "Car"),
    ]
    assert to_outputs(flags, CONFIGS[o.Segment]) == [o.Segment(0.5, 1.5, "Car"), o.Segment(2.0, 2.5, "Car")]
    assert to_outputs(np.array(flags["flags"]), CONFIGS[o.FrameSpan]) == [o.FrameSpan(2, 3), o.FrameSpan(5, 5)]
    with pytest.raises(OutputError, match="without the time of each"):
        to_outputs(np.array(flags["flags"]), CONFIGS[o.SeriesSegment])


def test_a_label_map_is_a_mask_for_each_class_and_none_for_the_background() -> None:
    plane = PLANES[0] + 2 * PLANES[1]
    found = to_outputs({"label_map": plane, "names": ["void", "Car", "Person"]}, CONFIGS[o.Mask])
    assert [(mask.label, int(mask.array.sum())) for mask in found] == [("Car", 100), ("Person", 200)]  # type: ignore[attr-defined]
    from_labels = to_outputs(plane, CONFIGS[o.Mask], names=["void", "Car", "Person"])
    assert [mask.label for mask in from_labels] == ["Car", "Person"]  # type: ignore[attr-defined]


def test_coco_masks_are_read_compressed_and_not() -> None:
    mask_api = pytest.importorskip("faster_coco_eval.core.mask")
    encoded = mask_api.encode(np.asfortranarray(PLANES[1].astype(np.uint8)))
    row = {"image_id": 1, "category_id": 1, "bbox": [20, 4, 10, 20], "segmentation": encoded}
    mask = one([row], o.Mask, label_map={"1": "Car"})
    assert np.array_equal(mask.array, PLANES[1])
    with pytest.raises(OutputError, match="cannot be read"):
        to_outputs([{**row, "segmentation": {"size": [30, 40], "counts": [7]}}], CONFIGS[o.Mask], {"1": "Car"})


def test_keypoints_are_named_by_the_result_or_are_those_of_a_person() -> None:
    make = MADE['`{"keypoints": [K, 2..3] or [N, K, 2..3], "names": ...}`'][0]
    found = to_outputs(make(o.Keypoint), CONFIGS[o.Keypoint])
    assert [(p.x, p.y, p.label, p.score) for p in found] == [  # type: ignore[attr-defined]
        (5, 6, "Nose", 0.9), (21, 9, "Nose", 0.75), (28, 22, "Tail", 0.5),
    ]  # fmt: skip
    person = config(IMAGE, control("KeyPointLabels", "image", "Nose", "Left eye"))
    said = to_outputs({"keypoints": np.full((1, 17, 2), 5.0)}, person)
    assert [point.label for point in said[:2]] == ["nose", "left_eye"]  # type: ignore[attr-defined]


def test_words_that_tesseract_read_have_their_text_score_and_place() -> None:
    for make in MADE["`image_to_data` as dict or `DataFrame`"]:
        found = to_outputs(make(o.Box), READ[o.Box])
        assert [(box.text, box.x, box.width) for box in found] == [  # type: ignore[attr-defined]
            ("Hello", 24, 81), ("World", 115, 95), ("Total", 21, 82), ("42.50", 112, 89),
        ]  # fmt: skip
        assert all(0.94 < (box.score or 0) < 0.97 for box in found)
        assert to_outputs(make(o.Text), READ[o.Text]) == [o.Text("Hello World\nTotal 42.50")]


def test_rapidocr_is_read_live_in_its_old_and_its_new_form(recwarn: pytest.WarningsRecorder) -> None:
    if importlib.util.find_spec("rapidocr") is None:
        pytest.skip("rapidocr is not installed")
    from rapidocr.utils.output import RapidOCROutput  # type: ignore[import-untyped]  # ships no types

    new = RapidOCROutput(boxes=np.array([LINES[0][0]]), txts=("Hello World",), scores=(LINES[0][2],))
    assert to_outputs(new, READ[o.Box]) == to_outputs((LINES, [0.1, 0.2, 0.3]), READ[o.Box])
    assert to_outputs(RapidOCROutput(), READ[o.Box]) == []
    assert to_outputs((None, None), READ[o.Box]) == []


def test_json_of_a_language_model_is_read_as_what_it_holds() -> None:
    spans = '{"entities": [{"start": 2, "end": 9, "label": "Car"}]}'
    raw = {"choices": [{"message": {"content": spans}}]}
    assert to_outputs(raw, CONFIGS[o.Span]) == [o.Span(2, 9, "Car")]
    assert to_outputs(spans[13:-1], CONFIGS[o.Span]) == [o.Span(2, 9, "Car")]
    call = {"function": {"name": "answer", "arguments": '{"label": "Car"}'}}
    tool = {"choices": [{"message": {"content": None, "tool_calls": [call]}}]}
    assert one(tool, o.Choice).label == "Car"
    with pytest.raises(OutputError, match="says that it will not answer"):
        to_outputs({"choices": [{"message": {"content": None, "refusal": "No."}}]}, CONFIGS[o.Choice])


def test_answers_nested_in_an_annotation_of_labelbox_belong_to_its_region() -> None:
    parsed = config(
        IMAGE,
        control("RectangleLabels", "image", "Car"),
        '<Choices name="color" toName="image" perRegion="true"><Choice value="red"/></Choices>',
    )
    row = {
        "dataRow": {"globalKey": "a"}, "uuid": "u1", "name": "Car", "confidence": 0.5,
        "bbox": {"left": 2, "top": 3, "width": 10, "height": 10},
        "classifications": [{"name": "color", "answer": {"name": "red"}}],
    }  # fmt: skip
    box, answer = to_regions(to_outputs(row, parsed), parsed, {"image": FACTS}).result
    assert (box["id"], answer["id"], answer["value"]["choices"]) == ("u1", "u1", ["red"])


def test_lists_of_objects_are_read_one_by_one() -> None:
    annotations = [labelbox(o.Box), labelbox(o.Box)]
    assert [type(output) for output in to_outputs(annotations, CONFIGS[o.Box])] == [o.Box, o.Box]
    assert to_outputs([doc(o.Span)], CONFIGS[o.Span]) == [o.Span(2, 9, "Car")]


def test_dataclasses_mean_their_fields() -> None:
    @dataclass
    class Heard:
        """As a speech recognizer's segments."""

        start: float
        end: float
        text: str
        tokens: tuple[int, ...] = ()

    assert to_outputs([Heard(0.5, 1.5, "a car")], CONFIGS[o.Segment]) == [o.Segment(0.5, 1.5, text="a car")]


def test_rows_of_labelbox_that_only_a_model_run_takes_are_refused_with_that_remedy() -> None:
    with pytest.raises(OutputError, match="only a model run takes"):
        to_outputs({"dataRow": {"id": "x"}, "name": "Car", "segments": []}, CONFIGS[o.Boxes])


def test_an_entity_of_labelbox_ends_with_its_last_character() -> None:
    row = {"dataRow": {"globalKey": "a"}, "uuid": "u", "name": "Car", "location": {"start": 2, "end": 8}}
    assert one(row, o.Span) == o.Span(2, 9, "Car", id="u")


def test_an_empty_result_of_every_detector_says_nothing() -> None:
    assert to_outputs(sv.Detections.empty(), CONFIGS[o.Boxes]) == []
    assert to_outputs({"boxes": [], "labels": [], "scores": []}, CONFIGS[o.Boxes]) == []
    assert to_outputs(pd.DataFrame(), CONFIGS[o.Boxes]) == []
    assert to_outputs({"masks": np.zeros((0, 30, 40)), "labels": []}, CONFIGS[o.Mask]) == []


# --- what fits nothing
@pytest.mark.parametrize(
    ("raw", "kind", "message"),
    [
        (np.zeros((2, 3, 4, 5)), o.Boxes, r"ndarray array of shape \(2, 3, 4, 5\)"),
        ({"xyxy": np.zeros((2, 7))}, o.Boxes, "7 columns instead of 4 to 6"),
        ({"probabilities": np.array([0.5, 0.5]), "names": ["Car"]}, o.Choice, "2 probabilities and 1 names"),
        ({"boxes": CORNERS, "labels": ["Car"] * 2, "scores": [5, 7]}, o.Boxes, "not within 0 to 1"),
        ({"flags": [1], "times": [1, 2]}, o.SeriesSegment, "1 flags and 2 times"),
    ],
)
def test_what_fits_nothing_is_refused_with_its_type_a_sample_and_forms_that_work(
    raw: object, kind: type[o.Output], message: str
) -> None:
    with pytest.raises(OutputError, match=message) as refused:
        to_outputs(raw, CONFIGS[kind])
    assert type(raw).__name__ in refused.value.message
    assert "Return " in str(refused.value.hint)


def test_the_forms_offered_are_the_three_nearest() -> None:
    with pytest.raises(OutputError) as refused:
        to_outputs(object(), config(IMAGE, control("RectangleLabels", "image", *THINGS)))
    assert refused.value.hint == (
        'Return [(x1, y1, x2, y2, "Car", 0.9)], [{"box": [x1, y1, x2, y2], "label": "Car"}] or '
        '{"xyxy": array, "names": ["Car", "Person"]}.'
    )
