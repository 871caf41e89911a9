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
    o.Taxonomy: (("str", '"{0}"'), ("list", '["{0}", "{1}"]')),
    o.Rating: (("number", "4"),),
    o.Number: (("number", "7.5"),),
    o.DateTime: (("str", '"2026-01-31"'),),
    o.Text: (("str", '"some text"'), ("dict", '{{"text": "some text"}}')),
    o.Preference: (("str", '"left"'),),
    o.Ranking: (("list", '["id2", "id1"]'),),
    o.ChatMessage: (("str", '"an answer"'),),
    o.Span: (("list", '[(0, 5, "{0}")]'), ("dict", '[{{"start": 0, "end": 5, "label": "{0}", "score": 0.9}}]')),
    o.ParagraphSpan: (("dict", '[{{"paragraph": 0, "start": 0, "end": 5, "label": "{0}"}}]'),),
    o.Segment: (("list", '[(0.0, 1.5, "{0}")]'), ("dict", '[{{"start": 0.0, "end": 1.5, "label": "{0}"}}]')),
    o.SeriesSegment: (
        ("list", '[(10, 20, "{0}")]'),
        ("dict", '[{{"start": 10, "end": 20, "label": "{0}"}}]'),
        ("array", '{{"flags": array, "times": array, "label": "{0}"}}'),
    ),
    o.FrameSpan: (("list", '[(1, 25, "{0}")]'), ("dict", '[{{"start": 1, "end": 25, "label": "{0}"}}]')),
    o.Box: (
        ("list", '[(x1, y1, x2, y2, "{0}", 0.9)]'),
        ("dict", '[{{"box": [x1, y1, x2, y2], "label": "{0}"}}]'),
        ("array", '{{"xyxy": array, "names": ["{0}", "{1}"]}}'),
    ),
    o.Mask: (
        ("dict", '{{"{0}": mask}}'),
        ("array", '[(mask, "{0}", 0.9)]'),
        ("array", '{{"masks": array, "labels": ["{0}", "{1}"]}}'),
    ),
    o.Polygon: (("dict", '[{{"points": [(x, y), ...], "label": "{0}"}}]'),),
    o.Keypoint: (
        ("dict", '[{{"x": 10, "y": 20, "label": "{0}"}}]'),
        ("array", '{{"keypoints": array, "names": ["{0}", "{1}"]}}'),
    ),
    o.Polyline: (("dict", '[{{"points": [(x, y), ...], "label": "{0}"}}]'),),
    o.Ellipse: (("output", 'Ellipse(x, y, radius_x, radius_y, "{0}")'),),
    o.Track: (("output", 'Track(boxes, "{0}")'),),
    o.VectorTrack: (("output", 'VectorTrack(lines, "{0}")'),),
}
"""For each kind of output: Python type and template; ``{0}`` and ``{1}`` are labels of the config."""


def refusal(raw: Any, config: LabelingConfig, why: str = "") -> OutputError:
    """The error for a value that has no one meaning: its type, a sample, the three nearest forms that would work."""
    controls = or_list((str(control) for control in config.controls[:4]), "and") or "no controls"
    kind = _family(raw)
    forms = sorted(_forms(config), key=lambda form: form[0] != kind)
    nearest = list(dict.fromkeys(text for _, text in forms))[:3]
    reason = why or f"has no one obvious meaning for a labeling config with {controls}"
    return OutputError(
        f"the model's {type(raw).__name__} {sample(raw)} {reason}.",
        hint=f"Return {or_list(nearest)}."
        if nearest
        else "Return Label Studio regions, or change the labeling config.",
    )


def _family(raw: Any) -> str:
    checks: tuple[tuple[str, Callable[[Any], bool]], ...] = (
        ("str", lambda value: isinstance(value, str)),
        ("number", lambda value: isinstance(value, bool) or is_number(value)),
        ("dict", lambda value: isinstance(value, Mapping)),
        ("array", is_array),
        ("list", lambda value: isinstance(value, list | tuple)),
    )
    return next((name for name, check in checks if check(raw)), "output")


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
