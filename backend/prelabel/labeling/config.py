"""One labeling config: its object and control tags, its labels, and which control an output goes to."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from prelabel.errors import LabelingConfigError, OutputError
from prelabel.labeling.elements import ControlTag, Label, ObjectTag
from prelabel.labeling.tags import NOUNS, OBJECT_TAGS, PER_TASK_LABEL_CONTROLS, READS, TAKES, labels_of
from prelabel.model import InputKind
from prelabel.outputs import Choice, Choices, Output, Raw

_NO_MAP: Mapping[str, str] = {}


@dataclass(frozen=True)
class LabelingConfig:
    """One version of a project's labeling config, parsed once (see `parse`)."""

    xml: str
    controls: tuple[ControlTag, ...]
    objects: Mapping[str, ObjectTag]
    hash: str
    """Sixteen hexadecimal digits over the canonical XML; part of the ledger's content hash. Comments, the order of
    attributes and white space between tags do not change it."""
    relation_labels: tuple[str, ...] = ()
    """The values of ``Relation`` inside ``Relations``; relations need no control of their own."""

    # -- tags
    def control(self, name: str) -> ControlTag | None:
        """The control of that name; ``box_2`` finds a ``Repeater``'s ``box_{{idx}}`` and is given that name."""
        found = self._controls_by_name.get(name)
        if found is None and self._has_repeaters:
            for template in self.controls:
                index = _repeater_index(template.name, name)
                if index is not None:
                    return _at_index(template, index)
        return found

    def object(self, name: str) -> ObjectTag | None:
        """The object tag of that name, with `Repeater` names filled in as `control` does."""
        found = self.objects.get(name)
        if found is None and self._has_repeaters:
            for template in self.objects.values():
                index = _repeater_index(template.name, name)
                if index is not None:
                    return dataclasses.replace(template, name=name, field=_filled(template.field, index))
        return found

    def object_for(self, control: ControlTag) -> ObjectTag:
        """The (first) object tag that ``control`` points at.

        Raises:
            LabelingConfigError: the control belongs to another config.
        """
        found = self.object(control.to_name[0]) if control.to_name else None
        if found is None:
            raise LabelingConfigError(
                f"{control} points at {','.join(control.to_name) or 'nothing'}, which is not in the labeling config.",
                hint="Correct its toName.",
            )
        return found

    def primary_object(self, outputs: Iterable[type[Output]] | None = None, kind: InputKind | None = None) -> ObjectTag:
        """The object tag whose data the model gets: that of the first control which takes one of ``outputs``.

        Per-region controls come last. With ``kind``, objects that this input cannot be read from are passed over.

        Raises:
            LabelingConfigError: the config has no object tag, or none that ``kind`` can be read from.
        """
        kinds = tuple(outputs or ())
        controls = sorted(self.controls, key=lambda control: control.per_region)
        fitting = [
            control for control in controls if any(takes_rank(self, kind_, control) is not None for kind_ in kinds)
        ]
        ordered = [self.object_for(control) for control in (*fitting, *controls) if control.to_name]
        for candidate in (*ordered, *self.objects.values()):
            if readable(candidate, kind):
                return candidate
        raise LabelingConfigError(
            "the labeling config shows nothing that the model can read.",
            hint='Add an object tag such as <Text name="text" value="$text"/>.',
        )

    def label_control(self, control: ControlTag) -> ControlTag | None:
        """The control that holds the labels of ``control``'s regions: itself, or a ``Labels`` on the same object.

        ``<Rectangle/>`` beside ``<Labels/>`` is Label Studio's split form: one region, two controls. None where the
        regions have no labels.
        """
        if control.has_labels or control.tag.endswith("Labels") or control.tag in PER_TASK_LABEL_CONTROLS:
            return control
        return self._companions.get(control.to_name)

    def region_text_control(self, control: ControlTag) -> ControlTag | None:
        """The per-region ``TextArea`` for what was read or said inside ``control``'s regions; None if there is none."""
        return next(
            (c for c in self.controls if c.tag == "TextArea" and c.per_region and c.to_name == control.to_name), None
        )

    # -- labels
    def map_label(self, control: ControlTag, label: str, label_map: Mapping[str, str] | None = None) -> str | None:
        """What Label Studio stores for a model's ``label`` under ``control``; None where it has no such label.

        First ``label_map`` (the user's), then ``predicted_values``, the exact value, the alias, and last the same
        without case, with spaces, underscores and hyphens alike. A nested label is found by its own name or by its
        path joined with ``/``. A control whose labels come from the task takes every label. In the split form the
        labels are those of `label_control`.
        """
        entry = self.map_entry(control, label, label_map)
        return entry.stored if entry else None

    def map_path(
        self, control: ControlTag, label: str, label_map: Mapping[str, str] | None = None
    ) -> tuple[str, ...] | None:
        """The stored path from the root to a model's ``label``, for ``Taxonomy`` and nested ``Choices``."""
        entry = self.map_entry(control, label, label_map)
        return entry.path or (entry.stored,) if entry else None

    def map_entry(self, control: ControlTag, label: str, label_map: Mapping[str, str] | None = None) -> Label | None:
        """As `map_label`, with all that is known about the label."""
        if label_map:
            label = label_map.get(label, label)
        holder = self.label_control(control)
        if holder is None:
            return None
        entry = holder.find(label)
        if entry is None and holder.dynamic:
            return Label(stored=label, value=label, path=(label,))
        return entry

    # -- outputs
    def find_control(self, output: Output, label_map: Mapping[str, str] | None = None) -> ControlTag:
        """The control that ``output`` goes to.

        ``output.control`` decides where it is given. Else: controls that take this kind of output and point at an
        object it can be drawn on; per-region ones where ``of`` is set and the others where not; those that have the
        output's labels; then the order of `TAKES`, then the object of the first.

        Raises:
            OutputError: none takes it, none has the label, or several do equally well.
        """
        kind = type(output)
        if isinstance(output, Raw):
            return self._named(str(output.region.get("from_name", "")), kind)
        if output.control is not None:
            return self._named(output.control, kind)
        candidates = self.controls_for(kind, per_region=output.of is not None)
        if not candidates:
            raise OutputError(
                f"the labeling config has no control for {NOUNS.get(kind, kind.__name__)} ({kind.__name__}).",
                hint=f"Add {or_list(f'<{takes.control}>' for takes in TAKES.get(kind, ())[:2])} to it."
                if kind in TAKES
                else "Return another kind of output.",
            )
        labels = labels_of(output)
        if labels:
            candidates = self._with_labels(candidates, labels, kind, label_map or _NO_MAP)
        best = [control for control in candidates if control.tag == candidates[0].tag]
        best = [control for control in best if control.to_name == best[0].to_name]
        if len(best) > 1:
            names = or_list(control.name for control in best)
            raise OutputError(
                f"{NOUNS.get(kind, kind.__name__)}{' ' + repr(labels[0]) if labels else ''} fits {names} alike.",
                hint=f"Name one: {kind.__name__}(..., control={best[0].name!r}).",
            )
        page = getattr(output, "page", None)
        if self._has_repeaters and "{{" in best[0].name:
            return _at_index(best[0], str(page or 0))
        return best[0]

    def _named(self, name: str, kind: type[Output]) -> ControlTag:
        control = self.control(name)
        if control is None:
            raise OutputError(
                f"the labeling config has no control named {name!r}.",
                hint=f"It has {or_list((c.name for c in self.controls), 'and') or 'no controls'}.",
            )
        if kind is not Raw and takes_rank(self, kind, control) is None:
            raise OutputError(
                f"{control} does not take {NOUNS.get(kind, kind.__name__)} ({kind.__name__}).",
                hint=f"Point at {or_list(f'a {takes.control}' for takes in TAKES.get(kind, ()))} control.",
            )
        return control

    def _with_labels(
        self, candidates: list[ControlTag], labels: tuple[str, ...], kind: type[Output], label_map: Mapping[str, str]
    ) -> list[ControlTag]:
        """Those candidates that have most of ``labels`` (and at least one), in their order."""
        counts = [
            sum(self.map_entry(control, label, label_map) is not None for label in labels) for control in candidates
        ]
        most = max(counts)
        if most:
            return [control for control, count in zip(candidates, counts, strict=True) if count == most]
        labelless = [control for control in candidates if self.label_control(control) is None]
        if labelless and kind not in (Choice, Choices):
            return labelless
        holder = self.label_control(candidates[0]) or candidates[0]
        raise OutputError(
            f"label {labels[0]!r} is not in {holder}, which has {some(holder.labels) or 'none'}.",
            hint=f'Add it there, or set a label map: {{"{labels[0]}": "..."}}.',
        )

    def controls_for(self, kind: type[Output], *, per_region: bool = False) -> list[ControlTag]:
        """Controls that take ``kind``, the best first; per-region ones only where no other takes it, or the reverse."""
        key = (kind, per_region)
        found = self._candidate_cache.get(key)
        if found is None:
            ranked = [(takes_rank(self, kind, control), control) for control in self.controls]
            fitting = [(rank, control) for rank, control in ranked if rank is not None]
            wanted = [pair for pair in fitting if pair[1].per_region == per_region]
            found = [control for _, control in sorted(wanted or fitting, key=lambda pair: pair[0])]
            self._candidate_cache[key] = found
        return found

    @cached_property
    def has_taxonomies(self) -> bool:
        """Whether a control is a ``Taxonomy``, whose classes are paths."""
        return any(control.tag == "Taxonomy" for control in self.controls)

    @cached_property
    def _candidate_cache(self) -> dict[tuple[type[Output], bool], list[ControlTag]]:
        return {}

    @cached_property
    def _controls_by_name(self) -> dict[str, ControlTag]:
        return {control.name: control for control in self.controls}

    @cached_property
    def _companions(self) -> dict[tuple[str, ...], ControlTag]:
        return {c.to_name: c for c in reversed(self.controls) if c.tag == "Labels"}

    @cached_property
    def _has_repeaters(self) -> bool:
        return any("{{" in control.name for control in self.controls) or any("{{" in name for name in self.objects)


