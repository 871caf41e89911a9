"""Spans that a language model quotes, found in the text: models copy words well and count characters badly."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_SAME = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-",
                       "\u00a0": " ", "\u202f": " "})  # fmt: skip
"""Signs that models swap, one for one, so that offsets stay."""


def located(quotes: Sequence[str], text: str) -> list[tuple[int, int] | None]:
    """Start and end of each quote; None for what is not in the text.

    Quotes are taken to be in the order of the text: each is looked for behind the one before it first, then anywhere.
    The same words quoted twice are two places, as long as there are two. Whole words are preferred to parts of words;
    what is not there letter for letter is looked for without regard to case, kind of quotation marks, and white space.
    """
    taken: set[tuple[int, int]] = set()
    found: list[tuple[int, int] | None] = []
    after = 0
    for quote in quotes:
        places = [place for place in _places(quote.strip(), text) if place not in taken]
        place = next((each for each in places if each[0] >= after), places[0] if places else None)
        found.append(place)
        if place is not None:
            taken.add(place)
            after = place[1]
    return found


def _places(quote: str, text: str) -> list[tuple[int, int]]:
    """Where a quote stands, by the strictest way of looking that finds it at all."""
    if not quote:
        return []
    for pattern, where in _ways(quote, text):
        places = [found.span() for found in pattern.finditer(where)]
        if places:
            return places
    return []


def _ways(quote: str, text: str) -> Iterator[tuple[re.Pattern[str], str]]:
    exact = re.escape(quote)
    yield re.compile(_words(quote, exact)), text
    yield re.compile(exact), text
    alike, plain = quote.translate(_SAME).strip(" .,;:\"'"), text.translate(_SAME)
    parts = [re.escape(part) for part in alike.split()]
    if parts:
        loose = r"\s+".join(parts)
        yield re.compile(_words(alike, loose), re.IGNORECASE), plain
        yield re.compile(loose, re.IGNORECASE), plain


def _words(quote: str, pattern: str) -> str:
    """A pattern that does not begin or end within a word."""
    before = r"(?<!\w)" if quote[0].isalnum() else ""
    behind = r"(?!\w)" if quote[-1].isalnum() else ""
    return f"{before}{pattern}{behind}"
