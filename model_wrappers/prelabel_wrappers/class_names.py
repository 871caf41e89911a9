"""Names of a model's classes, from where models keep them."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def from_option(said: str) -> tuple[str, ...]:
    """Names from an option: the path of a file (one a line, or a JSON list or object), or comma-separated."""
    path = Path(said)
    if not (path.suffix and path.is_file()):
        return tuple(name.strip() for name in said.split(",") if name.strip())
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return _ordered(json.loads(content))
    return _lines(content)


def from_metadata(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Names from the model's metadata: a JSON or Python list or object (``{0: 'cat', 1: 'dog'}``), or lines."""
    for key in ("names", "labels", "classes", "character"):
        text = metadata.get(key)
        if not text:
            continue
        return _parsed(text, json.loads) or _parsed(text, ast.literal_eval) or _lines(text)
    return None


def _parsed(text: str, parse: Callable[[str], Any]) -> tuple[str, ...] | None:
    try:
        return _ordered(parse(text))
    except (ValueError, SyntaxError, TypeError):
        return None


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _ordered(names: Any) -> tuple[str, ...]:
    if isinstance(names, Mapping):
        return tuple(str(name) for _, name in sorted(names.items(), key=lambda pair: int(pair[0])))
    if not isinstance(names, (list, tuple)):
        raise TypeError(f"labels must be a list or an object, not {type(names).__name__}")
    return tuple(map(str, names))
