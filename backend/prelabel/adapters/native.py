"""Which of the adapters reads an object, a dict or a list that a framework returned; none is imported for it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from prelabel import outputs as o
from prelabel.adapters import chat, labelbox_objects, ocr, speech, texts
from prelabel.adapters.drawn import CORNERS
from prelabel.adapters.values import is_number, plain

if TYPE_CHECKING:
    from prelabel.adapters.reading import Reading

Reader = Callable[[Any, Any], list[o.Output]]

OBJECTS: Mapping[tuple[str, str], str] = {
    ("supervision", "Detections"): "detectors:supervision_detections",
    ("supervision", "KeyPoints"): "detectors:supervision_key_points",
    ("ultralytics", "Results"): "detectors:ultralytics_results",
    ("pandas", "DataFrame"): "tables:data_frame",
    ("pandas", "Series"): "tables:series",
    ("spacy", "Doc"): "texts:spacy_doc",
    ("rapidocr", "RapidOCROutput"): "ocr:rapidocr_output",
    ("rapidocr", "TextDetOutput"): "ocr:rapidocr_output",
    ("rapidocr", "TextRecOutput"): "ocr:rapidocr_output",
    ("labelbox", "Label"): "labelbox_objects:annotation",
    ("labelbox", "ObjectAnnotation"): "labelbox_objects:annotation",
    ("labelbox", "ClassificationAnnotation"): "labelbox_objects:annotation",
}
"""Package and class (or the name of a base class) to the function that reads its objects."""
MANY = 16
"""Rows from which on it is worth looking whether all are alike."""
_DETECTED = frozenset({"box", "label", "score"})
_FRAMES = {"supervision_detections", "ultralytics_results"}
ARRAY_KEYS = frozenset({
    "xyxy", "xywh", "cxcywh", "boxes", "masks", "keypoints", "label_map", "probabilities", "flags", "segments_info",
})  # fmt: skip
"""Keys under which a dict states what its arrays are."""


@lru_cache(maxsize=256)
def reader_of(kind: type) -> Reader | None:
    """The function that reads objects of a type; None where they are plain Python or unknown."""
    for base in kind.__mro__:
        found = OBJECTS.get((base.__module__.partition(".")[0], base.__name__))
        if found is not None:
            module, _, name = found.partition(":")
            reader: Reader = getattr(importlib.import_module(f"prelabel.adapters.{module}"), name)
            return reader
    return None


def of_mapping(given: Mapping[Any, Any], reading: Reading) -> list[o.Output] | None:  # noqa: PLR0911 (one a form)
    """A dict of one of the forms that frameworks return; None where it is none of them."""
    keys = given.keys()
    if "dataRow" in keys and labelbox_objects.is_row(given):
        return labelbox_objects.row(given, reading)
    if chat.is_completion(given):
        return chat.completion(given, reading)
    if keys >= ocr.TESSERACT:
        return ocr.tesseract(given, reading)
    if isinstance(given.get("annotations"), list) and "categories" in keys:
        return _coco(given["annotations"], reading, given)
    if "category_id" in keys:
        return _coco([given], reading)
    if speech.is_speech(given):
        return speech.speech(given, reading)
    if texts.is_answer(given):
        return texts.answers([given], reading)
    if any(not is_number(plain(given[key])) for key in keys & ARRAY_KEYS):
        from prelabel.adapters.arrays import stated  # noqa: PLC0415 (NumPy is imported by those who have arrays)

        return stated(given, reading)
    return None


def of_items(  # noqa: PLR0911 (one return a form)
    items: Sequence[Any], given: Any, reading: Reading
) -> list[o.Output] | None:
    """A list or tuple of one of the forms that frameworks return; None where it is none of them."""
    first = items[0]
    if isinstance(first, Mapping):
        if len(items) >= MANY and first.keys() == _DETECTED:
            rows = _detected(items)
            found = of_rows(rows, reading) if rows is not None else None
            if found is not None:
                return found
        if all(isinstance(item, Mapping) and "category_id" in item for item in items):
            return _coco(items, reading)
        if "entity" in first and "word" in first:
            return texts.tagged_tokens(items, reading)
        if texts.is_answer(first):
            return texts.answers(items, reading)
        return None
    reader = reader_of(first.__class__)
    if reader is not None and reader.__name__ in _FRAMES and reading.takes(o.Track):
        from prelabel.adapters.detectors import tracks  # noqa: PLC0415 (as above)

        return tracks(items, reading)
    if _is_pair_of_rapidocr(items, reading):
        return ocr.rapidocr_rows(items[0], reading, given)
    if ocr.reads_text(reading) or not (reading.takes(o.Box) or reading.takes(o.Polygon)):
        rows = [plain(item) for item in items]
        if ocr.is_lines(rows):
            return ocr.lines(rows, reading, given)
    return None


def _detected(items: Sequence[Any]) -> list[tuple[Any, ...]] | None:
    """Many dicts of box, label and score, as transformers' object detection gives them, as rows for `of_rows`."""
    if any(type(item) is not dict or item.keys() != _DETECTED for item in items):
        return None
    first = items[0]["box"]
    keys = next((keys for keys in CORNERS if isinstance(first, dict) and first.keys() == set(keys)), None)
    try:
        if keys is None:
            rows = [(*item["box"], item["label"], item["score"]) for item in items]
            return rows if all(len(row) == len(CORNERS[0]) + 2 for row in rows) else None
        return [(*(item["box"][key] for key in keys), item["label"], item["score"]) for item in items]
    except (KeyError, TypeError, ValueError):
        return None


def of_rows(items: Sequence[Any], reading: Reading) -> list[o.Output] | None:
    """Many rows of four corners, label and score (all alike, of plain Python) as `Boxes`; None where they are not.

    Nothing else is decided here than what one such row means by itself.
    """
    if not reading.takes(o.Box) or len({len(item) for item in items}) != 1 or not 4 <= len(items[0]) <= 6:
        return None
    columns = list(zip(*items, strict=True))
    kinds = [set(map(type, column)) for column in columns]
    if any(kind - {int, float} for kind in kinds[:4]):
        return None
    told: dict[str, Sequence[Any]] = {}
    for column, kind in zip(columns[4:], kinds[4:], strict=True):
        name = "label" if kind == {str} else "score" if kind <= {int, float} else ""
        if not name or name in told or (name == "score" and len(columns) == 5):
            return None
        told[name] = column
    if "label" in told and not any(reading.config.label_control(control) for control in reading.takes(o.Box)):
        return None  # what was read inside the box
    scores = [reading.share(score, items[0]) for score in told["score"]] if "score" in told else None
    corners = list(zip(*columns[:4], strict=True))
    shares = None if scores is None else [math.nan if share is None else share for share in scores]
    return [o.Boxes(corners, told.get("label"), shares, control=reading.control_name)]


def _is_pair_of_rapidocr(items: Sequence[Any], reading: Reading) -> bool:
    """The pair that ``rapidocr_onnxruntime`` returns: what it read (None: nothing), seconds of each of its steps."""
    if len(items) != 2 or (not isinstance(items[1], list | tuple) and items[1] is not None):
        return False
    rows, took = items
    return bool(isinstance(rows, list) and ocr.is_rapidocr_rows(rows, reading) and _seconds(took))


def _seconds(took: Any) -> bool:
    return took is None or all(isinstance(each, float) for each in took)


def _coco(rows: Sequence[Any], reading: Reading, given: Mapping[str, Any] | None = None) -> list[o.Output]:
    from prelabel.adapters.detectors import coco_results  # noqa: PLC0415 (as above)

    return coco_results(rows, reading, given)
