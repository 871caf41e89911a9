"""COCO's run-length encoding of masks: columns of pixels, background first.

Format: https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prelabel.adapters.menu import Menu


def decode_coco(given: Mapping[str, Any], menu: Menu, raw: Any) -> NDArray[np.bool_]:
    """The mask ``[height, width]`` of ``{"size": [height, width], "counts": list, str or bytes}``.

    Raises:
        OutputError: it is malformed.
    """
    try:
        height, width = (int(side) for side in given["size"])
        counts = given["counts"]
        lengths = _lengths(counts) if isinstance(counts, str | bytes) else np.asarray(counts, dtype=np.int64)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise menu.refuse(raw, f"has a COCO mask that cannot be read ({error})") from error
    total = int(lengths.sum())
    if (lengths < 0).any() or total != height * width:
        raise menu.refuse(raw, f"has a COCO mask that cannot be read (runs of {total} pixels for {height} x {width})")
    inside = np.arange(len(lengths)) % 2 == 1
    return np.repeat(inside, lengths).reshape(width, height).T


def _lengths(counts: str | bytes) -> NDArray[np.int64]:
    """Five bits a character, a sixth for "more to come"; from the fourth run on, differences to the run two before."""
    data = counts.encode("ascii") if isinstance(counts, str) else counts
    found: list[int] = []
    value = shift = 0
    for byte in data:
        bits = byte - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value |= -1 << shift
            found.append(value + (found[-2] if len(found) > 2 else 0))
            value = shift = 0
    return np.array(found, dtype=np.int64)
