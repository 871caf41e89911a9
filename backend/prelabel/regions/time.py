"""Segments of audio and of time series."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timezone
from typing import Any

from prelabel.outputs import Segment, SeriesSegment
from prelabel.regions.target import Shape, Target, Unfit, attribute, finite, tidy


def segment(output: Segment, target: Target) -> Shape:
    """Seconds of an audio, clipped to its length where that is known; an infinite end is that length."""
    length = target.facts.duration_s
    if output.end == math.inf and length is None:
        raise Unfit("it has no end, and the length of the audio is not known")
    finite(output.start, *([] if output.end == math.inf else [output.end]))
    start, end = max(float(output.start), 0.0), float(output.end)
    if output.end <= output.start:
        raise Unfit(f"its end {output.end} s is not after its start {output.start} s")
    if length is not None:
        end = min(end, length)
    if end <= start:
        heard = "" if length is None else f", which is {tidy(length)} s long"
        raise Unfit(f"{output.start} to {output.end} s lies outside the audio{heard}")
    value = {"start": tidy(start), "end": tidy(end), "channel": int(output.channel or 0)}
    return Shape(value, {} if length is None else {"original_length": tidy(length)})


def series_segment(output: SeriesSegment, target: Target) -> Shape:
    """A stretch or an instant of a time series, in the values of its time column."""
    start, end = output.start, output.start if output.end is None else output.end
    if isinstance(start, date) and isinstance(end, date) and _instant(end) < _instant(start):
        raise Unfit(f"its end {end} is before its start {start}")
    start, end = _written(start, target), _written(end, target)
    numbers: dict[str, Any] = {}
    for name, moment in (("start", start), ("end", end)):
        if isinstance(moment, str):
            numbers[name] = moment
        else:
            finite(moment)
            numbers[name] = int(moment) if moment == int(moment) else float(moment)
    if output.end is not None and not isinstance(start, str) and not isinstance(end, str) and end < start:
        raise Unfit(f"its end {end} is before its start {start}")
    return Shape({**numbers, "instant": output.end is None})


def _instant(moment: date) -> datetime:
    """A date or time that can be compared and counted; without a time zone it is taken as UTC."""
    moment = moment if isinstance(moment, datetime) else datetime.combine(moment, time())
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def _written(moment: float | str | date, target: Target) -> float | str:
    """A date as the time column has it, by the tag's ``timeFormat``; else as it is.

    The directives are d3's (https://d3js.org/d3-time-format), which are Python's but for ``%L`` (milliseconds), ``%Q``
    and ``%s`` (of the epoch).
    """
    if not isinstance(moment, date):
        return moment
    form = attribute(target.shown.attributes, "timeFormat")
    if not form:
        tag = f"{target.shown.tag} {target.shown.name!r}"
        raise Unfit(f"it begins or ends at a date, and {tag} has no timeFormat to write it in: give numbers")
    since = _instant(moment).timestamp()
    for directive, said in (
        ("%L", f"{int(since * 1000) % 1000:03d}"),
        ("%Q", f"{since * 1000:.0f}"),
        ("%s", f"{since:.0f}"),
    ):
        form = form.replace(directive, said)
    return moment.strftime(form)
