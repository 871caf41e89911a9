"""``prelabel check`` and ``prelabel init``: for people who write a model."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prelabel.cli import options
from prelabel.errors import LabelingConfigError

if TYPE_CHECKING:
    from prelabel.checking import CheckReport, TaskReport

A_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SHOWN_REGIONS = 4
SHOWN_CHARACTERS = 100
SHOWN_TEXT = 60


@click.command("check", cls=options.SettingsCommand)
@click.argument("model", required=False, metavar="MODEL")
@click.option("--config", type=A_FILE, required=True, help="File with the labeling config (XML).")
@click.option(
    "--tasks", type=A_FILE, help="File with tasks: JSON, JSON lines, CSV, TSV, or text. Without: only the fit."
)
@click.option("--limit", type=click.IntRange(min=1), help="Use the first so many tasks only.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write tasks with predictions here.")
@options.model_option
@options.settings_options(*options.MODEL, *options.DATA, *options.LABEL_STUDIO)
def check_command(
    *,
    model: str | None,
    config: Path,
    tasks: Path | None,
    limit: int | None,
    output: Path | None,
    pairs: tuple[str, ...],
    **values: Any,
) -> None:
    """Show what Label Studio would get from MODEL, and what it would refuse, without a Label Studio.

    MODEL is a file with a function or class (my_model.py:predict), a dotted path or the name of a ready-made wrapper.
    What --output writes can be imported into a project as it is.

    Exit code: 0 the config fits and every task has a prediction that Label Studio takes, 1 otherwise.
    """
    settings = options.settings_from(values, model=model, model_options=options.parse_options(pairs))
    if settings.model is None:
        raise click.UsageError("which MODEL? For instance my_model.py:predict.")
    from prelabel import checking

    if settings.log_level != "debug":
        logging.getLogger("prelabel").setLevel(logging.CRITICAL)  # the report says it all
    try:
        xml = config.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LabelingConfigError(
            f"{config} is not UTF-8 text.", hint="Give the XML of the labeling config."
        ) from error
    chosen = checking.read_tasks(tasks, limit) if tasks is not None else []
    report = checking.check(settings.model, xml, chosen, settings, options=settings.model_options)
    _show(report)
    if output is not None:
        output.write_text(json.dumps(report.import_json(), indent=1, ensure_ascii=False), encoding="utf-8")
        click.echo(f"Wrote {output}; it can be imported into a project.")
    click.get_current_context().exit(0 if report.usable else 1)


def _show(report: CheckReport) -> None:
    reads = f" from <{report.reads}>" if report.reads else ""
    click.echo(f"model    {report.model_version}, loaded in {report.load_s:.1f} s; gets {report.input.value}{reads}")
    if not report.fit.ok:
        click.echo(_word("refused", "red") + report.fit.refusal)
        return
    for sentence in report.fit.dropped:
        click.echo(_word("dropped", "yellow") + sentence)
    if report.fit.ok and not report.fit.dropped:
        sentence = "the labeling config takes everything that the model says it makes"
        if not report.declares:
            sentence = "the model does not say what it makes (labels, outputs): the tasks below show whether it fits"
        click.echo(_word("fits", "green") + sentence)
    for number, task in enumerate(report.tasks, start=1):
        _show_task(number, task)
    if report.tasks:
        good = sum(task.ok for task in report.tasks)
        click.echo(f"\n{good} of {len(report.tasks)} tasks have a prediction that Label Studio takes whole.")


def _show_task(number: int, task: TaskReport) -> None:
    name = f"task {task.task.id if task.task.id is not None else number}"
    if task.error is not None:
        click.echo(f"{name}: " + _word("failed", "red") + task.error.message)
        hint = "`--log-level debug` shows the traceback." if "traceback" in task.error.hint else task.error.hint
        if hint:
            click.echo(f"{'':9}{click.style('fix:', fg='green')} {hint}")
        return
    if task.prediction is None:
        click.echo(f"{name}: " + _word("nothing", "yellow") + "the model said nothing")
        return
    click.echo(f"{name}: {_regions(list(task.prediction.result))}, score {task.prediction.score:.3f}")
    for sentence in task.refusals:
        click.echo(_word("refused", "red") + sentence)
    for sentence in task.prediction.dropped:
        click.echo(_word("dropped", "yellow") + sentence)


def _regions(regions: list[dict[str, Any]]) -> str:
    """``choices Positive`` or ``3 rectanglelabels, 1 textarea``: what a prediction holds, in a few words."""
    if not regions:
        return "no regions"
    if len(regions) > SHOWN_REGIONS:
        return ", ".join(f"{count} {kind}" for kind, count in Counter(one["type"] for one in regions).items())
    shown = "; ".join(f"{one['type']} {_value(one)}" for one in regions)
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[: SHOWN_CHARACTERS - 3] + "..."


def _value(region: dict[str, Any]) -> str:
    value = region.get("value", {})
    if region["type"] == "textarea" and isinstance(value, dict) and isinstance(value.get("text"), list):
        said = " ".join(" ".join(map(str, value["text"])).split())
        return repr(said if len(said) <= SHOWN_TEXT else said[: SHOWN_TEXT - 3] + "...")
    labels = value.get(region["type"]) if isinstance(value, dict) else None
    place = {
        key: entry for key, entry in value.items() if key != region["type"] and isinstance(entry, (int, float, str))
    }
    named = ", ".join(map(str, labels)) if isinstance(labels, list) else str(labels) if labels is not None else ""
    where = " ".join(
        f"{key}={entry:.4g}" if isinstance(entry, float) else f"{key}={entry}" for key, entry in place.items()
    )
    return " ".join(filter(None, (named, where)))


def _word(word: str, colour: str) -> str:
    return click.style(f"{word:<9}", fg=colour, bold=True)


@click.command("init")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=".", metavar="[DIR]")
@click.option(
    "--kind",
    type=click.Choice(["text", "image", "audio"]),
    default="text",
    show_default=True,
    help="What the model gets.",
)
@click.option("--force", is_flag=True, help="Overwrite files that are there already.")
def init_command(*, directory: Path, kind: str, force: bool) -> None:
    """Write a starting point for a model of your own, with a test: all of it works as it is.

    DIR (default: here) gets model.py, test_model.py, label_config.xml, tasks.json and a README.md that goes on from
    there.
    """
    from prelabel import scaffold

    for path in scaffold.init(directory, kind, force=force):
        click.echo(f"wrote {path}")
    where = "" if directory == Path() else f"cd {directory}\n  "
    click.echo(
        f"""
Now:
  {where}prelabel check model.py --config label_config.xml --tasks tasks.json
  prelabel up model.py"""
    )
