"""Models of the form before 2, which releases on PyPI still have: what differs in calling and keeping.

``fit(tasks, workdir=None, **kwargs)`` gets the event among its named arguments, and what it returns is the model's
``train_output`` from then on, which the constructor of an instance reads.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

FIRST = frozenset({"tasks", "completions", "annotations"})
"""What the first argument of ``fit`` was called."""
KEY = "train_output"
"""Under which it is kept for a project."""


def is_older(model: type[Any]) -> bool:
    """Whether the class's ``fit`` is of that form."""
    parameters = list(inspect.signature(model.fit).parameters.values())[1:2]
    return bool(parameters) and parameters[0].name in FIRST


def fitted(instance: Any, event: str, data: Mapping[str, Any]) -> Any:
    """Call such a ``fit`` and keep what it returned; the instance is to be made anew then.

    Raises:
        TypeError: it returned something that JSON cannot hold.
    """
    said = instance.fit((), event=event, data=dict(data), job_id=None)
    if said is not None:
        instance.set(KEY, json.dumps(said))
    return said
