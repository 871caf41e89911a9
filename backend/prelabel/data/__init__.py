"""The value a task points at, to what a model gets: read, fetched through a guard, cached, decoded, ahead of need."""

from __future__ import annotations

from prelabel.data.fetch import LabelStudioFiles
from prelabel.data.reader import DataReader, LazyFacts, ModelInput, Resolved, natural_kind

__all__ = ["DataReader", "LabelStudioFiles", "LazyFacts", "ModelInput", "Resolved", "natural_kind"]
