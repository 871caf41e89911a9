"""All metrics of 5,000 images with 10 boxes each against as many annotations, beside faster-coco-eval's mAP alone.

    python benchmarks/metrics.py [--images 5000] [--boxes 10] [--repeat 1]

prelabel: from instances to all overlaps, counts per class at ten IoU thresholds, counts per data row and the confusion
matrix at the first, and mAP (`match_rows`, `summarize`, `average_precision`). faster-coco-eval: from finished COCO
dictionaries (the making of which is not timed) to mAP, once as its documentation has it (four ranges of area, three
limits of predictions per image) and once with what mAP alone needs, one of each, as prelabel calls it. All must give
the same mAP, which is checked. Times are processor time, the best of the runs; one run varies by a third, so look at
the ratios of several.
"""

from __future__ import annotations

import argparse
import platform
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from timing import best_ms

from prelabel.metrics.detection import EVERY_AREA, MOST_PER_IMAGE, Detection, average_precision
from prelabel.metrics.instances import Instance
from prelabel.metrics.matching import Both, match_rows
from prelabel.metrics.summary import summarize

CLASSES = ("Car", "Person", "Bicycle", "Bus", "Sign")
IOUS = tuple(place / 20 for place in range(10, 20))


def rows(images: int, boxes: int, seed: int = 0) -> dict[str, Both]:
    """Annotations at random places; predictions near them, one in ten with another class."""
    random = np.random.default_rng(seed)
    found: dict[str, Both] = {}
    for image in range(images):
        corners = random.random((boxes, 2)) * (1800, 900)
        annotated = np.hstack((corners, corners + 20 + random.random((boxes, 2)) * 100))
        predicted = annotated + random.normal(0, 4, annotated.shape)
        predicted[:, 2:] = np.maximum(predicted[:, 2:], predicted[:, :2] + 1)
        classes = random.integers(0, len(CLASSES), boxes)
        said = np.where(random.random(boxes) < 0.9, classes, random.integers(0, len(CLASSES), boxes))
        scores = random.random(boxes).tolist()
        found[str(image)] = (
            [
                Instance("box", CLASSES[cls], tuple(box), confidence=score)
                for cls, box, score in zip(said.tolist(), predicted.tolist(), scores, strict=True)
            ],
            [
                Instance("box", CLASSES[cls], tuple(box))
                for cls, box in zip(classes.tolist(), annotated.tolist(), strict=True)
            ],
        )
    return found


def as_coco(said: dict[str, Both]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """COCO's annotations and results."""
    sides: list[list[dict[str, Any]]] = [[], []]
    for image, both in enumerate(said.values(), 1):
        for entries, instances in zip(sides, both, strict=True):
            for one in instances:
                x1, y1, x2, y2 = one.value
                entries.append(
                    {
                        "id": len(entries) + 1, "image_id": image, "category_id": CLASSES.index(one.feature) + 1,
                        "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0,
                        "score": one.confidence,
                    }
                )  # fmt: skip
    dataset = {
        "images": [{"id": image + 1} for image in range(len(said))],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)],
        "annotations": sides[1],
    }
    return dataset, sides[0]


def by_coco(dataset: dict[str, Any], results: list[dict[str, Any]], *, only_map: bool = False) -> float:
    """mAP as faster-coco-eval's documentation has it; ``only_map``: without the other ranges and limits."""
    truth = COCO(dataset)
    evaluation = COCOeval_faster(truth, truth.loadRes([dict(one) for one in results]), iouType="bbox")
    if only_map:
        evaluation.params.maxDets = [MOST_PER_IMAGE]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = EVERY_AREA, ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    if only_map:  # its summary wants all ranges and limits
        precision = np.asarray(evaluation.eval["precision"])
        return float(precision[precision > -1].mean())
    evaluation.summarize()
    return float(evaluation.stats_as_dict["AP_all"])


def counts(said: dict[str, Both]) -> None:
    """Overlaps; counts per class at all thresholds; counts per data row and confusion at the first."""
    matches = match_rows(said)
    summaries = [summarize(matches, 0.5, iou) for iou in IOUS]
    if not all(summary.classes for summary in summaries):
        raise SystemExit("nothing was counted")
    if not summaries[0].rows or not summaries[0].confusion:
        raise SystemExit("no data row was counted")


def by_prelabel(said: dict[str, Both]) -> Detection:
    """All of it."""
    counts(said)
    return average_precision(said)


def main() -> None:
    """Check that both agree, then time them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--boxes", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()

    few = rows(50, options.boxes)
    ours, theirs, least = by_prelabel(few).all.ap, by_coco(*as_coco(few)), by_coco(*as_coco(few), only_map=True)
    if ours is None or abs(ours - theirs) > 1e-9 or abs(ours - least) > 1e-9:
        raise SystemExit(f"mAP differs: {ours}, {theirs} and {least}")
    said = rows(options.images, options.boxes)
    dataset, results = as_coco(said)
    alone = best_ms(lambda: by_coco(dataset, results), options.repeat)
    alone_least = best_ms(lambda: by_coco(dataset, results, only_map=True), options.repeat)
    counted = best_ms(lambda: counts(said), options.repeat)
    everything = best_ms(lambda: by_prelabel(said), options.repeat)
    print(f"{options.images} images with {options.boxes} boxes; Python {platform.python_version()}")
    print(f"faster-coco-eval, as documented           {alone:9.0f} ms")
    print(f"faster-coco-eval, what mAP needs          {alone_least:9.0f} ms")
    print(f"prelabel, counts at {len(IOUS)} IoU thresholds     {counted:9.0f} ms")
    print(f"prelabel, counts and mAP                  {everything:9.0f} ms")
    print(f"ratio to the one as documented            {everything / alone:9.2f}x")
    print(f"ratio to what mAP needs                   {everything / alone_least:9.2f}x")


if __name__ == "__main__":
    main()
