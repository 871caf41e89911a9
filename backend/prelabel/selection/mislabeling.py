"""Which labels are probably wrong: confident learning on probabilities of models that have not seen them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prelabel.errors import SettingsError
from prelabel.selection.candidates import Bools, Floats, Ints, SelectionError, check_probabilities, missing

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

RUNS_EXTRA = 'pip install "prelabel[runs]"'


class Rows(Protocol):
    """Features ``[n, d]`` of which rows can be taken: a NumPy array, or a SciPy matrix in CSR format."""

    def __getitem__(self, rows: NDArray[np.intp], /) -> object: ...


@dataclass(frozen=True, eq=False)
class OutOfSample:
    """Each row's class probabilities by a model that was trained without the row.

    Attributes:
        probabilities: ``[n, classes]``; a row of NaN where its class has no second label to learn from.
        labels: the class of each row as an index into ``classes`` ``[n]``.
        classes: the labels' names, sorted.
    """

    probabilities: Floats
    labels: Ints
    classes: tuple[object, ...]


def out_of_sample_probabilities(
    features: Rows,
    labels: ArrayLike,
    *,
    model: ClassifierMixin | None = None,
    folds: int = 5,
    seed: int = 0,
) -> OutOfSample:
    """Probabilities for labeled rows by cross-validation (scikit-learn's ``cross_val_predict``, stratified).

    Args:
        features: ``[n, d]``, an array or a SciPy CSR matrix: embeddings, for instance.
        labels: ``[n]``, strings or integers.
        model: a scikit-learn classifier with ``predict_proba``; default: logistic regression on scaled features.
        folds: at most this many; fewer where the smallest class has fewer labels.
        seed: for the folds.

    Raises:
        SelectionError: fewer than two classes have two labels each.
        SettingsError: scikit-learn is not installed.
    """
    try:
        # scikit-learn is optional, and slow to import
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
        from sklearn.model_selection import StratifiedKFold, cross_val_predict  # noqa: PLC0415
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415
        from sklearn.preprocessing import MaxAbsScaler  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError("Out-of-sample probabilities need scikit-learn.", hint=RUNS_EXTRA) from error
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    counts = np.bincount(codes, minlength=len(classes))
    usable = np.flatnonzero(counts[codes] >= 2)
    learned = np.unique(codes[usable])
    if len(learned) < 2:
        raise SelectionError(
            "Fewer than two classes have two labels each: nothing can be learned from the others.",
            hint="Label more tasks first.",
        )
    splits = StratifiedKFold(min(folds, int(counts[learned].min())), shuffle=True, random_state=seed)
    chosen = model if model is not None else make_pipeline(MaxAbsScaler(), LogisticRegression(max_iter=1000))
    said = cross_val_predict(chosen, features[usable], codes[usable], cv=splits, method="predict_proba")
    probabilities = np.full((len(codes), len(classes)), np.nan)
    probabilities[usable] = 0.0
    probabilities[np.ix_(usable, learned)] = said
    return OutOfSample(probabilities, codes.astype(np.int64), tuple(classes.tolist()))


@dataclass(frozen=True, eq=False)
class Suspicions:
    """How much speaks against each label.

    Attributes:
        score: 0..1 ``[n]``, 1 the most suspicious: Label Studio's field ``mislabeling``; NaN where there is no label or
            no probabilities.
        suspect: whether confident learning counts it as a wrong label ``[n]``.
        likely: the class that the models hold for likeliest ``[n]``; -1 where nothing is known.
    """

    score: Floats
    suspect: Bools
    likely: Ints


def suspicions(
    labels: ArrayLike,
    probabilities: NDArray[np.floating],
    *,
    ranked_by: Literal["self_confidence", "normalized_margin"] = "self_confidence",
) -> Suspicions:
    """Confident learning, by the library cleanlab.

    A label of class i is suspect when another class j is likelier than that class's own threshold, its mean probability
    among the rows labeled j, and is the likeliest of those classes: off the diagonal of the confident joint.
    Source: Northcutt, Jiang and Chuang, *Confident Learning: Estimating Uncertainty in Dataset Labels* (2021),
    equations 1 to 3.

    Args:
        labels: class of each row ``[n]``, integers; -1 for none.
        probabilities: ``[n, classes]``, **out of sample**: by models that have not seen these labels.
        ranked_by: the score is ``1 - p(label)``, or half of ``1 - (p(label) - p(likeliest other))``.

    Raises:
        SelectionError: a label is no column of the probabilities, or they are no distributions.
        SettingsError: cleanlab is not installed.
    """
    given, rows = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    check_probabilities(rows, "probabilities")
    if given.shape != rows.shape[:1] or not np.issubdtype(given.dtype, np.integer) or np.any(given >= rows.shape[1]):
        raise SelectionError(
            f"labels must be {len(rows)} integers below {rows.shape[1]}, the number of classes.",
            hint="Number the classes as the probabilities' columns; -1 means no label.",
        )
    try:
        # optional, and slow to import
        from cleanlab.filter import find_label_issues  # noqa: PLC0415
        from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError("Suspicion of wrong labels needs cleanlab.", hint=RUNS_EXTRA) from error
    predicted = ~missing(rows)
    known = np.flatnonzero((given >= 0) & predicted)
    score, suspect = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=bool)
    likely = np.where(predicted, np.where(predicted[:, None], rows, 0.0).argmax(axis=1), -1)
    if known.size:
        here = given[known].astype(np.int64)
        score[known] = np.clip(1.0 - get_label_quality_scores(here, rows[known], method=ranked_by), 0.0, 1.0)
    if len(np.unique(given[known])) >= 2:  # with one class there is nothing to mix it up with
        suspect[known] = find_label_issues(here, rows[known], filter_by="confident_learning", n_jobs=1)
    return Suspicions(score, suspect, likely)
