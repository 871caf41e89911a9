"""What a model returned for one item to outputs: outputs themselves, or plain Python with one obvious meaning.

Which meaning is obvious depends on the labeling config: ``4`` is a rating where there is a ``Rating``, and
``(0, 5, "PER")`` is a span of a text but a segment of an audio. What could mean two things is refused with the forms
that would work; nothing is guessed. docs/labeling-configs.md lists the forms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from prelabel.adapters.forms import refusal, within
from prelabel.adapters.reading import Reading
from prelabel.adapters.values import is_number, plain
from prelabel.errors import OutputError
from prelabel.labeling import LabelingConfig
from prelabel.labeling.config import or_list
from prelabel.labeling.tags import NOUNS, TAKES
from prelabel.outputs import Choice, Choices, Output, Regions, Taxonomy

__all__ = ["stated_score", "to_outputs"]


def to_outputs(
    raw: object,
    config: LabelingConfig,
    label_map: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
) -> list[Output]:
    """A model's result for one item as outputs; None and empty containers say nothing.

    ``names`` are the labels that the model declares, in the order of its classes' numbers: what numbers and arrays mean
    that bring no names of their own.

    Classes that go to a ``Taxonomy`` become paths from the root, and the reverse where there are only ``Choices``.
    NumPy is never imported for this; its scalars and arrays are recognised where they come.

    Raises:
        OutputError: the value has no meaning for this config, or more than one; the message shows a sample of it, the
            hint the nearest forms that would work.
    """
    if isinstance(raw, Output):
        outputs = [raw]
    else:
        try:
            outputs = Reading(config, label_map or {}, names=tuple(names or ())).outputs(raw)
        except OutputError as error:
            raise within(error, raw) from None
        _need_a_place(outputs, raw, config)
    return [
        _settled(output, config, label_map) if config.has_taxonomies or isinstance(output, Taxonomy) else output
        for output in outputs
    ]


def _need_a_place(outputs: Sequence[Output], raw: object, config: LabelingConfig) -> None:
    """Refuse a result all of which is of kinds that no control takes, unless the model gave outputs of its own.

    These are dropped with their reason by the conversion to regions, since a model may say more than a config asks.
    """
    if isinstance(raw, list | tuple) and any(isinstance(each, Output) for each in raw):
        return
    kinds = dict.fromkeys(type(output) for output in outputs)
    if kinds and not any(kind not in TAKES or config.controls_for(kind) for kind in kinds):
        held = or_list((NOUNS.get(kind, kind.__name__) for kind in kinds), "and")
        raise refusal(raw, config, f"holds {held}, which no control of the labeling config takes")


def stated_score(raw: object) -> float | None:
    """The score of the whole item that a Label Studio prediction has beside its ``result``, 0..1; else None."""
    if isinstance(raw, Output):
        score = raw.score if isinstance(raw, Regions) else None
    else:
        raw = plain(raw)
        if isinstance(raw, list | tuple) and len(raw) == 1:
            raw = plain(raw[0])
        score = raw.get("score") if isinstance(raw, Mapping) and "result" in raw else None
    score = plain(score)
    return min(max(float(score), 0.0), 1.0) if is_number(score) and math.isfinite(score) else None


def _settled(output: Output, config: LabelingConfig, label_map: Mapping[str, str] | None) -> Output:
    """A class as `Taxonomy` where its control is one, and taxonomy paths as `Choices` where it is not."""
    if not isinstance(output, Choice | Choices | Taxonomy):
        return output
    try:
        control = config.find_control(output, label_map)
    except OutputError:
        return output  # the conversion to regions finds and explains it
    if isinstance(output, Taxonomy) == (control.tag == "Taxonomy"):
        return output
    rest: dict[str, Any] = {name: getattr(output, name) for name in ("score", "id", "of", "meta", "distribution")} | {
        "control": control.name
    }
    if isinstance(output, Taxonomy):
        return Choices(tuple(path[-1] for path in output.paths if path), **rest)
    labels = (output.label,) if isinstance(output, Choice) else output.labels
    return Taxonomy(tuple(config.map_path(control, label, label_map) or (label,) for label in labels), **rest)
