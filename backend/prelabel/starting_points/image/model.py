"""Finds the object in front of a plain background. Put your own in its place; `prelabel up model.py` serves it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prelabel import Box

labels = ["Object"]
"""What the model can say; Label Studio's labeling config is checked against it."""
outputs = [Box]
"""The kinds of output it makes."""


def load() -> None:
    """Called once, before the first prediction: read weights here."""


def predict(images: list[Image.Image]) -> list[list[Box]]:
    """One list of boxes per image, in order; coordinates are pixels from the top-left corner."""
    return [_boxes(np.asarray(image, dtype=np.int16)) for image in images]


def _boxes(pixels: NDArray[np.int16]) -> list[Box]:
    """The rectangle around everything that differs from the corner's colour; ``pixels`` is ``[height, width, 3]``."""
    differs = np.abs(pixels - pixels[0, 0]).max(axis=2) > 40
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return []
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    filled = float(differs[top:bottom, left:right].mean())
    return [Box.from_xyxy(left, top, right, bottom, "Object", score=filled)]
