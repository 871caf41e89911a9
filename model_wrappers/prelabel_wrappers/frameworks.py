"""What is said of a framework that is not installed, and of a model's file that is not there."""

from __future__ import annotations

from pathlib import Path

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
