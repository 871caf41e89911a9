"""The version that a `label_studio_ml` model gives itself, read from its source: it must be known before loading."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from typing import Any

SET_IN = ("__init__", "setup")
"""Methods in which a version stands from the beginning on; ``fit`` sets later ones."""
UNTOLD = "0.0.1"
"""The package's own default, which says nothing."""


def own_version(model: type[Any]) -> str | None:
    """What the class's ``setup`` (or ``__init__``) gives to ``set("model_version", ...)``, if it can be read there.

    Else an ``INITIAL_MODEL_VERSION`` of its own. A bare number (``0.0.2``, ``v3``) gets the class's name before it: no
    two models of a registry may have the same version. None where the model says nothing, or not in plain words.
    """
    return named(model, _said(model) or getattr(model, "INITIAL_MODEL_VERSION", UNTOLD))


def named(model: type[Any], said: object) -> str | None:
    """A version as it stands in the registry for what the model calls it, see `own_version`."""
    if not isinstance(said, str) or said in {"", UNTOLD}:
        return None
    return f"{model.__name__}-{said}" if re.fullmatch(r"v?\d[\w.+-]*", said, flags=re.IGNORECASE) else said


def _said(model: type[Any]) -> str | None:
    for cls in model.__mro__:
        if cls.__module__.startswith(("label_studio_ml", "prelabel.lsml")):
            return None
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
        except (OSError, TypeError, SyntaxError):
            return None
        found = {_value(call, cls, model) for call in _calls(tree)}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _calls(tree: ast.Module) -> list[ast.expr]:
    """Second arguments of ``self.set("model_version", ...)`` in the methods of `SET_IN`."""
    methods = [
        each for each in getattr(tree.body[0], "body", []) if isinstance(each, ast.FunctionDef) and each.name in SET_IN
    ]
    calls = [call for method in methods for call in ast.walk(method) if isinstance(call, ast.Call)]
    return [
        call.args[1]
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "set"
        and len(call.args) == 2
        and isinstance(call.args[0], ast.Constant)
        and call.args[0].value == "model_version"
    ]


def _value(node: ast.expr, cls: type[Any], model: type[Any]) -> str | None:
    """The text of a literal, of a constant of the module, or of an f-string of these and the class's name."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Name):
        constant = getattr(sys.modules.get(cls.__module__), node.id, None)
        return constant if isinstance(constant, str) else None
    if ast.unparse(node) in {"self.__class__.__name__", "type(self).__name__"}:
        return model.__name__
    if isinstance(node, ast.FormattedValue) and node.format_spec is None:
        return _value(node.value, cls, model)
    if isinstance(node, ast.JoinedStr):
        parts = [_value(each, cls, model) for each in node.values]
        return None if None in parts else "".join(part for part in parts if part is not None)
    return None
