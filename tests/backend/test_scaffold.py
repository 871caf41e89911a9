"""`prelabel init` writes a starting point that works as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prelabel.errors import RequestError
from prelabel.scaffold import KINDS, init


@pytest.mark.parametrize("kind", KINDS)
def test_a_starting_points_own_tests_pass(kind: str, tmp_path: Path) -> None:
    written = init(tmp_path / "mine", kind)
    assert all(path.is_file() for path in written)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path / "mine",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_nothing_is_overwritten_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("mine")
    with pytest.raises(RequestError, match=r"already has model\.py"):
        init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.py"]
    init(tmp_path, force=True)
    assert "def predict" in (tmp_path / "model.py").read_text()


def test_an_unknown_kind_is_an_error_that_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="text, image, audio"):
        init(tmp_path, "smell")
