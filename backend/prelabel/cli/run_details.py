"""``prelabel runs report``: all that can be measured of a run, as tables, JSON or a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from prelabel.cli import options
from prelabel.cli.jobs import as_json
from prelabel.cli.run_options import client_of, registry, run_argument, split_option, thresholds
from prelabel.cli.run_report_tables import show

PICTURES = (".png", ".svg", ".pdf")


def picture_file(_context: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """A file whose ending is that of a picture."""
    if path is not None and path.suffix.lower() not in PICTURES:
        raise click.BadParameter(f"{path.name} does not end in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}.")
    return path


@click.command("report", cls=options.SettingsCommand)
@run_argument
@thresholds
@split_option
@click.option(
    "--plot",
    metavar="FILE.png",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=picture_file,
    help="Draw precision and recall, reliability and confusion into this file.",
)
@as_json
@registry
def report_command(
    *, run: str, confidence: float, iou: float, split: Any, plot: Path | None, as_json: bool, **values: Any
) -> None:
    """Show all that can be measured of a run: what applies to the kinds of predictions that it has.

    A dash is undefined, which is not 0.
    """
    with client_of(values) as client:
        found = client.get_model_run(run).report(confidence, iou, split=split)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1))
    else:
        show(found, run)
    if plot is not None:
        from prelabel.cli.run_picture import draw

        draw(found, run, plot)
        click.echo(f"The picture is in {plot}.", err=True)


DETAILS = (report_command,)
