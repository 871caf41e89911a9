"""The labeling config: which control takes which output, label mapping, and why something does not fit."""

from prelabel.labeling.config import LabelingConfig
from prelabel.labeling.elements import ControlTag, Label, ObjectTag, fold
from prelabel.labeling.fitting import Fit, fit, reason_phrase
from prelabel.labeling.parsing import parse
from prelabel.labeling.tags import READS, TAKES, Takes

__all__ = [
    "READS",
    "TAKES",
    "ControlTag",
    "Fit",
    "Label",
    "LabelingConfig",
    "ObjectTag",
    "Takes",
    "fit",
    "fold",
    "parse",
    "reason_phrase",
]
