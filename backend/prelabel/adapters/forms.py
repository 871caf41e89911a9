"""The forms of plain Python that would work for a labeling config: what a refusal offers instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prelabel import outputs as o
from prelabel.adapters.values import is_array, is_number, sample
from prelabel.errors import OutputError
from prelabel.labeling import LabelingConfig
from prelabel.labeling.config import or_list

_FORMS: Mapping[type[o.Output], tuple[tuple[str, str], ...]] = {
    o.Choice: (
        ("str", '"{0}"'),
        ("dict", '{{"{0}": 0.9, "{1}": 0.1}}'),
        ("list", '("{0}", 0.9)'),
        ("array", '{{"probabilities": array, "names": ["{0}", "{1}"]}}'),
    ),
    o.Taxonomy: (("str", '"{0}"'), ("list", '["{0}", "{1}"]'), ("dict", '{{"{0}": 0.9, "{1}": 0.1}}')),
    o.Rating: (("number", "4"), ("class", "Rating(4)")),
    o.Number: (("number", "7.5"), ("class", "Number(7.5)")),
    o.DateTime: (("str", '"2026-01-31"'), ("class", 'DateTime("2026-01-31")')),
    o.Text: (("str", '"some text"'), ("dict", '{{"text": "some text"}}'), ("class", 'Text("some text", score=0.9)')),
    o.Preference: (("str", '"left"'), ("class", 'Preference("left", score=0.9)')),
    o.Ranking: (("list", '["id2", "id1"]'), ("class", 'Ranking(("id2", "id1"))')),
    o.ChatMessage: (("str", '"an answer"'), ("class", 'ChatMessage("an answer")')),
    o.Span: (
        ("list", '[(0, 5, "{0}")]'),
        ("dict", '[{{"start": 0, "end": 5, "label": "{0}", "score": 0.9}}]'),
        ("class", '[Span(0, 5, "{0}", score=0.9)]'),
    ),
    o.ParagraphSpan: (
        ("dict", '[{{"paragraph": 0, "start": 0, "end": 5, "label": "{0}"}}]'),
        ("class", '[ParagraphSpan(0, 0, 5, "{0}")]'),
    ),
    o.Segment: (
        ("list", '[(0.0, 1.5, "{0}")]'),
        ("dict", '[{{"start": 0.0, "end": 1.5, "label": "{0}"}}]'),
        ("array", '{{"flags": array, "times": array, "label": "{0}"}}'),
    ),
    o.SeriesSegment: (
        ("list", '[(10, 20, "{0}")]'),
        ("dict", '[{{"start": 10, "end": 20, "label": "{0}"}}]'),
        ("array", '{{"flags": array, "times": array, "label": "{0}"}}'),
    ),
    o.FrameSpan: (
        ("list", '[(1, 25, "{0}")]'),
        ("dict", '[{{"start": 1, "end": 25, "label": "{0}"}}]'),
        ("array", '{{"flags": array, "label": "{0}"}}'),
    ),
    o.Box: (
        ("list", '[(x1, y1, x2, y2, "{0}", 0.9)]'),
        ("dict", '[{{"box": [x1, y1, x2, y2], "label": "{0}"}}]'),
        ("array", '{{"xyxy": array, "labels": ["{0}", "{1}"]}}'),
    ),
    o.Mask: (
        ("dict", '{{"{0}": mask}}'),
        ("array", '[(mask, "{0}", 0.9)]'),
        ("integers", '{{"label_map": array, "names": ["background", "{0}", "{1}"]}}'),
        ("array", '{{"masks": array, "labels": ["{0}", "{1}"]}}'),
    ),
    o.Polygon: (
        ("dict", '[{{"points": [(x, y), ...], "label": "{0}"}}]'),
        ("list", '[([(x, y), ...], "{0}", 0.9)]'),
        ("array", '{{"masks": array, "labels": ["{0}", "{1}"]}}'),
    ),
    o.Keypoint: (
        ("dict", '[{{"x": 10, "y": 20, "label": "{0}"}}]'),
        ("list", '[(10, 20, "{0}")]'),
        ("array", '{{"keypoints": array, "names": ["{0}", "{1}"]}}'),
    ),
    o.Polyline: (
        ("dict", '[{{"points": [(x, y), ...], "label": "{0}"}}]'),
        ("class", '[Polyline(((x, y), ...), "{0}")]'),
    ),
    o.Ellipse: (("class", '[Ellipse(x, y, radius_x, radius_y, "{0}")]'),),
    o.Track: (("class", '[Track((TrackBox(1, x, y, width, height), ...), "{0}")]'),),
    o.VectorTrack: (("class", '[VectorTrack((TrackLine(1, ((x, y), ...)), ...), "{0}")]'),),
}
"""For each kind of output: family (a Python type, or ``class`` for prelabel's own) and template; ``{0}`` and ``{1}``
are labels of the config."""


def refusal(raw: Any, config: LabelingConfig, why: str = "") -> OutputError:
    """The error for a value that has no one meaning: its type, a sample, the three nearest forms that would work."""
    controls = or_list((str(control) for control in config.controls[:4]), "and") or "no controls"
    near = _families(raw)
    forms = sorted(_forms(config), key=lambda form: near.index(form[0]) if form[0] in near else len(near))
    nearest = list(dict.fromkeys(text for _, text in forms))[:3]
    reason = why or f"has no one obvious meaning for a labeling config with {controls}"
    return OutputError(
        f"the model's {_shown(raw)} {reason}.",
        hint=f"Return {or_list(nearest)}."
        if nearest
        else "Return Label Studio regions, or change the labeling config.",
    )


def within(error: OutputError, whole: Any) -> OutputError:
    """The error for a part of what the model returned, with the whole of it."""
    begins = f"the model's {_shown(whole)} "
    if not error.message.startswith("the model's ") or error.message.startswith(begins):
        return error
    return OutputError(f"{error.message} It comes from the {_shown(whole)}.", hint=error.hint)


def _shown(raw: Any) -> str:
    """The type and a sample, which of some types begins with its name."""
    kind, text = type(raw).__name__, sample(raw)
    return text if text.startswith((f"{kind}(", f"{kind} ")) else f"{kind} {text}"


def _families(raw: Any) -> tuple[str, ...]:
    """The families of forms that are like ``raw``, the nearest first."""
    if is_array(raw) and raw.dtype.kind in "iu":
        return ("integers", "array")
    checks: tuple[tuple[str, Callable[[Any], bool]], ...] = (
        ("str", lambda value: isinstance(value, str)),
        ("number", lambda value: isinstance(value, bool) or is_number(value)),
        ("dict", lambda value: isinstance(value, Mapping)),
        ("array", is_array),
        ("list", lambda value: isinstance(value, list | tuple)),
    )
    return tuple(name for name, check in checks if check(raw))


def _forms(config: LabelingConfig) -> Iterator[tuple[str, str]]:
    for kind, templates in _FORMS.items():
        controls = config.controls_for(kind)
        if not controls or (controls[0].per_region and kind is not o.Box):
            continue
        if kind is o.Taxonomy and controls[0].tag != "Taxonomy" and not controls[0].multiple:
            continue
        if kind is o.Mask and not controls[0].tag.startswith(("Brush", "Bitmask", "MagicWand")):
            continue
        holder = config.label_control(controls[0]) or controls[0]
        labels = [*holder.labels[:2], "label", "other"]
        for family, template in templates:
            yield family, template.format(*labels)
        if kind is o.Box and any(control.per_region for control in config.controls_for(o.Text)):
            yield "dict", '[{"box": [x1, y1, x2, y2], "text": "some text"}]'
    if len(config.controls) > 1:
        yield "dict", "{" + ", ".join(f'"{control.name}": ...' for control in config.controls[:2]) + "}"
