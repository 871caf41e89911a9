"""``prelabel train``: a project's model learns from its annotations, watched until it has."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from prelabel.cli import options
from prelabel.cli.predicting import ENDED, LINE_S, POLL_S
from prelabel.cli.stores import connection_of, current_model, opened

if TYPE_CHECKING:
    from prelabel.queue import JobQueue, JobView


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
        model, version = current_model(settings)
        connection = connection_of(settings, ledger, project, model)
        job = queue.submit_training(connection, version=version, reason="train command")
        if detach:
            click.echo(job)
            return
        click.echo(f"job {job}: project {project} trains {version}", err=True)
        ended = _watch(queue, job)
    click.get_current_context().exit(_report(ended))


def _watch(queue: JobQueue, job: str) -> JobView:
    view = queue.job(job)
    try:
        with _status() as show:
            while view.state not in ENDED:
                show(_stage(view))
                time.sleep(POLL_S)
                view = queue.job(job)
    except KeyboardInterrupt:
        click.echo(f"\nIt goes on. Look at it: prelabel jobs show {job}; end it: prelabel jobs cancel {job}", err=True)
        click.get_current_context().exit(130)
    return view


def _stage(view: JobView) -> str:
    """``reading: 120 examples``."""
    if view.state == "queued":
        return "waiting for a worker"
    count = view.options.get("examples")
    phase = str(view.options.get("phase", "beginning"))
    return f"{phase}: {count} example{'' if count == 1 else 's'}" if count is not None else phase


@contextlib.contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Shows a stage: a spinner on a terminal, a line now and then elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("") as status:
            yield status.update
        return
    until = 0.0

    def line(stage: str) -> None:
        nonlocal until
        if time.monotonic() >= until:
            until = time.monotonic() + LINE_S
            click.echo(stage, err=True)

    yield line


def _report(view: JobView) -> int:
    if view.state == "done":
        version, count = view.options.get("version"), view.options.get("examples")
        click.echo(f"{version} learnt from {count} tasks. How good is it: prelabel runs metrics {version}")
        return 0
    if view.state == "failed":
        click.echo(f"The training failed: {view.error}\nTry again: prelabel jobs retry {view.id}", err=True)
    else:
        click.echo("The training was cancelled.", err=True)
    return 1
