"""A wrapper's options are declared once: help and documentation say what its constructor takes."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Literal

import pytest
from click.testing import CliRunner

from prelabel.cli import cli
from prelabel.cli.reference import RATIOS
from prelabel.cli.wrapper_options import declared, option_table, wrapper_class
from prelabel.loader import BUILT_IN
from prelabel_wrappers.catalog import CATALOG


class Base:
    """A wrapper.

    Args:
        model: path of
            the file.
        share: how much, ``0.5`` or so.
    """

    def __init__(self, model: Path, *, share: float = 0.5, names: list[str] | None = None) -> None: ...


class Derived(Base):
    """More of it.

    Args:
        how: ``fast`` | ``slow``.
    """

    def __init__(self, model: Path, *, share: float = 1 / 3, how: Literal["fast", "slow"] = "fast") -> None: ...


def test_options_are_read_from_signature_and_docstring() -> None:
    model, share, names = declared(Base)
    assert (model.name, model.kind, model.needed, model.help) == ("model", "path", True, "path of the file.")
    assert (share.kind, share.default, share.needed) == ("number", "0.5", False)
    assert (names.kind, names.default, names.help) == ("comma-separated text", "", "")


def test_what_a_base_class_says_of_an_option_holds_for_its_heirs() -> None:
    assert [option.help for option in declared(Derived)][:2] == ["path of the file.", "how much, ``0.5`` or so."]


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_option_of_every_wrapper_is_explained(name: str) -> None:
    options = declared(wrapper_class(name))
    assert [option.name for option in options] == list(inspect.signature(wrapper_class(name)).parameters)
    assert [option.name for option in options if not option.help] == []


def test_a_table_has_a_row_for_each_option() -> None:
    table = option_table("vad")
    assert "| `threshold` | number from 0 to 1 | `0.5` | probability from which a frame counts. |" in table


@pytest.mark.parametrize("command", ["serve", "up"])
@pytest.mark.parametrize("name", sorted(CATALOG))
def test_help_with_a_wrappers_name_shows_its_options_with_defaults(command: str, name: str) -> None:
    shown = CliRunner().invoke(cli, [command, name, "--help"], terminal_width=200).output
    assert f"Options of {name}, as -o KEY=VALUE" in shown
    for option in declared(wrapper_class(name)):
        assert f"  {option.name}=" in shown
    assert "--port" in shown


def test_help_without_a_name_is_as_ever() -> None:
    shown = CliRunner().invoke(cli, ["serve", "--help"]).output
    assert "KEY=VALUE" in shown
    assert "Options of" not in shown


def test_every_wrapper_is_in_the_catalogue() -> None:
    assert set(CATALOG) == set(BUILT_IN)


def test_every_wrapper_is_measured() -> None:
    assert set(json.loads((Path(__file__).resolve().parents[2] / RATIOS).read_text(encoding="utf-8"))) == set(CATALOG)
