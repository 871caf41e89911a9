"""What a labeling config asks: its tools and questions, each with the control that takes the answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import get_args
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]  # ships no types

from prelabel.labelbox.config_tags import BELOW, ENTITY_OBJECTS, MESSAGE_TOOLS, TAG_TOOLS, TOKEN_TEXT
from prelabel.labelbox.ontology import ClassificationNode, Option, Question, Scope, Tool
from prelabel.labeling import ControlTag, LabelingConfig, parse
from prelabel.labeling.tags import AUDIO
from prelabel.regions.target import attribute

QUESTION_TAGS = frozenset({"Choices", "Taxonomy", "Rating", "TextArea", "Number", "DateTime"})
"""Controls that take an answer, and draw nothing."""
_STARS = 5
"""Label Studio's ``maxRating`` where none is given."""


@dataclass(frozen=True)
class Asked:
    """A question and the control that takes its answer; ``below`` are the questions asked under each option.

    ``range_label``: the label that a range of `range_control` must carry for this question to be asked of it.
    """

    node: ClassificationNode
    control: ControlTag
    below: Mapping[str, tuple[Asked, ...]] = field(default_factory=dict)
    range_control: ControlTag | None = None
    range_label: str = ""

    def everything(self) -> Iterator[Asked]:
        """Itself and all below."""
        yield self
        for questions in self.below.values():
            for asked in questions:
                yield from asked.everything()


@dataclass(frozen=True)
class Drawn:
    """A tool: a label of ``holder`` (the control that has the labels), drawn by ``control``.

    ``stored`` is that label, which is the tool's name wherever two tools do not share one.
    """

    name: str
    tool: Tool
    control: ControlTag | None
    holder: ControlTag | None
    color: str = ""
    required: bool = False
    questions: tuple[Asked, ...] = ()
    stored: str = ""


@dataclass(frozen=True)
class Bound:
    """All of a config. ``token_text`` is the control for what is written inside a document's box."""

    tools: tuple[Drawn, ...]
    questions: tuple[Asked, ...]
    token_text: ControlTag | None = None


@lru_cache(maxsize=128)
def read_config(xml: str) -> Bound:
    """Tools and questions of a labeling config in their order; the last 128 are remembered.

    Raises:
        LabelingConfigError: it cannot be parsed.
    """
    return _Reading(parse(xml), fromstring(xml.strip(), forbid_dtd=True)).bound()


def answer_controls(config: LabelingConfig) -> frozenset[str]:
    """Names of the controls that take answers."""
    return frozenset(control.name for control in config.controls if control.tag in QUESTION_TAGS)


