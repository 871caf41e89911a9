"""A labeling config while it is being written: objects, tools and questions of an ontology as XML."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, SubElement

from prelabel.labelbox.assets import AssetFacts
from prelabel.labelbox.config_tags import (
    BELOW,
    MESSAGE_TOOLS,
    OBJECTS,
    RANKED,
    TAG_TOOLS,
    TOKEN_TEXT,
    TOOL_CONTROLS,
    WHOLE,
)
from prelabel.labelbox.ontology import ClassificationNode, Option, Tool, ToolNode
from prelabel.labelbox.rows import Asset

HEADER_SIZE = "6"
"""Label Studio's smallest heading."""
_CHOICES: Mapping[str, str] = {
    "radio": "single", "checklist": "multiple", "response-radio": "single", "response-checklist": "multiple",
}  # fmt: skip


@dataclass(slots=True)
class Draft:
    """The config while it is being written."""

    asset: Asset
    facts: AssetFacts
    root: Element = field(default_factory=lambda: Element("View"))
    taken: set[str] = field(default_factory=set)
    """Names of objects and controls: Label Studio wants each once."""
    shown: str = ""
    """The object that whole-task questions point at."""
    texts: Element | None = None
    """The ``TimelineLabels`` or ``Labels`` whose labels are the free-text questions of a video or an audio."""
    places: dict[str, Element] = field(default_factory=dict)
    """Where each series of a DICOM study is shown, with its labels below."""
    labels: dict[str, set[str]] = field(default_factory=dict)
    """Labels by control: one control takes a label once."""

    def name(self, wanted: str) -> str:
        if _looks_typed(wanted):
            wanted = f"_{wanted}"
        found, number = wanted, 2
        while found in self.taken:
            found, number = f"{wanted}_{number}", number + 1
        self.taken.add(found)
        return found

    # --- objects
    def add_objects(self) -> None:
        if self.asset == "dicom":
            for group in self.facts.groups:
                name = self.name(group)
                place = self.places[group] = SubElement(self.root, "View")
                _header(place, name)
                SubElement(place, "Image", {"name": name, "valueList": f"${name}", **WHOLE})
                self.shown = self.shown or name
            return
        tag, name, attributes = OBJECTS[self.asset]
        self.shown = self.name(name)
        element = SubElement(self.root, tag, {"name": self.shown, **attributes})
        if self.asset == "video" and self.facts.fps:
            element.set("frameRate", f"{self.facts.fps:g}")

    def _object(self, tag: str, name: str) -> str:
        """A further object for message tasks, once."""
        if name not in self.taken:
            SubElement(self.root, tag, {"name": self.name(name), "value": f"${name}"})
        return name

    # --- tools
    def add_tools(self, tools: tuple[ToolNode, ...]) -> None:
        drawn = [tool for tool in tools if tool.tool not in MESSAGE_TOOLS and tool.tool != "edge"]
        for group in self.facts.groups if self.asset == "dicom" else ("",):
            controls: dict[str, list[Element]] = {}
            holders = [self._label(tool, group, controls) for tool in drawn]
            for tool, (control, label) in zip(drawn, holders, strict=True):
                self._questions_of(tool, control, label, group)
        if self.asset == "video" and drawn:
            SubElement(self.root, "VideoRectangle", {"name": self.name("box"), "toName": self.shown})
        if any(tool.tool == "named-entity" for tool in drawn) and self.asset == "document":
            view = SubElement(self.root, "View", {"visibleWhen": "region-selected"})
            _header(view, "Text")
            SubElement(
                view,
                "TextArea",
                {"name": self.name("ocr"), "toName": self.shown, "perRegion": "true", "asks": TOKEN_TEXT},
            )
        relations = [tool for tool in tools if tool.tool == "edge"]
        if relations:
            parent = SubElement(self.root, "Relations")
            for tool in relations:
                SubElement(parent, "Relation", _label_attributes(tool, "edge"))
        for tool in tools:
            if tool.tool in MESSAGE_TOOLS:
                self._message_tool(tool)

    def _label(self, tool: ToolNode, group: str, controls: dict[str, list[Element]]) -> tuple[Element, str]:
        """Add a tool's label to the control of its kind; a name that is there already begins another control.

        ``VideoRectangle`` takes the labels of one control only, so there the label says the kind of tool as well.

        Returns:
            The control, and the label.
        """
        tag, name = TOOL_CONTROLS[self.asset][tool.tool]
        known = controls.setdefault(tag, [])
        label = tool.name
        if self.asset == "video" and known:
            while label in self.labels[known[0].attrib["name"]]:
                label = f"{label} ({tool.tool})"
        control = next((one for one in known if label not in self.labels[one.attrib["name"]]), None)
        if control is None:
            attributes = {
                "name": self.name(f"{name}_{group}" if group else name),
                "toName": group or self.shown,
            }
            if tag == "VectorLabels":
                attributes["closable"] = "false"
            control = SubElement(self.places.get(group, self.root), tag, attributes)
            self.labels[attributes["name"]] = set()
            known.append(control)
        self.labels[control.attrib["name"]].add(label)
        default: Tool | None = TAG_TOOLS.get(tag, "rectangle" if self.asset == "video" else "named-entity")
        attributes = _label_attributes(tool, default)
        if label != tool.name:
            attributes |= {"value": label, "named": tool.name}
        SubElement(control, "Label", attributes)
        return control, label

    def _questions_of(self, tool: ToolNode, control: Element, label: str, group: str) -> None:
        if not tool.questions:
            return
        place = self.places.get(group, self.root)
        view = _view(place, "region-selected", control.attrib["name"], "whenLabelValue", label)
        for node in tool.questions:
            self.add_question(view, node, f"{label}__", per_region=True, shown=group)

    def _message_tool(self, tool: ToolNode) -> None:
        _header(self.root, tool.name)
        if tool.tool == "message-ranking":
            control = SubElement(self.root, "Ranker", {"toName": self._object("List", "answers")})
            SubElement(control, "Bucket", {"name": self.name(RANKED), "title": "Best first"})
        elif tool.tool == "message-single-selection" and len(self.facts.responses) <= 2:
            sides = [self._object("Text", side) for side in ("a", "b")]
            control = SubElement(self.root, "Pairwise", {"toName": ",".join(sides)})
        else:
            many = "multiple" if tool.tool == "message-multi-selection" else "single"
            control = SubElement(
                SubElement(self.root, "View"),  # apart: Label Studio refuses it beside Choices of one option
                "Choices",
                {"toName": self.shown, "choice": many, "value": "$answers_ids", "asks": tool.tool},
            )
        name = self.name(tool.name)
        control.attrib = {"name": name, **control.attrib}
        if name != tool.name:
            control.set("question", tool.name)
        if tool.required:
            control.set("required", "true")

    # --- questions
    def add_question(
        self, parent: Element, node: ClassificationNode, prefix: str, *, per_region: bool, shown: str = ""
    ) -> None:
        """A question and those below its options. ``prefix`` is the path of names above it, with ``__`` behind."""
        indexed = node.scope == "index"
        timed = indexed and self.asset == "audio"
        if indexed and self.asset == "video":
            if not node.text_like():
                self._labelled(parent, node, prefix, "TimelineLabels")
                return
            parent = self._text_range(node, "TimelineLabels")
        elif timed and not node.text_like():
            self._labelled(parent, node, prefix, "Labels")
            return
        elif timed and not prefix:
            parent = self._text_range(node, "Labels")
        elif indexed:
            parent = SubElement(parent, "View", {"visibleWhen": "region-selected"})
        _header(parent, node.instructions or node.name)
        control = SubElement(parent, _tag(node))
        name = self._named(control, node, prefix)
        control.set("toName", shown or self.shown)
        if per_region or indexed:
            control.set("perRegion", "true")
            if indexed and not prefix and self.asset == "conversational" and "__" in name:
                control.set("question", node.name)
        self._attributes(control, node)
        for option in node.options if control.tag == "Choices" else ():
            _choice(control, "Choice", option)
            if option.questions:
                view = _view(parent, "choice-selected", name, "whenChoiceValue", option.value)
                for below in option.questions:
                    self.add_question(
                        view,
                        below,
                        f"{name}__{option.value}__",
                        per_region=per_region or indexed,
                        shown=shown,
                    )

    def _named(self, control: Element, node: ClassificationNode, prefix: str) -> str:
        name = self.name(prefix + node.name)
        control.set("name", name)
        if name != prefix + node.name:
            control.set("question", node.name)
        return name

    def _attributes(self, control: Element, node: ClassificationNode) -> None:
        if control.tag == "Choices":
            control.set("choice", _CHOICES[node.type])
            if node.ui_mode == "searchable":
                control.set("layout", "select")
            if node.likert:
                control.set("likert", "true")
        elif control.tag == "Rating":
            control.set("maxRating", str(len(node.options)))
        elif "perRegion" not in control.attrib:
            control.set("maxSubmissions", "1")
        if node.type not in {"radio", "checklist", "text"}:
            control.set("asks", node.type)
        if node.required:
            control.set("required", "true")

    def _labelled(self, parent: Element, node: ClassificationNode, prefix: str, tag: str) -> None:
        """A question that is answered by marking a stretch of time with the answer."""
        _header(parent, node.instructions or node.name)
        control = SubElement(parent, tag)
        name = self._named(control, node, prefix)
        control.set("toName", self.shown)
        if node.type == "checklist":
            control.set("choice", "multiple")
        if node.required:
            control.set("required", "true")
        if node.ui_mode == "searchable":
            control.set("layout", "select")
        for option in node.options:
            _choice(control, "Label", option)
            if not option.questions:
                continue
            visible = "region-selected" if tag == "TimelineLabels" else ""
            view = _view(parent, visible, name, "whenLabelValue", option.value)
            for below in option.questions:
                # in audio, what is asked below an answer has time ranges of its own
                inner = dataclasses.replace(below, scope="index") if tag == "Labels" else below
                self.add_question(view, inner, f"{name}__{option.value}__", per_region=tag != "Labels")

    def _text_range(self, node: ClassificationNode, tag: str) -> Element:
        """The place of a free-text question in time: asked of ranges that carry its name as their label."""
        if self.texts is None:
            self.texts = SubElement(self.root, tag, {"name": self.name("texts"), "toName": self.shown, "asks": "text"})
        SubElement(self.texts, "Label", {"value": node.name})
        return _view(self.root, "region-selected", self.texts.attrib["name"], "whenLabelValue", node.name)


