"""``prelabel runs``: models, their runs, what was predicted and labeled, and how good it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prelabel.cli import options
from prelabel.cli.jobs import JobsGroup, as_json
from prelabel.cli.run_details import DETAILS
from prelabel.cli.run_options import (
    client_of,
    existing,
    project_option,
    registry,
    run_argument,
    splits_option,
    table,
    through_a_server,
    with_label_studio,
)
from prelabel.cli.run_pushing import PUSHING
from prelabel.cli.run_reports import REPORTS
from prelabel.cli.run_selecting import SELECTING
from prelabel.cli.run_sending import SENDING
from prelabel.cli.run_slices import SLICES
from prelabel.cli.run_stages import STAGES

if TYPE_CHECKING:
    from prelabel.client import Import

MOST_REASONS = 10
"""Refused lines that are explained on the terminal."""


@click.group("runs", cls=JobsGroup, subcommand_metavar="[COMMAND] [ARGS]...")
def runs_command() -> None:
    """Model runs: what each version predicted, how good it is, and where it fails. Without a subcommand: list.

    A run is a version of a model: its name is the model version that Label Studio shows. What workers push and what the
    server answers is in it by itself; predictions and labels of elsewhere are imported.
    """


@runs_command.command("list", cls=options.SettingsCommand)
@click.option("--model", help="Only runs of this model.")
@as_json
@registry
def list_command(*, model: str | None, as_json: bool, **values: Any) -> None:
    """List models and their runs, the newest first."""
    with client_of(values) as client:
        rows = [run.row for run in client.model_runs(model)]
        used = {row.model for row in rows}
        unused = [] if model else [one.name for one in client.models() if one.name not in used]
    if as_json:
        said = [{"run": row.name, "model": row.model, "stage": row.stage, "status": row.status} for row in rows]
        click.echo(json.dumps(said, indent=1))
    elif rows:
        table(
            ("RUN", "MODEL", "STAGE", "STATUS"), [(row.name, row.model, row.stage, row.status or "-") for row in rows]
        )
    else:
        click.echo("No runs yet. `prelabel up` makes one for the model that it serves, `prelabel runs create` another.")
    if unused and not as_json:
        click.echo(f"Models without a run: {', '.join(unused)}")


@runs_command.command("create-model", cls=options.SettingsCommand)
@click.argument("name")
@click.option("--label-config", type=existing, help="A labeling config (XML) that says what may be labeled.")
@click.option("--ontology", type=existing, help="Or Labelbox's ontology JSON.")
@project_option
@with_label_studio
def create_model_command(
    *, name: str, label_config: Path | None, ontology: Path | None, project: int | None, **values: Any
) -> None:
    """Make a model with its ontology: from a labeling config, from Labelbox's JSON, or from a project."""
    if sum(given is not None for given in (label_config, ontology, project)) != 1:
        raise click.UsageError("Give one of --label-config, --ontology and --project.")
    with client_of(values) as client:
        if label_config is not None:
            made = client.create_ontology(_text(label_config), name=name)
        elif ontology is not None:
            made = client.create_ontology(_json_object(ontology), name=name)
        else:
            made = client.create_ontology(project_id=project, name=name)
        client.create_model(name, made)
    click.echo(f"Made the model {name}. Next: prelabel runs create {name} RUN")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{file} is no text in UTF-8.") from error


