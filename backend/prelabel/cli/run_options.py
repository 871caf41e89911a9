"""What the subcommands of ``prelabel runs`` share: arguments, thresholds, the registry, tables."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from prelabel.cli import options

if TYPE_CHECKING:
    from prelabel.client import Client

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

registry = options.settings_options("data_dir", "database_url")
with_label_studio = options.settings_options("data_dir", "database_url", *options.LABEL_STUDIO)
run_argument = click.argument("run", metavar="RUN")
existing = click.Path(exists=True, dir_okay=False, path_type=Path)
project_option = click.option("--project", type=click.IntRange(min=1), help="Id of a Label Studio project.")
split_option = click.option(
    "--split",
    type=click.Choice(["training", "validation", "test", "unassigned"]),
    help="Only data rows in this split.",
)


def thresholds(function: Decorated) -> Decorated:
    """``--confidence`` and ``--iou``."""
    for flag, help_ in (
        ("--iou", "A prediction matches an annotation of its class above this IoU."),
        ("--confidence", "Predictions below it are ignored."),
    ):
        function = click.option(flag, default=0.5, show_default=True, type=click.FloatRange(0, 1), help=help_)(function)
    return function


@contextlib.contextmanager
def client_of(values: dict[str, Any]) -> Iterator[Client]:
    """The registry of a command's settings."""
    from prelabel.client import Client

    with Client(options.settings_from(values)) as client:
        yield client


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def number(value: float | None) -> str:
    """A number in a table; what is undefined is a dash."""
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"
