"""The part of ``prelabel runs`` that says what to label next, which labels to doubt, and whether that helped."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from prelabel.cli import options
from prelabel.cli.jobs import as_json
from prelabel.cli.run_options import (
    client_of,
    number,
    project_option,
    registry,
    run_argument,
    split_option,
    table,
    with_label_studio,
)
from prelabel.cli.run_sending import required_project

if TYPE_CHECKING:
    from prelabel.client_enriching import Enriched
    from prelabel.selection import ArmReport

STRATEGIES = (
    "least_confident",
    "margin",
    "entropy",
    "disagreement",
    "divergence",
    "diversity",
    "mislabeling",
    "mix",
    "random",
)
"""Those of `prelabel.selection.STRATEGIES`; a test compares the two, so that NumPy is not imported for the help."""
MOST_SUSPECTS = 20
"""Suspicious labels that are shown on the terminal."""
encoder_option = click.option(
    "--encoder",
    metavar="WRAPPER",
    help="What embeds the tasks: wordllama or minilm (texts), efficientnet (images), or a file with a function or a "
    "class that can embed.",
)
question_option = click.option("--question", help="Which control's answers, where the run answers several.")
seed_option = click.option("--seed", default=0, show_default=True, help="For lots and ties; another one in each round.")


@click.command("select", cls=options.SettingsCommand)
@run_argument
@required_project
@click.option(
    "--strategy",
    default="least_confident",
    show_default=True,
    type=click.Choice(STRATEGIES),
    help="How to choose; mix is 80 % least_confident and 20 % random, as a control, unless --share says otherwise.",
)
@click.option("--count", default=20, show_default=True, type=click.IntRange(min=1), help="How many will be labeled.")
@click.option("--with", "others", multiple=True, metavar="RUN", help="Another run, for disagreement; repeatable.")
@encoder_option
@click.option(
    "--share", "shares", multiple=True, metavar="STRATEGY=PART", help="Of a mix, such as margin=0.8; repeatable."
)
@click.option("--show", is_flag=True, help="Make the run the version that the project shows, so that its scores sort.")
@question_option
@seed_option
@split_option
@with_label_studio
def select_command(
    *,
    run: str,
    project: int,
    strategy: str,
    count: int,
    others: tuple[str, ...],
    encoder: str | None,
    shares: tuple[str, ...],
    show: bool,
    question: str | None,
    seed: int,
    split: Any,
    **values: Any,
) -> None:
    """Choose what to label next: the run's unlabeled tasks get scores, the lowest is to be labeled first.

    Sort by prediction score in Label Studio's Data Manager. `prelabel runs labels` brings in what was labeled since.
    The strategy mislabeling chooses among labeled tasks instead: those whose label is probably wrong.
    """
    with client_of(values) as client:
        selected = client.get_model_run(run).select(
            project,
            strategy,
            count=count,
            seed=seed,
            splits=(split,) if split else (),
            others=others,
            encoder=encoder,
            question=question,
            shares=_shares(shares),
            show=show,
            progress=_progress(),
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
        click.echo(f"{selected.without} tasks have {_lacking(strategy)} to go by.")
    if not selected.first and not selected.without:
        kind = "labeled" if strategy == "mislabeling" else "unlabeled"
        click.echo(f"No {kind} task of project {project} has a prediction of {run}: `prelabel runs send` first.")
    elif not selected.shown:
        click.echo(
            f"The project shows another model version, so its Data Manager does not sort by these scores: choose {run} "
            "there (Settings > Annotation), or add --show.",
            err=True,
        )


def _lacking(strategy: str) -> str:
    return {
        "least_confident": "no confidence",
        "mix": "nothing",
        "disagreement": "no second run's prediction",
        "divergence": "no second run's prediction",
        "diversity": "no embedding",
    }.get(strategy, "no probabilities")


def _shares(given: tuple[str, ...]) -> dict[str, float] | None:
    found: dict[str, float] = {}
    for one in given:
        name, _, part = one.partition("=")
        try:
            found[name] = float(part)
        except ValueError as error:
            raise click.BadParameter(f"{one!r} is not STRATEGY=NUMBER.", param_hint="--share") from error
    return found or None


@click.command("enrich", cls=options.SettingsCommand)
@run_argument
@required_project
@encoder_option
@click.option(
    "--neighbors", default=10, show_default=True, type=click.IntRange(min=0), help="Similar tasks named in each."
)
@click.option("--clusters", type=click.IntRange(min=1), help="How many; default: as many as are found.")
@click.option(
    "--mislabeling",
    type=click.Choice(["embeddings", "run", "no"]),
    help="Which probabilities say that a label is wrong: cross-validated ones on embeddings, the run's own (not of the "
    "split training), or none. Default: embeddings where there is an encoder.",
)
@question_option
@seed_option
@split_option
@with_label_studio
def enrich_command(
    *,
    run: str,
    project: int,
    encoder: str | None,
    neighbors: int,
    clusters: int | None,
    mislabeling: Any,
    question: str | None,
    seed: int,
    split: Any,
    **values: Any,
) -> None:
    """Fill cluster, neighbors and mislabeling of the run's predictions in a project.

    They come back from Label Studio's API; its Data Manager has no columns for them. What is right is left alone.
    """
    with client_of(values) as client:
        done = client.get_model_run(run).enrich(
            project,
            encoder=encoder,
            neighbors=neighbors,
            clusters=clusters,
            mislabeling=mislabeling,
            question=question,
            seed=seed,
            splits=(split,) if split else (),
            progress=_progress(),
        )
    for note in done.notes:
        click.echo(note, err=True)
    _suspects(done)
    if done.embedded is not None:
        one = done.embedded
        click.echo(f"{one.encoder}: {one.embedded} embedded, {one.unchanged} were, {one.failed} failed")
    click.echo(
        f"{done.written.written} predictions changed, {done.written.unchanged} were right; "
        f"{done.clusters} clusters, {done.doubted} labels looked at"
    )


def _suspects(done: Enriched) -> None:
    if not done.suspects:
        return
    head = ("TASK", "DATA ROW", "LABEL", "LIKELIER", "MISLABELING")
    shown = done.suspects[:MOST_SUSPECTS]
    table(head, [(str(one.task), one.data_row, one.label, one.likely, number(one.mislabeling)) for one in shown])
    if len(done.suspects) > len(shown):
        click.echo(f"... and {len(done.suspects) - len(shown)} more")
    click.echo()


@click.command("embed", cls=options.SettingsCommand)
@run_argument
@click.argument("encoder", metavar="WRAPPER")
@project_option
@with_label_studio
def embed_command(*, run: str, encoder: str, project: int | None, **values: Any) -> None:
    """Embed the run's data rows with WRAPPER; those that are embedded and did not change are left alone.

    `select` and `enrich` do this by themselves. With --project, the project's tasks are read first.

    Exit code: 0 everything is embedded, 1 some data rows failed (the first reasons are printed).
    """
    with client_of(values) as client:
        done = client.get_model_run(run).embed(encoder, project_id=project, progress=_progress())
    for reason in done.reasons:
        click.echo(reason, err=True)
    click.echo(f"{done.encoder}: {done.embedded} embedded, {done.unchanged} were, {done.failed} failed")
    click.get_current_context().exit(1 if done.failed else 0)


@click.command("arms", cls=options.SettingsCommand)
@run_argument
@click.option("--selection", type=click.IntRange(min=1), help="One round's number; default: all rounds.")
@as_json
@registry
def arms_command(*, run: str, selection: int | None, as_json: bool, **values: Any) -> None:
    """Whether the strategies found more of the run's mistakes than picks by lot: what `select` chose, by now labeled.

    Bring in the labels first, with `prelabel runs labels`.
    """
    with client_of(values) as client:
        at = client.get_model_run(run)
        rounds = at.selections()
        report = at.arms(selection)
    if as_json:
        click.echo(json.dumps(_report(report), indent=1))
        return
    if not rounds:
        click.echo(f"Nothing was chosen yet: `prelabel runs select {run} --project N --strategy mix`.")
        return
    if selection is None:
        chosen = [(str(one.id), str(one.project), one.strategy, str(one.size)) for one in rounds]
        table(("SELECTION", "PROJECT", "STRATEGY", "PICKS"), chosen)
        click.echo()
    rows = [
        (one.name, str(one.labeled), str(one.wrong), *(number(None if x is None else 1 - x) for x in _ends(one)))
        for one in report.arms
    ]
    table(("ARM", "LABELED", "WRONG", "ACCURACY", "LOW", "HIGH"), rows)
    click.echo()
    click.echo(str(report))


def _ends(arm: Any) -> tuple[float | None, float | None, float | None]:
    """Rate, and the ends of its interval in the order in which those of the accuracy are."""
    return arm.rate, arm.high, arm.low


def _report(report: ArmReport) -> dict[str, Any]:
    arms = [
        {
            "arm": one.name,
            "labeled": one.labeled,
            "wrong": one.wrong,
            "rate": one.rate,
            "low": one.low,
            "high": one.high,
        }
        for one in report.arms
    ]
    whole = {"difference": report.difference, "low": report.low, "high": report.high, "helps": report.helps}
    return {"arms": arms, **whole}


def _progress() -> Any:
    """Draws a line on a terminal."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done} of {total}", nl=done == total, err=True)

    return show


SELECTING = (select_command, enrich_command, embed_command, arms_command)
