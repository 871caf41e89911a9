"""Masks of NDJSON rows to pixels and back: PNG, colours of a composite, outlines of a video's masks."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prelabel.masks import Bools, Bytes
from prelabel.outlines import filled

PALETTE = ((230, 25, 75), (60, 180, 75), (0, 130, 200), (245, 130, 48), (145, 30, 180), (70, 240, 240), (240, 50, 230))
"""Colours of instances that brought none."""


def read_pixels(holder: Mapping[str, Any], images: Mapping[str, bytes]) -> Bytes:
    """The picture that a mask or a frame names (``png``, ``imBytes`` or ``instanceURI``): [height, width(, 3)].

    Args:
        holder: the row's ``mask``, or an entry of ``masks.frames``.
        images: bytes by address, for ``instanceURI``.

    Raises:
        ValueError: it is not there, or no picture.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 (imported by those who convert masks)

    encoded = holder.get("png") or holder.get("imBytes")
    if encoded:
        try:
            raw = base64.b64decode(str(encoded), validate=True)
        except binascii.Error as error:
            raise ValueError("the mask is not base64") from error
    else:
        address = str(holder.get("instanceURI"))
        if address not in images:
            raise ValueError(f"the image {address} was not given")
        raw = images[address]
    try:
        with Image.open(io.BytesIO(raw)) as image:
            if "png" in holder and image.mode == "P":  # its values are what counts, whatever their colours
                return np.asarray(image, dtype=np.uint8)
            if "png" in holder or image.mode in {"1", "L", "I", "I;16"}:
                return np.asarray(image.convert("L") if image.mode != "1" else image.convert("1"), dtype=np.uint8)
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError("the mask is no picture") from error


def of_color(pixels: Bytes, color: Sequence[int] | None) -> Bools:
    """Which pixels have that colour; without a colour, or in a picture of one channel that lacks it, those above 0."""
    found: Bools
    if pixels.ndim == 2:
        if color is not None and len(set(color)) == 1 and (pixels == color[0]).any():
            found = pixels == color[0]
        else:
            found = pixels > 0
    elif color is None:
        found = np.any(pixels > 0, axis=2)
    else:
        found = np.all(pixels == np.asarray(color, dtype=np.uint8), axis=2)
    return found


def to_png(mask: Bools) -> str:
    """Base64 of a PNG with one channel of 0 and 1, as ``mask.png`` wants it."""
    return _encoded(mask.astype(np.uint8))


def to_composite(masks: Sequence[tuple[Bools, Sequence[int]]]) -> str:
    """Base64 of an RGB PNG in which each mask has its colour; later ones lie above."""
    height, width = masks[0][0].shape
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    for mask, color in masks:
        pixels[mask] = color
    return _encoded(pixels)


def from_outline(points: Sequence[tuple[float, float]], width: int, height: int) -> Bools:
    """The pixels inside a ring of points in pixels."""
    return filled([points], width=width, height=height)


def _encoded(pixels: Bytes) -> str:
    from PIL import Image  # noqa: PLC0415 (imported by those who convert masks)

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
