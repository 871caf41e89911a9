"""Command-line options made from the table of settings: name, type, default and help stand there once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from prelabel.settings import Settings, default_text, load_settings, section_of, shown_variable

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

LOG = ("log_level", "log_json")
STORES = ("data_dir", "redis_url", "database_url")
LABEL_STUDIO = ("label_studio_url", "label_studio_api_key")
BASIC_AUTH = ("basic_auth_user", "basic_auth_pass")
MODEL = (
    "model_name",
    "model_version",
    "shadow",
    "max_batch_size",
    "batch_wait_s",
    "max_queued_items",
    "encodings_bytes",
    "score",
    "label_map",
)
DATA = (
    "cache_bytes",
    "fetch_threads",
    "fetch_timeout_s",
    "fetch_max_bytes",
    "allow_private_addresses",
    "local_files_root",
)
PUSH = ("push_chunk", "push_wait_s", "push_timeout_s", "settle_s")
"""Groups of settings that several commands use."""


class SettingOption(click.Option):
    """An option that stands for a setting; its value is None where it was not given on the command line."""

    def __init__(self, name: str, field: FieldInfo) -> None:
        self.setting = name
        flag = "--" + name.replace("_", "-")
        kind = _click_type(field)
        if kind is bool:
            super().__init__([f"{flag}/--no-{flag[2:]}", name], default=None, help=_help(name, field))
        else:
            super().__init__([flag, name], type=kind, metavar=_metavar(kind), default=None, help=_help(name, field))


def _help(name: str, field: FieldInfo) -> str:
    facts = [f"env: {shown_variable(name)}"]
    if text := default_text(name):
        facts.append(f"default: {text}")
    return f"{field.description}  [{'; '.join(facts)}]"


def _metavar(kind: Any) -> str | None:
    """What stands for the value in ``--help``; click's own for choices."""
    if isinstance(kind, click.types.IntParamType):
        return "INT"
    if isinstance(kind, click.types.FloatParamType):
        return "NUMBER"
    if kind is json_object:
        return "JSON"
    return None


def _click_type(field: FieldInfo) -> Any:
    """The click type of a field: plain types, choices, paths, and JSON for mappings."""
    annotation: Any = field.annotation
    origin, members = get_origin(annotation), [member for member in get_args(annotation) if member is not type(None)]
    if origin is Literal:
        return click.Choice(members)
    if origin is dict:
        return json_object
    if members:  # ``X | None``
        annotation = members[0]
    if annotation in (int, float):
        return _number(annotation, field)
    return {Path: click.Path(path_type=Path), SecretStr: str}.get(annotation, annotation)


def _number(kind: type, field: FieldInfo) -> Any:
    """A number within the bounds that the field states."""
    bounds: dict[str, Any] = {}
    for bound in field.metadata:
        for attribute, end in (("ge", "min"), ("gt", "min"), ("le", "max"), ("lt", "max")):
            if hasattr(bound, attribute):
                bounds |= {end: getattr(bound, attribute), f"{end}_open": attribute in ("gt", "lt")}
    return click.IntRange(**bounds) if kind is int else click.FloatRange(**bounds)


def json_object(text: str) -> dict[str, str]:
    """A JSON object of strings on the command line, or the path of a file that holds one, after ``@``."""
    try:
        read = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"""{text!r} is not JSON ({error}); write '{{"a": "b"}}' or @file.json.""") from error
    if not isinstance(read, dict) or not all(isinstance(entry, str) for entry in read.values()):
        raise click.BadParameter(f"{text!r} is not a JSON object of strings.")
    return read


class SettingsCommand(click.Command):
    """A command whose ``--help`` shows its own options first and then its settings by heading."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                heading = section_of(param.setting) if isinstance(param, SettingOption) else "Options"
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def settings_options(*names: str) -> Callable[[Decorated], Decorated]:
    """Add an option for each setting named; the command receives them by name and hands them to `settings_from`."""

    def decorate(function: Decorated) -> Decorated:
        order = [name for name in Settings.model_fields if name in {*names, *LOG}]
        for name in reversed(order):
            _add(function, SettingOption(name, Settings.model_fields[name]))
        return function

    return decorate


def _add(function: Any, option: click.Option) -> None:
    """What ``click.option`` does: options wait on the function until ``click.command`` collects them."""
    if not hasattr(function, "__click_params__"):
        function.__click_params__ = []
    function.__click_params__.append(option)


def settings_from(values: Mapping[str, Any], **more: Any) -> Settings:
    """The settings of a command: options given, then the environment, then the defaults.

    Also remembers whether tracebacks are wanted (``--log-level debug``).
    """
    settings = load_settings(**values, **more)
    click.get_current_context().find_root().meta["prelabel.debug"] = settings.log_level == "debug"
    return settings


def model_option(function: Decorated) -> Decorated:
    """``-o key=value``, as often as wanted: options of the model."""
    return click.option(
        "-o",
        "--opt",
        "pairs",
        metavar="KEY=VALUE",
        multiple=True,
        help="An option of the model; may be repeated.  [env: PRELABEL_MODEL_OPTIONS, as JSON]",
    )(function)


def parse_options(pairs: Sequence[str]) -> dict[str, str] | None:
    """``key=value`` pairs to a mapping; None when there are none, so that the environment counts."""
    read: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise click.UsageError(f"-o {pair}: write it as key=value.")
        read[key.strip()] = value
    return read or None
