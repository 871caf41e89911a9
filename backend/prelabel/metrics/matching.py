"""Predictions and annotations of data rows to matches: which of them overlap, and how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from prelabel.metrics.instances import Instance
from prelabel.metrics.matches import ClassKey, Matches, RowMatches, one_to_one
from prelabel.metrics.overlap import BUFFER, aligned_box_iou, family, iou_pairs

__all__ = ["Both", "Matches", "RowMatches", "align", "match_row", "match_rows"]

Both = tuple[Sequence[Instance], Sequence[Instance]]
"""Predictions and annotations of one data row."""
VALUES = frozenset(("text", "number", "rating", "ranking", "datetime"))


def match_row(
    predictions: Sequence[Instance], annotations: Sequence[Instance], *, buffer: float = BUFFER
) -> RowMatches:
    """All pairs of one data row that overlap.

    Two instances are compared within one family of kinds (boxes, polygons, ellipses and masks are one) and one scope;
    answers within one question. An answer about an object (its scope is the object's id) is compared with the answers
    about the annotated object that its object matches best, and the pair's IoU is at most that of the two objects. Two
    exclusive choices that differ are a pair too, of two classes: that is how a radio is confused. An answer about an
    object has at most the object's confidence.

    Args:
        buffer: how far points and lines grow before they are compared, in their own unit.

    Raises:
        SettingsError: shapes other than boxes and masks, and Shapely is not installed.
    """
    draft = _Draft(predictions, annotations, buffer)
    draft.compare()
    return draft.matches()


def match_rows(batch: Mapping[str, Both], *, buffer: float = BUFFER) -> Matches:
    """As `match_row`, for many data rows. Rows that hold nothing but boxes are compared all at once."""
    plain = {row_id: both for row_id, both in batch.items() if _is_plain(both[0]) and _is_plain(both[1])}
    if len(plain) == len(batch):
        return _match_boxes(plain)
    single = {row_id: match_row(*both, buffer=buffer) for row_id, both in batch.items() if row_id not in plain}
    single.update(_match_boxes(plain).rows())
    return Matches.of({row_id: single[row_id] for row_id in batch})


def align(
    predictions: Sequence[Instance], annotations: Sequence[Instance], *, buffer: float = BUFFER
) -> dict[str, str]:
    """Ids of predicted objects to ids of the annotated ones of their class that they overlap most, one to one."""
    draft = _Draft(predictions, annotations, buffer)
    draft.compare()
    return {prediction: annotation for prediction, (annotation, _) in draft.aligned.items()}


# --- many rows of boxes
def _is_plain(instances: Sequence[Instance]) -> bool:
    return all(one.kind == "box" and not one.scope for one in instances)


def _match_boxes(batch: Mapping[str, Both]) -> Matches:
    predictions = [one for both in batch.values() for one in both[0]]
    annotations = [one for both in batch.values() for one in both[1]]
    places = np.arange(len(batch), dtype=np.int32)
    in_p = np.array([len(both[0]) for both in batch.values()], dtype=np.int64)
    in_a = np.array([len(both[1]) for both in batch.values()], dtype=np.int64)
    features = sorted({one.feature for one in predictions} | {one.feature for one in annotations})
    number = {feature: place for place, feature in enumerate(features)}

    prediction_row = np.repeat(places, in_p)
    partners = in_a[prediction_row]
    p = np.repeat(np.arange(len(predictions)), partners)
    within = np.arange(len(p)) - np.repeat(np.cumsum(partners) - partners, partners)
    a = np.repeat((np.cumsum(in_a) - in_a)[prediction_row], partners) + within
    iou = aligned_box_iou(_boxes(predictions)[p], _boxes(annotations)[a])
    keep = iou > 0
    columns = RowMatches(
        tuple(ClassKey("object", "", feature) for feature in features),
        np.array([number[one.feature] for one in predictions], dtype=np.int32),
        np.array([one.confidence for one in predictions], dtype=np.float64),
        np.full(len(predictions), -1, dtype=np.int32),
        np.array([number[one.feature] for one in annotations], dtype=np.int32),
        np.full(len(annotations), -1, dtype=np.int32),
        p[keep].astype(np.int32),
        a[keep].astype(np.int32),
        iou[keep],
    )
    return Matches(tuple(batch), columns, prediction_row, np.repeat(places, in_a))


def _boxes(instances: Sequence[Instance]) -> NDArray[np.float64]:
    return np.array([one.value for one in instances], dtype=np.float64).reshape(-1, 4)


# --- one row of anything
def class_key(instance: Instance) -> ClassKey:
    """The class that an instance counts for."""
    if instance.kind == "choice":
        return ClassKey("choice", instance.question, instance.feature)
    if instance.kind in VALUES:
        return ClassKey("value", instance.question, instance.feature)
    return ClassKey("object", "", instance.feature)


def _is_object(instance: Instance) -> bool:
    return instance.kind not in VALUES and instance.kind not in {"choice", "relation"}


_Key = tuple[str, str, str]
"""Family, question (of answers), scope: what is compared with each other."""


@dataclass
class _Draft:
    """The pairs while they are being found. ``aligned``: predicted object's id to annotated object's id and IoU."""

    predictions: Sequence[Instance]
    annotations: Sequence[Instance]
    buffer: float
    aligned: dict[str, tuple[str, float]] = field(default_factory=dict)
    pairs: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = field(default_factory=list)
    units: dict[tuple[str, str], int] = field(default_factory=dict)

    def compare(self) -> None:
        """Level by level: objects, what was said about them, what was said about that; then the relations."""
        mine, theirs = _Scopes.of(self.predictions), _Scopes.of(self.annotations)
        for depth in range(max([*mine.depths, *theirs.depths], default=-1) + 1):
            groups: dict[_Key, tuple[list[int], list[int]]] = {}
            caps: dict[_Key, float] = {}
            for i, one in enumerate(self.predictions):
                if mine.depths[i] == depth and one.kind != "relation":
                    scope, cap = self._scope(one, mine)
                    if scope is not None:
                        groups.setdefault(_key(one, scope), ([], []))[0].append(i)
                        caps[_key(one, scope)] = cap
            for j, one in enumerate(self.annotations):
                if theirs.depths[j] == depth and one.kind != "relation":
                    groups.setdefault(_key(one, one.scope), ([], []))[1].append(j)
            for key, (first, second) in groups.items():
                self._compare_group(first, second, caps.get(key, 1.0))
            self._align(mine.ids, theirs.ids)
        self._compare_relations(mine.ids)

    def _scope(self, one: Instance, mine: _Scopes) -> tuple[str | None, float]:
        """A prediction's scope in the annotations' ids, and the IoU of the two objects; None: matched with none."""
        head, mark, rest = one.scope.partition("/")
        if head not in mine.ids:
            return one.scope, 1.0
        if head not in self.aligned:
            return None, 0.0
        there, iou = self.aligned[head]
        return there + mark + rest, iou

    def _compare_group(self, first: list[int], second: list[int], cap: float) -> None:
        if not first or not second:
            return
        ours, theirs = [self.predictions[i] for i in first], [self.annotations[j] for j in second]
        if ours[0].kind == "choice":
            same = np.array(
                [
                    one.feature == other.feature or (one.exclusive and other.exclusive)
                    for one in ours
                    for other in theirs
                ]
            ).reshape(len(ours), len(theirs))
            i, j = np.nonzero(same)
            iou: NDArray[np.float64] = np.ones(len(i))
        else:
            i, j, iou = iou_pairs(ours, theirs, self.buffer)
        self.pairs.append((np.asarray(first)[i], np.asarray(second)[j], np.minimum(iou, cap)))

    def _align(self, mine: frozenset[str], theirs: frozenset[str]) -> None:
        """The objects of the pairs so far, same class, best first."""
        if not self.pairs or not mine or not theirs:
            return
        p, a, iou = (np.concatenate(column) for column in zip(*self.pairs, strict=True))
        fitting = np.array(
            [
                _is_object(one) and _is_object(other) and one.feature == other.feature
                for one, other in ((self.predictions[i], self.annotations[j]) for i, j in zip(p, a, strict=True))
            ],
            dtype=np.bool_,
        )
        p, a, iou = p[fitting], a[fitting], iou[fitting]
        order = np.lexsort((p, a, -iou))
        p, a, iou = p[order], a[order], iou[order]
        for place in np.flatnonzero(one_to_one(p, a)).tolist():
            ours, other = self.predictions[p[place]].id, self.annotations[a[place]].id
            if ours and other and ours not in self.aligned:
                self.aligned[ours] = (other, float(iou[place]))

    def _compare_relations(self, mine: frozenset[str]) -> None:
        theirs = [j for j, one in enumerate(self.annotations) if one.kind == "relation"]
        found: list[tuple[int, int, float]] = []
        for i, one in enumerate(self.predictions):
            if one.kind != "relation" or not theirs:
                continue
            # What is no object (a feature that stands in for one) stands for itself.
            ends = [self.aligned.get(end, ("", 0.0) if end in mine else (end, 1.0)) for end in one.value]
            there, iou = tuple(end for end, _ in ends), min(part for _, part in ends)
            both_ways = one.question.endswith("both ways")
            for j in theirs:
                value = tuple(self.annotations[j].value)
                if iou > 0 and (value == there or (both_ways and value == there[::-1])):
                    found.append((i, j, iou))
        if found:
            p, a, overlaps = zip(*found, strict=True)
            self.pairs.append((np.array(p), np.array(a), np.array(overlaps)))

    def matches(self) -> RowMatches:
        """The columns; classes in the order of their names, pairs by prediction."""
        mine = _Scopes.of(self.predictions)
        ours, others = [class_key(one) for one in self.predictions], [class_key(one) for one in self.annotations]
        classes = tuple(sorted({*ours, *others}))
        number = {key: place for place, key in enumerate(classes)}
        p, a, iou = (
            (np.concatenate(column) for column in zip(*self.pairs, strict=True))
            if self.pairs
            else (np.zeros(0), np.zeros(0), np.zeros(0))
        )
        order = np.lexsort((a, p))
        return RowMatches(
            classes,
            np.array([number[key] for key in ours], dtype=np.int32),
            np.array([mine.confidence(one) for one in self.predictions], dtype=np.float64),
            np.array([self._unit(one, self._scope(one, mine)[0]) for one in self.predictions], dtype=np.int32),
            np.array([number[key] for key in others], dtype=np.int32),
            np.array([self._unit(one, one.scope) for one in self.annotations], dtype=np.int32),
            p[order].astype(np.int32),
            a[order].astype(np.int32),
            iou[order].astype(np.float64),
        )

    def _unit(self, one: Instance, scope: str | None) -> int:
        if one.kind != "choice":
            return -1
        return self.units.setdefault(
            (one.question, f"unmatched {one.scope}" if scope is None else scope), len(self.units)
        )


def _key(one: Instance, scope: str) -> _Key:
    return (family(one.kind), "" if _is_object(one) else one.question, scope)


@dataclass(frozen=True, slots=True)
class _Scopes:
    """Which objects answers belong to, on one side. ``depths``: 0 for what belongs to none, 1 for what belongs to an
    object of depth 0 ..."""

    ids: frozenset[str]
    depths: tuple[int, ...]
    confidences: Mapping[str, float]

    @classmethod
    def of(cls, instances: Sequence[Instance]) -> _Scopes:
        objects = {one.id: one for one in instances if one.id and _is_object(one)}
        depths = tuple(_depth(one, objects) for one in instances)
        return cls(frozenset(objects), depths, {name: _lowest(one, objects) for name, one in objects.items()})

    def confidence(self, one: Instance) -> float:
        return min(one.confidence, self.confidences.get(one.scope.partition("/")[0], 1.0))


def _owners(one: Instance, objects: Mapping[str, Instance]) -> Iterable[Instance]:
    seen = {one.id} if _is_object(one) else set()
    head = one.scope.partition("/")[0]
    while head in objects and head not in seen:
        seen.add(head)
        yield objects[head]
        head = objects[head].scope.partition("/")[0]


def _depth(one: Instance, objects: Mapping[str, Instance]) -> int:
    return sum(1 for _ in _owners(one, objects))


def _lowest(one: Instance, objects: Mapping[str, Instance]) -> float:
    return min([one.confidence, *(owner.confidence for owner in _owners(one, objects))])
