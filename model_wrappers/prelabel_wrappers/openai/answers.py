"""A language model's answer to outputs: JSON found in the text, each value checked, problems in words it can mend."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prelabel import outputs as o
from prelabel.labeling import fold
from prelabel_wrappers.openai.questions import Asked, Question, highest_rating
from prelabel_wrappers.openai.quotes import located

_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_NEITHER = "must be {wanted}, not {value}"


@dataclass
class Reading:
    """What was understood of an answer: outputs, and what is wrong with the rest, one sentence each."""

    outputs: list[o.Output] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read(text: str, asked: Asked, values: Mapping[str, Any]) -> Reading:
    """The outputs in an answer.

    Args:
        text: what the model wrote.
        asked: what it was asked.
        values: what each object tag shows, by name: spans are looked for in it.
    """
    said = json_in(text)
    if said is None and len(asked.questions) == 1:
        said = _bare(text, asked.questions[0])
    if said is None:
        return Reading(problems=["The answer is not a JSON object."])
    by_name = {question.control.name: question for question in asked.questions}
    if len(by_name) == 1 and not set(said) & set(by_name) and len(said) == 1:
        said = dict(zip(by_name, said.values(), strict=True))  # the only key there is, under another name
    reading = Reading()
    for name, question in by_name.items():
        if name not in said:
            reading.problems.append(f'The key "{name}" is missing.')
            continue
        try:
            outputs, problems = _READERS[question.kind](said[name], question, values)
        except _WrongError as wrong:
            outputs, problems = [], [str(wrong)]
        reading.outputs += outputs
        reading.problems += [f'"{name}" {problem}.' for problem in problems]
    return reading


def json_in(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text: after thoughts, inside a fence, between sentences."""
    text = _THOUGHT.sub("", text)
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            found, _ = decoder.raw_decode(text, at)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        at = text.find("{", at + 1)
    return None


def _bare(text: str, question: Question) -> dict[str, Any] | None:
    """An answer in plain words to a single question: a list in JSON, or a text that names just one of the labels."""
    text = _THOUGHT.sub("", text).strip()
    if text.startswith("["):
        try:
            return {question.control.name: json.loads(text)}
        except ValueError:
            return None
    if question.kind is o.Text:
        return None if text.startswith(("{", "```")) else {question.control.name: text}
    if question.kind is not o.Choice or "{" in text:
        return None
    said = [name for name in question.names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)]
    said = [name for name in said if not any(name != other and name in other for other in said)]
    return {question.control.name: said[0]} if len(said) == 1 else None


# --- one value
class _WrongError(Exception):
    """A value that is none; its text is the problem, without its subject."""


_Read = tuple[list[o.Output], list[str]]


def _wrong(wanted: str, value: Any) -> _WrongError:
    return _WrongError(_NEITHER.format(wanted=wanted, value=json.dumps(value, ensure_ascii=False)[:80]))


def _label(value: Any, question: Question) -> tuple[str, ...]:
    """The path of the label that a string means; without regard to case and separators, as everywhere."""
    if isinstance(value, str):
        if value in question.names:
            return question.names[value]
        alike = {path for name, path in question.names.items() if fold(name) == fold(value)}
        alike = alike or {path for name, path in question.names.items() if fold(name.rpartition("/")[2]) == fold(value)}
        if len(alike) == 1:
            return alike.pop()
    names = list(question.names)
    listed = ", ".join(f'"{name}"' for name in names[:40]) + (" ..." if len(names) > 40 else "")
    raise _wrong(f"one of {listed}", value)


def _labels(value: Any, question: Question) -> tuple[list[tuple[str, ...]], list[str]]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list):
        raise _wrong("a list", value)
    paths: list[tuple[str, ...]] = []
    problems: list[str] = []
    for each in given:
        try:
            paths.append(_label(each, question))
        except _WrongError as wrong:  # noqa: PERF203 (the others stand)
            problems.append(str(wrong))
    return list(dict.fromkeys(paths)), problems


def _choice(value: Any, question: Question, values: Mapping[str, Any]) -> _Read:
    one = value[0] if isinstance(value, list) and len(value) == 1 else value
    return [o.Choice("/".join(_label(one, question)), control=question.control.name)], []


def _choices(value: Any, question: Question, values: Mapping[str, Any]) -> _Read:
    paths, problems = _labels(value, question)
    said = tuple("/".join(path) for path in paths)
    return ([o.Choices(said, control=question.control.name)] if said else []), problems


def _taxonomy(value: Any, question: Question, values: Mapping[str, Any]) -> _Read:
    paths, problems = _labels(value, question)
    if len(paths) > 1 and not question.control.multiple:
        raise _wrong("one path", value)
    return ([o.Taxonomy(tuple(paths), control=question.control.name)] if paths else []), problems


