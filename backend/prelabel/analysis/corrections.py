"""What people did to predictions: accepted, edited, deleted, added; and from that, which confidence to trust.

An annotation that was started from a prediction keeps its regions' ids, so ids are compared first; what has no partner
by id is paired by geometry within its class (`prelabel.metrics.matching.align`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prelabel.metrics.counting import ratio
from prelabel.metrics.instances import Instance
from prelabel.metrics.matching import align
from prelabel.metrics.overlap import family, iou_pairs

Fate = Literal["accepted", "edited", "relabeled", "deleted", "added"]
SAME = 0.999
"""From this IoU on nothing was moved: percent and pixels do not round alike."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One prediction and what became of it, or (``added``) an annotation that no prediction was made for.

    ``iou`` of prediction and final annotation; 1.0 for answers that were kept, 0.0 where there is no other side.
    """

    fate: Fate
    feature: str
    final: str | None
    confidence: float | None
    iou: float
    row_id: str


@dataclass(frozen=True, slots=True)
class Tally:
    """One class's fates. ``moved`` is the mean of 1 - IoU over what was edited."""

    accepted: int
    edited: int
    relabeled: int
    deleted: int
    added: int
    moved: float | None

    @property
    def kept(self) -> float | None:
        """The share of predictions whose class people kept; None where nothing was predicted."""
        right = self.accepted + self.edited
        return ratio(right, right + self.relabeled + self.deleted)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in ("accepted", "edited", "relabeled", "deleted", "added", "moved")}


@dataclass(frozen=True, slots=True)
class Threshold:
    """The lowest confidence from which on a class reaches the wanted precision; None: it never does.

    ``precision`` and ``predictions`` are those from there on.
    """

    confidence: float | None
    precision: float | None
    predictions: int


def corrections(predictions: Sequence[Instance], annotations: Sequence[Instance], row_id: str = "") -> list[Correction]:
    """Compare one data row's predictions with the annotation that people made of them."""
    partners = _partners(predictions, annotations)
    found = [
        Correction("deleted", one.feature, None, one.confidence, 0.0, row_id)
        if partners[place] is None
        else _kept(one, annotations[partners[place] or 0], row_id)
        for place, one in enumerate(predictions)
    ]
    used = set(partners.values())
    found.extend(
        Correction("added", one.feature, one.feature, None, 0.0, row_id)
        for place, one in enumerate(annotations)
        if place not in used
    )
    return found


def tallies(ledger: Iterable[Correction]) -> dict[str, Tally]:
    """The fates of each class, by the class that was predicted (of what was added, the annotated one)."""
    numbers: dict[str, dict[str, int]] = {}
    moved: dict[str, list[float]] = {}
    for one in ledger:
        counts = numbers.setdefault(
            one.feature, dict.fromkeys(("accepted", "edited", "relabeled", "deleted", "added"), 0)
        )
        counts[one.fate] += 1
        if one.fate == "edited":
            moved.setdefault(one.feature, []).append(1.0 - one.iou)
    return {
        feature: Tally(
            **numbers[feature], moved=sum(moved[feature]) / len(moved[feature]) if feature in moved else None
        )
        for feature in sorted(numbers)
    }


def thresholds(ledger: Iterable[Correction], precision: float) -> Mapping[str, Threshold]:
    """For each class the lowest confidence from which on at least ``precision`` of its predictions were kept.

    A prediction counts as right when people left its class: accepted or edited.
    """
    by_class: dict[str, list[tuple[float, bool]]] = {}
    for one in ledger:
        if one.confidence is not None:
            by_class.setdefault(one.feature, []).append((one.confidence, one.fate in {"accepted", "edited"}))
    return {feature: _threshold(sorted(by_class[feature], reverse=True), precision) for feature in sorted(by_class)}


def _threshold(sure_first: Sequence[tuple[float, bool]], wanted: float) -> Threshold:
    best = Threshold(None, None, 0)
    right = 0
    for number, (confidence, was_right) in enumerate(sure_first, start=1):
        right += was_right
        last_of_its_confidence = number == len(sure_first) or sure_first[number][0] < confidence
        if last_of_its_confidence and right / number >= wanted:
            best = Threshold(confidence, right / number, number)
    return best


def _partners(predictions: Sequence[Instance], annotations: Sequence[Instance]) -> dict[int, int | None]:
    """Each prediction's annotation: by id and question, else the same answer, else by geometry."""
    by_id = {(one.id, one.question, family(one.kind)): place for place, one in enumerate(annotations) if one.id}
    found: dict[int, int | None] = dict.fromkeys(range(len(predictions)))
    free = set(range(len(annotations)))

    def take(prediction: int, annotation: int | None) -> None:
        if annotation in free and found[prediction] is None:
            found[prediction] = annotation
            free.discard(annotation)

    for place, one in enumerate(predictions):
        if one.id:
            take(place, by_id.get((one.id, one.question, family(one.kind))))
    for place, one in enumerate(predictions):
        if found[place] is None and one.kind == "choice":
            take(place, next((j for j in sorted(free) if _same_answer(one, annotations[j])), None))
    for place, one in enumerate(predictions):
        if found[place] is None and one.kind == "choice" and one.exclusive:
            take(place, next((j for j in sorted(free) if _same_question(one, annotations[j])), None))
    ours = [(place, one) for place, one in enumerate(predictions) if found[place] is None and one.kind != "choice"]
    theirs = [(place, annotations[place]) for place in sorted(free) if annotations[place].kind != "choice"]
    aligned = align([_named(one, place) for place, one in ours], [_named(one, place) for place, one in theirs])
    for place, _ in ours:
        if str(place) in aligned:
            take(place, int(aligned[str(place)]))
    return found


def _named(one: Instance, place: int) -> Instance:
    """The instance under its number, so that what has no id can be aligned, too."""
    return Instance(
        one.kind, one.feature, one.value, one.question, one.scope, one.confidence, one.exclusive, str(place)
    )


def _same_question(one: Instance, other: Instance) -> bool:
    return other.kind == "choice" and (one.question, one.scope) == (other.question, other.scope)


def _same_answer(one: Instance, other: Instance) -> bool:
    return _same_question(one, other) and one.feature == other.feature


def _kept(one: Instance, other: Instance, row_id: str) -> Correction:
    if one.kind == "choice":
        overlap = 1.0 if one.feature == other.feature else 0.0
    else:
        i, _, iou = iou_pairs([one], [other])
        overlap = float(iou[0]) if len(i) else 0.0
    if one.feature != other.feature:
        fate: Fate = "relabeled"
    else:
        fate = "accepted" if overlap >= SAME else "edited"
    return Correction(fate, one.feature, other.feature, one.confidence, overlap, row_id)
