"""NDJSON lines, one after the other, to accepted rows and refused ones; one bad line never costs the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prelabel.errors import RequestError
from prelabel.labelbox.checks import Json, Line, Wrong, drop_nulls, one_of
from prelabel.labelbox.checks_answers import answer_row
from prelabel.labelbox.checks_drawn import drawn_row
from prelabel.labelbox.checks_joined import message_row, metric_row, relationship_row
from prelabel.labelbox.checks_video import masks_row, track_row
from prelabel.labelbox.many import Many
from prelabel.labelbox.ontology import Ontology, ToolNode
from prelabel.labelbox.rows import Accepted, DataRowFacts, DataRowRef, Kind, Refused, Row

LIMIT = 5000
"""Rows of one name on one data row that Labelbox takes."""
GLOBAL_KEY = 200
"""Characters of a global key that Labelbox takes."""
UUID = 200
Known = Callable[[DataRowRef], "DataRowFacts | None"]
DRAWN: Mapping[str, Kind] = {
    "bbox": "bbox",
    "polygon": "polygon",
    "point": "point",
    "line": "polyline",
    "mask": "mask",
    "location": "entity",
    "textSelections": "document_entity",
}
SAID = (*DRAWN, "answer", "answers", "segments", "masks", "relationship", "messageEvaluationTask", "metricValue")
"""The keys of which a row has exactly one: what it says."""

COMMON_KEYS = ("dataRow", "uuid", "name", "schemaId", "confidence", "customMetrics", "classifications", "frames",
               "messageId", "page", "unit", "groupKey", "isBenchmarkReferenceLabel")  # fmt: skip


class Seen:
    """What an upload's rows must be compared with: how many of a name a data row has, and which uuids there were.

    For an upload that is read in several calls of `read_rows`, give them all the same one. It grows by about 25 bytes
    a row where the ontology has relationships, else by about 12 bytes for each name on a data row.
    """

    def __init__(self) -> None:
        self.counts = Many()
        self.features = Many()
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def count(self, data_row: DataRowRef, name: str) -> int:
        """Count one row more, and say how many there are."""
        key = (data_row.global_key, data_row.id, name)
        count = (self.counts.get(key) or 0) + 1
        self.counts.put(key, count)
        return count

    def remember(self, data_row: DataRowRef, uuid: str, name: str) -> None:
        """Remember which feature the row of that uuid has."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        self.features.put((data_row.global_key, data_row.id, uuid), number)

    def feature(self, data_row: DataRowRef, uuid: str) -> str | None:
        """The name of that row's feature; None where there was no such row."""
        number = self.features.get((data_row.global_key, data_row.id, uuid))
        return None if number is None else self.names[number]


def read_rows(
    lines: Iterable[str | bytes | Mapping[str, Any]],
    ontology: Ontology,
    *,
    known: Known,
    first_line: int = 1,
    seen: Seen | None = None,
    feature_of: Callable[[DataRowRef, str], str | None] | None = None,
    strict_ids: bool = False,
) -> Iterator[Accepted | Refused]:
    """Check an upload line by line against ontology and data rows.

    Verdicts come in the order of the lines, except those of relationships that are well formed: they come at the end,
    when all uuids are known. Blank lines are passed over, but counted. What is given as a dict is not changed.

    Args:
        lines: NDJSON lines (text or UTF-8), or their objects.
        ontology: what may be said.
        known: what is known of a data row; None where there is none of that key. Asked once for lines in a row.
        first_line: the number of the first line.
        seen: what was seen in earlier calls for the same upload.
        feature_of: the name of the feature of a row with that uuid on that data row, in earlier uploads; asked for
            relationships whose rows this upload does not have.
        strict_ids: refuse rows that name their feature by a ``schemaId`` only which the ontology does not have. Else
            they are checked in form, ``Row.name`` is the id, and `Accepted.notes` says so: that an ontology was made
            here, without Labelbox's ids, is no fault of the row.

    Raises:
        RequestError: the upload is empty, or one JSON array.
    """
    reader = _Reader(ontology, known, Seen() if seen is None else seen, feature_of, strict_ids)
    number = first_line - 1
    for number, line in enumerate(lines, first_line):
        if isinstance(line, (str, bytes)) and not line.strip():
            continue
        verdict = reader.read(line, number)
        if verdict is not None:
            yield verdict
    if not reader.rows and first_line == 1:
        raise RequestError("the upload is empty: it has no rows.", hint="Give at least one NDJSON line.")
    yield from reader.relationships()


