"""The client of Label Studio, against the fake and the real one; and the fake against what was recorded."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from prelabel.errors import (
    LabelStudioAuthError,
    LabelStudioError,
    LabelStudioUnavailableError,
    LabelStudioUnreachableError,
)
from prelabel.labelstudio import LabelStudio, token_kind, unknown_tasks
from prelabel.testing.fake_label_studio import FAULTS, LEGACY_TOKEN, PERSONAL_TOKEN, FakeLabelStudio, Fault

RECORDINGS = Path(__file__).parent.parent / "recordings"
CHOICES = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)


def prediction(task: int, version: str, label: str = "Positive") -> dict[str, Any]:
    region = {"id": "r1", "from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
    return {"task": task, "result": [region], "score": 0.4, "model_version": version}


def body(*predictions: dict[str, Any]) -> bytes:
    return json.dumps(predictions).encode()


@pytest.fixture
def fake() -> Iterator[FakeLabelStudio]:
    with FakeLabelStudio() as studio:
        yield studio


@dataclass
class Studio:
    """A project with ten tasks in the fake or the real Label Studio."""

    client: LabelStudio
    project: int
    tasks: list[int]
    delete_task: Callable[[int], Any]


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.labelstudio)])
def studio(request: pytest.FixtureRequest) -> Iterator[Studio]:
    data = [{"text": f"text {number}"} for number in range(10)]
    if request.param == "fake":
        fake = request.getfixturevalue("fake")
        number = fake.add_project(CHOICES, data)
        with LabelStudio(fake.url, fake.token) as client:
            yield Studio(client, number, sorted(fake.tasks), fake.delete_task)
        return
    real = request.getfixturevalue("project")(CHOICES)
    tasks = sorted(real.import_tasks(data))
    with LabelStudio(real.server.url, real.server.token) as client:
        yield Studio(client, real.id, tasks, lambda task: real.api.delete(f"/api/tasks/{task}"))


def test_tokens_are_told_apart_by_their_form() -> None:
    assert token_kind("eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoxfQ.c2ln_-") == "personal"
    assert token_kind(LEGACY_TOKEN) == "legacy"


def test_whoami_version_and_project(studio: Studio) -> None:
    assert "@" in studio.client.whoami()["email"]
    assert studio.client.version().startswith("1.")
    assert studio.client.project(studio.project)["label_config"] == CHOICES


def test_a_missing_project_is_named_with_its_status(studio: Studio) -> None:
    with pytest.raises(LabelStudioError) as refusal:
        studio.client.project(99_999_999)
    assert refusal.value.http_status == 404


def test_tasks_come_in_pages_by_rising_id_with_their_data(studio: Studio) -> None:
    pages = list(studio.client.tasks(studio.project, page=4))
    assert [len(page) for page in pages] == [4, 4, 2]
    assert [task.id for page in pages for task in page] == studio.tasks
    assert pages[0][0].data == {"text": "text 0"}
    assert pages[0][0].project == studio.project


def test_paging_survives_tasks_that_are_deleted_meanwhile(studio: Studio) -> None:
    pages = studio.client.task_ids(studio.project, page=5)
    first = next(pages)
    studio.delete_task(first[0])
    assert [*first, *(task for page in pages for task in page)] == studio.tasks


def test_chosen_tasks_only_and_unknown_ones_are_left_out(studio: Studio) -> None:
    wanted = [studio.tasks[0], studio.tasks[9], 99_999_999]
    assert [task.id for page in studio.client.tasks(studio.project, ids=wanted) for task in page] == wanted[:2]
    dense = studio.tasks[2:9]
    assert [task for page in studio.client.task_ids(studio.project, ids=dense) for task in page] == dense
    assert list(studio.client.tasks(studio.project, ids=[])) == []


def test_a_version_that_contains_another_hides_no_task(studio: Studio) -> None:
    client, project, tasks = studio.client, studio.project, studio.tasks
    client.import_predictions(project, body(*(prediction(task, "v10") for task in tasks)))
    client.import_predictions(project, body(*(prediction(task, "v1") for task in tasks[:3])))
    lacking = [task for page in client.task_ids(project, lacking_version="v1") for task in page]
    assert lacking == tasks[3:]
    assert [task for page in client.task_ids(project, lacking_version="v10") for task in page] == []
    assert [task for page in client.task_ids(project, lacking_version="v2") for task in page] == tasks


def test_predictions_are_read_back_with_whole_versions(studio: Studio) -> None:
    client, project, tasks = studio.client, studio.project, studio.tasks
    client.import_predictions(project, body(prediction(tasks[0], "v1"), prediction(tasks[0], "v10")))
    client.import_predictions(project, body(prediction(tasks[0], "v1"), prediction(tasks[5], "v, 1")))
    standing = client.predictions(project, [tasks[0], tasks[5], tasks[9], 99_999_999])
    assert {task: [one.model_version for one in found] for task, found in standing.items()} == {
        tasks[0]: ["v1", "v10", "v1"],
        tasks[5]: ["v, 1"],
        tasks[9]: [],
    }
    assert client.model_versions(project) == {"v1": 2, "v10": 1, "v, 1": 1}


def test_bulk_import_says_how_many_were_made(studio: Studio) -> None:
    bad = prediction(studio.tasks[1], "v1", label="Nope")
    assert studio.client.import_predictions(studio.project, body(prediction(studio.tasks[0], "v1"), bad)) == 1


def test_an_unknown_task_refuses_the_whole_bulk_import_and_is_named(studio: Studio) -> None:
    gone = studio.tasks[4]
    studio.delete_task(gone)
    with pytest.raises(LabelStudioError) as refusal:
        studio.client.import_predictions(
            studio.project, body(prediction(studio.tasks[0], "v1"), prediction(gone, "v1"))
        )
    assert refusal.value.http_status == 400
    assert unknown_tasks(refusal.value.message) == {gone}
    assert studio.client.model_versions(studio.project) == {}


def test_predictions_are_deleted_by_id_and_by_version(studio: Studio) -> None:
    client, project = studio.client, studio.project
    client.import_predictions(project, body(*(prediction(task, "v1") for task in studio.tasks)))
    number = client.predictions(project, studio.tasks[:1])[studio.tasks[0]][0].id
    assert client.delete_predictions([number, number]) == 1
    assert client.delete_version(project, "v1") == 9
    assert client.delete_version(project, "unheard of") == 0
    with pytest.raises(LabelStudioError):
        client.delete_version(project, "")


def test_webhook_headers_are_set_and_its_actions_kept(studio: Studio) -> None:
    hook = studio.client.write(
        "POST",
        "api/webhooks/",
        json={
            "project": studio.project,
            "url": "http://127.0.0.1:9/webhook",
            "send_for_all_actions": False,
            "actions": ["TASKS_CREATED"],
        },
    )
    studio.client.set_webhook_headers(hook["id"], {"X-Prelabel-Webhook": "abc"})
    (found,) = studio.client.webhooks(studio.project)
    assert found["headers"] == {"X-Prelabel-Webhook": "abc"}
    assert found["actions"] == ["TASKS_CREATED"]
    assert found["send_for_all_actions"] is False


@pytest.mark.labelstudio
def test_a_view_chooses_tasks_also_when_it_joins_filters_by_or(project: Callable[..., Any]) -> None:
    real = project(CHOICES)
    tasks = sorted(real.import_texts([f"text {number}" for number in range(12)]))
    ends = [("less", tasks[2]), ("greater", tasks[9])]
    items = [
        {"filter": "filter:tasks:id", "operator": operator, "type": "Number", "value": value}
        for operator, value in ends
    ]
    view = real.api.post(
        "/api/dm/views",
        json={"project": real.id, "data": {"title": "ends", "filters": {"conjunction": "or", "items": items}}},
    ).json()["id"]
    with LabelStudio(real.server.url, real.server.token) as client:
        shown = [task for page in client.task_ids(real.id, view=view, page=3) for task in page]
        assert shown == tasks[:2] + tasks[10:]
        client.import_predictions(real.id, body(prediction(tasks[0], "v1")))
        lacking = [task for page in client.task_ids(real.id, view=view, lacking_version="v1") for task in page]
        assert lacking == tasks[1:2] + tasks[10:]


# -- tokens


def test_one_access_token_serves_all_threads(fake: FakeLabelStudio) -> None:
    with LabelStudio(fake.url, fake.token) as client:
        threads = [threading.Thread(target=client.whoami) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert fake.exchanges == 1


def test_an_access_token_is_exchanged_before_it_ends(fake: FakeLabelStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.access_life_s = 300
    now = 1000.0
    monkeypatch.setattr("prelabel.labelstudio.tokens.time.monotonic", lambda: now)
    with LabelStudio(fake.url, fake.token) as client:
        client.whoami()
        now += 250.0
        client.whoami()
        assert fake.exchanges == 1
        now += 10.0
        client.whoami()
        assert fake.exchanges == 2


def test_a_write_whose_access_token_ended_is_done_once_with_a_new_one(fake: FakeLabelStudio) -> None:
    project = fake.add_project(CHOICES, [{"text": "a"}])
    (task,) = fake.tasks
    with LabelStudio(fake.url, fake.token) as client:
        client.whoami()
        fake._access.clear()
        assert client.import_predictions(project, body(prediction(task, "v1"))) == 1
    assert fake.versions(project) == {task: ["v1"]}


def test_a_refused_legacy_token_names_both_ways_out(fake: FakeLabelStudio) -> None:
    with LabelStudio(fake.url, LEGACY_TOKEN) as client, pytest.raises(LabelStudioAuthError) as refusal:
        client.whoami()
    assert "refuses legacy tokens" in refusal.value.message
    assert "personal access token" in refusal.value.hint
    assert "allow legacy tokens" in refusal.value.hint


def test_an_allowed_legacy_token_works(fake: FakeLabelStudio) -> None:
    fake.legacy_allowed = True
    with LabelStudio(fake.url, LEGACY_TOKEN) as client:
        assert client.whoami()["id"] == 1


@pytest.mark.labelstudio
def test_the_real_label_studio_refuses_a_foreign_token(label_studio: Any) -> None:
    head, claims, _ = label_studio.token.split(".")
    with LabelStudio(label_studio.url, f"{head}.{claims}.AAAA") as client, pytest.raises(LabelStudioAuthError):
        client.whoami()


# -- when Label Studio fails


@pytest.mark.parametrize("fault", FAULTS)
def test_a_write_is_never_repeated(fake: FakeLabelStudio, fault: Fault) -> None:
    project = fake.add_project(CHOICES, [{"text": "a"}, {"text": "b"}])
    fake.faults.append(fault)
    with LabelStudio(fake.url, fake.token) as client, pytest.raises(LabelStudioUnavailableError) as failure:
        client.import_predictions(project, body(*(prediction(task, "v1") for task in fake.tasks)))
    assert failure.value.retryable
    assert not isinstance(failure.value, LabelStudioUnreachableError)
    fake.wait_for_late()
    assert fake.imports == [2]
    stored = sum(len(versions) for versions in fake.versions(project).values())
    assert stored == {"half stored": 1, "late": 2}.get(fault, 2 if fault.endswith("stored") else 0)


def test_reading_is_repeated_while_label_studio_is_unavailable() -> None:
    answers = iter([httpx.Response(503), httpx.ReadTimeout("late"), httpx.Response(200, json={"release": "1.23.2"})])

    def respond(_request: httpx.Request) -> httpx.Response:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = httpx.MockTransport(respond)
    with LabelStudio("http://studio", LEGACY_TOKEN, transport=transport, read_wait_s=0.001) as client:
        assert client.version() == "1.23.2"


def test_a_label_studio_that_is_not_there_is_unreachable() -> None:
    with LabelStudio("http://127.0.0.1:1", PERSONAL_TOKEN, read_wait_s=0.001) as client:
        with pytest.raises(LabelStudioUnreachableError, match="cannot be reached"):
            client.whoami()
        with pytest.raises(LabelStudioUnreachableError):
            client.import_predictions(1, b"[]")


def test_an_answer_that_is_not_json_is_explained() -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, text="<html>log in</html>"))
    with (
        LabelStudio("http://studio", LEGACY_TOKEN, transport=transport, read_wait_s=0.001) as client,
        pytest.raises(LabelStudioUnavailableError, match="not JSON"),
    ):
        client.whoami()


def test_the_token_goes_to_label_studio_only() -> None:
    seen: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b"data")

    with LabelStudio("http://studio/prefix", LEGACY_TOKEN, transport=httpx.MockTransport(respond)) as client:
        with client.stream("/data/upload/1/a.png") as response:
            assert response.read() == b"data"
        with client.stream("http://studio/prefix/data/upload/1/a.png") as response:
            assert response.read() == b"data"
        for other in ("http://elsewhere/a.png", "https://studio/a.png", "http://studio:81/a.png"):
            with pytest.raises(LabelStudioError, match="does not get its token"), client.stream(other):
                pass
    assert [str(request.url) for request in seen] == ["http://studio/prefix/data/upload/1/a.png"] * 2
    assert all(request.headers["Authorization"] == f"Token {LEGACY_TOKEN}" for request in seen)


def test_the_token_stands_in_no_error_and_no_repr() -> None:
    with LabelStudio("http://127.0.0.1:1", PERSONAL_TOKEN, read_wait_s=0.001) as client:
        with pytest.raises(LabelStudioError) as failure:
            client.whoami()
        assert PERSONAL_TOKEN not in f"{failure.value}{client!r}"


# -- the fake against the recordings


@pytest.mark.parametrize("name", sorted(path.stem for path in (RECORDINGS / "predictions_api").glob("bulk_*.json")))
def test_the_fake_answers_bulk_imports_as_recorded(fake: FakeLabelStudio, name: str) -> None:
    recording = json.loads((RECORDINGS / "predictions_api" / f"{name}.json").read_text())
    project = fake.add_project(CHOICES)
    bad = {999_999, 52_685}  # unknown, and of another project
    tasks = {item["task"] for item in recording["request"]["body"]} - bad
    for task in tasks:
        fake.tasks[task] = {"id": task, "project": project, "data": {"text": "a"}}
    with LabelStudio(fake.url, fake.token) as client:
        answer = recording["response"]
        sent = json.dumps(recording["request"]["body"]).encode()
        if answer["status"] == 201:
            assert client.import_predictions(project, sent) == answer["body"]["created"]
            return
        with pytest.raises(LabelStudioError) as refusal:
            client.import_predictions(project, sent)
    assert refusal.value.http_status == answer["status"]
    said = answer["body"]["validation_errors"]["non_field_errors"][0]
    assert unknown_tasks(refusal.value.message) == unknown_tasks(said) != set()
    assert fake.predictions == {}


def test_the_fake_refuses_tokens_as_recorded(fake: FakeLabelStudio) -> None:
    recorded = json.loads((RECORDINGS / "auth" / "auth_matrix.json").read_text())
    for case in ("legacy_token_when_disabled", "no_auth", "garbage_bearer", "garbage_token", "pat_used_as_bearer"):
        headers = dict(recorded[case]["headers"])
        answer = httpx.get(f"{fake.url}/api/projects/1", headers=headers)
        assert answer.status_code == recorded[case]["status"], case
        assert answer.json()["detail"] == recorded[case]["response"]["detail"], case


@pytest.mark.parametrize(
    "name", ["delete_by_version", "delete_by_version_unknown", "delete_one", "model_versions_simple"]
)
def test_the_fake_deletes_and_counts_in_the_recorded_form(fake: FakeLabelStudio, name: str) -> None:
    recording = json.loads((RECORDINGS / "predictions_api" / f"{name}.json").read_text())
    project = fake.add_project(CHOICES, [{"text": "a"}])
    (task,) = fake.tasks
    with LabelStudio(fake.url, fake.token) as client:
        client.import_predictions(project, body(*[prediction(task, "bulk1")] * 3))
        path = recording["request"]["path"].replace("/57/", f"/{project}/").lstrip("/")
        path = path.replace("5612", str(min(fake.predictions)))
        method, sent = recording["request"]["method"], recording["request"]["body"]
        answer = client.write(method, path, json=sent) if sent else client.write(method, path)
    assert type(answer or "") is type(recording["response"]["body"])
    if isinstance(answer, dict) and method == "DELETE":
        assert set(answer) == set(recording["response"]["body"])
