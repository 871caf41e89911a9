"""Labelbox's ontology JSON to `Ontology` and back, with ids made where there are none."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast, get_args

from prelabel.errors import RequestError
from prelabel.labelbox.ontology import ClassificationNode, Ontology, Option, Question, Scope, Tool, ToolNode

ID_LENGTH = 25
"""Characters of a feature schema id."""
DEPTH = 20
"""Questions below options below questions: deeper ones are taken for a mistake."""
TOOLS: tuple[str, ...] = get_args(Tool)
QUESTIONS: tuple[str, ...] = get_args(Question)
OF_PROMPTS = frozenset({"prompt", "response-radio", "response-checklist", "response-text"})

_TOOL_KEYS = frozenset(
    {"tool", "name", "classifications", "color", "required", "schemaNodeId", "featureSchemaId", "attributes"}
)
_QUESTION_KEYS = frozenset(
    {
        "type", "name", "instructions", "required", "options", "scope", "uiMode", "isLikertScale", "minCharacters",
        "maxCharacters", "schemaNodeId", "featureSchemaId", "attributes",
    }
)  # fmt: skip
_OPTION_KEYS = frozenset({"value", "label", "position", "options", "schemaNodeId", "featureSchemaId"})
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)")
Node = TypeVar("Node", ToolNode, ClassificationNode, Option)


# --- from JSON
def read_ontology(raw: Mapping[str, Any] | str | bytes) -> Ontology:
    """See `Ontology.from_json`."""
    if isinstance(raw, (str, bytes)):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise _wrong("it", f"is not JSON: {error}", "Give the JSON that Labelbox's ontology export has.") from error
    if not isinstance(raw, Mapping):
        raise _wrong("it", f"is a {type(raw).__name__}", 'Give an object: {"tools": [...], "classifications": [...]}.')
    if "tools" not in raw and "classifications" not in raw:
        raise _wrong(
            "it",
            f"has neither tools nor classifications, only {', '.join(map(repr, raw)) or 'nothing'}",
            'Give {"tools": [...], "classifications": [...]} (the SDK calls it `ontology.normalized`).',
        )
    tools = tuple(_tool(one, f"tools[{i}]") for i, one in enumerate(_list(raw, "tools", "it")))
    asked = tuple(
        _question(one, f"classifications[{i}]", 0) for i, one in enumerate(_list(raw, "classifications", "it"))
    )
    _no_twins(((node.tool, node.name) for node in tools), "tools")
    _no_twins((("question", node.name) for node in asked), "classifications")
    if sum(node.type == "prompt" for node in asked) > 1:
        raise _wrong("classifications", "has several prompts", "Keep one: an ontology has one prompt.")
    extra = {key: value for key, value in raw.items() if key not in {"tools", "classifications"}}
    return with_ids(Ontology(tools, asked, extra))


def _tool(raw: object, where: str) -> ToolNode:
    raw = _object(raw, where)
    tool = raw.get("tool")
    if tool not in TOOLS:
        raise _wrong(f"{where}.tool", f"is {tool!r}", f"Use one of {', '.join(TOOLS)}.")
    questions = tuple(
        _question(one, f"{where}.classifications[{i}]", 1) for i, one in enumerate(_list(raw, "classifications", where))
    )
    _no_twins((("question", node.name) for node in questions), f"{where}.classifications")
    definition = raw.get("definition") or {}
    extra = {key: value for key, value in raw.items() if key not in _TOOL_KEYS | {"definition"}}
    rest = {key: value for key, value in _object(definition, f"{where}.definition").items() if key != "constraints"}
    if rest:
        extra["definition"] = rest
    return ToolNode(
        name=_text(raw, "name", where),
        tool=cast("Tool", tool),
        questions=questions,
        color=_optional(raw, "color", where),
        required=bool(raw.get("required")),
        schema_id=_optional(raw, "featureSchemaId", where),
        node_id=_optional(raw, "schemaNodeId", where),
        attributes=raw.get("attributes"),
        constraints=_constraints(definition, f"{where}.definition"),
        extra=extra,
    )


def _constraints(definition: Mapping[str, Any], where: str) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for i, pair in enumerate(_list(definition, "constraints", where)):
        if not isinstance(pair, Sequence) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
            raise _wrong(
                f"{where}.constraints[{i}]",
                f"is {pair!r}",
                "Give pairs of feature schema ids: [source, target].",
            )
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)


def _question(raw: object, where: str, depth: int) -> ClassificationNode:
    raw = _object(raw, where)
    if depth > DEPTH:
        raise _wrong(where, "is nested too deep", f"Nest at most {DEPTH} questions below each other.")
    kind = raw.get("type")
    if kind not in QUESTIONS:
        raise _wrong(f"{where}.type", f"is {kind!r}", f"Use one of {', '.join(QUESTIONS)}.")
    options = tuple(_option(one, f"{where}.options[{i}]", depth) for i, one in enumerate(_list(raw, "options", where)))
    if kind in {"radio", "checklist", "response-radio", "response-checklist"} and not options:
        raise _wrong(f"{where}.options", "is empty", f"Give the {kind} at least one option.")
    _no_twins((("option", one.value) for one in options), f"{where}.options")
    scope = raw.get("scope")
    if scope not in (None, "global", "index"):
        raise _wrong(f"{where}.scope", f"is {scope!r}", 'Use "global" or "index".')
    name = _text(raw, "name" if raw.get("name") else "instructions", where)
    return ClassificationNode(
        name=name,
        type=cast("Question", kind),
        options=options,
        scope=cast("Scope | None", scope),
        instructions=str(raw.get("instructions") or name),
        required=bool(raw.get("required")),
        schema_id=_optional(raw, "featureSchemaId", where),
        node_id=_optional(raw, "schemaNodeId", where),
        ui_mode=raw.get("uiMode"),
        likert=bool(raw.get("isLikertScale")),
        min_characters=_whole(raw, "minCharacters", where),
        max_characters=_whole(raw, "maxCharacters", where),
        attributes=raw.get("attributes"),
        extra={key: value for key, value in raw.items() if key not in _QUESTION_KEYS},
    )


def _option(raw: object, where: str, depth: int) -> Option:
    raw = _object(raw, where)
    value = raw.get("value", raw.get("label"))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        raise _wrong(f"{where}.value", f"is {value!r}", "Give the option's name, a string.")
    label = raw.get("label")
    below = tuple(
        _question(one, f"{where}.options[{i}]", depth + 1) for i, one in enumerate(_list(raw, "options", where))
    )
    _no_twins((("question", node.name) for node in below), f"{where}.options")
    return Option(
        value=str(value),
        label=str(value if label is None else label),
        schema_id=_optional(raw, "featureSchemaId", where),
        node_id=_optional(raw, "schemaNodeId", where),
        questions=below,
        extra={key: one for key, one in raw.items() if key not in _OPTION_KEYS},
    )


# --- to JSON
def write_ontology(ontology: Ontology) -> dict[str, Any]:
    """See `Ontology.as_json`."""
    ontology = with_ids(ontology)
    return {
        "tools": [_tool_json(node) for node in ontology.tools],
        "classifications": [_question_json(node) for node in ontology.classifications],
        **ontology.extra,
    }


def _tool_json(node: ToolNode) -> dict[str, Any]:
    written: dict[str, Any] = {
        "tool": node.tool,
        "name": node.name,
        "required": node.required,
        "color": node.color,
        "classifications": [_question_json(one) for one in node.questions],
        "schemaNodeId": node.node_id,
        "featureSchemaId": node.schema_id,
        "attributes": node.attributes,
        **node.extra,
    }
    if node.constraints:
        pairs = [list(pair) for pair in node.constraints]
        written["definition"] = {**written.get("definition", {}), "constraints": pairs}
    return written


def _question_json(node: ClassificationNode) -> dict[str, Any]:
    written: dict[str, Any] = {
        "type": node.type,
        "instructions": node.instructions or node.name,
        "name": node.name,
        "required": node.required,
        "options": [_option_json(one, i, node) for i, one in enumerate(node.options)],
        "schemaNodeId": node.node_id,
        "featureSchemaId": node.schema_id,
    }
    if node.type not in OF_PROMPTS or node.attributes is not None:
        written["attributes"] = node.attributes
    given = {
        "uiMode": node.ui_mode,
        "isLikertScale": node.likert or None,
        "scope": node.scope,
        "minCharacters": node.min_characters,
        "maxCharacters": node.max_characters,
    }
    return {**written, **{key: value for key, value in given.items() if value is not None}, **node.extra}


def _option_json(option: Option, position: int, asked: ClassificationNode) -> dict[str, Any]:
    written: dict[str, Any] = {
        "schemaNodeId": option.node_id,
        "featureSchemaId": option.schema_id,
        "label": _stars(option.label) if asked.likert else option.label,
        "value": _stars(option.value) if asked.likert else option.value,
        "options": [_question_json(one) for one in option.questions],
    }
    if asked.type not in OF_PROMPTS:
        written["position"] = position
    return {**written, **option.extra}


def _stars(value: str) -> str | int:
    """A Likert scale's step, which Labelbox writes as a number."""
    return int(value) if _NUMBER.fullmatch(value) else value


