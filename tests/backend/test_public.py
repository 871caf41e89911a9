"""The public surface: what `from prelabel import ...` offers, and that it stays light."""

from __future__ import annotations

import subprocess
import sys

import pytest

import prelabel
from prelabel import outputs

HEAVY = ("numpy", "PIL", "soundfile", "label_studio_sdk", "sqlalchemy", "rq", "redis", "flask", "httpx", "cv2", "lxml")

PUBLIC = {
    "Audio", "Box", "BoxPrompt", "Boxes", "BrushPrompt", "ChatMessage", "Choice", "Choices", "Client", "DateTime",
    "Ellipse", "EllipsePrompt", "Facts", "FrameSpan", "InputKind", "Item", "Keypoint", "LabelingConfig", "Mask",
    "ModelWrapper", "Number", "Output", "ParagraphSpan", "PointPrompt", "Polygon", "PolygonPrompt", "Polyline",
    "Preference", "PrelabelError", "Prompt", "Prompts", "Ranking", "Rating", "Raw", "Regions", "Relation",
    "Segment", "SeriesSegment", "Silence", "Span", "Task", "Taxonomy", "Text", "TextPrompt", "Track", "TrackBox",
    "TrackLine", "Unit", "VectorTrack", "__version__", "parse",
}  # fmt: skip


def test_the_public_names_are_these_and_each_is_there() -> None:
    assert set(prelabel.__all__) == PUBLIC
    for name in prelabel.__all__:
        assert getattr(prelabel, name) is not None


def test_every_output_class_is_public() -> None:
    defined = {
        name
        for name, value in vars(outputs).items()
        if isinstance(value, type) and value.__module__ == outputs.__name__
    }
    assert defined <= PUBLIC


def test_a_name_that_is_not_there_says_so() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Chioce'"):
        _ = prelabel.Chioce


def test_importing_prelabel_loads_nothing_heavy() -> None:
    code = f"import sys, prelabel; print([m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_making_outputs_and_parsing_a_config_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from prelabel import Choice, Facts, Box, parse\n"
        "from prelabel.regions import to_regions\n"
        'config = parse(\'<View><Text name="t" value="$t"/><Choices name="c" toName="t">'
        '<Choice value="a"/></Choices></View>\')\n'
        "assert to_regions([Choice('a')], config).result\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
