"""Arrays that say nothing about themselves: what the labeling config leaves of what they may mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prelabel import outputs as o
from prelabel.adapters.values import as_plane, is_array

if TYPE_CHECKING:
    from prelabel.adapters.reading import Reading

SHARED_WITH_BOXES = ("Rectangle", "Polygon")
"""Controls that take a mask only for want of a better one."""


def plane(value: Any, reading: Reading) -> list[o.Output]:
    """Two axes: strings, boxes, keypoints, a label map or one mask."""
    if is_array(value) and value.dtype.kind in "UO":
        return reading.sequence(value.tolist())
    masks = reading.takes(o.Mask)
    columns = value.shape[1] if is_array(value) else 0
    shared = all(control.tag.startswith(SHARED_WITH_BOXES) for control in masks)
    if reading.takes(o.Box) and columns == 4 and value.dtype.kind in "fiu":
        if not shared:
            raise reading.refuse(value, "may be boxes or a mask")
        return [o.Boxes(value, control=reading.control_name)]
    outlines = reading.takes(o.Box) or reading.takes(o.Polygon)
    if columns in (2, 5, 6) and shared and outlines:
        raise reading.refuse(
            value,
            "holds rows of numbers, of which one may be a score or the number of a class: state the form"
            ' as {"xyxy": array}, with column 5 the score and 6 the class',
        )
    if not masks and not outlines and columns in (2, 3) and reading.takes(o.Keypoint):
        from prelabel.adapters.points import keypoints  # noqa: PLC0415 (NumPy is imported by those who have arrays)

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
    raise reading.refuse(value, f"has {value.ndim} dimensions")
