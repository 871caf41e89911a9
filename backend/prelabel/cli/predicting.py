"""``prelabel predict``: a project's tasks as a job, watched until it is done."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import click

from prelabel.cli import options
from prelabel.cli.stores import connection_of, current_model, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prelabel.queue import JobQueue, JobView

POLL_S = 0.5
SECOND_CTRL_C_S = 2.0
NO_WORKER_AFTER_S = 5.0
LINE_S = 10.0
ENDED = ("done", "failed", "cancelled")


def task_ids(_context: click.Context, _param: click.Parameter, text: str | None) -> tuple[int, ...]:
    """``1,2,5-9`` to task ids."""
    found: list[int] = []
    for part in (text or "").replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        try:
            found += range(int(first), int(last) + 1) if dash else [int(first)] if first else []
        except ValueError as error:
            raise click.BadParameter(f"{part!r} is neither a task id nor a range such as 5-9.") from error
    if text is not None and not found:
        raise click.BadParameter("no task id given; for instance 1,2,5-9.")
    return tuple(dict.fromkeys(found))


@click.command("predict", cls=options.SettingsCommand)
@click.option("--project", type=click.IntRange(min=1), required=True, help="Id of the Label Studio project.")
@click.option(
    "--only-missing",
    is_flag=True,
    help="Ask Label Studio which tasks lack a prediction of this model version, and predict those.",
)
@click.option(
    "--reuse", is_flag=True, help="With --only-missing: what was predicted before is stored again, without the model."
)
@click.option("--replace", is_flag=True, help="Remove older versions' predictions once the new ones are stored.")
@click.option("--tasks", callback=task_ids, metavar="IDS", help="Only these tasks, for instance 1,2,5-9.")
@click.option("--view", type=click.IntRange(min=1), help="Only the tasks that this Data Manager tab shows (its id).")
@click.option("--detach", is_flag=True, help="Print the job's id and leave it to the workers.")
@options.settings_options(
    "model", "server_url", "host", "port", *options.STORES, *options.LABEL_STUDIO, *options.BASIC_AUTH, "api_keys"
)
def predict_command(
    *,
    project: int,
    only_missing: bool,
    reuse: bool,
    replace: bool,
    tasks: tuple[int, ...],
    view: int | None,
    detach: bool,
    **values: Any,
) -> None:
    """Predict a project's tasks with the running model, as a job, and show how far it is.

    Every task that has none yet gets a prediction of this model version; predictions of other versions stay. A task
    whose prediction was deleted in Label Studio counts as done, unless --only-missing asks Label Studio itself.

    Ctrl-C leaves the job to the workers; Ctrl-C twice cancels it.

    Exit code: 0 every task has its prediction, 1 some failed or the job did, 130 detached or cancelled by Ctrl-C.
    """
    if only_missing and replace:
        raise click.UsageError("--only-missing and --replace exclude each other.")
    if reuse and not only_missing:
        raise click.UsageError("--reuse goes with --only-missing.")
    if tasks and view is not None:
        raise click.UsageError("--tasks and --view exclude each other.")
    settings = options.settings_from(values)
    from prelabel.queue import PredictOptions

    with opened(settings) as (ledger, queue):
        model, version = current_model(settings, ledger)
        connection = connection_of(settings, ledger, project, model)
        chosen = PredictOptions(only_missing=only_missing, replace=replace, tasks=tasks, view=view, reuse=reuse)
        job = queue.submit_project(connection, chosen, version=version, reason="predict command")
        if detach:
            click.echo(job)
            return
        click.echo(f"job {job}: project {project} with {version}", err=True)
        ended = watch(queue, job)
    click.get_current_context().exit(report(ended))


def watch(queue: JobQueue, job: str) -> JobView:
    """Show the job's progress until it has ended.

    Raises:
        click.exceptions.Exit: with 130, when Ctrl-C came.
    """
    with _progress() as show:
        view = queue.job(job)
        warned = False
        began = time.monotonic()
        try:
            while view.state not in ENDED:
                show(view)
                if not warned and view.state == "queued" and time.monotonic() - began > NO_WORKER_AFTER_S:
                    warned = True
                    warn_without_worker(queue)
                time.sleep(POLL_S)
                view = queue.job(job)
            show(view)
        except KeyboardInterrupt:
            _interrupted(queue, job)
        return view


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[JobView], None]]:
    """Shows how far a job is: a bar on a terminal, a line now and then elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines().show
        return
    texts = ("{task.description}", "{task.fields[counts]}", "{task.fields[pace]}")
    stage, counts, pace = (TextColumn(text) for text in texts)
    with Progress(stage, BarColumn(), counts, TimeElapsedColumn(), pace, console=console) as progress:
        bar = progress.add_task("", total=None, counts="", pace="")

        def show(view: JobView) -> None:
            progress.update(
                bar,
                description=_stage(view),
                total=2 * view.total if view.listed else None,
                completed=view.done + view.stored + view.failed,
                counts=_counts(view),
                pace=_pace(view),
            )

        yield show


