"""The command ``prelabel``: one module per group of commands, each imported only when its command runs."""

from __future__ import annotations

import difflib
import importlib
import sys
from typing import NoReturn

import click

from prelabel.cli.failures import CommandFailure, report_unexpected
from prelabel.errors import PrelabelError

COMMANDS = {
    "up": ("prelabel.cli.serving", "Serve a model with all it needs: Redis, server and workers in one command."),
    "serve": ("prelabel.cli.serving", "Serve a model as a Label Studio ML backend."),
    "worker": ("prelabel.cli.serving", "Predict and push in bulk, beside a server or on a machine of its own."),
    "connect": ("prelabel.cli.connecting", "Register the backend in a Label Studio project."),
    "predict": ("prelabel.cli.predicting", "Predict the tasks of a project as a job, with a progress bar."),
    "train": ("prelabel.cli.training", "Let the model learn from a project's annotations: a new version."),
    "jobs": ("prelabel.cli.jobs", "List, show, cancel, resume and retry jobs."),
    "runs": ("prelabel.cli.runs", "Models and their runs: import, measure, compare, export."),
    "check": ("prelabel.cli.authoring", "Show offline what Label Studio would get from a model, and refuse."),
    "init": ("prelabel.cli.authoring", "Write a starting point for a model of your own, with a test."),
    "doctor": ("prelabel.cli.diagnosing", "Test the whole set-up and print the exact fix for what is wrong."),
    "demo": ("prelabel.cli.demonstrating", "Start Label Studio with three projects that fill with predictions."),
}
"""Every command: the module that holds it, and the line that ``prelabel --help`` shows without importing that."""

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Commands(click.Group):
    """A group that imports a command's module when the command is asked for, and turns errors into sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)  # noqa: S101 (our own table above)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        close = difflib.get_close_matches(args[0], COMMANDS, n=1) if args[0] not in COMMANDS else []
        if close:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except PrelabelError as error:
            if debugging():
                raise
            raise CommandFailure(error) from error
        except KeyboardInterrupt:
            ctx.exit(STOPPED)
        except (click.exceptions.Exit, click.ClickException, click.Abort, BrokenPipeError):
            raise
        except Exception as error:  # the outermost frame: people get a sentence, not a traceback
            if debugging():
                raise
            raise report_unexpected(error) from error


def debugging() -> bool:
    """Whether the person asked for tracebacks."""
    root = click.get_current_context().find_root()
    return bool(root.meta.get("prelabel.debug"))


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="`prelabel COMMAND --help` shows a command's options, their defaults and their environment variables.",
)
@click.version_option(package_name="prelabel", message="prelabel %(version)s")
def cli() -> None:
    """Turn any model into a Label Studio ML backend.

    \b
    prelabel up my_model.py:predict      serve it, with Redis and a worker
    prelabel connect --project 1         register it in Label Studio
    prelabel predict --project 1         predict what is in the project
    """


def main() -> NoReturn:
    """The console script: exit code 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C."""
    try:
        cli.main(prog_name="prelabel", standalone_mode=True)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    sys.exit(STOPPED)