def takes_rank(config: LabelingConfig, kind: type[Output], control: ControlTag) -> int | None:
    """How early ``control`` stands in the row of `TAKES` for ``kind``; None where it does not take it."""
    for rank, takes in enumerate(TAKES.get(kind, ())):
        if takes.control == control.tag:
            if takes.objects is None:
                return rank
            tag = config.object_for(control).tag
            if tag in takes.objects or tag not in OBJECT_TAGS:
                return rank
    return None


def readable(tag: ObjectTag, kind: InputKind | None) -> bool:
    """Whether a model's input of this kind can be read from what ``tag`` shows; unknown tags always pass."""
    tags = READS[kind] if kind is not None else None
    return tags is None or tag.tag in tags or tag.tag not in OBJECT_TAGS


def or_list(names: Iterable[str], word: str = "or") -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    parts = list(names)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}" if parts else ""


def some(names: Iterable[str], most: int = 6) -> str:
    """The first names of a list, and how many more there are."""
    parts = list(names)
    return ", ".join(parts[:most]) + (f" and {len(parts) - most} more" if len(parts) > most else "")


def _repeater_index(template: str, name: str) -> str | None:
    before, mark, rest = template.partition("{{")
    _, closed, after = rest.partition("}}")
    if not mark or not closed or not name.startswith(before) or not name.endswith(after):
        return None
    index = name[len(before) : len(name) - len(after)]
    return index if index.isdecimal() else None


def _filled(text: str, index: str) -> str:
    return re.sub(r"\{\{.*?\}\}", index, text)


def _at_index(control: ControlTag, index: str) -> ControlTag:
    return dataclasses.replace(
        control, name=_filled(control.name, index), to_name=tuple(_filled(name, index) for name in control.to_name)
    )
