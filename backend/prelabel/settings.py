"""All settings in one table, read once and passed in: command line over environment over default.

Every setting is ``PRELABEL_<NAME>`` in the environment and ``--name`` on the commands that use it. Some keep Label
Studio's own names as well: ``LABEL_STUDIO_URL``, ``LABEL_STUDIO_API_KEY``, ``BASIC_AUTH_USER``, ``BASIC_AUTH_PASS`` and
``LOCAL_FILES_DOCUMENT_ROOT``. Units stand in the names (``_s`` seconds, ``_bytes``). An empty variable is as good as
none, so that a compose file can pass on what may not be set.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as MalformedVariable

from prelabel.errors import SettingsError

WITH_PASSWORDS = ("redis_url", "database_url")
"""Settings whose values are not secret but may hold a password."""

ScorePolicy = Literal["min", "mean", "max", "product", "margin", "entropy"]


ENV_PREFIX = "PRELABEL_"
OTHER_VARIABLES = ("PRELABEL_TEST_", "PRELABEL_DEMO_", "PRELABEL_LABEL_STUDIO_VENV", "PRELABEL_LABEL_STUDIO_TEMPLATE")
"""Beginnings of variables that are not settings: the demo's and the tests' own."""

SECTIONS = {
    "data_dir": "Where things are",
    "host": "Server",
    "model": "Model",
    "slice_tasks": "Queue, worker and push",
    "cache_bytes": "Task data",
    "log_level": "Log",
}
"""The headings of the table, each by its first setting; used by ``--help`` and docs/settings.md."""


def _aliases(name: str, other: str) -> AliasChoices:
    """The names of a setting that Label Studio's own tools know under ``other``; ours comes first."""
    return AliasChoices(env_name(name), other)


def env_name(name: str) -> str:
    """The environment variable of a setting."""
    return ENV_PREFIX + name.upper()


def shown_variable(name: str) -> str:
    """The variable by which people know a setting: the name that Label Studio's tools use, if there is one."""
    aliases = getattr(Settings.model_fields[name].validation_alias, "choices", [])
    return str(aliases[-1]) if aliases else env_name(name)


