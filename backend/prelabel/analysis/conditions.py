"""A condition on data rows in words, such as ``metadata.city == "Berlin" and fp[Cat] > 0 and confidence < 0.5``.

```
condition := both ("or" both)*                               "and" binds closer than "or", "not" closer than "and"
both      := one ("and" one)*
one       := "not" one | "(" condition ")" | truth | value ("==" | "!=" | "<" | "<=" | ">" | ">=" | "contains") value
           | value "in" "(" value ("," value)* ")"
value     := field | number | text in quotes | word | "true" | "false"
truth     := "predicted" | "annotated" (each also of a "[" class "]") | "labeled" | metadata
```

| field | what it is |
|---|---|
| ``metadata.key``, ``metadata[any key]`` | text, number, true or false, a list; ``metadata.a.b``: also ``b`` in ``a`` |
| ``global_key``, ``media_type``, ``split``, ``task`` | ``task`` is the number in Label Studio |
| ``tp``, ``fp``, ``fn``, ``tn``, ``precision``, ``recall``, ``f1``, ``iou`` | of the data row, or of a ``[class]`` |
| ``predictions``, ``annotations`` | how many, of all classes or of a ``[class]`` |
| ``confidence``, ``max_confidence`` | of the least and of the most confident prediction, also of a ``[class]`` |
| ``fp_confidence`` | of the most confident prediction that is wrong |
| ``labeled`` | whether it is known what is right, be it nothing |

A word that is no field is text. What is undefined (no such metadata, a division by nothing, a metric of a data row that
nobody labeled) makes its comparison false, ``!=`` too; ``not`` turns that round. Numbers, texts and true or false are
never equal to one another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from prelabel.errors import RequestError

METRICS = ("tp", "fp", "fn", "tn", "precision", "recall", "f1", "iou", "fp_confidence")
"""Numbers of data rows that are both predicted and labeled."""
SAID = ("predictions", "annotations", "confidence", "max_confidence")
"""Numbers of every data row."""
TEXTS = ("global_key", "media_type", "split")
TRUTHS: Mapping[str, str] = {"predicted": "predictions", "annotated": "annotations"}
FIELDS = ("metadata.KEY", *TEXTS, "task", "labeled", *TRUTHS, *METRICS, *SAID)
DEEPEST = 50
"""Parentheses and "not" within one another."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')"""
    r"|(?P<number>-?(?:\d+(?:\.\d+)?|\.\d+))(?![\w.-])"
    r"|(?P<sign><=|>=|==|!=|<|>|\(|\)|,)"
    r"|(?P<word>\w[\w-]*(?:\.\w[\w-]*)*)(?:\[(?P<key>[^\]]+)\])?)"
)
_WORDS = frozenset({"and", "or", "not", "in", "contains"})
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


class Field(NamedTuple):
    """What is asked of a data row; ``key`` is the class, or the metadata's key."""

    name: str
    key: str | None = None

    @property
    def is_number(self) -> bool:
        """Whether its column is of floats."""
        return self.name in METRICS or self.name in SAID or self.name == "task"

    def __str__(self) -> str:
        return self.name if self.key is None else f"{self.name}[{self.key}]"


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, text, true or false, as it stands in the condition; several for ``in``."""

    value: Any
    text: str


Operand = Field | Literal


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field compared with another, or with what stands there."""

    left: Operand
    sign: str
    right: Operand


@dataclass(frozen=True, slots=True)
class Truth:
    """A field that holds or does not."""

    field: Field


@dataclass(frozen=True, slots=True)
class Negation:
    """What does not hold."""

    part: Node


@dataclass(frozen=True, slots=True)
class Joined:
    """Parts of which all hold (``every``), or one."""

    every: bool
    parts: tuple[Node, ...]


