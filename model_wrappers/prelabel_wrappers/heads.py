"""What a network's tensors say of each image: classes, masks, boxes or points; for every framework alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from prelabel.errors import ModelLoadError
from prelabel.outputs import Boxes, Choice, Keypoint, Mask, Output
from prelabel_wrappers.boxes import distinct
from prelabel_wrappers.pixels import Placement
from prelabel_wrappers.pyramid import decoded, is_pyramid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]
    Tensors = Sequence[NDArray[Any]]

Says = Literal["auto", "class", "mask", "boxes", "points"]
Activation = Literal["auto", "softmax", "sigmoid", "none"]
BODY = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""COCO's names of the 17 points of a person: what networks with 17 points mean when they name none."""
KINDS: dict[str, tuple[type[Output], ...]] = {
    "class": (Choice,),
    "mask": (Mask,),
    "boxes": (Boxes,),
    "points": (Keypoint,),
}
_SSD = 4


@dataclass(frozen=True)
class Head:
    """How tensors are read.

    ``says`` is one of `KINDS`, as `decided` found. ``min_score`` is the least score of a box or point, and where a mask
    begins. ``overlap`` is the share (intersection over union) from which a box is dropped for a better one of its
    class.
    """

    says: str
    labels: Sequence[str] | None
    activation: Activation = "auto"
    min_score: float = 0.5
    overlap: float = 0.5

    def read(self, tensors: Tensors, places: Sequence[Placement | None]) -> list[Any]:
        """Outputs for each item; ``tensors`` have one row an item, ``places`` say where the images lie in the input."""
        if self.says == "class":
            return self._classes(tensors[0], len(places))
        reader = {"mask": self._masks, "boxes": self._boxes, "points": self._points}[self.says]
        rows = ([tensor[at] for tensor in tensors] for at in range(len(places)))
        return [reader(row, place) for row, place in zip(rows, places, strict=True) if place is not None]

    # --- classes
    def _classes(self, tensor: NDArray[Any], count: int) -> list[Choice]:
        import numpy as np

        scores = activated(np.asarray(tensor, dtype=np.float64).reshape(count, -1), self.activation)
        names = self.labels or tuple(str(index) for index in range(scores.shape[1]))
        if len(names) != scores.shape[1]:
            raise ModelLoadError(
                f"the model says {scores.shape[1]} classes, the labels are {len(names)}.", hint="Check --opt labels."
            )
        best = scores.argmax(axis=1).tolist()
        return [choice(names, row, at) for row, at in zip(scores.tolist(), best, strict=True)]

    # --- masks
    def _masks(self, row: Tensors, place: Placement) -> list[Mask]:
        """One plane: where it is probable. Several: each pixel's most probable class, the first being nothing."""
        import numpy as np

        planes = np.asarray(row[0], dtype=np.float32)
        if planes.ndim == 3 and planes.shape[-1] < min(planes.shape[:2]):
            planes = planes.transpose(2, 0, 1)
        planes = planes.reshape(-1, *planes.shape[-2:])
        if len(planes) == 1:
            found = planes[0]
            if self.activation == "sigmoid" or (self.activation == "auto" and not _all_01(found)):
                found = sigmoid(found)
            return self._mask(place.plane(found), self.labels[0] if self.labels else None)
        names = self.labels or tuple(str(index) for index in range(len(planes)))
        if len(names) == len(planes) - 1:
            names = ("", *names)  # only the classes that are drawn were named
        if len(names) != len(planes):
            raise ModelLoadError(
                f"the model says {len(planes)} classes of pixels, the labels are {len(names)}.",
                hint="Name every class in the model's order; the first is the background.",
            )
        full = np.stack([place.plane(plane) for plane in planes])
        if self.activation == "softmax" or (self.activation == "auto" and not _all_01(planes)):
            powers = np.exp(full - full.max(axis=0))
            full = powers / powers.sum(axis=0)
        winner = full.argmax(axis=0)
        made: list[Mask] = []
        for at, name in enumerate(names):
            if at:
                made += self._mask(np.where(winner == at, np.maximum(full[at], self.min_score), 0), name)
        return made

    def _mask(self, plane: NDArray[Any], label: str | None) -> list[Mask]:
        inside = plane >= self.min_score
        if not inside.any():
            return []
        score = min(max(float(plane[inside].mean()), 0.0), 1.0)
        return [Mask(inside, label, score=score)]

    # --- boxes
    def _boxes(self, row: Tensors, place: Placement) -> list[Boxes]:
        """Four tensors (SSD), a pyramid, rows of corners, score and class, or YOLO's columns."""
        import numpy as np

        if is_pyramid([tensor.shape for tensor in row]):
            corners, scores, classes = decoded(row, place.net)
        elif len(row) >= _SSD:
            corners, scores, classes = _ssd(row, place)
        else:
            table = np.asarray(row[0], dtype=np.float64)
            corners, scores, classes = _rows(table) if table.shape[-1] == 6 else _yolo(table, self.labels)
            if corners.size and corners.max() <= 1.5:  # shares of the input rather than pixels
                corners = corners * (*place.net, *place.net)
        kept = np.flatnonzero(scores >= self.min_score)
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        kept = kept[distinct(corners[kept], classes[kept], self.overlap)]
        if not len(kept):
            return []
        found = place.points(corners[kept].reshape(-1, 2)).reshape(-1, 4)
        names = self.labels
        if names is None:
            labels = [str(at) for at in classes[kept].tolist()]
        elif classes[kept].max() < len(names):
            labels = [names[at] for at in classes[kept].tolist()]
        else:
            raise ModelLoadError(
                f"the model says class {classes[kept].max()}, the labels are {len(names)}.",
                hint="Name all classes in the model's order, from class 0 on: --opt labels=FILE.",
            )
        return [Boxes(found, labels, np.clip(scores[kept], 0, 1))]

    # --- points
    def _points(self, row: Tensors, place: Placement) -> list[Keypoint]:
        """``[..., points, 3]``: y, x as shares of the input, score, as MoveNet has them."""
        import numpy as np

        table = np.asarray(row[0], dtype=np.float64).reshape(-1, 3)
        names = self.labels or (BODY if len(table) == len(BODY) else tuple(str(at) for at in range(len(table))))
        if len(names) != len(table):
            raise ModelLoadError(
                f"the model says {len(table)} points, the labels are {len(names)}.", hint="Check --opt labels."
            )
        spots = place.points(table[:, 1::-1] * place.net)
        return [
            Keypoint(x, y, name, score=min(max(score, 0.0), 1.0))
            for (x, y), name, score in zip(spots.tolist(), names, table[:, 2].tolist(), strict=True)
            if score >= self.min_score
        ]


