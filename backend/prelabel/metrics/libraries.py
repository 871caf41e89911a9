"""The libraries that `prelabel[runs]` brings, imported when a metric needs them."""

from __future__ import annotations

import importlib
from types import ModuleType

from prelabel.errors import SettingsError


def library(name: str) -> ModuleType:
    """The module of that name.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SettingsError(
            f"this metric needs {name.partition('.')[0]}, which is not installed.",
            hint='pip install "prelabel[runs]"',
        ) from error
