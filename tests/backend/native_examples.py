"""An example of everything that prelabel.adapters.sources lists, of real objects where the library is light."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import labelbox.types as lt
import numpy as np
import pandas as pd
import pytesseract.pytesseract
import spacy
import supervision as sv
from PIL import Image
from spacy.tokens import Doc, Span

from prelabel import outputs as o
from prelabel.labeling import LabelingConfig, parse

RECORDED = Path(__file__).parents[1] / "recordings" / "tesseract.tsv"
"""What Tesseract 5.3 wrote of a picture with "Hello World" and "Total 42.50" below it."""


def config(*tags: str) -> LabelingConfig:
    return parse(f"<View>{''.join(tags)}</View>")


def control(tag: str, to: str, *names: str, child: str = "Label", more: str = "") -> str:
    inside = "".join(f'<{child} value="{each}"/>' for each in names)
    return f'<{tag} name="{tag.lower()}" toName="{to}" {more}>{inside}</{tag}>'


TEXT, IMAGE = '<Text name="text" value="$text"/>', '<Image name="image" value="$image"/>'
AUDIO, VIDEO = '<Audio name="audio" value="$audio"/>', '<Video name="video" value="$video"/>'
SERIES = '<TimeSeries name="series" value="$series" timeColumn="t"><Channel column="a"/></TimeSeries>'
THINGS = ("Car", "Person")
IN_REGION = '<TextArea name="words" toName="{0}" perRegion="true"/>'
CONFIGS: Mapping[type[o.Output], LabelingConfig] = {
    o.Choice: config(TEXT, control("Choices", "text", *THINGS, child="Choice")),
    o.Choices: config(TEXT, control("Choices", "text", *THINGS, child="Choice", more='choice="multiple"')),
    o.Taxonomy: config(TEXT, control("Taxonomy", "text", *THINGS, child="Choice")),
    o.Boxes: config(IMAGE, control("RectangleLabels", "image", *THINGS)),
    o.Box: config(IMAGE, control("RectangleLabels", "image", *THINGS)),
    o.Mask: config(IMAGE, control("BrushLabels", "image", *THINGS)),
    o.Polygon: config(IMAGE, control("PolygonLabels", "image", *THINGS)),
    o.Polyline: config(IMAGE, control("VectorLabels", "image", *THINGS)),
    o.Keypoint: config(IMAGE, control("KeyPointLabels", "image", "Nose", "Tail", *THINGS)),
    o.Span: config(TEXT, control("Labels", "text", "Car")),
    o.Text: config(TEXT, '<TextArea name="area" toName="text"/>'),
    o.Segment: config(AUDIO, control("Labels", "audio", "Car"), IN_REGION.format("audio")),
    o.SeriesSegment: config(SERIES, control("TimeSeriesLabels", "series", "Car")),
    o.FrameSpan: config(VIDEO, control("TimelineLabels", "video", "Car")),
    o.Track: config(VIDEO, control("Labels", "video", *THINGS), '<VideoRectangle name="track" toName="video"/>'),
    o.Relation: config(TEXT, control("Labels", "text", "Car"), '<Relations><Relation value="of"/></Relations>'),
}
"""A labeling config that holds this kind of output, and no better one."""
READ = {
    o.Box: config(IMAGE, '<Rectangle name="box" toName="image"/>', IN_REGION.format("image")),
    o.Polygon: config(IMAGE, '<Polygon name="outline" toName="image"/>', IN_REGION.format("image")),
    o.Text: config(IMAGE, '<TextArea name="area" toName="image"/>'),
}
"""The same for what was read in a picture."""

# --- columns of two things in a picture of 40 x 30
CORNERS = np.array([[2, 3, 12, 13], [20, 4, 30, 24]], dtype=np.float32)
SCORES, CLASSES = np.array([0.75, 0.5], dtype=np.float32), np.array([0, 1])
PLANES = np.zeros((2, 30, 40), dtype=np.bool_)
PLANES[0, 3:13, 2:12] = PLANES[1, 4:24, 20:30] = True
POINTS = np.array([[[5, 6, 0.9], [0, 0, 0.0]], [[21, 9, 0.75], [28, 22, 0.5]]])
RINGS = [np.array([[2, 3], [12, 3], [12, 13], [2, 13]]), np.array([[20, 4], [30, 4], [30, 24], [20, 24]])]
COLUMNS = {"labels": CLASSES, "scores": SCORES, "names": THINGS}


def detections(kind: type[o.Output]) -> sv.Detections:
    return sv.Detections(
        xyxy=CORNERS,
        mask=PLANES if kind is not o.Boxes else None,
        confidence=SCORES,
        class_id=CLASSES,
        data={"class_name": np.array(THINGS)},
    )


def frames(kind: type[o.Output]) -> list[sv.Detections]:
    ids = [[7, 8], [7], [8]]
    return [
        sv.Detections(
            xyxy=CORNERS[: len(each)] + at,
            confidence=SCORES[: len(each)],
            tracker_id=np.array(each),
            data={"class_name": np.array(["Car" if one == 7 else "Person" for one in each])},
        )
        for at, each in enumerate(ids)
    ]


def ultralytics(kind: type[o.Output], ids: list[int] | None = None) -> Any:
    """Ultralytics' Results as documented: https://docs.ultralytics.com/modes/predict/#working-with-results."""
    results = type("Results", (SimpleNamespace,), {"__module__": "ultralytics.engine.results"})
    found = SimpleNamespace(xyxy=CORNERS, conf=SCORES, cls=CLASSES.astype(np.float32), id=ids)
    said: dict[str, Any] = dict.fromkeys(("boxes", "masks", "probs", "keypoints", "obb"))
    said |= {"names": dict(enumerate(THINGS)), "orig_shape": (30, 40)}
    if kind in (o.Choice, o.Choices, o.Taxonomy):
        return results(**said | {"probs": SimpleNamespace(data=np.array([0.75, 0.25]))})
    if kind is o.Box:
        found.xyxyxyxy = np.array([[[10, 5], [15, 10], [10, 15], [5, 10]], [[20, 4], [30, 4], [30, 24], [20, 24]]])
        return results(**said | {"obb": found})
    if kind in (o.Mask, o.Polygon):
        said["masks"] = SimpleNamespace(data=PLANES.astype(np.float32), xy=RINGS)
    if kind is o.Keypoint:
        said["keypoints"] = SimpleNamespace(data=POINTS)
    return results(**said | {"boxes": found})


