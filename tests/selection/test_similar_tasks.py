"""Clusters and neighbours find what is alike, exactly or nearly so, and fit Label Studio's fields."""

from __future__ import annotations

import json

import numpy as np
import pytest

from prelabel.selection import SelectionError, find_clusters, nearest_tasks, prediction_fields, priority_to_score


def groups(number: int, sizes: list[int], spread: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Points around directions of their own, and which group each is of."""
    of = np.repeat(np.arange(len(sizes)), sizes)
    return np.eye(number)[of] + np.random.default_rng(0).normal(0, spread, (len(of), number)), of


# --- clusters
@pytest.mark.parametrize("method", ["auto", "hdbscan", "kmeans"])
def test_groups_become_clusters_numbered_by_size(method: str) -> None:
    points, of = groups(6, [40, 90, 60])
    cluster = find_clusters(points, method=method, number=3 if method == "kmeans" else None)
    for group, expected in ((0, 2), (1, 0), (2, 1)):
        assert np.mean(cluster[of == group] == expected) > 0.9


def test_what_lies_alone_is_in_no_cluster() -> None:
    points, _ = groups(8, [60, 60])
    alone = np.vstack([points, -np.eye(8)[3]])
    assert find_clusters(alone, method="hdbscan")[-1] == -1


def test_rows_without_an_embedding_are_in_no_cluster() -> None:
    points, _ = groups(4, [30, 30])
    points[0], points[1, 2] = 0.0, np.nan
    cluster = find_clusters(points)
    assert cluster[:2].tolist() == [-1, -1]
    assert cluster.max() == 1


def test_auto_takes_k_means_where_density_finds_nothing() -> None:
    cloud = np.random.default_rng(0).normal(size=(300, 6))
    assert len(set(find_clusters(cloud).tolist())) > 2


def test_the_same_seed_gives_the_same_clusters() -> None:
    cloud = np.random.default_rng(0).normal(size=(300, 40))
    first, again = (find_clusters(cloud, method="kmeans", seed=3).tolist() for _ in range(2))
    assert first == again


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_few_rows_are_no_error(rows: int) -> None:
    assert len(find_clusters(np.ones((rows, 3)))) == rows


def test_more_dimensions_are_reduced_and_still_cluster() -> None:
    points, of = groups(100, [50, 50, 50], spread=0.02)
    cluster = find_clusters(points)
    assert all(len(set(cluster[of == group].tolist()) - {-1}) == 1 for group in range(3))


def test_a_list_of_numbers_is_no_embedding() -> None:
    with pytest.raises(SelectionError, match="one row per task"):
        find_clusters(np.zeros(5))


# --- neighbours
def test_neighbours_are_the_most_similar_others_by_cosine() -> None:
    points = np.array([[1, 0], [10, 1], [0, 1], [-1, 0]], dtype=float)
    assert nearest_tasks(np.array([101, 102, 103, 104]), points, count=2) == [
        [102, 103], [101, 103], [102, 101], [103, 102],
    ]  # fmt: skip


def test_blocks_give_the_same_as_one_table() -> None:
    points = np.random.default_rng(0).normal(size=(7000, 8)).astype(np.float32)  # three blocks
    found = nearest_tasks(np.arange(7000), points, count=5)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    for row in (0, 2395, 2396, 2397, 6999):
        cosines = unit @ unit[row]
        cosines[row] = -2
        assert sorted(found[row]) == sorted(np.argsort(-cosines)[:5].tolist())


def test_the_approximate_index_finds_nearly_all_that_the_exact_way_finds() -> None:
    pytest.importorskip("faiss")
    random = np.random.default_rng(0)
    points = random.normal(size=(50, 64))[random.integers(0, 50, 4000)] + random.normal(size=(4000, 64))
    ids = np.arange(4000) + 10
    exact = nearest_tasks(ids, points, method="exact")
    near = nearest_tasks(ids, points, method="approximate")
    recall = np.mean([len(set(one) & set(other)) / 10 for one, other in zip(exact, near, strict=True)])
    assert recall > 0.97
    assert not any(own in others for own, others in zip(ids.tolist(), near, strict=True))


@pytest.mark.parametrize("method", ["exact", "approximate"])
def test_equal_tasks_are_each_others_neighbours_and_never_their_own(method: str) -> None:
    if method == "approximate":
        pytest.importorskip("faiss")
    found = nearest_tasks(np.arange(8), np.ones((8, 4)), count=3, method=method)
    assert all(len(others) == 3 and row not in others for row, others in enumerate(found))


def test_a_row_without_an_embedding_has_no_neighbours_and_is_nobodys() -> None:
    points = np.array([[1.0, 0.0], [0.0, 0.0], [0.9, 0.1]])
    assert nearest_tasks(np.array([5, 6, 7]), points) == [[7], [], [5]]


def test_one_task_has_no_neighbours() -> None:
    assert nearest_tasks(np.array([5]), np.ones((1, 2))) == [[]]


def test_ids_and_embeddings_must_fit() -> None:
    with pytest.raises(SelectionError, match="2 ids"):
        nearest_tasks(np.array([1, 2]), np.ones((3, 2)))


# --- Label Studio's fields
def test_the_first_to_label_has_the_lowest_score() -> None:
    assert priority_to_score(np.array([1.0, 0.25, 0.0, np.nan])) == [0.0, 0.75, 1.0, None]


def test_fields_are_what_create_prediction_takes() -> None:
    fields = prediction_fields(
        np.array([7, 8]), priority=np.array([0.75, np.nan]), cluster=np.array([3, -1]), neighbors=[[8], [7]],
        mislabeling=np.array([np.nan, 0.125]),
    )  # fmt: skip
    assert json.loads(json.dumps(fields, allow_nan=False)) == {
        "7": {"score": 0.25, "cluster": 3, "neighbors": [8]},
        "8": {"cluster": -1, "neighbors": [7], "mislabeling": 0.125},
    }


def test_fields_of_another_length_are_refused() -> None:
    with pytest.raises(SelectionError, match="cluster has 1 rows for 2 tasks"):
        prediction_fields(np.array([7, 8]), cluster=np.array([1]))
