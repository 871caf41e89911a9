"""What an answer of an NDJSON row says, read once: options by name, confidences, ranges, what is nested below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prelabel.labelbox.ontology import ClassificationNode, Option

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SaidOption:
    """One chosen option. ``ranges``: frames or milliseconds given with this option alone, both ends inclusive."""

    value: str
    confidence: float | None = None
    metrics: tuple[Mapping[str, Any], ...] = ()
    ranges: tuple[Range, ...] = ()
    below: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """One answered question. ``texts`` holds free text (several: each with ranges of its own), else ``options``.

    ``confidence`` and ``metrics`` are those beside the answer, as free text has them. ``below`` are classifications
    beside the answer instead of inside an option.
    """

    name: str
    many: bool = False
    options: tuple[SaidOption, ...] = ()
    texts: tuple[SaidOption, ...] = ()
    confidence: float | None = None
    metrics: tuple[Mapping[str, Any], ...] = ()
    ranges: tuple[Range, ...] = ()
    below: tuple[Said, ...] = ()


def read_said(entry: Mapping[str, Any], node: ClassificationNode | None, name: str = "") -> Said:
    """A classification row, or an entry of ``classifications``; names that are given as schema ids come from ``node``.

    Args:
        entry: ``{"name" or "schemaId", "answer", ...}`` in normal form.
        node: the question as the ontology has it; None where it does not.
        name: the question's name where the entry has only its schema id.
    """
    answer = entry.get("answer")
    items = answer if isinstance(answer, list) else [answer]
    plain_text = isinstance(answer, str)
    is_text = plain_text or any(isinstance(item, Mapping) and "value" in item for item in items)
    options: list[SaidOption] = []
    for item in items:
        if isinstance(item, Mapping):
            options.append(_option(item, node, is_text=is_text))
        elif isinstance(item, str):
            options.append(SaidOption(item))
    return Said(
        name=name or str(entry.get("name") or (node.name if node else "") or entry.get("schemaId") or ""),
        many=isinstance(answer, list) and not is_text,
        options=() if is_text else tuple(options),
        texts=tuple(options) if is_text else (),
        confidence=entry.get("confidence"),
        metrics=tuple(entry.get("customMetrics") or ()),
        ranges=_ranges(entry),
        below=_below(entry, _all_questions(node)),
    )


def _option(item: Mapping[str, Any], node: ClassificationNode | None, *, is_text: bool) -> SaidOption:
    option: Option | None = None
    if node is not None and not is_text:
        option = node.option(item["name"]) if item.get("name") else node.option(schema_id=str(item.get("schemaId")))
    value = str(item.get("value", "")) if is_text else str(item.get("name") or (option.value if option else ""))
    questions = option.questions if option else _all_questions(node)
    return SaidOption(
        value=value or str(item.get("schemaId") or ""),
        confidence=item.get("confidence"),
        metrics=tuple(item.get("customMetrics") or ()),
        ranges=_ranges(item),
        below=_below(item, questions),
    )


def _all_questions(node: ClassificationNode | None) -> tuple[ClassificationNode, ...]:
    return tuple(q for option in node.options for q in option.questions) if node else ()


def _below(holder: Mapping[str, Any], questions: Iterable[ClassificationNode]) -> tuple[Said, ...]:
    questions = tuple(questions)
    return tuple(read_said(entry, find_node(questions, entry)) for entry in holder.get("classifications") or ())


def find_node(nodes: Iterable[ClassificationNode], entry: Mapping[str, Any]) -> ClassificationNode | None:
    """The question that an entry names, by name or schema id."""
    name, schema_id = entry.get("name"), entry.get("schemaId")
    return next((n for n in nodes if (n.name == name if name else schema_id and n.schema_id == schema_id)), None)


def _ranges(holder: Mapping[str, Any]) -> tuple[Range, ...]:
    return tuple((int(one["start"]), int(one["end"])) for one in holder.get("frames") or ())
