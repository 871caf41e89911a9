"""``prelabel demo``: a real Label Studio with three projects that fill with predictions."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo")
@click.option("--check", is_flag=True, help="Wait until every task has its prediction, check them, print a table, end.")
@click.option("--fresh", is_flag=True, help="Forget what an earlier demo stored, and begin anew.")
@click.option("--port", default=8080, show_default=True, help="Port of Label Studio; the next free one when taken.")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="Directory that keeps Label Studio's own environment (.venv-labelstudio) and its empty database (.cache).",
)
@click.option(
    "--demo-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=".data/demo",
    show_default=True,
    help="Directory of all that the demo stores.",
)
@click.pass_context
def demo_command(ctx: click.Context, *, check: bool, fresh: bool, port: int, root: Path, demo_dir: Path) -> None:
    """Start Label Studio with three projects (texts, images, sounds), a real model for each, and watch them fill.

    Needs `pip install "prelabel[demo]"`; in a clone of the repository, `make demo` does all set-up. The first start
    installs Label Studio into an environment of its own, which takes some minutes; later ones take seconds. Ctrl-C ends
    everything.

    With --check the exit code is 0 when every task has a valid prediction, 1 otherwise.
    """
    from prelabel.demo.orchestration import Options, run

    ctx.exit(run(Options(root=root.resolve(), data_dir=demo_dir.resolve(), check=check, fresh=fresh, port=port)))