class Settings(BaseSettings):
    """prelabel's settings. Frozen; construct with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="PRELABEL_", frozen=True, extra="forbid", populate_by_name=True, env_ignore_empty=True
    )

    # -- where things are
    data_dir: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("prelabel"),
        description="Directory of the registry, the embedded Redis, the cache and trained models.",
    )
    redis_url: str | None = Field(None, description="Redis to use; empty: an embedded one in the data directory.")
    database_url: str | None = Field(
        None, description="SQLAlchemy URL of the registry; empty: SQLite in the data directory."
    )
    label_studio_url: str | None = Field(
        None,
        validation_alias=_aliases("label_studio_url", "LABEL_STUDIO_URL"),
        description="Label Studio's address as prelabel reaches it; empty: what /setup brought.",
    )
    label_studio_api_key: SecretStr | None = Field(
        None,
        validation_alias=_aliases("label_studio_api_key", "LABEL_STUDIO_API_KEY"),
        description="Personal access token or legacy token; empty: what /setup brought.",
    )
    public_url: str | None = Field(
        None, description="Address at which Label Studio reaches this server; empty: http://HOST:PORT."
    )
    server_url: str | None = Field(
        None, description="prelabel server that owns the model; empty: a worker loads its own copy."
    )
    api_key: SecretStr | None = Field(
        None, description="Key that `prelabel runs --server` and `Client(URL)` send; empty: the first of api_keys."
    )

    # -- the server
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(9090, ge=0, le=65535, description="Port to listen on.")
    threads: int = Field(64, ge=1, description="Requests answered at the same time.")
    basic_auth_user: str | None = Field(
        None,
        validation_alias=_aliases("basic_auth_user", "BASIC_AUTH_USER"),
        description="User name that Label Studio must send; empty: no authentication.",
    )
    basic_auth_pass: SecretStr | None = Field(
        None,
        validation_alias=_aliases("basic_auth_pass", "BASIC_AUTH_PASS"),
        description="Password that Label Studio must send.",
    )
    api_keys: SecretStr | None = Field(
        None,
        description="Keys for /api/v1, separated by commas; empty: it asks for what everything else asks for.",
    )
    predict_deadline_s: float = Field(
        60.0, gt=0, le=95, description="Longest that /predict takes; what is unfinished then goes to the queue."
    )
    live_tasks: int = Field(
        25, ge=0, description="Largest number of tasks /predict answers itself; larger requests become a job."
    )
    single_flight_s: float = Field(
        5.0, ge=0, description="How long after an answer the same task is answered with [] instead of a second copy."
    )
    drain_s: float = Field(30.0, ge=0, description="Longest that a stopping server or worker finishes what it began.")
    max_request_bytes: int = Field(512 * 2**20, ge=1, description="Largest request body accepted.")

    # -- the model
    model: str | None = Field(None, description="Wrapper name, file.py:function or dotted.path:Class to serve.")
    model_options: dict[str, str] = Field(
        default_factory=dict, description="Options of the model, as JSON; `-o key=value` on the command line."
    )
    model_name: str | None = Field(None, description="First part of the model version; empty: the wrapper's name.")
    model_version: str | None = Field(None, description="Model version to report; empty: made from the model itself.")
    shadow: bool = Field(False, description="Predict without being shown, until the version is promoted.")
    max_batch_size: int = Field(32, ge=1, description="Most items in one call of the model.")
    batch_wait_s: float = Field(
        0.005, ge=0, description="Longest that a micro-batch waits for company while others are on their way."
    )
    max_queued_items: int = Field(20_000, ge=1, description="Items waiting for the model before requests are refused.")
    encodings_bytes: int = Field(
        512 * 2**20, ge=0, description="Memory for what an interactive model made of the tasks that people have open."
    )
    score: ScorePolicy = Field("min", description="How the regions' scores become the prediction's score.")
    label_map: dict[str, str] = Field(
        default_factory=dict, description="The model's label to the labeling config's label, as JSON."
    )

    # -- queue, worker, push
    slice_tasks: int = Field(500, ge=1, description="Tasks in one predict job.")
    page_tasks: int = Field(1000, ge=1, description="Tasks read from Label Studio in one call.")
    workers: int = Field(1, ge=1, description="Worker processes that `up` and `worker` start.")
    push_chunk: int = Field(5000, ge=1, description="Most predictions in one bulk import.")
    push_wait_s: float = Field(
        2.0, ge=0, description="Longest that a small chunk waits for more while predictions are being made."
    )
    push_timeout_s: float = Field(300.0, gt=0, description="Longest wait for Label Studio's answer to a bulk import.")
    settle_s: float = Field(
        120.0, ge=0, description="How long a doubtful bulk import is watched before it counts as not stored."
    )
    sweep_interval_s: int = Field(300, ge=1, description="Seconds between two sweeps for tasks no webhook announced.")
    worker_ttl_s: int = Field(
        30, ge=2, description="Seconds without a sign of life after which what a worker had in hand is another's."
    )
    job_retries: int = Field(5, ge=0, description="Retries of a job whose failure may pass.")
    train_after: int = Field(
        0, ge=0, description="New annotations after which a project's model is trained by itself; 0: never."
    )
    train_predict: Literal["nothing", "unlabeled", "all"] = Field(
        "unlabeled", description="Tasks that a newly trained version predicts: nothing, unlabeled or all."
    )
    auto_predict: bool = Field(True, description="Predict imported tasks without being asked.")

    # -- data
    cache_bytes: int = Field(2 * 2**30, ge=0, description="Size of the disk cache of fetched files.")
    fetch_threads: int = Field(8, ge=1, description="Files fetched and decoded at the same time.")
    fetch_timeout_s: float = Field(30.0, gt=0, description="Longest that fetching one file may take.")
    fetch_max_bytes: int = Field(512 * 2**20, ge=1, description="Largest file fetched.")
    allow_private_addresses: bool = Field(
        False, description="Fetch task data from private and loopback addresses (Label Studio's own is always allowed)."
    )
    local_files_root: Path | None = Field(
        None,
        validation_alias=_aliases("local_files_root", "LOCAL_FILES_DOCUMENT_ROOT"),
        description="Directory that Label Studio's local-files storage serves; files are read from it directly.",
    )

    # -- log
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_json: bool = Field(False, description="One JSON object per log line.")

    @field_validator("label_studio_url", "public_url", "server_url")
    @classmethod
    def _with_a_scheme(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("an address begins with http:// or https://")
        return url

    @field_validator("redis_url")
    @classmethod
    def _of_redis(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("a Redis address begins with redis://, rediss:// or unix://")
        return url

    @field_validator("api_keys")
    @classmethod
    def _of_plain_signs(cls, keys: SecretStr | None) -> SecretStr | None:
        for key in keys.get_secret_value().split(",") if keys is not None else ():
            if not re.fullmatch(r"[!-+\--~]+", key.strip()):
                raise ValueError("each key is one or more ASCII signs without spaces, and commas stand between keys")
        return keys

    @model_validator(mode="after")
    def _user_and_password_together(self) -> Settings:
        if (self.basic_auth_user is None) != (self.basic_auth_pass is None):
            given, missing = ("user", "pass") if self.basic_auth_user is not None else ("pass", "user")
            raise ValueError(f"basic_auth_{given} is set but basic_auth_{missing} is not")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """The API keys; a worker sends the first one."""
        if self.api_keys is None:
            return ()
        return tuple(key.strip() for key in self.api_keys.get_secret_value().split(","))

    @property
    def effective_public_url(self) -> str:
        """Address that `connect` registers in Label Studio."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 (compared, not bound)
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")

    @property
    def effective_database_url(self) -> str:
        """SQLAlchemy URL of the registry."""
        return self.database_url or f"sqlite:///{self.data_dir / 'prelabel.sqlite3'}"


