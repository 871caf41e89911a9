"""``prelabel train``: a project's model learns from its annotations, watched until it has."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from prelabel.cli import options
from prelabel.cli.predicting import ENDED, LINE_S, NO_WORKER_AFTER_S, POLL_S, warn_without_worker
from prelabel.cli.stores import connection_of, current_model, opened

if TYPE_CHECKING:
    from prelabel.queue import JobQueue, JobView
    from prelabel.runs import Ledger


@click.command("train", cls=options.SettingsCommand)
@click.option("--project", type=click.IntRange(min=1), required=True, help="Id of the Label Studio project.")
@click.option("--detach", is_flag=True, help="Print the job's id and leave it to the workers.")
@options.settings_options(
    "model", "server_url", "host", "port", *options.STORES, *options.LABEL_STUDIO, *options.BASIC_AUTH, "api_keys"
)
def train_command(*, project: int, detach: bool, **values: Any) -> None:
    """Let the running model learn from a project's annotations; the result is a new version, which is a run.

    A worker does it, one training for a project at a time. Servers and workers load the new version by themselves, and
    no request is dropped. When it fails, the version before goes on serving.

    Ctrl-C leaves the job to the workers; `prelabel jobs cancel` ends it.

    Exit code: 0 trained, 1 failed or cancelled, 130 left by Ctrl-C.
    """
    settings = options.settings_from(values)
    with opened(settings) as (ledger, queue):
        model, version = current_model(settings, ledger)
        connection = connection_of(settings, ledger, project, model)
        job, new = queue.submit_training(connection, version=version, reason="train command")
        if not new:
            click.echo(f"A training of project {project} is at it already; this is how far it is.", err=True)
        if detach:
            click.echo(job)
            return
        click.echo(f"job {job}: project {project} trains {version}", err=True)
        code = report(watch(queue, job), ledger)
    click.get_current_context().exit(code)


def watch(queue: JobQueue, job: str) -> JobView:
    """Show the training's progress until it has ended.

    Raises:
        click.exceptions.Exit: with 130, when Ctrl-C came.
    """
    view = queue.job(job)
    warned, began = False, time.monotonic()
    try:
        with _progress() as show:
            while view.state not in ENDED:
                show(view)
                if not warned and view.state == "queued" and time.monotonic() - began > NO_WORKER_AFTER_S:
                    warned = True
                    warn_without_worker(queue)
                time.sleep(POLL_S)
                view = queue.job(job)
    except KeyboardInterrupt:
        click.echo(f"\nIt goes on. Look at it: prelabel jobs show {job}; end it: prelabel jobs cancel {job}", err=True)
        click.get_current_context().exit(130)
    return view


def stage_of(view: JobView) -> str:
    """``reading``, ``learning`` ...; what it waits for, where something is away."""
    if view.state == "queued":
        return "waiting for a worker"
    return f"waiting: {view.error}" if view.error else view.phase or "beginning"


def count_of(view: JobView) -> str:
    """``120 of 400 tasks``; nothing before any is read, and while it waits."""
    if not view.done or (view.state == "running" and view.error):
        return ""
    return f"{view.done} of {view.total} tasks" if view.phase == "reading" else f"{view.done} tasks"


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[JobView], None]]:
    """Shows how far it is: a bar on a terminal, elsewhere a line when something changes, and now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines().show
        return
    stage, count = TextColumn("{task.description}"), TextColumn("{task.fields[count]}")
    with Progress(stage, BarColumn(), count, TimeElapsedColumn(), console=console) as progress:
        bar = progress.add_task("", total=None, count="")

        def show(view: JobView) -> None:
            reading = view.phase == "reading" and not view.error
            progress.update(
                bar,
                description=stage_of(view),
                total=view.total if reading else None,  # how long learning takes nobody knows
                completed=view.done,
                count=count_of(view),
            )

        yield show


class Lines:
    """A line when something changes, and now and then, for logs."""

    def __init__(self) -> None:
        self._next, self._stage = 0.0, ""

    def show(self, view: JobView) -> None:
        """Say how far it is."""
        stage = stage_of(view)
        if stage != self._stage or time.monotonic() >= self._next:
            self._next, self._stage = time.monotonic() + LINE_S, stage
            count = count_of(view)
            click.echo(f"{stage}: {count}" if count else stage, err=True)


def report(view: JobView, ledger: Ledger) -> int:
    """What became of a training, and the exit code."""
    if view.state == "done":
        version = str(view.options.get("version"))
        click.echo(f"{version} learnt from {view.done} tasks." if view.done else f"{version} has learnt.")
        if unread := view.options.get("unread"):
            click.echo(f"{unread} annotated tasks could not be read; the log says why.", err=True)
        standing = ledger.standing_of(version)
        if standing.hidden and standing.promoted is not None:
            seen = f"People go on seeing {standing.promoted}."
            click.echo(f"{seen} Show the new one: prelabel runs promote {version}", err=True)
        else:
            click.echo(
                f"How good is it, once more is labeled: prelabel runs labels {version} --project {view.project}, "
                f"then prelabel runs metrics {version}",
                err=True,
            )
        return 0
    if view.state == "failed":
        click.echo(f"The training failed: {view.error}\nTry again: prelabel jobs retry {view.id}", err=True)
    else:
        click.echo("The training was cancelled.", err=True)
    return 1
