"""Errors of users' code in a few words: where in their own files it happened, and what was said."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path


def place_of(error: BaseException, file: Path | None = None) -> str:
    """``file:line: `` of the last step in the user's own code (not in an installed package), or "".

    Args:
        error: as it was caught.
        file: the user's file, where it is known.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}: "
    steps = traceback.extract_tb(error.__traceback__)
    ours = str(Path(__file__).parent)
    own = [s for s in steps if _is_users(s.filename, ours)] if file is None else []
    own = own or [s for s in steps if file is not None and Path(s.filename) == file]
    return f"{_short(own[-1].filename)}:{own[-1].lineno}: " if own else ""


def first_line(error: BaseException) -> str:
    """The first line of what the error says, shortened."""
    lines = str(error).strip().splitlines() or ["no message"]
    return lines[0][:300].rstrip(".")


def _is_users(filename: str, ours: str) -> bool:
    library = ("prelabel_wrappers", "site-packages", "dist-packages", "<frozen", f"{sys.base_prefix}/lib/python")
    return not filename.startswith(ours) and not any(part in filename for part in library)


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
