"""The classes of what a model can say: corners and centres, immutability, names, and that they are documented."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest

from prelabel import labeling, outputs
from prelabel.outputs import Box, Choice, Mask, Output, Span, Unit

DOCS = Path(__file__).parents[2] / "docs" / "outputs.md"
CLASSES = [
    value
    for value in vars(outputs).values()
    if inspect.isclass(value) and issubclass(value, Output) and value is not Output
]


def test_a_box_from_two_corners_in_any_order() -> None:
    box = Box.from_xyxy(50, 60, 10, 20, "Car", score=0.5)
    assert (box.x, box.y, box.width, box.height, box.label, box.score) == (10, 20, 40, 40, "Car", 0.5)


def test_a_box_from_its_centre() -> None:
    box = Box.from_cxcywh(0.5, 0.5, 0.2, 0.4, unit=Unit.FRACTION)
    assert (box.x, box.y, box.width, box.height) == pytest.approx((0.4, 0.3, 0.2, 0.4))
    assert box.unit is Unit.FRACTION


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_output_is_frozen_and_has_the_common_fields(kind: type[Output]) -> None:
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert {"score", "control", "id", "of", "meta"} <= {field.name for field in dataclasses.fields(kind)}


def test_an_output_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Choice("a").label = "b"  # type: ignore[misc]


def test_outputs_are_compared_by_value_and_masks_by_identity() -> None:
    assert Span(0, 3, "PER") == Span(0, 3, "PER")
    pixels = np.zeros((2, 2), dtype=bool)
    assert Mask(pixels) != Mask(pixels)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_output_has_its_row_in_the_documentation(kind: type[Output]) -> None:
    (row,) = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{kind.__name__}`")]
    for takes in labeling.TAKES.get(kind, ()):
        assert f"`{takes.control}`" in row, f"{kind.__name__} goes to {takes.control} too"
