"""Label Studio's task JSON to :class:`Task`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prelabel.errors import TaskError


@dataclass(frozen=True, slots=True)
class Task:
    """One task as Label Studio sends it, reduced to what a model and the ledger need.

    ``id`` and ``project`` are None only for tasks that did not come from a Label Studio (``prelabel check``).
    ``data`` is the task's data as imported: the object tags' fields by name. ``annotations`` and ``predictions`` are
    Label Studio's JSON, present where Label Studio sent them.
    """

    id: int | None
    data: Mapping[str, Any]
    project: int | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    annotations: tuple[Mapping[str, Any], ...] = ()
    predictions: tuple[Mapping[str, Any], ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Label Studio's JSON as it came; empty where only id and data are known (bulk work)."""

    @classmethod
    def from_json(cls, raw: object) -> Task:
        """Read one task of a ``/predict`` request, a webhook, a task listing or an import file.

        A bare mapping without ``data`` (Label Studio's flat import form) is taken as the data itself.

        Raises:
            TaskError: ``raw`` is not an object, or its ``data`` is not one.
        """
        if not isinstance(raw, Mapping):
            raise TaskError(
                f"a task must be a JSON object, got {type(raw).__name__}.",
                hint='Send {"id": 1, "data": {"text": "..."}}.',
            )
        task_id = raw.get("id")
        if task_id is not None and (isinstance(task_id, bool) or not isinstance(task_id, int)):
            raise TaskError(f"a task's id must be an integer, got {task_id!r}.", hint="Use Label Studio's id.")
        if "data" not in raw:
            if task_id is not None:
                raise TaskError("the task has no 'data'.", hint='Send {"id": 1, "data": {...}}.', task=task_id)
            return cls(id=None, data=dict(raw))
        data = raw["data"]
        if not isinstance(data, Mapping):
            raise TaskError(
                f"the task's 'data' must be a JSON object, got {type(data).__name__}.",
                hint="List the object tags' fields in it.",
                task=task_id,
            )
        project, meta = raw.get("project"), raw.get("meta")
        return cls(
            id=task_id,
            data=data,
            project=project if isinstance(project, int) else None,
            meta=meta if isinstance(meta, Mapping) else {},
            annotations=_objects(raw.get("annotations")),
            predictions=_objects(raw.get("predictions")),
            raw=raw,
        )


def _objects(raw: object) -> tuple[Mapping[str, Any], ...]:
    """The objects of a JSON list; what is none is left aside, since a task can be predicted without it."""
    return tuple(each for each in raw if isinstance(each, Mapping)) if isinstance(raw, list | tuple) else ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about the thing an object tag shows, once it was read; None where it was not or cannot be.

    ``width`` and ``height`` are pixels after EXIF orientation; ``pages`` the same for each page of a multi-page image.
    ``duration_s`` is seconds of audio or video, ``frames_count`` and ``fps`` of video. ``text`` is the text itself.
    """

    width: int | None = None
    height: int | None = None
    pages: tuple[tuple[int, int], ...] = ()
    duration_s: float | None = None
    frames_count: int | None = None
    fps: float | None = None
    text: str | None = None
    paragraphs: tuple[str, ...] = ()
