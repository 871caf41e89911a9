"""NumPy arrays whose form the result states by a key: boxes, label maps, class probabilities, keypoints, flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from prelabel import outputs as o
from prelabel.adapters.detectors import LABELS, SCORES, by_column
from prelabel.adapters.flags import stretches
from prelabel.adapters.naming import named, names_in, table_of
from prelabel.adapters.values import as_plane, plain

if TYPE_CHECKING:
    from prelabel.adapters.menu import Menu
    from prelabel.adapters.reading import Reading

BOX_FORMATS = ("xyxy", "xywh", "cxcywh")
"""Keys of boxes ``[N, 4..6]``: two corners; top-left corner and size; centre and size. Column 5 is the score, 6 the
class's number."""


def stated(given: Mapping[Any, Any], reading: Reading) -> list[o.Output] | None:  # noqa: PLR0911 (one return a form)
    """A dict of arrays by their keys; None where it is none."""
    if "segments_info" in given and "segmentation" in given:
        return panoptic(given, reading)
    if "label_map" in given:
        return label_map(_array(given["label_map"]), names_in(given), reading, given)
    if "probabilities" in given:
        return probabilities(_array(given["probabilities"]), names_in(given), reading, given)
    if "flags" in given:
        label = given.get("label")
        names = names_in(given)
        return stretches(given["flags"], given.get("times"), reading, given, label=label, names=names)
    key = next((key for key in BOX_FORMATS if key in given), None)
    if key is None and "boxes" in given and given.get("format") is not None:
        key = _format(given, reading)
    if key is not None:
        rows = _array(given.get(key, given.get("boxes")))
        if rows.ndim == 1 and rows.size in (5, 6):
            rows = rows[None]
        return _boxes(rows, key, given, reading) if rows.ndim == 2 or not rows.size else None
    if "boxes" in given or "masks" in given or _array(given.get("keypoints")).ndim > 1:
        return by_column(given, reading)
    return None


def _array(value: Any) -> Any:
    return np.asarray(plain(value))


def _format(given: Mapping[Any, Any], menu: Menu) -> str:
    """One of `BOX_FORMATS` from ``format``, which torchvision writes in capitals."""
    told = str(plain(given["format"])).lower()
    if told not in BOX_FORMATS:
        raise menu.refuse(given, f"has boxes in the format {told!r}, which is none of {', '.join(BOX_FORMATS)}")
    return told


def _unit(given: Mapping[Any, Any], menu: Menu) -> o.Unit:
    unit = given.get("unit", o.Unit.PIXEL)
    if unit not in [each.value for each in o.Unit]:
        raise menu.refuse(given, "has a unit other than pixel, fraction and percent")
    return o.Unit(unit)


def _boxes(rows: Any, form: str, given: Mapping[Any, Any], menu: Menu) -> list[o.Output]:
    if not rows.size:
        return []
    if not 4 <= rows.shape[1] <= 6:
        raise menu.refuse(given, f"has {form} with {rows.shape[1]} columns instead of 4 to 6")
    said = {key: value for key, value in given.items() if key not in (*BOX_FORMATS, "boxes", "format")}
    if rows.shape[1] >= 5 and not any(key in said for key in SCORES):
        said["scores"] = rows[:, 4]
    if rows.shape[1] == 6 and not any(key in said for key in LABELS):
        said["labels"] = rows[:, 5]
    return by_column(said, menu, corners(rows[:, :4], form), _unit(given, menu), raw=given)


def corners(rows: Any, form: str) -> Any:
    """Boxes of one of `BOX_FORMATS` as two corners."""
    first, second = rows[:, :2].astype(np.float64), rows[:, 2:4].astype(np.float64)
    if form == "xywh":
        second = first + second
    elif form == "cxcywh":
        first, second = first - second / 2, first + second / 2
    return np.concatenate((first, second), axis=1)


def probabilities(shares: Any, names: Mapping[int, str] | None, reading: Reading, raw: Any) -> list[o.Output]:
    """One probability for each class."""
    shares = shares[0] if shares.ndim == 2 and len(shares) == 1 else shares
    if shares.ndim != 1:
        raise reading.refuse(raw, f"holds probabilities of the shape {list(shares.shape)} instead of [classes]")
    table = names if names is not None else table_of(reading.names) if reading.names else None
    if table is None or len(table) != len(shares):
        told = "no names" if table is None else f"{len(table)} names"
        raise reading.refuse(raw, f"holds {len(shares)} probabilities and {told} of classes")
    return reading.probabilities(
        dict(zip(named(range(len(shares)), table, reading, raw), shares.tolist(), strict=True))
    )


def label_map(plane: Any, names: Mapping[int, str] | None, menu: Menu, raw: Any) -> list[o.Output]:
    """A plane of class numbers: a mask for each that occurs. 0 is the background unless the config has its name."""
    plane = plane[0] if plane.ndim == 3 and len(plane) == 1 else plane
    if plane.ndim != 2:
        raise menu.refuse(raw, f"has a label map of the shape {list(plane.shape)} instead of [height, width]")
    if plane.dtype.kind not in "iub":
        raise menu.refuse(raw, f"has a label map of {plane.dtype} instead of integers")
    numbers = [int(number) for number in _occurring(plane)]
    if 0 in numbers:
        name = (names or dict(enumerate(menu.names))).get(0)
        if name is None or not menu.knows_somewhere(name):
            numbers.remove(0)
    labels = named(numbers, names, menu, raw)
    return [
        o.Mask(plane == number, label, control=menu.control_name) for number, label in zip(numbers, labels, strict=True)
    ]


def _occurring(plane: Any) -> Any:
    """The numbers that stand in a plane, in order; quicker than sorting all of it where they are small."""
    if plane.size and plane.dtype.kind in "ui" and plane.min() >= 0 and plane.max() < 1 << 16:
        return np.flatnonzero(np.bincount(plane.reshape(-1)))
    return np.unique(plane)


def panoptic(given: Mapping[Any, Any], menu: Menu) -> list[o.Output]:
    """``segmentation`` [height, width] of segment ids and ``segments_info``: transformers' and COCO's panoptic form."""
    plane = as_plane(plain(given["segmentation"]))
    segments = [plain(segment) for segment in plain(given["segments_info"])]
    numbers = [segment.get("label", segment.get("label_id", segment.get("category_id"))) for segment in segments]
    labels = named(numbers, names_in(given), menu, given)
    return [
        o.Mask(
            np.asarray(plane) == segment["id"], label, score=menu.share(segment.get("score"), given),
            control=menu.control_name,
        )
        for segment, label in zip(segments, labels, strict=True)
    ]  # fmt: skip
