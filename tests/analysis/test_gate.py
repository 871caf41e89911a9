"""Conditions on metrics: what they say, what they refuse, and that nothing undefined opens a gate."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prelabel.analysis.gate import Verdict, judge
from prelabel.errors import RequestError

NUMBERS = {
    (None, "f1", None): 0.8,
    ("v2", "f1", None): 0.75,
    ("texts-270e469e", "f1", None): 0.9,
    ("release.1", "recall", None): 0.5,
    (None, "recall", "Cat"): 0.6,
    (None, "recall", "Big dog"): 0.4,
}


def lookup(run: str | None, metric: str, feature: str | None) -> float | None:
    return NUMBERS.get((run, metric, feature))


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("f1 >= v2.f1", True),
        ("f1 > texts-270e469e.f1", False),
        ("f1 >= v2.f1 + 0.05", True),
        ("f1 >= v2.f1 + 0.06", False),
        ("f1 - 0.1 < v2.f1 - 0.01", True),
        ("release.1.recall == 0.5", True),
        ("recall[Cat] > 0.5 and recall[Big dog] > 0.5", False),
        ("recall[Cat] > 0.5 or recall[Big dog] > 0.5", True),
        ("f1 > 0.9 and f1 > 0.9 or f1 > 0.5", True),
        ("f1 > 0.5 or f1 > 0.9 and f1 > 0.9", True),
        ("f1>=.8", True),
        ("f1 != 0.8", False),
    ],
)
def test_a_condition_says_what_it_says(condition: str, holds: bool) -> None:
    assert judge(condition, lookup).holds is holds


def test_every_comparison_is_explained_even_after_the_first_that_fails() -> None:
    verdict = judge("f1 > 0.9 and recall[Cat] > 0.5", lookup)
    assert verdict == Verdict(False, ("f1 (0.8) > 0.9: does not hold", "recall[Cat] (0.6) > 0.5: holds"))


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "==", "!="])
def test_what_is_undefined_opens_no_gate(sign: str) -> None:
    verdict = judge(f"map {sign} 0.5", lookup)
    assert not verdict.holds
    assert "map (undefined)" in verdict.reasons[0]
    assert not judge(f"f1 {sign} f1 - v9.f1", lookup).holds


@pytest.mark.parametrize(
    "condition",
    ["", "f1", "f1 >=", ">= 0.5", "f1 >= v2.f1 recall > 1", "f1 = 0.5", "f1 >= (v2.f1)", "f1 > 0.5 and", "0.5"],
)
def test_what_cannot_be_read_is_refused_with_an_example(condition: str) -> None:
    with pytest.raises(RequestError, match=r"v2\.f1"):
        judge(condition, lookup)


@given(st.text(max_size=30))
def test_any_text_is_a_verdict_or_a_refusal(condition: str) -> None:
    with contextlib.suppress(RequestError):
        assert isinstance(judge(condition, lookup), Verdict)


@given(st.floats(0, 1), st.floats(0, 1))
def test_comparing_is_that_of_numbers(first: float, second: float) -> None:
    verdict = judge(f"{first:.6f} <= {second:.6f}", lookup)
    assert verdict.holds is (round(first, 6) <= round(second, 6))
