"""`label_studio_ml.exceptions`: what a model may raise, and the decorator that the package's own endpoints have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class AnswerException(Exception):  # noqa: N818 (the package's name)
    """A refusal with an HTTP status; here it fails the tasks it was raised for, like any other exception."""

    def __init__(self, status: int, msg: str = "", result: Any = None) -> None:
        super().__init__(msg or f"status {status}")
        self.status, self.msg, self.result = status, msg, result


def exception_handler(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it is: prelabel's server answers for what it raises."""
    return function
