"""``prelabel runs push-to-labelbox``: a run into Labelbox, through its own SDK."""

from __future__ import annotations

import json
from typing import Any

import click

from prelabel.cli import options
from prelabel.cli.jobs import as_json
from prelabel.cli.run_options import client_of, registry, run_argument

MOST_REASONS = 10
"""Refused rows that are explained on the terminal."""


@click.command("push-to-labelbox", cls=options.SettingsCommand)
@run_argument
@click.option("--model-id", help="Labelbox's id of the model that gets the run.")
@click.option("--ontology-id", help="Or Labelbox's id of an ontology: the model of this name is found or made.")
@click.option("--run-name", help="Name of the run in Labelbox; default: RUN.")
@as_json
@registry
def push_command(
    *, run: str, model_id: str | None, ontology_id: str | None, run_name: str | None, as_json: bool, **values: Any
) -> None:
    """Upload a run's predictions to Labelbox.

    Needs the package `labelbox` and its key in the environment variable LABELBOX_API_KEY. Data rows must be in Labelbox
    already, with the same global keys. Pushing again sends only what changed.

    Exit code: 0 Labelbox took all that was sent, 1 it refused some (the reasons are printed).
    """
    if (model_id is None) == (ontology_id is None):
        raise click.UsageError("Give either --model-id or --ontology-id.")
    with client_of(values) as client:
        at = client.get_model_run(run)
        pushed = at.push_to_labelbox(model_id=model_id, ontology_id=ontology_id, run_name=run_name)
    if as_json:
        click.echo(json.dumps(pushed.as_json(), indent=1))
    else:
        for refused in pushed.refused[:MOST_REASONS]:
            click.echo(f"{refused.data_row or '?'}, row {refused.uuid}: {refused.reason}", err=True)
        if pushed.refused_count > MOST_REASONS:
            click.echo(f"... and {pushed.refused_count - MOST_REASONS} more", err=True)
        for left in pushed.left_out:
            click.echo(f"not sent: {left.count} {left.what}, such as {left.examples[0]}", err=True)
        click.echo(
            f"{run}: {pushed.data_rows} data rows, {pushed.accepted} of {pushed.rows} rows taken,"
            f" {pushed.refused_count} refused; model {pushed.model_id}, run {pushed.run_id}"
        )
        if pushed.again:
            click.echo(f"{pushed.again} of {len(pushed.imports)} imports were there already and were not sent again.")
        if pushed.unread:
            click.echo(f"Of {pushed.unread} rows Labelbox no longer tells what became of them.")
    click.get_current_context().exit(1 if pushed.refused_count else 0)


PUSHING = (push_command,)
