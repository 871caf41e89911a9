"""Checks of when an answer holds: frames, milliseconds, messages."""

from __future__ import annotations

from collections.abc import Sequence

from prelabel.labelbox.checks import Line, Wrong, join, one_of

Range = tuple[int, int]
TIMED = frozenset({"video", "audio", "dicom"})


def times(line: Line, value: object, where: str, parents: Sequence[Range] | None) -> list[Range]:
    """Ranges of frames (of an audio: milliseconds), both ends inclusive.

    Args:
        line: the line.
        value: ``[{start, end}]``.
        where: its path.
        parents: the ranges of the answer above; each range must lie inside one of them.

    Raises:
        Wrong: something is not right.
    """
    facts = line.facts
    if facts.asset is not None and facts.asset not in TIMED:
        raise line.wrong("WrongAsset", where, value, f"has no meaning for {facts.asset}", "Leave frames out.")
    audio = facts.asset == "audio"
    limit = facts.duration_ms if audio else facts.frames_count
    what = "milliseconds" if audio else "frames"
    ranges: list[Range] = []
    for i, one in enumerate(line.items(value, where, '{"start": ..., "end": ...}')):
        at = f"{where}[{i}]"
        both = line.record(one, at, ("start", "end"))
        start = line.whole(both["start"], f"{at}.start", 0, f"Give whole {what}.")
        end = line.whole(both["end"], f"{at}.end", 0, f"Give whole {what}.")
        if end < start:
            raise line.wrong("OutOfRange", f"{at}.end", end, f"is before start {start}", "Let end be start or later.")
        if limit is not None and end > limit:
            raise line.wrong(
                "OutOfRange", f"{at}.end", end, f"is beyond the end: there are {limit:g} {what}",
                f"Give {what} up to {limit:g}.",
            )  # fmt: skip
        if parents is not None and not any(first <= start and end <= last for first, last in parents):
            raise line.wrong(
                "OutOfRange", at, both, f"lies in no range of the answer above it: {parents}",
                "Keep ranges of nested answers inside one range of the answer above.",
            )  # fmt: skip
        ranges.append((start, end))
    return ranges


def timeless(line: Line, where: str) -> Wrong:
    """What is wrong with an answer without times below one that has them: Labelbox drops it."""
    return line.wrong(
        "MissingKey", join(where, "frames"), ..., "is missing: answers below one with times need their own",
        "Give the answer frames inside those of the answer above.",
    )  # fmt: skip


def message_id(line: Line, value: object) -> None:
    """Look whether the message belongs to the conversation.

    Raises:
        Wrong: ``messageId`` is no message of the conversation, or there is no conversation.
    """
    facts = line.facts
    name = line.string(value, "messageId", "Give the message's id, a string.")
    if facts.asset is not None and facts.asset not in {"conversational", "llm"}:
        raise line.wrong("WrongAsset", "messageId", name, f"has no meaning for {facts.asset}", "Leave messageId out.")
    if facts.messages is not None and name not in facts.messages:
        raise line.wrong(
            "UnknownMessage", "messageId", name, "is no message of the conversation",
            f"Use one of {one_of(facts.messages)}.",
        )  # fmt: skip
