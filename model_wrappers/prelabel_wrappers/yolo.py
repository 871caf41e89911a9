"""What Ultralytics' exporters write: the network's metadata, and its tensors by the network's task."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

from prelabel import outputs as o
from prelabel.adapters.points import COCO_POINTS
from prelabel.errors import ModelLoadError
from prelabel_wrappers import class_names
from prelabel_wrappers.boxes import distinct, likeness
from prelabel_wrappers.pixels import Placement, Resize, ResizeOption

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Table = NDArray[np.float64]

SAYS: Mapping[str, tuple[type[o.Output], ...]] = {
    "detect": (o.Boxes,),
    "segment": (o.Mask, o.Polygon, o.Boxes),
    "pose": (o.Keypoint, o.Boxes),
    "obb": (o.Box, o.Polygon),
    "classify": (o.Choice, o.Choices),
}
"""The tasks of Ultralytics' networks, and what their results become."""
GREY = 114
"""The grey, 0..255, with which Ultralytics fills an image up to the network's size."""
MOST = 300
"""Most objects in one image, as Ultralytics has it."""


def labels_of(task: str | None, names: Sequence[str], points: int = 0) -> tuple[str, ...] | None:
    """What a network says: its classes and, where they are a person's 17 points, these."""
    told = COCO_POINTS if task == "pose" and points == len(COCO_POINTS) else ()
    return (*names, *(name for name in told if name not in names)) or None