def decided(says: Says, shapes: Sequence[Sequence[Any]]) -> str:
    """What tensors of these shapes (with the batch dimension first, open ones as anything) say, where it is plain.

    Raises:
        ModelLoadError: it is not.
    """
    if says != "auto":
        return says
    first = list(shapes[0]) if shapes else []
    if is_pyramid(shapes) or (len(shapes) == _SSD and len(first) == 3):
        return "boxes"
    if len(shapes) == 1:
        if len(first) in {1, 2}:
            return "class"
        if first[-1] == 3 and len(first) in {3, 4} and first[-2] == len(BODY):
            return "points"
        if len(first) == 4:
            flat = [size for size in first[1:] if size == 1]
            return "class" if len(flat) >= 2 else "mask"
        if len(first) == 3:
            return "boxes" if _number(first[1]) or _number(first[2]) else "mask"
    raise ModelLoadError(
        f"it is unclear what outputs of the shapes {', '.join(str(list(shape)) for shape in shapes)} mean.",
        hint="Say it: --opt says=class, mask, boxes or points; and --opt output=NAME for one of them.",
    )


def _number(size: Any) -> bool:
    return isinstance(size, int)


def choice(names: Sequence[str], scores: Sequence[float], best: int) -> Choice:
    """The class at ``best``, with the distribution."""
    score = min(max(float(scores[best]), 0.0), 1.0)
    return Choice(names[best], score=score, distribution=dict(zip(names, scores, strict=True)))


