"""What detectors return: `supervision`, Ultralytics, torchvision and transformers (by column), COCO results, frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prelabel import outputs as o
from prelabel.adapters.instances import Instances
from prelabel.adapters.menu import Menu
from prelabel.adapters.naming import listed, named, names_in, table_of
from prelabel.adapters.rle import decode_coco
from prelabel.adapters.values import plain
from prelabel.outlines import filled

if TYPE_CHECKING:
    from prelabel.adapters.reading import Reading


def _column(value: Any) -> Any:
    """A tensor or array as NumPy; None stays."""
    return None if value is None else np.asarray(plain(value))


# --- supervision
def supervision_detections(value: Any, menu: Menu) -> list[o.Output]:
    """``supervision.Detections``: boxes, masks, turned boxes; names from ``data["class_name"]``."""
    data = value.data or {}
    labels = _supervision_labels(value, menu)
    return Instances(
        menu,
        value,
        labels=labels,
        scores=value.confidence,
        boxes=np.asarray(value.xyxy),
        masks=None if value.mask is None else np.asarray(value.mask),
        quads=data.get("xyxyxyxy"),
    ).outputs()


def supervision_key_points(value: Any, menu: Menu) -> list[o.Output]:
    """``supervision.KeyPoints``: points, with the names that the config has for them."""
    confidence = getattr(value, "keypoint_confidence", None)
    if confidence is None:
        confidence = vars(value).get("confidence")
    points = np.asarray(value.xy, dtype=np.float64)
    visible = getattr(value, "visible", None)
    if visible is not None:
        points = np.where(np.asarray(visible)[:, :, None], points, np.nan)
    return Instances(
        menu, value, labels=_supervision_labels(value, menu), points=points, point_scores=confidence
    ).outputs()


def _supervision_labels(value: Any, menu: Menu) -> list[str] | None:
    names = (value.data or {}).get("class_name")
    if names is not None:
        return [str(name) for name in names]
    return None if value.class_id is None else named(value.class_id, None, menu, value)


# --- Ultralytics
def ultralytics_results(value: Any, menu: Reading) -> list[o.Output]:
    """Ultralytics ``Results``: whichever of boxes, turned boxes, masks and keypoints it has; or classes."""
    names = table_of(value.names)
    if value.probs is not None:
        shares = _column(value.probs.data).reshape(-1).tolist()
        labels = named(range(len(shares)), names, menu, value)
        return menu.probabilities(dict(zip(labels, shares, strict=True)))
    held = value.obb if getattr(value, "obb", None) is not None else value.boxes
    height, width = (int(side) for side in value.orig_shape[:2])
    made = Instances(menu, value, size=(width, height))
    if held is not None:
        made.labels = named(_column(held.cls), names, menu, value)
        made.scores, made.boxes = _column(held.conf), _column(held.xyxy)
        if held is not value.boxes:
            made.quads = _column(held.xyxyxyxy)
    if value.masks is not None:
        planes = _column(value.masks.data)
        made.masks = [_unpadded(plane, width, height) for plane in planes]
        made.rings = [[np.asarray(ring)] for ring in value.masks.xy]
    if getattr(value, "keypoints", None) is not None:
        made.points = _column(value.keypoints.data)
        if made.points is not None and not made.points.size:
            made.points = None
    return made.outputs()


def _unpadded(plane: Any, width: int, height: int) -> Any:
    """A mask in the model's own square without the bars that fill it up; as large as before where it has the size."""
    rows, columns = plane.shape
    if (rows, columns) == (height, width):
        return plane
    gain = min(rows / height, columns / width)
    above, beside = (rows - round(height * gain)) / 2, (columns - round(width * gain)) / 2
    top, left = round(above - 0.1), round(beside - 0.1)
    return plane[top : rows - round(above + 0.1), left : columns - round(beside + 0.1)]


# --- by column: torchvision, transformers
SHAPES = ("boxes", "masks", "keypoints")
LABELS = ("text_labels", "labels", "label", "class_id", "classes", "class_name")
SCORES = ("scores", "score", "confidence", "confidences")


def by_column(
    given: Mapping[Any, Any], menu: Menu, boxes: Any = None, unit: o.Unit = o.Unit.PIXEL, *, raw: Any = None
) -> list[o.Output]:
    """A dict of ``boxes``, ``masks`` or ``keypoints`` with ``labels`` and ``scores``; ``boxes`` as corners if given.
    The corners of turned boxes ``[N, 4, 2]`` are called ``xyxyxyxy``, as supervision has it.

    ``raw`` is what errors show, where that is not ``given`` itself.
    """
    raw = given if raw is None else raw
    names = names_in(given)
    told = next((given[key] for key in LABELS if given.get(key) is not None), None)
    masks, points = plain(given.get("masks")), _column(given.get("keypoints"))
    if boxes is None and given.get("boxes") is not None:
        boxes = _column(given["boxes"])
        boxes = boxes.reshape(0, 4) if not boxes.size else boxes
    if isinstance(masks, np.ndarray) and masks.ndim == 4 and masks.shape[1] == 1:
        masks = masks[:, 0]
    if isinstance(masks, np.ndarray) and masks.ndim == 2:
        masks = masks[None]
    if points is not None and points.ndim == 2:
        points = points[None]
    point_names = listed(given.get("names")) if boxes is None and masks is None else None
    labels = None
    if told is not None:
        labels = [told] * len(points) if isinstance(told, str) and points is not None else None
        labels = labels if labels is not None else named(told, names, menu, raw)
    elif names is not None and masks is not None and len(masks) == len(names):
        labels = list(names.values())  # one plane for each class
    scores = next((given[key] for key in SCORES if given.get(key) is not None), None)
    return Instances(
        menu,
        raw,
        labels=labels,
        scores=_column(scores),
        boxes=boxes,
        masks=masks,
        quads=_column(given.get("xyxyxyxy")),
        points=points,
        point_scores=_column(given.get("keypoints_scores")),
        point_names=listed(given.get("keypoint_names")) or point_names,
        unit=unit,
    ).outputs()


