"""Ground truth from a Label Studio project: which annotation of a task counts, as lines to be imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prelabel.labelstudio import LabelStudio
from prelabel.tasks import Task


def label_lines(
    label_studio: LabelStudio, project: int, instance: str, labeled: Iterable[int] = ()
) -> Iterator[dict[str, Any]]:
    """One line for each labeled task: its place, its data, and the regions of the annotation that counts.

    Then one for each of the tasks ``labeled`` before (rising ids) of which no annotation counts any more.
    """
    before = iter(labeled)
    old = next(before, None)
    for page in label_studio.annotated_tasks(project):
        for task in page:
            annotation = ground_truth(task)
            if annotation is None or task.id is None:
                continue
            while old is not None and old <= task.id:
                if old < task.id:
                    yield {"place": [instance, project, old], "data": {}, "unlabeled": True}
                old = next(before, None)
            yield {
                "place": [instance, project, task.id],
                "data": dict(task.data),
                "uuid": str(annotation.get("unique_id") or annotation.get("id") or ""),
                "result": annotation.get("result") or [],
            }
    while old is not None:
        yield {"place": [instance, project, old], "data": {}, "unlabeled": True}
        old = next(before, None)


def ground_truth(task: Task) -> Mapping[str, Any] | None:
    """The annotation that a person marked as ground truth, else the one changed last; never a cancelled one."""
    usable = [annotation for annotation in task.annotations if not annotation.get("was_cancelled")]
    return max(usable, key=_weight, default=None)


def _weight(annotation: Mapping[str, Any]) -> tuple[bool, str, int]:
    changed = annotation.get("updated_at") or annotation.get("created_at") or ""
    return bool(annotation.get("ground_truth")), str(changed), int(annotation.get("id") or 0)


def global_key(data: Mapping[str, Any], names: Iterable[str] = ("global_key", "globalKey")) -> str | None:
    """The global key that a task's data carries: that of the data row which the task was made from."""
    for name in names:
        found = data.get(name)
        if isinstance(found, str) and found:
            return found
    return None
