"""Basic authentication, API keys, and the header by which our own webhook is known."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import httpx
import pytest
from flask.testing import FlaskClient

from prelabel.errors import AuthError, SettingsError
from prelabel.predictor.remote import RemotePredictor
from prelabel.server import create_app
from prelabel.server.auth import WEBHOOK_HEADER, credentials, webhook_token
from prelabel.settings import Settings, environment_of, load_settings
from prelabel.testing.stub import StubPredictor

EVENT = {"action": "ANNOTATION_CREATED", "project": {"id": 1}}
RECORDED = json.loads((Path(__file__).parents[1] / "recordings/ml/create_basic_auth.json").read_text())


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path, basic_auth_user="bob", basic_auth_pass="dummy-basic-pass")


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    return create_app(settings, StubPredictor()).test_client()


def test_the_credentials_that_label_studio_sends_are_accepted(client: FlaskClient) -> None:
    health, setup, *_ = RECORDED["requests_received_by_backend"]
    for request in (health, setup):
        sent = {"Authorization": request["headers"]["Authorization"]}
        answer = client.open(request["path"], method=request["method"], json=request["body"], headers=sent)
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("bob", "wrong"),
        basic("eve", "dummy-basic-pass"),
        basic("bob", ""),
        {"Authorization": "Basic not base64!"},
        {"Authorization": "Basic"},
        {"Authorization": "Bearer dummy-basic-pass"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()},
        {WEBHOOK_HEADER: "0" * 64},
    ],
)
@pytest.mark.parametrize(
    "path", ["/setup", "/predict", "/webhook", "/versions", "/metrics", "/api/v1/model", "/nothing"]
)
def test_anything_else_is_refused_everywhere(client: FlaskClient, path: str, headers: dict[str, str]) -> None:
    answer = client.post(path, json={}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert "Basic Authentication" in answer.status  # the reason phrase is what Label Studio shows
    assert "error" in answer.get_json()


def test_credentials_may_be_written_differently(client: FlaskClient) -> None:
    encoded = base64.b64encode(b"bob:dummy-basic-pass").decode()
    assert client.get("/versions", headers={"Authorization": f"basic   {encoded}"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/health", "/ready"])
def test_probes_need_no_credentials(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 200


def test_the_webhook_takes_its_own_header_instead(client: FlaskClient, settings: Settings) -> None:
    token = webhook_token(settings)
    assert token is not None
    assert client.post("/webhook", json=EVENT, headers={WEBHOOK_HEADER: token}).status_code == 200
    assert client.post("/webhook", json=EVENT, headers=basic("bob", "dummy-basic-pass")).status_code == 200
    assert client.post("/setup", json={}, headers={WEBHOOK_HEADER: token}).status_code == 401


def test_the_webhooks_header_follows_from_the_password_alone(settings: Settings) -> None:
    assert webhook_token(settings) == hmac.new(b"dummy-basic-pass", b"prelabel webhook", hashlib.sha256).hexdigest()


def test_without_a_password_nothing_is_asked(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    assert webhook_token(settings) is None
    assert create_app(settings, StubPredictor()).test_client().get("/versions").status_code == 200


def test_a_password_with_signs_beyond_ascii_works(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, basic_auth_user="jörg", basic_auth_pass="päss:wörd")
    client = create_app(settings, StubPredictor()).test_client()
    assert client.get("/versions", headers=basic("jörg", "päss:wörd")).status_code == 200
    latin = base64.b64encode("jörg:päss:wörd".encode("latin-1")).decode()  # as Label Studio's requests sends it
    assert client.get("/versions", headers={"Authorization": f"Basic {latin}"}).status_code == 200
    assert client.get("/versions", headers=basic("jörg", "päss")).status_code == 401


# --- API keys
KEYS = "first-key-0123456789, second-key-9876543210"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def keyed(tmp_path: Path) -> FlaskClient:
    """A server with API keys and no password."""
    return create_app(load_settings(data_dir=tmp_path, api_keys=KEYS), StubPredictor()).test_client()


@pytest.fixture
def both(tmp_path: Path) -> FlaskClient:
    """A server with API keys and a password."""
    settings = load_settings(
        data_dir=tmp_path, api_keys=KEYS, basic_auth_user="bob", basic_auth_pass="dummy-basic-pass"
    )
    return create_app(settings, StubPredictor()).test_client()


@pytest.mark.parametrize("key", ["first-key-0123456789", "second-key-9876543210"])
def test_each_key_is_accepted_under_the_api(keyed: FlaskClient, both: FlaskClient, key: str) -> None:
    for client in (keyed, both):
        assert client.get("/api/v1/model", headers=bearer(key)).status_code == 200
        assert client.get("/api/v1/model", headers={"Authorization": f"bearer   {key} "}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("third-key"),
        bearer(""),
        bearer(KEYS),
        bearer("first-key-012345678"),
        {"Authorization": "first-key-0123456789"},
        {"Authorization": "Bearer"},
        {"Authorization": "Token first-key-0123456789"},
        {"Authorization": "Bearer \xff"},
        basic("bob", "first-key-0123456789"),
        basic("first-key-0123456789", ""),
        basic("", ""),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/model", "/api/v1/predict", "/api/v1/openapi.json", "/api/v1/nothing"])
def test_the_api_takes_nothing_else(keyed: FlaskClient, both: FlaskClient, path: str, headers: dict[str, str]) -> None:
    for client in (keyed, both):
        answer = client.post(path, json={}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "PRELABEL_API_KEYS" in answer.get_json()["hint"]
        assert "key-0" not in answer.text


def test_the_password_opens_the_api_too_and_a_key_opens_nothing_else(both: FlaskClient) -> None:
    assert both.get("/api/v1/model", headers=basic("bob", "dummy-basic-pass")).status_code == 200
    for path in ("/versions", "/metrics", "/nothing", "/api", "/api/v1"):
        refused = both.get(path, headers=bearer("first-key-0123456789"))
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic")
    assert both.post("/webhook", json=EVENT, headers=bearer("first-key-0123456789")).status_code == 401


def test_keys_alone_leave_the_rest_as_open_as_it_was(keyed: FlaskClient) -> None:
    assert keyed.get("/versions").status_code == 200
    assert keyed.post("/webhook", json=EVENT).status_code == 200
    assert keyed.get("/nothing").status_code == 404


def test_a_worker_sends_the_first_key_where_there_is_no_password(tmp_path: Path) -> None:
    for more, settings in (
        ({}, load_settings(data_dir=tmp_path, api_keys=KEYS)),
        (
            {"basic_auth_user": "bob", "basic_auth_pass": "dummy-basic-pass"},
            load_settings(data_dir=tmp_path, basic_auth_user="bob", basic_auth_pass="dummy-basic-pass"),
        ),
    ):
        server = load_settings(data_dir=tmp_path, api_keys=KEYS, **more)
        app = create_app(server, StubPredictor("stub-0000000c"))
        worker = RemotePredictor("http://server", credentials(settings), settings, transport=httpx.WSGITransport(app))
        assert worker.model_version == "stub-0000000c"
        worker.close()


def test_a_worker_with_another_key_is_told_what_to_set(tmp_path: Path) -> None:
    app = create_app(load_settings(data_dir=tmp_path, api_keys=KEYS), StubPredictor())
    settings = load_settings(data_dir=tmp_path, api_keys="another-key")
    worker = RemotePredictor("http://server", credentials(settings), settings, transport=httpx.WSGITransport(app))
    with pytest.raises(AuthError, match="PRELABEL_API_KEYS"):
        worker.about()
    worker.close()


@pytest.mark.parametrize("keys", ["a key", "a,,b", ",", "a,", "schlüssel", "a\nb", " "])
def test_a_malformed_key_is_refused_without_being_shown(tmp_path: Path, keys: str) -> None:
    with pytest.raises(SettingsError, match="setting api_keys: each key is") as raised:
        load_settings(data_dir=tmp_path, api_keys=keys)
    assert "schlüssel" not in str(raised.value)


def test_keys_come_from_the_environment_and_are_shown_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRELABEL_API_KEYS", KEYS)
    settings = load_settings(data_dir=tmp_path)
    assert settings.keys == ("first-key-0123456789", "second-key-9876543210")
    assert "key-0" not in repr(settings)
    assert environment_of(settings).keys() == {"PRELABEL_DATA_DIR", "PRELABEL_API_KEYS"}
    monkeypatch.setenv("PRELABEL_API_KEYS", "")
    assert load_settings(data_dir=tmp_path).keys == ()
