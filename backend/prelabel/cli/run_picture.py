"""A run's report as one picture: precision and recall, reliability, confusion."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prelabel.errors import DataError, SettingsError
from prelabel.metrics.summary import NO_CLASS

if TYPE_CHECKING:
    from prelabel.metrics.calibration import Calibration
    from prelabel.runs.reports import Report

MOST_CURVES = 8
MOST_CLASSES = 12
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C00")
"""Colours that people with any colour vision tell apart (Okabe and Ito 2008; their yellow darkened for white paper)."""
LINES = ("-", "--", "-.", ":")
NAME_LENGTH = 24


def draw(report: Report, run: str, path: Path) -> None:
    """Write the picture; its format is that of the file's ending.

    Raises:
        SettingsError: Matplotlib is not installed.
        DataError: the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SettingsError("a picture needs matplotlib, which is not installed.",
                            hint="pip install matplotlib") from error  # fmt: skip
    figure = Figure(figsize=(16, 5.4), layout="constrained")
    first, second, third = figure.subplots(1, 3, width_ratios=(1, 1, 1.15))
    _curves(first, report)
    _reliability(second, report.calibration)
    _confusion(third, report)
    at = report.metrics
    figure.suptitle(
        f"{run}: {at.data_rows} data rows, confidence from {at.confidence:g}, IoU above {at.iou:g}", fontsize=13
    )
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.", hint="Give another file.") from error


def _curves(axes: Any, report: Report) -> None:
    curves = report.curves or {}
    often = {name: one.points[0].tp + one.points[0].fn for name, one in curves.items() if one.points}
    chosen = sorted(often, key=lambda name: (-often[name], name))[:MOST_CURVES]
    drawn = 0
    for place, name in enumerate(chosen):
        points = [(p.recall, p.precision) for p in curves[name].points if None not in (p.recall, p.precision)]
        if not points:
            continue
        drawn += 1
        look = {"color": COLOURS[place], "linestyle": LINES[place % len(LINES)], "linewidth": 2}
        best = curves[name].best
        label = _short(name)
        if best is not None and best.f1 is not None:
            label = f"{label}: F1 {best.f1:.2f} from {best.confidence:g}"
            if best.recall is not None and best.precision is not None:
                axes.plot(best.recall, best.precision, "o", color=COLOURS[place], markersize=8, clip_on=False)
        axes.plot(*zip(*points, strict=True), label=label, **look)
    left_out = f" ({len(chosen)} of {len(curves)} classes)" if len(curves) > len(chosen) else ""
    axes.set(title=f"Precision and recall{left_out}", xlabel="Recall", ylabel="Precision", xlim=(0, 1.02),
             ylim=(0, 1.02))  # fmt: skip
    axes.grid(alpha=0.3)
    if drawn:
        axes.legend(title="dot: confidence with the best F1", fontsize=9, title_fontsize=9, loc="best", handlelength=3)
    else:
        _nothing(axes, "nothing is predicted and labeled")


def _reliability(axes: Any, found: Calibration | None) -> None:
    axes.set(title="Reliability", xlabel="Confidence", ylabel="Share that is right", xlim=(0, 1), ylim=(0, 1.08))
    axes.grid(alpha=0.3)
    if found is None:
        _nothing(axes, "no prediction has a confidence below 1")
        return
    full = [one for one in found.bins if one.count]
    heights = [one.accuracy or 0.0 for one in full]
    width = 1 / len(found.bins)
    axes.bar([one.low for one in full], heights, width=width, align="edge", color="#56B4E9", edgecolor="#0072B2",
             label="right")  # fmt: skip
    axes.plot((0, 1), (0, 1), "--", color="black", linewidth=1.5, label="as sure as right")
    axes.plot(
        [one.confidence for one in full],
        heights,
        "o",
        color="#D55E00",
        markersize=6,
        clip_on=False,
        label="mean confidence",
    )
    for one, height in zip(full, heights, strict=True):
        axes.text(one.low + width / 2, height + 0.02, f"{one.count}", ha="center", fontsize=8)
    title = f"expected error {found.ece:.3f}, Brier {found.brier:.3f}"
    axes.legend(title=title, fontsize=9, title_fontsize=9, loc="upper left")


def _confusion(axes: Any, report: Report) -> None:
    cells = [(cell.annotated or NO_CLASS, cell.predicted or NO_CLASS, cell.count) for cell in report.metrics.confusion]
    often: Counter[str] = Counter()
    for annotated, predicted, count in cells:
        often[annotated] += count
        often[predicted] += count
    classes = [name for name, _ in often.most_common() if name != NO_CLASS]
    names = [*sorted(classes[:MOST_CLASSES]), NO_CLASS]
    left_out = f" ({MOST_CLASSES} of {len(classes)} classes)" if len(classes) > MOST_CLASSES else ""
    axes.set(title=f"Confusion{left_out}", xlabel="Predicted", ylabel="Annotated")
    if not classes:
        _nothing(axes, "nothing is predicted and labeled")
        return
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    for annotated, predicted, count in cells:
        if annotated in names and predicted in names:
            table[names.index(annotated), names.index(predicted)] += count
    whole = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, whole, out=np.full(table.shape, np.nan), where=whole > 0)  # empty rows stay white
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    axes.figure.colorbar(image, ax=axes, label="Share of the row", shrink=0.85)
    labels = [_short(name) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), labels)
    for row, column in np.argwhere(table).tolist():
        colour = "black" if shares[row, column] > 0.55 else "white"
        axes.text(column, row, f"{table[row, column]}", ha="center", va="center", color=colour, fontsize=9)


def _nothing(axes: Any, why: str) -> None:
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes, color="#555555")


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"
