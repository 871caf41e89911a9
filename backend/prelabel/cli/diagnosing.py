"""``prelabel doctor``: what works, what does not, and what to do about it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from prelabel.cli import options

if TYPE_CHECKING:
    from prelabel.doctor import Finding

COLOURS = {"OK": "green", "WARN": "yellow", "FAIL": "red", "SKIP": "bright_black"}


@click.command("doctor", cls=options.SettingsCommand)
@click.option("--project", type=click.IntRange(min=1), help="Id of a Label Studio project; without: all known ones.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@options.settings_options(
    "server_url",
    "public_url",
    "host",
    "port",
    "predict_deadline_s",
    *options.STORES,
    *options.LABEL_STUDIO,
    *options.BASIC_AUTH,
    *options.DATA,
)
def doctor_command(*, project: int | None, as_json: bool, **values: Any) -> None:
    """Test everything that must work together, in both directions of the network, and print the exact fix.

    Tested are settings, database, Redis, workers, server and model; Label Studio's address, version and token; and for
    each project whether Label Studio reaches us, its webhook, the labeling config against the model, and whether tasks'
    data can be read. Run it with the same environment as the server.

    Exit code: 0 nothing failed, 1 something did.
    """
    settings = options.settings_from(values)
    from prelabel.doctor import examine

    found: list[Finding] = []
    for finding in examine(settings, project):
        found.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=1))
    failed = sum(finding.status == "FAIL" for finding in found)
    warned = sum(finding.status == "WARN" for finding in found)
    if not as_json:
        click.echo(f"\n{failed} failed, {warned} to look at, {len(found)} tested.")
    click.get_current_context().exit(1 if failed else 0)


def _print(finding: Finding) -> None:
    """One line of the table as soon as it is known, and the fix below it."""
    status = click.style(f"{finding.status:<4}", fg=COLOURS[finding.status], bold=True)
    click.echo(f"{status}  {finding.thing:<19} {finding.says}")
    if finding.fix:
        click.echo(f"{'':<6}{'':<19} {click.style('fix:', fg='green')} {finding.fix}")
