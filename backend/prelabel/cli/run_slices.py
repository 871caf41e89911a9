"""The part of ``prelabel runs`` that asks for data rows by a condition, and saves conditions under names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from prelabel.cli import options
from prelabel.cli.jobs import as_json
from prelabel.cli.run_options import SPLITS, client_of, existing, registry, run_argument, table, thresholds


@click.command("slice", cls=options.SettingsCommand)
@run_argument
@click.argument("condition", metavar="CONDITION|NAME")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many.")
@click.option("--order", help="For instance 'f1' or 'fp[Cat] desc'.")
@thresholds
@as_json
@registry
def slice_command(
    *,
    run: str,
    condition: str,
    limit: int,
    order: str | None,
    confidence: float,
    iou: float,
    as_json: bool,
    **values: Any,
) -> None:
    """Show the data rows for which a condition holds now.

    For instance 'metadata.city == "Berlin" and split == validation and fp[Cat] > 0', or the name of a slice.
    """
    with client_of(values) as client:
        rows = client.get_model_run(run).slice(condition, confidence=confidence, iou=iou, limit=limit, order=order)
    if as_json:
        said = [
            {
                "id": row.uid,
                "global_key": row.global_key,
                "task": row.place.task if row.place else None,
                "metadata": dict(row.metadata),
            }
            for row in rows
        ]
        click.echo(json.dumps(said, indent=1))
    elif rows:
        table(
            ("DATA ROW", "TASK", "MEDIA TYPE"),
            [
                (row.global_key or row.uid, str(row.place.task) if row.place else "-", row.media_type or "-")
                for row in rows
            ],
        )
    else:
        click.echo("It holds for no data row.")


@click.command("slices", cls=options.SettingsCommand)
@click.argument("model", metavar="[MODEL]", required=False)
@as_json
@registry
def slices_command(*, model: str | None, as_json: bool, **values: Any) -> None:
    """List the saved slices of MODEL, or of all models, and those that every model has."""
    from prelabel.analysis.slices import READY

    with client_of(values) as client:
        models = [client.get_model(model)] if model is not None else client.models()
        saved = [one for each in models for one in each.slices()]
    rows: list[tuple[str, str | None, str]] = [(one.name, one.model, one.condition) for one in saved]
    rows += [(name, None, ready.condition) for name, ready in READY.items()]
    if as_json:
        click.echo(json.dumps([{"name": name, "model": of, "condition": said} for name, of, said in rows], indent=1))
    else:
        table(("SLICE", "MODEL", "CONDITION"), [(name, of or "(every)", said) for name, of, said in rows])


@click.command("save-slice", cls=options.SettingsCommand)
@click.argument("model", metavar="MODEL")
@click.argument("name", metavar="NAME")
@click.argument("condition", metavar="CONDITION")
@registry
def save_slice_command(*, model: str, name: str, condition: str, **values: Any) -> None:
    """Save CONDITION under NAME for all runs of MODEL; what is saved under it already is replaced."""
    with client_of(values) as client:
        client.get_model(model).save_slice(name, condition)
    click.echo(f"Saved. `prelabel runs slice RUN {name!r}` shows its data rows.")


@click.command("delete-slice", cls=options.SettingsCommand)
@click.argument("model", metavar="MODEL")
@click.argument("name", metavar="NAME")
@registry
def delete_slice_command(*, model: str, name: str, **values: Any) -> None:
    """Delete the saved slice NAME of MODEL."""
    with client_of(values) as client:
        client.get_model(model).delete_slice(name)
    click.echo("Deleted.")


@click.command("split", cls=options.SettingsCommand)
@run_argument
@click.argument("split", type=click.Choice(SPLITS))
@click.option("--key", "keys", multiple=True, metavar="KEY", help="A data row's global key; repeatable.")
@click.option("--keys", "file", type=existing, help="A file with a global key in each line.")
@click.option("--where", metavar="CONDITION|NAME", help="All for which a condition or a slice holds now.")
@registry
def split_command(
    *, run: str, split: Any, keys: tuple[str, ...], file: Path | None, where: str | None, **values: Any
) -> None:
    """Put data rows of RUN into a split: training, validation, test or unassigned."""
    if not keys and file is None and where is None:
        raise click.UsageError("Give --key, --keys or --where.")
    if file is not None:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        keys += tuple(line.strip() for line in lines if line.strip())
    with client_of(values) as client:
        at = client.get_model_run(run)
        chosen = [row.uid for row in at.slice(where)] if where is not None else []
        if keys or chosen:
            at.assign_data_rows_to_split(chosen, split, keys)
    click.echo(f"{len(set(keys)) + len(chosen)} data rows are in the split {split} now.")


SLICES = (split_command, slice_command, slices_command, save_slice_command, delete_slice_command)
