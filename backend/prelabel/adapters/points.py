"""Keypoints by column, with the names of the points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prelabel import outputs as o
from prelabel.adapters.menu import Menu

PointNames = Sequence[str] | None
COCO_POINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""COCO's 17 points of a person in their order: https://cocodataset.org/#format-data."""


def keypoints(  # noqa: PLR0917 (columns)
    menu: Menu, raw: Any, points: Any, scores: Any, names: PointNames, labels: Sequence[str] | None, unit: o.Unit
) -> list[o.Output]:
    """One `Keypoint` for each point of each instance; points at 0, 0 or not finite were not found.

    Args:
        menu: the config.
        raw: what the error shows.
        points: ``[N, K, 2]``, or with a third column: scores, or COCO's visibility 0, 1, 2 (0: not found).
        scores: ``[N, K]`` or None.
        names: of the K points.
        labels: the instances' classes.
        unit: of the coordinates.
    """
    places = np.asarray(points, dtype=np.float64)
    if places.ndim != 3 or places.shape[2] not in (2, 3):
        raise menu.refuse(raw, f"has keypoints of the shape {list(places.shape)} instead of [N, K, 2]")
    found = np.isfinite(places[:, :, :2]).all(axis=2) & (places[:, :, :2] != 0).any(axis=2)
    shares = None if scores is None else np.asarray(scores, dtype=np.float64).reshape(places.shape[:2])
    if places.shape[2] == 3 and shares is None:
        third = places[:, :, 2]
        found &= third > 0
        shares = None if (third > 1).any() or set(np.unique(third)) <= {0.0, 1.0} else third
    if shares is not None and ((shares < 0) | (shares > 1)).any():
        shares = None  # logits, as torchvision's keypoints_scores are
    told = _names(menu, raw, places.shape[1], names, labels)
    said: list[o.Output] = []
    for one, point in zip(*(each.tolist() for each in np.nonzero(found)), strict=True):
        x, y = places[one, point, :2].tolist()
        label = told[point] if told is not None else labels[one] if labels is not None else None
        score = None if shares is None else float(shares[one, point])
        said.append(o.Keypoint(x, y, label, unit, score=score, control=menu.control_name))
    return said


def _names(
    menu: Menu, raw: Any, number: int, names: PointNames, labels: Sequence[str] | None
) -> Sequence[str | None] | None:
    """What each of the points is called; None where each is called as its instance."""
    controls = menu.takes(o.Keypoint)
    known = [name for name in (names, menu.names, COCO_POINTS, [str(i) for i in range(number)]) if name]
    for each in known:
        if len(each) == number and (each is names or any(menu.knows(c, name) for c in controls for name in each)):
            return each
    if labels is not None and any(menu.knows(control, label) for control in controls for label in labels):
        return None
    if any(menu.config.label_control(control) is None or menu.only_label(control) for control in controls):
        return [None] * number
    raise menu.refuse(raw, f'has {number} keypoints without names the config knows: give them under "names"')
