"""A run's items as predictions of a project: chosen by confidence, converted for its labeling config, scored."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prelabel.errors import PrelabelError
from prelabel.labelbox.ontology import Ontology
from prelabel.labelbox.review import to_regions
from prelabel.labeling import LabelingConfig
from prelabel.predictions import score_of
from prelabel.runs.configs import asset_of
from prelabel.runs.facts import asset_facts, row_of
from prelabel.runs.held import DataRow, Item
from prelabel.runs.items import Said
from prelabel.runs.said_instances import Instances
from prelabel.settings import ScorePolicy


@dataclass(frozen=True, slots=True)
class Draft:
    """A prediction to be sent: ``payload`` is Label Studio's JSON of it without the task.

    ``payload`` is None where there is nothing to send: ``unsure`` where everything was below the confidence, else
    because of ``dropped``, one sentence for each thing that has no counterpart in the labeling config.
    """

    payload: str | None
    dropped: tuple[str, ...] = ()
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Drafting:
    """How a run's items become predictions.

    Attributes:
        version: the model version: the run's name.
        config: the project's labeling config.
        ontology: the model's, which names what Labelbox's rows have.
        policy: how regions' scores become the prediction's score.
        confidence: items below it are left out; those that state no confidence are kept.
        instances: gives the pictures of masks.
    """

    version: str
    config: LabelingConfig
    ontology: Ontology
    policy: ScorePolicy
    confidence: float
    instances: Instances

    def of(self, said: Said) -> Draft:
        """The prediction for a data row. A model that said nothing of it says so: an empty result."""
        kept = [one for one in said.predictions if one.confidence is None or one.confidence >= self.confidence]
        if said.predictions and not kept:
            return Draft(None, unsure=True)
        try:
            result, dropped = self._regions(said.data_row, kept)
        except PrelabelError as error:
            return Draft(None, (str(error),))
        if kept and not result:
            return Draft(None, tuple(dropped))
        body = {"result": result, "score": score_of(result, self.policy), "model_version": self.version}
        return Draft(json.dumps(body, ensure_ascii=False, separators=(",", ":")), tuple(dropped))

    def _regions(self, row: DataRow, items: Sequence[Item]) -> tuple[list[dict[str, Any]], list[str]]:
        regions = [region for item in items if item.form == "labelstudio" for region in item.body]
        found, dropped = _joined(regions)
        rows = [row_of(item) for item in items if item.form == "labelbox"]
        if rows:
            pictures = self.instances.pictures_of(items)
            facts = dataclasses.replace(asset_facts(row, asset_of(self.config) or "image"), images=pictures)
            conversion = to_regions(rows, self.ontology, self.config, facts)
            found += conversion.result
            dropped += map(pictures.explained, conversion.dropped)
        return found, dropped


def _joined(regions: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Regions without the relations of which an end was left out."""
    ids = {region.get("id") for region in regions if region.get("type") != "relation"}
    kept, dropped = [], []
    for region in regions:
        if region.get("type") == "relation" and not {region.get("from_id"), region.get("to_id")} <= ids:
            dropped.append(f"the relation from {region.get('from_id')} to {region.get('to_id')}: an end was left out.")
        else:
            kept.append(dict(region))
    return kept, dropped


__all__ = ["Draft", "Drafting"]
