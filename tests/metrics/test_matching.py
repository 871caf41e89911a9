"""Overlaps, matches, and their binary form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from prelabel.errors import DataError
from prelabel.metrics.instances import Instance
from prelabel.metrics.matches import Matches, RowMatches, one_to_one
from prelabel.metrics.matching import align, match_row, match_rows
from prelabel.metrics.overlap import iou_pairs
from prelabel.metrics.summary import summarize

SIDE = st.floats(0, 40, allow_nan=False)


@st.composite
def boxes(draw: st.DrawFn) -> list[Instance]:
    """Up to six boxes of three classes."""
    found = []
    for _ in range(draw(st.integers(0, 6))):
        x, y, w, h = (draw(SIDE) for _ in range(4))
        cls, confidence = draw(st.sampled_from("abc")), draw(st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
        found.append(Instance("box", cls, (x, y, x + w + 1, y + h + 1), confidence=confidence))
    return found


def overlap(one: Instance, other: Instance, buffer: float = 70.0) -> float:
    """The IoU of two instances."""
    pairs = match_row([one], [other], buffer=buffer).pair_iou
    return float(pairs[0]) if pairs.size else 0.0


@given(boxes(), boxes())
def test_boxes_overlap_as_shapely_says(first: list[Instance], second: list[Instance]) -> None:
    i, j, iou = iou_pairs(first, second)
    found = dict(zip(zip(i.tolist(), j.tolist(), strict=True), iou.tolist(), strict=True))
    for one, a in enumerate(first):
        for other, b in enumerate(second):
            left, right = shapely.box(*a.value), shapely.box(*b.value)
            expected = left.intersection(right).area / left.union(right).area
            assert found.get((one, other), 0.0) == pytest.approx(expected, abs=1e-9)


@given(boxes(), boxes())
def test_overlap_is_symmetric_within_0_and_1(first: list[Instance], second: list[Instance]) -> None:
    there, back = match_row(first, second), match_row(second, first)
    assert sorted(there.pair_iou) == pytest.approx(sorted(back.pair_iou))
    assert ((there.pair_iou > 0) & (there.pair_iou <= 1)).all()


@given(st.lists(st.tuples(boxes(), boxes()), max_size=4))
def test_many_rows_at_once_are_the_rows_one_by_one(batch: list[tuple[list[Instance], list[Instance]]]) -> None:
    rows = {str(place): both for place, both in enumerate(batch)}
    single = {row_id: match_row(*both) for row_id, both in rows.items()}
    at_once = match_rows(rows)
    assert summarize(at_once, 0.4, 0.3).as_json() == summarize(single, 0.4, 0.3).as_json()
    again = Matches.of(at_once.rows())
    assert summarize(again, 0.4, 0.3).as_json() == summarize(single, 0.4, 0.3).as_json()


@given(boxes(), boxes())
def test_bytes_bring_back_every_column(first: list[Instance], second: list[Instance]) -> None:
    made = match_row(first, second)
    back = RowMatches.from_bytes(made.to_bytes())
    assert back.classes == made.classes
    for name in RowMatches.__dataclass_fields__:
        if name != "classes":
            column = getattr(made, name)
            assert (getattr(back, name) == column).all()
            assert getattr(back, name).dtype == column.dtype


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-1], lambda data: b"", lambda data: data[:4] + b"\x09" + data[5:]]
)
def test_other_bytes_are_refused(spoil: object) -> None:
    made = match_row([Instance("box", "a", (0, 0, 1, 1))], [Instance("box", "a", (0, 0, 1, 1))]).to_bytes()
    with pytest.raises(DataError, match="no matches that this version"):
        RowMatches.from_bytes(spoil(made))  # type: ignore[operator]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), unique=True))
def test_rounds_take_what_the_loop_over_pairs_takes(pairs: list[tuple[int, int]]) -> None:
    expected, used_p, used_a = [], set[int](), set[int]()
    for p, a in pairs:
        expected.append(p not in used_p and a not in used_a)
        if expected[-1]:
            used_p.add(p)
            used_a.add(a)
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    assert one_to_one(columns[:, 0], columns[:, 1]).tolist() == expected


def test_shapes_overlap_by_their_area() -> None:
    square = Instance("polygon", "a", ((0, 0), (10, 0), (10, 10), (0, 10)))
    assert overlap(square, Instance("box", "a", (0, 0, 10, 10))) == pytest.approx(1)
    assert overlap(square, Instance("rotated_box", "a", (10, 0, 10, 10, 90))) == pytest.approx(1)
    circle = Instance("ellipse", "a", (5, 5, 5, 5, 30))
    assert overlap(square, circle) == pytest.approx(math.pi / 4, rel=1e-3)
    bow_tie = Instance("polygon", "a", ((0, 0), (10, 10), (10, 0), (0, 10)))
    assert overlap(square, bow_tie) == pytest.approx(0.5)


def test_masks_overlap_by_pixels_and_with_what_is_drawn() -> None:
    first, second = np.zeros((20, 30), dtype=np.bool_), np.zeros((20, 30), dtype=np.bool_)
    first[2:12, 5:15], second[2:12, 10:20] = True, True
    a, b = Instance("mask", "a", first), Instance("mask", "a", second)
    assert overlap(a, b) == pytest.approx((first & second).sum() / (first | second).sum())
    assert overlap(a, Instance("box", "a", (5, 2, 15, 12))) == 1
    assert overlap(a, Instance("mask", "a", np.zeros((20, 30), dtype=np.bool_))) == 0


def test_points_and_lines_are_grown_by_the_buffer() -> None:
    first, second = Instance("point", "a", (0, 0)), Instance("point", "a", (70, 0))
    left, right = shapely.Point(0, 0).buffer(70), shapely.Point(70, 0).buffer(70)
    assert overlap(first, second) == pytest.approx(left.intersection(right).area / left.union(right).area)
    assert overlap(first, second, buffer=10) == 0
    line = Instance("polyline", "a", ((0, 0), (100, 0)))
    assert overlap(line, line) == pytest.approx(1)


def test_intervals_overlap_by_their_length() -> None:
    assert overlap(Instance("span", "a", (0, 10)), Instance("span", "a", (5, 15))) == pytest.approx(1 / 3)
    assert overlap(Instance("frames", "a", (1, 10)), Instance("frames", "a", (10, 10))) == pytest.approx(0.1)
    assert overlap(Instance("segment", "a", (2.0, 2.0)), Instance("segment", "a", (2.0, 2.0))) == 1
    assert overlap(Instance("tokens", "a", ("x", "y")), Instance("tokens", "a", ("y", "z"))) == pytest.approx(1 / 3)


def test_tracks_overlap_over_all_frames() -> None:
    first = Instance("track", "a", {1: (0, 0, 10, 10), 2: (0, 0, 10, 10)})
    second = Instance("track", "a", {2: (0, 0, 10, 5), 3: (0, 0, 10, 10)})
    assert overlap(first, second) == pytest.approx(50 / (100 + 100 + 100))


def test_different_kinds_scopes_and_questions_do_not_meet() -> None:
    box = Instance("box", "a", (0, 0, 1, 1))
    assert overlap(box, Instance("box", "a", (0, 0, 1, 1), scope="2")) == 0
    assert overlap(box, Instance("span", "a", (0, 1))) == 0
    yes = Instance("choice", "yes", "yes", "dark", exclusive=True)
    assert overlap(yes, Instance("choice", "yes", "yes", "wet", exclusive=True)) == 0


def about(box: str, answer: str) -> Instance:
    """An answer about a box."""
    return Instance("choice", answer, answer, "hidden", box, exclusive=True)


def test_answers_about_objects_meet_where_their_objects_match() -> None:
    predictions = [
        Instance("box", "car", (0, 0, 10, 10), id="p1", confidence=0.4), about("p1", "yes"),
        Instance("box", "car", (50, 0, 60, 8), id="p2"), about("p2", "no"),
    ]  # fmt: skip
    annotations = [
        Instance("box", "car", (50, 0, 60, 10), id="a1"), about("a1", "no"),
        Instance("box", "car", (0, 0, 10, 10), id="a2"), about("a2", "no"),
    ]  # fmt: skip
    assert align(predictions, annotations) == {"p1": "a2", "p2": "a1"}
    made = match_row(predictions, annotations)
    answers = {
        (int(p), int(a)): float(iou)
        for p, a, iou in zip(made.pair_prediction, made.pair_annotation, made.pair_iou, strict=True)
        if predictions[p].kind == "choice"
    }
    assert answers == {(1, 3): 1.0, (3, 1): pytest.approx(0.8)}
    assert made.prediction_confidence.tolist() == [0.4, 0.4, 1.0, 1.0]


def test_relations_meet_where_both_ends_match() -> None:
    def side(prefix: str, ends: tuple[str, str], question: str = "relation") -> list[Instance]:
        return [
            Instance("span", "PER", (0, 5), id=prefix + "1"),
            Instance("span", "LOC", (9, 12), id=prefix + "2"),
            Instance("relation", "born in", (prefix + ends[0], prefix + ends[1]), question),
        ]

    assert summarize({"a": match_row(side("p", ("1", "2")), side("a", ("1", "2")))}).run.tp == 3
    assert summarize({"a": match_row(side("p", ("1", "2")), side("a", ("2", "1")))}).run.tp == 2
    both = "relation, both ways"
    assert summarize({"a": match_row(side("p", ("1", "2"), both), side("a", ("2", "1"), both))}).run.tp == 3
