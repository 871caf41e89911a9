"""Sounds to what networks of speech want, and their curves of probability to stretches of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from prelabel.model import Audio

    Curve = NDArray[np.float32]

SPEECH_RATE = 16_000
"""Samples a second of what networks of speech are trained on."""


def mono(sound: Audio, rate: int = SPEECH_RATE) -> NDArray[np.float32]:
    """The mean of the channels at ``rate`` samples a second, float32 ``[samples]`` in -1..1.

    Where the rate falls, a mean over as many samples as become one takes off what would alias; between samples it is
    interpolated linearly.
    """
    samples = sound.mono
    if sound.rate == rate or not len(samples):
        same: NDArray[np.float32] = np.ascontiguousarray(samples, dtype=np.float32)
        return same
    step = sound.rate / rate
    if step > 1:
        width = max(round(step), 1)
        padded = np.concatenate([np.zeros(width // 2 + 1), samples, np.zeros(width)])
        sums = np.cumsum(padded, dtype=np.float64)
        samples = ((sums[width:] - sums[:-width]) / width)[: len(samples)].astype(np.float32)
    wanted = np.arange(int(len(samples) / step)) * step
    found: NDArray[np.float32] = np.interp(wanted, np.arange(len(samples)), samples).astype(np.float32)
    return found


def stretches(
    curve: Curve, frame_s: float, *, threshold: float, min_length_s: float, min_gap_s: float, pad_s: float = 0.0
) -> list[tuple[float, float, float]]:
    """Where a curve of probabilities is high: start and end in seconds, and the mean over the stretch.

    A stretch begins at ``threshold`` and lasts while the curve is above ``threshold - 0.15``, as Silero's own
    smoothing has it. Gaps shorter than ``min_gap_s`` are closed; what is shorter than ``min_length_s`` then is left
    out; the rest grows by ``pad_s`` on both sides, no further than half of the way to its neighbour.
    """
    low = _runs(curve >= max(threshold - 0.15, 0.01))
    runs = [(first, after) for first, after in low if curve[first:after].max() >= threshold]
    joined: list[tuple[int, int]] = []
    for first, after in runs:
        if joined and (first - joined[-1][1]) * frame_s < min_gap_s:
            joined[-1] = (joined[-1][0], after)
        else:
            joined.append((first, after))
    kept = [(first, after) for first, after in joined if (after - first) * frame_s >= min_length_s]
    found = []
    for at, (first, after) in enumerate(kept):
        before = (first + kept[at - 1][1]) / 2 if at else 0
        behind = (after + kept[at + 1][0]) / 2 if at + 1 < len(kept) else len(curve)
        start = max(first - pad_s / frame_s, before) * frame_s
        end = min(after + pad_s / frame_s, behind) * frame_s
        found.append((start, end, min(max(float(curve[first:after].mean()), 0.0), 1.0)))
    return found


def _runs(inside: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First index and the one after the last of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False])).astype(np.int8)))
    return [(int(first), int(after)) for first, after in edges.reshape(-1, 2)]
