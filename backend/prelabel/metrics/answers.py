"""Predictions and annotations to pairs of answers: what both sides said to one question about one thing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prelabel.metrics.instances import Instance
from prelabel.metrics.matching import Both, align


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """``question`` asked in data row ``row`` about ``scope``; empty where a side did not answer."""

    row: str
    question: str
    scope: str
    predicted: tuple[Instance, ...]
    annotated: tuple[Instance, ...]


def answer_pairs(rows: Mapping[str, Both], kinds: Collection[str]) -> Iterator[AnswerPair]:
    """The answers of these kinds, question by question.

    Answers about an object are paired by the objects' best match (see `align`); those about an object that matches
    none stand alone.
    """
    for row, (said, asked) in rows.items():
        ours = [one for one in said if one.kind in kinds]
        theirs = [one for one in asked if one.kind in kinds]
        if not ours and not theirs:
            continue
        scoped = any(one.scope for one in ours) and any(one.scope for one in theirs)
        there = align(said, asked) if scoped else {}
        objects = {one.id for one in said if one.id and one.kind not in kinds} if scoped else set()
        groups: dict[tuple[str, str], tuple[list[Instance], list[Instance]]] = {}
        for one in ours:
            groups.setdefault((one.question, scope_of(one, there, objects)), ([], []))[0].append(one)
        for one in theirs:
            groups.setdefault((one.question, one.scope), ([], []))[1].append(one)
        for (question, scope), (predicted, annotated) in groups.items():
            yield AnswerPair(row, question, scope, tuple(predicted), tuple(annotated))


def scope_of(one: Instance, there: Mapping[str, str], objects: Collection[str]) -> str:
    """A prediction's scope in the annotations' ids: ``there`` has those of the objects that match, of ``objects``."""
    head, mark, rest = one.scope.partition("/")
    if head in there:
        return there[head] + mark + rest
    return f"unmatched {one.scope}" if head in objects else one.scope


def single_pairs(rows: Mapping[str, Both], kinds: Collection[str]) -> Iterator[tuple[AnswerPair, Instance, Instance]]:
    """As `answer_pairs`, of the questions that both sides answered; the first answer of each side."""
    for pair in answer_pairs(rows, kinds):
        if pair.predicted and pair.annotated:
            yield pair, pair.predicted[0], pair.annotated[0]


def by_question(pairs: Sequence[tuple[AnswerPair, Instance, Instance]]) -> dict[str, list[tuple[Instance, Instance]]]:
    """Prediction and annotation of each pair, by question."""
    found: dict[str, list[tuple[Instance, Instance]]] = {}
    for pair, predicted, annotated in pairs:
        found.setdefault(pair.question, []).append((predicted, annotated))
    return found
