"""Mean average precision of boxes and masks, by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from prelabel import masks
from prelabel.metrics.instances import Instance
from prelabel.metrics.libraries import library
from prelabel.metrics.matching import Both

MOST_PER_IMAGE = 100
"""COCO looks at the most confident 100 predictions of a class in an image."""
EVERY_AREA = [[0.0, 1e10]]


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """``ap``: mean over IoU 0.50 to 0.95 by 0.05. None: nothing of that class (or at all) is annotated."""

    ap: float | None
    ap50: float | None
    ap75: float | None

    def as_json(self) -> dict[str, float | None]:
        """The three numbers."""
        return {"ap": self.ap, "ap50": self.ap50, "ap75": self.ap75}


@dataclass(frozen=True, slots=True)
class Detection:
    """``all``: mean over the annotated classes (mAP); ``classes``: each of them."""

    all: AveragePrecision
    classes: Mapping[str, AveragePrecision]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**self.all.as_json(), "classes": {name: one.as_json() for name, one in self.classes.items()}}


def average_precision(
    rows: Mapping[str, Both], kind: Literal["box", "mask"] = "box", *, all_rows: bool = True
) -> Detection:
    """COCO's average precision over all confidences, 101 recall points, of the instances of one kind.

    Each data row and each scope in it (a page) is an image. COCO's match is an IoU of at least the threshold.

    Args:
        all_rows: False leaves out data rows without a prediction or without an annotation.

    Raises:
        SettingsError: faster-coco-eval is not installed.
    """
    found = Detections(kind)
    found.add(both for both in rows.values() if all_rows or (both[0] and both[1]))
    return found.average_precision()


class Detections:
    """Boxes or masks of many data rows, taken a page at a time. Each is kept as COCO's entry (a box about 0.7 kB, a
    mask by its run lengths), for COCO ranks all of a class at once."""

    def __init__(self, kind: Literal["box", "mask"]) -> None:
        self.kind = kind
        self._images: list[dict[str, int]] = []
        self._category: dict[str, int] = {}
        self._entries: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])

    def __len__(self) -> int:
        return sum(map(len, self._entries))

    def add(self, rows: Iterable[Both]) -> None:
        """Take the instances of these data rows.

        Raises:
            SettingsError: masks, and faster-coco-eval is not installed.
        """
        sides = (_Placed(), _Placed())
        for both in rows:
            images: dict[str, dict[str, int]] = {}  # of this data row, by scope
            for placed, instances in zip(sides, both, strict=True):
                for one in instances:
                    if one.kind != self.kind:
                        continue
                    image = images.get(one.scope)
                    if image is None:
                        image = images[one.scope] = {"id": len(self._images) + 1}
                        self._images.append(image)
                    placed.instances.append(one)
                    placed.images.append(image)
                    placed.categories.append(self._category.setdefault(one.feature, len(self._category) + 1))
        make = _boxes if self.kind == "box" else _masks
        for side in (1, 0):  # an image has the size of its first annotation
            entries = self._entries[side]
            entries.extend(make(sides[side], len(entries) + 1))

    def average_precision(self) -> Detection:
        """Of all added so far; with nothing annotated all is None.

        Raises:
            SettingsError: faster-coco-eval is not installed.
        """
        coco, evaluator = library("faster_coco_eval").COCO, library("faster_coco_eval").COCOeval_faster
        predictions, annotations = self._entries
        features = sorted(self._category)
        if not annotations:
            nothing = AveragePrecision(None, None, None)
            return Detection(nothing, dict.fromkeys(features, nothing))
        gt, dt = coco(), coco()
        gt.dataset, dt.dataset = {"annotations": annotations}, {"annotations": predictions}
        for side in (gt, dt):
            side.dataset["images"] = self._images
            side.dataset["categories"] = [{"id": number, "name": name} for name, number in self._category.items()]
            side.createIndex()
        made = evaluator(gt, dt, iouType="bbox" if self.kind == "box" else "segm")
        made.params.maxDets = [MOST_PER_IMAGE]
        made.params.areaRng, made.params.areaRngLbl = EVERY_AREA, ["all"]
        made.evaluate()
        made.accumulate()
        precision = np.asarray(made.eval["precision"])[:, :, :, 0, 0]  # IoU threshold, recall point, class
        return Detection(
            _averages(precision),
            {name: _averages(precision[:, :, (at := self._category[name]) - 1 : at]) for name in features},
        )


@dataclass(slots=True)
class _Placed:
    """Instances of one side, with the image and the number of the class of each."""

    instances: list[Instance] = field(default_factory=list)
    images: list[dict[str, int]] = field(default_factory=list)
    categories: list[int] = field(default_factory=list)


def _boxes(placed: _Placed, first: int) -> list[dict[str, Any]]:
    corners = np.array([one.value for one in placed.instances], dtype=np.float64).reshape(-1, 4)
    sides = corners[:, 2:] - corners[:, :2]
    boxes, areas = np.hstack((corners[:, :2], sides)).tolist(), sides.prod(axis=1).tolist()
    columns = (placed.instances, placed.images, placed.categories, boxes, areas)
    return [
        {
            "id": number, "image_id": image["id"], "category_id": category,
            "bbox": box, "area": area, "iscrowd": 0, "score": one.confidence,
        }
        for number, (one, image, category, box, area) in enumerate(zip(*columns, strict=True), first)
    ]  # fmt: skip


def _masks(placed: _Placed, first: int) -> list[dict[str, Any]]:
    if not placed.instances:
        return []
    encode = library("faster_coco_eval.core.mask").encode
    found = []
    columns = zip(placed.instances, placed.images, placed.categories, strict=True)
    for number, (one, image, category) in enumerate(columns, first):
        size = image.setdefault("height", one.value.shape[0]), image.setdefault("width", one.value.shape[1])
        inside = masks.resize(masks.binary(one.value), width=size[1], height=size[0])
        found.append(
            {
                "id": number, "image_id": image["id"], "category_id": category,
                "segmentation": encode(np.asfortranarray(inside, dtype=np.uint8)),
                "area": int(np.count_nonzero(inside)), "iscrowd": 0, "score": one.confidence,
            }
        )  # fmt: skip
    return found


def _averages(precision: np.ndarray[Any, np.dtype[np.float64]]) -> AveragePrecision:
    """COCO writes -1 where nothing is annotated."""
    parts: Iterable[np.ndarray[Any, np.dtype[np.float64]]] = (precision, precision[0], precision[5])
    return AveragePrecision(*(float(part[part > -1].mean()) if (part > -1).any() else None for part in parts))