# --- ids
def with_ids(ontology: Ontology) -> Ontology:
    """The same ontology in which every node has its two ids; those that were missing follow from its path of names."""
    return replace(
        ontology,
        tools=tuple(
            replace(_with_id(node, path), questions=_questions_with_ids(node.questions, path))
            for node in ontology.tools
            for path in [f"tool/{node.tool}/{node.name}"]
        ),
        classifications=_questions_with_ids(ontology.classifications, "classification"),
    )


def _questions_with_ids(nodes: Iterable[ClassificationNode], above: str) -> tuple[ClassificationNode, ...]:
    return tuple(
        replace(
            _with_id(node, path),
            options=tuple(
                replace(
                    _with_id(option, f"{path}/{option.value}"),
                    questions=_questions_with_ids(option.questions, f"{path}/{option.value}"),
                )
                for option in node.options
            ),
        )
        for node in nodes
        for path in [f"{above}/{node.name}"]
    )


def _with_id(node: Node, path: str) -> Node:
    return replace(
        node, schema_id=node.schema_id or _made("feature", path), node_id=node.node_id or _made("node", path)
    )


def _made(kind: str, path: str) -> str:
    """25 characters that look like Labelbox's own: ``c`` and hexadecimal digits."""
    return "c" + hashlib.sha256(f"{kind}:{path}".encode()).hexdigest()[: ID_LENGTH - 1]