Node = Comparison | Truth | Negation | Joined


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was read; `prelabel.analysis.slices.holds` says for which data rows it holds."""

    text: str
    root: Node

    @property
    def fields(self) -> frozenset[Field]:
        """All that it asks for."""
        return frozenset(_fields(self.root))


def parse(text: str) -> Condition:
    """The condition that a text says.

    Raises:
        RequestError: it cannot be read, or compares what cannot be compared.
    """
    reader = _Reader(text)
    root = reader.either(0)
    if reader.rest:
        raise unreadable(text, f"{reader.rest[0].text!r} is not expected there")
    return Condition(text, root)


def parse_order(text: str) -> tuple[Field, bool]:
    """A number to put data rows in order by, and whether the highest comes first: ``f1``, ``fp[Cat] desc``.

    Raises:
        RequestError: it is no such field.
    """
    reader = _Reader(text)
    found = reader.value()
    largest_first = reader.take("word", "desc")
    if not largest_first:
        reader.take("word", "asc")
    if reader.rest or not isinstance(found, Field) or not found.is_number:
        raise RequestError(
            f"data rows cannot be put in the order {text!r}.",
            hint=f"Write for instance 'f1' or 'fp[Cat] desc'. There are {', '.join((*METRICS, *SAID, 'task'))}.",
        )
    return found, largest_first


def unreadable(condition: str, why: str) -> RequestError:
    """The refusal of a condition."""
    return RequestError(
        f"the condition {condition!r} cannot be read: {why}.",
        hint="Write for instance 'metadata.city == \"Berlin\" and split == validation and fp[Cat] > 0' or "
        f"'not labeled and confidence < 0.5'. Fields are {', '.join(FIELDS)}.",
    )


def _fields(node: Node) -> Iterator[Field]:
    if isinstance(node, Comparison):
        yield from (side for side in (node.left, node.right) if isinstance(side, Field))
    elif isinstance(node, Truth):
        yield node.field
    else:
        for part in node.parts if isinstance(node, Joined) else (node.part,):
            yield from _fields(part)


# -- reading


class _Token(NamedTuple):
    kind: str
    text: str
    key: str | None = None


def _tokens(condition: str) -> Iterator[_Token]:
    at = 0
    while condition[at:].strip():
        match = _TOKEN.match(condition, at)
        if match is None:
            raise unreadable(condition, f"{condition[at:].strip()[:20]!r} is no part of one")
        kind = next(name for name in ("text", "number", "sign", "word") if match[name] is not None)
        text = match[kind]
        if kind == "word" and match["key"] is None and text.lower() in _WORDS:
            kind, text = "sign", text.lower()
        yield _Token(kind, text[1:-1] if kind == "text" else text, match["key"])
        at = match.end()


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, condition: str) -> None:
        self.condition = condition
        self.rest = list(_tokens(condition))

    def either(self, depth: int) -> Node:
        parts = [self.both(depth)]
        while self.take("sign", "or"):
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else Joined(False, tuple(parts))

    def both(self, depth: int) -> Node:
        parts = [self.one(depth)]
        while self.take("sign", "and"):
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else Joined(True, tuple(parts))

    def one(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise unreadable(self.condition, f"more than {DEEPEST} things stand within one another")
        if self.take("sign", "not"):
            return Negation(self.one(depth + 1))
        if self.take("sign", "("):
            inside = self.either(depth + 1)
            self._expect(")")
            return inside
        return self.comparison()

    def comparison(self) -> Node:
        left = self.value()
        sign = self.rest[0].text if self.rest and self.rest[0].kind == "sign" else ""
        if sign in COMPARISONS or sign in {"in", "contains"}:
            self.rest.pop(0)
            right = self.several() if sign == "in" else self.value()
            return Comparison(*self._fitting(left, sign, right))
        if isinstance(left, Field) and (left.name in {"labeled", "metadata", *TRUTHS}):
            return Truth(left)
        said = str(left) if isinstance(left, Field) else f"{left.text!r}"
        raise unreadable(self.condition, f"a comparison such as >= is missing after {said}")

    def value(self) -> Operand:
        token = self.rest.pop(0) if self.rest else None
        if token is None or token.kind == "sign":
            where = "at its end" if token is None else f"before {token.text!r}"
            raise unreadable(self.condition, f"a field or a value is missing {where}")
        if token.kind == "number":
            return Literal(float(token.text), token.text)
        if token.kind == "text":
            return Literal(token.text, token.text)
        return self._field(token) or _word(token.text)

    def _field(self, token: _Token) -> Field | None:
        name, _, key = token.text.partition(".")
        if name == "metadata" and bool(key) is not bool(token.key):
            return Field("metadata", key or token.key)
        if token.text in {*METRICS, *SAID, *TRUTHS}:
            return Field(token.text, token.key)
        if token.key is not None:
            raise unreadable(self.condition, f"{token.text}[{token.key}] is no field")
        return Field(token.text) if token.text in {"task", "labeled", *TEXTS} else None

    def several(self) -> Literal:
        self._expect("(")
        found = [self.value()]
        while self.take("sign", ","):
            found.append(self.value())
        self._expect(")")
        values = [one for one in found if isinstance(one, Literal)]
        if len(values) < len(found):
            raise unreadable(self.condition, "what a field may be in are values, not fields")
        return Literal(tuple(values), ", ".join(one.text for one in values))

    def _fitting(self, left: Operand, sign: str, right: Operand) -> tuple[Operand, str, Operand]:
        """Both sides, values as the field on the other side has them."""
        if isinstance(left, Literal) and isinstance(right, Literal):
            raise unreadable(self.condition, f"{left.text!r} is no field")
        if isinstance(left, Field) and isinstance(right, Literal):
            return left, sign, self._as(left, right, sign)
        if isinstance(left, Literal) and isinstance(right, Field):
            return self._as(right, left, sign), sign, right
        return left, sign, right

    def _as(self, field: Field, literal: Literal, sign: str) -> Literal:
        if isinstance(literal.value, tuple):
            return Literal(tuple(self._as(field, one, "==").value for one in literal.value), literal.text)
        if field.is_number and (sign == "contains" or not isinstance(literal.value, float)):
            raise unreadable(self.condition, f"{field} is a number, which {sign} {literal.text!r} does not suit")
        if (field.name in TRUTHS or field.name == "labeled") and not isinstance(literal.value, bool):
            raise unreadable(self.condition, f"{field} is true or false, not {literal.text!r}")
        if field.name in TEXTS:
            return Literal(self._named(field.name, literal.text) if sign != "contains" else literal.text, literal.text)
        return literal

    def _named(self, name: str, text: str) -> str:
        """A split or media type as the registry calls it."""
        from prelabel.runs.facts import media_type  # noqa: PLC0415 (the registry's words, when one is asked for)
        from prelabel.runs.held import SPLITS  # noqa: PLC0415 (as above)

        if name == "split" and text.lower() not in SPLITS:
            raise unreadable(self.condition, f"{text!r} is no split; there are {', '.join(SPLITS)}")
        return text.lower() if name == "split" else media_type(text) if name == "media_type" else text

    def take(self, kind: str, text: str) -> bool:
        """Whether that comes next; it is passed."""
        if self.rest and (self.rest[0].kind, self.rest[0].text) == (kind, text):
            self.rest.pop(0)
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self.take("sign", sign):
            where = f"before {self.rest[0].text!r}" if self.rest else "at its end"
            raise unreadable(self.condition, f"{sign!r} is missing {where}")


def _word(text: str) -> Literal:
    return Literal(text.lower() == "true" if text.lower() in {"true", "false"} else text, text)
