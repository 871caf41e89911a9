"""SemEval-2013's four ways to score entities, counted as nervaluate 1.2 counts them, where it cannot be installed.

nervaluate 1.2 needs Python 3.11; its older releases count overlapping entities in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

Outcome = Literal["correct", "incorrect", "partial", "missed", "spurious"]


class Entity(NamedTuple):
    """A span with characters; ``end`` is exclusive."""

    start: int
    end: int
    label: str


Right = Callable[[Entity, Entity], "int | None"]
"""How far off two overlapping entities are that fit together; None where they do not."""


def _same_bounds(said: Entity, there: Entity) -> int | None:
    return 0 if said[:2] == there[:2] else None


RULES: Mapping[str, tuple[Right, Outcome]] = {
    "strict": (lambda said, there: 0 if said == there else None, "incorrect"),
    "exact": (_same_bounds, "incorrect"),
    "partial": (_same_bounds, "partial"),
    "type": (
        lambda said, there: (
            abs(said.start - there.start) + abs(said.end - there.end) if said.label == there.label else None
        ),
        "incorrect",
    ),
}
"""By scheme: what is right, and what else overlaps is."""


def count(said: Sequence[Entity], there: Sequence[Entity], scheme: str) -> dict[Outcome, int]:
    """Outcomes of one document's predictions, each with the best annotation that no earlier one took.

    Two entities overlap where they share a hundredth of the annotation (nervaluate's ``min_overlap_percentage``).
    """
    right, otherwise = RULES[scheme]
    found: dict[Outcome, int] = dict.fromkeys(("correct", "incorrect", "partial", "missed", "spurious"), 0)
    left = list(there)
    for one in said:
        near = [other for other in left if _shared(one, other) * 100 >= other.end - other.start]
        fitting = [(off, place) for place, other in enumerate(near) if (off := right(one, other)) is not None]
        if not near:
            found["spurious"] += 1
            continue
        found["correct" if fitting else otherwise] += 1
        left.remove(near[min(fitting)[1] if fitting else 0])
    found["missed"] = len(left)
    return found


def _shared(first: Entity, second: Entity) -> int:
    return min(first.end, second.end) - max(first.start, second.start)
