"""Settings come from the command line, then the environment, then the table's defaults; and explain themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from prelabel.errors import SettingsError
from prelabel.settings import (
    SECTIONS,
    Settings,
    default_text,
    env_name,
    environment_of,
    is_secret,
    load_settings,
    section_of,
    unknown_variables,
)

NAMES = list(Settings.model_fields)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(env_name(name), raising=False)
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY", "BASIC_AUTH_USER", "BASIC_AUTH_PASS"):
        monkeypatch.delenv(name, raising=False)


def test_what_is_given_wins_over_the_environment_which_wins_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().port == 9090
    monkeypatch.setenv("PRELABEL_PORT", "9191")
    assert load_settings().port == 9191
    assert load_settings(port=9292).port == 9292
    assert load_settings(port=None).port == 9191


@pytest.mark.parametrize(
    ("setting", "theirs", "value"),
    [
        ("label_studio_url", "LABEL_STUDIO_URL", "http://ls"),
        ("local_files_root", "LOCAL_FILES_DOCUMENT_ROOT", "/srv/files"),
    ],
)
def test_label_studios_own_names_work_and_ours_win(
    monkeypatch: pytest.MonkeyPatch, setting: str, theirs: str, value: str
) -> None:
    monkeypatch.setenv(theirs, value)
    assert str(getattr(load_settings(), setting)) == value
    monkeypatch.setenv(env_name(setting), value + "-ours")
    assert str(getattr(load_settings(), setting)) == value + "-ours"
    assert str(getattr(load_settings(**{setting: value + "-given"}), setting)) == value + "-given"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "")
    monkeypatch.setenv("PRELABEL_LABEL_MAP", "")
    monkeypatch.setenv("BASIC_AUTH_USER", "")
    monkeypatch.setenv("BASIC_AUTH_PASS", "")
    settings = load_settings()
    assert settings.label_studio_api_key is None
    assert settings.label_map == {}
    assert settings.basic_auth_user is None


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("PRELABEL_PORT", "nine", "setting port: input should be a valid integer"),
        ("PRELABEL_PORT", "70000", "setting port: input should be less than or equal to 65535 (got '70000')"),
        ("PRELABEL_SCORE", "best", "setting score: input should be 'min', 'mean'"),
        ("PRELABEL_LABEL_MAP", "{pos", "setting label_map: what PRELABEL_LABEL_MAP holds is not JSON"),
        ("BASIC_AUTH_USER", "bob", "basic_auth_user is set but basic_auth_pass is not"),
        ("BASIC_AUTH_PASS", "x", "basic_auth_pass is set but basic_auth_user is not"),
    ],
)
def test_a_malformed_setting_is_named_with_its_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert sentence in raised.value.message
    assert raised.value.hint


def test_a_secret_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "very-secret")
    settings = load_settings(basic_auth_user="bob", basic_auth_pass="also-secret")
    assert "secret" not in repr(settings)
    with pytest.raises(SettingsError) as raised:
        load_settings(basic_auth_pass=["not", "a", "very-secret"])
    assert "secret" not in str(raised.value)
    assert {name for name in NAMES if is_secret(name)} == {
        "label_studio_api_key", "basic_auth_pass", "api_keys", "api_key",
    }  # fmt: skip


def test_a_child_process_gets_the_same_settings_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given = load_settings(
        model="m.py:f",
        model_options={"threshold": "0.5"},
        basic_auth_user="bob",
        basic_auth_pass="pw",
        auto_predict=False,
        label_map={"pos": "Positive"},
        data_dir=Path("/tmp/somewhere"),
        label_studio_url="http://ls",
        batch_wait_s=0.25,
    )
    for name, value in environment_of(given).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == given


def test_settings_cannot_be_changed_and_unknown_ones_are_refused() -> None:
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1
    with pytest.raises(SettingsError, match="prot"):
        load_settings(prot=1)


def test_a_misspelt_variable_is_found() -> None:
    environment = {"PRELABEL_PROT": "1", "PRELABEL_PORT": "2", "PRELABEL_TEST_LABEL_STUDIO": "x", "HOME": "/"}
    assert unknown_variables(environment) == {"PRELABEL_PROT": "PRELABEL_PORT"}


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_says_what_it_does_in_one_sentence_and_stands_under_a_heading(name: str) -> None:
    description = Settings.model_fields[name].description or ""
    assert description[0].isupper() or description.startswith("prelabel")
    assert description.endswith(".")
    assert section_of(name) in SECTIONS.values()
    assert "\n" not in default_text(name)


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "http://127.0.0.1:9090"), ("0.0.0.0", "http://127.0.0.1:9090")]
)
def test_the_address_that_label_studio_gets_is_one_that_can_be_called(host: str, url: str) -> None:
    assert load_settings(host=host).effective_public_url == url
    assert load_settings(host=host, public_url="https://x/").effective_public_url == "https://x"
