"""JMESPath expressions over JSON, and JSON templates that hold such expressions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prelabel.errors import ModelError, ModelLoadError
from prelabel_wrappers.frameworks import missing

_INSIDE = re.compile(r"\$\{(.+?)\}")

Made = Callable[[Any], Any]
"""From what an expression sees to what it makes."""


def template(told: str, option: str) -> Made:
    """What builds a JSON value: a JMESPath expression, or JSON (a text or a ``.json`` file) with expressions in it.

    In JSON a string that is all one ``${expression}`` becomes the expression's value, whatever its type; inside a
    longer string the value is written as text.

    Raises:
        ModelLoadError: an expression is none, or jmespath is not installed.
    """
    path = Path(told) if told.endswith(".json") else None
    if path is not None and not path.is_file():
        raise ModelLoadError(f"there is no file {path}.", hint=f"Check --opt {option}.")
    text = path.read_text(encoding="utf-8") if path is not None else told
    try:
        form = json.loads(text)
    except ValueError:
        if path is not None:
            raise ModelLoadError(f"{path} is not JSON.", hint=f"Check --opt {option}.") from None
        return expression(told, option)
    return _filled(form, option)


def expression(told: str, option: str) -> Made:
    """One JMESPath expression.

    Raises:
        ModelLoadError: it is none, or jmespath is not installed.
    """
    try:
        import jmespath
    except ModuleNotFoundError as error:
        raise missing("jmespath", "http") from error
    try:
        compiled = jmespath.compile(told)
    except jmespath.exceptions.JMESPathError as error:
        raise ModelLoadError(
            f"the option {option} is no JMESPath expression: {' '.join(str(error).split())[:200]}.",
            hint="See https://jmespath.org; for example {text: value}.",
        ) from error

    def made(of: Any) -> Any:
        try:
            return compiled.search(of)
        except jmespath.exceptions.JMESPathError as error:
            raise ModelError(
                f"the expression {told!r} fails: {' '.join(str(error).split())[:200]}.", hint=f"Check --opt {option}."
            ) from error

    return made


def _filled(form: Any, option: str) -> Made:
    if isinstance(form, dict):
        parts = {key: _filled(value, option) for key, value in form.items()}
        return lambda of: {key: part(of) for key, part in parts.items()}
    if isinstance(form, list):
        items = [_filled(value, option) for value in form]
        return lambda of: [item(of) for item in items]
    if not isinstance(form, str) or not _INSIDE.search(form):
        return lambda of: form
    whole = _INSIDE.fullmatch(form)
    if whole is not None and "${" not in whole[1]:
        return expression(whole[1], option)
    inner = {found[1]: expression(found[1], option) for found in _INSIDE.finditer(form)}
    return lambda of: _INSIDE.sub(lambda found: _written(inner[found[1]](of)), form)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
