"""Models written for Label Studio's own backend package, `label_studio_ml`: what they import, and how they are found.

The package's release on PyPI is of an older form and pins Flask 1.1, so it cannot stand beside today's Flask. Where it
is missing, or cannot be imported, `prelabel.lsml.surface` answers to its name instead; where it works, it is used.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any

from prelabel.lsml.finding import PACKAGE, provide

__all__ = ["PACKAGE", "forget_served", "is_model", "model_in", "provide"]


def is_model(found: object) -> bool:
    """Whether ``found`` is a class of the package's form (its base class itself too)."""
    base = _base()
    return base is not None and inspect.isclass(found) and issubclass(found, base)


def models_in(module: ModuleType) -> list[tuple[str, type[Any]]]:
    """The classes of the package's form in a module, by name: those it defines, else those it imported.

    A class from which another one of them is made is not meant.
    """
    base = _base()
    there = [(name, value) for name, value in vars(module).items() if is_model(value) and value is not base]
    own = [(name, value) for name, value in there if value.__module__ == module.__name__] or there
    return [(name, value) for name, value in own if not any(value in other.__mro__[1:] for _, other in own)]


def model_in(module: ModuleType) -> list[tuple[str, type[Any]]]:
    """The models that a user's module may mean: what it gave to ``init_app``, else its classes, else its functions.

    A file with functions under ``predict_fn`` means the base class, which calls them.
    """
    served: Any = getattr(sys.modules.get(f"{PACKAGE}.api"), "MODEL_CLASS", None)
    base = _base()
    if is_model(served) and served is not base:
        return [(served.__name__, served)]
    found = models_in(module)
    if found or base is None:
        return found
    registered = getattr(sys.modules.get(f"{PACKAGE}.model"), "_predict_fn", None)
    if served is base or getattr(registered, "__module__", None) == module.__name__:
        return [(module.__name__, base)]
    return []


def forget_served() -> None:
    """Before another file is run: what an earlier one gave to ``init_app``, ``predict_fn`` and ``update_fn``."""
    for module, names in (("api", ("MODEL_CLASS",)), ("model", ("_predict_fn", "_update_fn"))):
        known = sys.modules.get(f"{PACKAGE}.{module}")
        for name in names:
            if known is not None and hasattr(known, name):
                setattr(known, name, None)


def _base() -> type[Any] | None:
    """The base class, where anybody has imported it."""
    base = getattr(sys.modules.get(f"{PACKAGE}.model"), "LabelStudioMLBase", None)
    return base if inspect.isclass(base) else None
