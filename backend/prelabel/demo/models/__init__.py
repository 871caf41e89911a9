"""The demo's three models: real weights that come inside packages of the Python Package Index."""

from __future__ import annotations

from importlib import metadata


def releases(*distributions: str) -> bytes:
    """Names and versions of the packages that hold a model's code and weights: what makes one version of it."""
    return "\n".join(f"{name}=={metadata.version(name)}" for name in distributions).encode()