@dataclass(frozen=True, slots=True)
class Export:
    """What the metadata say.

    ``size`` is (width, height); ``points`` are a pose's points and the numbers of each: x, y and perhaps a score.
    ``batch`` is the only size of a batch that is taken, or None. ``pixels`` is False where coordinates are shares of
    the input.
    """

    task: str
    names: tuple[str, ...]
    size: tuple[int, int] | None = None
    points: tuple[int, int] = (0, 0)
    batch: int | None = None
    pixels: bool = True

    @property
    def draws(self) -> bool:
        """Whether it says more than a class for the image."""
        return self.task != "classify"

    @property
    def outputs(self) -> tuple[type[o.Output], ...]:
        """What `read` gives."""
        return SAYS[self.task]

    def renamed(self, labels: Sequence[str]) -> Export:
        """With other names for its classes.

        Raises:
            ModelLoadError: they are too few.
        """
        if len(labels) < len(self.names):
            raise ModelLoadError(
                f"the network says {len(self.names)} classes, the labels are {len(labels)}.",
                hint=f"Its classes are {', '.join(self.names[:20])}.",
            )
        return replace(self, names=tuple(labels[: len(self.names)]))

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Names of classes, and of points."""
        return labels_of(self.task, self.names, self.points[0])

    def read(
        self, tensors: Sequence[NDArray[Any]], places: Sequence[Placement], *, min_score: float, overlap: float
    ) -> list[Any]:
        """Boxes, or a dict of columns (boxes with their turned corners, masks or keypoints), for each image."""
        tensors = sorted(tensors, key=lambda tensor: tensor.ndim)  # a segmenter's prototypes come last
        return [
            self._found([tensor[at] for tensor in tensors], place, min_score, overlap)
            for at, place in enumerate(places)
        ]

    def _found(self, row: Sequence[NDArray[Any]], place: Placement, min_score: float, overlap: float) -> Any:
        import numpy as np

        planes = row[1] if self.task == "segment" else None
        if planes is not None and planes.shape[-1] < min(planes.shape[:2]):
            planes = planes.transpose(2, 0, 1)  # LiteRT's
        four, scores, classes, more, drawn = self._split(row[0], len(planes) if planes is not None else 0)
        kept = np.flatnonzero(scores >= min_score)
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        four, scores, classes, more = four[kept], scores[kept], classes[kept], more[kept]
        if not self.pixels:
            four = four * (*place.net, *place.net)
        turned = self.task == "obb"
        corners = _corners(four) if drawn and not turned else four
        alike = likeness(four, more[:, 0]) if turned else None
        kept = np.array(distinct(corners, classes, overlap, alike)[:MOST], dtype=np.int64)
        if not len(kept):
            return []
        labels = [self.names[at] for at in classes[kept].tolist()]
        shares = np.clip(scores[kept], 0, 1)
        if turned:
            quads = _quads(place, four[kept], more[kept, 0])
            around = np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)
            return {"boxes": around, "xyxyxyxy": quads, "labels": labels, "scores": shares}
        boxes = place.points(corners[kept].reshape(-1, 2)).reshape(-1, 4)
        if self.task == "detect":
            return [o.Boxes(boxes, labels, shares)]
        found: dict[str, Any] = {"boxes": boxes, "labels": labels, "scores": shares}
        if planes is not None:
            found["masks"] = _masks(place, planes, more[kept], boxes)
        else:
            found["keypoints"] = self._placed(place, more[kept], min_score)
        return found

    def _split(self, table: NDArray[Any], extra: int) -> tuple[Table, Table, NDArray[np.int64], Table, bool]:
        """Four numbers, score, class and what follows, of each row; whether the four are centre and size.

        ``[4 + classes + more, N]`` as the network says them, ``[N, 6 + more]`` when what overlaps was dropped in the
        graph: then the four are corners, but of turned boxes.
        """
        import numpy as np

        extra = {"segment": extra, "pose": self.points[0] * self.points[1], "obb": 1}.get(self.task, 0)
        table, wide = np.asarray(table, dtype=np.float64), 4 + len(self.names) + extra
        if table.ndim == 2 and table.shape[0] == wide:
            table = table.T
            four, shares, more = np.split(table, [4, wide - extra], axis=1)
            return four, shares.max(axis=1), shares.argmax(axis=1).astype(np.int64), more, True
        if table.ndim == 2 and table.shape[1] == 6 + extra:
            return table[:, :4], table[:, 4], table[:, 5].astype(np.int64), table[:, 6:], False
        raise ModelLoadError(
            f"the network says {list(table.shape)} for an image, where its metadata (task {self.task}, "
            f"{len(self.names)} names) promise [{wide}, N] or [N, {6 + extra}].",
            hint="Export it again with Ultralytics, or say what it is: --opt says=boxes.",
        )

    def _placed(self, place: Placement, more: Table, min_score: float) -> Table:
        """``[N, points, 2 or 3]`` in the image; 0, 0 where the score is too small."""
        import numpy as np

        points = more.reshape(-1, *self.points).copy()
        if not self.pixels:
            points[:, :, :2] *= place.net
        points[:, :, :2] = place.points(points[:, :, :2])
        if self.points[1] == 3:
            points[points[:, :, 2] < min_score] = 0
            points[:, :, 2] = np.clip(points[:, :, 2], 0, 1)
        return points


def _corners(four: Table) -> Table:
    import numpy as np

    half = four[:, 2:] / 2
    return np.concatenate([four[:, :2] - half, four[:, :2] + half], axis=1)


def _quads(place: Placement, four: Table, angles: Table) -> Table:
    """Centre, size and angle (radians, with the clock) as four corners ``[N, 4, 2]`` in the image."""
    import numpy as np

    across = np.stack([np.cos(angles), np.sin(angles)], axis=1) * four[:, 2:3] / 2
    down = np.stack([-np.sin(angles), np.cos(angles)], axis=1) * four[:, 3:4] / 2
    quads = np.stack([-across - down, across - down, across + down, -across + down], axis=1) + four[:, None, :2]
    found: Table = (quads - place.offset) / place.scale  # corners may lie beside the image
    return found


def _masks(place: Placement, planes: NDArray[Any], weights: Table, boxes: Table) -> NDArray[np.bool_]:
    """``[N, height, width]``: the weighted sum of the prototypes, inside each box."""
    import numpy as np

    sums = (weights @ planes.reshape(len(planes), -1)).reshape(-1, *planes.shape[1:])
    masks = np.zeros((len(boxes), place.image[1], place.image[0]), dtype=bool)
    ends = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1).astype(int).tolist()
    for mask, plane, (left, top, right, bottom) in zip(masks, sums, ends, strict=True):
        inside = slice(top, bottom), slice(left, right)
        mask[inside] = place.plane(plane)[inside] > 0
    return masks


def settled(wanted: ResizeOption, export: Export | None) -> Resize:
    """How images get their size: as Ultralytics does it for what it exported, unless told otherwise."""
    if wanted != "auto":
        return wanted
    if export is None:
        return "squash"
    return "pad" if export.draws else "crop"


class Bars(TypedDict, total=False):
    """Fields of a `Preparation`."""

    fill: int
    averaged: bool


def bars(export: Export | None) -> Bars:
    """How Ultralytics pads and shrinks what it looks for things in; nothing for other networks."""
    return {"fill": GREY, "averaged": False} if export is not None and export.draws else {}


def exported(metadata: Mapping[str, Any]) -> Export | None:
    """What the metadata of a network say that Ultralytics exported; None where they are another's."""
    told = {key: _value(value) for key, value in metadata.items()}
    task, names = told.get("task"), class_names.from_metadata({"names": str(metadata.get("names", ""))})
    if told.get("author") != "Ultralytics" or not isinstance(task, str) or task not in SAYS or not names:
        return None
    size, points, batch = told.get("imgsz"), told.get("kpt_shape"), told.get("batch")
    args = told.get("args")
    open_batch = isinstance(args, Mapping) and bool(args.get("dynamic"))
    return Export(
        task,
        names,
        (int(size[1]), int(size[0])) if isinstance(size, list | tuple) and len(size) == 2 else None,
        (int(points[0]), int(points[1])) if isinstance(points, list | tuple) and len(points) == 2 else (0, 0),
        batch if isinstance(batch, int) and batch > 0 and not open_batch else None,
    )


def _value(value: Any) -> Any:
    """A string as the list, number or dict that it writes out, where it does."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
