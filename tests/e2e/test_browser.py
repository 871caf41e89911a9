"""Label Studio's own pages in a real browser: connect the model, read a refusal, retrieve predictions, open a task."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page


pytestmark = [pytest.mark.labelstudio, pytest.mark.browser]

BOXES_ONLY = (
    '<View><Image name="picture" value="$image"/><RectangleLabels name="box" toName="picture">'
    '<Label value="Car"/></RectangleLabels></View>'
)


@pytest.fixture(scope="module")
def signed_in(sign_in: Any) -> Iterator[Page]:
    """A page of a browser in which the user has signed in."""
    with sign_in() as page:
        yield page


def fill_in_connect_model(page: Page, project: Any, url: str) -> None:
    """Settings > Model > Connect Model, filled in and submitted."""
    page.goto(f"{project.server.url}/projects/{project.id}/settings/ml")
    page.locator("button:has-text('Connect Model')").click()
    page.fill("input[name=title]", "prelabel")
    page.fill("input[name=url]", url)
    page.locator("button:has-text('Validate and Save')").click()


def test_the_dialog_connects_the_model_and_imported_tasks_are_predicted(
    signed_in: Page, sentiment_backend: Any, project: Any, open_task: Any
) -> None:
    here = project()
    fill_in_connect_model(signed_in, here, sentiment_backend.url)
    signed_in.get_by_text("Connected", exact=True).wait_for()
    assert here.api.get("/api/ml", params={"project": here.id}).json()[0]["state"] == "CO"
    task = here.import_texts(["a good day"])[0]
    assert here.wait_for_predictions(1)[0]["task"] == task

    open_task(signed_in, here.id, task)
    choice = signed_in.locator("label:has-text('Positive') input[type=checkbox]")
    choice.wait_for(state="attached")
    assert choice.is_checked()
    version = here.predictions()[0]["model_version"]
    signed_in.get_by_text(re.compile(rf"{version[:8]}.*{version[-6:]}")).first.wait_for()  # shortened in its tab
    assert signed_in.get_by_text("90.00%").first.is_visible()


def test_the_dialog_shows_our_sentence_when_the_model_does_not_fit(
    signed_in: Page, sentiment_backend: Any, project: Any
) -> None:
    here = project(BOXES_ONLY)
    fill_in_connect_model(signed_in, here, sentiment_backend.url)
    message = signed_in.locator(".lsf-error-message__message, [class*=error-message__message]").first
    message.wait_for()
    shown = message.inner_text()
    refused = httpx.post(
        f"{sentiment_backend.url}/setup",
        json={"project": f"{here.id}.0", "schema": BOXES_ONLY, "hostname": here.server.url, "access_token": ""},
    )
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    sentence = refused.json()["error"]
    assert "<Text " in sentence, "it names the tag to add"
    assert sentence in shown


def test_a_task_without_a_prediction_gets_one_when_it_is_opened(
    signed_in: Page, sentiment_backend: Any, project: Any, open_task: Any
) -> None:
    here = project()
    task = here.import_texts(["a bad day"])[0]
    here.connect(sentiment_backend.url)
    open_task(signed_in, here.id, task)
    choice = signed_in.locator("label:has-text('Negative') input[type=checkbox]")
    choice.wait_for(state="attached")
    assert choice.is_checked()
    assert len(here.predictions()) == 1


def test_retrieve_predictions_in_the_data_manager(signed_in: Page, sentiment_backend: Any, project: Any) -> None:
    here = project()
    tasks = here.import_texts(["good", "bad", "so so"])
    here.connect(sentiment_backend.url)
    signed_in.goto(f"{here.server.url}/projects/{here.id}/data")
    signed_in.locator("[class*=select-all] input[type=checkbox]").first.click(force=True)
    signed_in.locator("button", has_text=re.compile(r"^3 Tasks")).first.click()
    signed_in.get_by_text("Retrieve Predictions").first.click()
    signed_in.locator("button:has-text('OK')").click()
    signed_in.get_by_text("Predictions: 3").wait_for()
    assert {one["task"] for one in here.predictions()} == set(tasks)
    assert len(here.predictions()) == len(tasks)
