"""The half of ``prelabel runs`` that tells how good a run is: metrics, worst rows, mistakes, comparison, and more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from prelabel.analysis import VIEW_NAMES
from prelabel.cli import options
from prelabel.cli.jobs import as_json
from prelabel.cli.run_options import client_of, number, registry, run_argument, split_option, table, thresholds

if TYPE_CHECKING:
    from prelabel.metrics.counting import Counts


@click.command("metrics", cls=options.SettingsCommand)
@run_argument
@thresholds
@split_option
@as_json
@registry
def metrics_command(*, run: str, confidence: float, iou: float, split: Any, as_json: bool, **values: Any) -> None:
    """Show how good a run is: all classes, each class, and what is taken for what.

    Only data rows that are predicted and labeled count. A dash is undefined, which is not 0.
    """
    with client_of(values) as client:
        found = client.get_model_run(run).metrics(confidence, iou, split=split)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1))
        return
    left_out = f"; {found.left_out} cannot be compared" if found.left_out else ""
    click.echo(f"{run}: {found.data_rows} data rows, confidence from {confidence:g}, IoU above {iou:g}{left_out}\n")

    def row(name: str, counts: Counts) -> tuple[str, ...]:
        numbers = (counts.tp, counts.fp, counts.fn, counts.tn, counts.precision, counts.recall, counts.f1, counts.iou)
        return (name, *map(number, numbers))

    table(
        ("CLASS", "TP", "FP", "FN", "TN", "PRECISION", "RECALL", "F1", "IOU"),
        [row("all", found.run), *(row(name, counts) for name, counts in found.classes.items())],
    )
    confused = sorted((cell for cell in found.confusion if cell.annotated != cell.predicted), key=lambda c: -c.count)
    if confused:
        click.echo()
        table(
            ("ANNOTATED", "PREDICTED", "TIMES"),
            [(cell.annotated or "(none)", cell.predicted or "(none)", str(cell.count)) for cell in confused[:10]],
        )
    for reason in found.reasons:
        click.echo(reason, err=True)


@click.command("worst", cls=options.SettingsCommand)
@run_argument
@click.option(
    "--view",
    default="low_f1",
    show_default=True,
    type=click.Choice(VIEW_NAMES),
    help="What the data rows are ranked by.",
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many.")
@thresholds
@split_option
@as_json
@registry
def worst_command(
    *, run: str, view: str, limit: int, confidence: float, iou: float, split: Any, as_json: bool, **values: Any
) -> None:
    """Show the data rows that are worth looking at first."""
    with client_of(values) as client:
        found = client.get_model_run(run).worst(view, limit=limit, confidence=confidence, iou=iou, split=split)
    rows = [(one, one.data_row.place.task if one.data_row.place else None) for one in found]
    if as_json:
        said = [
            {"id": one.data_row.uid, "global_key": one.data_row.global_key, "task": task, "value": one.value}
            for one, task in rows
        ]
        click.echo(json.dumps(said, indent=1))
    elif rows:
        head = (view.upper(), "DATA ROW", "TASK")
        table(
            head,
            [(number(one.value), one.data_row.global_key or one.data_row.uid, str(task or "-")) for one, task in rows],
        )
    else:
        click.echo("No data row of that kind.")


@click.command("mistakes", cls=options.SettingsCommand)
@run_argument
@thresholds
@split_option
@as_json
@registry
def mistakes_command(*, run: str, confidence: float, iou: float, split: Any, as_json: bool, **values: Any) -> None:
    """Show what kind of mistakes a run makes, for each class.

    For spans, `localisation` is a wrong boundary and `class` a wrong type.
    """
    from prelabel.analysis.mistakes import KINDS

    with client_of(values) as client:
        counts = client.get_model_run(run).mistakes(confidence=confidence, iou=iou, split=split).counts()
    if as_json:
        click.echo(json.dumps(counts, indent=1))
    elif counts:
        rows = [(name, *(str(of.get(kind, 0)) for kind in KINDS)) for name, of in counts.items()]
        table(("CLASS", *(kind.replace("_", " ").upper() for kind in KINDS)), rows)
    else:
        click.echo("No mistakes.")


@click.command("compare", cls=options.SettingsCommand)
@run_argument
@click.argument("other", metavar="OTHER")
@click.option(
    "--metric",
    default="f1",
    show_default=True,
    type=click.Choice(["f1", "precision", "recall"]),
    help="What the runs are compared by.",
)
@click.option(
    "--slice", "slices", multiple=True, metavar="CONDITION|NAME", help="Compared beside the whole, too; repeatable."
)
@thresholds
@split_option
@as_json
@registry
def compare_command(
    *,
    run: str,
    other: str,
    metric: Any,
    slices: tuple[str, ...],
    confidence: float,
    iou: float,
    split: Any,
    as_json: bool,
    **values: Any,
) -> None:
    """Compare RUN with OTHER on the data rows that both have.

    The difference is RUN minus OTHER with its 95 % interval (paired bootstrap); p allows for all the lines shown.
    """
    with client_of(values) as client:
        at = client.get_model_run(run)
        inside = {one: [row.uid for row in at.slice(one, confidence=confidence, iou=iou)] for one in slices}
        lines = at.compare(
            client.get_model_run(other), metric=metric, confidence=confidence, iou=iou, split=split, slices=inside
        )
    for one in set(slices).difference(line.slice for line in lines):
        click.echo(f"No data row of {one!r} counts in both runs.", err=True)
    if as_json:
        click.echo(json.dumps([line.as_json() for line in lines], indent=1))
        return
    if not lines:
        click.echo("The runs have no data row in common that is predicted by both and labeled.")
        return
    click.echo(f"{metric} on {lines[0].rows} data rows\n")
    beside = ("SLICE",) if slices else ()
    table(
        (*beside, "CLASS", other, run, "DIFFERENCE", "95 %", "P"),
        [
            (
                *((line.slice or "(all)",) if slices else ()),
                line.feature or "all",
                number(line.first.value),
                number(line.second.value),
                number(line.difference.value),
                f"{number(line.difference.low)} to {number(line.difference.high)}",
                number(line.p_adjusted),
            )
            for line in lines
        ],
    )


@click.command("check", cls=options.SettingsCommand)
@run_argument
@click.option("--if", "condition", required=True, help="For instance 'f1 >= v2.f1 and recall[Cat] > 0.8'.")
@thresholds
@split_option
@registry
def check_command(*, run: str, condition: str, confidence: float, iou: float, split: Any, **values: Any) -> None:
    """Test a condition on a run's metrics, for scripts and CI.

    Metrics are precision, recall, f1, iou, tp, fp, fn and tn, of one class in brackets, of another run before a dot.
    What is undefined never passes.

    Exit code: 0 it holds, 1 it does not.
    """
    with client_of(values) as client:
        verdict = client.get_model_run(run).judge(condition, confidence=confidence, iou=iou, split=split)
    for reason in verdict.reasons:
        click.echo(reason)
    click.get_current_context().exit(0 if verdict.holds else 1)


@click.command("corrections", cls=options.SettingsCommand)
@run_argument
@click.option(
    "--precision",
    default=0.95,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="For which a confidence threshold is looked for, class by class.",
)
@split_option
@as_json
@registry
def corrections_command(*, run: str, precision: float, split: Any, as_json: bool, **values: Any) -> None:
    """Show what people did to predictions: accepted, edited, relabeled, deleted, added; and which confidence to trust.

    TRUST FROM is the lowest confidence from which on people kept the class of that share of the predictions.
    """
    from prelabel.analysis.corrections import tallies, thresholds

    with client_of(values) as client:
        ledger = client.get_model_run(run).corrections(split=split)
    by_class, trusted = tallies(ledger), thresholds(ledger, precision)
    if as_json:
        said = {
            name: {**tally.as_json(), "trust_from": trusted[name].confidence if name in trusted else None}
            for name, tally in by_class.items()
        }
        click.echo(json.dumps(said, indent=1))
    elif by_class:
        head = ("CLASS", "ACCEPTED", "EDITED", "RELABELED", "DELETED", "ADDED", "KEPT", "MOVED", "TRUST FROM")
        rows = []
        for name, tally in by_class.items():
            counts = (tally.accepted, tally.edited, tally.relabeled, tally.deleted, tally.added)
            trust = trusted[name].confidence if name in trusted else None
            rows.append((name, *map(str, counts), number(tally.kept), number(tally.moved), number(trust)))
        table(head, rows)
    else:
        click.echo("No data row of the run is both predicted and labeled.")


REPORTS = (metrics_command, worst_command, mistakes_command, compare_command, check_command, corrections_command)
