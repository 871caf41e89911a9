"""Which texts a database can keep: PostgreSQL's have no NUL, and no database's have half of a surrogate pair."""

from __future__ import annotations

import re
from collections.abc import Iterable

ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def is_storable(text: str) -> bool:
    """Whether SQLite and PostgreSQL both take it. Of JSON, whether they (and Label Studio) take what it says."""
    if "\x00" in text or ("\\u0000" in text and ESCAPED_NUL.search(text)):
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unstorable(fields: Iterable[tuple[str, str | None]]) -> tuple[str, str] | None:
    """Name and text (escaped, around the place) of the first field that cannot be kept."""
    for name, text in fields:
        if text is not None and not is_storable(text):
            at = next((place for place in (text.find("\x00"), text.find("\\u0000")) if place >= 0), 0)
            return name, ascii(text[max(at - 40, 0) : at + 40])
    return None


__all__ = ["is_storable", "unstorable"]