@cache
def spacy_model() -> Any:
    return spacy.blank("en")


def doc(kind: type[o.Output]) -> Doc:
    made = spacy_model()("a red car and a boat")
    made.ents = [Span(made, 1, 3, "Car")]
    made.cats = {"Car": 0.75, "Person": 0.25}
    return made  # type: ignore[no-any-return]  # spaCy's call has no type


def coco(kind: type[o.Output]) -> Any:
    rows: list[dict[str, Any]] = [
        {"image_id": 1, "category_id": 3, "bbox": [2, 3, 10, 10], "score": 0.75},
        {"image_id": 1, "category_id": 1, "bbox": [20, 4, 10, 20], "score": 0.5},
    ]
    categories: list[dict[str, Any]] = [{"id": 3, "name": "Car"}, {"id": 1, "name": "Person"}]
    for row, ring, plane, points in zip(rows, RINGS, PLANES, POINTS, strict=True):
        if kind is o.Polygon:
            row["segmentation"] = [ring.reshape(-1).tolist()]
        elif kind is o.Mask:
            row["segmentation"] = {"size": [30, 40], "counts": runs(plane)}
        elif kind is o.Keypoint:
            row["keypoints"] = points.reshape(-1).tolist()
    if kind is o.Keypoint:
        categories[0]["keypoints"] = ["Nose", "Tail"]
    return {"images": [{"id": 1, "width": 40, "height": 30}], "annotations": rows, "categories": categories}


