"""XML to `LabelingConfig`, once per version of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError, canonicalize

from defusedxml import DefusedXmlException  # type: ignore[import-untyped]  # ships no types
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]  # ships no types

from prelabel.errors import LabelingConfigError
from prelabel.labeling.config import LabelingConfig
from prelabel.labeling.elements import ControlTag, Label, ObjectTag
from prelabel.labeling.tags import CANONICAL, LABEL_TAGS, OBJECT_TAGS, PER_TASK_LABEL_CONTROLS, SELF_CONTROLS

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ATTRIBUTES = {
    name.lower(): name
    for name in (
        "name", "toName", "value", "valueList", "alias", "predicted_values", "perRegion", "choice", "maxUsages",
        "apiUrl", "valueType", "allowNested", "maxRating", "min", "max", "format", "timeColumn", "data",
    )
}  # fmt: skip


def parse(xml: str) -> LabelingConfig:
    """Parse a labeling config; the last 128 texts are remembered.

    Tags and attributes are recognised whatever their case, as by Label Studio's editor. Tags that are not known are
    kept: one with ``toName`` is a control, a named one whose value starts with ``$`` is an object.

    Raises:
        LabelingConfigError: not XML, two tags of one name, or a control points at an object that is not there.
    """
    if not isinstance(xml, str):
        raise LabelingConfigError(f"a labeling config must be XML text, got {type(xml).__name__}.")
    return _parse(xml)


@lru_cache(maxsize=128)
def _parse(xml: str) -> LabelingConfig:
    tags = [(CANONICAL.get(element.tag.lower(), element.tag), element) for element in _root(xml).iter()]
    named = [(tag, element, _attributes(element)) for tag, element in tags if tag not in LABEL_TAGS]
    pointed_at = {name for _, _, attributes in named for name in _names(attributes.get("toName", ""))}

    objects: dict[str, ObjectTag] = {}
    controls: list[ControlTag] = []
    for tag, element, attributes in named:
        name = attributes.get("name", "")
        is_control = "toName" in attributes or (tag in SELF_CONTROLS and name)
        if is_control:
            controls.append(_control(tag, element, attributes))
        source = attributes.get("valueList") or attributes.get("value") or attributes.get("data") or ""
        shows = tag in OBJECT_TAGS or tag in SELF_CONTROLS or source.startswith("$") or name in pointed_at
        if name and shows and (not is_control or tag in SELF_CONTROLS):
            if name in objects:
                raise LabelingConfigError(f"two object tags are named {name!r}.", hint="Give each a name of its own.")
            objects[name] = ObjectTag(name, tag, _field(source), attributes, many="valueList" in attributes)
    _check(controls, objects)
    relations = tuple(
        child.get("value", "")
        for tag, element in tags
        if tag == "Relations"
        for child in element
        if CANONICAL.get(str(child.tag).lower()) == "Relation"
    )
    return LabelingConfig(xml, tuple(controls), objects, _hash(xml), relations)


def _root(xml: str) -> Element:
    try:
        root: Element = fromstring(xml.strip(), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise LabelingConfigError(
            f"the labeling config is not well-formed XML: {str(error) or type(error).__name__}.",
            hint="Copy it from Settings > Labeling Interface > Code.",
        ) from error
    return root


def _attributes(element: Element) -> dict[str, str]:
    return {_ATTRIBUTES.get(key.lower(), key): value for key, value in element.attrib.items()}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _field(value: str) -> str:
    return value.strip()[1:] if value.strip().startswith("$") else ""


def _control(tag: str, element: Element, attributes: Mapping[str, str]) -> ControlTag:
    name = attributes.get("name", "")
    if not name:
        raise LabelingConfigError(f"a {tag} control has no name.", hint=f'Write <{tag} name="..." toName="...">.')
    entries = tuple(_labels(element, ()))
    to_name = (name,) if tag in SELF_CONTROLS else _names(attributes["toName"])
    dynamic = ""
    if tag.endswith("Labels") or tag in PER_TASK_LABEL_CONTROLS:
        dynamic = _field(attributes.get("value", "")) or attributes.get("apiUrl", "")
    return ControlTag(
        name=name,
        tag=tag,
        to_name=to_name,
        labels=tuple(entry.stored for entry in entries),
        attributes=attributes,
        entries=entries,
        dynamic=dynamic,
    )


def _labels(element: Element, above: tuple[str, ...]) -> Iterator[Label]:
    """Labels, choices and buckets under an element, parents first; layout tags between them are looked through."""
    for child in element:
        tag = CANONICAL.get(child.tag.lower(), child.tag)
        if tag == "Bucket":
            name = child.get("name", "")
            yield Label(name, child.get("title") or name, (), (name,))
        if tag not in {"Label", "Choice"}:
            yield from _labels(child, above)
            continue
        attributes = _attributes(child)
        value = attributes.get("value", "")
        stored = attributes.get("alias") or value
        path = (*above, stored)
        if stored:
            yield Label(stored, value or stored, _names(attributes.get("predicted_values", "")), path)
        yield from _labels(child, path if stored else above)


def _check(controls: list[ControlTag], objects: Mapping[str, ObjectTag]) -> None:
    names: set[str] = set()
    for control in controls:
        if control.name in names:
            raise LabelingConfigError(f"two controls are named {control.name!r}.", hint="Give each a name of its own.")
        names.add(control.name)
        missing = [name for name in control.to_name if name not in objects]
        if missing or not control.to_name:
            raise LabelingConfigError(
                f"{control} points at {', '.join(missing) or 'nothing'}, which the labeling config does not have.",
                hint=f"It shows {', '.join(objects) or 'nothing'}: correct toName.",
            )


def _hash(xml: str) -> str:
    canonical = canonicalize(xml_data=xml.strip(), strip_text=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
