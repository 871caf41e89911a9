"""Counts and IoU against the reference functions of the labelbox package."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from prelabel.metrics.instances import Instance
from prelabel.metrics.matching import match_row
from prelabel.metrics.summary import summarize

with warnings.catch_warnings():  # the package warns of itself when it is imported
    warnings.simplefilter("ignore")
    types = pytest.importorskip("labelbox.types", exc_type=ImportError)
    reference = pytest.importorskip("labelbox.data.metrics", exc_type=ImportError)

Side = list[Instance]


def annotation(one: Instance) -> Any:
    """The labelbox package's object for an instance."""
    if one.kind == "choice":
        answer = types.ClassificationAnswer(name=one.feature)
        value = types.Radio(answer=answer) if one.exclusive else types.Checklist(answer=[answer])
        return types.ClassificationAnnotation(name=one.question, value=value)
    value = one.value
    made = {
        "box": lambda: types.Rectangle(
            start=types.Point(x=value[0], y=value[1]), end=types.Point(x=value[2], y=value[3])
        ),
        "polygon": lambda: types.Polygon(points=[types.Point(x=x, y=y) for x, y in value]),
        "polyline": lambda: types.Line(points=[types.Point(x=x, y=y) for x, y in value]),
        "point": lambda: types.Point(x=value[0], y=value[1]),
        "span": lambda: types.TextEntity(start=value[0], end=value[1]),
        "mask": lambda: types.Mask(mask=types.MaskData.from_2D_arr(value.astype(np.uint8)), color=(1, 1, 1)),
    }[one.kind]()
    return types.ObjectAnnotation(name=one.feature, value=made)


def theirs(predictions: Side, annotations: Side, iou: float) -> tuple[dict[str, list[float]], dict[str, float]]:
    """[TP, FP, TN, FN] and IoU of each class."""
    said, there = [annotation(one) for one in predictions], [annotation(one) for one in annotations]
    counts = reference.feature_confusion_matrix_metric(there, said, include_subclasses=False, iou=iou)
    ious = reference.feature_miou_metric(there, said, include_subclasses=True)
    return {one.feature_name: list(one.value) for one in counts}, {one.feature_name: one.value for one in ious}


def ours(predictions: Side, annotations: Side, iou: float) -> tuple[dict[str, list[float]], dict[str, float | None]]:
    """The same by prelabel."""
    made = summarize({"row": match_row(predictions, annotations)}, iou=iou, all_rows=True).classes
    counts = {name: [float(one.tp), float(one.fp), 0.0, float(one.fn)] for name, one in made.items()}
    return counts, {name: one.iou for name, one in made.items()}


def scattered(kind: str, seed: int, number: int) -> Side:
    """Things of one kind and three classes, near enough to overlap."""
    random = np.random.default_rng(seed)
    found: Side = []
    for _ in range(number):
        x, y = random.uniform(0, 200, 2).tolist()
        w, h = random.uniform(20, 120, 2).tolist()
        value: Any = {
            "box": (x, y, x + w, y + h),
            "polygon": ((x, y), (x + w, y + h / 3), (x + w / 2, y + h)),
            "polyline": ((x, y), (x + w, y + h), (x + 2 * w, y)),
            "point": (x, y),
            "span": (int(x), int(x + w)),
        }.get(kind)
        if kind == "mask":
            value = np.zeros((60, 80), dtype=np.bool_)
            value[int(y / 5) : int(y / 5) + 20, int(x / 5) : int(x / 5) + 25] = True
        found.append(Instance(kind, str(random.choice(["cat", "dog", "cow"])), value))  # type: ignore[arg-type]
    return found


def nudged(things: Sequence[Instance]) -> Side:
    """The same things a little off, some of another class, one missing."""
    found: Side = []
    for place, one in enumerate(things[1:]):
        value: Any = one.value
        if one.kind == "mask":
            value = np.roll(value, place % 5, axis=1)
        elif one.kind == "span":
            value = (value[0] + place % 4, value[1] + place % 3)
        elif one.kind in {"polygon", "polyline"}:
            value = tuple((x + 3.0 * (place % 5), y) for x, y in value)
        else:
            value = tuple(side + 3.0 * (place % 5) for side in value)
        found.append(Instance(one.kind, "cow" if place % 6 == 5 else one.feature, value))
    return found


@pytest.mark.parametrize("kind", ["box", "polygon", "point", "polyline", "mask", "span"])
@pytest.mark.parametrize("iou", [0.3, 0.5, 0.8])
def test_objects_are_counted_as_labelbox_counts_them(kind: str, iou: float) -> None:
    for seed in range(4):
        annotations = scattered(kind, seed, 9)
        predictions = [*nudged(annotations), *scattered(kind, seed + 100, 3)]
        counts, ious = ours(predictions, annotations, iou)
        their_counts, their_ious = theirs(predictions, annotations, iou)
        assert counts == their_counts
        assert ious == pytest.approx(their_ious, abs=1e-6)


def test_the_data_row_s_iou_is_labelbox_s() -> None:
    annotations = scattered("box", 1, 9)
    predictions = nudged(annotations)
    (metric,) = reference.miou_metric(
        [annotation(one) for one in annotations], [annotation(one) for one in predictions]
    )
    made = summarize({"row": match_row(predictions, annotations)})
    assert made.rows["row"].iou == pytest.approx(metric.value)
    (total,) = reference.confusion_matrix_metric(
        [annotation(one) for one in annotations], [annotation(one) for one in predictions]
    )
    assert (made.run.tp, made.run.fp, made.run.fn) == (total.value[0], total.value[1], total.value[3])


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize(
    ("said", "there"), [(["a"], ["a"]), (["a"], ["b"]), (["a", "b"], ["b"]), ([], ["a"]), (["a"], [])]
)
def test_answers_are_counted_as_labelbox_counts_them(said: list[str], there: list[str], exclusive: bool) -> None:
    predictions, annotations = (
        [Instance("choice", name, name, "question", exclusive=exclusive) for name in names] for names in (said, there)
    )
    assert ours(predictions, annotations, 0.5)[0] == theirs(predictions, annotations, 0.5)[0]
