"""What prelabel asks of a Label Studio: projects, tasks, predictions, backends, webhooks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from prelabel.errors import LabelStudioError
from prelabel.labelstudio.client import Client
from prelabel.tasks import Task

SELECTED = 400
"""Task ids named in one address; some 3 kB, which every proxy lets through."""
DENSE = 0.5
"""From this share of wanted ids in a range of ids, the range is asked for instead."""
PREDICTIONS_PAGE = 500
"""Tasks whose predictions are read in one call."""
_ANNOTATED = {
    "filter": "filter:tasks:total_annotations",
    "operator": "greater",
    "type": "Number",
    "value": 0,
}
"""Tasks with an annotation; Label Studio does not count cancelled ones."""

_UNLABELED = {**_ANNOTATED, "operator": "equal"}

SELECTION = ("score", "cluster", "neighbors", "mislabeling")
"""Fields of a prediction by which people choose what to label; a bulk import keeps only the first."""

_UNKNOWN_TASK = (
    re.compile(r"'task': (\d+)[,}].*?contains invalid \"task\" field", re.DOTALL),
    re.compile(r"contains invalid \"task\" field: task ID (\d+) not found"),
    re.compile(r"Invalid task ID (\d+)"),
)


@dataclass(frozen=True, slots=True)
class StoredPrediction:
    """A prediction as Label Studio holds it, without its regions. ``selection`` has the fields of `SELECTION`."""

    id: int
    task: int
    model_version: str
    selection: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


class LabelStudio(Client):
    """One Label Studio with one token. Safe for threads.

    Methods that answer with Label Studio's own objects (project, webhook, backend) return their JSON.
    """

    # -- who and what

    def whoami(self) -> dict[str, Any]:
        """The token's user."""
        user: dict[str, Any] = self.get("api/current-user/whoami")
        return user

    def version(self) -> str:
        """Label Studio's release, e.g. ``1.23.2``."""
        return str(self.get("api/version").get("release", ""))

    def project(self, project: int) -> dict[str, Any]:
        """A project's JSON: ``title``, ``label_config``, ``model_version``, ``task_number`` ...

        Raises:
            LabelStudioError: there is no such project (``http_status`` 404), and as `Client.get`.
        """
        found: dict[str, Any] = self.get(f"api/projects/{project}")
        return found

    def show_version(self, project: int, version: str) -> None:
        """Make a model version the one that a project shows: people see its predictions, the Data Manager its scores.

        Raises:
            LabelStudioError: there is no such project, or the token may not change it.
        """
        self.write("PATCH", f"api/projects/{project}", json={"model_version": version})

    def projects(self) -> list[dict[str, Any]]:
        """All projects that the token's user sees."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            answer = self.get("api/projects", page=page, page_size=100, ordering="id")
            found += answer["results"]
            if not answer.get("next"):
                return found
            page += 1

    # -- tasks

    def tasks(
        self,
        project: int,
        *,
        ids: Iterable[int] | None = None,
        view: int | None = None,
        lacking_version: str | None = None,
        unlabeled: bool = False,
        after: int = 0,
        page: int = 1000,
    ) -> Iterator[list[Task]]:
        """Pages of the project's tasks with their data as imported, by rising id; no page is empty.

        The pages follow each other by id, so that tasks which come and go meanwhile shift nothing. Reading never makes
        Label Studio ask its backend for predictions.

        Args:
            project: its id.
            ids: only these tasks; those that do not exist are left out.
            view: only the tasks that this Data Manager tab shows.
            lacking_version: only tasks without a prediction of this very version.
            unlabeled: only tasks without an annotation.
            after: only larger ids.
            page: tasks in one call.
        """
        for batch in self._pages(
            project,
            "id,data",
            ids=ids,
            view=view,
            lacking_version=lacking_version,
            unlabeled=unlabeled,
            after=after,
            page=page,
        ):
            yield [Task(id=raw["id"], data=raw.get("data") or {}, project=project) for raw in batch]

    def task_ids(
        self,
        project: int,
        *,
        ids: Iterable[int] | None = None,
        view: int | None = None,
        lacking_version: str | None = None,
        after: int = 0,
        page: int = 5000,
    ) -> Iterator[list[int]]:
        """As `tasks`, ids only."""
        for batch in self._pages(
            project, "id", ids=ids, view=view, lacking_version=lacking_version, after=after, page=page
        ):
            yield [raw["id"] for raw in batch]

    def newest_task(self, project: int) -> int:
        """The largest id of the project's tasks; 0 where it has none."""
        newest = json.dumps({"ordering": ["-tasks:id"]}, separators=(",", ":"))
        answer = self.get("api/tasks", project=project, page=1, page_size=1, include="id", query=newest, review="true")
        return max((int(raw["id"]) for raw in answer["tasks"]), default=0)

    def _pages(
        self,
        project: int,
        include: str,
        *,
        ids: Iterable[int] | None,
        view: int | None,
        lacking_version: str | None,
        unlabeled: bool = False,
        after: int,
        page: int,
    ) -> Iterator[list[dict[str, Any]]]:
        filters = self._view_filters(project, view) if view is not None else _Filters()
        if unlabeled:
            filters = filters.also(_UNLABELED)
        exact = True
        if lacking_version is not None:
            versions = self.model_versions(project)
            if lacking_version in versions:
                # Label Studio's filter finds substrings; where that would hide tasks, their predictions are read
                exact = not filters.either and not any(
                    lacking_version.lower() in other.lower() for other in versions if other != lacking_version
                )
                if exact:
                    filters = filters.also(_lacks(lacking_version))
        if ids is None:
            batches = self._key_set(project, include, filters, after, page)
        else:
            batches = self._named(project, include, filters, sorted({i for i in ids if i > after}), page)
        for batch in batches:
            if exact or lacking_version is None:
                yield batch
                continue
            standing = self.predictions(project, [raw["id"] for raw in batch])
            lacking = [
                raw
                for raw in batch
                if all(stored.model_version != lacking_version for stored in standing.get(raw["id"], ()))
            ]
            if lacking:
                yield lacking

    def _key_set(
        self, project: int, include: str, filters: _Filters, after: int, page: int
    ) -> Iterator[list[dict[str, Any]]]:
        while True:
            answer = self._listing(project, include, filters.also(_id("greater", after)), page)
            batch: list[dict[str, Any]] = answer["tasks"]
            if batch:
                yield batch
            if len(batch) < page or len(batch) == answer.get("total"):
                return
            after = batch[-1]["id"]

    def _named(
        self, project: int, include: str, filters: _Filters, ids: Sequence[int], page: int
    ) -> Iterator[list[dict[str, Any]]]:
        for start in range(0, len(ids), page):
            wanted = ids[start : start + page]
            if len(wanted) >= DENSE * (wanted[-1] - wanted[0] + 1):
                span = wanted[-1] - wanted[0] + 1
                chosen = frozenset(wanted)
                between = _id("in", {"min": wanted[0], "max": wanted[-1]})
                listed = self._list(project, include, filters.also(between), span)
                batch = [raw for raw in listed if raw["id"] in chosen]
            else:
                batch = []
                for first in range(0, len(wanted), SELECTED):
                    some = wanted[first : first + SELECTED]
                    batch += self._list(project, include, filters, len(some), included=some)
            if batch:
                yield batch

    def _list(
        self,
        project: int,
        include: str,
        filters: _Filters,
        page: int,
        *,
        included: Sequence[int] = (),
        everything: bool = False,
    ) -> list[dict[str, Any]]:
        answer = self._listing(project, include, filters, page, included=included, everything=everything)
        batch: list[dict[str, Any]] = answer["tasks"]
        return batch

    def _listing(
        self,
        project: int,
        include: str,
        filters: _Filters,
        page: int,
        *,
        included: Sequence[int] = (),
        everything: bool = False,
    ) -> Any:
        """Label Studio's answer: the first ``page`` ``tasks`` that the filters let through, and their ``total``."""
        query: dict[str, Any] = {"filters": filters.as_json(), "ordering": ["tasks:id"]}
        if included:  # an empty selection would mean all tasks
            query["selectedItems"] = {"all": False, "included": list(included)}
        return self.get(
            "api/tasks",
            project=project,
            page=1,
            page_size=page,
            **({"include": include} if include else {}),
            query=json.dumps(query, separators=(",", ":")),
            resolve_uri="false",  # data as imported: signed addresses change with every reading
            review="true",  # or listing makes Label Studio predict the page, where a project is set so
            **({"fields": "all"} if everything else {}),
        )

    def import_tasks(self, project: int, tasks: bytes, *, timeout_s: float = 300.0) -> list[int]:
        """Import a JSON array of tasks, sent once; returns the ids that Label Studio says it gave them.

        One task without a field that the labeling config shows refuses the whole call.

        Raises:
            LabelStudioUnreachableError: they were never sent.
            LabelStudioUnavailableError: they may have been imported, or may be yet.
            LabelStudioError: refused; nothing was imported.
        """
        answer = self.write(
            "POST",
            f"api/projects/{project}/import",
            params={"return_task_ids": "true"},
            content=tasks,
            headers={"Content-Type": "application/json"},
            timeout_s=timeout_s,
        )
        return [int(number) for number in answer.get("task_ids") or ()]

    def _view_filters(self, project: int, view: int) -> _Filters:
        found = self.get(f"api/dm/views/{view}")
        if found.get("project") not in (None, project):
            raise LabelStudioError(f"view {view} belongs to project {found['project']}, not to {project}.")
        filters = (found.get("data") or {}).get("filters") or {}
        return _Filters(tuple(filters.get("items") or ()), filters.get("conjunction") or "and")

    # -- annotations

    def annotated_tasks(self, project: int, *, after: int = 0, page: int = 200) -> Iterator[list[Task]]:
        """Pages of the project's annotated tasks with their data and all their annotations, by rising id.

        Cancelled (skipped) annotations are among them; drafts are not. ``after`` is a task id.
        """
        filters = _Filters().also(_ANNOTATED)
        while True:
            # asked for by name, annotations come without what they say
            answer = self._listing(project, "", filters.also(_id("greater", after)), page, everything=True)
            batch: list[dict[str, Any]] = answer["tasks"]
            if batch:
                yield [Task.from_json({**raw, "data": raw.get("data") or {}, "project": project}) for raw in batch]
            if len(batch) < page or len(batch) == answer.get("total"):
                return
            after = batch[-1]["id"]

    # -- predictions

    def predictions(self, project: int, tasks: Iterable[int]) -> dict[int, list[StoredPrediction]]:
        """What Label Studio holds for these tasks, oldest first; a task that does not exist is absent."""
        ids = sorted(set(tasks))
        found: dict[int, list[StoredPrediction]] = {}
        for start in range(0, len(ids), PREDICTIONS_PAGE):
            wanted = ids[start : start + PREDICTIONS_PAGE]
            span = wanted[-1] - wanted[0] + 1
            if len(wanted) >= DENSE * span:
                between = _Filters().also(_id("in", {"min": wanted[0], "max": wanted[-1]}))
                listed = self._list(project, "id,predictions", between, span, everything=True)
            else:
                listed = []
                for first in range(0, len(wanted), SELECTED):
                    some = wanted[first : first + SELECTED]
                    listed += self._list(
                        project, "id,predictions", _Filters(), len(some), included=some, everything=True
                    )
            chosen = frozenset(wanted)
            for raw in listed:
                if raw["id"] in chosen:
                    stored = [
                        StoredPrediction(
                            entry["id"],
                            raw["id"],
                            entry.get("model_version") or "",
                            {name: entry.get(name) for name in SELECTION},
                        )
                        for entry in raw.get("predictions") or ()
                    ]
                    found[raw["id"]] = sorted(stored, key=lambda entry: entry.id)
        return found

    def model_versions(self, project: int) -> dict[str, int]:
        """Number of predictions by model version: the cheapest question about predictions there is."""
        versions: dict[str, int] = self.get(f"api/projects/{project}/model-versions")
        return versions

    def import_predictions(self, project: int, predictions: bytes, *, timeout_s: float = 300.0) -> int:
        """Bulk import of a JSON array of predictions, sent once; returns how many Label Studio says it made.

        Label Studio leaves out what it finds invalid without a word, and stores a copy of what it already holds.

        Raises:
            LabelStudioUnreachableError: it was never sent.
            LabelStudioUnavailableError: it may have been stored, or may be stored yet.
            LabelStudioError: refused; `unknown_tasks` reads from its message which tasks do not exist.
        """
        answer = self.write(
            "POST",
            f"api/projects/{project}/import/predictions",
            content=predictions,
            headers={"Content-Type": "application/json"},
            timeout_s=timeout_s,
        )
        return int(answer["created"])

    def change_prediction(self, number: int, fields: Mapping[str, Any]) -> bool:
        """Set fields of a single prediction, as those of `SELECTION`; False where it is gone. Saying it again is safe.

        Raises:
            LabelStudioError: a value is refused, and as `Client.write`.
        """
        try:
            self.write("PATCH", f"api/predictions/{number}", json=dict(fields))
        except LabelStudioError as error:
            if error.http_status != httpx.codes.NOT_FOUND:
                raise
            return False
        return True

    def delete_predictions(self, ids: Iterable[int]) -> int:
        """Delete single predictions; one that is gone already counts as deleted. Returns how many were there."""
        return sum(self._delete_prediction(number) for number in ids)

    def _delete_prediction(self, number: int) -> bool:
        try:
            self.write("DELETE", f"api/predictions/{number}")
        except LabelStudioError as error:
            if error.http_status != httpx.codes.NOT_FOUND:
                raise
            return False
        return True

    def delete_version(self, project: int, version: str) -> int:
        """Delete all of the project's predictions of one version; returns how many those were."""
        if not version:
            raise LabelStudioError("deleting predictions needs a model version.")
        answer = self.write("DELETE", f"api/projects/{project}/model-versions", json={"model_version": version})
        return int((answer or {}).get("deleted_predictions", 0))

    # -- backends and webhooks

    def backends(self, project: int) -> list[dict[str, Any]]:
        """The project's ML backends. Label Studio asks each for its health and set-up before it answers."""
        found: list[dict[str, Any]] = self.get("api/ml", project=project)
        return found

    def create_backend(
        self,
        project: int,
        url: str,
        *,
        title: str = "prelabel",
        basic_auth: tuple[str, str] | None = None,
        interactive: bool = False,
        extra_params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Connect a backend; Label Studio asks it for health and set-up before it answers.

        Raises:
            LabelStudioError: Label Studio refused; its message carries the backend's reason phrase.
        """
        body: dict[str, Any] = {"project": project, "url": url, "title": title, "is_interactive": interactive}
        if basic_auth is not None:
            user, password = basic_auth
            body |= {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}
        if extra_params:
            body["extra_params"] = dict(extra_params)
        created: dict[str, Any] = self.write("POST", "api/ml", json=body)
        return created

    def delete_backend(self, backend: int) -> None:
        """Disconnect a backend; its webhook stays."""
        self.write("DELETE", f"api/ml/{backend}")

    def webhooks(self, project: int) -> list[dict[str, Any]]:
        """The project's webhooks: ``id``, ``url``, ``headers``, ``actions`` ..."""
        found: list[dict[str, Any]] = self.get("api/webhooks/", project=project)
        return [hook for hook in found if hook.get("project") in (None, project)]

    def set_webhook_headers(self, webhook: int, headers: Mapping[str, str]) -> dict[str, Any]:
        """Replace a webhook's headers (ten at most) and leave everything else as it is."""
        known = self.get(f"api/webhooks/{webhook}/")
        body = {
            "url": known["url"],
            "actions": known.get("actions") or [],  # a PATCH without them empties them
            "send_for_all_actions": known.get("send_for_all_actions", True),
            "headers": dict(headers),
        }
        changed: dict[str, Any] = self.write("PATCH", f"api/webhooks/{webhook}/", json=body)
        return changed


def unknown_tasks(message: str) -> set[int]:
    """Ids of tasks that a refused bulk import says do not exist in the project."""
    return {int(number) for pattern in _UNKNOWN_TASK for number in pattern.findall(message)}


@dataclass(frozen=True, slots=True)
class _Filters:
    """Filters of the Data Manager."""

    items: tuple[Mapping[str, Any], ...] = ()
    conjunction: str = "and"

    @property
    def either(self) -> bool:
        """Whether one of several is enough."""
        return self.conjunction == "or" and len(self.items) > 1

    def also(self, item: Mapping[str, Any]) -> _Filters:
        """These filters, and one more that must hold: beside them, or inside each of them."""
        if not self.either:
            return _Filters((*self.items, item))
        if any(known.get("child_filter") for known in self.items):
            raise LabelStudioError(
                "the view joins filters by 'or' that have conditions of their own; its tasks cannot be listed.",
                hint="Name the tasks by id, or join the filters by 'and'.",
            )
        return _Filters(tuple({**known, "child_filter": item} for known in self.items), "or")

    def as_json(self) -> dict[str, Any]:
        return {"conjunction": self.conjunction, "items": list(self.items)}


def _id(operator: str, value: object) -> dict[str, Any]:
    return {"filter": "filter:tasks:id", "operator": operator, "type": "Number", "value": value}


def _lacks(version: str) -> dict[str, Any]:
    return {
        "filter": "filter:tasks:predictions_model_versions",
        "operator": "not_contains",
        "type": "List",
        "value": [version],
    }
