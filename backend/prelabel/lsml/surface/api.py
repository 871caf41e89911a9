"""`label_studio_ml.api`: ``init_app``, by which a ``_wsgi.py`` says which class is the model. prelabel serves it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from prelabel.errors import ModelLoadError
from prelabel.lsml.surface.model import LabelStudioMLBase

logger = logging.getLogger(__name__)

MODEL_CLASS: type[LabelStudioMLBase] | None = None
"""What the last ``init_app`` was given."""
OLDER = frozenset({"model_dir", "redis_queue", "redis_host", "redis_port"})
"""Arguments of ``init_app`` before 2, which mean nothing since."""
HUNG_ON = frozenset(
    {
        "add_url_rule", "after_request", "context_processor", "delete", "errorhandler", "get", "patch", "post", "put",
        "register_blueprint", "register_error_handler", "route", "teardown_appcontext", "teardown_request",
    }
)  # fmt: skip
"""What a file may hang on a Flask application and prelabel's server does without."""


class Served:
    """Stands where the package's Flask application would: prelabel's own server answers.

    Routes and the like are taken and told in the log, since they are not served. ``before_request`` and whatever else
    might be a guard is not there.
    """

    def __init__(self, model_class: type[LabelStudioMLBase]) -> None:
        self.model_class = model_class
        self.config: dict[str, Any] = {}
        self.logger = logging.getLogger(model_class.__module__)
        self.wsgi_app: Any = self

    def run(self, *_args: Any, **_kwargs: Any) -> None:
        """Refuses: the file is not the program here.

        Raises:
            ModelLoadError: always.
        """
        raise ModelLoadError("app.run() does not start a server here.", hint="Use `prelabel serve _wsgi.py`.")

    def __call__(self, *_args: Any, **_kwargs: Any) -> None:
        """As `run`."""
        self.run()

    def __getattr__(self, name: str) -> Any:
        if name not in HUNG_ON:
            raise AttributeError(f"app.{name} is not there: prelabel's own server answers for the model")

        def take(*args: Any, **_kwargs: Any) -> Any:
            given = ", ".join(map(repr, args))
            logger.warning("app.%s(%s): prelabel does not serve what a file adds to its app", name, given)
            return args[0] if args and callable(args[0]) else _as_it_is

        return take


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def init_app(
    model_class: type[LabelStudioMLBase],
    basic_auth_user: str | None = None,
    basic_auth_pass: str | None = None,
    **older: Any,
) -> Served:
    """Say which class is the model.

    Raises:
        ValueError: it is no subclass of LabelStudioMLBase.
        TypeError: an argument that no release of the package has had.
        ModelLoadError: a password stands in the file, and prelabel was not told to ask for one.
    """
    global MODEL_CLASS  # noqa: PLW0603 (the loader reads it, as the package's own server does)
    if not (isinstance(model_class, type) and issubclass(model_class, LabelStudioMLBase)):
        raise ValueError("the model's class must be a subclass of LabelStudioMLBase")  # noqa: TRY004 (the package's)
    if unknown := sorted(set(older) - OLDER):
        raise TypeError(f"init_app() got an unexpected keyword argument {unknown[0]!r}")
    if older:
        logger.info("init_app: %s mean nothing here", ", ".join(sorted(older)))
    asked = any(os.environ.get(name) for name in ("BASIC_AUTH_USER", "PRELABEL_BASIC_AUTH_USER"))
    if basic_auth_user and basic_auth_pass and not asked:
        raise ModelLoadError(
            "the file gives a user and a password to init_app, which prelabel does not read there.",
            hint="Set BASIC_AUTH_USER and BASIC_AUTH_PASS.",
        )
    MODEL_CLASS = model_class
    return Served(model_class)
