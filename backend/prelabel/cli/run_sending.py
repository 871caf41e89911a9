"""The part of ``prelabel runs`` that writes to a Label Studio project: predictions, and what to label next."""

from __future__ import annotations

import sys
from typing import Any

import click

from prelabel.cli import options
from prelabel.cli.run_options import client_of, number, run_argument, split_option, table, with_label_studio

required_project = click.option(
    "--project", required=True, type=click.IntRange(min=1), help="Id of the Label Studio project."
)
STRATEGIES = ("least_confident", "random", "mix")
"""Those for which confidences are enough."""
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
    type=click.Choice(STRATEGIES),
    help="In which order new tasks are made, and what counts for --limit; default: as imported.",
)
@split_option
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
    split: Any,
    **values: Any,
) -> None:
    """Send a run's predictions to a project, for people to start from.

    Data rows that have no task there get one. A task that has a prediction of this run gets no second one, so the
    command can be repeated.

    Exit code: 0 everything was sent or there before, 1 some was refused (the reasons are printed).
    """
    with client_of(values) as client:
        at = client.get_model_run(run)
        sent = at.send_to_project(
            project,
            confidence=confidence,
            splits=(split,) if split else (),
            limit=limit,
            priority=at.rank_unlabeled(order) if order else None,
            only_missing=not replace,
            task_field=task_field,
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


@click.command("select", cls=options.SettingsCommand)
@run_argument
@required_project
@click.option(
    "--strategy",
    default="least_confident",
    show_default=True,
    type=click.Choice(STRATEGIES),
    help="How to choose; mix is 80 % least_confident and 20 % random, as a control.",
)
@click.option("--count", default=20, show_default=True, type=click.IntRange(min=1), help="How many will be labeled.")
@click.option("--seed", default=0, show_default=True, help="For lots and ties; another one in each round.")
@split_option
@with_label_studio
def select_command(*, run: str, project: int, strategy: str, count: int, seed: int, split: Any, **values: Any) -> None:
    """Choose what to label next: the run's unlabeled tasks get scores, the lowest is to be labeled first.

    Sort by prediction score in Label Studio's Data Manager. `prelabel runs labels` brings in what was labeled since.
    """
    with client_of(values) as client:
        selected = client.get_model_run(run).select(
            project, strategy, count=count, seed=seed, splits=(split,) if split else (), progress=_progress()
        )
    written = selected.written
    if selected.first:
        head = ("TASK", "DATA ROW", "PRIORITY", "ARM")
        rows = [(str(one.task), one.data_row, number(one.priority), one.arm or "-") for one in selected.first]
        table(head, rows)
        click.echo()
    click.echo(f"{written.written} scores written, {written.unchanged} were right")
    if written.missing:
        click.echo(f"{written.missing} predictions are gone.")
    if selected.without:
        click.echo(f"{selected.without} tasks have no confidence to go by.")
    if not selected.first and not selected.without:
        click.echo(f"No unlabeled task of project {project} has a prediction of {run}: `prelabel runs send` first.")


def _progress() -> Any:
    """Draws a line on a terminal."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done} of {total}", nl=done == total, err=True)

    return show


SENDING = (send_command, select_command)
