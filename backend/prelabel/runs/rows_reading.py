"""Labelbox's rows of an import: checked against ontology and data rows, and turned into items."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import cast

from prelabel.labelbox.ontology import Ontology
from prelabel.labelbox.reading import Seen, read_rows
from prelabel.labelbox.rows import Accepted, Asset, DataRowFacts, DataRowRef, Refused
from prelabel.labelbox.rows import RowError as Mistake
from prelabel.runs.facts import asset_facts
from prelabel.runs.found import Found
from prelabel.runs.held import DataRow, ImportRow, OntologyRow, RowError, RowStatus
from prelabel.runs.imports import Outcome
from prelabel.runs.items import NewItem, NewMetric
from prelabel.runs.scores import schema_names

_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
FeatureOf = Callable[[int, str], str | None]
"""The class of an item of a data row (its number), by uuid; None where there is none."""


class RowReader:
    """Reads Labelbox's rows of one import. Give it the import's batches in their order."""

    def __init__(self, ontology: OntologyRow, feature_of: FeatureOf) -> None:
        self.ontology = Ontology.from_json(ontology.body)
        self._feature_of = feature_of
        self._seen = Seen()
        self._ahead: Seen | None = None

    def read(self, row: ImportRow, position: int, lines: Sequence[bytes], found: Found) -> list[Outcome]:
        """One outcome for each line, in order."""
        checked = _Known(found)
        outcomes: list[Outcome | None] = [None] * len(lines)
        verdicts = read_rows(
            lines,
            self.ontology,
            known=checked,
            first_line=position + 1,
            seen=self._seen,
            feature_of=lambda data_row, wanted: self._earlier_or_later(row, found, data_row, wanted),
        )
        for verdict in verdicts:  # those of relationships come last
            outcomes[verdict.line - 1 - position] = _outcome(row, verdict, found)
        return [
            outcome or Outcome(RowStatus(position + offset, "", {}, "FAILURE", (_EMPTY,)))
            for offset, outcome in enumerate(outcomes)
        ]

    def _earlier_or_later(self, row: ImportRow, found: Found, data_row: DataRowRef, wanted: str) -> str | None:
        """What a relationship joins may stand in another batch, before it or after it, or in an earlier import."""
        known = found.row(data_row)
        feature = self._feature_of(known.id, wanted) if known is not None else None
        if feature is None:
            if self._ahead is None:
                self._ahead = _seen_ahead(row, schema_names(self.ontology))
            feature = self._ahead.feature(data_row, wanted)
        return feature


_EMPTY = RowError("InvalidRow", "the line is empty.", "Leave it out.")


class _Known:
    """What checks may know of a batch's data rows, made when they are first asked for."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._facts: dict[int, DataRowFacts] = {}

    def __call__(self, data_row: DataRowRef) -> DataRowFacts | None:
        row = self._found.row(data_row)
        if row is None:
            return None
        if row.id not in self._facts:
            self._facts[row.id] = _facts(row)
        return self._facts[row.id]


def _facts(row: DataRow) -> DataRowFacts:
    asset = cast("Asset", row.media_type) if row.media_type else None
    if not row.facts and row.media_type not in {"text", "html", "geospatial"}:
        return DataRowFacts(asset=asset)
    return dataclasses.replace(DataRowFacts.of(asset_facts(row)), asset=asset)


def _seen_ahead(row: ImportRow, names: dict[str, str]) -> Seen:
    """Names of all rows of the import's file by uuid, for relationships that stand before what they join."""
    seen = Seen()
    if row.spool is None:
        return seen
    with Path(row.spool).open("rb") as file:
        for line in _objects(file):
            named, key = line.get("dataRow"), line.get("uuid")
            if isinstance(named, dict) and isinstance(key, str) and "relationship" not in line:
                name = line.get("name") or names.get(str(line.get("schemaId")))
                reference = DataRowRef(named.get("globalKey"), named.get("id"))
                if isinstance(name, str):
                    seen.remember(reference, key, name)
    return seen


def _objects(lines: Iterable[bytes]) -> Iterable[dict[str, object]]:
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            yield said


def _outcome(imported: ImportRow, verdict: Accepted | Refused, found: Found) -> Outcome:
    position = verdict.line - 1
    if isinstance(verdict, Refused):
        errors = tuple(_error(mistake, verdict.data_row, found) for mistake in verdict.errors)
        return Outcome(RowStatus(position, verdict.uuid, _named(verdict.data_row), "FAILURE", errors))
    said = verdict.row
    row = found.row(said.data_row)
    if row is None:  # `known` had it a moment ago
        error = found.error(said.data_row.global_key, said.data_row.id)
        return Outcome(RowStatus(position, said.uuid, _named(said.data_row), "FAILURE", (error,)))
    body = _compact(said.body)
    notes = tuple(_error(note, said.data_row, found) for note in verdict.notes)
    status = RowStatus(position, said.uuid, _named(said.data_row), errors=notes)
    if said.kind == "metric":
        fields = said.body
        metric = NewMetric(
            data_row=row.id,
            kind="confusion_matrix" if fields.get("aggregation") == "CONFUSION_MATRIX" else "scalar",
            name=str(fields.get("metricName") or ""),
            feature=str(fields.get("featureName") or ""),
            subclass=str(fields.get("subclassName") or ""),
            body=body,
        )
        return Outcome(status, row.id, metrics=(metric,))
    item = NewItem(
        data_row=row.id,
        uuid=said.uuid or _made_up(imported, position),
        form="labelbox",
        kind=said.kind,
        feature=said.name,
        confidence=said.confidence,
        body=body,
    )
    return Outcome(status, row.id, items=(item,))


def _error(mistake: Mistake, data_row: DataRowRef | None, found: Found) -> RowError:
    if mistake.name == "UnknownDataRow" and data_row is not None:
        told = found.error(data_row.global_key, data_row.id)
        message = mistake.message
        if told.name == "DataRowNotInRun":
            message = message.replace("is no data row here", "is a data row, but not of this run")
        return RowError(told.name, message, told.additional_info)
    return RowError(mistake.name, mistake.message, mistake.remedy)


def _named(data_row: DataRowRef | None) -> dict[str, str]:
    return Found.named(data_row.global_key, data_row.id) if data_row is not None else {}


def _made_up(imported: ImportRow, position: int) -> str:
    """The key of a line without a uuid: always the same for this line, and no other line's."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"prelabel:{imported.created_at}:{imported.id}:{position}"))