def _json_object(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(_text(file))
    except ValueError as error:
        raise click.BadParameter(f"{file} is not JSON: {error}.") from error
    if not isinstance(read, dict):
        raise click.BadParameter(f"{file} holds no JSON object.")
    return read


@runs_command.command("create", cls=options.SettingsCommand)
@click.argument("model")
@run_argument
@registry
def create_command(*, model: str, run: str, **values: Any) -> None:
    """Make a run of a model. Its name is its model version in Label Studio."""
    with client_of(values) as client:
        client.get_model(model).create_model_run(run)
    click.echo(f"Made the run {run}.")


@runs_command.command("import-rows", cls=options.SettingsCommand)
@click.argument("dataset")
@click.argument("file", required=False, type=existing)
@project_option
@click.option("--run", help="Put the dataset's data rows into this run, too.")
@with_label_studio
def import_rows_command(
    *, dataset: str, file: Path | None, project: int | None, run: str | None, **values: Any
) -> None:
    """Write data rows into a dataset.

    FILE is NDJSON with `row_data` and `global_key`; with --project they are the project's tasks instead.
    """
    if (file is None) == (project is None):
        raise click.UsageError("Give either FILE or --project.")
    with client_of(values) as client:
        if file is not None:
            rows = client.import_data_rows(dataset, _lines(file))
        else:
            rows = client.import_data_rows(dataset, project_id=project)
        if run is not None:
            client.get_model_run(run).upsert_data_rows([row.uid for row in rows])
        click.echo(f"The dataset {dataset} has {len(rows)} data rows.")


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as lines:
        for place, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                read = json.loads(line)
            except ValueError as error:
                raise click.BadParameter(f"{file}, line {place} is not JSON: {error}.") from error
            if not isinstance(read, dict):
                raise click.BadParameter(f"{file}, line {place} is no JSON object.")
            yield read


@runs_command.command("import", cls=options.SettingsCommand)
@run_argument
@click.argument("source")
@click.option("--name", help="The import's name, unique in the run; default: the file's.")
@registry
def import_command(*, run: str, source: str, name: str | None, **values: Any) -> None:
    """Import predictions: a path or an address of Labelbox NDJSON.

    Exit code: 0 all lines were taken, 1 some were refused (the reasons are printed) or the import failed.
    """
    with client_of(values) as client:
        found = client.get_model_run(run).add_predictions(name or Path(source).name, source)
        click.get_current_context().exit(_watched(found))


@runs_command.command("labels", cls=options.SettingsCommand)
@run_argument
@click.argument("source", required=False)
@project_option
@with_label_studio
def labels_command(*, run: str, source: str | None, project: int | None, **values: Any) -> None:
    """Import ground truth: Labelbox NDJSON, or what was labeled in a Label Studio project.

    Exit code: 0 all lines were taken, 1 some were refused (the reasons are printed) or the import failed.
    """
    if (source is None) == (project is None):
        raise click.UsageError("Give either SOURCE or --project.")
    with client_of(values) as client:
        at = client.get_model_run(run)
        found = at.upsert_labels(source) if source is not None else at.upsert_labels(project_id=project)
        click.get_current_context().exit(_watched(found))


@runs_command.command("resume", cls=options.SettingsCommand)
@registry
def resume_command(**values: Any) -> None:
    """Go on with imports that a killed process left behind."""
    with client_of(values) as client:
        codes = [_watched(one) for one in client.resume_imports()]
    if not codes:
        click.echo("No import was left behind.")
    click.get_current_context().exit(max(codes, default=0))


def _watched(one: Import) -> int:
    """Wait for an import with its progress; what became of it, and the exit code."""
    row = one.wait_till_done(1.0, show_progress=sys.stderr.isatty())
    for status in list(one.errors[:MOST_REASONS]) if row.failed else ():
        for error in status.errors:
            place = "" if error.message.startswith("line ") else f"line {status.position + 1}: "
            click.echo(f"{place}{error.message}", err=True)
            if error.additional_info:
                click.echo(f"  Fix: {error.additional_info}", err=True)
    if row.failed > MOST_REASONS:
        click.echo(f"... and {row.failed - MOST_REASONS} more", err=True)
    click.echo(f"{row.name}: {row.state}, {row.position - row.failed} of {row.total} taken, {row.failed} refused")
    if row.error:
        click.echo(row.error, err=True)
    return 0 if row.state == "FINISHED" and not row.failed else 1


@runs_command.command("export", cls=options.SettingsCommand)
@run_argument
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(["ndjson", "labelstudio", "coco", "parquet"]),
    help="Labelbox NDJSON, Label Studio tasks, COCO, or a table.",
)
@click.option("--annotations", is_flag=True, help="Write the annotations instead of the predictions.")
@splits_option
@registry
def export_command(
    *, run: str, file: Path, form: Any, annotations: bool, splits: tuple[Any, ...], **values: Any
) -> None:
    """Write a run to a file."""
    with client_of(values) as client:
        written = client.get_model_run(run).export(
            form, file, splits=splits, role="annotation" if annotations else "prediction"
        )
    click.echo(f"Wrote {written} to {file}.")


@runs_command.command("delete", cls=options.SettingsCommand)
@run_argument
@registry
def delete_command(*, run: str, **values: Any) -> None:
    """Delete a run with all it holds here; what it became in Label Studio stays there."""
    with client_of(values) as client:
        client.get_model_run(run).delete()
    click.echo(f"Deleted the run {run}.")


for command in (*REPORTS, *DETAILS, *SLICES, *SENDING, *SELECTING, *PUSHING, *STAGES):
    runs_command.add_command(command)
for each in set(runs_command.commands.values()).difference(PUSHING):  # a server does not push to Labelbox
    through_a_server(each)
