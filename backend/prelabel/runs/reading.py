"""A batch of an import's lines, read and checked: what is to be written, or why a line was refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prelabel.errors import RequestError
from prelabel.runs.datarows import BATCH, LONGEST_KEY, NewDataRow
from prelabel.runs.found import Found
from prelabel.runs.held import ImportRow, Place, Role, RowError, RowStatus, project_name
from prelabel.runs.imports import Outcome
from prelabel.runs.labels import global_key
from prelabel.runs.regions import items_of_regions
from prelabel.runs.rows import dump
from prelabel.runs.rows_reading import RowReader
from prelabel.runs.scores import Scores
from prelabel.runs.storable import is_storable

_UNKEPT = RowError(
    "InvalidText",
    "the task's data has a character that no database keeps, or a global_key that is too long.",
    f"Take out NUL and lone surrogates, and keep global keys to {LONGEST_KEY} characters.",
)
_USUAL = re.compile(rb'"dataRow"\s*:\s*\{\s*"(globalKey|id)"\s*:\s*"([^"\\]*)"\s*\}')


class LineReader:
    """Reads batches for `Imports.run_import`. One import's."""

    def __init__(self, registry: Scores, imported: ImportRow) -> None:
        self.registry = registry
        role: Role = "prediction" if imported.kind == "predictions" else "annotation"
        ontology = registry.ontology_of_run(imported.run_id)
        self._rows = (
            RowReader(ontology, lambda number, uuid: registry.feature_of(imported.run_id, role, number, uuid))
            if ontology is not None
            else None
        )

    def __call__(self, row: ImportRow, position: int, lines: Sequence[bytes]) -> list[Outcome]:
        """One outcome for each line, in order."""
        if row.form == "labelstudio":
            return self._regions(row, position, lines)
        if self._rows is None:
            raise RequestError(
                "the run's model has no ontology to check rows against.",
                hint="Give it one: `client.create_model(name, client.create_ontology(...))`.",
            )
        found = self._find(row, [_reference(line) for line in lines])
        return self._rows.read(row, position, lines, found)

    def _find(self, row: ImportRow, references: Iterable[tuple[str | None, str | None]]) -> Found:
        """Data rows that lines name. Labels bring theirs into the run; predictions must find them there."""
        keys: set[str] = set()
        uids: set[str] = set()
        for key, uid in references:
            if key is not None:
                keys.add(key)
            if uid is not None:
                uids.add(uid)
        keys, uids = ({name for name in names if is_storable(name)} for names in (keys, uids))
        found = self.registry.in_run(row.run_id, keys, uids)
        missing_keys, missing_uids = keys - found.keys(), uids - found.keys()
        outside = self.registry.exist(missing_keys, missing_uids) if missing_keys or missing_uids else set()
        if outside and row.kind == "annotations":
            numbers = self.registry.numbers_of(missing_keys & outside, missing_uids & outside)
            self.registry.add_to_run(row.run_id, numbers)
            found |= self.registry.in_run(row.run_id, missing_keys & outside, missing_uids & outside)
            outside = set()
        return Found(found, outside)

    # -- Label Studio's regions
    def _regions(self, row: ImportRow, position: int, lines: Sequence[bytes]) -> list[Outcome]:
        records: list[Any] = [_object(line) for line in lines]
        found = self._find(row, [_reference_of(record) for record in records])
        places = self._places(row, [record for record in records if "place" in record])
        outcomes = []
        for offset, record in enumerate(records):
            number, named, error = self._data_row(record, found, places)
            if error is None and "error" in record:
                error = RowError(**record["error"])
            elif error is None and record.get("unlabeled") is True and "place" in record:
                outcomes.append(Outcome(RowStatus(position + offset, "", named), number, unlabeled=True))
                continue
            elif error is None and not isinstance(record.get("result"), list):
                error = RowError("InvalidRow", "the line has no list 'result'.", "Give Label Studio's regions.")
            uuid = str(record.get("uuid") or "")
            if error is not None or number is None:
                status = RowStatus(position + offset, uuid, named, "FAILURE", (error,) if error else ())
                outcomes.append(Outcome(status))
                continue
            items = items_of_regions(record["result"], number, record.get("distributions"))
            outcomes.append(Outcome(RowStatus(position + offset, uuid, named), number, tuple(items)))
        return outcomes

    def _data_row(
        self, record: Mapping[str, Any], found: Found, places: Mapping[tuple[str, int, int], int]
    ) -> tuple[int | None, dict[str, str], RowError | None]:
        if "place" in record:
            instance, project, task = record["place"]
            named = {"id": f"{instance}/projects/{project}/data?task={task}"}
            number = places.get((instance.rstrip("/"), project, task))
            return number, named, _UNKEPT if number is None else None
        key, uid = _reference_of(record)
        row = found.rows.get(key or uid or "")
        if row is None:
            return None, found.named(key, uid), found.error(key, uid)
        return row.id, found.named(key, uid), None

    def _places(self, row: ImportRow, records: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int, int], int]:
        """Data rows of tasks; made where they are new, and put into the run."""
        registry = self.registry
        by_project: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
        for record in records:
            by_project.setdefault((record["place"][0].rstrip("/"), record["place"][1]), []).append(record)
        numbers: dict[tuple[str, int, int], int] = {}
        for (instance, project), ours in by_project.items():
            new = [
                NewDataRow(one["data"], global_key(one["data"]), place=Place(instance, project, one["place"][2]))
                for one in ours
                if _keepable(one["data"])
            ]
            for start in range(0, len(new), BATCH):
                with registry.database.write() as db:
                    dataset = registry.dataset_id(db, project_name(project, instance))
                    registry.put_data_rows(db, dataset, new[start : start + BATCH])
                    found = registry.at_places(db, instance, project, [one["place"][2] for one in ours])
                    registry.put_into_run(db, row.run_id, found.values())
            numbers |= {(instance, project, task): number for task, number in found.items()}
        return numbers


def _keepable(data: Mapping[str, Any]) -> bool:
    return is_storable(dump(data)) and len(global_key(data) or "") <= LONGEST_KEY


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    return record if isinstance(record, dict) else {}


def _reference(line: bytes) -> tuple[str | None, str | None]:
    """Global key and id that a line names; its JSON is only read here where it is not in the usual form."""
    usual = _USUAL.search(line)
    if usual is not None:
        key = usual[2].decode("utf-8", "replace")
        return (key, None) if usual[1] == b"globalKey" else (None, key)
    return _reference_of(_object(line)) if b"dataRow" in line else (None, None)


def _reference_of(record: Mapping[str, Any]) -> tuple[str | None, str | None]:
    named = record.get("dataRow")
    if not isinstance(named, Mapping):
        return None, None
    key, uid = named.get("globalKey"), named.get("id")
    return key if isinstance(key, str) else None, uid if isinstance(uid, str) else None
