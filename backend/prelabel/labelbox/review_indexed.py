"""Answers per frame or time range to regions on a video's timeline or an audio's wave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prelabel.labelbox.assets import AssetFacts
from prelabel.labelbox.config_reading import Asked
from prelabel.labelbox.review_answers import find_asked, outputs_of
from prelabel.labelbox.review_notes import derived, meta
from prelabel.labelbox.review_said import Range, Said, SaidOption
from prelabel.labelbox.review_shapes import Lost
from prelabel.labelbox.rows import DataRowRef
from prelabel.outputs import FrameSpan, Output, Raw, Segment, Text
from prelabel.regions.target import tidy

MILLISECONDS = 1000.0


@dataclass(frozen=True, slots=True)
class Indexed:
    """The row whose answers they are."""

    facts: AssetFacts
    row: str
    data_row: DataRowRef


def indexed_outputs(said: Said, asked: Asked, row: Indexed, lost: list[str]) -> list[Output]:
    """A region for each answer and each of its ranges.

    Raises:
        Lost: no answer has a range.
    """
    if row.facts.asset == "audio":
        found = list(_heard(said, asked, row, None, lost))
    else:
        found = list(_seen(said, asked, row, lost))
    if not found:
        raise Lost("it has no frames" if row.facts.asset != "audio" else "it has no time ranges")
    return found


def _seen(said: Said, asked: Asked, row: Indexed, lost: list[str]) -> Iterator[Output]:
    """Ranges of frames; both ends are included on either side."""
    answers = said.texts or said.options
    own = any(option.ranges for option in answers)
    ranges = asked.range_control if said.texts else asked.control
    if ranges is None:
        raise Lost(f"control {asked.control.name!r} takes no ranges of frames")
    number = 0
    for option in answers:
        for start, end in option.ranges or said.ranges:
            if start < 1:
                lost.append(f"its frames {start} to {end} were cut: Label Studio counts frames from 1")
            part = row.row if not number else derived(row.row, number)
            number += 1
            label = asked.range_label if said.texts else option.value
            score = said.confidence if option.confidence is None else option.confidence
            note = meta(option.metrics, row=row.row, form="answer" if own else "row", many=said.many or None)
            yield FrameSpan(start, end, label, control=ranges.name, id=part, score=score, meta=note)
            if said.texts:
                yield Text(option.value, control=asked.control.name, of=part, score=score)
            for below in option.below:
                inner = find_asked(asked.below.get(option.value, ()), below.name)
                if inner is None:
                    lost.append(f"the labeling config has no control for {below.name!r} below {said.name!r}")
                else:
                    yield from outputs_of(below, inner, part, part, lost)


def _heard(
    said: Said, asked: Asked, row: Indexed, parent: tuple[str, Range] | None, lost: list[str]
) -> Iterator[Output]:
    """Ranges of milliseconds as seconds; what is nested has regions of its own inside the parent's range."""
    for place, option in enumerate(said.texts or said.options):
        ranges = option.ranges or said.ranges or ((parent[1],) if parent else ())
        for number, (start, end) in enumerate(ranges):
            above = parent[0] if parent else row.row
            if parent and not (parent[1][0] <= start and end <= parent[1][1]):
                continue
            part = row.row if not (parent or place or number) else derived(above, asked.control.name, place, number)
            note = meta(option.metrics, row=row.row)
            score = said.confidence if option.confidence is None else option.confidence
            rest: dict[str, Any] = {"id": part, "of": parent and parent[0], "score": score, "meta": note}
            if said.texts and asked.range_control is not None:
                seconds = start / MILLISECONDS, end / MILLISECONDS
                yield Segment(*seconds, asked.range_label, control=asked.range_control.name, **rest)
                yield Text(option.value, control=asked.control.name, of=part, score=score)
            else:
                yield _region(asked, option.value, (start, end), rest)
            for below in option.below:
                questions = asked.below.get(option.value) or tuple(q for one in asked.below.values() for q in one)
                inner = find_asked(questions, below.name)
                if inner is None:
                    lost.append(f"the labeling config has no control for {below.name!r} below {said.name!r}")
                    continue
                yield from _heard(below, inner, row, (part, (start, end)), lost)
        _note_outside(option, said, lost)


def _note_outside(option: SaidOption, said: Said, lost: list[str]) -> None:
    """Say which nested ranges lie in no range of their parent: Labelbox drops them without a word."""
    outer = option.ranges or said.ranges
    for below in option.below:
        for inner in (*below.options, *below.texts):
            for start, end in inner.ranges or below.ranges:
                if not any(first <= start and end <= last for first, last in outer):
                    lost.append(f"{start} to {end} ms of {below.name!r} lies in no range of {said.name!r}")


def _region(asked: Asked, answer: str, span: Range, rest: Mapping[str, Any]) -> Output:
    """A stretch with a label; for what is written or chosen per region, a finished region without one."""
    start, end = span[0] / MILLISECONDS, span[1] / MILLISECONDS
    control = asked.control
    if control.tag == "Labels":
        return Segment(start, end, answer, control=control.name, **rest)
    key = "text" if control.tag == "TextArea" else "choices"
    region: dict[str, Any] = {
        "id": rest["id"],
        "from_name": control.name,
        "to_name": control.to_name[0],
        "type": control.tag.lower(),
        "value": {"start": tidy(start), "end": tidy(end), "channel": 0, key: [answer]},
        "parentID": rest["of"],
        "score": rest["score"],
        "meta": rest["meta"],
    }
    return Raw({name: value for name, value in region.items() if value is not None})
