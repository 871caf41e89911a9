"""1,000 boxes on one image become a prediction that Label Studio takes: prelabel against label-studio-sdk, in one run.

    python benchmarks/boxes.py [--boxes 1000] [--repeat 5]

prelabel: pixel boxes to regions, with labels mapped and bounds checked (`prelabel.regions.to_regions`), and the
prediction's score. The SDK: pixel boxes to percent by hand, a region object each (`control.label`), then
`LabelInterface.validate_prediction`; it maps no labels and lets boxes stick out of the image. Both results pass the
SDK's validator, which is checked first. Times are processor time, the best of the runs.
"""

from __future__ import annotations

import argparse
import platform
from typing import Any

import numpy as np
from label_studio_sdk.label_interface import LabelInterface
from timing import best_ms

from prelabel import Box, Facts, labeling
from prelabel.predictions import make_prediction

CONFIG = """<View><Image name="image" value="$image"/><RectangleLabels name="rect" toName="image">
<Label value="Car"/><Label value="Person"/><Label value="Bicycle"/></RectangleLabels></View>"""
WIDTH, HEIGHT = 1920, 1080
Row = tuple[float, float, float, float, str, float]


def rows(number: int, seed: int = 0) -> list[Row]:
    """Left, top, width, height in pixels inside the image; label, score."""
    random = np.random.default_rng(seed)
    corners = random.random((number, 2)) * (WIDTH - 101, HEIGHT - 101)
    sides = 1 + random.random((number, 2)) * 100
    labels = random.choice(["Car", "Person", "Bicycle"], number)
    scores = random.random(number)
    return [
        (float(x), float(y), float(w), float(h), str(label), float(score))
        for (x, y), (w, h), label, score in zip(corners, sides, labels, scores, strict=True)
    ]


def by_prelabel(said: list[Row]) -> dict[str, Any]:
    """What a wrapper's answer goes through."""
    boxes = [Box(x, y, w, h, label, score=score) for x, y, w, h, label, score in said]
    facts = {"image": Facts(width=WIDTH, height=HEIGHT)}
    return make_prediction(boxes, labeling.parse(CONFIG), facts, model_version="v").as_json()


def by_sdk(said: list[Row], interface: LabelInterface, *, validated: bool = True) -> dict[str, Any]:
    """The same with label-studio-sdk's objects."""
    control = interface.get_control("rect")
    result = []
    for x, y, w, h, label, score in said:
        region = control.label(
            x=x / WIDTH * 100, y=y / HEIGHT * 100, width=w / WIDTH * 100, height=h / HEIGHT * 100, rotation=0,
            label=label,
        )  # fmt: skip
        result.append({**region._dict(), "score": score, "original_width": WIDTH, "original_height": HEIGHT})
    prediction = {"result": result, "score": min(row[5] for row in said), "model_version": "v"}
    if validated and interface.validate_prediction(prediction, return_errors=True):
        raise SystemExit("the SDK refuses its own prediction")
    return prediction


def main() -> None:
    """Check that the SDK accepts both, then time them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()

    said, interface = rows(options.boxes), LabelInterface(CONFIG)
    errors = interface.validate_prediction(by_prelabel(said), return_errors=True)
    if errors:
        raise SystemExit(f"the SDK refuses prelabel's prediction: {errors[:3]}")
    by_sdk(said, interface)
    ours = best_ms(lambda: by_prelabel(said), options.repeat)
    theirs = best_ms(lambda: by_sdk(said, interface), options.repeat)
    built = best_ms(lambda: by_sdk(said, interface, validated=False), options.repeat)
    print(f"{options.boxes} boxes; Python {platform.python_version()}")
    print(f"label-studio-sdk, build and validate  {theirs:9.1f} ms")
    print(f"label-studio-sdk, build only          {built:9.1f} ms")
    print(f"prelabel, build with checked bounds   {ours:9.1f} ms")
    print(f"ratio to build and validate           {theirs / ours:9.1f}x")


if __name__ == "__main__":
    main()
