"""Basic auth on the backend, and the header that prelabel gives its own webhook, which comes without basic auth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = pytest.mark.labelstudio

USER, PASSWORD = "bob", "dummy-basic-pass"


def test_a_protected_backend_still_hears_its_webhook(
    label_studio: LabelStudioServer, project: Any, prelabel_process: Any, sentiment_file: Path, wait_until: Any
) -> None:
    backend = prelabel_process(
        "up",
        f"{sentiment_file}:predict",
        label_studio=label_studio,
        env={"BASIC_AUTH_USER": USER, "BASIC_AUTH_PASS": PASSWORD, "PRELABEL_SWEEP_INTERVAL_S": "3600"},
    )
    assert httpx.post(f"{backend.url}/predict", json={"tasks": []}).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.post(f"{backend.url}/webhook", json={"action": "PING"}).status_code == httpx.codes.UNAUTHORIZED
    here = project()
    here.connect(backend.url, auth_method="BASIC_AUTH", basic_auth_user=USER, basic_auth_pass=PASSWORD)

    def our_hooks() -> list[dict[str, Any]]:
        hooks = here.api.get("/api/webhooks/", params={"project": here.id}).json()
        return [hook for hook in hooks if hook["url"].startswith(backend.url)]

    wait_until(lambda: any("X-Prelabel-Webhook" in hook["headers"] for hook in our_hooks()), what="the header")
    assert PASSWORD not in str(our_hooks())
    ids = here.import_texts(["good", "bad"])
    here.wait_for_predictions(len(ids))
