"""1,000 boxes on one image become a prediction that Label Studio takes: prelabel against label-studio-sdk, in one run.

    python benchmarks/boxes.py [--boxes 1000] [--repeat 20]

Both begin with what a detector returns: an array of corners in pixels, an array of scores, the names of the classes.
prelabel: the arrays as they are (`prelabel.predictions.make_prediction`), with labels mapped, boxes cut to the image,
regions, and the prediction's score. The SDK: percent by hand, a region object each (`control.label`), then
`LabelInterface.validate_prediction`; it maps no labels and lets boxes stick out of the image. Both results pass the
SDK's validator, which is checked first. Times are processor time, the best of the runs. The last two lines are the same
boxes said one by one, as plain Python and as `prelabel.Box`. The target is 15x for arrays.
"""

from __future__ import annotations

import argparse
import platform
from typing import Any

import numpy as np
from label_studio_sdk.label_interface import LabelInterface
from numpy.typing import NDArray
from timing import best_ms

from prelabel import Box, Facts, labeling
from prelabel.predictions import make_prediction

CONFIG = """<View><Image name="image" value="$image"/><RectangleLabels name="rect" toName="image">
<Label value="Car"/><Label value="Person"/><Label value="Bicycle"/></RectangleLabels></View>"""
WIDTH, HEIGHT = 1920, 1080
Detected = tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.float32]]


def detected(number: int, seed: int = 0) -> Detected:
    """Corners ``[N, 4]`` in pixels inside the image, class names, scores."""
    random = np.random.default_rng(seed)
    corners = random.random((number, 2)) * (WIDTH - 101, HEIGHT - 101)
    sides = 1 + random.random((number, 2)) * 100
    labels = random.choice(["Car", "Person", "Bicycle"], number)
    boxes = np.concatenate((corners, corners + sides), axis=1).astype(np.float32)
    return boxes, labels, random.random(number).astype(np.float32)


def by_prelabel(raw: object) -> dict[str, Any]:
    """What a wrapper's answer goes through."""
    facts = {"image": Facts(width=WIDTH, height=HEIGHT)}
    return make_prediction(raw, labeling.parse(CONFIG), facts, model_version="v").as_json()


def by_sdk(said: Detected, interface: LabelInterface, *, validated: bool = True) -> dict[str, Any]:
    """The same with label-studio-sdk's objects."""
    control = interface.get_control("rect")
    result = []
    boxes, labels, scores = (column.tolist() for column in said)
    for (x1, y1, x2, y2), label, score in zip(boxes, labels, scores, strict=True):
        region = control.label(
            x=x1 / WIDTH * 100, y=y1 / HEIGHT * 100, width=(x2 - x1) / WIDTH * 100, height=(y2 - y1) / HEIGHT * 100,
            rotation=0, label=label,
        )  # fmt: skip
        result.append({**region._dict(), "score": score, "original_width": WIDTH, "original_height": HEIGHT})
    prediction = {"result": result, "score": min(scores), "model_version": "v"}
    if validated and interface.validate_prediction(prediction, return_errors=True):
        raise SystemExit("the SDK refuses its own prediction")
    return prediction


def main() -> None:
    """Check that the SDK accepts both, then time them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()

    said, interface = detected(options.boxes), LabelInterface(CONFIG)
    arrays = {"boxes": said[0], "labels": said[1], "scores": said[2]}
    rows = list(zip(*(column.tolist() for column in said), strict=True))
    errors = interface.validate_prediction(by_prelabel(arrays), return_errors=True)
    if errors:
        raise SystemExit(f"the SDK refuses prelabel's prediction: {errors[:3]}")
    by_sdk(said, interface)
    theirs = best_ms(lambda: by_sdk(said, interface), max(5, options.repeat // 4))
    built = best_ms(lambda: by_sdk(said, interface, validated=False), max(5, options.repeat // 4))
    print(f"{options.boxes} boxes; Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"label-studio-sdk, build and validate  {theirs:9.2f} ms")
    print(f"label-studio-sdk, build only          {built:9.2f} ms")
    for name, work in (
        ("prelabel, arrays", lambda: by_prelabel(arrays)),
        ("prelabel, tuples", lambda: by_prelabel([(*four, label, score) for four, label, score in rows])),
        ("prelabel, Box each", lambda: by_prelabel([Box.from_xyxy(*r[0], r[1], score=r[2]) for r in rows])),
    ):
        ours = best_ms(work, options.repeat)
        print(f"{name:38}{ours:9.2f} ms{theirs / ours:9.1f}x")


if __name__ == "__main__":
    main()
