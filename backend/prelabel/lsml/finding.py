"""Who answers to the name `label_studio_ml`: the installed package where it works, else `prelabel.lsml.surface`."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from prelabel.lsml.given import Given
from prelabel.lsml.moved import MovedFinder

logger = logging.getLogger(__name__)

PACKAGE = "label_studio_ml"
NEEDED = ("model", "response")
"""Modules that the package has in the form which models are written for today; releases before 2 lack the second."""
SURFACE = "prelabel.lsml.surface"
OFFERED = ("api", "exceptions", "model", "response", "server", "utils")
"""Modules of the surface."""


def provide() -> None:
    """Let files import `label_studio_ml` from now on. Nothing is imported before one does."""
    if PACKAGE not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, MovedFinder())


class _Finder(MetaPathFinder):
    """Decides once, at the first import of the package."""

    def __init__(self) -> None:
        self._asking = False

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != PACKAGE or self._asking:
            return None
        self._asking = True
        try:
            module = _installed() or _surface()
        finally:
            self._asking = False
        sys.modules.pop(PACKAGE, None)  # else the import system would take the package's own spec and run it twice
        return ModuleSpec(PACKAGE, Given(module), is_package=True)


def _installed() -> ModuleType | None:
    """The installed package; None where there is none, it is of an older form, or cannot be imported."""
    if PathFinder.find_spec(PACKAGE) is None:
        return None
    try:
        module = importlib.import_module(PACKAGE)
        for name in NEEDED:
            importlib.import_module(f"{PACKAGE}.{name}")
    except Exception as error:  # noqa: BLE001 (an old package may fail in any way)
        for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
            del sys.modules[name]
        logger.warning(
            "the installed label-studio-ml cannot be used (%s: %s); prelabel stands in for it",
            type(error).__name__,
            error,
        )
        return None
    return module


def _surface() -> ModuleType:
    for name in OFFERED:
        sys.modules[f"{PACKAGE}.{name}"] = importlib.import_module(f"{SURFACE}.{name}")
    return importlib.import_module(SURFACE)
