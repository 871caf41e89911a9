"""A mix keeps its shares, its control arm is a fair sample, and the report says whether the strategies help."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from prelabel.selection import Candidates, SelectionError, arm_report, mix


def unsure(number: int = 100) -> Candidates:
    """Candidate 0 is the least sure, the last the surest."""
    sure = np.linspace(0.5, 1.0, number)
    return Candidates(ids=np.arange(number), probabilities=np.column_stack([sure, 1 - sure]))


def test_each_arm_has_its_share_wherever_labeling_stops() -> None:
    ranking = mix(unsure(), count=50, shares={"margin": 3, "random": 1})
    arms = [ranking.arms[index] for index in ranking.order[:50]]
    assert Counter(arms) == {"margin": 37, "random": 13} or Counter(arms) == {"margin": 38, "random": 12}
    for stop in range(1, 51):
        assert abs(arms[:stop].count("random") - stop / 4) <= 1


def test_every_pick_says_which_arm_chose_it_and_nothing_is_picked_twice() -> None:
    ranking = mix(unsure(), count=30)
    assert len(set(ranking.order[:30].tolist())) == 30
    assert all(ranking.arms[index] for index in ranking.order[:30])
    assert not any(ranking.arms[index] for index in ranking.order[30:])
    assert ranking.priority[ranking.order[30:]].tolist() == [0.0] * 70


def test_the_strategy_takes_its_best_among_what_the_control_left() -> None:
    ranking = mix(unsure(), count=30, shares={"margin": 0.8, "random": 0.2})
    lots = {index for index in range(100) if ranking.arms[index] == "random"}
    margin = [int(index) for index in ranking.order[:30] if ranking.arms[index] == "margin"]
    assert margin == [index for index in range(100) if index not in lots][:24]


def test_the_control_is_a_fair_sample_of_all_candidates() -> None:
    """Over 2,000 seeds each candidate, sure or unsure, is drawn by lot as often: 200 times, give or take 5 sigma."""
    drawn = Counter(
        index
        for seed in range(2000)
        for index, arm in enumerate(mix(unsure(40), count=20, seed=seed).arms)
        if arm == "random"
    )
    counts = np.array([drawn[index] for index in range(40)])
    assert counts.sum() == 2000 * 4
    assert np.all(np.abs(counts - 200) < 5 * np.sqrt(200 * 0.9))


def test_a_task_without_a_prediction_reaches_a_mix_by_lot_only() -> None:
    rows = unsure(20).probabilities
    assert rows is not None
    rows[::2] = np.nan
    ranking = mix(Candidates(ids=np.arange(20), probabilities=rows), count=15, shares={"margin": 1, "random": 1})
    assert {ranking.arms[index] for index in range(0, 20, 2)} <= {"random", ""}


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"margin": 1.0}, "control arm"),
        ({"margin": 1.0, "random": 0.0}, "control arm"),
        ({"magic": 1.0, "random": 1.0}, "'magic'"),
        ({"margin": -1.0, "random": 1.0}, "at least 0"),
    ],
)
def test_shares_that_make_no_mix_are_refused(shares: dict[str, float], said: str) -> None:
    with pytest.raises(SelectionError, match=said):
        mix(unsure(), shares=shares)


# --- the report
def test_the_report_says_that_a_strategy_finds_more_errors() -> None:
    arms = ["margin"] * 80 + ["random"] * 40 + [""] * 5
    wrong = [True] * 40 + [False] * 40 + [True] * 4 + [False] * 36 + [None] * 5
    report = arm_report(arms, wrong)
    assert report.helps is True
    assert (report.strategy.wrong, report.strategy.labeled, report.control.wrong, report.control.labeled) == (
        40,
        80,
        4,
        40,
    )
    assert report.difference == pytest.approx(0.4)
    assert "more errors than chance: 40 wrong of 80 against 4 of 40 by lot" in str(report)


def test_the_intervals_are_those_of_newcombes_paper() -> None:
    """Newcombe (1998), table II, example (a): 56/70 against 48/80; Wilson's score method without correction."""
    report = arm_report(["margin"] * 70 + ["random"] * 80, [True] * 56 + [False] * 14 + [True] * 48 + [False] * 32)
    assert report.difference == pytest.approx(0.2)
    assert (report.low, report.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


def test_few_labels_show_nothing_yet() -> None:
    report = arm_report(
        ["margin"] * 5 + ["random"] * 5, [True, True, False, False, False, True, False, False, False, False]
    )
    assert report.helps is None
    assert "No difference shown yet" in str(report)


def test_a_strategy_that_finds_fewer_errors_is_said_to() -> None:
    assert arm_report(["margin"] * 100 + ["random"] * 100, [False] * 100 + [True] * 50 + [False] * 50).helps is False


@pytest.mark.parametrize("arms", [[], ["margin", "margin"], ["random", "random"]])
def test_without_labels_in_both_arms_nothing_is_known(arms: list[str]) -> None:
    report = arm_report(arms, [True] * len(arms))
    assert (report.helps, report.difference) == (None, None)
    assert "Not known yet" in str(report)


def test_the_report_has_every_arm_by_itself() -> None:
    report = arm_report(["margin", "diversity", "random", "margin"], [True, False, None, True])
    assert {arm.name: (arm.wrong, arm.labeled) for arm in report.arms} == {
        "margin": (2, 2), "diversity": (0, 1), "random": (0, 0),
    }  # fmt: skip


def test_arms_and_answers_of_different_length_are_refused() -> None:
    with pytest.raises(SelectionError, match="2 arms but 1"):
        arm_report(["margin", "random"], [True])
