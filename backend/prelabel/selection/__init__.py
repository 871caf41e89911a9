"""What to label next: priorities, clusters, neighbours and suspicious labels, from arrays."""

from prelabel.selection.arms import Arm, ArmReport, arm_report
from prelabel.selection.candidates import Candidates, Ranking, SelectionError
from prelabel.selection.clusters import find_clusters
from prelabel.selection.fields import prediction_fields, priority_to_score
from prelabel.selection.mislabeling import OutOfSample, Suspicions, out_of_sample_probabilities, suspicions
from prelabel.selection.neighbors import nearest_tasks
from prelabel.selection.strategies import STRATEGIES, Strategy, mix, rank

__all__ = [
    "STRATEGIES",
    "Arm",
    "ArmReport",
    "Candidates",
    "OutOfSample",
    "Ranking",
    "SelectionError",
    "Strategy",
    "Suspicions",
    "arm_report",
    "find_clusters",
    "mix",
    "nearest_tasks",
    "out_of_sample_probabilities",
    "prediction_fields",
    "priority_to_score",
    "rank",
    "suspicions",
]
