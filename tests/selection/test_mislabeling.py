"""Planted wrong labels are found, and what cannot be judged is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from prelabel.selection import Candidates, SelectionError, out_of_sample_probabilities, rank, suspicions

SEPARATE = np.array([[0.9, 0.1]] * 5 + [[0.1, 0.9]] * 5)


def test_planted_label_noise_in_digits_is_found() -> None:
    """10 % of the digits' labels are flipped: measured precision 0.97 and recall 0.77 (mean of five seeds)."""
    from sklearn.datasets import load_digits

    rows, truth = load_digits(return_X_y=True)
    random = np.random.default_rng(0)
    flipped = random.random(len(truth)) < 0.1
    labels = np.where(flipped, (truth + random.integers(1, 10, len(truth))) % 10, truth)
    found = out_of_sample_probabilities(rows, labels)
    said = suspicions(found.labels, found.probabilities)
    precision = (said.suspect & flipped).sum() / said.suspect.sum()
    recall = (said.suspect & flipped).sum() / flipped.sum()
    assert precision > 0.9
    assert recall > 0.7
    worst = rank(
        Candidates(ids=np.arange(len(rows)), probabilities=found.probabilities, labels=found.labels), "mislabeling"
    )
    assert flipped[worst.order[: flipped.sum()]].mean() > 0.9
    assert np.mean(said.likely[said.suspect & flipped] == truth[said.suspect & flipped]) > 0.9


def test_suspects_are_those_off_the_diagonal_of_the_confident_joint() -> None:
    """By the paper's own formula: likelier than the other class's threshold, its mean probability among its labels."""
    random = np.random.default_rng(1)
    rows = random.dirichlet(np.full(3, 0.4), 300)
    labels = np.where(random.random(300) < 0.7, rows.argmax(axis=1), random.integers(0, 3, 300))
    thresholds = np.array([rows[labels == each, each].mean() for each in range(3)])
    over = rows >= thresholds
    counted = np.where(over, rows, -1.0).argmax(axis=1)
    expected = over.any(axis=1) & (counted != labels)
    assert suspicions(labels, rows).suspect.tolist() == expected.tolist()


def test_the_score_is_what_speaks_against_the_label() -> None:
    labels = np.array([0] * 4 + [1] * 6)
    said = suspicions(labels, SEPARATE)
    assert said.score == pytest.approx([0.1] * 4 + [0.9] + [0.1] * 5)
    assert np.flatnonzero(said.suspect).tolist() == [4]
    assert said.likely[4] == 0
    margins = suspicions(labels, SEPARATE, ranked_by="normalized_margin").score
    assert margins == pytest.approx([0.1] * 4 + [0.9] + [0.1] * 5)


def test_what_has_no_label_or_no_probabilities_is_not_judged() -> None:
    rows = SEPARATE.copy()
    rows[0] = np.nan
    said = suspicions(np.array([0, -1, 0, 0, 1, 1, 1, 1, 1, 1]), rows)
    assert np.flatnonzero(np.isnan(said.score)).tolist() == [0, 1]
    assert not said.suspect[:2].any()
    assert said.likely[:2].tolist() == [-1, 0]


@pytest.mark.parametrize("labels", [np.full(10, -1), np.zeros(10, dtype=int)])
def test_no_labels_and_a_single_class_make_no_suspects(labels: np.ndarray) -> None:
    assert not suspicions(labels, SEPARATE).suspect.any()


def test_a_label_that_is_no_column_is_refused() -> None:
    with pytest.raises(SelectionError, match="integers below 2"):
        suspicions(np.full(10, 2), SEPARATE)


# --- out of sample
def test_each_probability_comes_from_a_model_that_has_not_seen_the_row() -> None:
    """A nearest neighbour knows every label it has seen; on labels by lot it must not do better than chance."""
    from sklearn.neighbors import KNeighborsClassifier

    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(400, 3)), random.integers(0, 2, 400)
    model = KNeighborsClassifier(1)
    assert model.fit(rows, labels).score(rows, labels) == 1.0
    found = out_of_sample_probabilities(rows, labels, model=model)
    assert np.mean(found.probabilities.argmax(axis=1) == labels) < 0.6


def test_a_class_with_a_single_label_is_left_out_and_keeps_its_column() -> None:
    rows = np.random.default_rng(0).normal(size=(21, 2))
    found = out_of_sample_probabilities(rows, ["a"] * 10 + ["c"] * 10 + ["b"])
    assert found.classes == ("a", "b", "c")
    assert np.isnan(found.probabilities[20]).all()
    assert found.probabilities[:20, 1].tolist() == [0.0] * 20
    assert found.probabilities[:20].sum(axis=1) == pytest.approx(1.0)


def test_sparse_features_are_taken() -> None:
    from scipy.sparse import csr_matrix

    rows = csr_matrix(np.repeat(np.eye(2), 10, axis=0))
    found = out_of_sample_probabilities(rows, np.repeat([0, 1], 10))
    assert np.mean(found.probabilities.argmax(axis=1) == found.labels) == 1.0


def test_too_few_labels_are_refused_with_the_remedy() -> None:
    with pytest.raises(SelectionError, match="Label more tasks first"):
        out_of_sample_probabilities(np.zeros((3, 2)), ["a", "a", "b"])
