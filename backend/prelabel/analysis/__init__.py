"""Where a model run fails, whether another is better, and what people changed in its predictions.

Everything here works on matches (`prelabel.metrics`), so that a threshold may change without looking at geometry again.
"""

from typing import Literal, get_args

View = Literal[
    "true_positives",
    "false_positives",
    "true_negatives",
    "false_negatives",
    "low_precision",
    "low_recall",
    "low_f1",
    "low_iou",
    "low_confidence",
    "candidate_mislabels",
]
"""What `prelabel.analysis.views` can rank by; here, so that naming it does not load NumPy."""
VIEW_NAMES: tuple[View, ...] = get_args(View)
