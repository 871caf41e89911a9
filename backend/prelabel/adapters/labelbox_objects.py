"""Annotations of Labelbox's SDK and its NDJSON rows, of one item, to outputs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from prelabel import outputs as o
from prelabel.adapters.menu import Menu
from prelabel.labeling import fold

_DRAWN = ("bbox", "polygon", "line", "point", "mask", "location")
_KINDS = frozenset({*_DRAWN, "answer", "answers", "relationship"})


def is_row(given: Mapping[Any, Any]) -> bool:
    """Whether a dict is a row of Labelbox's NDJSON."""
    return "dataRow" in given and bool(given.keys() & {*_KINDS, "segments", "masks", "messageEvaluationTask"})


def annotation(value: Any, menu: Menu) -> list[o.Output]:
    """A ``labelbox.types`` Label, or one annotation of it."""
    from prelabel.labelbox.objects import rows_of_objects  # noqa: PLC0415 (the package labelbox, by those who use it)

    if type(value).__name__ != "Label":
        value = importlib.import_module("labelbox.types").Label(data={"global_key": "item"}, annotations=[value])
    return [output for each in rows_of_objects([value]) for output in row(each, menu)]


def row(given: Mapping[str, Any], menu: Menu) -> list[o.Output]:
    """One row as an output, and its nested answers behind it.

    Raises:
        OutputError: it names its feature by a schema id only, or is of a kind that has no form here.
    """
    if "relationship" in given:
        ends = given["relationship"]
        direction: Any = "bi" if ends.get("type") == "bidirectional" else "right"
        labels = (str(given["name"]),) if given.get("name") else ()
        return [o.Relation(str(ends["source"]), str(ends["target"]), labels, direction)]
    name = given.get("name")
    if not isinstance(name, str):
        raise menu.refuse(given, "names its feature by a schema id: use the name")
    key = next((key for key in _DRAWN if key in given), None)
    if key is None and not given.keys() & {"answer", "answers"}:
        raise menu.refuse(given, "is of a kind of Labelbox's that only a model run takes (`run.add_predictions`)")
    if key is None:
        return [_answer(given, menu, None)]
    region_id = str(given.get("uuid") or uuid4())
    rest: dict[str, Any] = {
        "label": name, "id": region_id, "score": given.get("confidence"), "control": menu.control_name,
    }  # fmt: skip
    nested = [_answer(each, menu, region_id) for each in given.get("classifications") or ()]
    return [_drawn(key, given[key], rest, given, menu), *nested]


def _drawn(key: str, value: Any, rest: dict[str, Any], given: Mapping[str, Any], menu: Menu) -> o.Output:
    if key == "bbox":
        return o.Box(value["left"], value["top"], value["width"], value["height"], **rest)
    if key == "point":
        return o.Keypoint(value["x"], value["y"], **rest)
    if key == "location":
        return o.Span(int(value["start"]), int(value["end"]) + 1, **rest)  # Labelbox's end is the last character
    if key in {"polygon", "line"}:
        points = tuple((float(point["x"]), float(point["y"])) for point in value)
        return o.Polygon(points, **rest) if key == "polygon" else o.Polyline(points, **rest)
    from prelabel.labelbox.review_masks import of_color, read_pixels  # noqa: PLC0415 (Pillow, by those who send masks)

    try:
        return o.Mask(of_color(read_pixels(value, {}), value.get("colorRGB")), **rest)
    except ValueError as error:
        raise menu.refuse(given, f"has a mask that cannot be read ({error})") from error


def _answer(given: Mapping[str, Any], menu: Menu, of: str | None) -> o.Output:
    said = given.get("answer", given.get("answers"))
    name = str(given.get("name"))
    control = next((c.name for c in menu.config.controls if fold(c.name) == fold(name)), menu.control_name)
    rest: dict[str, Any] = {"of": of, "control": control, "score": given.get("confidence")}
    if isinstance(said, str | int | float):
        return o.Text(str(said), **rest)
    options = [said] if isinstance(said, Mapping) else list(said or ())
    labels = tuple(str(option.get("name")) for option in options)
    scores = [option["confidence"] for option in options if option.get("confidence") is not None]
    rest["score"] = rest["score"] if rest["score"] is not None else min(scores, default=None)
    if not isinstance(said, Mapping):
        return o.Choices(labels, **rest)
    return o.Choice(labels[0], **rest)