def runs(plane: Any) -> list[int]:
    """COCO's counts of a mask, spelled out: columns of pixels, background first."""
    flat = [False, *plane.T.reshape(-1).tolist()]
    turns = [at for at in range(1, len(flat)) if flat[at] != flat[at - 1]]
    return np.diff([0, *(at - 1 for at in turns), len(flat) - 1]).tolist()


def labelbox(kind: type[o.Output]) -> Any:
    corner = lt.Rectangle(start=lt.Point(x=2, y=3), end=lt.Point(x=12, y=13))
    ring = [lt.Point(x=float(x), y=float(y)) for x, y in RINGS[0]]
    values: dict[type[o.Output], Any] = {
        o.Box: corner,
        o.Polygon: lt.Polygon(points=ring),
        o.Polyline: lt.Line(points=ring),
        o.Keypoint: lt.Point(x=5, y=6),
        o.Span: lt.TextEntity(start=2, end=8),
        o.Mask: lt.Mask(mask=lt.MaskData.from_2D_arr(PLANES[0].astype(np.uint8) * 255), color=(255, 255, 255)),
    }
    if kind in values:
        return lt.ObjectAnnotation(name="Car", value=values[kind], confidence=0.75)
    if kind is o.Relation:
        ends = [lt.ObjectAnnotation(name="Car", value=lt.TextEntity(start=at, end=at + 1)) for at in (2, 6)]
        joined = lt.RelationshipAnnotation(
            name="of", value=lt.Relationship(source=ends[0], target=ends[1], type=lt.Relationship.Type.UNIDIRECTIONAL)
        )
        return lt.Label(data={"global_key": "a"}, annotations=[*ends, joined])
    answer = lt.ClassificationAnswer(name="Car", confidence=0.75)
    said: dict[type[o.Output], Any] = {
        o.Choice: lt.Radio(answer=answer), o.Choices: lt.Checklist(answer=[answer]), o.Text: lt.Text(answer="a car"),
    }  # fmt: skip
    return lt.ClassificationAnnotation(name="Choices", value=said[kind])


def completion(kind: type[o.Output]) -> dict[str, Any]:
    content = "a car" if kind is o.Text else '```json\n{"label": "Car", "score": 0.75}\n```'
    message = {"role": "assistant", "content": content}
    return {"object": "chat.completion", "choices": [{"index": 0, "message": message}]}


def tesseract() -> dict[str, Any]:
    read: dict[str, Any] = pytesseract.pytesseract.file_to_dict(RECORDED.read_text(encoding="utf-8"), "\t", -1)
    return read


def tesseract_frame() -> pd.DataFrame:
    """Read as pytesseract reads it for ``Output.DATAFRAME``."""
    return pd.read_csv(RECORDED, sep="\t", quoting=csv.QUOTE_NONE)


LINES = [[[[18.0, 33.0], [194.0, 33.0], [194.0, 67.0], [18.0, 67.0]], "Hello World", 0.9952299865809354]]
"""What rapidocr_onnxruntime 1.4 returned of such a picture."""


def frame_of(kind: type[o.Output]) -> pd.DataFrame:
    if kind is o.Boxes:  # the columns of YOLOv5's ``results.pandas().xyxy``
        columns = dict(zip(("xmin", "ymin", "xmax", "ymax"), CORNERS.T, strict=True))
        return pd.DataFrame({**columns, "confidence": SCORES, "class": CLASSES, "name": THINGS})
    return pd.DataFrame({"start": [2, 6], "end": [5, 9], "label": ["Car", "Car"], "score": [0.75, None]})


def sized(kind: type[o.Output], **said: Any) -> dict[str, Any]:
    return {"boxes": CORNERS, **COLUMNS, **said}


