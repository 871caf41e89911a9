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
    for make in MADE["`image_to_data` as text, dict or `DataFrame`"]:
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
        (np.zeros((2, 3, 4, 5)), o.Boxes, r"the model's ndarray of shape \[2, 3, 4, 5\] and dtype float64 has"),
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
        '{"xyxy": array, "labels": ["Car", "Person"]}.'
    )


# --- what is told of what fits nothing
def test_the_sample_shows_the_parts_of_a_value_and_no_secrets() -> None:
    raw = {"frame": np.zeros((2, 3)), "api_key": "sk-123", "url": "x" * 80, "more": 1}
    with pytest.raises(OutputError) as refused:
        to_outputs(raw, CONFIGS[o.Boxes])
    assert "{'frame': ndarray of shape [2, 3] and dtype float64, 'api_key': ***, ...}" in refused.value.message
    rows = pd.DataFrame({"left": [1], "text": ["private words"]})
    with pytest.raises(OutputError) as refused:
        to_outputs(rows, CONFIGS[o.Boxes])
    assert refused.value.message.endswith("It comes from the DataFrame of 1 rows with left, text.")


@pytest.mark.parametrize("kind", [o.Boxes, o.Mask, o.Keypoint, o.Polygon, o.Span, o.Segment, o.Choice, o.Taxonomy])
def test_three_forms_that_would_work_are_offered_and_work(kind: type[o.Output]) -> None:
    parsed = CONFIGS[kind]
    with pytest.raises(OutputError) as refused:
        to_outputs(object(), parsed)
    names = {"mask": PLANES[0].astype(bool), "x1": 1, "y1": 2, "x2": 9, "y2": 8, "x": 3, "y": 4, **vars(o)}
    text = (
        refused.value.hint.removeprefix("Return ")
        .removesuffix(".")
        .replace("[(x, y), ...]", "[(1, 2), (3, 4), (5, 2)]")
    )
    forms = text.replace(" or ", ", ")
    arrays = {o.Boxes: CORNERS, o.Keypoint: np.ones((2, 2)), o.Choice: np.array([0.5, 0.5])}
    names["array"] = arrays.get(kind, np.stack([PLANES[0], PLANES[1]]))
    if kind is o.Segment:
        forms = forms.replace("array", "[0, 1]")
    if "label_map" in forms:
        forms = forms.replace('"label_map": array', '"label_map": array[0].astype(int)')
    tried = eval(f"[{forms}]", {}, names)
    assert len(tried) == 3
    for form in tried:
        assert to_outputs(form, parsed), form


def test_a_result_of_which_nothing_has_a_place_is_refused_but_outputs_of_a_model_are_only_dropped() -> None:
    rows = [{"label": "Car", "score": 0.9, "box": [1, 2, 3, 4]}] * 2
    with pytest.raises(OutputError, match=r"list .* holds boxes, which no control of the labeling config takes"):
        to_outputs(rows, CONFIGS[o.Choice])
    assert to_outputs([o.Box(1, 2, 3, 4, "Car")], CONFIGS[o.Choice]) == [o.Box(1, 2, 3, 4, "Car")]


@pytest.mark.parametrize("raw", [{"xyxy": CORNERS}, sv.Detections(xyxy=CORNERS), {"boxes": CORNERS, "scores": [1, 1]}])
def test_things_without_labels_are_refused_where_there_are_several_to_choose_from(raw: object) -> None:
    with pytest.raises(OutputError, match=r"holds boxes without labels, and RectangleLabels .* has 2 labels"):
        to_outputs(raw, CONFIGS[o.Boxes])
    assert len(list(to_outputs(raw, ONE_LABEL)[0])) == 2  # type: ignore[call-overload]  # Boxes


# --- numbers that are no classes, frameworks' own precisions and capitals
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"xyxy": np.array([[1, 2, 3, 4, 0, 0.9]]), "names": THINGS}, "has the label 0.9, which is neither a name nor"),
        ({"xyxy": np.array([[1, 2, 3, 4, 0.5, np.nan]]), "names": THINGS}, "has the label nan"),
        ({"boxes": CORNERS, "labels": [np.nan, 1.0], "names": THINGS}, "has the label nan"),
        ({"boxes": CORNERS, "labels": ["Car"] * 2, "format": "yxyx"}, "format 'yxyx', which is none of xyxy, xywh"),
        ({"boxes": CORNERS, "labels": ["Car"], "scores": [0.5, 0.5]}, r"\(2 boxes, 1 labels, 2 scores\)"),
    ],
)
def test_malformed_columns_are_refused_and_not_bent(raw: object, message: str) -> None:
    with pytest.raises(OutputError, match=message):
        to_outputs(raw, CONFIGS[o.Boxes])


