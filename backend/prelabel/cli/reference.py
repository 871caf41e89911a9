"""The generated parts of README.md and docs: commands, settings, native outputs, wrappers, from their definitions.

``python -m prelabel.cli.reference`` in the repository's root brings the files up to date; a test fails when they are
not. A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from prelabel.adapters.sources import table as native_outputs
from prelabel.cli import COMMANDS, cli
from prelabel.cli.options import SettingOption
from prelabel.cli.wrapper_options import option_table
from prelabel.loader import BUILT_IN
from prelabel.settings import SECTIONS, Settings, default_text, section_of, shown_variable

FILES = ("README.md", "docs/settings.md", "docs/outputs.md", "docs/wrappers.md")
RATIOS = Path("benchmarks/wrappers.json")
"""What benchmarks/wrappers.py measured."""
LIKELY = (
    "label_studio_url",
    "label_studio_api_key",
    "public_url",
    "basic_auth_user",
    "basic_auth_pass",
    "data_dir",
    "redis_url",
    "database_url",
    "workers",
    "max_batch_size",
    "live_tasks",
    "score",
    "label_map",
    "auto_predict",
)
"""What most people set at some time; the README shows these."""
_PART = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _settings(names: list[str]) -> str:
    lines = [_row("setting", "default", "what it does"), "|---|---|---|"]
    for name in names:
        default = default_text(name)
        shown = f"`{default}`" if default and " " not in default else default
        lines.append(_row(f"`{name}`", shown, Settings.model_fields[name].description or ""))
    return "\n".join(lines) + "\n"


def likely_settings() -> str:
    """The README's table."""
    lines = [_row("variable", "default", "what it does"), "|---|---|---|"]
    for name in LIKELY:
        field = Settings.model_fields[name]
        lines.append(_row(f"`{shown_variable(name)}`", default_text(name), field.description or ""))
    return "\n".join(lines) + "\n"


def all_settings() -> str:
    """Every setting, by heading."""
    parts = []
    for heading in SECTIONS.values():
        names = [name for name in Settings.model_fields if section_of(name) == heading]
        parts.append(f"### {heading}\n\n{_settings(names)}")
    return "\n".join(parts)


def commands_table() -> str:
    """Every command with its line."""
    rows = [_row(f"`prelabel {name}`", line) for name, (_, line) in COMMANDS.items()]
    return "\n".join([_row("command", "what it does"), "|---|---|", *rows]) + "\n"


def _each(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for sub, inner in command.commands.items():
            yield f"{name} {sub}", inner


def commands_in_full() -> str:
    """Every command and subcommand: usage, help, own options, and which settings it takes."""
    parts = []
    for name in COMMANDS:
        found = cli.get_command(click.Context(cli), name)
        assert found is not None  # noqa: S101 (our own table)
        parts += [_in_full(title, command) for title, command in _each(name, found)]
    return "\n".join(parts)


def _in_full(title: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"prelabel {title}")
    paragraphs = [" ".join(part.split()) for part in (command.help or "").replace("\b", "").split("\n\n")]
    lines = [
        f"### prelabel {title}",
        "",
        f"`prelabel {title} {' '.join(command.collect_usage_pieces(context))}`",
        "",
        *(line for paragraph in paragraphs for line in (paragraph, "")),
    ]
    options = [param for param in command.params if isinstance(param, click.Option)]
    own = [param for param in options if not isinstance(param, SettingOption)]
    if own:
        lines += [_row("option", "what it does"), "|---|---|"]
        lines += [_row(f"`{', '.join(param.opts)}`", _about(param)) for param in own]
        lines.append("")
    used = [param.setting for param in options if isinstance(param, SettingOption)]
    if used:
        flags = ", ".join(f"`--{name.replace('_', '-')}`" for name in used)
        lines += [f"Settings: {flags}.", ""]
    return "\n".join(lines)


def _about(option: click.Option) -> str:
    """An option's help, and whether it is required or what its default is."""
    said = option.help or ""
    if option.required:
        return f"{said} Required."
    return f"{said} Default: `{option.default}`." if option.show_default else said


def wrappers() -> str:
    """Every wrapper's row; its ratio stands in the file that the benchmark wrote, where it was measured."""
    table: Callable[[Mapping[str, Any]], str] = importlib.import_module("prelabel_wrappers.catalog").table
    return table(json.loads(RATIOS.read_text(encoding="utf-8")) if RATIOS.is_file() else {})


PARTS: dict[str, Callable[[], str]] = {
    "likely-settings": likely_settings,
    "all-settings": all_settings,
    "commands": commands_table,
    "commands-in-full": commands_in_full,
    "native-outputs": native_outputs,
    "wrappers": wrappers,
    **{f"options-{name}": partial(option_table, name) for name in BUILT_IN},
}


def updated(text: str) -> str:
    """A file's text with its generated parts as they should be."""
    return _PART.sub(lambda found: f"{found[1]}\n{PARTS[found['name']]()}\n{found[3]}", text)


def main() -> int:
    """Bring the files up to date; returns how many changed."""
    changed = 0
    for name in FILES:
        path = Path(name)
        text = path.read_text(encoding="utf-8")
        if (new := updated(text)) != text:
            path.write_text(new, encoding="utf-8")
            sys.stdout.write(f"updated {name}\n")
            changed += 1
    return changed


if __name__ == "__main__":
    main()
