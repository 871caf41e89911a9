"""Label Studio in an environment of its own, and a migrated database to start from; nothing but the standard library.

Runs as a script too, beside the installation of prelabel itself:  python installing.py ENVIRONMENT TEMPLATE
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

VERSION = "1.23.2"
DATABASE = "label_studio.sqlite3"
_READ_UNPREFIXED = ("USERNAME", "PASSWORD", "HOST", "PORT", "DEBUG")
"""Label Studio takes these variables for its own."""


class InstallError(Exception):
    """Label Studio could not be installed or its database not be migrated; the message ends with the log's end."""


def environment_of(root: Path) -> Path:
    """Label Studio's environment: ``PRELABEL_LABEL_STUDIO_VENV``, else ``.venv-labelstudio`` in ``root``."""
    return Path(os.environ.get("PRELABEL_LABEL_STUDIO_VENV") or root / ".venv-labelstudio")


def template_of(root: Path) -> Path:
    """Where the migrated database is kept: ``PRELABEL_LABEL_STUDIO_TEMPLATE``, else ``.cache/label-studio-VERSION``."""
    return Path(os.environ.get("PRELABEL_LABEL_STUDIO_TEMPLATE") or root / ".cache" / f"label-studio-{VERSION}")


def executable(environment: Path) -> Path:
    """Where an environment keeps the ``label-studio`` command."""
    return environment / "bin" / "label-studio"


def installed(environment: Path) -> bool:
    """Whether this environment has Label Studio (pip writes its command last)."""
    return executable(environment).exists()


def prepared(data_dir: Path, template: Path) -> bool:
    """Whether a start in this data directory finds a migrated database, its own or the template."""
    return (data_dir / DATABASE).exists() or (template / "done").exists()


def install(environment: Path, *, version: str = VERSION) -> None:
    """Make a virtual environment with Label Studio in it; about two and a half minutes. Does nothing when it is there.

    Raises:
        InstallError: pip failed.
    """
    environment.parent.mkdir(parents=True, exist_ok=True)
    beside = environment.parent / environment.name
    with _locked(beside.with_name(f"{environment.name}.lock")):
        if installed(environment):
            return
        log = beside.with_name(f"{environment.name}.log")
        python = str(environment / "bin" / "python")
        with log.open("wb") as out:
            for step in (
                [sys.executable, "-m", "venv", "--clear", str(environment)],
                [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", f"label-studio=={version}"],
            ):
                if subprocess.run(step, stdout=out, stderr=subprocess.STDOUT, check=False).returncode:  # noqa: S603
                    shutil.rmtree(environment, ignore_errors=True)
                    raise InstallError(f"installing label-studio=={version} into {environment} failed:\n{_tail(log)}")


def make_template(environment: Path, template: Path) -> Path:
    """The migrated, empty database that new servers start from; 65 to 90 s the first time, then at once.

    Raises:
        InstallError: the migration failed.
    """
    done = template / "done"
    template.mkdir(parents=True, exist_ok=True)
    with _locked(template / "lock"):
        if not done.exists():
            (template / DATABASE).unlink(missing_ok=True)
            log = template / "log"
            command = [str(executable(environment)), "version"]
            with log.open("wb") as out:
                code = subprocess.run(  # noqa: S603
                    command, env=variables(template), stdout=out, stderr=subprocess.STDOUT, check=False
                ).returncode
            if code or not (template / DATABASE).exists():
                raise InstallError(f"Label Studio could not migrate a new database:\n{_tail(log)}")
            done.write_text(VERSION, encoding="utf-8")
    return template / DATABASE


def variables(data_dir: Path) -> dict[str, str]:
    """Environment variables of a Label Studio that keeps its data in a directory and talks to nobody outside."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _READ_UNPREFIXED and not name.startswith(("LABEL_STUDIO_", "PYTHONPATH", "DJANGO_", "PRELABEL_"))
    }
    return kept | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data_dir.resolve()),
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LOG_LEVEL": "WARNING",
        "PYTHONUNBUFFERED": "1",
    }


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process at a time installs or migrates."""
    with path.open("w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _tail(log: Path, lines: int = 12) -> str:
    return "\n".join([*log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:], f"(all of it: {log})"])


if __name__ == "__main__":
    try:
        install(Path(sys.argv[1]))
        make_template(Path(sys.argv[1]), Path(sys.argv[2]))
    except InstallError as error:
        sys.exit(str(error))
