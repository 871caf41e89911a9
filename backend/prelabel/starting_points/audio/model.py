"""Finds where it is loud. Put your own in its place; `prelabel up model.py` makes it a backend."""

from __future__ import annotations

import numpy as np

from prelabel import Audio, Segment

FRAME_S = 0.05
"""Length of one step in seconds."""
THRESHOLD = 0.02
"""Least root mean square of a loud step; samples are -1..1."""

labels = ["Sound"]
"""What the model can say; Label Studio's labeling config is checked against it."""
outputs = [Segment]
"""The kinds of output it makes."""


def load() -> None:
    """Called once, before the first prediction: read weights here."""


def predict(sounds: list[Audio]) -> list[list[Segment]]:
    """One list of segments per sound, in order; times are seconds."""
    return [_segments(sound) for sound in sounds]


def _segments(sound: Audio) -> list[Segment]:
    step = max(int(sound.rate * FRAME_S), 1)
    steps = sound.mono[: len(sound.mono) // step * step].reshape(-1, step)
    loudness = np.sqrt((steps**2).mean(axis=1))
    loud = np.concatenate([[False], loudness > THRESHOLD, [False]])
    turns = np.flatnonzero(loud[1:] != loud[:-1]).reshape(-1, 2).tolist()
    return [
        Segment(start * FRAME_S, end * FRAME_S, "Sound", score=1 - THRESHOLD / float(loudness[start:end].mean()))
        for start, end in turns
    ]
