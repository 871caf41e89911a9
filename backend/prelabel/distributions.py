"""The probabilities of classes that a model states beside its answer, kept with the region that the answer becomes.

A distribution is JSON, ``{"exclusive": true, "classes": {"Positive": 0.9, "Negative": 0.1}}``. Its classes are the
labeling config's where it has them. ``exclusive`` classes sum to 1; of others each has a probability by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prelabel.outputs import Choice

if TYPE_CHECKING:
    from prelabel.labeling import LabelingConfig
    from prelabel.labeling.elements import ControlTag
    from prelabel.regions import Conversion

Distribution = Mapping[str, Any]
MOST = 100
"""Classes of one distribution that are kept, the likeliest: a prediction with all of ImageNet's would be 30 kB."""
DIGITS = 6
"""Decimal places: what is beyond changes no order and costs room in every row."""


def distributions_of(
    conversion: Conversion, config: LabelingConfig, label_map: Mapping[str, str] | None = None
) -> dict[str, Distribution]:
    """The distributions of answers about a whole task, by region id.

    Args:
        conversion: the regions that outputs became; what was dropped is not among them, and answers about one region
            of several have no place of their own.
        config: the labeling config, in whose names classes are kept.
        label_map: the model's labels to the config's.
    """
    found: dict[str, Distribution] = {}
    for region in conversion.result if conversion.distributed else ():
        output = conversion.distributed.get(str(region.get("id")))
        control = config.control(str(region.get("from_name", ""))) if output is not None else None
        said: Mapping[str, float] | None = getattr(output, "distribution", None)
        if said is None or control is None:
            continue
        exclusive = isinstance(output, Choice)
        classes = _named(said, config, control, label_map, exclusive=exclusive)
        if classes:
            found[region["id"]] = {"exclusive": exclusive, "classes": classes}
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


__all__ = ["MOST", "Distribution", "distributions_of"]