class _Lines:
    """A line at the beginning and every `LINE_S` seconds, for logs."""

    def __init__(self) -> None:
        self._next = 0.0

    def show(self, view: JobView) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_S
            click.echo(", ".join(filter(None, (f"{_stage(view)}: {_counts(view)}", _pace(view)))), err=True)


def _counts(view: JobView) -> str:
    counted = f"{view.stored} of {view.total}{'' if view.listed else '+'} stored"
    return f"{counted}, {view.failed} failed" if view.failed else counted


def _stage(view: JobView) -> str:
    if view.state in ENDED:
        return view.state
    if view.state == "queued":
        return "waiting for a worker"
    if not view.listed:
        return "listing and predicting"
    return "predicting" if view.done < view.total else "storing"


def _pace(view: JobView) -> str:
    if view.rate is None or _stage(view) == "storing":
        return ""
    pace = f"{view.rate:.0f}/s" if view.rate >= 10 else f"{view.rate:.1f}/s"
    if view.left_s is None or view.done >= view.total:
        return pace
    return f"{pace}, {duration(view.left_s)} left"


def duration(seconds: float) -> str:
    """``3 s``, ``4 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def warn_without_worker(queue: JobQueue) -> None:
    """Say so where no worker is alive."""
    from prelabel.doctor import workers

    if not workers(queue):
        click.echo("No worker is alive: start `prelabel up`, or `prelabel worker` with the same stores.", err=True)


def _interrupted(queue: JobQueue, job: str) -> None:
    """The first Ctrl-C came: a second one cancels."""
    try:
        click.echo(
            f"\nCtrl-C again within {SECOND_CTRL_C_S:.0f} s cancels the job; else it goes on without us.", err=True
        )
        time.sleep(SECOND_CTRL_C_S)
    except KeyboardInterrupt:
        left = queue.cancel(job)
        click.echo(f"Cancelled; {left} tasks were not done. Take it up again: prelabel jobs resume {job}", err=True)
    else:
        click.echo(f"Look at it: prelabel jobs show {job}; cancel it: prelabel jobs cancel {job}", err=True)
    click.get_current_context().exit(130)


def report(view: JobView, echo: Callable[..., None] = click.echo) -> int:
    """One line about an ended job, and the exit code."""
    took = duration(view.finished - view.started) if view.finished and view.started else ""
    if view.state == "done" and not view.total:
        echo(f"Nothing to do: no chosen task of project {view.project} lacks a prediction by {view.version}.")
        if not view.options.get("only_missing"):
            echo("Were predictions deleted in Label Studio? --only-missing brings them back.", err=True)
        return 0
    summary = f"{view.stored} of {view.total} tasks have their prediction by {view.version}"
    if view.shadow:
        echo(f"{view.shadow} of {view.total} tasks are predicted by {view.version} in shadow: nobody sees it yet.")
        echo(f"Show it: prelabel runs promote {view.version}", err=True)
    if view.total > view.shadow:
        echo(f"{summary}{f', in {took}' if took else ''}.")
    if view.state == "failed":
        echo(f"The job failed: {view.error}\nTry again: prelabel jobs retry {view.id}", err=True)
    elif view.state == "cancelled":
        echo(f"The job was cancelled. Take it up again: prelabel jobs resume {view.id}", err=True)
    elif view.failed:
        echo(f"{view.failed} failed; why: prelabel jobs failed {view.id}", err=True)
    return 0 if view.state == "done" and not view.failed else 1
