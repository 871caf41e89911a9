"""A classifier that begins knowing nothing and learns from the project's annotations, on top of an encoder.

scikit-learn (BSD-3-Clause) does the learning: logistic regression on the encoder's embeddings, or on texts' words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel.errors import ModelError, ModelLoadError
from prelabel.loader import load, load_wrapper
from prelabel.model import InputKind, ModelWrapper, Silence, Surroundings
from prelabel.outputs import Choice
from prelabel_wrappers.frameworks import missing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from prelabel.examples import Example

FILE = "classifier.joblib"
BATCH = 64
"""Examples that the encoder gets at once."""


class Classifier(ModelWrapper):
    """One `Choice` for each item, with the probability of every class; nothing before the first training.

    Args:
        encoder: ``words`` (texts, by their words and pairs of words), or a wrapper that can embed: ``minilm``,
            ``wordllama`` (texts), ``efficientnet`` (images), or one of your own (``my_encoder.py:Encoder``).
        control: the ``Choices`` or ``Taxonomy`` (its name) that it learns and answers; needed where there are several.
        strength: how closely it follows the examples (scikit-learn's ``C``); larger is closer. Without it 10 for words,
            1 for embeddings.
    """

    name = "classifier"
    outputs = (Choice,)

    def __init__(self, encoder: str = "words", *, control: str | None = None, strength: float | None = None) -> None:
        self.encoder = None if encoder == "words" else load_wrapper(encoder)
        if self.encoder is not None and not self.encoder.can_embed:
            raise ModelLoadError(
                f"{encoder} cannot embed.", hint="Take minilm, wordllama, efficientnet, or a wrapper with `embed`."
            )
        self.input = self.encoder.input if self.encoder is not None else InputKind.TEXT
        self.control = control
        self.strength = strength or (10.0 if self.encoder is None else 1.0)
        self._model: Any = None

    def enter(self, surroundings: Surroundings) -> None:
        """Tell the encoder, too."""
        if self.encoder is not None:
            self.encoder.enter(surroundings)

    def load(self) -> None:
        """Load the encoder, and what was learnt."""
        try:
            import joblib
            import sklearn  # noqa: F401 (joblib comes with other packages, too)
        except ModuleNotFoundError as error:
            raise missing("scikit-learn", "sklearn") from error
        if self.encoder is not None:
            load(self.encoder)
        if self.artifact is not None:
            self._model = joblib.load(self.artifact / FILE)  # written by `save`, its checksum compared
            self.labels = tuple(self._model.classes_)

    def predict(self, batch: Sequence[Any]) -> Sequence[Choice | Silence]:
        """The most probable class of each item; nothing before the first training."""
        if self._model is None:
            return [Silence() for _ in batch]
        labels = self.labels or ()
        chances = self._model.predict_proba(self._features(batch))
        return [
            Choice(
                labels[best],
                score=float(row[best]),
                distribution=dict(zip(labels, row.tolist(), strict=True)),
                control=self.control,
            )
            for row, best in zip(chances, chances.argmax(axis=1).tolist(), strict=True)
        ]

    def fit(self, examples: Iterable[Example]) -> None:
        """Learn from all examples with exactly one class.

        Raises:
            ModelError: there are fewer than two classes.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        labels: list[str] = []
        several: set[str] = set()
        features = self._all_features(examples, labels, several)
        if len(set(labels)) < 2:
            said = f"only {labels[0]!r}" if labels else "none"
            hint = "Label more."
            if several:
                names = ", ".join(sorted(several))
                hint = (
                    f"Tasks with several classes teach nothing; name the control to learn: -o control=NAME of {names}."
                )
            raise ModelError(f"there is nothing to tell apart: of the classes {said} is annotated.", hint=hint)
        head = LogisticRegression(C=self.strength, max_iter=1000, class_weight="balanced")
        self._model = self._words(head) if self.encoder is None else make_pipeline(StandardScaler(), head)
        self._model.fit(features, labels)
        self.labels = tuple(self._model.classes_)

    def _all_features(self, examples: Iterable[Example], labels: list[str], several: set[str]) -> Any:
        """Features of the examples with one class, whose classes are put into ``labels``; images are not kept.

        ``several`` gets the controls of examples with more than one.
        """
        import numpy as np

        rows: list[Any] = []
        waiting: list[Any] = []
        for example in examples:
            said = [one for one in example.choices if self.control in {None, one.control}]
            if len(said) == 1 and isinstance(said[0], Choice):
                labels.append(said[0].label)
                waiting.append(example.value)
            else:
                several.update(one.control or "" for one in said)
            if len(waiting) == BATCH:
                rows.extend(self._features(waiting))
                waiting = []
        rows.extend(self._features(waiting) if waiting else ())
        return rows if self.encoder is None else np.asarray(rows)

    def _features(self, batch: Sequence[Any]) -> Sequence[str] | NDArray[np.float32]:
        return self.encoder.embed(batch) if self.encoder is not None else list(batch)

    @staticmethod
    def _words(head: Any) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline

        return make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), head)

    def save(self, directory: Path) -> None:
        """Write what was learnt."""
        import joblib

        joblib.dump(self._model, directory / FILE)

    @property
    def can_embed(self) -> bool:
        """Whether it has an encoder."""
        return self.encoder is not None

    def embed(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """The encoder's embeddings."""
        return self.encoder.embed(batch) if self.encoder is not None else super().embed(batch)

    def unload(self) -> None:
        """Forget all."""
        self._model = None
        if self.encoder is not None:
            self.encoder.unload()

    def fingerprint(self) -> bytes:
        """The encoder's, and the options."""
        inner = self.encoder.fingerprint() if self.encoder is not None else b"words"
        return b"\0".join([super().fingerprint(), inner])
