"""A starting point for a model of one's own: `prelabel init`."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from prelabel.errors import PrelabelError, RequestError

KINDS = ("text", "image", "audio")
"""What a starting point can be for."""


def init(directory: Path, kind: str = "text", *, force: bool = False) -> list[Path]:
    """Write a model, its test, a labeling config, sample tasks and a README that work as they are.

    Args:
        directory: made where it does not exist.
        kind: one of `KINDS`.
        force: overwrite files of these names.

    Returns:
        The files written.

    Raises:
        RequestError: unknown kind, or (without ``force``) one of the files exists; then nothing is written.
    """
    if kind not in KINDS:
        raise RequestError(f"there is no starting point for {kind!r}.", hint=f"Choose one of {', '.join(KINDS)}.")
    source = files("prelabel") / "starting_points"
    names = ["model.py", "test_model.py", "label_config.xml", "tasks.json", "README.md"]
    there = [name for name in names if (directory / name).exists()]
    if there and not force:
        raise RequestError(
            f"{directory} already has {', '.join(there)}.", hint="Give another directory, or --force to overwrite."
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in names:
            if name == "tasks.json":
                tasks = json.dumps(_TASKS[kind](), indent=1, ensure_ascii=False)
                (directory / name).write_text(tasks + "\n", encoding="utf-8")
                continue
            with as_file(source / name if name == "README.md" else source / kind / name) as file:
                shutil.copyfile(file, directory / name)
    except OSError as error:
        raise PrelabelError(f"{directory} cannot be written: {error.strerror}.") from error
    return [directory / name for name in names]


def _texts() -> list[dict[str, Any]]:
    texts = ["I love this place, the people are wonderful.", "Awful: slow, broken and rude.", "It opens at nine."]
    return [{"data": {"text": text}} for text in texts]


def _images() -> list[dict[str, Any]]:
    """Rectangles on plain backgrounds, inline."""
    from PIL import Image  # noqa: PLC0415 (only for this kind)

    tasks = []
    for colour, place in (("navy", (40, 30, 150, 120)), ("darkgreen", (160, 60, 300, 200)), (None, None)):
        picture = Image.new("RGB", (320, 240), "whitesmoke")
        if colour is not None:
            picture.paste(colour, place)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", optimize=True)
        tasks.append({"data": {"image": _inline("image/png", buffer.getvalue())}})
    return tasks


def _sounds() -> list[dict[str, Any]]:
    """Tones between silences, inline."""
    import numpy as np  # noqa: PLC0415 (only for this kind)
    import soundfile  # noqa: PLC0415

    tasks = []
    for pitch, start, end in ((220.0, 0.5, 1.0), (440.0, 0.2, 1.4)):
        times = np.arange(2 * 8000) / 8000
        samples = np.sin(times * pitch * 2 * np.pi) * 0.3 * ((times >= start) & (times < end))
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, 8000, format="WAV", subtype="PCM_U8")
        tasks.append({"data": {"audio": _inline("audio/wav", buffer.getvalue())}})
    return tasks


def _inline(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


_TASKS: dict[str, Callable[[], list[dict[str, Any]]]] = {"text": _texts, "image": _images, "audio": _sounds}
