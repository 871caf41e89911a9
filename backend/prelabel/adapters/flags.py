"""One flag for each sample, window or frame to the stretches in which it is set."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np

from prelabel import outputs as o
from prelabel.adapters.drawn import stretch
from prelabel.adapters.menu import Menu
from prelabel.adapters.naming import listed, named
from prelabel.adapters.values import is_number
from prelabel.labeling import ControlTag

STRETCHES: tuple[type[o.Output], ...] = (o.SeriesSegment, o.FrameSpan, o.Segment)
"""What flags may become."""


def stretches(
    flags: Any, times: Any, menu: Menu, raw: Any, *, label: str | None = None, names: Mapping[int, str] | None = None
) -> list[o.Output]:
    """Runs of equal flags as segments.

    Args:
        flags: bool (or 0 and 1) where ``label``, or the control's only label, is meant; numbers of classes, 0 for
            nothing; or names, empty or None for nothing.
        times: of each flag: values of the time column, or seconds of an audio, where a stretch lasts until the next
            flag. Without them flags count rows of a time series without ``timeColumn``, or frames of a video from 1.
        menu: the config.
        raw: what the error shows.
        label: of all stretches.
        names: of classes' numbers.

    Raises:
        OutputError: the config has no one place for stretches, or the times are missing or do not fit.
    """
    said = listed(flags) or []
    kind = stretch(menu, label)
    if kind is None or kind is o.Span:
        raise menu.refuse(raw, "holds flags, and the labeling config has no one control for stretches of time")
    moments = _moments(times, len(said), kind, menu, raw)
    labels = _labels(said, label, names, menu, raw)
    if "" in labels and not any(_takes_unlabeled(menu, control) for control in menu.takes(kind)):
        raise menu.refuse(raw, 'holds flags without a label, and the labeling config has several: give it as "label"')
    found: list[o.Output] = []
    turns = [at for at in range(len(labels) + 1) if at in (0, len(labels)) or labels[at] != labels[at - 1]]
    for first, after in pairwise(turns):
        if labels[first] is not None:
            found.append(_made(kind, moments, (first, after), labels[first] or None, menu))
    return found


def _takes_unlabeled(menu: Menu, control: ControlTag) -> bool:
    return menu.config.label_control(control) is not control or menu.only_label(control) is not None


def _labels(
    said: list[Any], label: str | None, names: Mapping[int, str] | None, menu: Menu, raw: Any
) -> list[str | None]:
    """The label of each flag; None where it is not set, "" where it is without one."""
    if all(isinstance(flag, str) or flag is None for flag in said):
        return [flag or None for flag in said]
    if not all(isinstance(flag, bool) or (is_number(flag) and float(flag).is_integer()) for flag in said):
        shares = all(is_number(flag) for flag in said)
        more = ": compare probabilities with a threshold first" if shares else ""
        raise menu.refuse(raw, f"holds flags that are neither true and false, numbers of classes nor names{more}")
    numbers = {int(flag) for flag in said if flag}
    if names is None and (label is not None or numbers <= {1}):
        return [(label or "") if flag else None for flag in said]
    known = dict(zip(sorted(numbers), named(sorted(numbers), names, menu, raw), strict=True))
    return [known[int(flag)] if flag else None for flag in said]


def _moments(times: Any, number: int, kind: type[o.Output], menu: Menu, raw: Any) -> list[Any] | None:
    if getattr(getattr(times, "dtype", None), "kind", "") == "M":
        times = times.astype("datetime64[us]")  # what Python's datetime can hold
    moments = listed(times)
    if moments is None:
        objects = {menu.config.object_for(control).attributes.get("timeColumn") for control in menu.takes(kind)}
        if kind is o.Segment or (kind is o.SeriesSegment and objects - {None, ""}):
            raise menu.refuse(raw, 'holds flags without the time of each: give it under "times"')
        return None
    if len(moments) != number:
        raise menu.refuse(raw, f"holds {number} flags and {len(moments)} times")
    if not all(is_number(each) for each in moments) and (kind is o.Segment or not _written(moments)):
        raise menu.refuse(raw, "holds times that are neither numbers, nor dates or strings of the time column")
    return moments


def _written(moments: list[Any]) -> bool:
    return all(isinstance(each, str) for each in moments) or all(isinstance(each, date) for each in moments)


def _made(
    kind: type[o.Output], moments: list[Any] | None, run: tuple[int, int], label: str | None, menu: Menu
) -> o.Output:
    first, after = run
    last, name = after - 1, menu.control_name
    if kind is o.FrameSpan:
        return o.FrameSpan(first + 1, after, label, control=name)
    if kind is o.SeriesSegment:
        start, end = (first, last) if moments is None else (moments[first], moments[last])
        return o.SeriesSegment(start, None if first == last else end, label, control=name)
    assert moments is not None  # noqa: S101 (asked for above)
    step = float(np.median(np.diff(moments))) if len(moments) > 1 else 0.0
    end = moments[after] if after < len(moments) else moments[last] + step
    return o.Segment(moments[first], end, label, control=name)
