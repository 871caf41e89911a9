"""What the doctor says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["OK", "WARN", "FAIL", "SKIP"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tested.

    Attributes:
        thing: what, in one or two words.
        status: ``OK``; ``WARN`` works, but not as it should; ``FAIL`` does not work; ``SKIP`` could not be tested.
        says: what was found, in one sentence.
        fix: what to do, exactly; empty for OK.
    """

    thing: str
    status: Status
    says: str
    fix: str = ""


def ok(thing: str, says: str) -> Finding:
    """It works."""
    return Finding(thing, "OK", says)


def warn(thing: str, says: str, fix: str = "") -> Finding:
    """It works, but not as it should."""
    return Finding(thing, "WARN", says, fix)


def fail(thing: str, says: str, fix: str = "") -> Finding:
    """It does not work."""
    return Finding(thing, "FAIL", says, fix)


def skip(thing: str, says: str) -> Finding:
    """It could not be tested."""
    return Finding(thing, "SKIP", says)
