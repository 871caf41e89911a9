"""Strategies order candidates as their formulas say, and say what they lack."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prelabel.selection import STRATEGIES, Candidates, SelectionError, rank

IDS = np.array([11, 12, 13])
SURE_TORN_SPREAD = np.array([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.4, 0.3, 0.3]])


def candidates(rows: object) -> Candidates:
    array = np.array(rows, dtype=float)
    return Candidates(ids=np.arange(len(array)), probabilities=array)


# --- one run
def test_least_confident_looks_at_the_likeliest_class_only() -> None:
    ranking = rank(Candidates(ids=IDS, probabilities=SURE_TORN_SPREAD), "least_confident")
    assert ranking.priority == pytest.approx([0.15, 0.75, 0.9])
    assert ranking.first(2).tolist() == [13, 12]


def test_margin_puts_a_tie_of_two_before_a_spread_over_three() -> None:
    ranking = rank(Candidates(ids=IDS, probabilities=SURE_TORN_SPREAD), "margin")
    assert ranking.priority == pytest.approx([0.2, 1.0, 0.9])
    assert ranking.first(3).tolist() == [12, 13, 11]


def test_entropy_puts_a_spread_over_three_before_a_tie_of_two() -> None:
    ranking = rank(Candidates(ids=IDS, probabilities=SURE_TORN_SPREAD), "entropy")
    assert ranking.first(3).tolist() == [13, 12, 11]
    assert ranking.priority[1] == pytest.approx(np.log(2) / np.log(3))


def test_lists_are_as_good_as_arrays() -> None:
    listed = rank(Candidates(ids=IDS.tolist(), probabilities=SURE_TORN_SPREAD.tolist()), "margin")  # type: ignore[arg-type] # on purpose
    assert listed.first(3).tolist() == [12, 13, 11]


@pytest.mark.parametrize("strategy", ["least_confident", "margin", "entropy"])
def test_a_tie_of_all_classes_is_1_and_certainty_is_0(strategy: str) -> None:
    assert rank(candidates([[0.25] * 4, [1, 0, 0, 0]]), strategy).priority == pytest.approx([1.0, 0.0])


def test_scores_alone_are_enough_for_least_confident() -> None:
    ranking = rank(Candidates(ids=IDS, scores=np.array([0.9, np.nan, 0.3])), "least_confident")
    assert ranking.order.tolist() == [2, 0]
    assert ranking.without.tolist() == [1]


@pytest.mark.parametrize("strategy", ["least_confident", "margin", "entropy"])
def test_a_task_without_a_prediction_is_in_a_bucket_of_its_own(strategy: str) -> None:
    ranking = rank(candidates([[0.5, 0.5], [np.nan, np.nan], [0.9, 0.1]]), strategy)
    assert ranking.order.tolist() == [0, 2]
    assert ranking.without.tolist() == [1]
    assert np.isnan(ranking.priority[1])


def test_equal_priorities_come_in_an_order_that_the_seed_decides() -> None:
    tied = candidates([[0.5, 0.5]] * 50)
    orders = [rank(tied, "margin", seed=seed).order.tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != sorted(orders[0])


# --- several runs
def test_runs_that_vote_differently_disagree() -> None:
    votes = tuple(np.array(run) for run in ([0, 0, 0], [0, 1, 0], [0, 2, 1]))
    ranking = rank(Candidates(ids=IDS, others=votes), "disagreement")
    assert ranking.priority[:2] == pytest.approx([0.0, 1.0])
    assert ranking.priority[2] == pytest.approx(-(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)) / np.log(3))


def test_own_probabilities_count_as_one_vote() -> None:
    others = (np.array([0, 1, 1]),)
    ranking = rank(Candidates(ids=IDS, probabilities=SURE_TORN_SPREAD, others=others), "disagreement")
    assert ranking.priority.tolist() == [0.0, 1.0, 1.0]


def test_divergence_is_highest_where_each_run_is_sure_of_something_else() -> None:
    mine = np.array([[1.0, 0.0], [0.5, 0.5], [0.8, 0.2]])
    theirs = np.array([[0.0, 1.0], [0.5, 0.5], [0.4, 0.6]])
    ranking = rank(Candidates(ids=IDS, probabilities=mine, others=(theirs,)), "divergence")
    assert ranking.first(3).tolist() == [11, 13, 12]
    assert ranking.priority[:2] == pytest.approx([1.0, 0.0])


def test_divergence_agrees_with_scipy() -> None:
    from scipy.spatial.distance import jensenshannon

    random = np.random.default_rng(0)
    mine, theirs = random.dirichlet(np.ones(4), 20), random.dirichlet(np.ones(4), 20)
    said = rank(Candidates(ids=np.arange(20), probabilities=mine, others=(theirs,)), "divergence").priority
    assert said == pytest.approx(jensenshannon(mine, theirs, axis=1, base=2) ** 2)


@pytest.mark.parametrize("strategy", ["disagreement", "divergence"])
def test_a_task_that_one_run_alone_predicted_is_without(strategy: str) -> None:
    missing = np.array([[0.0, 1.0], [np.nan, np.nan], [0.9, 0.1]])
    ranking = rank(Candidates(ids=IDS, probabilities=np.array([[1.0, 0.0]] * 3), others=(missing,)), strategy)
    assert ranking.without.tolist() == [1]
    assert ranking.order.tolist() == [0, 2]


# --- embeddings
def test_diversity_starts_away_from_what_is_labeled() -> None:
    corners = np.array([[1.0, 0.0], [0.99, 0.1], [0.0, 1.0]])
    ranking = rank(Candidates(ids=IDS, embeddings=corners, labeled_embeddings=np.array([[5.0, 0.0]])), "diversity")
    assert ranking.order.tolist() == [2, 1, 0]
    assert ranking.priority == pytest.approx([0.0, np.hypot(0.005, 0.1) / 2, np.sqrt(2) / 2], abs=2e-3)


def test_diversity_takes_one_of_each_group_before_a_second_one() -> None:
    random = np.random.default_rng(3)
    groups = np.repeat(np.arange(6), 40)
    points = np.eye(6)[groups] + random.normal(0, 0.05, (240, 6))
    ranking = rank(Candidates(ids=np.arange(240), embeddings=points), "diversity", count=6)
    assert sorted(groups[ranking.order[:6]]) == list(range(6))


def test_diversity_stays_within_twice_the_best_cover() -> None:
    """Gonzalez's bound: the greedy radius is at most twice that of the best centres, here tried out."""
    from itertools import combinations

    points = np.random.default_rng(5).normal(size=(14, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    best = min(distances[:, list(centres)].min(axis=1).max() for centres in combinations(range(14), 3))
    picked = rank(Candidates(ids=np.arange(14), embeddings=points), "diversity", count=3).order[:3]
    assert distances[:, picked].min(axis=1).max() <= 2 * best + 1e-6


def test_diversity_puts_what_it_has_not_picked_behind_its_picks() -> None:
    points = np.random.default_rng(0).normal(size=(100, 5))
    ranking = rank(Candidates(ids=np.arange(100), embeddings=points), "diversity", count=10)
    priority = ranking.priority[ranking.order]
    assert len(ranking.order) == 100
    assert np.all(np.diff(priority) <= 0)


def test_a_task_without_an_embedding_is_without() -> None:
    points = np.array([[1.0, 0.0], [np.nan, 0.0], [0.0, 0.0]])
    assert sorted(rank(Candidates(ids=IDS, embeddings=points), "diversity").without.tolist()) == [1, 2]


# --- by lot
def test_random_is_the_same_for_the_same_seed_and_covers_all() -> None:
    some = Candidates(ids=np.arange(100))
    first, again, other = (rank(some, "random", seed=seed).order.tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(first) == list(range(100))


# --- what is refused
@pytest.mark.parametrize(
    ("strategy", "remedy"),
    [
        ("least_confident", "Predict the tasks first"),
        ("margin", "use least_confident"),
        ("entropy", "use least_confident"),
        ("disagreement", "what other runs say in `others`"),
        ("divergence", "what other runs say in `others`"),
        ("diversity", "Let the wrapper `embed`"),
        ("mislabeling", "out_of_sample_probabilities"),
        ("mix", "Predict the tasks first"),
    ],
)
def test_a_strategy_that_lacks_its_input_says_what_to_do(strategy: str, remedy: str) -> None:
    with pytest.raises(SelectionError, match=r"needs|compares") as caught:
        rank(Candidates(ids=IDS), strategy)
    assert remedy in caught.value.hint


def test_an_unknown_strategy_is_answered_with_those_there_are() -> None:
    with pytest.raises(SelectionError, match="No strategy is called 'marign'") as caught:
        rank(Candidates(ids=IDS), "marign")
    assert all(name in caught.value.hint for name in STRATEGIES)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"probabilities": np.array([[0.5, 0.5]])}, "shape"),
        ({"probabilities": np.array([[0.9, 0.9]] * 3)}, "no distribution"),
        ({"probabilities": np.array([[0.9]] * 3)}, "at least two classes"),
        ({"scores": np.array([0.5, 1.5, 0.5])}, "within 0 and 1"),
        ({"embeddings": np.zeros((2, 4))}, "shape"),
        ({"embeddings": np.zeros((3, 4)), "labeled_embeddings": np.zeros((3, 5))}, "labeled_embeddings"),
        ({"others": (np.array([0.0, 1.0, 1.0]),)}, r"others\[0\]"),
        ({"ids": np.array([1, 1, 2])}, "different ids"),
    ],
)
def test_arrays_of_the_wrong_form_are_refused(given: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(SelectionError, match=said) as caught:
        Candidates(**{"ids": IDS, **given})
    assert caught.value.hint


def test_runs_with_different_classes_cannot_be_compared_by_divergence() -> None:
    with pytest.raises(SelectionError, match="same classes"):
        rank(Candidates(ids=IDS, probabilities=SURE_TORN_SPREAD, others=(np.full((3, 2), 0.5),)), "divergence")


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"mislabeling"}))
def test_no_candidates_are_no_error(strategy: str) -> None:
    none = Candidates(
        ids=np.array([], dtype=np.int64), probabilities=np.zeros((0, 2)), embeddings=np.zeros((0, 3)),
        others=(np.zeros((0, 2)),),
    )  # fmt: skip
    assert len(rank(none, strategy).order) == 0


# --- what always holds
@given(st.integers(1, 30), st.integers(2, 6), st.integers(0, 999), st.sampled_from(sorted(set(STRATEGIES))))
def test_every_candidate_is_ranked_once_or_without_and_priorities_lie_within_0_and_1(
    number: int, classes: int, seed: int, strategy: str
) -> None:
    random = np.random.default_rng(seed)
    probabilities, others = random.dirichlet(np.full(classes, 0.3), (2, number))
    probabilities[random.random(number) < 0.2] = np.nan
    some = Candidates(
        ids=np.arange(number), probabilities=probabilities, embeddings=random.normal(size=(number, 3)),
        others=(others,), labels=random.integers(0, classes, number),
    )  # fmt: skip
    ranking = rank(some, strategy, seed=seed)
    assert sorted([*ranking.order, *ranking.without]) == list(range(number))
    known = ranking.priority[ranking.order]
    assert np.all((known >= 0) & (known <= 1))
    assert np.all(np.diff(known) <= 0)
    assert np.isnan(ranking.priority[ranking.without]).all()
