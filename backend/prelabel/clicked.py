"""The answer to a click: where the model says no label, the one that the person had chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from prelabel.adapters import to_outputs
from prelabel.adapters.values import is_array
from prelabel.context import chosen, clicked_page
from prelabel.labeling import LabelingConfig
from prelabel.outputs import Boxes, Mask, Output


def completed(
    raw: object,
    config: LabelingConfig,
    context: Mapping[str, Any],
    label_map: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
) -> object:
    """What a model returned for a click, with labels; itself where nothing is to be added.

    The clicked control need not be the one that takes the answer: a point of a ``KeyPointLabels`` becomes a mask in
    ``BrushLabels``. The label is added where a control that takes this kind of output has it, too. Between controls
    alike, the clicked one is meant. A bare array of bool ``[height, width]`` is a mask. An output that names no page of
    a multi-page image is on the clicked one.

    Raises:
        OutputError: as `prelabel.adapters.to_outputs`.
    """
    label, control = chosen(context)
    page = clicked_page(context)
    if raw is None or (label is None and page is None):
        return raw
    if is_array(raw) and getattr(raw, "ndim", 0) == 2 and getattr(raw, "dtype", raw).kind == "b":  # type: ignore[attr-defined]  # an array's, by `is_array`
        raw = Mask(raw)  # type: ignore[arg-type]  # as above
    said = to_outputs(raw, config, label_map, names)
    done = [_on_page(output, page) for output in said]
    if label is not None:
        done = [_with_label(output, config, label, control, label_map) for output in done]
    return raw if all(one is other for one, other in zip(said, done, strict=True)) else done


def _with_label(
    output: Output, config: LabelingConfig, label: str, clicked: str, label_map: Mapping[str, str] | None
) -> Output:
    if output.of is not None or not _lacks_label(output):
        return output
    takes = [
        control
        for control in config.controls_for(type(output))
        if output.control in (None, control.name) and config.map_entry(control, label, label_map) is not None
    ]
    if not takes:
        return output
    alike = [control.name for control in takes if control.tag == takes[0].tag]
    into = clicked if output.control is None and len(alike) > 1 and clicked in alike else output.control
    if isinstance(output, Boxes):
        return dataclasses.replace(output, labels=[label] * len(list(output)), control=into)
    changes: dict[str, Any] = {"label": label, "control": into}
    return dataclasses.replace(output, **changes)


def _on_page(output: Output, page: int | None) -> Output:
    if page is None or getattr(output, "page", 0) is not None:
        return output
    changes: dict[str, Any] = {"page": page}
    return dataclasses.replace(output, **changes)


def _lacks_label(output: Output) -> bool:
    if isinstance(output, Boxes):
        return output.labels is None
    return any(each.name == "label" for each in dataclasses.fields(output)) and getattr(output, "label", "") is None
