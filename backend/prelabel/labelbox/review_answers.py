"""Answers of NDJSON rows to outputs for the controls that ask them, and Label Studio's answers to NDJSON again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prelabel.labelbox.config_reading import Asked
from prelabel.labelbox.review_notes import derived, meta, metrics_of, notes_of
from prelabel.labelbox.review_said import Said, SaidOption
from prelabel.labeling import fold
from prelabel.outputs import Choices, DateTime, Number, Output, Rating, Taxonomy, Text

Region = Mapping[str, Any]


def find_asked(questions: Iterable[Asked], name: str) -> Asked | None:
    """The question of that name, also when case or separators differ."""
    questions = tuple(questions)
    exact = next((asked for asked in questions if asked.node.name == name), None)
    return exact or next((asked for asked in questions if fold(asked.node.name) == fold(name)), None)


# --- to Label Studio
def outputs_of(said: Said, asked: Asked, region_id: str, of: str | None, lost: list[str]) -> Iterator[Output]:
    """The answer and all that is nested in it.

    Args:
        said: the answer.
        asked: the question, with its control.
        region_id: id of the answer's region; those nested below get ids made of it.
        of: the region that it belongs to; None for the whole task.
        lost: gets a sentence for what has no control.
    """
    if len(said.texts) > 1:
        lost.append(f"{said.name!r} has several texts, {len(said.texts) - 1} of them were left out")
    output = _output(said, asked, region_id, of, lost)
    if output is None:
        lost.append(f"the answer to {said.name!r} does not fit control {asked.control.name!r} ({asked.control.tag})")
        return
    yield output
    nested = [(asked.below.get(option.value, ()), one) for option in said.options for one in option.below]
    all_below = tuple(one for questions in asked.below.values() for one in questions)
    nested += [(all_below, one) for one in (*said.below, *(below for text in said.texts for below in text.below))]
    for questions, one in nested:
        if isinstance(output, Taxonomy):
            continue
        inner = find_asked(questions, one.name)
        if inner is None:
            lost.append(f"the labeling config has no control for {one.name!r} below {said.name!r}")
            continue
        yield from outputs_of(one, inner, of or derived(region_id, inner.control.name), of, lost)


def _output(said: Said, asked: Asked, region_id: str, of: str | None, lost: list[str]) -> Output | None:
    """The answer itself; None where the control cannot hold it."""
    rest: dict[str, Any] = {"control": asked.control.name, "id": region_id, "of": of}
    if said.texts:
        text = said.texts[0]
        rest["score"] = said.confidence if text.confidence is None else text.confidence
        return _written(text.value, asked.control.tag, {**rest, "meta": meta(text.metrics or said.metrics)})
    if not said.options:
        return None
    scores = [option.confidence for option in said.options if option.confidence is not None]
    score = rest["score"] = min(scores, default=said.confidence)
    rest["meta"] = meta(
        said.metrics if said.many else said.options[0].metrics,
        options=_told_apart(said.options, score) if said.many else None,
        confidence=said.confidence if scores else None,
    )
    if asked.control.tag == "Rating" and said.options[0].value.isdecimal():
        return Rating(int(said.options[0].value), **rest)
    if asked.control.tag == "Taxonomy" or any(len(entry.path) > 1 for entry in asked.control.entries):
        return Taxonomy(tuple(_paths(said, asked, lost)), **rest)
    if asked.control.tag == "Choices":
        return Choices(tuple(option.value for option in said.options), **rest)
    return None


def _written(text: str, tag: str, rest: Mapping[str, Any]) -> Output | None:
    if tag == "TextArea":
        return Text(text, **rest)
    if tag == "DateTime":
        return DateTime(text, **rest)
    try:
        return Number(float(text), **rest) if tag == "Number" else None
    except ValueError:
        return None


def _told_apart(options: Sequence[SaidOption], score: float | None) -> dict[str, dict[str, Any]]:
    """What each option says for itself, where the region's one score does not say it."""
    found: dict[str, dict[str, Any]] = {}
    for option in options:
        told: dict[str, Any] = {}
        if option.confidence != score:
            told["confidence"] = option.confidence
        if option.metrics:
            told["customMetrics"] = [dict(metric) for metric in option.metrics]
        if told:
            found[option.value] = told
    return found


