"""What a labeling config says to annotators beside its labels: hints of labels, titles and placeholders, headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]  # ships no types

from prelabel.labeling import ControlTag

_OF_CONTROL = ("title", "hint", "placeholder", "prompt")
_OF_LABEL = ("hint", "description", "title")
LONGEST = 300
"""Characters of one hint that go into the prompt."""


@dataclass(frozen=True)
class Hints:
    """Hints by name of control; of labels by name of control and value of the label; headers in their order."""

    controls: Mapping[str, str]
    labels: Mapping[tuple[str, str], str]
    headers: tuple[str, ...] = ()

    def of_control(self, name: str) -> str:
        """What the config says about a control; empty where it says nothing."""
        return self.controls.get(name, "")

    def of_labels(self, control: ControlTag, names: Iterable[str]) -> dict[str, str]:
        """Hints of those labels that have one."""
        found = {name: self.labels.get((control.name, name.rpartition("/")[2]), "") for name in names}
        return {name: hint for name, hint in found.items() if hint}


@lru_cache(maxsize=128)
def hints_of(xml: str) -> Hints:
    """The hints in a labeling config that has been parsed already."""
    controls: dict[str, str] = {}
    labels: dict[tuple[str, str], str] = {}
    headers: list[str] = []
    for element in fromstring(xml.strip(), forbid_dtd=True).iter():
        told = {key.lower(): value.strip()[:LONGEST] for key, value in element.attrib.items()}
        if str(element.tag).lower() == "header" and told.get("value") and not told["value"].startswith("$"):
            headers.append(told["value"])
        if "toname" not in told or not told.get("name"):
            continue
        said = [told[key] for key in _OF_CONTROL if told.get(key)]
        if said:
            controls[told["name"]] = "; ".join(dict.fromkeys(said))
        for child in element.iter():
            of = {key.lower(): value.strip()[:LONGEST] for key, value in child.attrib.items()}
            hint = next((of[key] for key in _OF_LABEL if of.get(key)), "") if child is not element else ""
            for name in {of.get("value"), of.get("alias")} - {None, ""} if hint else ():
                labels[told["name"], str(name)] = hint
    return Hints(controls, labels, tuple(dict.fromkeys(headers)))
