"""A headless Label Studio of our own: started from a migrated database, given a user and a token, and stopped.

Label Studio pins older versions of libraries that prelabel uses, so it has an environment of its own (`installing`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from prelabel.demo import installing, processes
from prelabel.errors import LabelStudioError, SettingsError

EMAIL = "demo@example.com"
PASSWORD = "prelabel-demo"  # noqa: S105 (of a server on loopback; the demo prints it)


class TokenAuth(httpx.Auth):
    """``Authorization: Bearer`` made from a personal access token, renewed when Label Studio stops accepting it."""

    requires_response_body = True

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._access = ""

    def _refresh(self) -> httpx.Request:
        return httpx.Request("POST", f"{self._url}/api/token/refresh/", json={"refresh": self._token})

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if not self._access:
            self._access = (yield self._refresh()).json().get("access", "")
        request.headers["Authorization"] = f"Bearer {self._access}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._access = (yield self._refresh()).json().get("access", "")
            request.headers["Authorization"] = f"Bearer {self._access}"
            yield request


@dataclass
class LabelStudioServer:
    """A running Label Studio. ``token`` is a personal access token; ``api`` sends it with every request.

    ``local_files_root`` is the directory whose files ``/data/local-files/?d=...`` serves, once a storage allows it.
    """

    url: str
    token: str
    email: str = EMAIL
    password: str = PASSWORD
    child: processes.Child | None = None
    local_files_root: Path | None = None
    api: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.api = httpx.Client(base_url=self.url, auth=TokenAuth(self.url, self.token), timeout=120.0)

    @property
    def pid(self) -> int | None:
        """Process id; None for a server that somebody else started."""
        return self.child.pid if self.child else None

    def stop(self) -> None:
        """End the server, if it is ours."""
        self.api.close()
        if self.child is not None:
            self.child.stop(grace_s=10.0)


def start(
    environment: Path,
    data_dir: Path,
    *,
    template: Path,
    port: int = 8080,
    local_files_root: Path | None = None,
    allow_private_backends: bool = True,
    timeout_s: float = 180.0,
) -> LabelStudioServer:
    """Start Label Studio on loopback; 3 to 10 s. A taken port is replaced by a free one, the URL says which.

    Call this from the main thread (`processes.start`).

    Args:
        environment: where `installing.install` put it.
        data_dir: its database and uploads; a new one begins with the migrated database in ``template``.
        allow_private_backends: let it call ML backends and webhooks on loopback and private addresses, which its
            defaults refuse.

    Raises:
        SettingsError: it is not installed.
        LabelStudioError: it did not start; its log's end is in the message.
    """
    if not installing.installed(environment):
        raise SettingsError(f"no Label Studio in {environment}.", hint="Run `make labelstudio`.")
    data_dir.mkdir(parents=True, exist_ok=True)
    if not (data_dir / installing.DATABASE).exists():
        fresh = installing.make_template(environment, template)
        shutil.copyfile(fresh, data_dir / "new.sqlite3")
        (data_dir / "new.sqlite3").replace(data_dir / installing.DATABASE)
        (data_dir / "token").unlink(missing_ok=True)
    port = processes.free_port(port)
    url = f"http://127.0.0.1:{port}"
    variables = installing.variables(data_dir) | {"LABEL_STUDIO_HOST": url}
    if allow_private_backends:
        variables |= {"ML_BLOCK_LOCAL_IP": "false", "SSRF_PROTECTION_ENABLED": "false"}
    if local_files_root is not None:
        variables |= {
            "LOCAL_FILES_SERVING_ENABLED": "true",
            "LOCAL_FILES_DOCUMENT_ROOT": str(local_files_root.resolve()),
        }
    command = [str(installing.executable(environment)), "start", "--no-browser", "--internal-host", "127.0.0.1"]
    child = processes.start(
        "Label Studio",
        [*command, "--port", str(port), "--username", EMAIL, "--password", PASSWORD],
        log=data_dir / "label-studio.log",
        env=variables,
    )
    try:
        _wait_until_healthy(url, child, timeout_s)
        token = _token(url, data_dir / "token")
        return LabelStudioServer(url, token, child=child, local_files_root=local_files_root)
    except BaseException:
        child.stop(grace_s=1.0)
        raise


def _wait_until_healthy(url: str, child: processes.Child, timeout_s: float) -> None:
    """Until it answers on the port we gave it.

    Raises:
        LabelStudioError: it ended or took too long.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not child.running:
            raise LabelStudioError(f"Label Studio ended while starting:\n{child.log_tail()}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=2.0).is_success:
                return
        time.sleep(0.1)
    raise LabelStudioError(f"Label Studio did not answer within {timeout_s:.0f} s:\n{child.log_tail()}")


def _token(url: str, kept: Path) -> str:
    """The personal access token: kept in a file, since Label Studio shows it only once."""
    if kept.exists():
        return kept.read_text(encoding="utf-8").strip()
    with httpx.Client(base_url=url, headers={"Referer": f"{url}/user/login/"}, timeout=30.0) as session:
        session.get("/user/login/")
        form = {"csrfmiddlewaretoken": session.cookies.get("csrftoken") or "", "email": EMAIL, "password": PASSWORD}
        session.post("/user/login/", data=form)
        answer = session.post("/api/token/", headers={"X-CSRFToken": session.cookies.get("csrftoken") or ""})
        try:
            token = str(answer.raise_for_status().json()["token"])
        except (httpx.HTTPStatusError, KeyError, json.JSONDecodeError) as error:
            raise LabelStudioError(
                f"Label Studio gave no personal access token (it answered {answer.status_code}).",
                hint=f"Remove {kept.parent} to start afresh.",
                http_status=answer.status_code,
            ) from error
    descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(token)
    return token
