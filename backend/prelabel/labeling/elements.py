"""The tags of a labeling config: objects that show data, controls that take labels, and their labels."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_SEPARATORS = re.compile(r"[\s_\-]+")
_STEPS = re.compile(r"[^.\[\]]+")


def fold(label: str) -> str:
    """A label without case, and with runs of spaces, underscores and hyphens as one space."""
    return _SEPARATORS.sub(" ", label.strip()).casefold()


@dataclass(frozen=True, slots=True)
class ObjectTag:
    """A tag that shows data (``Text``, ``Image``, ``Audio`` ...). ``field`` is the task data key that its value names.

    ``attributes`` are the XML attributes as strings. ``field`` may be a path into the data (``a.b``, ``pages[0].url``):
    read it with `value`. It is empty where the tag shows a constant. ``many`` says that the field holds a list with one
    entry per page (``valueList``).
    """

    name: str
    tag: str
    field: str
    attributes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    many: bool = False

    def value(self, data: Mapping[str, Any]) -> Any:
        """The field's value in a task's data; None where it is absent. A key that equals the path wins."""
        if self.field in data:
            return data[self.field]
        found: Any = data
        for step in _STEPS.findall(self.field):
            if isinstance(found, Mapping):
                found = found.get(step)
            elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            else:
                return None
        return None if found is data else found


@dataclass(frozen=True, slots=True)
class Label:
    """One ``Label`` or ``Choice``: what Label Studio stores, what it shows, and what a model may call it.

    ``stored`` is the alias where there is one. ``path`` leads from the root to it (stored names; one element unless
    nested).
    """

    stored: str
    value: str
    predicted: tuple[str, ...] = ()
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class ControlTag:
    """A tag that takes labels (``Choices``, ``RectangleLabels`` ...).

    ``labels`` are the names Label Studio stores (an alias where there is one), in the order of the config, nested
    choices before their children; of a ``Ranker`` its buckets' names. ``entries`` says more about each. ``dynamic`` is
    the task data key that brings the labels of each task (``value="$classes"``) or an ``apiUrl``; such a control takes
    every label.
    """

    name: str
    tag: str
    to_name: tuple[str, ...]
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    entries: tuple[Label, ...] = ()
    dynamic: str = ""

    @property
    def per_region(self) -> bool:
        """Whether it is answered for each region instead of once per task."""
        return _is_true(self.attributes.get("perRegion"))

    @property
    def multiple(self) -> bool:
        """Whether several choices may be selected (``Taxonomy`` unless it has ``maxUsages="1"``)."""
        if self.tag == "Taxonomy":
            return self.attributes.get("maxUsages") != "1"
        return self.attributes.get("choice", "single") == "multiple"

    @property
    def has_labels(self) -> bool:
        """Whether it names labels, or takes them from the task's data."""
        return bool(self.labels or self.dynamic)

    def find(self, label: str) -> Label | None:
        """The entry that a model's ``label`` means: predicted value, value, alias, then without case and separators."""
        return self._exact.get(label) or self._folded.get(fold(label))

    @cached_property
    def _all_entries(self) -> tuple[Label, ...]:
        return self.entries or tuple(Label(stored=name, value=name, path=(name,)) for name in self.labels)

    @cached_property
    def _exact(self) -> dict[str, Label]:
        found: dict[str, Label] = {}
        for names in _name_tiers(self._all_entries):
            for name, entry in names:
                found.setdefault(name, entry)
        return found

    @cached_property
    def _folded(self) -> dict[str, Label]:
        found: dict[str, Label] = {}
        for names in _name_tiers(self._all_entries):
            for name, entry in names:
                found.setdefault(fold(name), entry)
        return found

    def __str__(self) -> str:
        return f"{self.tag} {self.name!r}"


def _name_tiers(entries: tuple[Label, ...]) -> Iterable[Iterable[tuple[str, Label]]]:
    """Names of each entry, the binding ones first: predicted values, values, aliases, whole paths."""
    yield [(name, entry) for entry in entries for name in entry.predicted]
    yield [(entry.value, entry) for entry in entries]
    yield [(entry.stored, entry) for entry in entries]
    yield [("/".join(entry.path), entry) for entry in entries if len(entry.path) > 1]


def _is_true(value: str | None) -> bool:
    return value is not None and value.strip().lower() in {"true", "1", "yes"}
