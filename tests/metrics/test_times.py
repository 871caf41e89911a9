"""Segments are paired within what they belong to, whatever the two sides call it."""

from __future__ import annotations

import pytest

from prelabel.metrics.instances import Instance
from prelabel.metrics.times import time_scores


def talk(uid: str, name: str, start: float, end: float, *, within: str = "") -> Instance:
    return Instance("segment", name, (start, end), "speaker", within, 1.0, id=uid)


def test_a_segment_inside_another_is_paired_where_the_outer_ones_match() -> None:
    said = [talk("p1", "anna", 0, 10), talk("p2", "loud", 2, 4, within="p1")]
    there = [talk("a1", "anna", 0, 9), talk("a2", "loud", 2, 5, within="a1")]
    found = time_scores({"row": (said, there)}, "segment")
    assert found is not None
    loud = found.classes["loud"]
    assert (loud.pairs, loud.matched, loud.iou, loud.end_error) == (1, 1, pytest.approx(2 / 3), 1.0)


def test_a_segment_inside_one_that_nobody_annotated_has_no_pair() -> None:
    said = [talk("p1", "anna", 20, 30), talk("p2", "loud", 2, 4, within="p1")]
    there = [talk("a1", "anna", 0, 9), talk("a2", "loud", 2, 4, within="a1")]
    found = time_scores({"row": (said, there)}, "segment")
    assert found is not None
    assert (found.classes["loud"].pairs, found.classes["loud"].iou) == (0, 0.0)