# --- parts of malformed JSON
def _wrong(where: str, said: str, remedy: str) -> RequestError:
    return RequestError(f"the ontology cannot be read: {where} {said}.", hint=remedy)


def _object(raw: object, where: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise _wrong(where, f"is a {type(raw).__name__}", "Give an object with its name.")
    return raw


def _list(raw: Mapping[str, Any], key: str, where: str) -> Sequence[Any]:
    value = raw.get(key)
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise _wrong(f"{where}.{key}", f"is a {type(value).__name__}", "Give a list.")
    return value


def _text(raw: Mapping[str, Any], key: str, where: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not value:
        raise _wrong(f"{where}.{key}", f"is {value!r}", "Give every tool and question a name, a string.")
    return value


def _optional(raw: Mapping[str, Any], key: str, where: str) -> str:
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        raise _wrong(f"{where}.{key}", f"is {value!r}", "Give a string, or leave it out.")
    return value or ""


def _whole(raw: Mapping[str, Any], key: str, where: str) -> int | None:
    value = raw.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise _wrong(f"{where}.{key}", f"is {value!r}", "Give a number of characters, or leave it out.")
    return value


def _no_twins(names: Iterable[tuple[str, str]], where: str) -> None:
    seen: set[tuple[str, str]] = set()
    for kind, name in names:
        if (kind, name) in seen:
            raise _wrong(where, f"has the {kind} {name!r} twice", "Rename one of them: rows name features by name.")
        seen.add((kind, name))
