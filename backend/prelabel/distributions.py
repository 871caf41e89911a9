"""The probabilities of classes that a model states beside its answer, kept with the region that the answer becomes.

A distribution is JSON, ``{"exclusive": true, "classes": {"Positive": 0.9, "Negative": 0.1}}``. Its classes are the
labeling config's where it has them. ``exclusive`` classes sum to 1; of others each has a probability by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import urandom
from typing import TYPE_CHECKING, Any

from prelabel.outputs import Choice, Choices, Output, Taxonomy

if TYPE_CHECKING:
    from prelabel.labeling import LabelingConfig
    from prelabel.labeling.elements import ControlTag

Distribution = Mapping[str, Any]
MOST = 100
"""Classes of one distribution that are kept, the likeliest: a prediction with all of ImageNet's would be 30 kB."""
DIGITS = 6
"""Decimal places: what is beyond changes no order and costs room in every row."""


def with_ids(outputs: Iterable[Output]) -> list[Output]:
    """Outputs whose distribution is to be found again from their region get an id before they become one."""
    return [
        replace(output, id=urandom(5).hex())
        if output.id is None and output.of is None and getattr(output, "distribution", None)
        else output
        for output in outputs
    ]


def distributions_of(
    outputs: Sequence[Output],
    result: Sequence[Mapping[str, Any]],
    config: LabelingConfig,
    label_map: Mapping[str, str] | None = None,
) -> dict[str, Distribution]:
    """The distributions of answers about a whole task, by region id.

    Args:
        outputs: with ids, see `with_ids`; those about one region of several have no place of their own.
        result: the regions that they became; an output that was dropped is not among them.
        config: the labeling config, in whose names classes are kept.
        label_map: the model's labels to the config's.
    """
    said = {
        output.id: output
        for output in outputs
        if isinstance(output, Choice | Choices | Taxonomy) and output.of is None and output.distribution
    }
    found: dict[str, Distribution] = {}
    for region in result if said else ():
        output = said.get(region.get("id"))
        control = config.control(str(region.get("from_name", ""))) if output is not None else None
        if output is None or control is None:
            continue
        exclusive = isinstance(output, Choice)
        classes = _named(output.distribution or {}, config, control, label_map, exclusive=exclusive)
        if classes:
            found[str(output.id)] = {"exclusive": exclusive, "classes": classes}
    return found


def _named(
    said: Mapping[str, float],
    config: LabelingConfig,
    control: ControlTag,
    label_map: Mapping[str, str] | None,
    *,
    exclusive: bool,
) -> dict[str, float]:
    """Probabilities under the config's names; several classes of the model may be one there."""
    known = {label: value for label, share in said.items() if math.isfinite(value := float(share)) and value >= 0}
    total = sum(known.values()) if exclusive else 1.0
    if total <= 0:
        return {}
    likeliest = sorted(known, key=lambda label: -known[label])[:MOST]
    classes: dict[str, float] = {}
    for label in likeliest:
        path = config.map_path(control, label, label_map) or (label,)
        name = "/".join(path)
        share = known[label] / total
        before = classes.get(name, 0.0)
        classes[name] = before + share if exclusive else max(before, min(share, 1.0))
    return {name: round(share, DIGITS) for name, share in classes.items()}


__all__ = ["MOST", "Distribution", "distributions_of", "with_ids"]
