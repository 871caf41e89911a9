"""The part of ``prelabel runs`` that sends predictions to a Label Studio project."""

from __future__ import annotations

from typing import Any

import click

from prelabel.cli import options
from prelabel.cli.run_options import client_of, counting, run_argument, splits_option, with_label_studio

required_project = click.option(
    "--project", required=True, type=click.IntRange(min=1), help="Id of the Label Studio project."
)
ORDERS = ("least_confident", "random", "mix")
"""Strategies for which confidences are enough."""
MOST_REASONS = 10
"""Reasons that are shown on the terminal."""


@click.command("send", cls=options.SettingsCommand)
@run_argument
@required_project
@click.option(
    "--confidence",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Predictions below it are left out; those that state none are kept.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many predicted data rows.")
@click.option("--replace", is_flag=True, help="Put new predictions in the place of those that this run has there.")
@click.option("--task-field", help="Where new tasks keep what is to be labeled; default: as the labeling config says.")
@click.option(
    "--order",
    type=click.Choice(ORDERS),
    help="In which order new tasks are made, and what counts for --limit; default: as imported.",
)
@splits_option
@with_label_studio
def send_command(
    *,
    run: str,
    project: int,
    confidence: float,
    limit: int | None,
    replace: bool,
    task_field: str | None,
    order: str | None,
    splits: tuple[Any, ...],
    **values: Any,
) -> None:
    """Send a run's predictions to a project, for people to start from.

    Data rows that have no task there get one, unless they are of a kind that the project does not show. A task that has
    a prediction of this run gets no second one, so the command can be repeated.

    Exit code: 0 everything was sent or there before, 1 some was refused (the reasons are printed).
    """
    with client_of(values) as client, counting("data rows") as progress:
        at = client.get_model_run(run)
        sent = at.send_to_project(
            project,
            confidence=confidence,
            splits=splits,
            limit=limit,
            priority=at.rank_unlabeled(order) if order else None,
            only_missing=not replace,
            task_field=task_field,
            progress=progress,
        )
    for reason in sent.reasons[:MOST_REASONS]:
        click.echo(reason, err=True)
    more = sent.refused + sent.dropped - MOST_REASONS
    if more > 0 and len(sent.reasons) > MOST_REASONS:
        click.echo("... and more", err=True)
    click.echo(
        f"{run}: {sent.sent} sent, {sent.skipped} there before, {sent.created_tasks} tasks made, {sent.refused} refused"
    )
    if sent.unsure:
        click.echo(f"{sent.unsure} data rows have nothing above the confidence: tasks without a prediction.")
    if sent.dropped:
        click.echo(f"{sent.dropped} parts of predictions have no place in the project's labeling config.")
    click.get_current_context().exit(1 if sent.refused else 0)


SENDING = (send_command,)