def _view(parent: Element, visible: str, tag_name: str, key: str, value: str) -> Element:
    """What is shown where a label or choice is selected.

    Label Studio takes a comma in such a condition for several values, shows nothing then, and loses what was answered
    there. A name with a comma stands in ``below``, which Label Studio does not know: it shows the view at every label.
    """
    attributes = {"visibleWhen": visible} if visible else {}
    attributes |= {"whenTagName": tag_name, BELOW if "," in value else key: value}
    return SubElement(parent, "View", attributes)


def _header(parent: Element, asked: str) -> None:
    """The question itself above its answers, unless Label Studio would take it for a field of the task."""
    if "$" not in asked:
        SubElement(parent, "Header", {"value": asked, "size": HEADER_SIZE})


def _looks_typed(name: str) -> bool:
    """Whether Label Studio's validator would take a name for a number or a truth value, and refuse it."""
    if name.strip().lower() in {"true", "false", "none"}:
        return True
    try:
        float(name)
    except ValueError:
        return False
    return True


def _tag(node: ClassificationNode) -> str:
    if node.text_like():
        return "TextArea"
    stars = [str(i) for i in range(1, len(node.options) + 1)]
    plain = not any(option.questions for option in node.options) and [o.value for o in node.options] == stars
    return "Rating" if node.likert and node.type == "radio" and stars and plain else "Choices"


def _choice(parent: Element, tag: str, option: Option) -> None:
    attributes = {"value": option.label or option.value}
    if attributes["value"] != option.value:
        attributes["alias"] = option.value
    SubElement(parent, tag, attributes)


def _label_attributes(tool: ToolNode, default: Tool | None) -> dict[str, str]:
    attributes = {"value": tool.name}
    if tool.color:
        attributes["background"] = tool.color
    if tool.tool != default:
        attributes["tool"] = tool.tool
    if tool.required:
        attributes["required"] = "true"
    return attributes
