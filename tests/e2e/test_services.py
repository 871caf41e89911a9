"""The services that the other tests share do what their fixtures promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from prelabel.demo.label_studio import LabelStudioServer


@pytest.mark.labelstudio
def test_label_studio_is_the_supported_version_and_stores_what_is_imported(
    label_studio: LabelStudioServer, project: Any
) -> None:
    version = label_studio.api.get("/api/version").json()["release"]
    assert version == "1.23.2"
    here = project()
    ids = here.import_texts(["good", "bad"])
    assert len(ids) == 2
    assert here.predictions() == []


def test_redis_is_real(redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as client:
        assert client.set("prelabel-test-services", "1")
        assert client.info("server")["redis_version"].startswith("6.2")


@pytest.mark.browser
def test_the_browser_renders_a_page(chromium: Browser) -> None:
    page = chromium.new_page()
    page.set_content("<h1>prelabel</h1>")
    assert page.inner_text("h1") == "prelabel"
    page.close()
