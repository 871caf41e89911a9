"""A scikit-learn estimator or pipeline from a file: classes with probabilities, several classes, or a number.

The file is a pickle (by joblib or pickle), and loading a pickle runs whatever code is in it: serve only files you made
or trust as you trust a program.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel.errors import ModelLoadError
from prelabel.loader import digest_files
from prelabel.model import InputKind, ModelWrapper
from prelabel.outputs import Choice, Choices, Number
from prelabel_wrappers.features import matrix
from prelabel_wrappers.frameworks import stored
from prelabel_wrappers.heads import choice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SklearnModel(ModelWrapper):
    """An estimator with ``predict``, and where it has them ``predict_proba`` or ``decision_function``.

    A classifier says one `Choice` with its probability and the distribution over all classes. Where it has only
    ``decision_function`` the scores are its softmax (two classes: its logistic): right in order, not calibrated. With
    ``predict`` alone there is no score. A multi-label classifier (indicator matrix) says `Choices`, a regressor a
    `Number`.

    Args:
        model: path of the ``.joblib`` or ``.pkl`` file.
        columns: the task data fields that are the features, in order (a field may hold a list of numbers). Without it
            the estimator gets texts, as a pipeline that begins with a vectorizer wants.
        labels: names for ``classes_``, in their order, where the estimator knows only numbers.
    """

    def __init__(self, model: Path, *, columns: list[str] | None = None, labels: list[str] | None = None) -> None:
        self.path = Path(model)
        self.name = self.path.stem
        self.columns = tuple(columns or ())
        self.input = InputKind.TASK if self.columns else InputKind.TEXT
        self.labels = tuple(labels) if labels else None
        self._named = bool(labels)
        self._estimator: Any = None
        self._multilabel: bool | None = None

    def load(self) -> None:
        """Read the file; learn the classes."""
        self._estimator = stored(self.path, "sklearn")
        from sklearn.base import is_regressor

        if not hasattr(self._estimator, "predict"):
            raise ModelLoadError(
                f"{self.path} holds {type(self._estimator).__name__}, which has no predict.",
                hint="Store the fitted estimator or pipeline with joblib.dump.",
            )
        if is_regressor(self._estimator):
            self.outputs, self.labels = (Number,), None
            return
        classes = getattr(self._estimator, "classes_", None)
        if classes is not None and not isinstance(classes, list):
            self._name_classes([str(each) for each in classes])
        self.outputs = (Choice, Choices)

    def _name_classes(self, classes: list[str]) -> None:
        if self._named and len(self.labels or ()) != len(classes):
            raise ModelLoadError(
                f"{self.path} has {len(classes)} classes, the option labels {len(self.labels or ())}.",
                hint=f"Its classes are {', '.join(classes[:20])}.",
            )
        if not self._named:
            self.labels = tuple(classes)

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """Outputs, one per text (or per task, with ``columns``)."""
        features: Any = matrix(batch, self.columns) if self.columns else list(batch)
        estimator = self._estimator
        if self.outputs == (Number,):
            return [Number(float(value)) for value in estimator.predict(features)]
        if self._multilabel is None:
            self._multilabel = getattr(estimator.predict(features[:1]), "ndim", 1) == 2
        scores = self._scores(features)
        if scores is None:
            return [self._said(row) for row in estimator.predict(features)]
        if self._multilabel:
            return [self._said(row) for row in scores >= 0.5]
        names, best = self.labels or (), scores.argmax(axis=1).tolist()
        return [choice(names, row, at) for row, at in zip(scores.tolist(), best, strict=True)]

    def _scores(self, features: Any) -> NDArray[np.float64] | None:
        """``[items, classes]`` in 0..1, or None where the estimator has none."""
        import numpy as np

        estimator = self._estimator
        if hasattr(estimator, "predict_proba"):
            scores = estimator.predict_proba(features)
            return None if isinstance(scores, list) else np.asarray(scores, dtype=np.float64)
        if not hasattr(estimator, "decision_function"):
            return None
        margins = np.asarray(estimator.decision_function(features), dtype=np.float64)
        if self._multilabel:
            return _logistic(margins)
        if margins.ndim == 1:
            positive = _logistic(margins)
            return np.stack([1 - positive, positive], axis=1)
        if margins.shape[1] != len(self.labels or ()):
            return None  # one-against-one votes of an SVC, not one per class
        powers = np.exp(margins - margins.max(axis=1, keepdims=True))
        result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return result

    def _said(self, row: Any) -> Choice | Choices:
        """What ``predict`` gave for one item: a class, or a row of 0 and 1."""
        if getattr(row, "ndim", 0) == 1:
            names = self.labels or tuple(str(index) for index in range(len(row)))
            return Choices(tuple(name for name, there in zip(names, row, strict=True) if there))
        if self._named:
            classes = [str(each) for each in self._estimator.classes_]
            return Choice((self.labels or ())[classes.index(str(row))])
        return Choice(str(row))

    def unload(self) -> None:
        """Forget the estimator."""
        self._estimator = None

    def fingerprint(self) -> bytes:
        """A digest of the file, and the options."""
        return digest_files([self.path]) + repr((self.columns, self.labels if self._named else None)).encode()


def _logistic(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    result: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(margins, -500, 500)))
    return result