def load_settings(**overrides: Any) -> Settings:
    """Settings from keyword arguments (None means: not given), then the environment, then the defaults.

    Raises:
        SettingsError: a value is malformed; the message names the setting, the value and what is allowed.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except MalformedVariable as error:
        name = next((field for field in Settings.model_fields if f'"{field}"' in str(error)), "label_map")
        raise SettingsError(
            f"setting {name}: what {env_name(name)} holds is not JSON.",
            hint=f"""Write an object, for instance {env_name(name)}='{{"a": "b"}}'.""",
        ) from error
    except ValidationError as error:
        raise SettingsError(_explain(error), hint="See docs/settings.md or the command's --help.") from error


def _explain(error: ValidationError) -> str:
    """The first thing wrong, in one sentence, without the values of secrets."""
    first = error.errors()[0]
    says = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"settings: {says}."
    name = str(first["loc"][0])
    for known, field in Settings.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices) and name in alias.choices:
            name = known
    value = first.get("input")
    shown = (
        f" (got {value!r})"
        if name in Settings.model_fields and not is_secret(name) and name not in WITH_PASSWORDS
        else ""
    )
    return f"setting {name}: {says[0].lower()}{says[1:]}{shown}."


def is_secret(name: str) -> bool:
    """Whether a setting's value must not be shown."""
    return "SecretStr" in str(Settings.model_fields[name].annotation)


def section_of(name: str) -> str:
    """The heading under which a setting stands."""
    heading = ""
    for field in Settings.model_fields:
        heading = SECTIONS.get(field, heading)
        if field == name:
            break
    return heading


def default_text(name: str) -> str:
    """A setting's default as people read it; empty where there is none."""
    if name == "data_dir":
        return "the user's data directory"
    default = Settings.model_fields[name].get_default(call_default_factory=True)
    if default is None or default == {}:
        return ""
    if isinstance(default, bool):
        return "on" if default else "off"
    return str(default)


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables that give a child process the same settings: whatever was set, by whatever means.

    Secrets travel this way and never on a command line.
    """
    variables: dict[str, str] = {}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        if value is None:
            continue
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        variables[env_name(name)] = json.dumps(value) if isinstance(value, (dict, bool)) else str(value)
    return variables


def unknown_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that look like settings but are none, each with the nearest setting's variable (or "")."""
    known = [env_name(name) for name in Settings.model_fields]
    names = (name for name in (os.environ if environ is None else environ) if name.startswith(ENV_PREFIX))
    return {
        name: next(iter(difflib.get_close_matches(name, known, n=1)), "")
        for name in names
        if name not in known and not name.startswith(OTHER_VARIABLES)
    }
