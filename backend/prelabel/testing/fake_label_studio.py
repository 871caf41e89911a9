"""A fake Label Studio for what the real one cannot be made to do at will: fail, time out, drop connections.

It keeps projects, tasks and predictions in memory and speaks the part of Label Studio's API that prelabel uses, in the
form that the recordings of 1.23.2 show; a test holds the two together. Faults are queued in `FakeLabelStudio.faults`,
one for each bulk import.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

Fault = Literal["ok", "500", "500 stored", "502", "503 stored", "drop", "drop stored", "half stored", "late"]
"""What one bulk import does: its answer, or ``drop`` for none, and whether Label Studio stores all the same.

``half stored`` stores the first half and drops the connection. ``late`` drops the connection and stores `late_s` later.
"""
FAULTS: tuple[Fault, ...] = ("500", "500 stored", "502", "503 stored", "drop", "drop stored", "half stored", "late")

PERSONAL_TOKEN = "eyJmYWtlIjoxfQ.eyJwZXJzb25hbCI6MX0.c2lnbmF0dXJl"  # noqa: S105 - of the fake only
LEGACY_TOKEN = "0123456789abcdef0123456789abcdef01234567"  # noqa: S105 - of the fake only

_UNKNOWN_TASK = (
    '{} contains invalid "task" field: corresponding task ID couldn\'t be retrieved from project {} (id={}) tasks'
)

Answer = tuple[int, Any]


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure of the fake
    """An answer other than success, in Label Studio's form."""

    def __init__(self, status: int, detail: str, errors: Iterable[str] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.body: dict[str, Any] = {"status_code": status, "version": "1.23.2", "detail": detail, "exc_info": None}
        if errors:
            self.body["validation_errors"] = {"non_field_errors": list(errors)}


class _Dropped(Exception):  # noqa: N818 - ends a request without an answer
    pass


@dataclass
class FakeLabelStudio:
    """The fake; a context manager that listens on a free port of 127.0.0.1.

    Attributes:
        faults: what the next bulk imports do; when empty, they work.
        late_s: see `Fault`.
        legacy_allowed: whether legacy tokens are accepted.
        access_life_s: life of an access token.
        imports: number of predictions in each bulk import that arrived, whatever became of it.
        on_import: called when a bulk import has arrived, before anything is done about it.
        exchanges: number of personal access tokens exchanged.
    """

    faults: deque[Fault] = field(default_factory=deque)
    late_s: float = 0.3
    legacy_allowed: bool = False
    access_life_s: float = 300.0
    imports: list[int] = field(default_factory=list)
    on_import: Callable[[], None] = lambda: None
    exchanges: int = 0
    url: str = ""
    token: str = PERSONAL_TOKEN

    def __post_init__(self) -> None:
        self.projects: dict[int, dict[str, Any]] = {}
        self.tasks: dict[int, dict[str, Any]] = {}
        self.predictions: dict[int, dict[str, Any]] = {}
        self.webhooks: dict[int, dict[str, Any]] = {}
        self.lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._server: ThreadingHTTPServer | None = None
        self._late: list[threading.Timer] = []
        self._access: dict[str, float] = {}

    def __enter__(self) -> FakeLabelStudio:
        fake = self

        class Handler(_Handler):
            studio = fake

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for timer in self._late:
            timer.join()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    # -- what a test sets up and looks at

    def add_project(self, label_config: str, data: Iterable[Mapping[str, Any]] = ()) -> int:
        """A project with tasks; its id."""
        with self.lock:
            project = next(self._numbers)
            self.projects[project] = {
                "id": project,
                "title": f"project {project}",
                "label_config": label_config,
                "model_version": "",
            }
        self.add_tasks(project, data)
        return project

    def add_tasks(self, project: int, data: Iterable[Mapping[str, Any]]) -> list[int]:
        """Import tasks; their ids."""
        with self.lock:
            ids = []
            for one in data:
                task = next(self._numbers)
                self.tasks[task] = {"id": task, "project": project, "data": dict(one)}
                ids.append(task)
            return ids

    def annotate(self, task: int, *result: Mapping[str, Any], skipped: bool = False) -> None:
        """What a person says of a task."""
        with self.lock:
            annotation = {"id": next(self._numbers), "result": list(result), "was_cancelled": skipped}
            self.tasks[task].setdefault("annotations", []).append(annotation)

    def delete_task(self, task: int) -> None:
        """Delete a task with its predictions."""
        with self.lock:
            del self.tasks[task]
            self.predictions = {n: one for n, one in self.predictions.items() if one["task"] != task}

    def versions(self, project: int) -> dict[int, list[str]]:
        """Model versions on each task of the project, oldest first."""
        with self.lock:
            found: dict[int, list[str]] = {n: [] for n, task in self.tasks.items() if task["project"] == project}
            for number in sorted(self.predictions):
                one = self.predictions[number]
                if one["project"] == project:
                    found[one["task"]].append(one["model_version"])
            return found

    def store_live(self, project: int, prediction: Mapping[str, Any]) -> None:
        """Store what a backend answered to /predict."""
        self._store(project, [dict(prediction)])

    def wait_for_late(self) -> None:
        """Until every late import is stored."""
        for timer in list(self._late):
            timer.join()

    # -- the API

    def answer(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Any) -> Answer:
        """What Label Studio answers: status and JSON."""
        if (method, path) == ("POST", "/api/token/refresh"):
            return self._exchange(body)
        self._authenticate(headers.get("Authorization", ""))
        for verb, pattern, handler in _ROUTES:
            matched = re.fullmatch(pattern, path)
            if verb == method and matched:
                return handler(self, *map(int, matched.groups()), query=query, body=body)
        raise Refusal(404, "Not found.")

    def _exchange(self, body: Any) -> Answer:
        if not isinstance(body, dict) or body.get("refresh") != PERSONAL_TOKEN:
            raise Refusal(401, "Token is invalid")
        with self.lock:
            self.exchanges += 1
            now = int(time.time())
            claims = json.dumps({"iat": now, "exp": now + self.access_life_s, "n": self.exchanges}).encode()
            access = f"eyJhIjoxfQ.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"
            self._access[access] = time.monotonic() + self.access_life_s
        return 200, {"access": access}

    def _authenticate(self, header: str) -> None:
        kind, _, token = header.partition(" ")
        if kind == "Bearer" and time.monotonic() < self._access.get(token, 0.0):
            return
        if kind == "Token" and token == LEGACY_TOKEN:
            if self.legacy_allowed:
                return
            raise Refusal(
                401,
                "Authentication token no longer valid: legacy token authentication has been disabled for this "
                "organization",
            )
        raise Refusal(401, "Invalid token." if kind == "Token" else "Authentication credentials were not provided.")

    def _project(self, project: int) -> dict[str, Any]:
        if project not in self.projects:
            raise Refusal(404, "No Project matches the given query.")
        return self.projects[project]

    def _whoami(self, *, query: Mapping[str, str], body: Any) -> Answer:
        return 200, {"id": 1, "email": "fake@example.com"}

    def _version(self, *, query: Mapping[str, str], body: Any) -> Answer:
        return 200, {"release": "1.23.2"}

    def _get_project(self, project: int, *, query: Mapping[str, str], body: Any) -> Answer:
        with self.lock:
            tasks = [task for task in self.tasks.values() if task["project"] == project]
            counts = [sum(not one["was_cancelled"] for one in task.get("annotations", ())) for task in tasks]
        counted = {"num_tasks_with_annotations": sum(map(bool, counts)), "total_annotations_number": sum(counts)}
        return 200, {**self._project(project), "task_number": len(tasks), **counted}

    def _list_tasks(self, *, query: Mapping[str, str], body: Any) -> Answer:
        project = self._project(int(query["project"]))["id"]
        asked = json.loads(query.get("query", "{}"))
        selected = asked.get("selectedItems") or {"all": True}
        wanted = frozenset(selected.get("included") or ()) if not selected.get("all") else None
        with self.lock:
            by_task: dict[int, list[dict[str, Any]]] = {}
            for number in sorted(self.predictions):
                by_task.setdefault(self.predictions[number]["task"], []).append(self.predictions[number])
            found = [
                task
                for number, task in sorted(self.tasks.items())
                if task["project"] == project
                and (not wanted or number in wanted)
                and _passes(asked.get("filters"), task, by_task.get(number, ()))
            ]
            if asked.get("ordering") == ["-tasks:id"]:
                found.reverse()
            size, page = int(query.get("page_size", 100)), int(query.get("page", 1))
            fields = query.get("include", "id,data,predictions,annotations").split(",")
            listed = []
            for task in found[(page - 1) * size : page * size]:
                shown = {name: task[name] for name in fields if name in task}
                if "predictions" in fields and query.get("fields") == "all":
                    shown["predictions"] = list(by_task.get(task["id"], ()))
                listed.append(shown)
        return 200, {"total": len(found), "tasks": listed}

    def _import_tasks(self, project: int, *, query: Mapping[str, str], body: Any) -> Answer:
        self._project(project)
        ids = self.add_tasks(project, [one.get("data", one) for one in body])
        return 201, {"task_count": len(ids), "task_ids": ids}

    def _model_versions(self, project: int, *, query: Mapping[str, str], body: Any) -> Answer:
        self._project(project)
        with self.lock:
            return 200, dict(
                Counter(one["model_version"] for one in self.predictions.values() if one["project"] == project)
            )

    def _delete_version(self, project: int, *, query: Mapping[str, str], body: Any) -> Answer:
        self._project(project)
        with self.lock:
            doomed = [
                number
                for number, one in self.predictions.items()
                if one["project"] == project and one["model_version"] == body["model_version"]
            ]
            for number in doomed:
                del self.predictions[number]
        return 200, {"deleted_predictions": len(doomed)}

    def _delete_prediction(self, number: int, *, query: Mapping[str, str], body: Any) -> Answer:
        with self.lock:
            if self.predictions.pop(number, None) is None:
                raise Refusal(404, "No Prediction matches the given query.")
        return 204, None

    def _import_predictions(self, project: int, *, query: Mapping[str, str], body: Any) -> Answer:
        self.on_import()
        with self.lock:
            self.imports.append(len(body))
            fault: Fault = self.faults.popleft() if self.faults else "ok"
        if fault in ("500", "502"):
            raise Refusal(int(fault), "fault")
        if fault == "drop":
            raise _Dropped
        if fault == "late":
            timer = threading.Timer(self.late_s, self._store, (project, body))
            self._late.append(timer)
            timer.start()
            raise _Dropped
        created = self._store(project, body[: len(body) // 2] if fault == "half stored" else body)
        if fault in ("drop stored", "half stored"):
            raise _Dropped
        if fault != "ok":
            raise Refusal(int(fault[:3]), "fault")
        return 201, {"created": created}

    def _store(self, project: int, items: list[dict[str, Any]]) -> int:
        """Store what is valid; one unknown task refuses all."""
        config = self._project(project)["label_config"]
        with self.lock:
            for item in items:
                if self.tasks.get(item.get("task"), {}).get("project") != project:  # type: ignore[arg-type]  # any JSON
                    raise Refusal(
                        400,
                        "Validation error",
                        [_UNKNOWN_TASK.format(item, self.projects[project]["title"], project)],
                    )
            valid = [item for item in items if _is_valid(item, config)]
            for item in valid:
                number = next(self._numbers)
                self.predictions[number] = {
                    "id": number,
                    "task": item["task"],
                    "project": project,
                    "result": item["result"],
                    "score": item.get("score"),
                    "model_version": item.get("model_version", "undefined"),
                }
        return len(valid)

    def _list_webhooks(self, *, query: Mapping[str, str], body: Any) -> Answer:
        return 200, [hook for hook in self.webhooks.values() if hook["project"] == int(query["project"])]

    def _get_webhook(self, number: int, *, query: Mapping[str, str], body: Any) -> Answer:
        return 200, self.webhooks[number]

    def _create_webhook(self, *, query: Mapping[str, str], body: Any) -> Answer:
        number = next(self._numbers)
        self.webhooks[number] = {"id": number, "headers": {}, "actions": [], "send_for_all_actions": True, **body}
        return 201, self.webhooks[number]

    def _patch_webhook(self, number: int, *, query: Mapping[str, str], body: Any) -> Answer:
        self.webhooks[number] |= {"actions": [], **body}  # as the real one: what is not named is emptied
        return 200, self.webhooks[number]


_ROUTES: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
    ("GET", r"/api/current-user/whoami", FakeLabelStudio._whoami),
    ("GET", r"/api/version", FakeLabelStudio._version),
    ("GET", r"/api/projects/(\d+)", FakeLabelStudio._get_project),
    ("GET", r"/api/tasks", FakeLabelStudio._list_tasks),
    ("POST", r"/api/projects/(\d+)/import", FakeLabelStudio._import_tasks),
    ("POST", r"/api/projects/(\d+)/import/predictions", FakeLabelStudio._import_predictions),
    ("GET", r"/api/projects/(\d+)/model-versions", FakeLabelStudio._model_versions),
    ("DELETE", r"/api/projects/(\d+)/model-versions", FakeLabelStudio._delete_version),
    ("DELETE", r"/api/predictions/(\d+)", FakeLabelStudio._delete_prediction),
    ("GET", r"/api/webhooks", FakeLabelStudio._list_webhooks),
    ("POST", r"/api/webhooks", FakeLabelStudio._create_webhook),
    ("GET", r"/api/webhooks/(\d+)", FakeLabelStudio._get_webhook),
    ("PATCH", r"/api/webhooks/(\d+)", FakeLabelStudio._patch_webhook),
)


def _passes(filters: Any, listed: Mapping[str, Any], predictions: Iterable[Mapping[str, Any]]) -> bool:
    task = listed["id"]
    annotated = sum(not one.get("was_cancelled") for one in listed.get("annotations", ()))
    for item in (filters or {}).get("items", ()):
        value = item["value"]
        match item["filter"].removeprefix("filter:tasks:"), item["operator"]:
            case "id", "greater":
                passes = task > value
            case "id", "in":
                passes = value["min"] <= task <= value["max"]
            case "total_annotations", "greater":
                passes = annotated > value
            case "total_annotations", "equal":
                passes = annotated == value
            case "predictions_model_versions", "not_contains":
                passes = not any(part in one["model_version"] for one in predictions for part in value)  # substrings
            case other:
                raise Refusal(400, f"the fake does not know the filter {other}")
        if not passes:
            return False
    return True


def _is_valid(item: Mapping[str, Any], label_config: str) -> bool:
    """Label Studio's validator, reduced: regions of the config's controls, whose labels are the config's."""
    result, score = item.get("result"), item.get("score")
    if not isinstance(result, list) or isinstance(score, str):
        return False
    labels = frozenset(re.findall(r'value="([^"$]+)"', label_config))
    controls = frozenset(re.findall(r'name="([^"]+)"', label_config))
    kinds = frozenset(name.lower() for name in re.findall(r"<(\w+)", label_config))
    for region in result:
        if not isinstance(region, dict) or region.get("from_name") not in controls or region.get("type") not in kinds:
            return False
        if not labels.issuperset(region["value"].get(region["type"], ())):
            return False
    return True


class _Handler(BaseHTTPRequestHandler):
    studio: FakeLabelStudio
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        try:
            status, body = self.studio.answer(
                self.command, parts.path.rstrip("/"), query, dict(self.headers), json.loads(raw) if raw else None
            )
        except Refusal as refusal:
            status, body = refusal.status, refusal.body
        except _Dropped:
            self.close_connection = True
            return
        content = b"" if body is None else json.dumps(body).encode()
        with contextlib.suppress(ConnectionError):  # the client may be gone
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815 - http.server's names
