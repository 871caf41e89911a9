"""A served model's run says where it came from: wrapper, versions, checksum, commit, first job."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import prelabel
from prelabel import worker
from prelabel.data import DataReader
from prelabel.loader import load_wrapper, model_version
from prelabel.predictor.local import LocalPredictor
from prelabel.runs import Connection, Ledger
from prelabel.runs.models import Models
from prelabel.runs.provenance import checksum, commit, origin, record, recorded
from prelabel.settings import Settings, load_settings
from prelabel.testing.stub import StubPredictor, StubWrapper

MODEL = "def predict(texts: list[str]) -> list[str]:\n    return ['good' for text in texts]\n"
CONFIG = '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="good"/></Choices></View>'


def git(where: Path, *arguments: str) -> str:
    """Runs git as somebody; its answer."""
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", *who, *arguments], cwd=where, check=True, capture_output=True, env=environment)
    return done.stdout.decode().strip()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A model's file, outside of any repository."""
    found = tmp_path / "models" / "my_model.py"
    found.parent.mkdir()
    found.write_text(MODEL)
    return found


@pytest.fixture
def repository(file: Path) -> Path:
    """The model's directory as a Git repository with one commit."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git(file.parent, "init", "-q")
    git(file.parent, "add", "my_model.py")
    git(file.parent, "commit", "-q", "-m", "the model")
    return file.parent


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    found = Ledger.open(settings)
    yield found
    found.close()


def loaded(settings: Settings) -> LocalPredictor:
    assert settings.model is not None
    wrapper = load_wrapper(settings.model)
    predictor = LocalPredictor(wrapper, DataReader(settings, lambda: None), settings)
    assert predictor.wait_ready(60)
    return predictor


def eventually(look: Callable[[], Any]) -> Any:
    until = time.monotonic() + 90
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


# --- what is told
def test_a_file_is_told_by_its_name_alone(file: Path, tmp_path: Path) -> None:
    settings = load_settings(model=f"{file}:predict", data_dir=tmp_path)
    found = origin(load_wrapper(f"{file}:predict"), settings)
    assert found["wrapper"] == "my_model.py:predict"
    assert (found["prelabel"], found["python"]) == (prelabel.__version__, platform.python_version())
    assert str(tmp_path) not in json.dumps(found)


@pytest.mark.parametrize("target", ["sklearn", "prelabel.testing.stub:StubWrapper"])
def test_names_and_dotted_paths_are_told_as_they_are(target: str, tmp_path: Path) -> None:
    found = origin(StubWrapper(), load_settings(model=target, data_dir=tmp_path))
    assert found["wrapper"] == target


def test_options_are_not_told(tmp_path: Path) -> None:
    settings = load_settings(model="m.py", model_options={"token": "a-secret"}, data_dir=tmp_path)
    assert "secret" not in json.dumps(origin(StubWrapper(label="a-secret"), settings))


# --- the checksum
def test_the_checksum_begins_as_the_model_version_ends(file: Path, tmp_path: Path) -> None:
    settings, wrapper = load_settings(model=str(file), data_dir=tmp_path), load_wrapper(str(file))
    version = model_version(wrapper, settings)
    found = checksum(wrapper, settings, version)
    assert found == "sha256:" + hashlib.sha256(wrapper.fingerprint()).hexdigest()
    assert found.removeprefix("sha256:").startswith(version[-8:])


def test_the_checksum_is_of_what_the_version_was_made_of(file: Path, tmp_path: Path) -> None:
    settings, wrapper = load_settings(model=str(file), data_dir=tmp_path), load_wrapper(str(file))
    version = model_version(wrapper, settings)
    before = checksum(wrapper, settings, version)
    file.write_text(MODEL + "\n# changed\n")
    assert checksum(wrapper, settings, version) == before
    assert checksum(load_wrapper(str(file)), settings, version) is None, "another process cannot know it"


def test_the_checksum_of_a_trained_version_is_that_of_its_files(tmp_path: Path) -> None:
    settings, wrapper = load_settings(data_dir=tmp_path), StubWrapper()
    wrapper.artifact = tmp_path
    assert checksum(wrapper, settings, "stub-12345678") is None
    (tmp_path / "artifact.json").write_text(json.dumps({"version": "stub-12345678", "sha256": "abc"}))
    assert checksum(wrapper, settings, "stub-12345678") == "sha256:abc"


def test_a_version_of_ones_own_has_a_checksum_too(file: Path, tmp_path: Path) -> None:
    settings = load_settings(model=str(file), model_version="mine", data_dir=tmp_path)
    wrapper = load_wrapper(str(file))
    before = checksum(wrapper, settings, "mine")
    file.write_text(MODEL + "\n# changed\n")
    after = checksum(wrapper, settings, "mine", known=before)
    assert before is not None
    assert after not in (None, before)


def test_weights_are_not_read_again_where_the_version_says_that_they_are_the_same(tmp_path: Path) -> None:
    class Counting(StubWrapper):
        taken = 0

        def fingerprint(self) -> bytes:
            self.taken += 1
            return b"weights"

    settings, wrapper = load_settings(data_dir=tmp_path), Counting()
    version = model_version(wrapper, settings)
    known = checksum(wrapper, settings, version)
    assert wrapper.taken == 1, "the version was made of it"
    assert checksum(Counting(), settings, version, known=known) == known
    assert wrapper.taken == 1


def test_a_fingerprint_that_fails_is_no_error(tmp_path: Path) -> None:
    class Broken(StubWrapper):
        version = "v1"

        def fingerprint(self) -> bytes:
            raise FileNotFoundError("weights")

    assert checksum(Broken(), load_settings(data_dir=tmp_path), "v1") is None


# --- the commit
def test_a_commit_is_told_and_whether_the_file_changed_since(repository: Path) -> None:
    file, head = repository / "my_model.py", git(repository, "rev-parse", "HEAD")
    assert commit(file) == {"commit": head, "changed": False}
    (repository / "notes.txt").write_text("beside the model")
    assert commit(file) == {"commit": head, "changed": False}
    file.write_text(MODEL + "\n# changed\n")
    assert commit(file) == {"commit": head, "changed": True}


def test_a_file_that_is_not_in_the_repository_has_no_commit(repository: Path) -> None:
    (repository / "other.py").write_text(MODEL)
    assert commit(repository / "other.py") is None
    (repository / ".gitignore").write_text("ignored.py\n")
    (repository / "ignored.py").write_text(MODEL)
    assert commit(repository / "ignored.py") is None


def test_no_repository_is_no_error(file: Path) -> None:
    assert commit(file) is None


def test_the_repository_is_the_files_also_inside_a_git_hook(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert commit(repository / "my_model.py") is not None


def test_no_git_is_no_error(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert commit(repository / "my_model.py") is None


def test_a_git_that_hangs_is_left(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}{os.pathsep}{os.environ['PATH']}")
    assert commit(repository / "my_model.py") is None


# --- the registry
def test_only_what_changed_is_written(ledger: Ledger) -> None:
    ledger.remember_run("v1", "cats")
    models = Models(ledger.database)
    models.change_run(models.run("v1").id, provenance={"ticket": 7})
    assert record(models, "v1", {"python": "3.12"})
    written = models.run("v1").updated_at
    assert not record(models, "v1", {"python": "3.12"})
    assert models.run("v1").updated_at == written
    assert models.run("v1").provenance == {"ticket": 7, "python": "3.12"}


def test_a_served_model_is_recorded_with_its_first_job(ledger: Ledger, settings: Settings, repository: Path) -> None:
    settings = settings.model_copy(update={"model": str(repository / "my_model.py")})
    predictor = loaded(settings)
    version = predictor.model_version
    ledger.remember_run(version, predictor.name)
    connection = ledger.remember_project(Connection("http://ls", 1, CONFIG, model=predictor.name))
    first = ledger.create_job("project", connection, version)
    ledger.create_job("project", connection, version)
    models = Models(ledger.database)
    with recorded(ledger, predictor, settings):
        assert eventually(lambda: "job" in models.run(version).provenance)
    predictor.close()
    found = models.run(version).provenance
    assert found == {
        "wrapper": "my_model.py",
        "prelabel": prelabel.__version__,
        "python": platform.python_version(),
        "artifact": "sha256:" + hashlib.sha256(predictor.wrapper.fingerprint()).hexdigest(),
        "code": {"commit": git(repository, "rev-parse", "HEAD"), "changed": False},
        "job": first,
    }


def test_a_run_that_nobody_wrote_down_and_a_predictor_from_afar_are_no_error(
    ledger: Ledger, settings: Settings
) -> None:
    with recorded(ledger, StubPredictor("unheard-of"), settings):
        pass
    ledger.remember_run("v1", "cats")
    with recorded(ledger, StubPredictor("v1", name="cats"), settings):
        pass
    assert Models(ledger.database).run("v1").provenance == {}


# --- the processes
def test_a_server_writes_down_where_its_model_came_from(
    ledger: Ledger, settings: Settings, repository: Path, redis_url: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PRELABEL_")}
    environment |= {"PRELABEL_DATA_DIR": str(settings.data_dir), "PRELABEL_REDIS_URL": redis_url}
    if settings.database_url is not None:
        environment["PRELABEL_DATABASE_URL"] = str(settings.database_url)
    arguments = [sys.executable, "-m", "prelabel", "serve", "my_model.py:predict", "--host", "127.0.0.1", "--port", "0"]
    log = repository.parent / "serve.log"
    with log.open("wb") as into:
        server = subprocess.Popen(arguments, cwd=repository, env=environment, stdout=into, stderr=into)
    models = Models(ledger.database)
    try:
        assert eventually(lambda: any("artifact" in run.provenance for run in models.runs())), log.read_text()
        assert eventually(lambda: "listening on" in log.read_text()), "before that, SIGTERM ends it without a word"
    finally:
        server.terminate()
        assert server.wait(120) == 0
    (run,) = models.runs()
    assert run.provenance["wrapper"] == "my_model.py:predict"
    assert run.provenance["code"]["commit"] == git(repository, "rev-parse", "HEAD")
    assert run.provenance["artifact"].startswith(f"sha256:{run.name[-8:]}")


def test_a_worker_writes_it_down_too(ledger: Ledger, settings: Settings, file: Path, redis_url: str) -> None:
    settings = settings.model_copy(update={"model": str(file), "redis_url": redis_url})
    worker.run(settings, burst=True)
    (run,) = Models(ledger.database).runs()
    assert run.provenance["wrapper"] == "my_model.py"
    assert str(file.parent) not in json.dumps(dict(run.provenance))