# --- COCO
def coco_results(
    rows: Sequence[Mapping[str, Any]], menu: Menu, given: Mapping[str, Any] | None = None
) -> list[o.Output]:
    """COCO's results or annotations of one image: ``bbox`` (corner and size), ``segmentation``, ``keypoints``.

    ``given`` is the whole file with its ``categories`` and ``images``, if there is one.
    """
    if not rows:
        return []
    raw: Any = given if given is not None else rows
    if len({row.get("image_id") for row in rows}) > 1:
        raise menu.refuse(raw, "has COCO results of several images for one item")
    names = names_in(given) if given is not None else None
    images = (given or {}).get("images") or []
    size = (int(images[0]["width"]), int(images[0]["height"])) if len(images) == 1 and "width" in images[0] else None
    ids = [row.get("category_id") for row in rows]
    made = Instances(menu, raw, size=size)
    made.labels = None if None in ids else named(ids, names, menu, raw, declared=False)
    scores = [row.get("score") for row in rows]
    made.scores = None if all(score is None for score in scores) else np.array(scores, dtype=np.float64)
    if all(len(row.get("bbox") or ()) == 4 for row in rows):
        four = np.array([row["bbox"] for row in rows], dtype=np.float64)
        made.boxes = np.concatenate((four[:, :2], four[:, :2] + four[:, 2:]), axis=1)
    _coco_drawn([row.get("segmentation") for row in rows], made)
    points = [row.get("keypoints") for row in rows]
    if all(points) and len({len(each) for each in points if each}) == 1:
        made.points = np.array(points, dtype=np.float64).reshape(len(rows), -1, 3)
        categories = [one for one in (given or {}).get("categories") or () if one.get("keypoints")]
        made.point_names = categories[0]["keypoints"] if categories else None
    return made.outputs()


def _coco_drawn(drawn: Sequence[Any], made: Instances) -> None:
    """The ``segmentation`` of each row: outlines of its parts, or a mask (all are one where one of them is)."""
    rings = [
        [np.asarray(part, dtype=np.float64).reshape(-1, 2) for part in each] if isinstance(each, list) else []
        for each in drawn
    ]
    if all(rings):
        made.rings = rings
    elif all(isinstance(each, Mapping) or part for each, part in zip(drawn, rings, strict=True)):
        masks = [decode_coco(each, made.menu, made.raw) if isinstance(each, Mapping) else None for each in drawn]
        height, width = next(mask.shape for mask in masks if mask is not None)
        made.masks = [
            filled(parts, width=width, height=height) if mask is None else mask
            for mask, parts in zip(masks, rings, strict=True)
        ]


# --- frames of a video
def tracks(frames: Sequence[Any], menu: Menu) -> list[o.Output]:
    """One result a frame, in order, with the numbers of a tracker: a `Track` for each of them."""
    seen: dict[int, list[tuple[int, list[float], str | None, float | None]]] = {}
    for frame, value in enumerate(frames, start=1):
        for number, four, label, score in _tracked(value, menu):
            seen.setdefault(number, []).append((frame, four, label, score))
    return [_track(found, menu) for _, found in sorted(seen.items())]


def _tracked(value: Any, menu: Menu) -> list[tuple[int, list[float], str | None, float | None]]:
    if hasattr(value, "tracker_id"):
        ids, boxes, scores = value.tracker_id, value.xyxy, value.confidence
        labels = _supervision_labels(value, menu) if len(value) else []
    else:
        held = value.boxes if value.boxes is not None else value.obb
        if held is None:
            return []
        ids, boxes, scores = held.id, held.xyxy, held.conf
        labels = named(_column(held.cls), table_of(value.names), menu, value)
    boxes = _column(boxes).tolist()
    if not boxes:
        return []
    if ids is None:
        raise menu.refuse(value, "is one of several frames, but has no numbers of a tracker")
    numbers = [int(number) for number in listed(ids) or ()]
    told = [None] * len(numbers) if labels is None else labels
    shares = [None] * len(numbers) if scores is None else _column(scores).tolist()
    return list(zip(numbers, boxes, told, shares, strict=True))


def _track(found: Sequence[tuple[int, list[float], str | None, float | None]], menu: Menu) -> o.Track:
    """Keyframes in every frame where it was seen; ``enabled`` False where it is not in the next."""
    frames = [frame for frame, _, _, _ in found]
    boxes = [
        o.TrackBox(frame, x1, y1, x2 - x1, y2 - y1, enabled=after == frame + 1)
        for (frame, (x1, y1, x2, y2), _, _), after in zip(found, [*frames[1:], 0], strict=True)
    ]
    labels = [label for _, _, label, _ in found if label is not None]
    scores = [score for _, _, _, score in found if score is not None]
    label = max(labels, key=labels.count) if labels else None
    score = sum(scores) / len(scores) if scores else None
    return o.Track(tuple(boxes), label, score=score, control=menu.control_name)
