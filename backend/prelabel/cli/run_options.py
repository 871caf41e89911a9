"""What the subcommands of ``prelabel runs`` share: arguments, thresholds, the registry, tables."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from prelabel.cli import options
from prelabel.settings import Settings

if TYPE_CHECKING:
    from prelabel.client import Client

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

registry = options.settings_options("data_dir", "database_url")
with_label_studio = options.settings_options("data_dir", "database_url", *options.LABEL_STUDIO)
run_argument = click.argument("run", metavar="RUN")
existing = click.Path(exists=True, dir_okay=False, path_type=Path)
project_option = click.option("--project", type=click.IntRange(min=1), help="Id of a Label Studio project.")
SPLITS = ("training", "validation", "test", "unassigned")
split_option = click.option("--split", type=click.Choice(SPLITS), help="Only data rows in this split.")
splits_option = click.option(
    "--split", "splits", multiple=True, type=click.Choice(SPLITS), help="Only data rows in this split; repeatable."
)


def thresholds(function: Decorated) -> Decorated:
    """``--confidence`` and ``--iou``."""
    for flag, help_ in (
        ("--iou", "A prediction matches an annotation of its class above this IoU."),
        ("--confidence", "Predictions below it are ignored."),
    ):
        function = click.option(flag, default=0.5, show_default=True, type=click.FloatRange(0, 1), help=help_)(function)
    return function


def _address(_context: click.Context, _param: click.Parameter, url: str | None) -> str | None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise click.BadParameter(f"{url} does not begin with http:// or https://.")
    return url


def through_a_server(command: click.Command) -> click.Command:
    """Give a subcommand the options ``--server`` and ``--api-key``, which `client_of` looks at."""
    help_ = "Ask this prelabel server instead of the data directory."
    command.params.append(click.Option(["--server"], metavar="URL", callback=_address, help=help_))
    command.params.append(options.SettingOption("api_key", Settings.model_fields["api_key"]))
    return command


@contextlib.contextmanager
def client_of(values: dict[str, Any]) -> Iterator[Client]:
    """The registry of a command's settings, or that of the server that it names."""
    from prelabel.client import Client

    server = values.pop("server", None)
    for name in ("data_dir", "database_url"):
        if server is not None and values.get(name) is not None:
            raise click.UsageError(f"Give either --server or --{name.replace('_', '-')}.")
    settings = options.settings_from(values)
    key = settings.api_key.get_secret_value() if settings.api_key is not None else None
    with Client(settings) if server is None else Client(server, api_key=key) as client:
        yield client


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """Says on a terminal, on one line, how many are done."""
    shown = False

    def show(done: int) -> None:
        nonlocal shown
        if sys.stderr.isatty():
            shown = True
            click.echo(f"\r{done} {what}", nl=False, err=True)

    try:
        yield show
    finally:
        if shown:
            click.echo(err=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def number(value: float | None) -> str:
    """A number in a table; what is undefined is a dash."""
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"
