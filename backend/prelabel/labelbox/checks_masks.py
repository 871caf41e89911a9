"""Checks of masks: by address, inline as PNG, with colours; sizes and pixel values."""

from __future__ import annotations

import base64
import binascii
import io
import struct
from typing import TYPE_CHECKING

from prelabel.errors import SettingsError
from prelabel.labelbox.checks import Json, Line, Wrong

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_PIXELS = 2**26
"""Pixels of a mask that is looked into; a larger one is refused before it is decoded."""
CHANNEL_MODES = frozenset({"1", "L", "P", "I", "I;16"})
"""Pillow's modes with one channel."""


def mask(line: Line, value: object, where: str) -> None:
    """``{instanceURI, colorRGB}``, ``{png}`` or ``{imBytes, colorRGB}``.

    Raises:
        Wrong: it is none of them, no PNG, of another size than the image, or the colour does not occur in it.
    """
    if type(value) is dict and "png" in value:
        line.record(value, where, ("png",))
        pixels = _pixels(line, value, "png", where, one_channel=True)
        largest = pixels.max(initial=0)
        if largest > 1:
            raise line.wrong(
                "InvalidMask", f"{where}.png", int(largest), "is a pixel's value, but there may be 0 and 1 only",
                "Write 1 for inside, not 255.",
            )  # fmt: skip
        return
    source = "imBytes" if type(value) is dict and "imBytes" in value else "instanceURI"
    value = line.record(value, where, (source, "colorRGB"))
    wanted = color(line, value["colorRGB"], f"{where}.colorRGB")
    if source == "instanceURI":
        address(line, value[source], f"{where}.{source}")
        return
    pixels = _pixels(line, value, source, where)
    if not (pixels == wanted).all(axis=-1).any():
        raise line.wrong(
            "InvalidMask", f"{where}.colorRGB", list(wanted), "does not occur in the image",
            "Give the colour that the instance has in the PNG.",
        )  # fmt: skip


def color(line: Line, value: object, where: str) -> tuple[int, int, int]:
    """``[red, green, blue]``.

    Raises:
        Wrong: it is not three whole numbers from 0 to 255.
    """
    if type(value) is list and len(value) == 3 and all(type(one) is int and 0 <= one <= 255 for one in value):
        return value[0], value[1], value[2]
    remedy = "Give [red, green, blue], three whole numbers from 0 to 255."
    raise line.wrong("InvalidColor", where, value, "is no colour", remedy)


def address(line: Line, value: object, where: str) -> None:
    """Where an image can be fetched.

    Raises:
        Wrong: it is no address with a scheme.
    """
    if type(value) is not str or not value.partition("://")[2]:
        raise line.wrong("WrongType", where, value, "is no address", "Give an address such as https://...")


def composite(line: Line, frame: Json, where: str) -> None:
    """A frame's inline image, ``imBytes``: an RGB PNG of the picture's size.

    Raises:
        Wrong: it is not.
    """
    _pixels(line, frame, "imBytes", where)


def _pixels(line: Line, holder: Json, key: str, where: str, *, one_channel: bool = False) -> NDArray[np.integer]:
    """``[height, width]`` or ``[height, width, 3]`` of the base64 PNG at ``key``, without a data: address's head."""
    if type(holder[key]) is str and holder[key].startswith("data:"):
        holder[key] = holder[key].partition(",")[2]
    value, where = holder[key], f"{where}.{key}"
    data = _decoded(line, value, where)
    width, height = struct.unpack(">II", data[16:24])
    facts = line.facts
    if width * height > LARGEST_PIXELS:
        raise line.wrong(
            "InvalidMask",
            where,
            ...,
            f"has {width} x {height} pixels",
            f"Send masks of {LARGEST_PIXELS} pixels at most.",
        )
    if facts.asset != "document" and (facts.width or width, facts.height or height) != (width, height):
        raise line.wrong(
            "InvalidMask", where, ..., f"has {width} x {height} pixels, the {facts.asset or 'picture'} "
            f"{facts.width or '?'} x {facts.height or '?'}", "Scale the mask to the picture's size.",
        )  # fmt: skip
    try:
        import numpy as np  # noqa: PLC0415 (only inline masks need it)
        from PIL import Image  # noqa: PLC0415 (only inline masks need it)
    except ImportError as error:
        raise SettingsError(f"inline masks need {error.name}.", hint='pip install "prelabel[runs]"') from error
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            mode = image.mode
            if one_channel and mode not in CHANNEL_MODES:
                raise line.wrong(
                    "InvalidMask", where, ..., f"has the channels {mode}", "Write a PNG with one channel, 0 and 1."
                )
            return np.asarray(image if one_channel else image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise _no_png(line, value, where, f"is a broken PNG ({error})") from error


def _decoded(line: Line, value: object, where: str) -> bytes:
    if type(value) is not str:
        raise _no_png(line, value, where, "is not base64 text")
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _no_png(line, value, where, "is not base64") from error
    if not data.startswith(SIGNATURE) or len(data) < 24:
        raise _no_png(line, value, where, "is base64, but of no PNG")
    return data


def _no_png(line: Line, value: object, where: str, said: str) -> Wrong:
    return line.wrong("InvalidMask", where, value, said, "Give a PNG's bytes as base64.")
