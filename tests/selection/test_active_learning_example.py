"""The proof in examples/ runs as its first lines say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "active_learning.py"


def test_one_seed_prints_a_table_and_draws_the_plot(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    pytest.importorskip("matplotlib")
    plot = tmp_path / "plot.png"
    command = [sys.executable, str(SCRIPT), "--seeds", "1", "--dataset", "textures", "--plot", str(plot)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "| `margin` |" in said
    assert "The mix's report over all seeds: The strategies find more errors than chance" in said
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_without_npm_the_script_says_what_to_do(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--seeds", "1", "--dataset", "emails", "--cache", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "apt-get install npm" in done.stderr
