"""A pipeline of transformers, by its task and a local path (or a name on Hugging Face)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel import outputs as o
from prelabel.errors import ModelLoadError, TaskError
from prelabel.loader import digest_files
from prelabel.model import InputKind, ModelWrapper
from prelabel.options import Share
from prelabel_wrappers.frameworks import existing, missing

if TYPE_CHECKING:
    from prelabel.model import Audio

Kinds = tuple[type[o.Output], ...]
_CLASS: Kinds = (o.Choice, o.Choices)


@dataclass(frozen=True, slots=True)
class Job:
    """What a task of transformers takes and says, and how its pipeline is called."""

    input: InputKind
    outputs: Kinds
    arguments: Mapping[str, Any]
    named: bool = True
    """Whether the model's ``id2label`` are the labels that it says."""


JOBS: Mapping[str, Job] = {
    "text-classification": Job(InputKind.TEXT, _CLASS, {"top_k": None, "truncation": True}),
    "token-classification": Job(InputKind.TEXT, (o.Span,), {"aggregation_strategy": "simple"}),
    "zero-shot-classification": Job(InputKind.TEXT, _CLASS, {}, named=False),
    "summarization": Job(InputKind.TEXT, (o.Text,), {"truncation": True}, named=False),
    "text2text-generation": Job(InputKind.TEXT, (o.Text,), {"truncation": True}, named=False),
    "text-generation": Job(InputKind.TEXT, (o.Text,), {"return_full_text": False}, named=False),
    "image-classification": Job(InputKind.IMAGE, _CLASS, {"top_k": 1_000_000}),
    "zero-shot-image-classification": Job(InputKind.IMAGE, _CLASS, {}, named=False),
    "object-detection": Job(InputKind.IMAGE, (o.Box, o.Boxes), {}),
    "image-segmentation": Job(InputKind.IMAGE, (o.Mask,), {}),
    "document-question-answering": Job(InputKind.IMAGE, (o.Text, *_CLASS), {}, named=False),
    "visual-question-answering": Job(InputKind.IMAGE, (*_CLASS, o.Text), {}, named=False),
    "image-to-text": Job(InputKind.IMAGE, (o.Text,), {}, named=False),
    "image-text-to-text": Job(InputKind.IMAGE, (o.Text,), {}, named=False),
    "audio-classification": Job(InputKind.AUDIO, _CLASS, {"top_k": 1_000_000}),
    "automatic-speech-recognition": Job(InputKind.AUDIO, (o.Segment, o.Text), {"return_timestamps": True}, named=False),
}
"""Tasks that are known here; the adapters read what their pipelines return."""
ASKED = frozenset({"document-question-answering", "visual-question-answering"})
"""Tasks that need a question."""
SCORED = frozenset({"object-detection", "image-segmentation"})
"""Tasks whose pipelines drop what is below a threshold."""