def _paths(said: Said, asked: Asked, lost: list[str]) -> Iterator[tuple[str, ...]]:
    for option in said.options:
        inner = asked.below.get(option.value, ())
        deeper = [
            (option.value, *path)
            for below in option.below
            for one in inner
            if one.node.name == below.name
            for path in _paths(below, one, lost)
        ]
        known = {one.node.name for one in inner}
        lost += [f"there is no question {one.name!r} in the tree" for one in option.below if one.name not in known]
        yield from deeper or [(option.value,)]


# --- to NDJSON
def entry_of(asked: Asked, answers: Mapping[str, Region], used: set[str]) -> dict[str, Any] | None:
    """``{"name", "answer", ...}`` of a question and all that is nested in it; None where it was not answered.

    Args:
        asked: the question, with its control.
        answers: the regions with answers by control name: those of one region, or of the whole task.
        used: gets the names of controls whose answers were taken.
    """
    region = answers.get(asked.control.name)
    if region is None:
        return None
    used.add(asked.control.name)
    value = region.get("value") or {}
    score, notes, metrics = region.get("score"), notes_of(region), metrics_of(region)
    entry: dict[str, Any] = {"name": asked.node.name}
    if asked.node.text_like():
        text = written(value, asked.control.tag)
        if text is None:
            return None
        entry["answer"] = text
        _add(entry, score, metrics)
        return entry
    if asked.control.tag == "Rating":
        chosen: list[tuple[str, ...]] = [(str(value["rating"]),)] if value.get("rating") else []
    else:
        chosen = [path_of(one) for one in value.get("choices") or value.get("taxonomy") or ()]
    if not chosen:
        return None
    entry["answer"] = _chosen(asked, chosen, region, answers, used)
    if "radio" in asked.node.type and entry["answer"]:
        entry["answer"] = entry["answer"][0]
        if metrics:
            entry["answer"]["customMetrics"] = metrics
    elif metrics:
        entry["customMetrics"] = metrics
    if notes.get("confidence") is not None:
        entry["confidence"] = notes["confidence"]
    return entry


def _chosen(
    asked: Asked, chosen: Sequence[tuple[str, ...]], region: Region, answers: Mapping[str, Region], used: set[str]
) -> list[dict[str, Any]]:
    """Options of one level, each with what is nested below it: other controls' answers, or the rest of its path."""
    found: list[dict[str, Any]] = []
    told = notes_of(region).get("options") or {}
    for value in dict.fromkeys(path[0] for path in chosen if path):
        option: dict[str, Any] = {"name": value}
        own = told.get(value, {})
        _add(option, own.get("confidence", region.get("score")), own.get("customMetrics") or [])
        nested: list[dict[str, Any]] = []
        deeper = [path[1:] for path in chosen if path[0] == value and len(path) > 1]
        for below in asked.below.get(value, ()):
            if below.control.name == asked.control.name:
                inner = _chosen(below, deeper, region, answers, used)
                if inner:
                    nested.append({"name": below.node.name, "answer": inner if asked.control.multiple else inner[0]})
                continue
            entry = entry_of(below, answers, used)
            if entry is not None:
                nested.append(entry)
        if nested:
            option["classifications"] = nested
        found.append(option)
    return found


def _add(entry: dict[str, Any], score: Any, metrics: list[Any]) -> None:
    if score is not None:
        entry["confidence"] = score
    if metrics:
        entry["customMetrics"] = metrics


def written(value: Mapping[str, Any], tag: str = "TextArea") -> str | None:
    """What was written into a ``TextArea``, ``Number`` or ``DateTime``; several texts are joined by line breaks."""
    if tag in {"Number", "DateTime"}:
        held = value.get(tag.lower())
        return None if held is None else str(held)
    text = value.get("text")
    parts = [text] if isinstance(text, str) else list(text or ())
    return "\n".join(str(part) for part in parts) if parts else None


def path_of(one: Any) -> tuple[str, ...]:
    """A choice as its path: Label Studio stores a name, or the list of names that leads to it."""
    return tuple(str(step) for step in one) if isinstance(one, list | tuple) else (str(one),)
