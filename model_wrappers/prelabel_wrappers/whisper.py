"""Speech to text with times, by Whisper on CTranslate2 (faster-whisper)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from prelabel.loader import digest_files
from prelabel.model import Audio, InputKind, ModelWrapper
from prelabel.options import Count
from prelabel.outputs import Segment, Text
from prelabel_wrappers.frameworks import existing, missing
from prelabel_wrappers.sounds import mono


class WhisperModel(ModelWrapper):
    """A Whisper network, from a directory or by name.

    The labeling config decides what becomes of its answer: with ``Labels`` on the audio each sentence is a segment
    (with its text where a ``TextArea perRegion="true"`` belongs to it); a ``TextArea`` of the whole task gets it all.

    Args:
        model: directory of a network converted to CTranslate2; or a name (``small``, ``large-v3``), which is downloaded
            from Hugging Face once.
        label: label of every segment. Default: the only one that the control has.
        language: ``en``, ``de`` ...; default: as heard in the first half minute.
        task: ``transcribe``, or ``translate`` into English.
        beam: how many hypotheses are followed.
        words: a segment for each word instead of each sentence.
        vad: leave out what Silero's network does not take for speech.
        prompt: words to expect: names, terms.
        device: ``cpu``, ``cuda`` or ``auto``.
        compute: CTranslate2's type of numbers: ``int8``, ``float16``, ``float32``; ``auto``: the device's fastest.
        threads: threads of one call on a CPU; 0: CTranslate2 decides.
    """

    input = InputKind.AUDIO
    outputs = (Segment, Text)
    max_batch_size = 4

    def __init__(
        self,
        model: str,
        *,
        label: str | None = None,
        language: str | None = None,
        task: Literal["transcribe", "translate"] = "transcribe",
        beam: Count = 5,
        words: bool = False,
        vad: bool = True,
        prompt: str | None = None,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        compute: str = "auto",
        threads: int = 0,
    ) -> None:
        self.model = model
        self.name = "whisper"
        self.labels = (label,) if label else None
        self._label, self._words = label, words
        self._device, self._compute, self._threads = device, compute, threads
        self._said: dict[str, Any] = {
            "language": language, "task": task, "beam_size": beam, "word_timestamps": words, "vad_filter": vad,
            "initial_prompt": prompt,
        }  # fmt: skip
        self._network: Any = None

    def load(self) -> None:
        """Read the network; a name that is no directory is downloaded."""
        try:
            import faster_whisper
        except ModuleNotFoundError as error:
            raise missing("faster-whisper", "whisper") from error
        path = Path(self.model).expanduser()
        if "/" in self.model and not path.exists() and not _is_hub_name(self.model):
            existing(path)
        self._network = faster_whisper.WhisperModel(
            str(path) if path.exists() else self.model,
            device=self._device,
            compute_type=self._compute,
            cpu_threads=self._threads,
        )

    def predict(self, batch: Sequence[Audio]) -> Sequence[Any]:
        """``{"text": ..., "segments": [...]}`` for each recording, as Whisper's own code returns it."""
        return [self._heard(sound) for sound in batch]

    def _heard(self, sound: Audio) -> dict[str, Any]:
        segments, _ = self._network.transcribe(mono(sound), **self._said)
        parts: list[dict[str, Any]] = []
        texts: list[str] = []
        for segment in segments:
            texts.append(segment.text)
            if self._words:
                parts += [self._part(word.start, word.end, word.word, word.probability) for word in segment.words or ()]
            else:
                parts.append(self._part(segment.start, segment.end, segment.text, math.exp(segment.avg_logprob)))
        return {"text": "".join(texts).strip(), "segments": parts}

    def _part(self, start: float, end: float, text: str, score: float) -> dict[str, Any]:
        said = {"start": float(start), "end": float(end), "text": text, "score": min(float(score), 1.0)}
        return said | {"label": self._label} if self._label else said

    def unload(self) -> None:
        """Free the network."""
        self._network = None

    def fingerprint(self) -> bytes:
        """A digest of the directory (or the name), and the options."""
        path = Path(self.model).expanduser()
        what = digest_files([path]) if path.exists() else self.model.encode()
        return what + repr((self._label, self._compute, sorted(self._said.items(), key=str))).encode()


def _is_hub_name(model: str) -> bool:
    """``owner/name``, as Hugging Face has it: one slash, and no path that begins here or at the root."""
    return model.count("/") == 1 and model[0] not in "./~" and not model.endswith("/")