class _Reader:
    """One upload while it is read."""

    def __init__(
        self,
        ontology: Ontology,
        known: Known,
        seen: Seen,
        feature_of: Callable[[DataRowRef, str], str | None] | None,
        strict_ids: bool,
    ) -> None:
        self.ontology = ontology
        self.known = known
        self.seen = seen
        self.feature_of = feature_of
        self.strict_ids = strict_ids
        self.rows = 0
        self._remembers = any(node.tool == "edge" for node in ontology.tools)
        self._waiting: list[tuple[Line, DataRowRef, str, ToolNode | None]] = []
        self._last: tuple[DataRowRef | None, DataRowFacts | None] = None, None

    def read(self, raw: str | bytes | Mapping[str, Any], number: int) -> Accepted | Refused | None:
        """A line's verdict; None for a relationship, which has to wait."""
        self.rows += 1
        line = Line(number, {}, self.ontology, self.strict_ids)
        data_row: DataRowRef | None = None
        try:
            line.body = _parsed(line, raw)
            drop_nulls(line.body)
            data_row = _reference(line)
            line.uuid = _uuid(line)
            line.facts = self._facts(line, data_row)
            return self._verdict(line, data_row)
        except Wrong as wrong:
            return Refused(line.uuid, data_row, (*line.errors, wrong.error), number)
        except RecursionError:
            error = line.error("TooDeep", "", ..., "is nested too deep", "Nest classifications less deep.")
            return Refused(line.uuid, data_row, (error,), number)

    def _facts(self, line: Line, data_row: DataRowRef) -> DataRowFacts:
        last, facts = self._last
        if last != data_row:
            facts = self.known(data_row)
            self._last = data_row, facts
        if facts is None:
            key, value = ("globalKey", data_row.global_key) if data_row.global_key else ("id", data_row.id)
            remedy = "Import the data row and put it into the run first."
            raise line.wrong("UnknownDataRow", f"dataRow.{key}", value, "is no data row here", remedy)
        return facts

    def _verdict(self, line: Line, data_row: DataRowRef) -> Accepted | Refused | None:
        body = line.body
        key = _said(line)
        node: ToolNode | None = None
        kind: Kind
        if key in DRAWN:
            kind, name = DRAWN[key], drawn_row(line, key)
        elif key in {"answer", "answers"}:
            form, name = answer_row(line)
            kind = "text" if form == "text" else "checklist" if form == "checklist" else "radio"
        elif key == "segments":
            kind, name = "video_object", track_row(line)
        elif key == "masks":
            kind, name = "video_mask", masks_row(line)
        elif key == "relationship":
            kind = "relationship"
            name, node = relationship_row(line)
        elif key == "messageEvaluationTask":
            kind, name = "message_task", message_row(line)
        else:
            kind, name = "metric", metric_row(line)
        if "isBenchmarkReferenceLabel" in body and type(body["isBenchmarkReferenceLabel"]) is not bool:
            at = "isBenchmarkReferenceLabel"
            raise line.wrong("WrongType", at, body[at], "is not true or false", "Give true or false.")
        if line.errors:
            return Refused(line.uuid, data_row, tuple(line.errors), line.number)
        if name and kind != "metric" and self.seen.count(data_row, name) > LIMIT:
            said = f"has more than {LIMIT} rows on this data row"
            raise line.wrong("TooMany", "name", name, said, f"Send at most {LIMIT} rows of one name for a data row.")
        if kind == "relationship":
            self._waiting.append((line, data_row, name, node))
            return None
        if self._remembers and line.uuid and kind != "metric":
            self.seen.remember(data_row, line.uuid, name)
        return _accepted(line, kind, data_row, name)

    # --- relationships
    def relationships(self) -> Iterator[Accepted | Refused]:
        """The verdicts that waited."""
        for line, data_row, name, node in self._waiting:
            line.attempt(self._join, line, data_row, node)
            if line.errors:
                yield Refused(line.uuid, data_row, tuple(line.errors), line.number)
            else:
                if line.uuid:
                    self.seen.remember(data_row, line.uuid, name)
                yield _accepted(line, "relationship", data_row, name)
        self._waiting.clear()

    def _join(self, line: Line, data_row: DataRowRef, node: ToolNode | None) -> None:
        value = line.body["relationship"]
        ends = [
            self._end(line, data_row, key) if key in value else value["sourceOntologyName"]
            for key in ("source", "target")
        ]
        if node is None or not node.constraints or "source" not in value:
            return
        allowed = [(self._name(source), self._name(target)) for source, target in node.constraints]
        pairs = {(ends[0], ends[1])}
        if value["type"] == "bidirectional":
            pairs.add((ends[1], ends[0]))
        if not pairs & set(allowed):
            raise line.wrong(
                "ForbiddenPair", "relationship", ..., f"joins {ends[0]!r} to {ends[1]!r}, which {node.name!r} may not",
                f"Join one of {one_of([f'{source} to {target}' for source, target in allowed])}.",
            )  # fmt: skip

    def _end(self, line: Line, data_row: DataRowRef, key: str) -> str:
        uuid = line.body["relationship"][key]
        name = self.seen.feature(data_row, uuid)
        if name is None and self.feature_of is not None:
            name = self.feature_of(data_row, uuid)
        if name is None:
            raise line.wrong(
                "UnknownRow", f"relationship.{key}", uuid, "is the uuid of no accepted row on this data row",
                "Send the row with that uuid in the same upload, and see that it is not refused.",
            )  # fmt: skip
        return name

    def _name(self, schema_id: str) -> str:
        node = self.ontology.tool(schema_id=schema_id) or self.ontology.classification(schema_id=schema_id)
        return node.name if node is not None else schema_id