CHUNKS = [{"text": " a car", "timestamp": (0.5, 1.5)}, {"text": " goes by", "timestamp": (1.5, None)}]
GREY = [Image.fromarray(plane.astype(np.uint8) * 255) for plane in PLANES]
SHARES = [{"label": "Car", "score": 0.75}, {"label": "Person", "score": 0.25}]
NAMED_POINTS = {"keypoints": POINTS, "names": ["Nose", "Tail"]}
FLAGS, TIMES = np.array([0, 1, 1, 0], dtype=np.bool_), [0.0, 0.5, 1.0, 1.5]
TOKENS = [
    {"entity": "B-Car", "score": 0.75, "index": 2, "word": "red", "start": 2, "end": 5},
    {"entity": "I-Car", "score": 0.25, "index": 3, "word": "car", "start": 6, "end": 9},
]

Make = Callable[[Any], Any]
MADE: Mapping[str, tuple[Make, ...]] = {
    "`[classes]` probabilities of a model that declares its `labels`": (lambda kind: np.array([0.75, 0.25]),),
    '`{"probabilities": [classes], "names": ...}`': (
        lambda kind: {"probabilities": np.array([0.75, 0.25]), "names": THINGS},
        lambda kind: {"probabilities": np.array([[0.75, 0.25]]), "classes_": np.array(THINGS)},
    ),
    "`[N, 4]` corners": (lambda kind: CORNERS,),
    '`{"xyxy": [N, 4..6]}`, or `"xywh"` (top-left corner and size), or `"cxcywh"` (centre and size); column 5 is'
    ' the score, 6 the class; `"unit": "fraction"` for 0..1': (
        lambda kind: {"xyxy": np.column_stack((CORNERS, SCORES, CLASSES)), "names": THINGS},
        lambda kind: {"xywh": np.column_stack((CORNERS[:, :2], CORNERS[:, 2:] - CORNERS[:, :2])), **COLUMNS},
        lambda kind: {"cxcywh": np.array([[7, 8, 10, 10], [25, 14, 10, 20]]), **COLUMNS},
        lambda kind: {"xyxy": CORNERS / (40, 30, 40, 30), "unit": "fraction", **COLUMNS},
        lambda kind: {"boxes": CORNERS, "format": "xyxy", **COLUMNS},
    ),
    "`[H, W]` bool, integers or probabilities": (lambda kind: {"Car": PLANES[0], "Person": PLANES[1] * 0.9},),
    '`{"masks": [N, H, W], "labels": ..., "scores": ...}`': (lambda kind: {"masks": PLANES, **COLUMNS},),
    '`{"label_map": [H, W] of class numbers, "names": ...}`; 0 is the background': (
        lambda kind: {"label_map": PLANES[0] + 2 * PLANES[1], "names": ["background", "Car", "Person"]},
    ),
    '`{"keypoints": [K, 2..3] or [N, K, 2..3], "names": ...}`': (
        lambda kind: NAMED_POINTS,
        lambda kind: {"keypoints": POINTS[1, :, :2], "names": ["Nose", "Tail"]},
    ),
    '`{"flags": [N], "times": [N], "label": ...}`; `[N]` bool without times': (
        lambda kind: {"flags": FLAGS, "times": TIMES, "label": "Car"},
        lambda kind: {"flags": FLAGS * 1, "times": TIMES, "names": ["nothing", "Car"]},
    ),
    "`DataFrame` with a row for each box, span or segment": (frame_of,),
    "`DataFrame` of one row, or `Series`: probabilities by class name": (
        lambda kind: pd.DataFrame({"Car": [0.75], "Person": [0.25]}),
        lambda kind: pd.Series({"Car": 0.75, "Person": 0.25}),
    ),
    "`Series` of bool or integers with the time as its index": (
        lambda kind: pd.Series(FLAGS, index=TIMES),
        lambda kind: pd.Series(FLAGS, index=TIMES).astype(int),
    ),
    "`Detections`; names from `data['class_name']`": (detections,),
    "`KeyPoints`": (
        lambda kind: sv.KeyPoints(
            xy=POINTS[:, :, :2].astype(np.float32), class_id=CLASSES, data={"class_name": np.array(THINGS)}
        ),
    ),
    "list of `Detections` with `tracker_id`, one a frame": (frames,),
    "`Results`; names from `names`": (ultralytics,),
    "list of `Results` with track ids, one a frame": (lambda kind: [ultralytics(o.Boxes, [7, 8])] * 3,),
    "`Doc`: `ents`, `spans`, `cats`": (doc,),
    "text, image, audio and zero-shot classification": (
        lambda kind: SHARES,
        lambda kind: [SHARES],
        lambda kind: {"sequence": "a car", "labels": ["Car", "Person"], "scores": [0.75, 0.25]},
    ),
    "token classification, aggregated or with BIO tags": (
        lambda kind: [{"entity_group": "Car", "score": 0.5, "word": "red car", "start": 2, "end": 9}],
        lambda kind: TOKENS,
    ),
    "object detection; `post_process_object_detection` with `id2label`": (
        lambda kind: {"boxes": CORNERS, "labels": CLASSES, "scores": SCORES, "id2label": {"0": "Car", "1": "Person"}}
        if kind is o.Boxes
        else [{"score": 0.75, "label": "Car", "box": {"xmin": 2, "ymin": 3, "xmax": 12, "ymax": 13}}],
    ),
    "semantic segmentation": (
        lambda kind: [{"score": None, "label": "Car", "mask": GREY[0]}, {"label": "Person", "mask": GREY[1]}],
    ),
    "instance and panoptic segmentation": (lambda kind: [{"score": 0.75, "label": "Car", "mask": GREY[0]}],),
    "`post_process_panoptic_segmentation` with `id2label`": (
        lambda kind: {
            "segmentation": PLANES[0] + 2 * PLANES[1],
            "segments_info": [{"id": 1, "label_id": 0, "score": 0.75}, {"id": 2, "label_id": 1, "was_fused": False}],
            "id2label": {0: "Car", 1: "Person"},
        },
    ),
    "speech recognition, with or without `chunks`": (lambda kind: {"text": " a car goes by", "chunks": CHUNKS},),
    "question answering, of documents and pictures too": (
        lambda kind: [{"score": 0.5, "answer": "Car", "start": 6, "end": 9}, {"score": 0.25, "answer": "Person"}],
        lambda kind: {"score": 0.5, "answer": "Car", "start": 6, "end": 9},
    ),
    "generated text, summaries, translations": (
        lambda kind: [{"generated_text": "a car"}],
        lambda kind: [{"summary_text": "a car"}],
        lambda kind: [{"translation_text": "a car"}],
    ),
    "dict of `boxes`, `labels`, `scores`, `masks`, `keypoints` with `names`": (
        lambda kind: sized(kind, **{
            o.Mask: {"masks": PLANES[:, None] * 0.9}, o.Polygon: {"masks": PLANES[:, None] * 0.9},
            o.Keypoint: {"keypoints": POINTS, "keypoint_names": ["Nose", "Tail"]},
        }.get(kind, {})),
    ),
    "results or annotations of one image": (coco,),
    "`image_to_data` as text, dict or `DataFrame`": (
        lambda kind: RECORDED.read_text(encoding="utf-8"),
        lambda kind: tesseract(),
        lambda kind: tesseract_frame(),
    ),
    "list of corners, text, score (alone or with the times); `RapidOCROutput`": (
        lambda kind: LINES,
        lambda kind: (LINES, [5.046, 0.0133, 0.1898]),
    ),
    "chat completion or response: its text, or the JSON in it": (
        completion,
        lambda kind: {
            "object": "response",
            "output": [
                {"type": "message", "content": [{"type": "output_text", "text": "Car" if kind is not o.Text else "a"}]}
            ],
        },
    ),
    "`Label`, `ObjectAnnotation`, `ClassificationAnnotation`, NDJSON rows of one item": (labelbox,),
}  # fmt: skip
"""For each row of the table, by its form: what makes examples of it, given the kind of output that is wanted."""
