"""What the package itself keeps for projects, in SQLite under ``MODEL_DIR``: taken over, and kept in the registry."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import sys
from pathlib import Path

from prelabel.lsml.state import State

logger = logging.getLogger(__name__)

FILE = "cache.db"
"""The package's file in ``MODEL_DIR``."""
OWN = frozenset({"label_config", "parsed_label_config", "extra_params"})
"""Keys that the package writes by itself, and anew for each instance."""


class Cache:
    """Stands where the installed package's ``CACHE`` would: ``cache[project, key]``, each a text."""

    def __init__(self, state: State) -> None:
        self._state = state

    def __getitem__(self, place: tuple[str, str]) -> str | None:
        return self._state.get(*place)

    def __setitem__(self, place: tuple[str, str], value: str) -> None:
        if not isinstance(value, str):
            raise ValueError("Value must be a string")  # noqa: TRY004 (the package's)
        self._state.set(*place, value)

    def __delitem__(self, place: tuple[str, str]) -> None:
        self._state.set(*place, None)

    def __contains__(self, place: tuple[str, str]) -> bool:
        return self._state.get(*place) is not None


def keep_in(state: State) -> None:
    """Take over what the package has kept in ``MODEL_DIR``, and let the installed one keep in ``state`` from now on.

    What is known already stays.
    """
    module = sys.modules.get("label_studio_ml.model")
    if hasattr(module, "CACHE"):
        module.CACHE = Cache(state)  # type: ignore[union-attr]  # checked above
    directory = os.environ.get("MODEL_DIR")
    if directory and (Path(directory) / FILE).is_file():
        _take_over(Path(directory) / FILE, state)


def _take_over(file: Path, state: State) -> None:
    taken = 0
    try:
        with contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as database:
            for project, key, value in database.execute("SELECT project_id, key, value FROM cache"):
                if key not in OWN and state.get(project, key) is None:
                    state.set(project, key, value)
                    taken += 1
    except sqlite3.Error as error:
        logger.warning("%s cannot be read (%s): what label-studio-ml kept there is not taken over", file, error)
    if taken:
        logger.info("%d entries that label-studio-ml kept in %s are taken over", taken, file)
