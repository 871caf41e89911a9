"""Spans of text, hypertext and paragraphs to Label Studio's offsets."""

from __future__ import annotations

from prelabel.outputs import ParagraphSpan, Span
from prelabel.regions.target import Shape, Target, Unfit, attribute, whole


def clip(start: float, end: float, length: int | None, what: str = "text") -> tuple[int, int]:
    """Offsets cut to ``0..length``; `Unfit` when nothing is left."""
    start, end = whole(start, "start"), whole(end, "end")
    if end <= start:
        raise Unfit(f"its end {end} is not after its start {start}")
    first, last = max(start, 0), end if length is None else min(end, length)
    if last <= first:
        raise Unfit(
            f"{start} to {end} lies outside the {what}" + ("" if length is None else f" of {length} characters")
        )
    return first, last


def span(output: Span, target: Target) -> Shape:
    """Characters of a text, or of a hypertext's visible text."""
    kind = target.shown.tag.lower()
    if kind == "hypertext":
        return _hypertext(output, target)
    if kind == "paragraphs":
        raise Unfit("a span of Paragraphs says its paragraph: use ParagraphSpan")
    text = target.facts.text
    start, end = clip(output.start, output.end, None if text is None else len(text))
    value: dict[str, object] = {"start": start, "end": end}
    if text is not None:
        value["text"] = text[start:end]
    return Shape(value)


def _hypertext(output: Span, target: Target) -> Shape:
    from prelabel.regions.html import offset_in, visible_text  # noqa: PLC0415 (html5lib is imported by those who need it)

    if target.facts.text is None:
        raise Unfit("a span of HyperText needs the HTML itself, which was not read")
    inline = attribute(target.shown.attributes, "inline").lower() == "true"
    page = visible_text(target.facts.text, inline=inline)
    start, end = clip(output.start, output.end, len(page.text), "visible text")
    found = page.span(start, end)
    if found is None:
        raise Unfit(f"{start} to {end} holds no text")
    start, end, first, last = found
    return Shape(
        {
            "start": first.path,
            "end": last.path,
            "startOffset": offset_in(first, start),
            "endOffset": offset_in(last, end),
            "globalOffsets": {"start": start, "end": end},
            "text": page.text[start:end],
        }
    )


def paragraph_span(output: ParagraphSpan, target: Target) -> Shape:
    """Characters of one paragraph, or from one to another."""
    texts = target.facts.paragraphs
    first = whole(output.paragraph, "paragraph")
    last = first if output.end_paragraph is None else whole(output.end_paragraph, "end_paragraph")
    if last < first or first < 0:
        raise Unfit(f"paragraph {first} to {last} is no range")
    start, end = whole(output.start, "start"), whole(output.end, "end")
    if not texts:
        if first == last:
            start, end = clip(start, end, None, "paragraph")
        return Shape({"start": str(first), "end": str(last), "startOffset": max(start, 0), "endOffset": end})
    if last >= len(texts):
        raise Unfit(f"there is no paragraph {last}; the dialogue has {len(texts)} (counted from 0)")
    if first == last:
        start, end = clip(start, end, len(texts[first]), "paragraph")
        said = texts[first][start:end]
    else:
        start, end = max(start, 0), min(end, len(texts[last]))
        if start >= len(texts[first]) or end <= 0:
            raise Unfit(f"{start} of paragraph {first} to {end} of paragraph {last} lies outside them")
        said = "\n".join((texts[first][start:], *texts[first + 1 : last], texts[last][:end]))
    return Shape({"start": str(first), "end": str(last), "startOffset": start, "endOffset": end, "text": said})