# --- the parts that all rows have
def _parsed(line: Line, raw: str | bytes | Mapping[str, Any]) -> Json:
    try:
        if isinstance(raw, Mapping):
            raw = json.dumps(dict(raw))
        text = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw.removeprefix("\ufeff")
        value = json.loads(text)
        if "\\ud" in text or "\\uD" in text:  # half a pair can be written neither to a file nor to a database
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        remedy = "Give one JSON object a line, in UTF-8."
        shown = raw if isinstance(raw, str) else ...
        raise line.wrong("InvalidJson", "", shown, f"is not JSON: {error}", remedy) from None
    if type(value) is list:
        raise line.wrong("InvalidJson", "", ..., "is a JSON array", "Give NDJSON: one JSON object a line, no array.")
    if type(value) is not dict:
        raise line.wrong("InvalidJson", "", value, "is not an object", "Give one JSON object a line.")
    return value


def _reference(line: Line) -> DataRowRef:
    value = line.body.get("dataRow")
    if type(value) is dict:
        drop_nulls(value)
        if len(value) == 1:
            key, one = next(iter(value.items()))
            if key in {"globalKey", "id"} and type(one) is str and one:
                if key == "globalKey" and len(one) > GLOBAL_KEY:
                    said = f"has {len(one)} characters"
                    remedy = f"Keep global keys to {GLOBAL_KEY} characters."
                    raise line.wrong("OutOfRange", "dataRow.globalKey", one, said, remedy)
                return DataRowRef(global_key=one) if key == "globalKey" else DataRowRef(id=one)
    remedy = 'Give exactly one of "dataRow": {"globalKey": "..."} and "dataRow": {"id": "..."}.'
    name, said = ("MissingKey", "is missing") if value is None else ("WrongType", "does not name one data row")
    line.uuid = str(line.body.get("uuid", ""))[:UUID]
    raise line.wrong(name, "dataRow", ... if value is None else value, said, remedy)


def _uuid(line: Line) -> str:
    uuid = line.body.get("uuid", "")
    if type(uuid) is not str or len(uuid) > UUID or not uuid.isprintable() or ("uuid" in line.body and not uuid):
        remedy = f"Give a string of at most {UUID} characters, best a UUID, or leave it out."
        raise line.wrong("WrongType", "uuid", uuid, "is no uuid", remedy)
    return uuid


def _said(line: Line) -> str:
    found = [key for key in SAID if key in line.body]
    if len(found) == 1 or found == ["answer", "answers"]:
        return found[0]
    if found:
        said = f"has {' and '.join(found)}"
        raise line.wrong("Repeated", found[1], line.body[found[1]], said, "Send one row for each of them.")
    line.keys(line.body, "", (*SAID, *COMMON_KEYS))
    remedy = f"Give one of {', '.join(SAID)}."
    raise line.wrong("MissingKey", "", ..., "says nothing: there is no prediction in it", remedy)


def _accepted(line: Line, kind: Kind, data_row: DataRowRef, name: str) -> Accepted:
    body = line.body
    confidence = body.get("confidence")
    if kind == "radio" and type(body["answer"]) is dict:
        confidence = body["answer"].get("confidence", confidence)
    return Accepted(Row(kind, data_row, name, body, line.uuid, confidence), line.number, tuple(line.notes))
