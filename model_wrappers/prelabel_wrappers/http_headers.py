"""Addresses and headers of other servers, with secrets from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import httpx

from prelabel.errors import ModelLoadError

_VARIABLE = re.compile(r"\$\{(\w+)\}")


def parsed_url(url: str, schemes: Sequence[str] = ("http", "https")) -> httpx.URL:
    """An address.

    Raises:
        ModelLoadError: it is none.
    """
    try:
        given = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ModelLoadError(f"the option url is no address: {error}.", hint="Write http://host:port.") from error
    if given.scheme not in schemes or not given.host:
        raise ModelLoadError(
            f"the option url must begin with {' or '.join(f'{each}://' for each in schemes)}.",
            hint="Write http://host:port.",
        )
    return given


def shown_url(url: str) -> str:
    """An address without user and password."""
    return str(httpx.URL(url).copy_with(username=None, password=None)).rstrip("/")


def _from_environment(text: str) -> tuple[str, list[str]]:
    """``text`` with each ``${NAME}`` replaced by that environment variable, and the values that were put in.

    Raises:
        ModelLoadError: a variable is not set.
    """
    used: list[str] = []

    def value(found: re.Match[str]) -> str:
        told = os.environ.get(found[1])
        if not told:
            raise ModelLoadError(
                f"the environment variable {found[1]} is not set, and a header needs it.", hint=f"export {found[1]}=..."
            )
        used.append(told)
        return told

    return _VARIABLE.sub(value, text), used


def headers_from(told: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Headers with their ``${NAME}`` filled in, and all values that must not be shown.

    Raises:
        ModelLoadError: a variable is not set, or a value cannot be a header.
    """
    headers: dict[str, str] = {}
    secrets: list[str] = []
    for name, text in told.items():
        value, used = _from_environment(str(text))
        if not (value.isprintable() and value.isascii()):
            raise ModelLoadError(f"the header {name} has signs that a header cannot carry.", hint="Look at its value.")
        headers[name] = value
        secrets += used
    return headers, secrets
