"""Recognized speech with times: transformers' ``chunks``, Whisper's ``segments``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from prelabel import outputs as o
from prelabel.adapters.menu import Menu
from prelabel.adapters.values import plain


def is_speech(given: Mapping[Any, Any]) -> bool:
    """A whole text and its parts."""
    parts = given.get("chunks", given.get("segments"))
    return isinstance(given.get("text"), str) and isinstance(parts, list | tuple)


def speech(given: Mapping[Any, Any], menu: Menu) -> list[o.Output]:
    """Each part as a `Segment` with its text where the config has labels on an audio; the whole as `Text`.

    A part has a label of its own (``speaker``, ``label``), or the control's only one. A part without an end, as the
    last of a recording that breaks off has none, lasts until the recording's end.
    """
    found: list[o.Output] = []
    controls = menu.takes(o.Segment)
    for part in plain(given.get("chunks", given.get("segments"))) if controls else ():
        times = part.get("timestamp") or (part.get("start"), part.get("end"))
        start, end = plain(times[0]), plain(times[1])
        if start is None:
            raise menu.refuse(given, "has parts without times (transformers: return_timestamps=True)")
        label = part.get("label", part.get("speaker"))
        if label is None and not any(menu.only_label(control) for control in controls):
            continue
        written = any(menu.config.region_text_control(control) for control in controls)
        text = str(part.get("text", "")).strip() if written else None
        end = math.inf if end is None else float(end)
        score = menu.share(part.get("score"), given)
        found.append(o.Segment(float(start), end, label, text=text or None, score=score, control=menu.control_name))
    if menu.takes(o.Text):
        found.append(o.Text(given["text"].strip(), control=menu.control_name))
    if not found and plain(given.get("chunks", given.get("segments"))):
        raise menu.refuse(given, "is speech without labels, and no TextArea of the labeling config takes its text")
    return found
