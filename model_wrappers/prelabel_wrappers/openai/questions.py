"""From a labeling config to what a language model is asked: for each control a line, a JSON schema, and its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prelabel import outputs as o
from prelabel.errors import LabelingConfigError
from prelabel.labeling import ControlTag, LabelingConfig
from prelabel.labeling.config import some
from prelabel_wrappers.openai.hints import Hints, hints_of

SHOWN_OBJECTS = frozenset({"Text", "HyperText", "Paragraphs", "Image", "List", "Table", "Chat", "Header", "Markdown"})
"""Object tags whose data goes into the prompt: text, images, and JSON as it stands."""
MOST_IN_SCHEMA = 500
"""Names that a schema lists; servers refuse longer lists. Beyond it the answer is checked here alone."""
OUTPUTS: tuple[type[o.Output], ...] = (
    o.Choice,
    o.Choices,
    o.Taxonomy,
    o.Rating,
    o.Number,
    o.DateTime,
    o.Text,
    o.Preference,
    o.Span,
    o.ParagraphSpan,
)
"""What a language model can sensibly be asked for."""
_WHOLE: Mapping[str, type[o.Output]] = {
    "Choices": o.Choice,
    "Taxonomy": o.Taxonomy,
    "Rating": o.Rating,
    "Number": o.Number,
    "DateTime": o.DateTime,
    "TextArea": o.Text,
    "Pairwise": o.Preference,
}
_SPANS: Mapping[tuple[str, str], type[o.Output]] = {
    ("Labels", "Text"): o.Span,
    ("Labels", "HyperText"): o.Span,
    ("HyperTextLabels", "HyperText"): o.Span,
    ("HyperTextLabels", "Text"): o.Span,
    ("Labels", "Paragraphs"): o.ParagraphSpan,
    ("ParagraphLabels", "Paragraphs"): o.ParagraphSpan,
}


@dataclass(frozen=True)
class Question:
    """One control as it is asked.

    ``names`` are the labels as they are written in the prompt (nested ones as paths, ``Plant/Fern``), each with what an
    output calls it: the path from the root. ``line`` describes the answer in words, ``schema`` in JSON schema.
    """

    control: ControlTag
    kind: type[o.Output]
    schema: Mapping[str, Any]
    line: str
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """All questions of one config, and sentences about the controls that are not asked."""

    questions: tuple[Question, ...]
    left_out: tuple[str, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the whole answer, in the form that strict servers want: every key required, no others."""
        keys = {question.control.name: dict(question.schema) for question in self.questions}
        return {"type": "object", "properties": keys, "required": list(keys), "additionalProperties": False}


def questions_of(config: LabelingConfig, data: Mapping[str, Any]) -> Asked:
    """What is asked about one task.

    Args:
        config: the labeling config.
        data: the task's data: labels may come from it (``value="$classes"``).

    Raises:
        LabelingConfigError: the config has no control that a language model can answer.
    """
    hints = hints_of(config.xml)
    questions: list[Question] = []
    left_out: list[str] = []
    for control in config.controls:
        made = _question(control, config, data, hints)
        (questions if isinstance(made, Question) else left_out).append(made)  # type: ignore[arg-type]  # as checked
    if not questions:
        raise LabelingConfigError(
            f"a language model can answer none of the controls: {' '.join(left_out) or 'there are none.'}",
            hint="Add for example <Choices>, <Labels> on a text, <TextArea>, <Rating> or <Number>.",
        )
    return Asked(tuple(questions), tuple(left_out))


def _question(control: ControlTag, config: LabelingConfig, data: Mapping[str, Any], hints: Hints) -> Question | str:
    """The question, or why there is none."""
    shown = config.object_for(control).tag
    kind = _WHOLE.get(control.tag) or _SPANS.get((control.tag, shown))
    if "{{" in control.name:
        return f"{control} is repeated, and is not asked."
    if control.per_region:
        return f"{control} is about single regions, and is not asked."
    if shown not in SHOWN_OBJECTS:
        return f"{control} is about a {shown}, which is not sent."
    if kind is None:
        return f"{control} on a {shown} is not asked of a language model."
    names = names_of(control, data)
    if kind in (o.Choice, o.Taxonomy, o.Span, o.ParagraphSpan) and not names:
        where = f"the task's field {control.dynamic!r} has none" if control.dynamic else "it has none"
        return f"{control} cannot be asked without labels: {where}."
    if kind is o.Choice and control.multiple:
        kind = o.Choices
    schema, line = _ASKED[kind](control, list(names))
    said = hints.of_control(control.name)
    explained = [f"{name}: {hint}" for name, hint in hints.of_labels(control, names).items()]
    line += f" ({said})" if said else ""
    line += "".join(f"\n    {each}" for each in explained)
    return Question(control, kind, schema, line, names)


