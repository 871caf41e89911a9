"""Many boxes at once to regions: the numbers by NumPy, one dict each at the end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from os import urandom
from typing import TYPE_CHECKING, Any

from prelabel.errors import OutputError
from prelabel.outputs import Box, Boxes, Output, Unit
from prelabel.regions.image import OUTSIDE, page_size, picture_extra, to_percent
from prelabel.regions.target import DIGITS, Target

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENOUGH = 16
"""Boxes from which on arrays are quicker."""
_ID_LENGTH = 10
"""Hexadecimal digits of a made-up region id."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the boxes of one label go: a control, and the label as Label Studio knows it (None: it takes none)."""

    target: Target
    label: str | None

    @property
    def control(self) -> str:
        """The control's name."""
        return self.target.control.name


def columns(output: Boxes) -> tuple[NDArray[np.float64], list[str | None], list[float | None]]:
    """Corners ``[N, 4]``, labels and scores, all of one length; a score that is not finite is None.

    Raises:
        OutputError: their lengths differ, or the corners are not four numbers each.
    """
    import numpy as np  # noqa: PLC0415 (NumPy is imported by those who send arrays)

    from prelabel.adapters.values import plain  # noqa: PLC0415 (as above)

    try:
        corners = np.asarray(plain(output.corners), dtype=np.float64)
        corners = corners.reshape(0, 4) if corners.size == 0 else corners
        said = None if output.scores is None else np.asarray(plain(output.scores), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OutputError(f"boxes cannot be read: {error}.", hint="Give corners [N, 4] and scores [N].") from error
    number = len(corners)
    labels: list[Any] = [None] * number if output.labels is None else _listed(output.labels)
    lengths = (number, len(labels), number if said is None or said.ndim != 1 else len(said))
    if corners.ndim != 2 or corners.shape[1] != 4 or (said is not None and said.ndim != 1) or len(set(lengths)) > 1:
        shapes = f"{list(corners.shape)}, {len(labels)} labels and scores {[] if said is None else list(said.shape)}"
        raise OutputError(
            f"boxes are corners [N, 4], N labels and N scores, got {shapes}.", hint="See docs/outputs.md for Boxes."
        )
    if said is None:
        return corners, labels, [None] * number
    scores: list[float | None] = said.clip(0.0, 1.0).tolist()
    if not np.isfinite(said).all():
        scores = [score if whole else None for score, whole in zip(scores, np.isfinite(said).tolist(), strict=True)]
    return corners, labels, scores


def _listed(labels: Sequence[Any] | NDArray[Any]) -> list[Any]:
    return labels.tolist() if hasattr(labels, "tolist") else list(labels)


def regions_of(
    output: Boxes, corners: NDArray[np.float64], scores: list[float | None], labels: list[str | None], target: Target
) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """Regions for boxes that all go to ``target``; of those left out, the number and why.

    ``labels`` are those that Label Studio knows. Boxes are cut to the image, as `prelabel.regions.image.box` does.

    Raises:
        OutputError: pixels, and the image's size is not known.
    """
    import numpy as np  # noqa: PLC0415 (as above)

    size = page_size(target.facts, output.page)
    across, down = to_percent(output.unit, size, target.shown)
    told = corners * (across, down, across, down)
    sound: Any = np.isfinite(told).all(axis=1)
    left, top = np.minimum(told[:, 0], told[:, 2]), np.minimum(told[:, 1], told[:, 3])
    right, bottom = np.maximum(told[:, 0], told[:, 2]), np.maximum(told[:, 1], told[:, 3])
    flat = (right <= left) | (bottom <= top)
    x, y = left.clip(0.0, 100.0), top.clip(0.0, 100.0)
    width, height = right.clip(0.0, 100.0) - x, bottom.clip(0.0, 100.0) - y
    inside = sound & ~flat & (width > 0) & (height > 0)
    numbers = np.stack((x, y, width, height), axis=1)
    lost: list[tuple[int, str]] = []
    if not inside.all():
        whole: list[bool] = sound.tolist()
        lost = [
            (at, _why(corners[at].tolist(), sound=whole[at], flat=bool(flat[at])))
            for at in np.flatnonzero(~inside).tolist()
        ]
        kept = np.flatnonzero(inside)
        numbers = numbers[kept]
        scores, labels = [scores[at] for at in kept.tolist()], [labels[at] for at in kept.tolist()]
    rows = numbers.round(DIGITS).tolist()
    ids = urandom(_ID_LENGTH // 2 * len(rows)).hex()
    return _written(output, rows, scores, labels, target, picture_extra(target, size, output.page), ids), lost


def _why(four: list[float], *, sound: bool, flat: bool) -> str:
    if not sound:
        return f"{four} are not all finite numbers"
    if flat:
        return f"its width and height must be above 0, got {abs(four[2] - four[0])} and {abs(four[3] - four[1])}"
    return OUTSIDE


def gathered(outputs: Sequence[Output]) -> Iterable[Output]:
    """The same outputs, with plain boxes that follow each other as `Boxes`: order and meaning stay."""
    return outputs if len(outputs) < ENOUGH else _gathered(outputs)


def _gathered(outputs: Iterable[Output]) -> Iterator[Output]:
    for plain, run in groupby(outputs, _plain):
        found = list(run)
        if plain is None or len(found) < ENOUGH:
            yield from found
            continue
        control, unit, page = plain
        boxes: list[Any] = found
        yield Boxes(
            [(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes],
            [box.label for box in boxes],
            [math.nan if box.score is None else box.score for box in boxes],
            unit,
            page,
            control=control,
        )


def _plain(output: Output) -> tuple[str | None, Unit, int | None] | None:
    """What boxes said together have in common; None for what is to be converted by itself."""
    if type(output) is not Box or output.rotation or output.width <= 0 or output.height <= 0:
        return None
    if output.text is not None or output.id is not None or output.of is not None or output.meta:
        return None
    return output.control, output.unit, output.page


def _written(  # noqa: PLR0917 (a region's parts)
    output: Boxes,
    rows: list[list[float]],
    scores: list[float | None],
    labels: list[str | None],
    target: Target,
    extra: Mapping[str, Any],
    ids: str,
) -> list[dict[str, Any]]:
    """The dicts; each has a ``value`` of its own, since people's code changes regions in place."""
    tag = target.control.tag.lower()
    head = {**extra, "from_name": target.control.name, "to_name": target.control.to_name[0], "type": tag}
    if output.meta:
        head["meta"] = dict(output.meta)
    names = range(0, len(ids), _ID_LENGTH)
    found: list[dict[str, Any]] = [
        {
            **head,
            "id": ids[at : at + _ID_LENGTH],
            "value": {"x": x, "y": y, "width": width, "height": height, "rotation": 0, tag: [label]},
            "score": score,
        }
        for at, (x, y, width, height), label, score in zip(names, rows, labels, scores, strict=True)
    ]
    if None in labels:
        for region in found:
            if region["value"][tag] == [None]:
                del region["value"][tag]
    if None in scores:
        for region in found:
            if region["score"] is None:
                del region["score"]
    return found
