"""Where a run of a served model came from: wrapper, prelabel, Python, artifact checksum, commit, first job.

It is found out in a thread of its own beside the server or worker, after the model has begun to load, and written into
``model_runs.provenance`` only where it changed. Nothing waits for it, and nothing fails because of it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from prelabel.artifacts import CARD
from prelabel.beside import beside
from prelabel.loader import DIGEST, name_of
from prelabel.runs.models import Models
from prelabel.runs.store import Store
from prelabel.runs.tables import jobs

if TYPE_CHECKING:
    from prelabel.model import ModelWrapper
    from prelabel.predictor import Predictor
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

SHA = "sha256:"
GIT_S = 5.0
"""How long ``git`` may take for each of two questions."""
READY_S = 0.5
"""Pause between two looks whether the model is loaded."""
LOOK_S = 15.0
"""Pause between two looks for the run's first job."""


@contextmanager
def recorded(store: Store, predictor: Predictor, settings: Settings) -> Iterator[None]:
    """While inside, a thread finds out and writes down where the predictor's run came from.

    Args:
        store: the ledger, or the registry; the run must be in it.
        predictor: of a predictor without a ``wrapper`` (a server's, asked from afar) only the first job is written.
        settings: which model it is.
    """
    with beside("provenance", partial(_watch, Models(store.database), predictor, settings)):
        yield


def _watch(models: Models, predictor: Predictor, settings: Settings, stop: threading.Event) -> None:
    """Write what is known at once, the checksum when the model is loaded, the first job when there is one."""
    try:
        version = predictor.model_version
        wrapper: ModelWrapper | None = getattr(predictor, "wrapper", None)
        if wrapper is not None:
            record(models, version, origin(wrapper, settings))
            # not beside the loading: two threads that import the same libraries may get in each other's way
            while not predictor.ready and getattr(predictor, "load_error", None) is None:
                if stop.wait(READY_S):
                    return
            found = checksum(wrapper, settings, version, known=models.run(version).provenance.get("artifact"))
            record(models, version, {"artifact": found} if found is not None else {})
        while not _record_job(models, version):
            if stop.wait(LOOK_S):
                _record_job(models, version)  # a worker in burst mode is done before the second look
                return
    except Exception:  # user's code, git, a database that is away: provenance is never worth a failure
        logger.debug("could not write down where the run came from", exc_info=True)


def record(models: Models, version: str, known: dict[str, Any]) -> bool:
    """Merge into a run's provenance; whether that changed anything.

    Raises:
        NotFoundError: there is no such run.
    """
    run = models.run(version)
    changed = {name: value for name, value in known.items() if run.provenance.get(name) != value}
    if changed:
        models.change_run(run.id, provenance=changed)
    return bool(changed)


def _record_job(models: Models, version: str) -> bool:
    """Write down the run's first job; whether it is known now."""
    run = models.run(version)
    if "job" in run.provenance:
        return True
    query = select(jobs.c.id).where(jobs.c.run_id == run.id).order_by(jobs.c.created_at, jobs.c.id).limit(1)
    with models.database.read() as db:
        first = db.execute(query).scalar()
    return first is not None and record(models, version, {"job": first})


def origin(wrapper: ModelWrapper, settings: Settings) -> dict[str, Any]:
    """Where a model came from, without secrets and without paths of this machine.

    Returns:
        ``wrapper``: a name, a dotted path, or a file's name and what was taken from it. ``version``: the wrapper's own,
        where it has one. ``prelabel`` and ``python``: versions. ``code``: see `commit`, where there is one.
    """
    from prelabel import __version__  # noqa: PLC0415 (the package is whole by then)

    found: dict[str, Any] = {
        "wrapper": re.split(r"[/\\]", settings.model.strip())[-1] if settings.model else name_of(wrapper),
        "prelabel": __version__,
        "python": platform.python_version(),
    }
    if wrapper.version:
        found["version"] = str(wrapper.version)
    file = _file(wrapper, settings.model)
    code = commit(file) if file is not None else None
    return found | ({"code": code} if code is not None else {})


def checksum(wrapper: ModelWrapper, settings: Settings, version: str, *, known: str | None = None) -> str | None:
    """``sha256:`` and the digest of `ModelWrapper.fingerprint`, whose first eight digits end a version made of it; of a
    trained version, that of its files.

    Args:
        wrapper: the model.
        settings: whether its version was given.
        version: its version.
        known: what the run has already: where the version says that it still holds, the weights are not read again.

    Returns:
        None where the fingerprint cannot be taken, or is no longer the one that the version was made of.
    """
    if wrapper.artifact is not None:
        return _of_card(wrapper.artifact)
    digits = "" if settings.model_version or wrapper.version else version[-8:]
    if known is not None and digits and known.startswith(SHA + digits):
        return known
    told = vars(wrapper).get(DIGEST)
    if told is not None and digits and told.startswith(digits):
        return SHA + str(told)
    try:
        digest = hashlib.sha256(wrapper.fingerprint()).hexdigest()
    except Exception:  # user's code
        logger.debug("no checksum", exc_info=True)
        return None
    return SHA + digest if digest.startswith(digits) else None


def _of_card(artifact: Path) -> str | None:
    try:
        found = json.loads((artifact / CARD).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError) as error:
        logger.debug("no checksum: %s", error)
        return None
    return SHA + str(found)


def _file(wrapper: ModelWrapper, target: str | None) -> Path | None:
    """The file that the model is written in."""
    target = (target or "").strip()
    left = target if target.endswith(".py") else target.rpartition(":")[0]
    if left.endswith(".py"):
        return Path(left).expanduser().resolve()
    module = sys.modules.get(left) or sys.modules.get(type(wrapper).__module__)
    path = getattr(module, "__file__", None)
    return Path(path).resolve() if path else None


def commit(file: Path) -> dict[str, Any] | None:
    """``commit`` of the Git repository that has the file, and whether the file has ``changed`` since.

    None where there is no repository or no ``git``, where the file is not in it, or where git takes longer than
    ``GIT_S``.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}

    def git(*arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 (no shell)
            ["git", *arguments],  # noqa: S607 (the git that people have)
            cwd=file.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GIT_S,
            check=True,
        )
        return done.stdout.strip()

    try:
        state = git("status", "--porcelain", "--untracked-files=all", "--ignored", "--", file.name)
        if state.startswith(("??", "!!")):
            return None
        return {"commit": git("rev-parse", "--verify", "HEAD"), "changed": bool(state)}
    except (OSError, subprocess.SubprocessError, UnicodeError) as error:
        logger.debug("no commit: %s", error)
        return None
