"""`label_studio_ml.api`: ``init_app``, by which a ``_wsgi.py`` says which class is the model. prelabel serves it."""

from __future__ import annotations

import os
from typing import Any

from prelabel.errors import ModelLoadError
from prelabel.lsml.surface.model import LabelStudioMLBase

MODEL_CLASS: type[LabelStudioMLBase] | None = None
"""What the last ``init_app`` was given."""


class Served:
    """Stands where the package's Flask application would: prelabel's own server answers."""

    def __init__(self, model_class: type[LabelStudioMLBase]) -> None:
        self.model_class = model_class

    def run(self, *_args: Any, **_kwargs: Any) -> None:
        """Refuses: the file is not the program here.

        Raises:
            ModelLoadError: always.
        """
        raise ModelLoadError("app.run() does not start a server here.", hint="Use `prelabel serve _wsgi.py`.")

    def __call__(self, *_args: Any, **_kwargs: Any) -> None:
        """As `run`."""
        self.run()


def init_app(
    model_class: type[LabelStudioMLBase], basic_auth_user: str | None = None, basic_auth_pass: str | None = None
) -> Served:
    """Say which class is the model.

    Raises:
        ValueError: it is no subclass of LabelStudioMLBase.
        ModelLoadError: a password stands in the file, and prelabel was not told to ask for one.
    """
    global MODEL_CLASS  # noqa: PLW0603 (the loader reads it, as the package's own server does)
    if not (isinstance(model_class, type) and issubclass(model_class, LabelStudioMLBase)):
        raise ValueError("the model's class must be a subclass of LabelStudioMLBase")  # noqa: TRY004 (the package's)
    asked = any(os.environ.get(name) for name in ("BASIC_AUTH_USER", "PRELABEL_BASIC_AUTH_USER"))
    if basic_auth_user and basic_auth_pass and not asked:
        raise ModelLoadError(
            "the file gives a user and a password to init_app, which prelabel does not read there.",
            hint="Set BASIC_AUTH_USER and BASIC_AUTH_PASS.",
        )
    MODEL_CLASS = model_class
    return Served(model_class)
