"""`label_studio_ml.server`: the package's command. Here it only says whose place is taken by what."""

from __future__ import annotations

from prelabel.errors import ModelLoadError


def main() -> None:
    """Refuses.

    Raises:
        ModelLoadError: always.
    """
    raise ModelLoadError(
        "label-studio-ml's command is not there: prelabel stands in for that package.",
        hint="`prelabel serve DIR` starts a model, `prelabel init DIR` writes a new one.",
    )
