"""No secret reaches the log, whoever writes it: tokens, passwords, cookies, signed addresses."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest

from prelabel import log
from prelabel.settings import load_settings

SECRET = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Token {SECRET}",
        f"(b'Authorization', b'Bearer {SECRET}')",
        f"(b'authorization', b'Basic {SECRET}')",
        f"{{'access_token': '{SECRET}', 'project': '1.2'}}",
        f'{{"refresh": "{SECRET}"}}',
        f"(b'Set-Cookie', b'sessionid={SECRET}; expires=never')",
        f"(b'X-Prelabel-Webhook', b'{SECRET}')",
        f"{{'X-Prelabel-Webhook': '{SECRET}'}}",
        f"(b'x-api-key', b'{SECRET}')",
        f"GET https://bucket.s3.amazonaws.com/k.png?X-Amz-Date=1&X-Amz-Signature={SECRET}&X-Amz-Expires=60 200",
        f"GET https://bucket.s3.amazonaws.com/k.png?X-Amz-Security-Token={SECRET}",
        f"GET https://storage.googleapis.com/b/k?X-Goog-Signature={SECRET}",
        f"GET https://x.blob.core.windows.net/c/b?sv=1&sig={SECRET}&se=2",
        f"GET https://cdn.example/k?Expires=1&Signature={SECRET}&Key-Pair-Id=K1",
        f"redis://:{SECRET}@host:6379/0",
        f"postgresql://user:p@{SECRET}@host/db",
        f"the token eyJhbGciOiJIUzI1NiJ9.eyJ{SECRET}.{SECRET} is refused",
    ],
)
def test_a_secret_is_not_logged(line: str) -> None:
    assert SECRET not in log.redact(line)
    assert "***" in log.redact(line)


@pytest.mark.parametrize(
    "line",
    [
        "no token for Label Studio; set LABEL_STUDIO_API_KEY to a personal access token.",
        "Choose Basic Authentication in Label Studio's Connect model dialog.",
        "Token indices sequence length is longer than the maximum (600 > 512)",
        "GET https://host/k.png?page=2&size=10 200",
        f"model sha256:{SECRET}",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert log.redact(line) == line


@pytest.mark.parametrize("as_json", [False, True])
def test_tracebacks_are_redacted_too(tmp_path: Path, as_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    log.configure(load_settings(data_dir=tmp_path, log_level="debug", log_json=as_json), "server")
    error = ValueError(f"Authorization: Token {SECRET}")
    logging.getLogger("prelabel.anything").error("failed with %s", {"password": SECRET}, exc_info=error)
    assert "ValueError" in written.getvalue()
    assert SECRET not in written.getvalue()
