"""What was said of data rows as things that can be compared, whichever of the two forms either side has."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prelabel.errors import DataError, LabelingConfigError, PrelabelError
from prelabel.labelbox.assets import AssetFacts
from prelabel.labelbox.ontology import ClassificationNode, Ontology
from prelabel.labelbox.review import to_regions
from prelabel.labeling import LabelingConfig, parse
from prelabel.metrics.instances import Instance
from prelabel.metrics.matching import Both
from prelabel.metrics.reading import instances_of_regions, instances_of_rows
from prelabel.runs.configs import Configs
from prelabel.runs.facts import asset_facts, row_of
from prelabel.runs.held import DataRow, Item, OntologyRow
from prelabel.runs.items import Said
from prelabel.runs.mask_images import MaskImages, Pictures, addresses_of

AHEAD = 200
"""Data rows whose masks' pictures are fetched at once."""
ALIKE = frozenset({"", "image", "text", "html", "audio"})
"""Kinds of data rows of which both forms say the same numbers, so that they can be compared without conversion."""
MOST_REASONS = 10
"""Reasons that are kept."""


class Instances:
    """Reads items. One ontology's.

    Attributes:
        config: the ontology's own labeling config, where it came from one.
        reasons: why data rows could not be compared; the first ten.
        postponed: numbers of data rows of which the reason may pass.
    """

    def __init__(self, ontology: OntologyRow | None, images: MaskImages | None = None) -> None:
        self.config: LabelingConfig | None = None
        self.names: dict[str, str] = {}
        self.reasons: list[str] = []
        self.postponed: set[int] = set()
        self._configs = Configs(ontology) if ontology is not None else None
        self._images = images
        self._pictures = Pictures()
        if ontology is not None:
            self.names = schema_names(Ontology.from_json(ontology.body))
            self.config = parse(ontology.label_config) if ontology.label_config else None

    # -- masks' pictures

    def ahead(self, rows: Iterable[Said]) -> Iterator[Said]:
        """The same data rows, some hundreds at a time with their masks' pictures fetched before."""
        if self._images is None:
            yield from rows
            return
        iterator = iter(rows)
        while page := list(itertools.islice(iterator, AHEAD)):
            self.fetch(item for said in page for item in (*said.predictions, *said.annotations))
            yield from page

    def fetch(self, items: Iterable[Item]) -> None:
        """Fetch the pictures of these items' masks, at once."""
        self._pictures = self._images.fetch(_addresses(items)) if self._images is not None else Pictures()

    def pictures_of(self, items: Sequence[Item]) -> Pictures:
        """Pictures by address, those of these items' masks among them where they can be had."""
        if not {*_addresses(items)} <= {*self._pictures.paths, *self._pictures.refused}:
            self.fetch(items)
        return self._pictures

    def _read(self, address: str) -> bytes:
        if self._images is not None and address not in {*self._pictures.paths, *self._pictures.refused}:
            self._pictures = self._images.fetch([address])
        return self._pictures.read(address)

    # -- instances

    def of(self, said: Said) -> Both | None:
        """Predictions and annotations of a data row; None where one side is not known or cannot be compared."""
        if not (said.labeled and said.predicted):
            return None
        try:
            return self._both(said)
        except PrelabelError as error:
            row = said.data_row
            if len(self.reasons) < MOST_REASONS:
                self.reasons.append(f"{row.global_key or row.uid}: {error}")
            if error.retryable:
                self.postponed.add(row.id)
            return None

    def _both(self, said: Said) -> Both:
        row, sides = said.data_row, (said.predictions, said.annotations)
        forms = [{item.form for item in side} for side in sides]
        if forms[0] | forms[1] == {"labelbox", "labelstudio"}:
            converted = self._converted(row, sides)
            if converted is not None:
                return converted
        both = self.of_items(sides[0], row=row), self.of_items(sides[1], row=row)
        _refuse_unlike(both)
        return both

    def of_items(self, items: Sequence[Item], asset: str = "", *, row: DataRow | None = None) -> list[Instance]:
        """Items of one side of one data row; ``asset`` is its kind where there is no ``row``.

        Raises:
            DataError: one cannot be compared: a mask whose picture cannot be read, a region that lacks what its type
                needs.
        """
        asset = row.media_type if row is not None else asset
        facts = asset_facts(row) if row is not None else None
        rows = [self._named(item.body) for item in items if item.form == "labelbox"]
        regions = [region for item in items if item.form == "labelstudio" for region in item.body]
        read = self._read if self._images is not None else None
        found = instances_of_rows(rows, asset=asset or None, read_image=read, facts=facts) if rows else []
        return found + (self._of_regions(regions, facts) if regions else [])

    def _of_regions(self, regions: Sequence[Mapping[str, Any]], facts: AssetFacts | None) -> list[Instance]:
        size = _size(facts) if facts is not None else None
        return instances_of_regions(regions, config=self.config, size=size)

    def _converted(self, row: DataRow, sides: tuple[Sequence[Item], Sequence[Item]]) -> Both | None:
        """Both sides as Label Studio's regions; None where Labelbox's rows can be compared with them as they are.

        Raises:
            DataError: they cannot, and something of them has no counterpart.
        """
        facts = _sized(asset_facts(row), [*sides[0], *sides[1]])
        facts = dataclasses.replace(facts, images=self._all_pictures([*sides[0], *sides[1]]))
        try:
            found = [_as_regions(side, self._configs, facts) for side in sides]
        except (DataError, LabelingConfigError):
            if row.media_type in ALIKE:
                return None
            raise
        return found[0], found[1]

    def _all_pictures(self, items: Sequence[Item]) -> Pictures:
        pictures = self.pictures_of(items)
        for address in _addresses(items):
            pictures.read(address)
        return pictures

    def _named(self, body: Any) -> Any:
        """The same body with the names that the ontology has for its schema ids."""
        if not self.names:
            return body
        if isinstance(body, dict):
            named = {key: self._named(value) for key, value in body.items()} if _holds_schema(body) else body
            if "schemaId" in named and "name" not in named and named["schemaId"] in self.names:
                named = {**named, "name": self.names[named["schemaId"]]}
            return named
        if isinstance(body, list):
            return [self._named(value) for value in body]
        return body


