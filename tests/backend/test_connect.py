"""`prelabel connect` registers the backend in a real Label Studio, once, with a webhook that gets through."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from prelabel.connect import Connected, ConnectError, connect, explain, label_studio_for
from prelabel.errors import LabelStudioError, SettingsError
from prelabel.labelstudio import LabelStudio
from prelabel.server.auth import WEBHOOK_HEADER, webhook_token
from prelabel.settings import Settings, load_settings

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

OTHER_LABELS = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">'
    '<Choice value="Sport"/><Choice value="Politics"/></Choices></View>'
)


@pytest.fixture
def client(label_studio: LabelStudioServer) -> Iterator[LabelStudio]:
    with contextlib.closing(LabelStudio(label_studio.url, label_studio.token)) as studio:
        yield studio


def hooks(client: LabelStudio, project: int) -> list[dict[str, Any]]:
    return [hook for hook in client.webhooks(project) if hook["project"] == project]


@pytest.mark.labelstudio
def test_connecting_registers_the_backend_with_a_webhook_and_doing_it_again_changes_nothing(
    client: LabelStudio, project: Any, backend: Any
) -> None:
    here, ours = project(), backend()
    first = connect(ours.settings, client, here.id)
    again = connect(ours.settings, client, here.id)
    assert (first.created, again.created) == (True, False)
    assert first.model_version.startswith("model0-")
    assert (first.backend, first.webhook, first.warning) == (again.backend, again.webhook, "")
    assert [one["url"] for one in client.backends(here.id)] == [ours.url]
    assert [hook["url"] for hook in hooks(client, here.id)] == [f"{ours.url}/webhook"]


@pytest.mark.labelstudio
def test_user_and_password_go_into_label_studio_and_the_webhook_gets_our_header(
    client: LabelStudio, project: Any, backend: Any
) -> None:
    here, ours = project(), backend(basic_auth_user="bob", basic_auth_pass="secret")
    done = connect(ours.settings, client, here.id)
    (hook,) = hooks(client, here.id)
    assert hook["id"] == done.webhook
    assert hook["headers"] == {WEBHOOK_HEADER: webhook_token(ours.settings)}
    assert client.backends(here.id)[0]["basic_auth_user"] == "bob"


@pytest.mark.labelstudio
def test_a_changed_password_replaces_the_registration_and_keeps_one(
    client: LabelStudio, project: Any, backend: Any
) -> None:
    here, before = project(), backend(basic_auth_user="bob", basic_auth_pass="old")
    connect(before.settings, client, here.id)
    before.end()
    after = backend(basic_auth_user="bob", basic_auth_pass="new", port=before.settings.port)
    done = connect(after.settings, client, here.id)
    assert done.created
    (registered,) = client.backends(here.id)
    assert registered["state"] == "CO"
    (hook,) = hooks(client, here.id)
    assert hook["headers"][WEBHOOK_HEADER] == webhook_token(after.settings)


@pytest.mark.labelstudio
def test_surplus_registrations_and_webhooks_go_and_a_missing_webhook_comes(
    client: LabelStudio, project: Any, backend: Any
) -> None:
    here, ours = project(), backend()
    for _ in range(2):
        here.connect(ours.url)
    body = {"project": here.id, "url": f"{ours.url}/webhook", "send_payload": True, "send_for_all_actions": True}
    client.write("POST", "api/webhooks/", json=body)
    connect(ours.settings, client, here.id)
    assert len(client.backends(here.id)) == 1
    (hook,) = hooks(client, here.id)
    client.write("DELETE", f"api/webhooks/{hook['id']}/")
    connect(ours.settings, client, here.id)
    assert [hook["url"] for hook in hooks(client, here.id)] == [f"{ours.url}/webhook"]


@pytest.mark.labelstudio
def test_a_labeling_config_that_does_not_fit_is_refused_with_the_models_own_sentence(
    client: LabelStudio, project: Any, backend: Any
) -> None:
    here, ours = project(OTHER_LABELS), backend()
    with pytest.raises(ConnectError) as raised:
        connect(ours.settings, client, here.id)
    assert "do not go together" in raised.value.message
    assert "Positive" in raised.value.message
    assert "Sport" in raised.value.message
    assert client.backends(here.id) == []


@pytest.mark.labelstudio
def test_a_server_that_label_studio_cannot_reach_is_said_so(client: LabelStudio, project: Any, backend: Any) -> None:
    here, ours = project(), backend()
    ours.end()
    with pytest.raises(ConnectError) as raised:
        connect(ours.settings, client, here.id)
    assert raised.value.message == f"Label Studio cannot reach {ours.url}."
    assert "--public-url" in raised.value.hint


@pytest.mark.labelstudio
def test_a_wrong_password_is_said_so(client: LabelStudio, project: Any, backend: Any) -> None:
    here, ours = project(), backend(basic_auth_user="bob", basic_auth_pass="right")
    wrong = load_settings(port=ours.settings.port, basic_auth_user="bob", basic_auth_pass="wrong")
    with pytest.raises(ConnectError) as raised:
        connect(wrong, client, here.id)
    assert "another user and password" in raised.value.message


@pytest.mark.labelstudio
def test_a_project_that_does_not_exist_is_an_error(client: LabelStudio, backend: Any) -> None:
    with pytest.raises(LabelStudioError) as raised:
        connect(backend().settings, client, 999_999)
    assert raised.value.http_status == 404


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (
            "Label Studio refused POST api/ml (403): URL resolves to a reserved network address (block: 127.0.0.0/8)",
            "refuses backends on private addresses",
            "ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false (both)",
        ),
        ("Validation error Can't connect to ML backend http://x, health check failed.", "cannot reach", "--public-url"),
        ("something else entirely", "something else entirely", ""),
    ],
)
def test_label_studios_refusals_are_explained(said: str, message: str, hint: str) -> None:
    explained = explain(LabelStudioError(said, http_status=400), "http://x")
    assert message in explained.message
    assert hint in explained.hint
    assert explained.http_status == 400


def test_without_an_address_or_a_key_the_hint_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY", "PRELABEL_LABEL_STUDIO_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="LABEL_STUDIO_URL"):
        label_studio_for(load_settings())
    with pytest.raises(SettingsError, match="LABEL_STUDIO_API_KEY"):
        label_studio_for(load_settings(label_studio_url="http://127.0.0.1:1"))


@pytest.mark.labelstudio
def test_the_command_says_what_it_did(
    label_studio: LabelStudioServer, project: Any, backend: Any, run_prelabel: Any
) -> None:
    here, ours = project(title="Reviews"), backend()
    environment = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.token}
    arguments = ("connect", "--project", str(here.id), "--port", str(ours.settings.port))
    first, again = run_prelabel(*arguments, env=environment), run_prelabel(*arguments, env=environment)
    assert first.returncode == again.returncode == 0, first.stderr
    assert f"is connected now to project {here.id} (Reviews)" in first.stdout
    assert "was connected already" in again.stdout
    ours.end()
    failed = run_prelabel(*arguments, env=environment)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"Error: Label Studio cannot reach {ours.url}.\n  Fix: ")


def test_settings_and_result_are_small_frozen_things() -> None:
    assert Settings.model_config["frozen"]
    with pytest.raises(AttributeError):
        Connected(1, "t", "u", 2, "v", created=True, webhook=None).url = "x"  # type: ignore[misc]
