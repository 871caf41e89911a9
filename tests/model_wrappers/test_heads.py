"""Tensors of the forms that networks say things in, written down by hand; and where they lie in the image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from prelabel.errors import ModelLoadError
from prelabel.outputs import Boxes, Mask
from prelabel_wrappers.heads import BODY, Head, decided
from prelabel_wrappers.pixels import Placement, Preparation, Resize

NET = (100, 100)
PLACE = Placement((200, 400), NET, (0.5, 0.25))
"""An image of 200x400 pixels, squashed into an input of 100x100."""


def boxes(*tensors: Any, labels: tuple[str, ...] | None = ("cat", "dog"), **rest: Any) -> list[Any]:
    """What is said of one image, as (label, score, corners)."""
    read = Head("boxes", labels, **rest).read(
        [np.asarray(tensor, dtype=np.float32)[None] for tensor in tensors], [PLACE]
    )
    found = []
    for each in read[0]:
        assert isinstance(each, Boxes)
        corners = np.asarray(each.corners).round(3).tolist()
        scores = np.asarray(each.scores).round(3).tolist()
        found += zip(each.labels or (), scores, corners, strict=True)
    return found


def test_rows_of_corners_score_and_class() -> None:
    rows = [[10, 20, 30, 40, 0.9, 1], [50, 50, 60, 60, 0.2, 0]]
    assert boxes(rows) == [("dog", 0.9, [20, 80, 60, 160])]


def test_columns_of_yolo_are_centre_size_and_a_score_per_class() -> None:
    columns = np.array([[20, 30, 20, 20, 0.1, 0.8], [80, 80, 10, 10, 0.7, 0.2]] + [[0] * 6] * 8).T
    assert boxes(columns) == [("dog", 0.8, [20, 80, 60, 160]), ("cat", 0.7, [150, 300, 170, 340])]


def test_columns_of_older_yolo_have_an_objectness() -> None:
    rows = [[20, 30, 20, 20, 0.5, 0.1, 1.0], [20, 30, 20, 20, 0.9, 0.1, 1.0]] + [[0] * 7] * 8
    assert boxes(rows) == [("dog", 0.9, [20, 80, 60, 160])]


def test_four_tensors_of_ssd_are_shares_top_first() -> None:
    corners = [[0.2, 0.1, 0.4, 0.3], [0, 0, 1, 1]]
    assert boxes(corners, [1, 0], [0.75, 0.6], [1]) == [("dog", 0.75, [20, 80, 60, 160])]


def test_boxes_that_overlap_a_better_one_of_their_class_are_dropped() -> None:
    rows = [[0, 0, 10, 10, 0.8, 0], [1, 1, 11, 11, 0.9, 0], [1, 1, 11, 11, 0.7, 1], [50, 50, 60, 60, 0.6, 0]]
    assert [score for _, score, _ in boxes(rows)] == [0.9, 0.7, 0.6]
    assert len(boxes(rows, overlap=0.9)) == 4


def test_boxes_without_names_have_their_class_as_label() -> None:
    assert boxes([[10, 20, 30, 40, 0.9, 7]], labels=None)[0][0] == "7"


def test_a_class_beyond_the_labels_is_named() -> None:
    with pytest.raises(ModelLoadError, match=r"class 7, the labels are 2"):
        boxes([[10, 20, 30, 40, 0.9, 7]])


def test_several_planes_are_a_mask_for_each_class_but_the_background() -> None:
    planes = np.zeros((1, 3, 4, 4), dtype=np.float32)
    planes[0, 0] = 1.0  # background
    planes[0, 1, :2, :2], planes[0, 2, 2:, :] = 5.0, 9.0
    square = Placement((4, 4), (4, 4), (1, 1))
    (masks,) = Head("mask", ("nothing", "cat", "dog")).read([planes], [square])
    assert [mask.label for mask in masks] == ["cat", "dog"]
    assert masks[0].array.tolist() == [[True, True, False, False]] * 2 + [[False] * 4] * 2
    assert Head("mask", ("cat", "dog")).read([planes], [square])[0][1].label == "dog"


def test_points_are_put_back_into_the_image() -> None:
    points = np.zeros((1, 1, 17, 3), dtype=np.float32)
    points[0, 0, 0] = (0.5, 0.25, 0.9)
    ((nose,),) = Head("points", BODY).read([points], [PLACE])
    assert (nose.label, nose.x, nose.y) == ("nose", 50, 200)


@pytest.mark.parametrize(
    ("shapes", "kind"),
    [
        ([["n", 1000]], "class"),
        ([[1, 1000, 1, 1]], "class"),
        ([[1, 1, 320, 320]], "mask"),
        ([["n", 21, "h", "w"]], "mask"),
        ([[1, 84, 8400]], "boxes"),
        ([[1, 300, 6]], "boxes"),
        ([[1, 10, 4], [1, 10], [1, 10], [1]], "boxes"),
        ([[1, 1, 17, 3]], "points"),
    ],
)
def test_the_shape_decides_what_is_said(shapes: list[list[Any]], kind: str) -> None:
    assert decided("auto", shapes) == kind


def test_what_the_shape_leaves_open_is_asked() -> None:
    with pytest.raises(ModelLoadError, match="unclear") as refused:
        decided("auto", [[1, 5], [1, 6]])
    assert "--opt says=" in refused.value.hint


def test_scores_are_activated_row_by_row() -> None:
    raw = np.array([[0.25, 0.75], [2.0, 0.0]], dtype=np.float32)
    first, second = Head("class", ("no", "yes")).read([raw], [None, None])
    assert first.score == pytest.approx(0.75)
    assert second.score == pytest.approx(0.8808, abs=1e-4)


@pytest.mark.parametrize("resize", ["squash", "pad", "crop"])
@pytest.mark.parametrize("size", [(300, 120), (90, 200), (64, 64)])
def test_what_a_network_sees_is_put_back_where_it_was(resize: Resize, size: tuple[int, int]) -> None:
    """A white square in the middle, found as the bright pixels of the network's input."""
    width, height = size
    image = Image.new("RGB", size)
    square = (width // 2 - 15, height // 2 - 15, width // 2 + 15, height // 2 + 15)
    ImageDraw.Draw(image).rectangle((square[0], square[1], square[2] - 1, square[3] - 1), fill="white")
    preparation = Preparation((64, 64), resize, channels="gray")
    (seen,) = preparation.batch([image])[:, 0]
    place = preparation.place(image.size)
    bright = place.plane(seen) > 0.5
    rows, columns = np.nonzero(bright)
    assert bright.shape == (height, width)
    assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == pytest.approx(square, abs=4)
    rows, columns = np.nonzero(seen > 0.5)
    corners = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]])
    assert place.points(corners).reshape(-1).tolist() == pytest.approx(square, abs=5)


def test_a_mask_of_nothing_is_no_mask() -> None:
    assert Head("mask", ("cat",)).read([np.zeros((1, 1, 8, 8))], [Placement((8, 8), (8, 8), (1, 1))]) == [[]]
    assert not isinstance(Head("boxes", None).read([np.zeros((1, 3, 6))], [PLACE])[0], Mask)
