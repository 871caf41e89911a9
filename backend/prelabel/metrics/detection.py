"""Mean average precision of boxes and masks, by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    coco, evaluator = library("faster_coco_eval").COCO, library("faster_coco_eval").COCOeval_faster
    used = [both for both in rows.values() if all_rows or (both[0] and both[1])]
    predictions, annotations = (
        [(row, one) for row, both in enumerate(used) for one in both[side] if one.kind == kind] for side in (0, 1)
    )
    features = sorted({one.feature for _, one in predictions} | {one.feature for _, one in annotations})
    if not annotations:
        nothing = AveragePrecision(None, None, None)
        return Detection(nothing, dict.fromkeys(features, nothing))
    category = {feature: place for place, feature in enumerate(features, 1)}
    scopes = dict.fromkeys((row, one.scope) for side in (annotations, predictions) for row, one in side)
    images = {scope: {"id": number} for number, scope in enumerate(scopes, 1)}
    entries = _boxes if kind == "box" else _masks
    gt, dt = coco(), coco()
    gt.dataset = {"annotations": entries(annotations, category, images)}
    dt.dataset = {"annotations": entries(predictions, category, images)}
    for side in (gt, dt):
        side.dataset["images"] = list(images.values())
        side.dataset["categories"] = [{"id": number, "name": feature} for feature, number in category.items()]
        side.createIndex()
    made = evaluator(gt, dt, iouType="bbox" if kind == "box" else "segm")
    made.params.maxDets = [MOST_PER_IMAGE]
    made.params.areaRng, made.params.areaRngLbl = EVERY_AREA, ["all"]
    made.evaluate()
    made.accumulate()
    precision = np.asarray(made.eval["precision"])[:, :, :, 0, 0]  # IoU threshold, recall point, class
    return Detection(
        _averages(precision),
        {name: _averages(precision[:, :, number - 1 : number]) for name, number in category.items()},
    )


Placed = Sequence[tuple[int, Instance]]
Images = dict[tuple[int, str], dict[str, int]]


def _boxes(placed: Placed, category: Mapping[str, int], images: Images) -> list[dict[str, Any]]:
    corners = np.array([one.value for _, one in placed], dtype=np.float64).reshape(-1, 4)
    sides = corners[:, 2:] - corners[:, :2]
    boxes, areas = np.hstack((corners[:, :2], sides)).tolist(), sides.prod(axis=1).tolist()
    return [
        {
            "id": number, "image_id": images[row, one.scope]["id"], "category_id": category[one.feature],
            "bbox": box, "area": area, "iscrowd": 0, "score": one.confidence,
        }
        for number, ((row, one), box, area) in enumerate(zip(placed, boxes, areas, strict=True), 1)
    ]  # fmt: skip


def _masks(placed: Placed, category: Mapping[str, int], images: Images) -> list[dict[str, Any]]:
    encode = library("faster_coco_eval.core.mask").encode
    found = []
    for number, (row, one) in enumerate(placed, 1):
        image = images[row, one.scope]
        size = image.setdefault("height", one.value.shape[0]), image.setdefault("width", one.value.shape[1])
        inside = masks.resize(masks.binary(one.value), width=size[1], height=size[0])
        found.append(
            {
                "id": number, "image_id": image["id"], "category_id": category[one.feature],
                "segmentation": encode(np.asfortranarray(inside, dtype=np.uint8)),
                "area": int(np.count_nonzero(inside)), "iscrowd": 0, "score": one.confidence,
            }
        )  # fmt: skip
    return found


def _averages(precision: np.ndarray[Any, np.dtype[np.float64]]) -> AveragePrecision:
    """COCO writes -1 where nothing is annotated."""
    parts: Iterable[np.ndarray[Any, np.dtype[np.float64]]] = (precision, precision[0], precision[5])
    return AveragePrecision(*(float(part[part > -1].mean()) if (part > -1).any() else None for part in parts))
