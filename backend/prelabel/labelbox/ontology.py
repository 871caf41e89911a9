"""What may be said about a data row: tools (drawn) and classifications (answered), as in Labelbox's ontology JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Tool = Literal[
    "rectangle", "polygon", "point", "line", "raster-segmentation", "superpixel", "named-entity", "edge",
    "message-single-selection", "message-multi-selection", "message-ranking", "marker",
    "step-reasoning", "fact-checking", "prompt-issue",
]  # fmt: skip
Question = Literal["radio", "checklist", "text", "prompt", "response-radio", "response-checklist", "response-text"]
Scope = Literal["global", "index"]


@dataclass(frozen=True, slots=True)
class Option:
    """One answer of a radio or checklist; ``questions`` are asked when it is chosen."""

    value: str
    label: str
    schema_id: str = ""
    node_id: str = ""
    questions: tuple[ClassificationNode, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Keys of its JSON that have no meaning here, given back by `Ontology.as_json`; so in the nodes below."""


@dataclass(frozen=True, slots=True)
class ClassificationNode:
    """A question. ``scope`` ``"index"``: asked per frame, time range or message; None below another node."""

    name: str
    type: Question
    options: tuple[Option, ...] = ()
    scope: Scope | None = None
    instructions: str = ""
    required: bool = False
    schema_id: str = ""
    node_id: str = ""
    ui_mode: str | None = None
    likert: bool = False
    min_characters: int | None = None
    max_characters: int | None = None
    attributes: Any = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def option(self, name: str | None = None, schema_id: str | None = None) -> Option | None:
        """The option of that value (or feature schema id)."""
        return next(
            (o for o in self.options if (o.value == name if schema_id is None else o.schema_id == schema_id)), None
        )

    def text_like(self) -> bool:
        """Whether the answer is free text."""
        return self.type in {"text", "prompt", "response-text"}


@dataclass(frozen=True, slots=True)
class ToolNode:
    """A thing that can be drawn. ``constraints`` (relationships): pairs of feature schema ids that may be joined."""

    name: str
    tool: Tool
    questions: tuple[ClassificationNode, ...] = ()
    color: str = ""
    required: bool = False
    schema_id: str = ""
    node_id: str = ""
    attributes: Any = None
    constraints: tuple[tuple[str, str], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Ontology:
    """All tools and classifications, with those that have one name told apart by their kind."""

    tools: tuple[ToolNode, ...] = ()
    classifications: tuple[ClassificationNode, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What the JSON held beside them (``name``, ``mediaType``, ...), given back by `as_json`."""

    @classmethod
    def from_json(cls, raw: Mapping[str, Any] | str | bytes) -> Ontology:
        """Labelbox's ontology JSON, ``{"tools": [...], "classifications": [...]}``, as an object or as its text.

        Ids that are missing are made, always the same 25 characters for the same path of names.

        Raises:
            RequestError: the JSON is malformed; the message names the node.
        """
        from prelabel.labelbox.ontology_json import read_ontology  # noqa: PLC0415 (it imports these classes)

        return read_ontology(raw)

    def as_json(self) -> dict[str, Any]:
        """Labelbox's ontology JSON, with ids made where there are none: what `from_json` reads."""
        from prelabel.labelbox.ontology_json import write_ontology  # noqa: PLC0415 (it imports these classes)

        return write_ontology(self)

    def tool(
        self, name: str | None = None, schema_id: str | None = None, *, tools: Collection[str] | None = None
    ) -> ToolNode | None:
        """The tool of that name or feature schema id; ``tools`` tells apart tools of one name: only such are taken."""
        found = self._tools_by_name.get(name, ()) if schema_id is None else self._tools_by_id.get(schema_id, ())
        return next((node for node in found if tools is None or node.tool in tools), None)

    def classification(self, name: str | None = None, schema_id: str | None = None) -> ClassificationNode | None:
        """The top-level question of that name or feature schema id."""
        found = self._asked_by_name if schema_id is None else self._asked_by_id
        return found.get(name if schema_id is None else schema_id)

    def names(self) -> frozenset[str]:
        """Every name in it at any depth: tools, questions and their options."""
        return self._names

    @cached_property
    def _tools_by_name(self) -> dict[str | None, list[ToolNode]]:
        found: dict[str | None, list[ToolNode]] = {}
        for node in self.tools:
            found.setdefault(node.name, []).append(node)
        return found

    @cached_property
    def _tools_by_id(self) -> dict[str, list[ToolNode]]:
        return {node.schema_id: [node] for node in reversed(self.tools) if node.schema_id}

    @cached_property
    def _asked_by_name(self) -> dict[str | None, ClassificationNode]:
        return {node.name: node for node in reversed(self.classifications)}

    @cached_property
    def _asked_by_id(self) -> dict[str | None, ClassificationNode]:
        return {node.schema_id: node for node in reversed(self.classifications) if node.schema_id}

    @cached_property
    def _names(self) -> frozenset[str]:
        questions = [*self.classifications, *(q for node in self.tools for q in node.questions)]
        return frozenset([node.name for node in self.tools]) | frozenset(_names(questions))


def _names(questions: Collection[ClassificationNode]) -> Iterator[str]:
    for question in questions:
        yield question.name
        for option in question.options:
            yield option.value
            yield from _names(option.questions)
