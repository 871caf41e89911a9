"""What a model learns from: tasks with what a person said of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from prelabel.errors import PrelabelError
from prelabel.labeling import LabelingConfig
from prelabel.outputs import Choice, Choices, Output
from prelabel.regions.reading import to_outputs
from prelabel.runs.labels import ground_truth
from prelabel.tasks import Task

if TYPE_CHECKING:
    from prelabel.data import DataReader
    from prelabel.labelstudio import LabelStudio
    from prelabel.model import ModelWrapper

PAGE = 256
"""Tasks whose data is read ahead together."""


@dataclass(frozen=True, slots=True)
class Example:
    """One annotated task.

    ``value`` is what `ModelWrapper.predict` gets of the task (text, image ...), ``result`` the regions of the
    annotation that counts, as Label Studio has them: the one marked as ground truth, else the one changed last; never a
    skipped one.
    """

    task: Task
    value: Any
    result: tuple[Mapping[str, Any], ...]
    config: LabelingConfig

    @property
    def outputs(self) -> list[Output]:
        """The annotation as outputs; see `prelabel.regions.reading.to_outputs`."""
        return to_outputs(self.result)

    @property
    def choices(self) -> list[Choice | Choices]:
        """The classes of the whole item, as each control has them."""
        return [one for one in self.outputs if isinstance(one, Choice | Choices) and one.of is None]

    @property
    def label(self) -> str | None:
        """The one class of the whole item, as the labeling config calls it; None where there is none, or several."""
        said = self.choices
        return said[0].label if len(said) == 1 and isinstance(said[0], Choice) else None

    @property
    def labels(self) -> tuple[str, ...]:
        """All classes of the whole item."""
        return tuple(
            label for one in self.choices for label in ((one.label,) if isinstance(one, Choice) else one.labels)
        )


def examples_of(
    label_studio: LabelStudio,
    project: int,
    config: LabelingConfig,
    wrapper: ModelWrapper,
    reader: DataReader,
    *,
    unread: list[PrelabelError],
) -> Iterator[Example]:
    """Stream a project's annotated tasks, their data read ahead; memory does not grow with the project.

    Args:
        label_studio: the client.
        project: its id.
        config: its labeling config.
        wrapper: says in which type it wants the values.
        reader: reads what tasks point at.
        unread: gets the errors of tasks whose data cannot be read; they are no examples.
    """
    primary = config.primary_object(wrapper.outputs, wrapper.input)
    for batch in _batches(_annotated(label_studio, project)):
        tasks = [task for task, _ in batch]
        read = reader.inputs(tasks, config, primary, wrapper.input, context=None)
        for (task, result), found in zip(batch, read, strict=True):
            if isinstance(found, PrelabelError):
                unread.append(found)
            else:
                yield Example(task, found.value, result, config)


def _annotated(label_studio: LabelStudio, project: int) -> Iterator[tuple[Task, tuple[Mapping[str, Any], ...]]]:
    for page in label_studio.annotated_tasks(project):
        for task in page:
            annotation = ground_truth(task)
            if annotation is not None and task.id is not None:
                yield task, tuple(annotation.get("result") or ())


def _batches(
    found: Iterable[tuple[Task, tuple[Mapping[str, Any], ...]]],
) -> Iterator[Sequence[tuple[Task, tuple[Mapping[str, Any], ...]]]]:
    numbers = iter(found)
    while batch := list(islice(numbers, PAGE)):
        yield batch
