"""Numbers in tasks' data to a matrix, for models of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prelabel.errors import TaskError
from prelabel.tasks import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def matrix(tasks: Sequence[Task], columns: Sequence[str]) -> NDArray[np.float32]:
    """float32 ``[tasks, features]``: the fields in the order of ``columns``, a list in a field being several features.

    Raises:
        TaskError: a field is missing or holds something that is no number.
    """
    import numpy as np

    rows = [[number for column in columns for number in _numbers(task, column)] for task in tasks]
    width = len(rows[0]) if rows else 0
    for task, row in zip(tasks, rows, strict=True):
        if len(row) != width:
            raise TaskError(
                f"has {len(row)} features, other tasks of the batch {width}.",
                hint="Give every task lists of one length.",
                task=task.id,
            )
    return np.asarray(rows, dtype=np.float32).reshape(len(rows), width)


def columns(tasks: Sequence[Task], kinds: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """A column ``[tasks, 1]`` for each field, of the type that ``kinds`` says: a name of NumPy's, or ``str``.

    Raises:
        TaskError: a field is missing or holds something that is no number where one is wanted.
    """
    import numpy as np

    found: dict[str, NDArray[Any]] = {}
    for name, kind in kinds.items():
        if kind == "str":
            texts = [[str(_field(task, name))] for task in tasks]
            found[name] = np.array(texts, dtype=object).reshape(len(tasks), 1)
        else:
            found[name] = matrix(tasks, [name]).astype(kind)
    return found


def _field(task: Task, column: str) -> Any:
    if column not in task.data:
        raise TaskError(
            f"field {column!r} is missing, and the model asks for it.",
            hint=f"The task's data has {', '.join(map(str, task.data)) or 'nothing'}.",
            task=task.id,
        )
    return task.data[column]


def _numbers(task: Task, column: str) -> list[float]:
    value = _field(task, column)
    values = value if isinstance(value, (list, tuple)) else [value]
    try:
        return [float("nan") if each is None else float(each) for each in values]
    except (TypeError, ValueError) as error:
        raise TaskError(f"field {column!r} holds {value!r:.40}, which is no number.", task=task.id) from error
