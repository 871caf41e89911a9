"""What it costs to turn a model's result into a prediction, without the model and without Label Studio.

Prints the least of several rounds for each case (other load on the machine only adds), and what of it is the adapters'
(plain Python to outputs) and the regions' (outputs to Label Studio's JSON).

    python benchmarks/conversion.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from prelabel.adapters import to_outputs
from prelabel.labeling import parse
from prelabel.predictions import make_prediction
from prelabel.regions import to_regions
from prelabel.tasks import Facts

ROUNDS = 30
CLASSES = parse(
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
BOXES = parse(
    '<View><Image name="image" value="$image"/><RectangleLabels name="boxes" toName="image">'
    '<Label value="Car"/><Label value="Person"/></RectangleLabels></View>'
)
FACTS = {"image": Facts(width=640, height=480), "text": Facts(text="a text")}
CORNERS = [(i % 600, i % 400, i % 600 + 20, i % 400 + 20) for i in range(1000)]


def least_us(call: Callable[[], Any], times: int) -> float:
    """Microseconds of one call, in the best of `ROUNDS` rounds of ``times`` calls."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(times):
            call()
        rounds.append((time.perf_counter() - start) / times)
    return min(rounds) * 1e6


def main() -> None:
    """Measure and print."""
    cases: dict[str, tuple[Any, Any, int]] = {
        "one class": ("Positive", CLASSES, 200),
        "a distribution": ({"Positive": 0.9, "Negative": 0.1}, CLASSES, 200),
        "1000 boxes (dicts)": ([{"box": each, "label": "Car", "score": 0.5} for each in CORNERS], BOXES, 1),
        "1000 boxes (tuples)": ([(*each, "Car", 0.5) for each in CORNERS], BOXES, 1),
    }
    cases["1000 boxes (outputs)"] = (to_outputs(cases["1000 boxes (tuples)"][0], BOXES), BOXES, 1)
    print(f"{'':22}{'whole':>12}{'adapters':>12}{'regions':>12}   microseconds")
    for name, (raw, config, times) in cases.items():
        outputs = to_outputs(raw, config)
        whole = least_us(lambda: make_prediction(raw, config, FACTS, model_version="m", policy="margin"), times)  # noqa: B023
        adapters = least_us(lambda: to_outputs(raw, config), times)  # noqa: B023
        regions = least_us(lambda: to_regions(outputs, config, FACTS), times)  # noqa: B023
        print(f"{name:22}{whole:12.1f}{adapters:12.1f}{regions:12.1f}")


if __name__ == "__main__":
    main()
