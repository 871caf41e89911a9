"""COCO's JSON of a run: images, categories and what was drawn, with scores.

Format: https://cocodataset.org/#format-data; boxes are ``[x, y, width, height]`` in pixels, masks uncompressed
run-length codes down the columns.
"""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prelabel.errors import PrelabelError
from prelabel.metrics.instances import Instance
from prelabel.runs.held import Item, Role
from prelabel.runs.items import Said
from prelabel.runs.scores import Instances


def write_coco(path: Path, rows: Iterable[Said], instances: Instances, role: Role) -> int:
    """Write the boxes, polygons and masks of a run's images; returns how many those are.

    Data rows without any are images without annotations. Rotated boxes and ellipses become polygons; what cannot be
    read (a mask whose picture cannot be had) is left out.
    """
    categories: dict[str, int] = {}
    count = 0
    with path.open("w", encoding="utf-8") as file, tempfile.TemporaryFile("w+", encoding="utf-8") as drawn:
        file.write('{"images": [')
        for number, said in enumerate(instances.ahead(rows), start=1):
            items = said.predictions if role == "prediction" else said.annotations
            width, height = _size(said, items)
            image = {"id": number, "file_name": _name(said), "width": width, "height": height}
            file.write((",\n" if number > 1 else "\n") + json.dumps(image, ensure_ascii=False))
            for one in _of(instances, items, said.data_row.media_type):
                shape = _shape(one)
                if shape is None:
                    continue
                count += 1
                category = categories.setdefault(one.feature, len(categories) + 1)
                entry = {"id": count, "image_id": number, "category_id": category, **shape, "iscrowd": 0}
                if role == "prediction":
                    entry["score"] = one.confidence
                drawn.write((",\n" if count > 1 else "\n") + json.dumps(entry))
        file.write('\n],\n"annotations": [')
        drawn.seek(0)
        while part := drawn.read(1 << 20):
            file.write(part)
        named = [{"id": number, "name": name} for name, number in categories.items()]
        file.write('\n],\n"categories": ' + json.dumps(named, ensure_ascii=False) + "}\n")
    return count


def _of(instances: Instances, items: Sequence[Item], asset: str) -> list[Instance]:
    found: list[Instance] = []
    for item in items:
        with contextlib.suppress(PrelabelError):
            found += instances.of_items([item], asset)
    return found


def _shape(one: Instance) -> dict[str, Any] | None:
    """COCO's fields of one instance; None for what is not drawn on an image."""
    if one.kind == "box":
        x1, y1, x2, y2 = one.value
        return {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "segmentation": []}
    if one.kind == "mask":
        return _mask(one.value)
    points = _outline(one)
    if points is None or len(points) < 3:
        return None
    x, y = points[:, 0], points[:, 1]
    area = abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
    box = [float(x.min()), float(y.min()), float(np.ptp(x)), float(np.ptp(y))]
    return {"bbox": box, "area": area, "segmentation": [points.ravel().tolist()]}


def _outline(one: Instance) -> NDArray[np.float64] | None:
    if one.kind == "polygon":
        points: NDArray[np.float64] = np.asarray(one.value, dtype=np.float64)
        closed = len(points) > 3 and bool((points[0] == points[-1]).all())
        return points[:-1] if closed else points
    if one.kind == "rotated_box":
        x, y, width, height, degrees = one.value
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)
        return _turned(corners, degrees, (x, y))
    if one.kind == "ellipse":
        cx, cy, rx, ry, degrees = one.value
        angles = np.linspace(0, 2 * math.pi, 64, endpoint=False)
        return _turned(np.stack((rx * np.cos(angles), ry * np.sin(angles)), axis=1), degrees, (cx, cy))
    return None


def _turned(points: NDArray[np.float64], degrees: float, by: tuple[float, float]) -> NDArray[np.float64]:
    """Turned around the origin, clockwise with y downwards, and moved."""
    turn = math.radians(degrees)
    matrix = np.array(((math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))))
    turned: NDArray[np.float64] = points @ matrix + np.asarray(by)
    return turned


def _mask(inside: NDArray[np.bool_]) -> dict[str, Any] | None:
    if not inside.any():
        return None
    flat = np.asarray(inside, dtype=np.bool_).ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate(([0], changes, [flat.size]))).tolist()
    if flat[0]:
        counts.insert(0, 0)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]
    size = [int(inside.shape[0]), int(inside.shape[1])]
    return {"bbox": box, "area": int(flat.sum()), "segmentation": {"size": size, "counts": counts}}


def _size(said: Said, items: Sequence[Item]) -> tuple[int | None, int | None]:
    facts = said.data_row.facts
    if facts.get("width") and facts.get("height"):
        return int(facts["width"]), int(facts["height"])
    for item in items:
        for region in item.body if item.form == "labelstudio" else ():
            if region.get("original_width"):
                return int(region["original_width"]), int(region["original_height"])
    return None, None


def _name(said: Said) -> str:
    row = said.data_row
    if isinstance(row.row_data, str):
        return row.row_data
    if isinstance(row.row_data, Mapping):
        first = next((value for value in row.row_data.values() if isinstance(value, str)), None)
        if first is not None:
            return first
    return row.global_key or row.uid
