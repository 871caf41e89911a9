"""The options of ready-made wrappers, read from where they are declared: signature and docstring of the class.

`prelabel.options.bind` checks what is given against the same signature, ``prelabel serve NAME --help`` and
docs/wrappers.md show what is found here.
"""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

import click

from prelabel.cli.options import SettingsCommand
from prelabel.loader import BUILT_IN, ENTRY_POINTS, names
from prelabel.options import shown

_ENTRY = re.compile(r"^ {4}(?P<name>\w+): (?P<text>.*)$")


@dataclass(frozen=True, slots=True)
class DeclaredOption:
    """One option: its name, what it must be, its default as text (empty: none), whether it must be given; its help."""

    name: str
    kind: str
    default: str
    needed: bool
    help: str


def wrapper_class(name: str) -> type[Any]:
    """The class behind a wrapper's name; its framework is not imported."""
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        found: type[Any] = entry.load()
        return found
    path, _, attribute = BUILT_IN[name].partition(":")
    built_in: type[Any] = getattr(importlib.import_module(path), attribute)
    return built_in


def declared(wrapper: type[Any]) -> list[DeclaredOption]:
    """The options of a wrapper's class, in the order of its signature."""
    helps: dict[str, str] = {}
    for base in reversed(wrapper.__mro__):
        helps |= _helps(base.__doc__ or "")
    kinds = {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    parameters = [one for one in inspect.signature(wrapper).parameters.values() if one.kind in kinds]
    try:
        types = typing.get_type_hints(wrapper.__init__, include_extras=True)
    except (NameError, TypeError, AttributeError):
        types = {}
    return [
        DeclaredOption(
            one.name,
            shown(types.get(one.name, Any)),
            "" if one.default in (None, one.empty) else _spelled(one.default),
            one.default is one.empty,
            helps.get(one.name, ""),
        )
        for one in parameters
    ]


def _spelled(default: Any) -> str:
    """A default as it is written after ``-o name=``."""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:g}"
    if isinstance(default, list | tuple | set | frozenset):
        return ",".join(map(_spelled, default))
    return str(getattr(default, "value", default))


def _helps(doc: str) -> dict[str, str]:
    """What a docstring's ``Args:`` says of each parameter, as one line."""
    lines = inspect.cleandoc(doc).partition("\nArgs:\n")[2].splitlines()
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        entry = _ENTRY.match(line)
        if entry:
            name = entry["name"]
            found[name] = [entry["text"]]
        elif line.startswith(" " * 8) and name:
            found[name].append(line.strip())
        elif line.strip():
            break
    return {name: " ".join(parts) for name, parts in found.items()}


def option_table(name: str) -> str:
    """A wrapper's options as a table in Markdown."""
    rows = ["| option | is | default | meaning |", "|---|---|---|---|"]
    for option in declared(wrapper_class(name)):
        default = "needed" if option.needed else f"`{option.default}`" if option.default else ""
        meaning = option.help.replace("``", "`")
        cells = (f"`{option.name}`", option.kind, default, meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


class ModelCommand(SettingsCommand):
    """A command whose ``--help`` also shows the options of the ready-made wrapper that is named on its line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember which wrapper is named, before ``--help`` answers."""
        known = names()
        ctx.meta["prelabel.wrapper"] = next((each for each in args if each in known), None)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The wrapper's options, then the command's."""
        name = ctx.meta.get("prelabel.wrapper")
        if name is not None:
            wrapper = wrapper_class(name)
            about = inspect.cleandoc(wrapper.__doc__ or "").partition("\n\n")[0]
            with formatter.section(f"Options of {name}, as -o KEY=VALUE"):
                formatter.write_text(_bare(" ".join(about.split())))
                formatter.write_paragraph()
                formatter.write_dl([(f"{each.name}=", _facts(each)) for each in declared(wrapper)])
        super().format_options(ctx, formatter)


def _facts(option: DeclaredOption) -> str:
    facts = [option.kind, "needed" if option.needed else f"default: {option.default}" if option.default else ""]
    return f"{_bare(option.help)}  [{'; '.join(fact for fact in facts if fact)}]".strip()


def _bare(text: str) -> str:
    """Text without the marks of code."""
    return text.replace("`", "")
