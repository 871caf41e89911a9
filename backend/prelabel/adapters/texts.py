"""What models say of a text: spaCy's documents, tokens with BIO tags, answers to questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prelabel import outputs as o
from prelabel.adapters.values import is_number, plain

if TYPE_CHECKING:
    from prelabel.adapters.reading import Reading


def spacy_doc(value: Any, reading: Reading) -> list[o.Output]:
    """spaCy's ``Doc``: entities and span groups as `Span`, ``cats`` as classes; what the config has no place for stays.

    Raises:
        OutputError: the config takes neither spans nor classes.
    """
    found: list[o.Output] = []
    if reading.takes(o.Span):
        groups = [value.ents, *value.spans.values()]
        spans = dict.fromkeys((each.start_char, each.end_char, each.label_) for group in groups for each in group)
        found += [o.Span(*span, control=reading.control_name) for span in spans if span[2]]
    elif not reading.takes(o.Choice):
        raise reading.refuse(value)
    if value.cats and reading.takes(o.Choice):
        found += reading.probabilities(value.cats)
    return found


def tagged_tokens(tokens: Sequence[Mapping[str, Any]], reading: Reading) -> list[o.Output]:
    """Tokens with BIO tags, as transformers gives them without aggregation: those that belong together become one.

    A span's score is the mean of its tokens', as with transformers' ``average``.
    """
    found: list[list[Any]] = []  # start, end, label, scores
    for token in tokens:
        start, end = plain(token.get("start")), plain(token.get("end"))
        if not is_number(start) or not is_number(end):
            raise reading.refuse(tokens, 'has tokens without character offsets: use a "fast" tokenizer')
        tag, score = str(token["entity"]), reading.share(token.get("score"), tokens)
        begins, label = tag[:2] in ("B-", "S-", "U-"), tag[2:] if tag[1:2] == "-" else tag
        last = found[-1] if found else None
        follows = last is not None and token.get("index") == last[4] + 1
        inside_word = last is not None and start == last[1]
        if last is not None and follows and label == last[2] and (not begins or inside_word):
            last[1], last[4] = end, token["index"]
            last[3].append(score)
        elif tag != "O":
            found.append([start, end, label, [score], token.get("index", -1)])
    return [
        o.Span(int(start), int(end), label, score=_mean(scores), control=reading.control_name)
        for start, end, label, scores, _ in found
    ]


_OF_ANSWERS = frozenset({"answer", "score", "start", "end", "words", "word_ids", "page"})
"""Keys of an answer; Donut's, to a question about a document, has no other key than ``answer``."""


def is_answer(given: Mapping[Any, Any]) -> bool:
    """Whether a dict is an answer of one of transformers' pipelines."""
    return isinstance(given.get("answer"), str) and ("score" in given or given.keys() <= _OF_ANSWERS)


def answers(rows: Sequence[Mapping[str, Any]], reading: Reading) -> list[o.Output]:
    """Answers to a question (extractive, of a document or of a picture): the best, as text, span or class."""
    best = max(rows, key=lambda row: plain(row.get("score")) or 0.0)
    text, score = str(best["answer"]), reading.share(best.get("score"), rows)
    if not text:
        return []
    found: list[o.Output] = []
    places = (plain(best.get("start")), plain(best.get("end")))
    if reading.takes(o.Span) and all(is_number(place) for place in places):
        labels = {reading.only_label(control) for control in reading.takes(o.Span)}
        if labels != {None}:
            found.append(o.Span(int(places[0]), int(places[1]), score=score, control=reading.control_name))
    if reading.takes(o.Text):
        found.append(o.Text(text, score=score, control=reading.control_name))
    if not found and reading.takes(o.Choice):
        return reading.probabilities({str(row["answer"]): row.get("score", 0.0) for row in rows})
    if not found:
        raise reading.refuse(rows, "is an answer, and the labeling config takes neither text nor spans of one label")
    return found


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None
