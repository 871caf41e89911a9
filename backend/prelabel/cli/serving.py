"""``prelabel up``, ``serve`` and ``worker``: the processes that stay."""

from __future__ import annotations

from typing import Any

import click

from prelabel import lifeline, log
from prelabel.cli import options
from prelabel.cli.wrapper_options import ModelCommand
from prelabel.errors import SettingsError
from prelabel.settings import Settings

SERVER_SETTINGS = (
    "public_url",
    "host",
    "port",
    "threads",
    "predict_deadline_s",
    "live_tasks",
    "single_flight_s",
    "drain_s",
    "max_request_bytes",
    *options.BASIC_AUTH,
    "train_after",
    "api_keys",
)
WORKER_SETTINGS = (
    "slice_tasks",
    "page_tasks",
    "workers",
    "sweep_interval_s",
    "worker_ttl_s",
    "job_retries",
    "train_predict",
    *options.PUSH,
)

model_argument = click.argument("model", required=False, metavar="[MODEL]")


@click.command("up", cls=ModelCommand)
@model_argument
@options.model_option
@options.settings_options(
    *options.STORES,
    *options.LABEL_STUDIO,
    *options.MODEL,
    *options.DATA,
    *SERVER_SETTINGS,
    *WORKER_SETTINGS,
    "auto_predict",
)
def up_command(*, model: str | None, pairs: tuple[str, ...], **values: Any) -> None:
    """Serve MODEL with all it needs, in one command: an embedded Redis, the server, and workers.

    MODEL is a file with a function or class (my_model.py:predict), a dotted path (package.module:Class) or the name of
    a ready-made wrapper (sklearn, onnx, whisper ...), whose options --help shows: `prelabel up onnx --help`.

    Ctrl-C stops everything, after what has begun is finished; a second Ctrl-C stops at once.
    """
    settings = _settings(model, pairs, values)
    from prelabel.up import Supervisor

    log.configure(settings, "up")
    Supervisor(settings, lambda address: _announce(settings, address)).run()


def _announce(settings: Settings, address: str) -> None:
    url = settings.public_url or address
    click.echo(
        f"\nprelabel serves {settings.model} at {url}\n"
        "  connect it:  prelabel connect --project 1   (or paste the address into Settings > Model in Label Studio)\n"
        "  predict:     prelabel predict --project 1\n"
        "  stop:        Ctrl-C\n",
        err=True,
    )


@click.command("serve", cls=ModelCommand)
@model_argument
@options.model_option
@options.settings_options(
    *options.STORES,
    *options.LABEL_STUDIO,
    *options.MODEL,
    *options.DATA,
    *SERVER_SETTINGS,
    "slice_tasks",
    "page_tasks",
    "job_retries",
    "auto_predict",
)
def serve_command(*, model: str | None, pairs: tuple[str, ...], **values: Any) -> None:
    """Serve MODEL as a Label Studio ML backend: live predictions, and a queue for the workers.

    MODEL is a file with a function or class (my_model.py:predict), a dotted path (package.module:Class) or the name of
    a ready-made wrapper (sklearn, onnx, whisper ...), whose options --help shows: `prelabel serve onnx --help`.

    Bulk work waits in the queue until a `prelabel worker` with the same Redis and database takes it; `prelabel up`
    starts both.
    """
    settings = _settings(model, pairs, values)
    log.configure(settings, "server")
    lifeline.hold(settings.drain_s + 5)
    from prelabel.server import serve

    serve(settings)


@click.command("worker", cls=options.SettingsCommand)
@click.option("--burst", is_flag=True, help="Do what is queued, then end.")
@options.model_option
@options.settings_options(
    "model",
    "server_url",
    *options.STORES,
    *options.LABEL_STUDIO,
    *options.BASIC_AUTH,
    "api_keys",
    *options.MODEL,
    *options.DATA,
    *WORKER_SETTINGS,
    "drain_s",
)
def worker_command(*, burst: bool, pairs: tuple[str, ...], **values: Any) -> None:
    """Take predict jobs from the queue and push predictions to Label Studio, on this or any machine.

    With --server-url the worker asks that server for its predictions, so that a GPU holds one copy of the model;
    otherwise it loads --model itself. Workers share --redis-url and --database-url with the server.
    """
    settings = _settings(None, pairs, values)
    if settings.model is None and settings.server_url is None:
        raise SettingsError(
            "a worker needs a model or a server that has one.",
            hint="Give --server-url http://HOST:9090, or --model my_model.py:predict.",
        )
    if values.get("model") is not None and settings.server_url is not None:
        raise SettingsError(
            f"a worker takes its own model or that of a server, and both are given: {settings.model}, and "
            f"{settings.server_url}.",
            hint="Leave out --model, or --server-url (PRELABEL_SERVER_URL).",
        )
    log.configure(settings, "worker")
    lifeline.hold(settings.drain_s + 5)
    from prelabel import worker

    worker.run(settings, burst=burst)


def _settings(model: str | None, pairs: tuple[str, ...], values: dict[str, Any]) -> Settings:
    """The settings of a command that takes a model; the argument wins over ``PRELABEL_MODEL``."""
    more: dict[str, Any] = {"model_options": options.parse_options(pairs)}
    if "model" not in values:
        more["model"] = model
    settings = options.settings_from(values, **more)
    if settings.model is None and "model" not in values:
        raise click.UsageError("which MODEL? For instance my_model.py:predict (or set PRELABEL_MODEL).")
    return settings
