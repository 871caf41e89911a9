"""``prelabel connect``: the backend into a Label Studio project, without its UI."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from prelabel.cli import options


@click.command("connect", cls=options.SettingsCommand)
@click.option("--project", type=click.IntRange(min=1), required=True, help="Id of the Label Studio project.")
@click.option("--title", default="prelabel", show_default=True, help="What Label Studio calls the backend.")
@click.option("--interactive", is_flag=True, help="Use it for interactive preannotations too.")
@options.settings_options("public_url", "host", "port", *options.LABEL_STUDIO, *options.BASIC_AUTH)
def connect_command(*, project: int, title: str, interactive: bool, **values: Any) -> None:
    """Register the running backend in a Label Studio project, as its dialog Connect Model does.

    Doing it twice changes nothing. With a user and password set, the project's webhook also gets the header by which
    prelabel knows it, since Label Studio does not send the password there.
    """
    settings = options.settings_from(values)
    from prelabel import connect

    with contextlib.closing(connect.label_studio_for(settings)) as label_studio:
        done = connect.connect(settings, label_studio, project, title=title, interactive=interactive)
    what = "is connected now" if done.created else "was connected already"
    click.echo(f"{done.url} {what} to project {project} ({done.title}); it predicts with {done.model_version}.")
    if done.warning:
        click.echo(click.style("Warning: ", fg="yellow", bold=True) + done.warning, err=True)