def _rating(value: Any, question: Question, values: Mapping[str, Any]) -> _Read:
    number, most = _as_number(value), highest_rating(question.control)
    if number is None or number != int(number) or not 1 <= number <= most:
        raise _wrong(f"an integer from 1 to {most}", value)
    return [o.Rating(int(number), control=question.control.name)], []


def _number(value: Any, question: Question, values: Mapping[str, Any]) -> _Read:
    number = _as_number(value)
    least, most = (_as_number(question.control.attributes.get(key, "")) for key in ("min", "max"))
    if (
        number is None
        or number < (-math.inf if least is None else least)
        or number > (math.inf if most is None else most)
    ):
        told = [f"{word} {limit:g}" for word, limit in (("at least", least), ("at most", most)) if limit is not None]
        raise _wrong(" ".join(["a number", *told]), value)
    return [o.Number(number, control=question.control.name)], []


def _as_number(value: Any) -> float | None:
    try:
        number = None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return number if number is not None and math.isfinite(number) else None


def _date(value: Any, question: Question, values: Mapping[str, Any]) -> _Read:
    if not isinstance(value, str) or not value.strip():
        raise _wrong("a date", value)
    return [o.DateTime(value.strip(), control=question.control.name)], []


def _text(value: Any, question: Question, values: Mapping[str, Any]) -> _Read:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise _wrong("a text", value)
    said = tuple(each.strip() for each in texts if each.strip())
    return ([o.Text(said[0] if len(said) == 1 else said, control=question.control.name)] if said else []), []


def _preference(value: Any, question: Question, values: Mapping[str, Any]) -> _Read:
    side = value.strip().lower() if isinstance(value, str) else value
    sides = dict(zip((name.lower() for name in question.control.to_name), ("left", "right"), strict=False))
    side = sides.get(side, side)
    if side not in ("left", "right"):
        raise _wrong('"left" or "right"', value)
    return [o.Preference("left" if side == "left" else "right", control=question.control.name)], []


def _quotes(value: Any, question: Question) -> tuple[list[tuple[str, str]], list[str]]:
    """Quote and label of each entry."""
    if not isinstance(value, list):
        raise _wrong('a list of {"quote": ..., "label": ...}', value)
    pairs: list[tuple[str, str]] = []
    problems: list[str] = []
    for each in value:
        quote = each.get("quote", each.get("text")) if isinstance(each, Mapping) else None
        if not isinstance(quote, str):
            problems.append(str(_wrong('a list of {"quote": ..., "label": ...}', each)))
            continue
        try:
            pairs.append((quote, "/".join(_label(each.get("label"), question))))
        except _WrongError as wrong:
            problems.append(str(wrong))
    return pairs, problems


def _spans(value: Any, question: Question, values: Mapping[str, Any]) -> _Read:
    pairs, problems = _quotes(value, question)
    text = str(values.get(question.control.to_name[0]) or "")
    spans: list[o.Output] = []
    for (quote, label), place in zip(pairs, located([quote for quote, _ in pairs], text), strict=True):
        if place is None:
            problems.append(_not_there(quote))
        else:
            spans.append(o.Span(*place, label, control=question.control.name))
    return spans, problems


def _paragraph_spans(value: Any, question: Question, values: Mapping[str, Any]) -> _Read:
    """Each quote within one paragraph: offsets count there."""
    pairs, problems = _quotes(value, question)
    paragraphs = paragraph_texts(values.get(question.control.to_name[0]))
    starts = [0]
    for paragraph in paragraphs:
        starts.append(starts[-1] + len(paragraph) + 1)
    spans: list[o.Output] = []
    places = located([quote for quote, _ in pairs], "\n".join(paragraphs))
    for (quote, label), place in zip(pairs, places, strict=True):
        if place is None:
            problems.append(_not_there(quote))
            continue
        first = max(index for index, start in enumerate(starts[:-1]) if start <= place[0])
        last = max(index for index, start in enumerate(starts[:-1]) if start < place[1])
        spans.append(
            o.ParagraphSpan(
                first,
                place[0] - starts[first],
                place[1] - starts[last],
                label,
                end_paragraph=last if last != first else None,
                control=question.control.name,
            )
        )
    return spans, problems


def _not_there(quote: str) -> str:
    return f"quotes {json.dumps(quote, ensure_ascii=False)[:80]}, which is not in the text letter for letter"


def paragraph_texts(value: Any) -> list[str]:
    """The texts of paragraphs as they stand in a task: strings, or objects with ``text``."""
    if isinstance(value, str):
        return value.split("\n")
    rows = value if isinstance(value, Sequence) else []
    return [str(row.get("text", "")) if isinstance(row, Mapping) else str(row) for row in rows]


_READERS = {
    o.Choice: _choice,
    o.Choices: _choices,
    o.Taxonomy: _taxonomy,
    o.Rating: _rating,
    o.Number: _number,
    o.DateTime: _date,
    o.Text: _text,
    o.Preference: _preference,
    o.Span: _spans,
    o.ParagraphSpan: _paragraph_spans,
}
