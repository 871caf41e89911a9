"""Arrays that say nothing about themselves: what the labeling config leaves of what they may mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prelabel import outputs as o
from prelabel.adapters.values import as_plane, is_array, numbers

if TYPE_CHECKING:
    from prelabel.adapters.reading import Reading

SHARED_WITH_BOXES = ("Rectangle", "Polygon")
"""Controls that take a mask only for want of a better one."""


ROWS = (
    "holds rows of numbers, of which one may be a score or the number of a class: state the form"
    ' as {"xyxy": array}, with column 5 the score and 6 the class'
)
DETECTIONS = (
    "holds rows of seven numbers, as OpenCV's dnn module has the image, class, score and corners of what it found: with"
    ' rows = array.reshape(-1, 7) return {"xyxy": rows[:, 3:], "scores": rows[:, 2], "labels": rows[:, 1],'
    ' "names": [...], "unit": "fraction"}'
)


def are_rows_of_boxes(items: Sequence[Any], reading: Reading) -> bool:
    """Whether these are lists or arrays of five or six numbers each, where boxes are wanted."""
    sized = all(isinstance(each, list | tuple) or is_array(each) for each in items)
    if not sized or not reading.takes(o.Box) or {len(each) for each in items} - {5, 6}:
        return False
    return all(numbers(each, len(each)) is not None for each in items)


def plane(value: Any, reading: Reading) -> list[o.Output]:
    """Two axes: strings, boxes, keypoints, a label map or one mask."""
    if is_array(value) and value.dtype.kind in "UO":
        return reading.sequence(value.tolist())
    masks = reading.takes(o.Mask)
    columns = value.shape[1] if is_array(value) else 0
    if columns and len(value) == 1 and columns == len(reading.names) and reading.takes(o.Choice):
        return reading.sequence(value[0].tolist())  # a batch of one
    shared = all(control.tag.startswith(SHARED_WITH_BOXES) for control in masks)
    if reading.takes(o.Box) and columns == 4 and value.dtype.kind in "fiu":
        if not shared:
            raise reading.refuse(value, "may be boxes or a mask")
        from prelabel.adapters.instances import Instances  # noqa: PLC0415 (NumPy is imported by those who have arrays)

        return Instances(reading, value, boxes=value).outputs()
    outlines = reading.takes(o.Box) or reading.takes(o.Polygon)
    if columns == 7 and shared and outlines:
        raise reading.refuse(value, DETECTIONS)
    if columns in (2, 5, 6) and shared and outlines:
        raise reading.refuse(value, ROWS)
    if not masks and not outlines and columns in (2, 3) and reading.takes(o.Keypoint):
        from prelabel.adapters.points import keypoints  # noqa: PLC0415 (as above)

        return keypoints(reading, value, value[None], None, None, None, o.Unit.PIXEL)
    if not masks:
        raise reading.refuse(value)
    holder = reading.config.label_control(masks[0])
    if holder is None or len(holder.labels) == 1:
        return [o.Mask(as_plane(value), holder.labels[0] if holder else None, control=reading.control_name)]
    if reading.names and is_array(value) and value.dtype.kind in "iu":
        from prelabel.adapters.arrays import label_map  # noqa: PLC0415 (as above)

        return label_map(value, None, reading, value)
    raise reading.refuse(value, f"is a mask without a label, and {holder} has {len(holder.labels)} labels")


def array(value: Any, reading: Reading) -> list[o.Output]:
    """Any other number of axes: a list of values, flags, a plane with a channel, or a plane for each class."""
    if value.ndim == 1:
        if value.dtype.kind == "b" and (reading.takes(o.SeriesSegment) or reading.takes(o.FrameSpan)):
            from prelabel.adapters.flags import stretches  # noqa: PLC0415 (as above)

            return stretches(value, None, reading, value)
        return reading.sequence(value.tolist())
    if value.ndim == 3 and 1 in (value.shape[0], value.shape[2]):
        return plane(value[0] if value.shape[0] == 1 else value[:, :, 0], reading)
    if value.ndim == 3 and len(value) == len(reading.names) and reading.takes(o.Mask):
        pairs = zip(value, reading.names, strict=True)
        return [o.Mask(each, name, control=reading.control_name) for each, name in pairs]
    if value.ndim == 4 and value.shape[3] == 7 and (reading.takes(o.Box) or reading.takes(o.Polygon)):
        raise reading.refuse(value, DETECTIONS)
    raise reading.refuse(value, f"has {value.ndim} dimensions")
