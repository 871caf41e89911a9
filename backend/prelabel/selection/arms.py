"""A mix of strategies with a random control arm: who picks which candidate, and whether it found more errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from prelabel.selection.candidates import Ints, Ranking, SelectionError

CONTROL = "random"
"""The arm that picks by lot; what the others are compared with."""


def turns(shares: Mapping[str, float], count: int) -> list[str]:
    """Whose turn each of ``count`` picks is: after any number of picks each arm has its share, to within one pick."""
    if not shares or any(not math.isfinite(share) or share < 0 for share in shares.values()):
        raise SelectionError(
            "Shares must be numbers of at least 0.", hint='For example {"margin": 0.8, "random": 0.2}.'
        )
    total = sum(shares.values())
    if total <= 0:
        raise SelectionError("All shares are 0.", hint='For example {"margin": 0.8, "random": 0.2}.')
    names = [name for name, share in shares.items() if share > 0]
    wanted = np.array([shares[name] / total for name in names])
    credit, order = np.zeros(len(names)), []
    for _ in range(count):
        credit += wanted
        turn = int(np.argmax(credit))
        credit[turn] -= 1.0
        order.append(names[turn])
    return order


def deal(rankings: Mapping[str, Ranking], turn: Sequence[str], number: int) -> tuple[Ints, list[str]]:
    """Picks in order, indices of ``number`` candidates, and the arm of each.

    The control arm draws its whole quota first, by lot from all candidates, so that it is a fair sample of them;
    the strategies choose among what is left. An arm that has no more candidates leaves its turn to the next ones.
    """
    taken = np.zeros(number, dtype=bool)
    queues = {name: [int(index) for index in each.order] for name, each in rankings.items()}
    if CONTROL in queues:
        quota = sum(name == CONTROL for name in turn)
        queues[CONTROL] = queues[CONTROL][:quota]
        taken[queues[CONTROL]] = True
    places = dict.fromkeys(queues, 0)
    picks: list[int] = []
    arms: list[str] = []
    for name in turn:
        for arm in (name, *(other for other in queues if other not in (name, CONTROL))):
            queue, place = queues[arm], places[arm]
            while place < len(queue) and arm != CONTROL and taken[queue[place]]:
                place += 1
            places[arm] = place + 1
            if place < len(queue):
                taken[queue[place]] = True
                picks.append(queue[place])
                arms.append(arm)
                break
    return np.array(picks, dtype=np.int64), arms


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm's labels say: ``wrong`` of ``labeled`` predictions were wrong; Wilson's interval of that rate."""

    name: str
    labeled: int
    wrong: int
    rate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ArmReport:
    """Whether the strategies found more of the model's errors than picks by lot.

    Attributes:
        strategy: all arms but the control, together.
        control: the control arm.
        arms: every arm by itself.
        difference: rate of the strategies minus that of the control; None where either has no labels.
        low: lower end of the difference's interval; ``high`` the upper one.
        helps: True when the interval lies above 0, False when below, None when it holds 0: not known yet.
    """

    strategy: Arm
    control: Arm
    arms: tuple[Arm, ...]
    difference: float | None
    low: float | None
    high: float | None
    helps: bool | None

    def __str__(self) -> str:
        if self.difference is None or self.low is None or self.high is None:
            return "Not known yet: both the strategies and the control need labeled tasks that were predicted before."
        said = {True: "The strategies find more errors than chance", False: "The strategies find fewer than chance"}
        verdict = said[self.helps] if self.helps is not None else "No difference shown yet"
        return (
            f"{verdict}: {self.strategy.wrong} wrong of {self.strategy.labeled} against {self.control.wrong} of "
            f"{self.control.labeled} by lot, difference {self.difference:+.1%} ({self.low:+.1%} to {self.high:+.1%})."
        )


def arm_report(
    arms: Sequence[str], wrong: Sequence[bool | None], *, level: float = 0.95, control: str = CONTROL
) -> ArmReport:
    """Compare the arms by what people's labels say of the predictions that stood before.

    Args:
        arms: which arm picked each task (`Ranking.arms`); "" is left out.
        wrong: whether the label differs from the prediction; None where not labeled, or not predicted, yet.
        level: of the intervals.
        control: name of the control arm.

    The rates have Wilson's score interval (1927), the difference Newcombe's from it (*Interval estimation for the
    difference between independent proportions*, 1998, method 10). More errors found means that people's time goes where
    the model is wrong; it does not yet show that the next model is better.

    Raises:
        SelectionError: the lengths differ.
    """
    if len(arms) != len(wrong):
        raise SelectionError(f"There are {len(arms)} arms but {len(wrong)} answers.", hint="Give one of each per task.")
    known = [(arm, bool(answer)) for arm, answer in zip(arms, wrong, strict=True) if arm and answer is not None]
    names = list(dict.fromkeys([*(arm for arm in arms if arm and arm != control), control]))
    each = tuple(_arm(name, [answer for arm, answer in known if arm == name], level) for name in names)
    strategy = _arm("strategies", [answer for arm, answer in known if arm != control], level)
    chance = each[-1]
    if (
        strategy.rate is None or strategy.low is None or strategy.high is None
        or chance.rate is None or chance.low is None or chance.high is None
    ):  # fmt: skip
        return ArmReport(strategy, chance, each, None, None, None, None)
    difference = strategy.rate - chance.rate
    low = difference - math.hypot(strategy.rate - strategy.low, chance.high - chance.rate)
    high = difference + math.hypot(strategy.high - strategy.rate, chance.rate - chance.low)
    helps = True if low > 0 else False if high < 0 else None
    return ArmReport(strategy, chance, each, difference, low, high, helps)


def _arm(name: str, answers: Sequence[bool], level: float) -> Arm:
    number, wrong = len(answers), sum(answers)
    if not number:
        return Arm(name, 0, 0, None, None, None)
    z, rate = NormalDist().inv_cdf((1 + level) / 2), wrong / number
    middle = (rate + z * z / (2 * number)) / (1 + z * z / number)
    half = z / (1 + z * z / number) * math.sqrt(rate * (1 - rate) / number + z * z / (4 * number * number))
    return Arm(name, number, wrong, rate, max(0.0, middle - half), min(1.0, middle + half))
