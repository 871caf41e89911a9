"""Puts a demo project into Label Studio: project, storage, backend, tasks. Doing it twice changes nothing.

The backend is connected before the tasks are imported, so that their predictions come by themselves.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from prelabel.demo.label_studio import LabelStudioServer
from prelabel.demo.projects import DemoProject
from prelabel.errors import LabelStudioError


@dataclass(frozen=True, slots=True)
class Ready:
    """A demo project that stands in Label Studio, with its backend's address and number of tasks."""

    definition: DemoProject
    id: int
    backend: str
    tasks: int


def set_up(server: LabelStudioServer, definition: DemoProject, backend: str, media_root: Path) -> Ready:
    """Make what is missing of one project.

    Args:
        backend: address of the prelabel server of this project's model; it must answer ``/health``.
        media_root: the local-files storage's root, which the tasks' files are written into.

    Raises:
        LabelStudioError: Label Studio refused a step.
    """
    api = server.api
    found = _json(api.get("/api/projects", params={"page_size": 100}))["results"]
    project_id = next((int(one["id"]) for one in found if one["title"] == definition.title), None)
    if project_id is None:
        body = {"title": definition.title, "label_config": definition.label_config, "show_collab_predictions": True}
        project_id = int(_json(api.post("/api/projects", json=body))["id"])
    tasks = definition.tasks(media_root)
    folder = media_root / definition.key
    if folder.is_dir():
        _store(api, project_id, folder)
    _connect(api, project_id, backend)
    there = int(_json(api.get(f"/api/projects/{project_id}"))["task_number"])
    if not there:
        _json(api.post(f"/api/projects/{project_id}/import", json=tasks))
        there = len(tasks)
    return Ready(definition, project_id, backend, there)


def _store(api: httpx.Client, project_id: int, folder: Path) -> None:
    """A local-files storage, which allows Label Studio to serve the folder to the project's members."""
    if not _json(api.get("/api/storages/localfiles", params={"project": project_id})):
        body = {"project": project_id, "title": folder.name, "path": str(folder.resolve()), "use_blob_urls": True}
        _json(api.post("/api/storages/localfiles", json=body))


def _connect(api: httpx.Client, project_id: int, backend: str) -> None:
    """Connect the backend; one from an earlier start that listened elsewhere goes, with its webhook."""
    connected = _json(api.get("/api/ml", params={"project": project_id}))
    if any(one["url"].rstrip("/") == backend for one in connected):
        return
    for old in connected:
        _json(api.delete(f"/api/ml/{old['id']}"))
        for hook in _json(api.get("/api/webhooks/", params={"project": project_id})):
            if str(hook["url"]).startswith(old["url"].rstrip("/")):
                _json(api.delete(f"/api/webhooks/{hook['id']}/"))
    _json(api.post("/api/ml", json={"project": project_id, "url": backend, "title": "prelabel"}))


def counts(server: LabelStudioServer, ready: Ready) -> tuple[int, int]:
    """Number of tasks with a prediction, and of all tasks."""
    tasks = _json(
        server.api.get("/api/tasks", params={"project": ready.id, "page_size": 1000, "include": "id,total_predictions"})
    )["tasks"]
    return sum(1 for task in tasks if task["total_predictions"]), len(tasks)


def _json(answer: httpx.Response) -> Any:
    """The body of a successful answer; None where there is none.

    Raises:
        LabelStudioError: it is not successful.
    """
    if not answer.is_success:
        request = answer.request
        raise LabelStudioError(
            f"{request.method} {request.url.path} was answered {answer.status_code}: {answer.text[:300]}",
            http_status=answer.status_code,
        )
    with contextlib.suppress(ValueError):
        return answer.json()
    return None
