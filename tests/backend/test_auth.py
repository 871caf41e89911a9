"""Basic authentication, and the header by which our own webhook is known."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from prelabel.server import create_app
from prelabel.server.auth import WEBHOOK_HEADER, webhook_token
from prelabel.settings import Settings, load_settings
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
