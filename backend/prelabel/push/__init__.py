"""Predictions to Label Studio in large chunks, exactly once; docs/exactly-once.md says why it holds."""

from prelabel.push.lane import LaneReport, run_lane
from prelabel.push.replacing import remove_versions

__all__ = ["LaneReport", "remove_versions", "run_lane"]
