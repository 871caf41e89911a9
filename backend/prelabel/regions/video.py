"""Tracks and frame ranges of a video."""

from __future__ import annotations

from typing import Any

from prelabel.outputs import FrameSpan, Track, VectorTrack
from prelabel.regions.image import OUTSIDE, to_percent, vertices
from prelabel.regions.target import Shape, Target, Unfit, attribute_number, finite, tidy, whole

DEFAULT_FRAME_RATE = 24.0
"""Label Studio's, where neither the Video tag's ``frameRate`` nor the video itself tells one."""


def frame_rate(target: Target) -> float:
    """Frames a second by which Label Studio counts: the Video tag's ``frameRate``, else the video's own."""
    facts = target.facts
    told = attribute_number(target.shown.attributes, "frameRate") or facts.fps
    if told:
        return told
    if facts.frames_count and facts.duration_s:
        return facts.frames_count / facts.duration_s
    return DEFAULT_FRAME_RATE


def _frames_and_duration(output: Track | VectorTrack, target: Target, last_frame: int) -> tuple[int, float]:
    rate = frame_rate(target)
    seconds = output.duration_s if output.duration_s is not None else target.facts.duration_s
    frames = output.frames_count or target.facts.frames_count
    if frames is None:
        frames = round(seconds * rate) if seconds else last_frame
    return int(frames), seconds if seconds is not None else frames / rate


def _frame(number: float, previous: int) -> int:
    frame = whole(number, "frame")
    if frame < 1:
        raise Unfit(f"frames are counted from 1, got {frame}")
    if frame <= previous:
        raise Unfit(f"keyframes must rise, got {frame} after {previous}")
    return frame


def _scale(output: Track | VectorTrack, target: Target) -> tuple[float, float]:
    """Factors from the output's unit to percent of the video's width and height."""
    size = (target.facts.width, target.facts.height) if target.facts.width and target.facts.height else None
    return to_percent(output.unit, size, target.shown)


def track(output: Track, target: Target) -> Shape:
    """A rectangle's keyframes; each is clipped to the picture, those wholly outside are left out."""
    fx, fy = _scale(output, target)
    rate = frame_rate(target)
    sequence: list[dict[str, Any]] = []
    last = 0
    for box in output.boxes:
        last = _frame(box.frame, last)
        finite(box.x, box.y, box.width, box.height, box.rotation)
        x, y, width, height = box.x * fx, box.y * fy, box.width * fx, box.height * fy
        if not box.rotation:
            right, bottom = min(x + width, 100.0), min(y + height, 100.0)
            x, y = max(x, 0.0), max(y, 0.0)
            width, height = right - x, bottom - y
        if width <= 0 or height <= 0 or x > 100 or y > 100:
            continue
        sequence.append(
            {
                "frame": last,
                "enabled": box.enabled,
                "rotation": tidy(box.rotation % 360),
                "x": tidy(x),
                "y": tidy(y),
                "width": tidy(width),
                "height": tidy(height),
                "time": tidy(last / rate),
            }
        )
    return _sequence(output, target, sequence, last)


def vector_track(output: VectorTrack, target: Target) -> Shape:
    """A line's keyframes."""
    fx, fy = _scale(output, target)
    rate = frame_rate(target)
    sequence: list[dict[str, Any]] = []
    last = 0
    for line in output.lines:
        last = _frame(line.frame, last)
        for x, y in line.points:
            finite(x, y)
        sequence.append(
            {
                "frame": last,
                "enabled": line.enabled,
                "closed": line.closed,
                "time": tidy(last / rate),
                "vertices": vertices([(x * fx, y * fy) for x, y in line.points]),
            }
        )
    return _sequence(output, target, sequence, last)


def _sequence(output: Track | VectorTrack, target: Target, sequence: list[dict[str, Any]], last: int) -> Shape:
    if not sequence:
        raise Unfit(OUTSIDE if last else "the track has no keyframes")
    frames, seconds = _frames_and_duration(output, target, last)
    return Shape({"framesCount": frames, "duration": tidy(seconds), "sequence": sequence})


def frame_span(output: FrameSpan, target: Target) -> Shape:
    """Frames of a video's timeline, both ends included."""
    start, end = whole(output.start, "start"), whole(output.end, "end")
    if end < start:
        raise Unfit(f"its end, frame {end}, is before its start, frame {start}")
    first, last = max(start, 1), min(end, target.facts.frames_count or end)
    if last < first:
        raise Unfit(f"frames {start} to {end} lie outside the video")
    return Shape({"ranges": [{"start": first, "end": last}]})
