"""What training left behind: a directory with the model's files, its checksum, and where it came from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel.errors import ModelLoadError
from prelabel.loader import digest_files, model_name

if TYPE_CHECKING:
    from prelabel.model import ModelWrapper
    from prelabel.settings import Settings

CARD = "artifact.json"
"""The file that says what a directory holds."""
UNFINISHED = ".unfinished-"
LEFT_S = 24 * 3600
"""Nobody writes into a directory that was made so long ago."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One trained version.

    ``directory`` is relative to the settings' ``data_dir``; ``sha256`` is over the names and bytes of its files, but
    for the card; ``wrapper`` is the class that wrote them; ``examples`` how many it learnt from; ``trained_at`` seconds
    since 1970; ``before`` the version that it was trained from.
    """

    version: str
    directory: str
    sha256: str
    wrapper: str
    examples: int
    trained_at: float
    before: str

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def place(self, settings: Settings) -> Path:
        """Where its files lie.

        Raises:
            ModelLoadError: they are not there, or not as they were written.
        """
        place = settings.data_dir / self.directory
        if not place.is_dir():
            raise ModelLoadError(
                f"the files of {self.version} are not in {place}.",
                hint="Servers and workers on other machines need the data directory where training ran.",
            )
        if checksum(place) != self.sha256:
            raise ModelLoadError(
                f"the files of {self.version} in {place} are not those that training wrote.",
                hint="Restore them, or let people see another run: `prelabel runs promote RUN`.",
            )
        return place


@contextlib.contextmanager
def unfinished(settings: Settings, name: str) -> Iterator[Path]:
    """A new directory for a model's files, gone again unless `keep` moved it."""
    parent = settings.data_dir / "artifacts" / _file_name(name)
    parent.mkdir(parents=True, exist_ok=True)
    _forget_left(parent)
    place = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=parent))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _forget_left(parent: Path) -> None:
    """Remove what trainings left that were killed while they saved."""
    for left in parent.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_S:
                shutil.rmtree(left, ignore_errors=True)


def keep(
    place: Path, settings: Settings, wrapper: ModelWrapper, *, said: str | None, examples: int, now: float, before: str
) -> Artifact:
    """Make an unfinished directory a version: the one that the model ``said``, else one made from its bytes.

    The same files from the same code are the same version.

    Raises:
        ModelLoadError: the model wrote no file.
    """
    if not any(file.is_file() for file in place.rglob("*")):
        raise ModelLoadError(
            f"{model_name(wrapper, settings)} wrote nothing into its directory.",
            hint="`save(directory)` must write what `load` reads from `self.artifact`.",
        )
    digest = checksum(place)
    mark = hashlib.sha256(wrapper.fingerprint() + digest.encode()).hexdigest()[:8]
    version = said or f"{model_name(wrapper, settings)}-{mark}"
    final = place.parent / f"{_file_name(version)}-{digest[:8]}"
    made = Artifact(
        version=version,
        directory=final.relative_to(settings.data_dir).as_posix(),
        sha256=digest,
        wrapper=type(wrapper).__qualname__,
        examples=examples,
        trained_at=now,
        before=before,
    )
    (place / CARD).write_text(json.dumps(made.as_json(), indent=1), encoding="utf-8")
    if final.exists():
        shutil.rmtree(place)
    else:
        shutil.copymode(place.parent, place)  # a temporary directory is nobody else's
        os.replace(place, final)
    return made


def checksum(place: Path) -> str:
    """Hexadecimal digits over a directory's files, but for the card."""
    files = sorted(file for file in place.rglob("*") if file.is_file() and file.name != CARD)
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(place).as_posix()}\0".encode())
        digest.update(digest_files([file]))
    return digest.hexdigest()


def _file_name(text: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in text)[:100].lstrip(".") or "model"
