"""What a process offers to the instances of a `label_studio_ml` model: its state, files, Label Studio's address."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from prelabel.lsml.state import MemoryState, State


@dataclass(frozen=True, slots=True)
class Services:
    """``local_path`` takes an address and a task id (or None) and gives a file; None: label-studio-sdk fetches."""

    state: State = field(default_factory=MemoryState)
    local_path: Callable[[str, int | None], Path] | None = None
    url: str = ""
    key: str = ""


def from_environment() -> Services:
    """For an instance that somebody makes without prelabel's server (a model's own tests): the variables' values."""
    return Services(
        url=os.environ.get("LABEL_STUDIO_URL") or os.environ.get("LABEL_STUDIO_HOST", ""),
        key=os.environ.get("LABEL_STUDIO_API_KEY") or os.environ.get("LABEL_STUDIO_ACCESS_TOKEN", ""),
    )
