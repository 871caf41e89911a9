"""The labeling config of a data row's kind: the project's own, or the one that a Labelbox ontology stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from prelabel.labelbox.config import to_label_config
from prelabel.labelbox.ontology import Ontology
from prelabel.labelbox.rows import Asset
from prelabel.labeling import LabelingConfig, parse
from prelabel.runs.held import OntologyRow

TAG_ASSETS: Mapping[str, str] = {
    "Image": "image",
    "Text": "text",
    "HyperText": "html",
    "Video": "video",
    "Audio": "audio",
    "Paragraphs": "conversational",
    "Pdf": "document",
}
"""What an object tag shows, as kinds of data rows."""
ALSO_SHOWN: Mapping[str, frozenset[str]] = {
    "Image": frozenset({"document", "geospatial", "dicom"}),
    "Text": frozenset({"llm"}),
    "HyperText": frozenset({"text", "llm"}),
    "Video": frozenset({"audio"}),
    "Paragraphs": frozenset({"llm"}),
}
"""What else people let it show: pages and slices as pictures, text as markup, sounds in the player of videos."""


class Configs:
    """Labeling configs of one ontology, made when first asked for."""

    def __init__(self, row: OntologyRow) -> None:
        self.ontology = Ontology.from_json(row.body)
        self.own = parse(row.label_config) if row.label_config else None
        self._made: dict[str, LabelingConfig] = {}

    def of(self, asset: str) -> LabelingConfig:
        """The labeling config for data rows of this kind.

        Raises:
            LabelingConfigError: the ontology has a name that a config cannot carry.
        """
        if self.own is not None:
            return self.own
        if asset not in self._made:
            self._made[asset] = parse(to_label_config(self.ontology, cast("Asset", asset)))
        return self._made[asset]


def shows(tag: str, asset: str) -> bool:
    """Whether an object tag can show data rows of a kind; True where that is not known."""
    return not asset or tag not in TAG_ASSETS or asset in {TAG_ASSETS[tag], *ALSO_SHOWN.get(tag, ())}


def asset_of(config: LabelingConfig) -> str:
    """What kind of data rows a project has, by its first object tag; empty where that decides nothing."""
    return next((TAG_ASSETS[tag.tag] for tag in config.objects.values() if tag.tag in TAG_ASSETS), "")
