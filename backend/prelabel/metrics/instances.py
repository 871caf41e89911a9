"""What is compared: one instance is one thing that a model or a person said of one data row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "box", "rotated_box", "ellipse", "polygon", "polyline", "point", "mask",
    "span", "tokens", "segment", "frames", "track",
    "choice", "text", "number", "rating", "ranking", "datetime", "relation",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Instance:
    """One thing said of a data row.

    Attributes:
        kind: decides how two instances are compared, and what ``value`` is:

            * ``box``: ``(x1, y1, x2, y2)``; ``rotated_box``: ``(x, y, width, height, degrees)`` around the top-left
              corner; ``ellipse``: ``(cx, cy, rx, ry, degrees)``; ``polygon`` and ``polyline``: ``((x, y), ...)``;
              ``point``: ``(x, y)``; all in pixels of the image (degrees of longitude and latitude for maps);
            * ``mask``: a bool array ``[height, width]``;
            * ``span``: ``(start, end)`` characters, ``end`` exclusive;
            * ``tokens``: ids of a document's text tokens, ``("a", "b")``;
            * ``segment``: ``(start, end)`` seconds (or values of a series' time column); ``frames``: ``(start, end)``
              frames, both inclusive;
            * ``track``: ``{frame: (x1, y1, x2, y2)}`` with every frame in which it is there (interpolated); of lines
              the box around them, of points a box without extent; of a box that turns
              ``{frame: (x, y, width, height, degrees)}``, as a ``rotated_box``;
            * ``choice``: the answer's name; ``text``: the string; ``number`` and ``rating``: the number; ``ranking``:
              item ids, best first; ``datetime``: the string; ``relation``: ``(source id, target id)``.
        feature: the class. For what is drawn, its label; for a ``choice``, the answer's name; for other answers, the
            question.
        question: the control or question that it answers (``sentiment``, ``objects``).
        scope: instances match only within one: a page, a message, a channel, the object an answer belongs to ("" for
            the whole data row).
        confidence: 0..1; 1.0 where none was given, as Labelbox counts it.
        exclusive: for a ``choice``: one of several (radio) rather than any number of them (checklist).
        id: the region's id or the row's uuid.
    """

    kind: Kind
    feature: str
    value: Any = field(hash=False)
    question: str = ""
    scope: str = ""
    confidence: float = 1.0
    exclusive: bool = False
    id: str = ""