def names_of(control: ControlTag, data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Labels as the prompt writes them, each with its path of names that the config knows it by."""
    if control.dynamic and not control.entries:
        return {name: (name,) for name in _listed(data.get(control.dynamic))}
    return {
        ("/".join(entry.path) if len(entry.path) > 1 else entry.value): entry.path or (entry.stored,)
        for entry in control.entries
    }


def _listed(labels: Any) -> list[str]:
    """Labels of a task's own: a list of strings, or of objects with ``value`` (and ``alias``, which is stored)."""
    if not isinstance(labels, Sequence) or isinstance(labels, str):
        return []
    found = [each.get("alias") or each.get("value") if isinstance(each, Mapping) else each for each in labels]
    return [str(each) for each in found if each]


def _one(names: list[str]) -> dict[str, Any]:
    return {"type": "string", "enum": names} if 0 < len(names) <= MOST_IN_SCHEMA else {"type": "string"}


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _choice(control: ControlTag, names: list[str]) -> tuple[dict[str, Any], str]:
    return _one(names), f"exactly one of {_quoted(names)}"


def _choices(control: ControlTag, names: list[str]) -> tuple[dict[str, Any], str]:
    return {"type": "array", "items": _one(names)}, f"a list of all that apply of {_quoted(names)}; [] for none"


def _taxonomy(control: ControlTag, names: list[str]) -> tuple[dict[str, Any], str]:
    return _choices(control, names) if control.multiple else _choice(control, names)


def _rating(control: ControlTag, names: list[str]) -> tuple[dict[str, Any], str]:
    most = highest_rating(control)
    return {"type": "integer", "enum": list(range(1, most + 1))}, f"an integer from 1 (worst) to {most} (best)"


def _number(control: ControlTag, names: list[str]) -> tuple[dict[str, Any], str]:
    told = [f"{word} {control.attributes[key]}" for key, word in (("min", "at least"), ("max", "at most"))
            if control.attributes.get(key)]  # fmt: skip
    return {"type": "number"}, "a number" + (f", {' and '.join(told)}" if told else "")


def _date(control: ControlTag, names: list[str]) -> tuple[dict[str, Any], str]:
    form = control.attributes.get("format") or ("YYYY-MM-DD" if control.attributes.get("only") else "YYYY-MM-DDTHH:MM")
    return {"type": "string"}, f"a date as {form}"


def _text(control: ControlTag, names: list[str]) -> tuple[dict[str, Any], str]:
    return {"type": "string"}, "a text"


def _preference(control: ControlTag, names: list[str]) -> tuple[dict[str, Any], str]:
    left, right = (*control.to_name, *control.to_name)[:2]
    return {"type": "string", "enum": ["left", "right"]}, f'"left" if {left} is better, "right" if {right} is'


def _spans(control: ControlTag, names: list[str]) -> tuple[dict[str, Any], str]:
    entry = {
        "type": "object",
        "properties": {"quote": {"type": "string"}, "label": _one(names)},
        "required": ["quote", "label"],
        "additionalProperties": False,
    }
    line = (
        f"a list of the parts of {control.to_name[0]} that are {_quoted(names)}, in the order of the text, each as "
        '{"quote": the words copied exactly from the text, "label": one of these}; [] for none'
    )
    return {"type": "array", "items": entry}, line


_ASKED = {
    o.Choice: _choice,
    o.Choices: _choices,
    o.Taxonomy: _taxonomy,
    o.Rating: _rating,
    o.Number: _number,
    o.DateTime: _date,
    o.Text: _text,
    o.Preference: _preference,
    o.Span: _spans,
    o.ParagraphSpan: _spans,
}


def highest_rating(control: ControlTag) -> int:
    """The most stars of a ``Rating``; Label Studio's default is 5."""
    told = control.attributes.get("maxRating", "")
    return int(told) if told.isdecimal() and int(told) > 0 else 5


def told_once(asked: Asked) -> str:
    """What is not asked, for the log."""
    return some(asked.left_out, 4)
