"""Whether a model and a labeling config fit: one plain sentence where they do not, and what gets lost where they do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prelabel.labeling.config import LabelingConfig, or_list, readable, some, takes_rank
from prelabel.labeling.elements import ControlTag
from prelabel.labeling.tags import INPUT_NOUNS, NOUNS, READS, TAKES
from prelabel.model import InputKind
from prelabel.outputs import Choice, Choices, DateTime, Number, Output, Rating, Raw, Regions, Relation, Taxonomy, Text

REASON_LENGTH = 300
"""Most characters of a refusal: it travels in a HTTP reason phrase."""

LISTED_LABELS = 12
"""Labels without a place that are named one by one; of more, the first ones in one sentence."""

_ALWAYS: tuple[type[Output], ...] = (Raw, Regions, Relation)
_CLASSES: tuple[type[Output], ...] = (Choice, Choices, Taxonomy)
_ANSWERS: tuple[type[Output], ...] = (*_CLASSES, Text, Rating, Number, DateTime)
"""What may be said of the whole item, or of a region."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a config takes anything that a model says.

    Attributes:
        ok: something fits.
        refusal: where nothing does, why and what to change: one printable sentence on one line, at most 300 characters.
        dropped: where part fits, what will be dropped, one sentence each.
    """

    ok: bool
    refusal: str = ""
    dropped: tuple[str, ...] = ()


def fit(
    config: LabelingConfig,
    *,
    outputs: Sequence[type[Output]] | None = None,
    labels: Sequence[str] | None = None,
    label_map: Mapping[str, str] | None = None,
    kind: InputKind | None = None,
) -> Fit:
    """Compare what a model declares about itself with a labeling config. Never raises.

    ``outputs``, ``labels`` and ``kind`` are `ModelWrapper.outputs`, ``labels`` and ``input``; None means not known, and
    what is not known is taken to fit. No outputs at all are those of an encoder, which fits nothing.
    """
    refusal = _unusable(config, kind)
    if refusal:
        return _refused(refusal)
    if outputs is not None and not outputs:
        return _refused("The model embeds and predicts nothing: connect one that predicts.")
    taken, lost = _split_outputs(config, outputs)
    if outputs and not taken:
        return _refused(_no_control(config, lost))
    dropped = [f"{NOUNS[each]} ({each.__name__}): no control takes them." for each in lost]
    controls = _label_controls(config, taken if outputs else None)
    if labels and (controls or not _can_do_without_labels(config, taken if outputs else None)):
        missing = [
            label for label in labels if not any(config.map_label(control, label, label_map) for control in controls)
        ]
        if len(missing) == len(labels):
            return _refused(_no_label(config, missing, controls))
        names = or_list((str(control) for control in controls), "and")
        if len(missing) > LISTED_LABELS:
            listed = some((repr(label) for label in missing), LISTED_LABELS)
            dropped.append(f"{len(missing)} of {len(labels)} labels: not in {names}: {listed}.")
        else:
            dropped += [f"label {label!r}: not in {names}." for label in missing]
    return Fit(ok=True, dropped=tuple(dropped))


def reason_phrase(sentence: str) -> str:
    """``sentence`` short enough for a HTTP reason phrase: printable, on one line, at most 300 characters.

    Letters beyond ASCII stay; the server writes them as HTML does (``&#223;``), which Label Studio's dialog shows well.
    """
    line = " ".join(sentence.split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= REASON_LENGTH else line[: REASON_LENGTH - 3].rstrip() + "..."


def _refused(sentence: str) -> Fit:
    return Fit(ok=False, refusal=reason_phrase(sentence))


def _unusable(config: LabelingConfig, kind: InputKind | None) -> str:
    if not config.controls:
        return (
            "The labeling config has no control tag, so predictions have nowhere to go: choose a template in "
            'Settings > Labeling Interface, or add for example <Choices name="label" toName="text">.'
        )
    tags = READS[kind] if kind is not None else None
    if kind is None or tags is None or any(readable(tag, kind) for tag in config.objects.values()):
        return ""
    shown = some(sorted({tag.tag for tag in config.objects.values()}))
    example = "Text" if kind is InputKind.TEXT else sorted(tags)[-1] if kind is InputKind.ARRAY else sorted(tags)[0]
    return (
        f"The model reads {INPUT_NOUNS[kind]} but the labeling config shows only {shown}: "
        f'add <{example} name="{example.lower()}" value="${example.lower()}"/> and a control on it, '
        "or connect a model for this kind of data."
    )


def _split_outputs(
    config: LabelingConfig, outputs: Sequence[type[Output]] | None
) -> tuple[list[type[Output]], list[type[Output]]]:
    taken: list[type[Output]] = []
    lost: list[type[Output]] = []
    for each in outputs or ():
        fits = each in _ALWAYS or each not in TAKES or _controls_for(config, each)
        (taken if fits else lost).append(each)
    if all(each in _ANSWERS for each in taken):  # then there is no region that could be asked about
        only = [each for each in taken if all(control.per_region for control in _controls_for(config, each))]
        taken, lost = [each for each in taken if each not in only], [*lost, *only]
    return taken, lost


def _controls_for(config: LabelingConfig, each: type[Output]) -> list[ControlTag]:
    return [control for control in config.controls if takes_rank(config, each, control) is not None]


def _label_controls(config: LabelingConfig, taken: Sequence[type[Output]] | None) -> list[ControlTag]:
    """The controls in which the model's labels are looked for, without repetition, in the order of the config."""
    kinds = None if taken is None or any(each not in TAKES for each in taken) else taken
    found: dict[str, ControlTag] = {}
    for control in config.controls:
        if kinds is None or any(takes_rank(config, each, control) is not None for each in kinds):
            holder = config.label_control(control)
            if holder is not None:
                found.setdefault(holder.name, holder)
    return list(found.values())


def _can_do_without_labels(config: LabelingConfig, taken: Sequence[type[Output]] | None) -> bool:
    """Whether some output goes to a control that needs no label: a plain rectangle, a text area."""
    if taken is None:
        return True
    return any(each not in _CLASSES for each in taken)


def _no_control(config: LabelingConfig, lost: Sequence[type[Output]]) -> str:
    said = or_list((NOUNS[each] for each in lost), "and")
    wanted = next(takes for takes in TAKES[lost[0]])
    on = _object_name(config, wanted.objects)
    where = f'add <{wanted.control} name="{wanted.control.lower()}" toName="{on}">' if on else f"add <{wanted.control}>"
    if not on and wanted.objects:
        where += (
            f" on {or_list(f'an {tag}' if tag[0] in 'AEIOU' else f'a {tag}' for tag in sorted(wanted.objects)[:2])}"
        )
    has = some((str(control) for control in config.controls), 3)
    return f"The model says {said}, but the labeling config has only {has}: {where} to it, or connect another model."


def _object_name(config: LabelingConfig, tags: Iterable[str] | None) -> str:
    allowed = None if tags is None else set(tags)
    return next((tag.name for tag in config.objects.values() if allowed is None or tag.tag in allowed), "")


def _no_label(config: LabelingConfig, missing: Sequence[str], controls: Sequence[ControlTag]) -> str:
    says = some((_short(label) for label in missing), 4)
    if not controls:
        has = some((str(control) for control in config.controls), 3)
        return (
            f"The model says {says}, but the labeling config has only {has}, which have no labels: "
            f'add <Choices name="label" toName="{next(iter(config.objects), "text")}"> with them.'
        )
    child = "Choice" if controls[0].tag in {"Choices", "Taxonomy"} else "Label"
    kinds = or_list(dict.fromkeys(f"{control.tag}" for control in controls[:2]))
    on = config.object_for(controls[0]).tag
    has = some((_short(label) for label in controls[0].labels), 4) or "none"
    return (
        f"The model says {says}, but no {kinds} control on {on} has them ({controls[0].name} has {has}): "
        f'add <{child} value="{_short(missing[0])}"/> to {controls[0].name}, or set --label-map.'
    )


def _short(label: str, most: int = 30) -> str:
    """A label that leaves room for the rest of the sentence."""
    return label if len(label) <= most else label[: most - 3] + "..."
