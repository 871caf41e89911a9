"""``prelabel jobs``: what was asked of the workers, and what became of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from prelabel.cli import options
from prelabel.cli.predicting import duration
from prelabel.cli.stores import opened

if TYPE_CHECKING:
    from prelabel.queue import JobView

stores = options.settings_options(*options.STORES)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
job_argument = click.argument("job", metavar="JOB")


class JobsGroup(click.Group):
    """A group that lists where no subcommand is named, so that ``prelabel jobs --json`` works too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group("jobs", cls=JobsGroup, subcommand_metavar="[COMMAND] [ARGS]...")
def jobs_command() -> None:
    """List, show, cancel, resume and retry jobs. Without a subcommand: list.

    A job is what `prelabel predict` or `train`, an import or a large retrieval asked of the workers. It stands in
    the registry, so it survives restarts of everything. JOB is the id that `prelabel jobs` shows.
    """


@jobs_command.command("list", cls=options.SettingsCommand)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many, newest first.")
@as_json
@stores
def list_command(*, limit: int, as_json: bool, **values: Any) -> None:
    """List jobs, newest first."""
    with opened(options.settings_from(values)) as (_, queue):
        views = queue.jobs(limit)
    if as_json:
        click.echo(json.dumps([view.as_json() for view in views], indent=1))
    elif not views:
        click.echo("No jobs yet. `prelabel predict --project 1` makes one.")
    else:
        _print_table(views)


def _print_table(views: list[JobView]) -> None:
    rows = [("JOB", "PROJECT", "VERSION", "STATE", "TASKS", "STORED", "FAILED", "LEFT", "AGE", "ASKED BY")]
    rows += [
        (
            view.id,
            str(view.project),
            view.version,
            f"{view.state} ({view.phase})" if view.state == "running" and view.phase else view.state,
            f"{view.total}{'' if view.listed else '+'}",
            "-" if view.is_training else str(view.stored),
            "-" if view.is_training else str(view.failed),
            duration(view.left_s) if view.left_s else "-",
            duration(time.time() - view.created),
            view.reason,
        )
        for view in views
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@jobs_command.command("show", cls=options.SettingsCommand)
@job_argument
@as_json
@stores
def show_command(*, job: str, as_json: bool, **values: Any) -> None:
    """Show one job in full."""
    with opened(options.settings_from(values)) as (_, queue):
        view = queue.job(job)
    if as_json:
        click.echo(json.dumps(view.as_json(), indent=1))
        return
    if view.is_training:
        _print_training(view)
        return
    pace = f"{view.rate:.1f} tasks/s" if view.rate else ""
    left = f"{duration(view.left_s)} left" if view.left_s else ""
    rows = {
        "job": view.id,
        "project": f"{view.project} of {view.instance}",
        "model": view.model,
        "version": view.version,
        "state": view.state,
        "asked by": view.reason,
        "tasks": f"{view.total}{'' if view.listed else ', still being listed'}",
        "predicted": str(view.done),
        "stored": str(view.stored),
        "failed": f"{view.failed}  (why: prelabel jobs failed {view.id})" if view.failed else "0",
        "pace": ", ".join(filter(None, (pace, left))),
        "error": view.error,
    }
    _print_rows(rows)


def _print_training(view: JobView) -> None:
    from prelabel.cli.training import count_of

    _print_rows(
        {
            "training": view.id,
            "project": f"{view.project} of {view.instance}",
            "model": view.model,
            "from": view.version,
            "state": view.state,
            "phase": view.phase,
            "asked by": view.reason,
            "read": count_of(view),
            "made": str(view.options.get("version") or ""),
            "error": view.error,
        }
    )


def _print_rows(rows: dict[str, str]) -> None:
    width = max(10, *map(len, rows))
    for name, value in rows.items():
        if value:
            click.echo(f"{name:>{width}}  {value}")


@jobs_command.command("watch", cls=options.SettingsCommand)
@job_argument
@stores
def watch_command(*, job: str, **values: Any) -> None:
    """Show a job's progress until it ends.

    Ctrl-C and exit codes are those of `prelabel predict`, of a training those of `prelabel train`.
    """
    from prelabel.cli import predicting, training

    with opened(options.settings_from(values)) as (ledger, queue):
        if queue.job(job).is_training:
            click.get_current_context().exit(training.report(training.watch(queue, job), ledger))
        ended = predicting.watch(queue, job)
    click.get_current_context().exit(predicting.report(ended))


@jobs_command.command("cancel", cls=options.SettingsCommand)
@job_argument
@stores
def cancel_command(*, job: str, **values: Any) -> None:
    """End a job.

    What is being sent to Label Studio at this moment is finished.
    """
    with opened(options.settings_from(values)) as (_, queue):
        left = queue.cancel(job)
        training = queue.job(job).is_training
    what = "" if training else f"; {left} tasks were not done"
    click.echo(f"Cancelled{what}. Take it up again: prelabel jobs resume {job}")


@jobs_command.command("resume", cls=options.SettingsCommand)
@job_argument
@stores
def resume_command(*, job: str, **values: Any) -> None:
    """Take up a cancelled or failed job."""
    with opened(options.settings_from(values)) as (_, queue):
        waiting = queue.resume(job)
        training = queue.job(job).is_training
    what = "The training waits" if training else f"{waiting} tasks wait"
    click.echo(f"{what} again. Look at it: prelabel jobs watch {job}")


@jobs_command.command("failed", cls=options.SettingsCommand)
@click.argument("job", required=False, metavar="[JOB]")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1), help="How many, newest first.")
@as_json
@stores
def failed_command(*, job: str | None, limit: int, as_json: bool, **values: Any) -> None:
    """Show what failed, and why.

    That is tasks in quarantine, tasks whose prediction Label Studio refused, and calls of jobs given up for good.
    """
    with opened(options.settings_from(values)) as (ledger, queue):
        if job is not None:
            queue.job(job)
        tasks = ledger.quarantined(job=job, limit=limit)
        calls = [call for call in queue.failed() if job is None or call.job == job][:limit]
    if as_json:
        found = {
            "tasks": [
                {"project": one.project, "task": one.task, "version": one.version, "state": one.state}
                | {"error": one.error, "job": one.job}
                for one in tasks
            ],
            "calls": [
                {"id": call.id, "job": call.job, "function": call.function, "error": call.error} for call in calls
            ],
        }
        click.echo(json.dumps(found, indent=1))
        return
    for one in tasks:
        click.echo(f"project {one.project} task {one.task} ({one.state}, {one.version}): {one.error}")
    for call in calls:
        click.echo(f"call {call.id} ({call.function}): {call.error}")
    if not tasks and not calls:
        click.echo("Nothing failed.")
    else:
        click.echo("Try again: prelabel jobs retry JOB (all its failed tasks) or CALL", err=True)


@jobs_command.command("retry", cls=options.SettingsCommand)
@click.argument("name", metavar="JOB|CALL")
@stores
def retry_command(*, name: str, **values: Any) -> None:
    """Try again what failed.

    JOB: all of its failed tasks, or a training. CALL: one call by the id that `prelabel jobs failed` shows.
    """
    with opened(options.settings_from(values)) as (_, queue):
        retried = queue.retry(name)
        training = any(view.id == name and view.is_training for view in queue.jobs(ids=[name]))
    click.echo("The training is tried again." if training else f"{retried} tried again.")
