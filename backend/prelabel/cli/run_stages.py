"""The part of ``prelabel runs`` that tells what a run is, and decides which version people see."""

from __future__ import annotations

import json
from typing import Any

import click

from prelabel.cli import options
from prelabel.cli.jobs import as_json
from prelabel.cli.run_options import client_of, registry, run_argument, split_option, thresholds
from prelabel.runs.held import STATUSES

stores = options.settings_options(*options.STORES)


@click.command("show", cls=options.SettingsCommand)
@run_argument
@as_json
@registry
def show_command(*, run: str, as_json: bool, **values: Any) -> None:
    """Show what a run is: its model, stage and status, its config, and where it came from."""
    with client_of(values) as client:
        found = client.get_model_run(run)
        said: dict[str, Any] = {
            "run": found.name,
            "model": found.model,
            "stage": found.stage,
            "status": found.status,
            "created": found.created_at.isoformat(timespec="seconds"),
            "config": found.get_config(),
            "metadata": found.training_metadata,
            "provenance": found.provenance,
        }
    if as_json:
        click.echo(json.dumps(said, indent=1))
        return
    for name, value in said.items():
        inner = value if isinstance(value, dict) else {}
        click.echo(f"{name:<12}{'' if inner else value or '-'}")
        for key, one in inner.items():
            click.echo(f"  {key:<14}{one if isinstance(one, str | int | float) else json.dumps(one)}")


@click.command("set", cls=options.SettingsCommand)
@run_argument
@click.option("--status", type=click.Choice(STATUSES), help="Labelbox's status of a model run.")
@click.option("--error", help="The message beside a status FAILED.")
@click.option("--metadata", multiple=True, metavar="KEY=VALUE", help="Training metadata; may be repeated.")
@click.option("--config", multiple=True, metavar="KEY=VALUE", help="Part of the config; may be repeated.")
@click.option("--reset-config", is_flag=True, help="Empty the config first.")
@registry
def set_command(
    *,
    run: str,
    status: Any,
    error: str | None,
    metadata: tuple[str, ...],
    config: tuple[str, ...],
    reset_config: bool,
    **values: Any,
) -> None:
    """Set a run's status, training metadata and config; values are JSON, or else text.

    What is not given stays as it is: metadata and config are merged into what is there.
    """
    if status is None and (error or metadata):
        raise click.UsageError("--error and --metadata go with --status.")
    if status is None and not config and not reset_config:
        raise click.UsageError("Give --status, --config or --reset-config.")
    with client_of(values) as client:
        found = client.get_model_run(run)
        if status is not None:
            found.update_status(status, _pairs(metadata), error)
        if reset_config:
            found.reset_config()
        if config:
            found.update_config(_pairs(config))
    click.echo(f"Changed the run {run}.")


def _pairs(given: tuple[str, ...]) -> dict[str, Any]:
    """``lr=0.1`` to ``{"lr": 0.1}``."""
    found: dict[str, Any] = {}
    for pair in given:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"{pair!r} is no KEY=VALUE.")
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found


@click.command("promote", cls=options.SettingsCommand)
@run_argument
@click.option("--if", "condition", help="Only where this holds, for instance 'f1 >= v2.f1 and recall[Cat] > 0.8'.")
@thresholds
@split_option
@stores
def promote_command(
    *, run: str, condition: str | None, confidence: float, iou: float, split: Any, **values: Any
) -> None:
    """Let people see RUN, and no other run of its model.

    Running servers report it to Label Studio within a second. What it predicted in shadow goes to the connected
    projects without asking a model.

    Exit code: 0 it is promoted, 1 the condition does not hold.
    """
    with client_of(values) as client:
        done = client.get_model_run(run).promote(condition, confidence=confidence, iou=iou, split=split)
    for reason in done.reasons:
        click.echo(reason)
    if not done.promoted:
        click.echo(f"{run} is not promoted.", err=True)
        click.get_current_context().exit(1)
    _say_shown(run, done.jobs)


@click.command("rollback", cls=options.SettingsCommand)
@click.argument("model", metavar="MODEL")
@stores
def rollback_command(*, model: str, **values: Any) -> None:
    """Let people see the run of MODEL that was promoted before; no model is asked.

    Rolling back twice goes back two promotions.
    """
    with client_of(values) as client:
        run, jobs = client.get_model(model).roll_back()
    _say_shown(run.name, jobs)


@click.command("demote", cls=options.SettingsCommand)
@run_argument
@stores
def demote_command(*, run: str, **values: Any) -> None:
    """Make RUN a candidate again; with no run promoted, people see the version that is served."""
    with client_of(values) as client:
        client.get_model_run(run).demote()
    click.echo(f"{run} is a candidate.")


@click.command("shadow", cls=options.SettingsCommand)
@run_argument
@stores
def shadow_command(*, run: str, **values: Any) -> None:
    """Let RUN predict without being shown; `prelabel up MODEL --shadow` does it for the version that it serves."""
    with client_of(values) as client:
        hidden = client.get_model_run(run).put_in_shadow()
    if not hidden:
        raise click.UsageError(f"{run} is promoted. Promote another run, or demote it first.")
    click.echo(f"{run} is in shadow.")


def _say_shown(run: str, jobs: tuple[str, ...]) -> None:
    click.echo(f"{run} is promoted: it is what people see.")
    if jobs:
        click.echo(f"Its predictions are brought to {len(jobs)} connected project(s): {', '.join(jobs)}", err=True)


STAGES = (show_command, set_command, promote_command, rollback_command, demote_command, shadow_command)
