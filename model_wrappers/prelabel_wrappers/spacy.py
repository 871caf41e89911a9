"""A spaCy pipeline: entities become spans, text categories a class."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prelabel.errors import ModelLoadError
from prelabel.loader import digest_files
from prelabel.model import InputKind, ModelWrapper
from prelabel.options import Share
from prelabel.outputs import Choice, Choices, Output, Span
from prelabel_wrappers.frameworks import missing


class SpacyModel(ModelWrapper):
    """A trained pipeline, by package name or path.

    Entities (and, with ``spans``, one span group) become `Span`; an exclusive text categoriser a `Choice` with its
    distribution, a multi-label one `Choices` from ``threshold`` on. spaCy gives entities no probability, so spans have
    no score.

    Args:
        model: package (``en_core_web_sm``) or directory.
        spans: key of a span group (``sc``) to take beside the entities.
        labels: take only these labels; default all.
        threshold: least probability of a label of a multi-label categoriser.
        disable: pipeline components not to load (``parser,tagger``): faster, where they are not needed.
    """

    input = InputKind.TEXT

    def __init__(
        self,
        model: str,
        *,
        spans: str | None = None,
        labels: list[str] | None = None,
        threshold: Share = 0.5,
        disable: list[str] | None = None,
    ) -> None:
        self.model = model
        self.name = Path(model).name
        self.spans = spans
        self.only = frozenset(labels) if labels else None
        self.labels = tuple(labels) if labels else None
        self.threshold = threshold
        self.disable = tuple(disable or ())
        self._pipeline: Any = None
        self._exclusive = True

    def load(self) -> None:
        """Load the pipeline; learn its labels."""
        try:
            import spacy
        except ModuleNotFoundError as error:
            raise missing("spaCy", "spacy") from error
        try:
            self._pipeline = spacy.load(self.model, disable=list(self.disable))
        except OSError as error:
            if "/" in self.model or Path(self.model).is_dir():
                hint = "Give the directory that has its config.cfg, as `Language.to_disk` writes it."
            else:
                hint = f"Install it (`python -m spacy download {self.model}`) or give the path of its directory."
            raise ModelLoadError(f"spaCy finds no pipeline {self.model!r}.", hint=hint) from error
        known: list[str] = []
        kinds: list[type[Output]] = []
        for name in self._pipeline.pipe_names:
            kind = _kind(self._pipeline.get_pipe_meta(name).factory, self.spans)
            if kind is not None:
                known += list(self._pipeline.get_pipe(name).labels)
                kinds.append(kind)
        if not kinds:
            raise ModelLoadError(
                f"the pipeline {self.model!r} has neither entities nor text categories.",
                hint=f"It has {', '.join(self._pipeline.pipe_names) or 'no components'}.",
            )
        self._exclusive = Choices not in kinds
        self.outputs = tuple(dict.fromkeys(kinds))
        self.labels = tuple(label for label in dict.fromkeys(known) if self.only is None or label in self.only)

    def predict(self, batch: Sequence[str]) -> Sequence[list[Output]]:
        """Entities and categories of each text."""
        return [self._outputs(document) for document in self._pipeline.pipe(batch, batch_size=len(batch) or 1)]

    def _outputs(self, document: Any) -> list[Output]:
        found = list(document.ents)
        if self.spans and self.spans in document.spans:
            found += list(document.spans[self.spans])
        outputs: list[Output] = [
            Span(entity.start_char, entity.end_char, entity.label_) for entity in found if self._wanted(entity.label_)
        ]
        scores = {label: float(score) for label, score in document.cats.items() if self._wanted(label)}
        if scores and self._exclusive:
            best = max(scores, key=lambda label: scores[label])
            outputs.append(Choice(best, score=scores[best], distribution=scores))
        elif scores:
            said = {label: score for label, score in scores.items() if score >= self.threshold}
            if said:
                outputs.append(Choices(tuple(said), score=min(said.values())))
        return outputs

    def _wanted(self, label: str) -> bool:
        return self.only is None or label in self.only

    def unload(self) -> None:
        """Forget the pipeline."""
        self._pipeline = None

    def fingerprint(self) -> bytes:
        """The package's name and version, or a digest of the directory; and the options."""
        path = Path(self.model)
        told = repr((self.spans, self.only and sorted(self.only), self.threshold, self.disable)).encode()
        if path.exists():
            return digest_files([path]) + told
        try:
            version = importlib.metadata.version(self.model)
        except importlib.metadata.PackageNotFoundError:
            version = ""
        return f"{self.model} {version} ".encode() + told


def _kind(factory: str, spans: str | None) -> type[Output] | None:
    """What a component says that goes into a prediction."""
    if factory in {"ner", "entity_ruler", "beam_ner"} or (factory in {"spancat", "spancat_singlelabel"} and spans):
        return Span
    if factory == "span_ruler":
        return Span
    return {"textcat": Choice, "textcat_multilabel": Choices}.get(factory)