class TransformersModel(ModelWrapper):
    """``transformers.pipeline``: what it returns becomes what the labeling config asks for.

    The model's ``id2label`` are its labels. Texts longer than the model reads are cut (classification).

    Args:
        model: directory as ``save_pretrained`` writes it; or a name on Hugging Face, which is downloaded.
        task: the pipeline's task (``text-classification``, ``token-classification``, ``zero-shot-classification``,
            ``image-classification``, ``object-detection``, ``image-segmentation``, ``audio-classification``,
            ``automatic-speech-recognition`` ...). Default: what the model's own files say.
        labels: what zero-shot classification chooses from.
        question: what is asked about a document or picture; ``$field``: that field of the task's data.
        min_score: objects and segments with less are left out.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``auto``: a GPU where there is one.
        half: half precision: float16 on a GPU, bfloat16 on a CPU.
        revision: branch, tag or commit of the name on Hugging Face.
    """

    def __init__(
        self,
        model: str,
        *,
        task: str | None = None,
        labels: list[str] | None = None,
        question: str | None = None,
        min_score: Share = 0.5,
        device: str = "auto",
        half: bool = False,
        revision: str | None = None,
    ) -> None:
        self.model, self.task = model, task
        self.name = Path(model).name
        self.labels = tuple(labels) if labels else None
        self._candidates = list(labels or ())
        self._question = question
        self._min_score, self._device, self._half, self._revision = min_score, device, half, revision
        self._pipeline: Any = None
        if task is not None:
            self._take(task)

    def _take(self, task: str) -> None:
        job = JOBS.get(task)
        if job is None:
            raise ModelLoadError(f"the task {task!r} is not known here.", hint=f"Known are {', '.join(JOBS)}.")
        self._job, self.input, self.outputs = job, job.input, job.outputs
        if task.startswith("zero-shot") and not self._candidates:
            raise ModelLoadError(f"{task} needs labels to choose from.", hint="Give them: --opt labels=sport,politics")
        if task in ASKED:
            self.adapts = True  # an answer is a text or a class, whichever is wanted
            if not self._question:
                raise ModelLoadError(f"{task} needs a question.", hint="Give it: --opt question='What is the total?'")
            if self._question.startswith("$"):
                self.input = InputKind.ITEM

    def load(self) -> None:
        """Make the pipeline; a name that is no directory is downloaded."""
        try:
            import transformers
        except ModuleNotFoundError as error:
            raise missing("transformers", "transformers") from error
        path = Path(self.model).expanduser()
        if not path.exists() and (self.model.count("/") > 1 or self.model[:1] in ".~/"):
            existing(path)
        device = _best_device() if self._device == "auto" else self._device
        more: dict[str, Any] = {"device": device}
        if self._half:
            more["dtype"] = "bfloat16" if device == "cpu" else "float16"
        source = str(path) if path.exists() else self.model
        self._pipeline = transformers.pipeline(self.task, model=source, revision=self._revision, **more)
        if self.task is None:
            self._take(self._pipeline.task)
        named = getattr(self._pipeline.model.config, "id2label", None)
        if self._job.named and named:
            self.labels = _labels(named)

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """What the pipeline returned for each item."""
        arguments: dict[str, Any] = dict(self._job.arguments)
        if self._pipeline.task in SCORED:
            arguments["threshold"] = self._min_score
        if self._candidates and not self._job.named:
            arguments["candidate_labels"] = self._candidates
        items = [_heard(item) for item in batch] if self.input is InputKind.AUDIO else list(batch)
        if self._pipeline.task in ASKED:
            items = [self._asked(item) for item in batch]
        together = 1 if self._pipeline.task in ASKED else len(items)  # batches of these fail in transformers 5
        said: Sequence[Any] = self._pipeline(items, batch_size=together, **arguments)
        return said

    def _asked(self, item: Any) -> dict[str, Any]:
        question = self._question or ""
        if not question.startswith("$"):
            return {"image": item, "question": question}
        field = question[1:]
        if field not in item.task.data:
            raise TaskError(f"field {field!r} is missing, which is the question.", task=item.task.id)
        return {"image": item.value, "question": str(item.task.data[field])}

    def unload(self) -> None:
        """Free the model, on a GPU too."""
        self._pipeline = None
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def fingerprint(self) -> bytes:
        """A digest of the directory (or the name and revision), and the options that change what it says."""
        path = Path(self.model).expanduser()
        what = digest_files([path]) if path.exists() else f"{self.model} {self._revision}".encode()
        told = (self.task, self._candidates, self._min_score, self._half)
        return what + repr((*told, self._question) if self._question else told).encode()


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def _heard(sound: Audio) -> dict[str, Any]:
    """As pipelines of sounds take it; they resample by themselves or ask for what they need."""
    return {"raw": sound.mono, "sampling_rate": sound.rate}


def _labels(named: Mapping[Any, str]) -> tuple[str, ...]:
    """``id2label`` in the order of its numbers; of token tags (``B-PER``, ``I-PER``, ``O``) what aggregation leaves."""
    names = [str(named[key]) for key in sorted(named, key=int)]
    if any(name[:2] in {"B-", "I-"} for name in names):
        names = [name[2:] if name[:2] in {"B-", "I-"} else name for name in names if name != "O"]
    return tuple(dict.fromkeys(names))
