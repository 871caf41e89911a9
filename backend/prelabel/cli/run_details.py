"""``prelabel runs report``: all that can be measured of a run, as tables, JSON or a picture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prelabel.cli import options
from prelabel.cli.jobs import as_json
from prelabel.cli.run_options import client_of, number, registry, run_argument, split_option, thresholds

if TYPE_CHECKING:
    from rich.console import Console

    from prelabel.metrics.bootstrap import Interval
    from prelabel.metrics.counting import Counts
    from prelabel.metrics.summary import CurvePoint
    from prelabel.runs.reports import Intervals, Report

WIDE = 160
"""Columns of tables that go into a file or a pipe."""
PICTURES = (".png", ".svg", ".pdf")


def picture_file(_context: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """A file whose ending is that of a picture."""
    if path is not None and path.suffix.lower() not in PICTURES:
        raise click.BadParameter(f"{path.name} does not end in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}.")
    return path


@click.command("report", cls=options.SettingsCommand)
@run_argument
@thresholds
@split_option
@click.option(
    "--plot",
    metavar="FILE.png",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=picture_file,
    help="Draw precision and recall, reliability and confusion into this file.",
)
@as_json
@registry
def report_command(
    *, run: str, confidence: float, iou: float, split: Any, plot: Path | None, as_json: bool, **values: Any
) -> None:
    """Show all that can be measured of a run: what applies to the kinds of predictions that it has.

    Numbers in brackets are 95 % intervals. A dash is undefined, which is not 0.
    """
    with client_of(values) as client:
        found = client.get_model_run(run).report(confidence, iou, split=split)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1))
    else:
        _show(found, run)
    if plot is not None:
        from prelabel.cli.run_picture import draw

        draw(found, run, plot)
        click.echo(f"The picture is in {plot}.", err=True)


def _show(found: Report, run: str) -> None:
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, emoji=False, width=WIDE)
    at = found.metrics
    if not at.data_rows:
        console.print(f"{run}: no data row is both predicted and labeled.")
    else:
        console.print(
            f"{run}: {at.data_rows} data rows, confidence from {at.confidence:g}, IoU above {at.iou:g}"
            + (f"; {at.left_out} cannot be compared" if at.left_out else "")
        )
        _show_classes(console, found)
        _show_detection(console, found)
        _show_spans(console, found)
        _show_answers(console, found)
        _show_times(console, found)
        if found.calibration is not None:
            one = found.calibration
            lines = [(number(one.count), number(one.ece), number(one.mce), number(one.brier))]
            _table(console, "Calibration", ("Predictions", "Expected error", "Largest error", "Brier"), lines, names=0)
    for part, reason in found.refused.items():
        click.echo(f"{part} are missing: {reason}", err=True)


def _table(console: Console, title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, names: int = 1) -> None:
    """Print a table, if it has rows; the first ``names`` columns are words."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    lines = list(rows)
    if not lines:
        return
    table = Table(title=Text(title), title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    for place, name in enumerate(head):
        if place < names:
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    console.print(table)


def _show_classes(console: Console, found: Report) -> None:
    def line(name: str, counts: Counts, sure: Intervals | None, best: CurvePoint | None = None) -> tuple[str, ...]:
        return (
            name,
            *map(number, (counts.tp, counts.fp, counts.fn)),
            *(_around(sure[what]) if sure else "-" for what in ("precision", "recall", "f1")),
            number(counts.iou),
            f"{best.f1:.3f} from {best.confidence:g}" if best is not None and best.f1 is not None else "-",
        )

    each, curves = found.class_intervals or {}, found.curves or {}
    lines = [line("all", found.metrics.run, found.intervals)]
    for name, counts in found.metrics.classes.items():
        lines.append(line(name, counts, each.get(name), curves[name].best if name in curves else None))
    head = ("Class", "TP", "FP", "FN", "Precision", "Recall", "F1", "IoU", "Best F1")
    _table(console, "Classes", head, lines)


def _around(one: Interval) -> str:
    return number(one.value) if one.low is None else f"{number(one.value)} [{number(one.low)} {number(one.high)}]"


def _show_detection(console: Console, found: Report) -> None:
    for title, made in (("boxes", found.boxes), ("masks", found.masks)):
        if made is not None:
            parts = [("all", made.all), *made.classes.items()]
            _table(
                console,
                f"Average precision of {title}",
                ("Class", "IoU 0.50:0.95", "IoU 0.50", "IoU 0.75"),
                [(name, number(one.ap), number(one.ap50), number(one.ap75)) for name, one in parts],
            )


def _show_spans(console: Console, found: Report) -> None:
    if found.spans is None:
        return
    made = found.spans
    schemes = tuple(made.all)
    _table(
        console,
        "Spans: F1",
        ("Class", *(scheme.capitalize() for scheme in schemes)),
        [
            (name, *(number(scores[scheme].f1) for scheme in schemes))
            for name, scores in [("all", made.all), *made.classes.items()]
        ],
    )
    off = made.boundaries
    _table(
        console,
        "Boundaries of spans, in characters",
        ("Pairs", "Exact", "Start", "End", "Absolute"),
        [tuple(map(number, (off.pairs, off.exact, off.start_error, off.end_error, off.absolute_error)))],
        names=0,
    )


def _show_answers(console: Console, found: Report) -> None:
    _table(
        console,
        "Choices",
        ("Question", "Both", "Unanswered", "Accuracy", "Macro F1", "Kappa"),
        [
            (name, *map(number, (one.pairs, one.unanswered, one.accuracy, one.macro_f1, one.kappa)))
            for name, one in (found.questions or {}).items()
        ],
    )
    _table(
        console,
        "Written answers",
        ("Question", "Both", "Equal", "Word errors", "Character errors"),
        [(name, *map(number, (one.pairs, one.exact, one.wer, one.cer))) for name, one in (found.texts or {}).items()],
    )
    values = (("number", found.numbers), ("rating", found.ratings), ("date, in seconds", found.datetimes))
    _table(
        console,
        "Values",
        ("Question", "Kind", "Both", "Mean error", "RMSE", "Bias", "Equal", "Kappa"),
        [
            (name, kind, *map(number, (one.pairs, one.mae, one.rmse, one.bias, one.exact, one.kappa)))
            for kind, made in values
            for name, one in (made or {}).items()
        ],
        names=2,
    )
    _table(
        console,
        "Rankings",
        ("Question", "Both", "Kendall", "Spearman"),
        [(name, *map(number, (one.pairs, one.kendall, one.spearman))) for name, one in (found.rankings or {}).items()],
    )


def _show_times(console: Console, found: Report) -> None:
    for kind, made in (found.times or {}).items():
        unit = "seconds" if kind == "segment" else "frames"
        _table(
            console,
            f"{kind.capitalize()}{'' if kind == 'frames' else 's'}: overlap in time, ends in {unit}",
            ("Class", "Predicted", "Annotated", "Matched", "Mean IoU", "IoU of pairs", "Start off", "End off"),
            [
                (
                    name,
                    *map(number, (one.predicted, one.annotated, one.matched)),
                    *map(number, (one.iou, one.paired_iou, one.start_error, one.end_error)),
                )
                for name, one in [("all", made.all), *made.classes.items()]
            ],
        )


DETAILS = (report_command,)
