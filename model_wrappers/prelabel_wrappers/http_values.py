"""What a task shows as JSON: texts as they are, pictures, sounds and files in Base64, tables by column."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prelabel.model import Audio, Item
from prelabel.tasks import Task


def seen(item: Any, number: int = 0) -> dict[str, Any]:
    """What an expression that builds a request sees of one element of a batch.

    ``value`` is what the primary object tag shows, ``values`` every object tag's by name, ``data`` the task's data,
    ``id`` and ``project`` the task's, ``labels`` the config's labels by control, ``number`` the place in the batch.
    """
    if isinstance(item, Item):
        task, value, values = item.task, item.value, item.values
        labels = {control.name: list(control.labels) for control in item.config.controls if control.labels}
    else:
        task, value, values, labels = item if isinstance(item, Task) else Task(None, {}), item, {}, {}
    return {
        "value": None if isinstance(value, Task) else as_json(value),
        "values": {name: as_json(each) for name, each in values.items()},
        "data": dict(task.data),
        "id": task.id,
        "project": task.project,
        "labels": labels,
        "number": number,
    }


def as_json(value: Any) -> Any:
    """A value as JSON carries it: PNG, WAV and files as Base64, arrays as lists."""
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    if isinstance(value, Audio):
        return _base64(_wav(value))
    if isinstance(value, Path):
        return _base64(value.read_bytes())
    if hasattr(value, "getbands"):
        into = io.BytesIO()
        value.save(into, "PNG")
        return _base64(into.getvalue())
    return value.tolist() if hasattr(value, "tolist") else value


def _wav(sound: Audio) -> bytes:
    import soundfile

    into = io.BytesIO()
    soundfile.write(into, sound.samples, sound.rate, format="WAV", subtype="PCM_16")
    return into.getvalue()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
