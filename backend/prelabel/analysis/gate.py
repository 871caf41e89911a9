"""A condition on runs' metrics in words, such as ``f1 >= v2.f1 and recall[Cat] > 0.8``.

```
condition  := comparison (("and" | "or") comparison)*        "and" binds closer
comparison := sum ("<" | "<=" | ">" | ">=" | "==" | "!=") sum
sum        := term (("+" | "-") term)*
term       := number | [run "."] metric ["[" class "]"]
```

A metric without a run is the candidate's. Whatever is undefined (no such class, a division by nothing) makes its
comparison false and is named: a gate never opens because something could not be measured.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prelabel.errors import RequestError

Lookup = Callable[[str | None, str, str | None], float | None]
"""Run (None: the candidate), metric and class (None: all) to the number; None where it is undefined."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)(?![\w.])"
    r"|(?P<operator><=|>=|==|!=|<|>|\+|(?<=\s)-(?=\s))"
    r"|(?P<word>(?:[\w-]+(?:\.[\w-]+)*\.)?\w+)(?:\[(?P<feature>[^\]]+)\])?)"
)
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the condition holds, and for each comparison what stood on both sides."""

    holds: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    feature: str | None = None


def judge(condition: str, lookup: Lookup) -> Verdict:
    """Whether ``condition`` holds.

    Raises:
        RequestError: it cannot be read.
    """
    reader = _Reader(condition, _tokens(condition), lookup)
    holds = reader.either()
    if reader.rest:
        raise _unreadable(condition, f"{reader.rest[0].text!r} is not expected there")
    return Verdict(holds, tuple(reader.reasons))


def runs_named(condition: str) -> list[str]:
    """The runs that a condition names, each once.

    Raises:
        RequestError: it cannot be read.
    """
    named = (token.text.rpartition(".")[0] for token in _tokens(condition) if token.kind == "metric")
    return list(dict.fromkeys(run for run in named if run))


def _tokens(condition: str) -> list[_Token]:
    found, at = [], 0
    while condition[at:].strip():
        match = _TOKEN.match(condition, at)
        if match is None:
            raise _unreadable(condition, f"{condition[at:].strip()[:20]!r} is no part of one")
        kind = match.lastgroup or ""
        if match["word"]:
            kind = "join" if match["word"] in {"and", "or"} else "metric"
        found.append(_Token(kind, match[kind if kind in {"number", "operator"} else "word"], match["feature"]))
        at = match.end()
    return found


def _unreadable(condition: str, why: str) -> RequestError:
    return RequestError(
        f"the condition {condition!r} cannot be read: {why}.",
        hint="Write for instance 'f1 >= v2.f1' or 'f1 >= v2.f1 - 0.01 and recall[Cat] > 0.8'.",
    )


class _Reader:
    """Reads tokens from left to right, and every comparison, so that all reasons are told."""

    def __init__(self, condition: str, tokens: list[_Token], lookup: Lookup) -> None:
        self.condition = condition
        self.rest = tokens
        self.lookup = lookup
        self.reasons: list[str] = []

    def either(self) -> bool:
        holds = self.both()
        while self._take("join", "or"):
            holds = self.both() or holds
        return holds

    def both(self) -> bool:
        holds = self.comparison()
        while self._take("join", "and"):
            holds = self.comparison() and holds
        return holds

    def comparison(self) -> bool:
        left, left_said = self.sum()
        sign = self.rest.pop(0) if self.rest and self.rest[0].text in _COMPARE else None
        if sign is None:
            raise _unreadable(self.condition, f"a comparison such as >= is missing after {left_said}")
        right, right_said = self.sum()
        holds = left is not None and right is not None and _COMPARE[sign.text](left, right)
        self.reasons.append(f"{left_said} {sign.text} {right_said}: {'holds' if holds else 'does not hold'}")
        return holds

    def sum(self) -> tuple[float | None, str]:
        value, said = self.term()
        while self.rest and self.rest[0].text in {"+", "-"}:
            sign = self.rest.pop(0).text
            other, other_said = self.term()
            known = value is not None and other is not None
            value = (value + other if sign == "+" else value - other) if known else None  # type: ignore[operator]  # both are numbers when known
            said = f"{said} {sign} {other_said}"
        return value, said

    def term(self) -> tuple[float | None, str]:
        token = self.rest.pop(0) if self.rest else None
        if token is not None and token.kind == "number":
            return float(token.text), token.text
        if token is None or token.kind != "metric":
            raise _unreadable(
                self.condition,
                f"a number or a metric is missing {'at its end' if token is None else f'before {token.text!r}'}",
            )
        run, _, metric = token.text.rpartition(".")
        value = self.lookup(run or None, metric, token.feature)
        name = token.text + (f"[{token.feature}]" if token.feature else "")
        return value, f"{name} ({'undefined' if value is None else f'{value:.4g}'})"

    def _take(self, kind: str, text: str) -> bool:
        if self.rest and (self.rest[0].kind, self.rest[0].text) == (kind, text):
            self.rest.pop(0)
            return True
        return False
