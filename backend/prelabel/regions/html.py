"""The text of an HTML page as Label Studio's editor counts it: the browser's text nodes, with an XPath for each.

Label Studio sanitises the page (scripts, frames, comments and the text of style sheets go), lets the browser parse it,
and counts characters (code points) over all text nodes of the body, one for each ``<br>``. Offsets inside a node are
the DOM's, in UTF-16 units.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from xml.etree.ElementTree import Element

_GONE = frozenset({"script", "iframe"})


@dataclass(frozen=True, slots=True)
class TextNode:
    """One text node: where it stands in `VisibleText.text`, and its path below the body."""

    start: int
    text: str
    path: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class VisibleText:
    """The text that spans of a hypertext count in; a ``<br>`` is a line feed."""

    text: str
    nodes: tuple[TextNode, ...]

    def span(self, start: int, end: int) -> tuple[int, int, TextNode, TextNode] | None:
        """The span cut to where text nodes are, with the nodes it starts and ends in; None where there is none.

        A span can neither start nor end in a line break: Label Studio finds no node there.
        """
        first = bisect_right(self.nodes, start, key=lambda node: node.end)
        last = bisect_left(self.nodes, end, key=lambda node: node.start) - 1
        if first > last:
            return None
        start, end = max(start, self.nodes[first].start), min(end, self.nodes[last].end)
        return (start, end, self.nodes[first], self.nodes[last]) if start < end else None


def offset_in(node: TextNode, position: int) -> int:
    """A position of the whole text inside ``node``, in the UTF-16 units of the DOM."""
    return len(node.text[: position - node.start].encode("utf-16-le")) // 2


@dataclass(slots=True)
class _Walk:
    """The tree walk: text seen so far, and the node under construction."""

    position: int = 0
    pieces: list[str] = field(default_factory=list)
    nodes: list[TextNode] = field(default_factory=list)

    def element(self, element: Element, path: str) -> None:
        counts: dict[str, int] = {}
        pending = element.text or ""
        for child in element:
            tag = child.tag if isinstance(child.tag, str) else ""
            if tag and tag not in _GONE:
                self._text(pending, path, counts)
                pending = ""
                counts[tag] = counts.get(tag, 0) + 1
                if tag == "br":
                    self.pieces.append("\n")
                    self.position += 1
                elif tag != "style":
                    self.element(child, f"{path}/{tag}[{counts[tag]}]")
            pending += child.tail or ""
        self._text(pending, path, counts)

    def _text(self, text: str, path: str, counts: dict[str, int]) -> None:
        if text:
            counts["text()"] = counts.get("text()", 0) + 1
            self.nodes.append(TextNode(self.position, text, f"{path}/text()[{counts['text()']}]"))
            self.pieces.append(text)
            self.position += len(text)


@lru_cache(maxsize=8)
def visible_text(html: str, *, inline: bool = False) -> VisibleText:
    """Parse as a browser does; ``inline`` for ``<HyperText inline="true">``, which is no page of its own."""
    import html5lib  # noqa: PLC0415 (imported by those who label hypertext)

    if inline:
        body = html5lib.parseFragment(html, container="div", namespaceHTMLElements=False)
    else:
        body = html5lib.parse(html, namespaceHTMLElements=False).find("body")
    walk = _Walk()
    if body is not None:
        walk.element(body, "")
    return VisibleText("".join(walk.pieces), tuple(walk.nodes))