class _Reading:
    """One config while it is being read."""

    def __init__(self, config: LabelingConfig, root: Element) -> None:
        self.config = config
        self.root = root
        self.elements: dict[str, Element] = {}
        self.under: dict[str, tuple[str, tuple[str, ...]]] = {}
        """The control and the labels or choices under which a control is asked."""
        self._walk(root, None)

    def _walk(self, element: Element, condition: tuple[str, tuple[str, ...]] | None) -> None:
        tag_name = attribute(element.attrib, "whenTagName")
        when = attribute(element.attrib, "whenLabelValue") or attribute(element.attrib, "whenChoiceValue")
        if element.get(BELOW):
            condition = (tag_name, (element.attrib[BELOW],))
        elif when:
            condition = (tag_name, (when, *(part.strip() for part in when.split(","))))
        name = element.get("name", "")
        if name and self.config.control(name) is not None and "toName" in element.attrib:
            self.elements[name] = element
            if condition is not None:
                self.under[name] = condition
        for child in element:
            self._walk(child, condition)

    def bound(self) -> Bound:
        tools: list[Drawn] = []
        questions: list[Asked] = []
        token_text = None
        for control in self.config.controls:
            if self._asks(control) == TOKEN_TEXT:
                token_text = control
            elif self._is_top(control):
                questions += self._top_question(control)
            tools += self._tools(control)
        tools += self._relations()
        return Bound(tuple(tools), tuple(questions), token_text)

    def _asks(self, control: ControlTag) -> str:
        return attribute(control.attributes, "asks")

    # --- tools
    def _tools(self, control: ControlTag) -> Iterator[Drawn]:
        asks = self._asks(control)
        if control.tag in {"Pairwise", "Ranker"} or asks in MESSAGE_TOOLS:
            tool: Tool = "message-ranking" if control.tag == "Ranker" else "message-single-selection"
            if asks == "message-multi-selection":
                tool = "message-multi-selection"
            name = attribute(control.attributes, "question") or control.name
            yield Drawn(name, tool, control, None, required=_true(control.attributes, "required"))
            return
        default = TAG_TOOLS.get(control.tag)
        if control.tag == "Labels" and self._shown(control) in ENTITY_OBJECTS:
            default = "named-entity"
        if default is None:
            return
        holder = self.config.label_control(control)
        if holder is None:
            return
        for element in self._labels(holder):
            stored = _stored(element)
            yield Drawn(
                name=element.get("named") or stored,
                stored=stored,
                tool=_tool(element.get("tool", ""), default),
                control=control,
                holder=holder,
                color=element.get("background", ""),
                required=_true(element.attrib, "required"),
                questions=tuple(self._of_label(control, holder, stored)),
            )

    def _relations(self) -> Iterator[Drawn]:
        for element in self.root.iter():
            if str(element.tag).lower() == "relation" and element.get("value"):
                yield Drawn(
                    element.get("value", ""),
                    "edge",
                    None,
                    None,
                    color=element.get("background", ""),
                    required=_true(element.attrib, "required"),
                )

    def _labels(self, holder: ControlTag) -> list[Element]:
        element = self.elements[holder.name]
        return [e for e in element.iter() if str(e.tag).lower() == "label" and (e.get("alias") or e.get("value"))]

    def _shown(self, control: ControlTag) -> str:
        return self.config.object_for(control).tag

    def _of_label(self, control: ControlTag, holder: ControlTag, label: str) -> Iterator[Asked]:
        """Per-region questions that a region of this label is asked."""
        for other in self.config.controls:
            if other.tag not in QUESTION_TAGS or not other.per_region or self._asks(other) == TOKEN_TEXT:
                continue
            condition = self.under.get(other.name)
            if condition is not None:
                tag_name, when = condition
                if tag_name in {"", control.name, holder.name} and label in when:
                    yield self._question(other, self._name_below(other, f"{label}__"))
            elif other.to_name[:1] == control.to_name[:1] and not self._is_top(other):
                owner = self._owner(other)
                if owner is None or owner == label:
                    yield self._question(other, self._name_below(other, f"{label}__"))

    def _owner(self, control: ControlTag) -> str | None:
        """The label whose name, with ``__`` behind, begins the name of a per-region control that has no condition."""
        names = [
            _stored(element)
            for holder in self.config.controls
            if holder.tag.endswith("Labels") and holder.to_name[:1] == control.to_name[:1]
            for element in self._labels(holder)
        ]
        fitting = [name for name in names if control.name.startswith(f"{name}__")]
        return max(fitting, key=len, default=None)

    # --- questions
    def _is_top(self, control: ControlTag) -> bool:
        """Whether a question is asked of the whole task, of every message, or of stretches of time."""
        shown = self._shown(control)
        if control.name in self.under:
            return self._text_range(control) is not None
        if control.tag in {"Labels", "TimelineLabels"}:
            return self._asks(control) != "text" and (shown in AUDIO or control.tag == "TimelineLabels")
        if control.tag not in QUESTION_TAGS or self._asks(control) in MESSAGE_TOOLS:
            return False
        if shown == "Paragraphs" and control.per_region:
            return bool(attribute(control.attributes, "question")) or self._owner(control) is None
        return not control.per_region or shown in AUDIO

    def _top_question(self, control: ControlTag) -> Iterator[Asked]:
        indexed = control.per_region or control.tag in {"Labels", "TimelineLabels"}
        ranges = self._text_range(control)
        label = self.under[control.name][1][0] if ranges is not None else ""
        asked = self._question(control, label or attribute(control.attributes, "question") or control.name)
        prompts = asked.node.type not in {"radio", "checklist", "text"}
        scope: Scope | None = None if prompts else "index" if indexed else "global"
        node = dataclasses.replace(asked.node, scope=scope)
        yield dataclasses.replace(asked, node=node, range_control=ranges, range_label=label)

    def _text_range(self, control: ControlTag) -> ControlTag | None:
        """The control whose labels are free-text questions of stretches of time, where ``control`` takes an answer."""
        tag_name, _ = self.under.get(control.name, ("", ()))
        ranges = self.config.control(tag_name)
        timed = ranges is not None and ranges.tag in {"TimelineLabels", "Labels"} and self._asks(ranges) == "text"
        return ranges if timed else None

    def _name_below(self, control: ControlTag, prefix: str) -> str:
        told = attribute(control.attributes, "question")
        if told:
            return told
        return control.name[len(prefix) :] if control.name.startswith(prefix) else control.name

    def _question(self, control: ControlTag, name: str) -> Asked:
        element = self.elements[control.name]
        if control.tag == "Taxonomy" or any(len(entry.path) > 1 for entry in control.entries):
            return self._tree(control, element, name, _type(control))
        below: dict[str, tuple[Asked, ...]] = {}
        options: list[Option] = []
        if control.tag == "Rating":
            stars = attribute(control.attributes, "maxRating")
            most = int(stars) if stars.isdecimal() else _STARS
            options = [Option(str(i), str(i)) for i in range(1, most + 1)]
        elif control.tag in {"Choices", "Labels", "TimelineLabels"}:
            for entry in control.entries:
                below[entry.stored] = tuple(
                    self._question(other, self._name_below(other, f"{control.name}__{entry.stored}__"))
                    for other in self._under(control.name, entry.stored)
                )
                options.append(
                    Option(entry.stored, entry.value, questions=tuple(asked.node for asked in below[entry.stored]))
                )
        node = ClassificationNode(
            name=name,
            type=_type(control),
            options=tuple(options),
            instructions=name,
            required=_true(control.attributes, "required"),
            ui_mode="searchable" if attribute(control.attributes, "layout") == "select" else None,
            likert=control.tag == "Rating" or _true(control.attributes, "likert"),
        )
        return Asked(node, control, below)

    def _under(self, name: str, value: str) -> list[ControlTag]:
        found = [self.config.control(n) for n, (tag, when) in self.under.items() if tag == name and value in when]
        return [control for control in found if control is not None]

    def _tree(self, control: ControlTag, element: Element, name: str, kind: Question) -> Asked:
        """Nested choices as nested questions, each with the name of the choice it stands under."""
        options: list[Option] = []
        below: dict[str, tuple[Asked, ...]] = {}
        for child in element:
            if str(child.tag).lower() != "choice":
                continue
            stored = _stored(child)
            inner = self._tree(control, child, stored, kind)
            below[stored] = (inner,) if inner.node.options else ()
            options.append(
                Option(stored, str(child.get("value", stored)), questions=tuple(asked.node for asked in below[stored]))
            )
        node = ClassificationNode(
            name=name, type=kind, options=tuple(options), instructions=name,
            required=_true(control.attributes, "required"),
        )  # fmt: skip
        return Asked(node, control, below)


def _stored(element: Element) -> str:
    """What Label Studio stores for a label or choice: its alias where it has one."""
    return str(element.get("alias") or element.get("value", ""))


def _tool(told: str, default: Tool) -> Tool:
    return next((tool for tool in get_args(Tool) if tool == told), default)


def _type(control: ControlTag) -> Question:
    asks = attribute(control.attributes, "asks")
    if asks in get_args(Question):
        told: Question = asks  # type: ignore[assignment]  # checked in the line above
        return told
    if control.tag in {"TextArea", "Number", "DateTime"}:
        return "text"
    return "checklist" if control.multiple else "radio"


def _true(attributes: Mapping[str, str], name: str) -> bool:
    return attribute(attributes, name).strip().lower() in {"true", "1", "yes"}
