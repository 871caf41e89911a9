"""What is said of a framework that is not installed, and of a model's file that is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prelabel.errors import ModelLoadError


def missing(framework: str, extra: str) -> ModelLoadError:
    """A framework is not installed: the error names prelabel's extra that brings it."""
    return ModelLoadError(f"{framework} is not installed.", hint=f'pip install "prelabel[{extra}]"')


def existing(path: Path, option: str = "model") -> Path:
    """The path itself.

    Raises:
        ModelLoadError: there is nothing.
    """
    if not path.exists():
        raise ModelLoadError(f"there is no file {path}.", hint=f"Check --opt {option}=PATH.")
    return path


def stored(path: Path, extra: str) -> Any:
    """What ``joblib.dump`` (or ``pickle``) wrote into a file; reading it runs the code in it.

    Raises:
        ModelLoadError: scikit-learn is not installed, there is no such file, or it cannot be read.
        ModuleNotFoundError: of a module that what is stored belongs to.
    """
    try:
        import joblib
        import sklearn  # noqa: F401 (joblib comes with other packages, too)
    except ModuleNotFoundError as error:
        raise missing("scikit-learn", extra) from error
    try:
        return joblib.load(existing(path))
    except (ModelLoadError, ModuleNotFoundError):
        raise
    except Exception as error:
        raise ModelLoadError(
            f"{path} cannot be read: {type(error).__name__}: {error}.",
            hint="Store the fitted estimator with joblib.dump, by releases of scikit-learn and NumPy like those here.",
        ) from error