def _addresses(items: Iterable[Item]) -> Iterator[str]:
    return addresses_of(item.body for item in items if item.form == "labelbox")


def _as_regions(items: Sequence[Item], configs: Configs | None, facts: AssetFacts) -> list[Instance]:
    if configs is None:
        raise DataError("Labelbox's rows are compared with Label Studio's regions by an ontology.")
    config = configs.of(facts.asset)
    regions = [region for item in items if item.form == "labelstudio" for region in item.body]
    rows = [row_of(item) for item in items if item.form == "labelbox"]
    conversion = to_regions(rows, configs.ontology, config, facts)
    if conversion.dropped:
        raise DataError(f"it cannot be compared with Label Studio's regions: {conversion.dropped[0]}")
    return instances_of_regions([*regions, *conversion.result], config=config, size=_size(facts))


def _size(facts: AssetFacts) -> tuple[float, float] | None:
    return (float(facts.width), float(facts.height)) if facts.width and facts.height else None


def _sized(facts: AssetFacts, items: Sequence[Item]) -> AssetFacts:
    """With the size of the picture that regions say, where nothing else does."""
    if facts.width and facts.height:
        return facts
    for item in items:
        for region in item.body if item.form == "labelstudio" else ():
            if region.get("original_width") and region.get("original_height"):
                width, height = int(region["original_width"]), int(region["original_height"])
                return dataclasses.replace(facts, width=width, height=height)
    return facts


def _refuse_unlike(both: Both) -> None:
    """Boxes on one page in points here and in pixels there say nothing of each other.

    Raises:
        DataError: there are such.
    """
    units: dict[str, set[str]] = {}
    for one in (*both[0], *both[1]):
        page, _, unit = one.scope.rpartition(" ")
        if one.kind == "box" and unit in {"POINTS", "PIXELS"}:
            units.setdefault(page, set()).add(unit)
        elif one.kind == "box":
            units.setdefault(one.scope, set()).add("PERCENT")
    for page, found in units.items():
        if len(found) > 1:
            raise DataError(
                f"boxes on page {int(page or 0)} are in {' and '.join(sorted(found))}, and its size is not known.",
                hint='Import the data row again with its facts: {"pages": [{"width": ..., "height": ...}]}.',
            )


def _holds_schema(body: Mapping[str, Any]) -> bool:
    return "schemaId" in body or "answer" in body or "classifications" in body or "segments" in body


def schema_names(ontology: Ontology) -> dict[str, str]:
    """Names of all tools, questions and options by their feature schema ids."""
    found: dict[str, str] = {}

    def take(questions: Sequence[ClassificationNode]) -> None:
        for node in questions:
            found[node.schema_id] = node.name
            for option in node.options:
                found[option.schema_id] = option.value
                take(option.questions)

    for tool in ontology.tools:
        found[tool.schema_id] = tool.name
        take(tool.questions)
    take(ontology.classifications)
    found.pop("", None)
    return found


__all__ = ["Instances", "schema_names"]