def test_the_format_of_boxes_may_be_written_as_torchvision_writes_it() -> None:
    raw = {"boxes": np.array([[5, 4, 2, 2]]), "format": "CXCYWH", "labels": ["Car"]}
    assert one(raw, o.Boxes).corners.tolist() == [[4, 3, 6, 5]]
    assert list(one({"xyxy": np.array([1, 2, 3, 4, 0.5, 1]), "names": THINGS}, o.Boxes)) == [
        o.Box(1, 2, 2, 2, THINGS[1], score=0.5)
    ]


def test_the_number_of_a_class_is_counted_in_the_models_labels() -> None:
    assert one(np.int64(1), o.Choice, names=THINGS) == o.Choice(THINGS[1], control="choices")
    assert one(np.array([[0.2, 0.8]]), o.Choice, names=THINGS).label == THINGS[1]
    with pytest.raises(OutputError, match="int 7 has numbers for labels"):
        to_outputs(7, CONFIGS[o.Choice], names=THINGS)


def test_arrays_of_other_frameworks_are_taken_by_their_array_interface() -> None:
    class Tensor:
        """As those of JAX and TensorFlow."""

        def __array__(self) -> Any:
            return np.asarray(CORNERS)

    assert one({"boxes": Tensor(), "labels": ["Car", "Car"]}, o.Boxes).corners.tolist() == CORNERS.tolist()


def test_logits_are_no_mask() -> None:
    logits = np.where(PLANES[0], 3.0, -3.0)
    for raw in ({"Car": logits}, [o.Mask(logits, "Car")]):
        with pytest.raises(OutputError, match="numbers below 0, which are no probabilities: apply a sigmoid"):
            make_prediction(raw, CONFIGS[o.Mask], {"image": FACTS}, model_version="v")
    stated = make_prediction([o.Mask(logits, "Car", threshold=0)], CONFIGS[o.Mask], {"image": FACTS}, model_version="v")
    assert len(stated.result) == 1


def test_a_label_map_may_have_an_axis_in_front_and_is_quick_to_look_through() -> None:
    plane = (PLANES[0] + 2 * PLANES[1]).astype(np.uint8)
    found = to_outputs({"label_map": plane[None], "names": ["void", *THINGS]}, CONFIGS[o.Mask])
    assert [mask.label for mask in found] == [*THINGS]  # type: ignore[attr-defined]
    with pytest.raises(OutputError, match="label map of float64 instead of integers"):
        to_outputs({"label_map": plane.astype(float), "names": ["void", *THINGS]}, CONFIGS[o.Mask])


# --- COCO's polygons
COCO = {"categories": [{"id": 1, "name": "Car"}], "images": [{"id": 1, "width": 40, "height": 30}]}
SQUARE, TALL = [2, 3, 12, 3, 12, 13, 2, 13], [20, 4, 30, 4, 30, 24, 20, 24]


def test_a_polygon_in_two_parts_is_two_polygons_or_one_mask_that_is_exact() -> None:
    row = {"image_id": 1, "category_id": 1, "segmentation": [SQUARE, TALL], "score": 0.5}
    raw = {**COCO, "annotations": [row]}
    result = to_regions(to_outputs(raw, CONFIGS[o.Polygon]), CONFIGS[o.Polygon], {"image": FACTS}).result
    assert [len(region["value"]["points"]) for region in result] == [4, 4]
    assert result[1]["parentID"] == result[0]["id"]
    plane = np.zeros((30, 40), dtype=bool)
    plane[3:13, 2:12] = plane[4:24, 20:30] = True
    assert np.array_equal(one(raw, o.Mask).array, plane)
    assert one(raw, o.Boxes).corners.tolist() == [[2, 3, 30, 24]]


def test_masks_and_polygons_of_coco_may_stand_side_by_side() -> None:
    runs = {"size": [30, 40], "counts": [0, 60, 1140]}
    rows = [{"image_id": 1, "category_id": 1, "segmentation": each} for each in (runs, [SQUARE])]
    found = to_outputs({**COCO, "images": [], "annotations": rows}, CONFIGS[o.Mask])
    assert [int(mask.array.sum()) for mask in found] == [60, 100]  # type: ignore[attr-defined]


# --- pandas, times
@pytest.mark.parametrize(
    ("frame", "kind", "expected"),
    [
        ({"xcenter": [5], "ycenter": [4], "width": [2], "height": [2], "name": ["Car"]}, o.Boxes, [[4, 3, 6, 5]]),
        ({"x": [4], "y": [3], "width": [2], "height": [2], "label": pd.Categorical(["Car"])}, o.Boxes, [[4, 3, 6, 5]]),
    ],
)
def test_frames_of_boxes_have_corners_or_a_corner_or_the_centre(frame: Any, kind: Any, expected: Any) -> None:
    assert one(pd.DataFrame(frame), kind).corners.tolist() == expected


