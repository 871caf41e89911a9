"""A model's instances: one for each project and labeling config."""

from __future__ import annotations

import inspect
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from prelabel.errors import ModelError, PrelabelError
from prelabel.options import bind
from prelabel.user_code import first_line, place_of

logger = logging.getLogger(__name__)

KEPT = 8
"""Instances kept: the one used least recently goes first."""
FAILED_S = 10.0
"""How long an instance that could not be made is not tried again."""

Key = tuple[str, str]
"""A project's number, and the hash of its labeling config."""


class Instances:
    """Makes instances when they are first asked for, and keeps the last ones. Not thread-safe.

    Args:
        model: their class.
        arguments: for its constructor, beside project and labeling config.
        most: how many are kept.
        born: called with each new one and its project, before anybody gets it.
    """

    def __init__(
        self, model: type[Any], arguments: Mapping[str, Any], most: int, born: Callable[[Any, str], None]
    ) -> None:
        self._model = model
        self._arguments = dict(arguments)
        self._most = max(1, most)
        self._born = born
        self._kept: OrderedDict[Key, Any] = OrderedDict()
        self._failed: dict[Key, tuple[float, ModelError]] = {}

    def get(self, key: Key, label_config: str) -> Any:
        """The instance for a project and labeling config, made now where there is none.

        Raises:
            ModelError: its constructor or its ``setup`` failed.
        """
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._make(key, label_config)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found

    def forget(self, key: Key) -> None:
        """Make it anew when it is next asked for."""
        self._kept.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    def _make(self, key: Key, label_config: str) -> Any:
        since, error = self._failed.get(key, (0.0, None))
        if error is not None and time.monotonic() - since < FAILED_S:
            raise error
        try:
            made = self._model(project_id=key[0], label_config=label_config, **self._arguments)
        except PrelabelError:
            raise
        except Exception as failure:
            logger.exception("%s could not be made for project %s", self._model.__name__, key[0] or "(none)")
            error = ModelError(
                f"{self._model.__name__} could not be made for this labeling config: {place_of(failure)}"
                f"{type(failure).__name__}: {first_line(failure)}.",
                hint="The log has the traceback.",
            )
            self._failed[key] = (time.monotonic(), error)
            raise error from failure
        self._born(made, key[0])
        return made


def arguments_of(model: type[Any], options: Mapping[str, str], label: str) -> dict[str, Any]:
    """Options as the model's constructor annotates them; project and labeling config are none of them.

    Raises:
        ModelLoadError: one is unknown, or not what its annotation says.
    """

    def constructor(**_kwargs: Any) -> None: ...

    parameters = inspect.signature(model).parameters
    left = [one for name, one in parameters.items() if name not in {"project_id", "label_config"}]
    constructor.__signature__ = inspect.Signature(left)  # type: ignore[attr-defined]  # read by `inspect.signature`
    constructor.__annotations__ = {one.name: one.annotation for one in left if one.annotation is not one.empty}
    return bind(constructor, options, label) if options else {}
