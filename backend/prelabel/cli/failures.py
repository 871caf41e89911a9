"""How a command fails: one or two lines on standard error, a traceback in a file, an exit code."""

from __future__ import annotations

import tempfile
import time
import traceback
from pathlib import Path
from typing import IO, Any

import click

from prelabel.errors import PrelabelError, SettingsError


class CommandFailure(click.ClickException):
    """An error that prelabel raised on purpose: its message, then its hint; exit code 1."""

    exit_code = 1

    def __init__(self, error: PrelabelError) -> None:
        where = f"task {error.task}: " if error.task is not None else ""
        super().__init__(where + error.message)
        self.hint = error.hint

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(click.style("Error: ", fg="red", bold=True) + self.message, file=file, err=file is None)
        if self.hint:
            click.echo(click.style("  Fix: ", fg="green", bold=True) + self.hint, file=file, err=file is None)


def report_unexpected(error: Exception) -> CommandFailure:
    """Write the traceback of an error nobody foresaw to a file, and say where."""
    text = "".join(traceback.format_exception(error))
    path = _write_log(text)
    first = (str(error).splitlines() or [""])[0][:200]
    return CommandFailure(
        PrelabelError(
            f"something unexpected happened: {type(error).__name__}: {first}",
            hint=f"The details are in {path}; `--log-level debug` shows them here.",
        )
    )


def _write_log(text: str) -> Path:
    """Append to ``prelabel-errors.log`` in the data directory, or in the temporary directory where that fails."""
    from prelabel.settings import load_settings

    moment = time.strftime("%Y-%m-%d %H:%M:%S")
    for directory in ("data", "temporary"):
        try:
            folder = load_settings().data_dir if directory == "data" else Path(tempfile.gettempdir())
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "prelabel-errors.log"
            with path.open("a", encoding="utf-8") as log:
                log.write(f"{moment}\n{text}\n")
        except (OSError, SettingsError):
            continue
        return path
    return Path("(nowhere: no directory could be written)")
