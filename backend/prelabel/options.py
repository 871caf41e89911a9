"""``--opt key=value`` pairs to the typed keyword arguments of a constructor or function."""

from __future__ import annotations

import inspect
import json
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from prelabel.errors import ModelLoadError

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_OBJECTS = {dict, Mapping}


@dataclass(frozen=True)
class Within:
    """The bounds of a number that an option takes, both included: ``Annotated[float, Within(0, 1)]``."""

    least: float
    most: float = math.inf

    def __str__(self) -> str:
        return f"from {self.least:g}" + (f" to {self.most:g}" if self.most < math.inf else "")


Share = Annotated[float, Within(0, 1)]
Amount = Annotated[float, Within(0)]
Count = Annotated[int, Within(1)]


def bind(target: Callable[..., Any], options: Mapping[str, str], label: str, *, skip: int = 0) -> dict[str, Any]:
    """Keyword arguments for ``target``, each of its parameter's type.

    Args:
        target: a class or function.
        options: names and texts.
        label: what messages call the target.
        skip: positional parameters that are not options (a function's batch).

    Raises:
        ModelLoadError: an option is unknown, lacks or has the wrong type; the message lists the valid ones.
    """
    parameters = _parameters(target, skip)
    types_ = _types(target)
    bound: dict[str, Any] = {}
    for name, text in options.items():
        key = name.replace("-", "_")
        if key not in parameters:
            raise ModelLoadError(f"{label} has no option {name!r}.", hint=f"It has {_listed(parameters, types_)}.")
        wanted = types_.get(key, Any)
        try:
            bound[key] = _convert(text, wanted)
        except (ValueError, TypeError) as error:
            raise ModelLoadError(
                f"option {name} of {label} must be {shown(wanted)}, not {text!r}.",
                hint=f"It has {_listed(parameters, types_)}.",
            ) from error
    missing = [n for n, p in parameters.items() if p.default is p.empty and n not in bound]
    if missing:
        raise ModelLoadError(
            f"{label} needs the option{'s' if len(missing) > 1 else ''} {', '.join(missing)}.",
            hint=f"Add {' '.join(f'--opt {name}=...' for name in missing)}; it has {_listed(parameters, types_)}.",
        )
    return bound


def _parameters(target: Callable[..., Any], skip: int) -> dict[str, inspect.Parameter]:
    kinds = {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    found = [p for p in inspect.signature(target).parameters.values() if p.kind in kinds]
    return {p.name: p for p in found[skip:]}


def _types(target: Callable[..., Any]) -> dict[str, Any]:
    """The parameters' types; those that cannot be resolved are left out and take text."""
    where = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(where, include_extras=True)
    except (NameError, TypeError, AttributeError):
        raw = getattr(where, "__annotations__", {})
        return {name: kind for name, kind in raw.items() if not isinstance(kind, str)}


def _convert(text: str, kind: Any) -> Any:  # noqa: PLR0911 (one return a type)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in (Any, str, inspect.Parameter.empty):
        return text
    if origin is Annotated:
        return _within(_convert(text, arguments[0]), arguments[1:], text)
    if kind is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ValueError(text)
    if kind in (int, float, Path):
        return kind(text)
    if origin in (Union, types.UnionType):
        return _convert_any(text, arguments)
    if origin is Literal:
        return _one_of(text, arguments)
    if origin in (list, Sequence, tuple, set, frozenset) or kind in (list, tuple):
        return _convert_several(text, origin or kind, arguments)
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return kind(text) if text in {str(member.value) for member in kind} else kind[text]
    found = json.loads(text)
    if (origin or kind) in _OBJECTS and not isinstance(found, dict):
        raise ValueError(text)
    return found


def _within(value: Any, bounds: tuple[Any, ...], text: str) -> Any:
    for each in bounds:
        if isinstance(each, Within) and not each.least <= value <= each.most:
            raise ValueError(text)
    return value


def _one_of(text: str, allowed: tuple[Any, ...]) -> Any:
    for value in allowed:
        if str(value).lower() == text.lower():
            return value
    raise ValueError(text)


def _convert_any(text: str, kinds: tuple[Any, ...]) -> Any:
    """The first kind that takes the text; plain text last, since it takes everything."""
    if type(None) in kinds and text.lower() in {"", "none", "null"}:
        return None
    for kind in sorted((k for k in kinds if k is not type(None)), key=lambda k: k is str):
        try:
            return _convert(text, kind)
        except (ValueError, TypeError):  # noqa: PERF203 (the next kind)
            continue
    raise ValueError(text)


def _convert_several(text: str, into: Any, kinds: tuple[Any, ...]) -> Any:
    pieces = [piece.strip() for piece in text.split(",") if piece.strip()]
    if into is tuple and kinds and kinds[-1] is not Ellipsis:
        if len(kinds) != len(pieces):
            raise ValueError(text)
        return tuple(_convert(piece, kind) for piece, kind in zip(pieces, kinds, strict=True))
    values = [_convert(piece, kinds[0] if kinds else str) for piece in pieces]
    return values if into in (list, Sequence) else into(values)


def shown(kind: Any) -> str:  # noqa: PLR0911 (one return a kind)
    """A type as a reader of a message writes it."""
    if kind is Any or kind is inspect.Parameter.empty:
        return "text"
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return " ".join([shown(arguments[0]), *(str(each) for each in arguments[1:] if isinstance(each, Within))])
    if origin in (Union, types.UnionType):
        return " or ".join(shown(k) for k in arguments if k is not type(None))
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin in (list, Sequence, tuple):
        return f"comma-separated {shown(arguments[0]) if arguments else 'text'}"
    if (origin or kind) in _OBJECTS:
        return "JSON object"
    return {str: "text", Path: "path", int: "integer", float: "number", bool: "true or false"}.get(
        kind, getattr(kind, "__name__", str(kind))
    )


def _listed(parameters: Mapping[str, inspect.Parameter], types_: Mapping[str, Any]) -> str:
    if not parameters:
        return "no options"
    return ", ".join(
        f"{name} ({shown(types_.get(name, Any))}"
        + (", needed)" if p.default is p.empty else f", default {p.default!r})" if p.default is not None else ")")
        for name, p in parameters.items()
    )