def test_a_series_of_one_answer_is_that_answer_and_one_of_numbers_by_time_are_flags() -> None:
    assert one(pd.Series(["Car"]), o.Choice).label == "Car"
    series = config('<TimeSeries name="s" value="$s" timeColumn="t"/>', control("TimeSeriesLabels", "s", "Car"))
    assert to_outputs(pd.Series([0, 1, 1], index=[0.0, 0.5, 1.0]), series) == [o.SeriesSegment(0.5, 1.0)]


@pytest.mark.parametrize(
    ("form", "first", "second"),
    [("%Y-%m-%d %H:%M", "2020-01-02 00:00", "2020-01-03 00:00"), ("%Q", "1577923200000", "1578009600000")],
)
def test_dates_are_written_in_the_time_columns_format(form: str, first: str, second: str) -> None:
    parsed = config(
        f'<TimeSeries name="s" value="$s" timeColumn="t" timeFormat="{form}"/>', control("TimeSeriesLabels", "s", "Car")
    )
    days = pd.date_range("2020-01-01", periods=4)
    frame = pd.DataFrame({"start": days[1:2], "end": days[2:3], "label": ["Car"]})
    for raw in (pd.Series([False, True, True, False], index=days), frame, [o.SeriesSegment(days[1], days[2], "Car")]):
        (region,) = to_regions(to_outputs(raw, parsed), parsed, {}).result
        assert (region["value"]["start"], region["value"]["end"]) == (first, second)
    without = CONFIGS[o.SeriesSegment]
    conversion = to_regions(to_outputs(frame, without), without, {})
    assert "has no timeFormat to write it in: give numbers" in conversion.dropped[0]


@pytest.mark.parametrize(
    ("flags", "label", "message"),
    [
        ([0.1, 0.9], "Car", "compare probabilities with a threshold first"),
        ([float("nan"), 1.0], "Car", "neither true and false, numbers of classes nor names"),
        ([False, True], None, 'flags without a label, and the labeling config has several: give it as "label"'),
    ],
)
def test_flags_that_are_none_or_have_no_label_are_refused(flags: Any, label: str | None, message: str) -> None:
    raw = {"flags": np.array(flags), "times": [0, 1]} | ({"label": label} if label else {})
    two = config('<TimeSeries name="s" value="$s" timeColumn="t"/>', control("TimeSeriesLabels", "s", *THINGS))
    with pytest.raises(OutputError, match=message):
        to_outputs(raw, two)


# --- speech, OCR, answers, chats
def test_speech_without_times_is_refused_with_the_remedy_where_segments_are_wanted() -> None:
    only_segments = config('<Audio name="audio" value="$a"/>', control("Labels", "audio", "Speech"))
    with pytest.raises(OutputError, match="is speech without times"):
        to_outputs({"text": "hello"}, only_segments)


def test_tesseracts_own_table_is_read_as_text_too() -> None:
    as_dict, as_frame = (make(o.Box) for make in MADE["`image_to_data` as text, dict or `DataFrame`"][1:])
    text = MADE["`image_to_data` as text, dict or `DataFrame`"][0](o.Box)
    assert isinstance(text, str)
    assert to_outputs(text, READ[o.Box]) == to_outputs(as_frame, READ[o.Box])
    assert to_outputs(text, READ[o.Text]) == to_outputs(as_dict, READ[o.Text])


def test_rapidocr_that_only_reads_or_only_looks_is_understood() -> None:
    assert to_outputs(([["Hello", 0.9]], [0.01]), READ[o.Text]) == [o.Text("Hello")]
    if importlib.util.find_spec("rapidocr") is None:
        pytest.skip("rapidocr is not installed")
    from rapidocr.ch_ppocr_det.utils import TextDetOutput  # type: ignore[import-untyped]  # ships no types
    from rapidocr.ch_ppocr_rec.typings import TextRecOutput  # type: ignore[import-untyped]  # as above

    assert to_outputs(TextRecOutput(txts=("Hello",), scores=(0.9,)), READ[o.Text]) == [o.Text("Hello")]
    boxes = TextDetOutput(boxes=np.array([LINES[0][0]], dtype=np.float32), scores=[0.5])
    (box,) = to_outputs(boxes, READ[o.Box])
    assert (box.text, box.score) == (None, 0.5)  # type: ignore[attr-defined]


def test_an_answer_about_a_document_may_have_no_score() -> None:
    assert to_outputs([{"answer": "us-001"}], CONFIGS[o.Text]) == [o.Text("us-001")]


@pytest.mark.parametrize(
    "raw",
    [
        {"choices": [{"message": {"role": "assistant", "content": [{"type": "text", "text": "Car"}]}}]},
        {"model": "m", "message": {"role": "assistant", "content": "Car"}, "done": True},
        [{"generated_text": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "Car"}]}],
    ],
)
def test_what_a_chat_says_last_is_the_answer(raw: object) -> None:
    assert one(raw, o.Choice).label == "Car"
