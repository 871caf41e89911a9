"""Written answers: share that is the same, word and character error rate (jiwer)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prelabel.metrics.answers import by_question, single_pairs
from prelabel.metrics.counting import ratio
from prelabel.metrics.libraries import library
from prelabel.metrics.matching import Both


@dataclass(frozen=True, slots=True)
class TextErrors:
    """``pairs``: answered by both sides. ``exact``: share of equal strings. ``wer``, ``cer``: substitutions, deletions
    and insertions over the words (characters) annotated, all pairs together; above 1 is possible. None without
    pairs, or without an annotated word."""

    pairs: int
    exact: float | None
    wer: float | None
    cer: float | None

    def as_json(self) -> dict[str, float | None]:
        """All numbers."""
        return {"pairs": self.pairs, "exact": self.exact, "wer": self.wer, "cer": self.cer}


def text_errors(rows: Mapping[str, Both], *, confidence: float = 0.5) -> dict[str, TextErrors]:
    """Errors by question; only what both sides answered is compared.

    Raises:
        SettingsError: jiwer is not installed.
    """
    found = by_question(list(single_pairs(sure(rows, confidence), {"text"})))
    return {
        question: compare_texts([str(ours.value) for ours, _ in pairs], [str(theirs.value) for _, theirs in pairs])
        for question, pairs in found.items()
    }


def sure(rows: Mapping[str, Both], confidence: float) -> dict[str, Both]:
    """The rows without the predictions below ``confidence``."""
    return {row: ([one for one in both[0] if one.confidence >= confidence], both[1]) for row, both in rows.items()}


def compare_texts(predicted: Sequence[str], annotated: Sequence[str]) -> TextErrors:
    """``predicted[i]`` against ``annotated[i]``."""
    tally = TextTally()
    tally.add(predicted, annotated)
    return tally.errors()


@dataclass(slots=True)
class TextTally:
    """Errors of many texts, a page at a time; the texts are not kept. ``words``, ``characters``: errors and length."""

    pairs: int = 0
    same: int = 0
    words: tuple[int, int] = (0, 0)
    characters: tuple[int, int] = (0, 0)

    def add(self, predicted: Sequence[str], annotated: Sequence[str]) -> None:
        """``predicted[i]`` against ``annotated[i]``.

        Raises:
            SettingsError: jiwer is not installed.
        """
        if not predicted:
            return
        jiwer = library("jiwer")
        self.pairs += len(predicted)
        self.same += sum(ours == theirs for ours, theirs in zip(predicted, annotated, strict=True))
        self.words = _more(self.words, jiwer.process_words(list(annotated), list(predicted)))
        self.characters = _more(self.characters, jiwer.process_characters(list(annotated), list(predicted)))

    def errors(self) -> TextErrors:
        """All added so far."""
        return TextErrors(self.pairs, ratio(self.same, self.pairs), ratio(*self.words), ratio(*self.characters))


def _more(before: tuple[int, int], made: object) -> tuple[int, int]:
    wrong, length = (
        sum(getattr(made, name) for name in names)
        for names in (("substitutions", "deletions", "insertions"), ("hits", "substitutions", "deletions"))
    )
    return before[0] + wrong, before[1] + length
