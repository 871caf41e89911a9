"""The tables of ``prelabel runs report``: narrow enough for a terminal, whole names in a file or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from prelabel.cli.run_options import number

if TYPE_CHECKING:
    from rich.console import Console

    from prelabel.metrics.bootstrap import Interval
    from prelabel.runs.reports import Report

WIDE = 160
"""Columns of tables that go into a file or a pipe."""
NAME = 8
"""Columns that a longer name keeps in the narrowest terminal; the rest of it goes to the next line."""


def show(found: Report, run: str) -> None:
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
    _show_custom(console, found)
    for reason in at.reasons:
        click.echo(reason, err=True)
    for part, reason in found.refused.items():
        click.echo(f"{part} are missing: {reason}", err=True)


def _table(console: Console, title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, names: int = 1) -> None:
    """Print a table, if it has rows; the first ``names`` columns are words. Numbers are never cut, headings wrap."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    lines = list(rows)
    if not lines:
        return
    table = Table(title=Text(title), title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    widths = _widths(head, lines, names, console.width)
    for place, (name, width) in enumerate(zip(head, widths, strict=True)):
        table.add_column(name, overflow="fold", width=width, justify="left" if place < names else "right")
    for line in lines:
        table.add_row(*line)
    console.print(table)


def _widths(head: Sequence[str], lines: Sequence[Sequence[str]], names: int, room: int) -> list[int]:
    """Of each column: as wide as its longest cell, or, where that is too wide for the room, with headings wrapped."""
    longest = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    widths = [max(len(name), cell) for name, cell in zip(head, longest, strict=True)]
    between = 2 * len(head)
    if sum(widths) + between <= room:
        return widths
    numbers = [max(longest[place], *map(len, head[place].split())) for place in range(names, len(head))]
    left = (room - between - sum(numbers)) // max(names, 1)
    return [*(min(width, max(left, NAME)) for width in widths[:names]), *numbers]


def _show_classes(console: Console, found: Report) -> None:
    each = [("all", found.metrics.run), *found.metrics.classes.items()]
    lines = []
    for name, one in each:
        numbers = (one.tp, one.fp, one.fn, one.tn, one.precision, one.recall, one.f1, one.iou)
        lines.append((name, *map(number, numbers)))
    _table(console, "Classes", ("Class", "TP", "FP", "FN", "TN", "Precision", "Recall", "F1", "IoU"), lines)

    bounds = {"all": found.intervals or {}} | dict(found.class_intervals or {})
    lines = []
    for name, _ in each:
        around = [_around(bounds.get(name, {}).get(what)) for what in ("precision", "recall", "f1")]
        curve = (found.curves or {}).get(name)
        best = curve.best if curve is not None and name != "all" else None
        peak = f"{best.f1:.3f} from {best.confidence:g}" if best is not None and best.f1 is not None else "-"
        lines.append((name, *around, peak))
    _table(console, "95 % intervals, and the best F1", ("Class", "Precision", "Recall", "F1", "Best F1"), lines)


def _around(one: Interval | None) -> str:
    return "-" if one is None or one.low is None else f"{number(one.low)}-{number(one.high)}"


def _show_custom(console: Console, found: Report) -> None:
    lines = []
    for name, of in (found.custom or {}).items():
        for feature, one in (("", of), *of.features.items()):
            counts = (one.tp, one.fp, one.fn, one.tn)
            lines.append((name, feature or "(all)", *map(number, (one.rows, one.value, *counts, one.f1))))
    _table(
        console,
        "Imported metrics",
        ("Metric", "Feature", "Rows", "Value", "TP", "FP", "FN", "TN", "F1"),
        lines,
        names=2,
    )


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


__all__ = ["show"]