def activated(raw: Scores, activation: Activation) -> Scores:
    """``[items, classes]`` as the network has it to probabilities; one column is the second of two classes."""
    import numpy as np

    if raw.shape[1] == 1:
        positive = raw if activation == "none" or (activation == "auto" and _all_01(raw)) else sigmoid(raw)
        return np.concatenate([1 - positive, positive], axis=1)
    if activation == "auto":  # row by row, so that a batch says what its items say alone
        are = (raw.min(axis=1) >= -1e-6) & (raw.max(axis=1) <= 1 + 1e-6) & (np.abs(raw.sum(axis=1) - 1) <= 1e-3)
        return raw if are.all() else np.where(are[:, None], raw, activated(raw, "softmax"))
    if activation == "softmax":
        powers = np.exp(raw - raw.max(axis=1, keepdims=True))
        result: Scores = powers / powers.sum(axis=1, keepdims=True)
        return result
    return sigmoid(raw) if activation == "sigmoid" else raw


def sigmoid(raw: NDArray[Any]) -> NDArray[Any]:
    """1 / (1 + exp(-raw))."""
    import numpy as np

    result: NDArray[Any] = 1 / (1 + np.exp(-np.clip(raw, -80, 80)))
    return result


def _all_01(raw: NDArray[Any]) -> bool:
    return bool(raw.size and raw.min() >= -1e-6 and raw.max() <= 1 + 1e-6)


def _ssd(row: Tensors, place: Placement) -> tuple[Scores, Scores, NDArray[np.int64]]:
    """TensorFlow's detection post-processing: ``[N, 4]`` top, left, bottom, right as shares; classes, scores, count."""
    import numpy as np

    boxes = next(each for each in row if each.ndim == 2 and each.shape[-1] == 4)
    flat = [np.asarray(each, dtype=np.float64).reshape(-1) for each in row if each is not boxes]
    counts = [each for each in flat if each.size == 1]
    pair = [each for each in flat if each.size == len(boxes) and not (each.size == 1 and each is counts[0])]
    whole = [bool(np.all(each == np.round(each))) and each.max(initial=0) > 1 for each in pair]
    # classes come before scores in that op; some converters turn them round
    classes, scores = (pair[1], pair[0]) if whole[1] and not whole[0] else (pair[0], pair[1])
    number = int(counts[0][0]) if counts else len(boxes)
    corners = np.asarray(boxes, dtype=np.float64)[:number, [1, 0, 3, 2]] * (*place.net, *place.net)
    return corners, scores[:number], classes[:number].astype(np.int64)


def _rows(table: Scores) -> tuple[Scores, Scores, NDArray[np.int64]]:
    import numpy as np

    return table[:, :4], table[:, 4], table[:, 5].astype(np.int64)


def _yolo(table: Scores, labels: Sequence[str] | None) -> tuple[Scores, Scores, NDArray[np.int64]]:
    """``[4 + classes, N]`` (YOLO from version 8) or ``[N, 5 + classes]`` with an objectness (before)."""
    import numpy as np

    if table.shape[0] < table.shape[1]:
        table = table.T
    has_objectness = labels is not None and table.shape[1] == 5 + len(labels)
    shares = table[:, 5:] * table[:, 4:5] if has_objectness else table[:, 4:]
    classes = shares.argmax(axis=1)
    centre, half = table[:, :2], table[:, 2:4] / 2
    return np.concatenate([centre - half, centre + half], axis=1), shares.max(axis=1), classes.astype(np.int64)
