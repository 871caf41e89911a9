"""One Label Studio result to NDJSON rows of one data row: predictions reviewed, and what people drew themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prelabel.labelbox.assets import AssetFacts
from prelabel.labelbox.config_reading import Asked, Bound, Drawn, answer_controls, read_config
from prelabel.labelbox.config_tags import MESSAGE_TOOLS
from prelabel.labelbox.ontology import Ontology
from prelabel.labelbox.review_answers import entry_of, written
from prelabel.labelbox.review_drawn import Parts, object_body
from prelabel.labelbox.review_notes import derived, metrics_of, notes_of, row_uuid, spread
from prelabel.labelbox.review_ranges import RangeRow, heard_row, seen_rows
from prelabel.labelbox.review_shapes import Lost
from prelabel.labelbox.rows import DataRowRef
from prelabel.labeling import LabelingConfig, fold

Region = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowsConversion:
    """``rows``: NDJSON bodies in normal form. ``dropped``: one sentence for each region, or part of one, left out."""

    rows: list[dict[str, Any]]
    dropped: list[str]


def to_rows(
    result: Sequence[Region],
    ontology: Ontology,
    config: LabelingConfig,
    asset_facts: AssetFacts,
    data_row: DataRowRef,
) -> RowsConversion:
    """The rows that a result stands for, also one that people drew: without scores, ids of Label Studio's own.

    Args:
        result: regions of one prediction or annotation.
        ontology: what rows may name; a label that it does not have is dropped.
        config: the project's labeling config.
        asset_facts: as for `to_regions`; sizes of images are read from the regions first.
        data_row: the data row that the rows name.
    """
    reading = _Reading(config, read_config(config.xml), ontology, asset_facts, data_row)
    reading.read(result)
    return RowsConversion(reading.rows, reading.dropped)


@dataclass(slots=True)
class _Reading:
    """The rows while they are being read."""

    config: LabelingConfig
    bound: Bound
    ontology: Ontology
    facts: AssetFacts
    data_row: DataRowRef
    rows: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    uuids: dict[str, str] = field(default_factory=dict)
    """Region ids to the uuids of their rows: what relations join."""
    relations: dict[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """What was noted of relations, by the id of the region where they begin."""
    taken: set[int] = field(default_factory=set)
    """Regions (by ``id()``) that have become part of a row."""

    def read(self, result: Sequence[Region]) -> None:
        result = spread(result, answer_controls(self.config))
        drawn = [one for one in result if one.get("type") != "relation"]
        groups: dict[str, dict[str, Region]] = {}
        for region in drawn:
            control = str(region.get("from_name", ""))
            groups.setdefault(str(region.get("id", "")), {}).setdefault(control, region)
            if notes_of(region).get("relations"):
                self.relations[str(region.get("id", ""))] = notes_of(region)["relations"]
        parts = Parts(self.base)
        for region_id, group in groups.items():
            self._objects(region_id, group, parts)
        self.rows += parts.rows(self.dropped)
        self._task_answers(drawn)
        for group in groups.values():
            self._message_answers(group)
        self._ranges(drawn)
        for region in result:
            if region.get("type") == "relation":
                self._relation(region)
            elif id(region) not in self.taken:
                self.dropped.append(
                    f"region {region.get('id')} of control {region.get('from_name')!r} ({region.get('type')}): the"
                    " ontology has no counterpart."
                )

    def base(self, uuid: str | None, name: str | None) -> dict[str, Any]:
        """What every row begins with."""
        key = {"globalKey": self.data_row.global_key} if self.data_row.global_key else {"id": self.data_row.id}
        row: dict[str, Any] = {"dataRow": key}
        if uuid is not None:
            row["uuid"] = uuid
        if name is not None:
            row["name"] = name
        return row

    def _uuid(self, region: Region) -> str:
        found = row_uuid(str(notes_of(region).get("row") or region.get("id", "")), self.data_row)
        self.uuids[str(region.get("id", ""))] = found
        return found

    def _take(self, group: Mapping[str, Region], names: set[str]) -> None:
        self.taken |= {id(group[name]) for name in names if name in group}

    # --- objects
    def _objects(self, region_id: str, group: Mapping[str, Region], parts: Parts) -> None:
        for region in group.values():
            name = str(region.get("from_name", ""))
            tools = [tool for tool in self.bound.tools if tool.control is not None and tool.control.name == name]
            if not tools:
                continue
            lost: list[str] = []
            try:
                if tools[0].tool in MESSAGE_TOOLS:
                    self.rows.append(self._message_task(region, tools[0]))
                    self.taken.add(id(region))
                else:
                    self._object(region, group, tools, parts, lost)
            except Lost as reason:
                lost.append(str(reason))
                self.taken.add(id(region))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                lost.append(f"it is malformed ({type(error).__name__}: {error})")
                self.taken.add(id(region))
            self.dropped += [f"region {region_id} of control {name!r}: {one}." for one in lost]

    def _object(
        self,
        region: Region,
        group: Mapping[str, Region],
        tools: Sequence[Drawn],
        parts: Parts,
        lost: list[str],
    ) -> None:
        holder = tools[0].holder
        labels = _labels(region, group.get(holder.name) if holder is not None else None)
        if not labels:
            raise Lost("it has no label")
        used = {str(region["from_name"])} | ({holder.name} if holder is not None else set())
        for number, label in enumerate(labels):
            tool = next((one for one in tools if one.stored == label), None)
            known = tool is not None and any(
                fold(one.name) == fold(label) and one.tool == tool.tool for one in self.ontology.tools
            )
            if tool is None or not known:
                lost.append(f"the ontology has no tool for the label {label!r}")
                continue
            uuid = self._uuid(region) if not number else derived(self._uuid(region), label)
            row = self.base(uuid, tool.name)
            entries = [entry for asked in tool.questions if (entry := entry_of(asked, group, used)) is not None]
            self._token_text(group, tool, used, lost)
            metrics = metrics_of(region)
            score = region.get("score")
            if score is not None and self.facts.asset not in {"video", "dicom"}:
                row["confidence"] = score
            elif score is not None:
                lost.append(f"its score {score} was left out: Labelbox's {self.facts.asset} objects have no confidence")
            if metrics:
                row["customMetrics"] = metrics
            body = object_body(region, tool, self.facts, lost)
            parts.add(region, row, body, entries)
        self._take(group, used)

    def _token_text(self, group: Mapping[str, Region], tool: Drawn, used: set[str], lost: list[str]) -> None:
        """What was written beside a box; of entities the text layer says it."""
        control = self.bound.token_text
        if control is None or control.name not in group:
            return
        used.add(control.name)
        text = written(group[control.name].get("value") or {})
        if tool.tool != "named-entity" and text:
            lost.append(f"the text {text[:40]!r} written in it was left out: rows of boxes have none")

    # --- answers
    def _task_answers(self, regions: Sequence[Region]) -> None:
        answers: dict[str, Region] = {}
        for region in regions:
            control = self.config.control(str(region.get("from_name", "")))
            if control is not None and not control.per_region and "startOffset" not in (region.get("value") or {}):
                answers.setdefault(control.name, region)
        for asked in self.bound.questions:
            answer = answers.get(asked.control.name)
            if asked.node.scope != "index" and answer is not None and id(answer) not in self.taken:
                self._answer_row(asked, answers, answer, {})

    def _message_answers(self, group: Mapping[str, Region]) -> None:
        """Answers about one message of a conversation."""
        for asked in self.bound.questions:
            region = group.get(asked.control.name)
            value = (region.get("value") or {}) if region is not None else {}
            if region is None or "startOffset" not in value or id(region) in self.taken:
                continue
            index = int(value["start"])
            if index >= len(self.facts.messages):
                self.dropped.append(
                    f"region {region.get('id')}: the id of message {index} (counted from 0) is not known."
                )
                self.taken.add(id(region))
                continue
            self._answer_row(asked, group, region, {"messageId": self.facts.messages[index].id})

    def _answer_row(self, asked: Asked, answers: Mapping[str, Region], region: Region, more: Mapping[str, Any]) -> None:
        used: set[str] = set()
        entry = entry_of(asked, answers, used)
        if entry is None or not self._is_known(asked):
            return
        uuid = self._uuid(region)
        if any(row.get("uuid") == uuid for row in self.rows if more):
            uuid = derived(uuid, asked.control.name)
        self.rows.append({**self.base(uuid, None), **entry, **more})
        self._take(answers, used)

    def _is_known(self, asked: Asked) -> bool:
        return any(fold(node.name) == fold(asked.node.name) for node in self.ontology.classifications)

    def _ranges(self, regions: Sequence[Region]) -> None:
        """Answers about stretches of time: one row for all of an audio's, for a video as many as were sent."""
        for asked in self.bound.questions:
            if asked.node.scope != "index" or self.facts.asset == "conversational" or not self._is_known(asked):
                continue
            context = RangeRow(self.base, self.data_row, self.taken, self.dropped)
            if self.facts.asset == "audio":
                self.rows += heard_row(asked, regions, context)
            else:
                self.rows += seen_rows(asked, regions, context)

    # --- message tasks and relations
    def _message_task(self, region: Region, tool: Drawn) -> dict[str, Any]:
        value, notes = region.get("value") or {}, notes_of(region)
        known = {response.id: response.model for response in self.facts.responses}
        models = {**{k: v for k, v in known.items() if v}, **(notes.get("models") or {})}
        if "selected" in value:
            side = 0 if value["selected"] == "left" else 1
            if side >= len(self.facts.responses):
                raise Lost("the ids of the two answers are not known")
            ids = [self.facts.responses[side].id]
        elif "ranker" in value:
            ids = [str(one) for bucket in value["ranker"].values() for one in bucket]
        else:
            ids = [str(one) for one in value.get("choices") or ()]
        parent = notes.get("parent") or self.facts.parent_message
        if parent is None:
            raise Lost("the id of the message that was answered (parentMessageId) is not known")
        messages = [{"messageId": one, **({"modelConfigName": models[one]} if one in models else {})} for one in ids]
        data: dict[str, Any] = {"parentMessageId": parent}
        if tool.tool == "message-single-selection":
            data |= messages[0]
        elif tool.tool == "message-multi-selection":
            data["selectedMessages"] = messages
        else:
            data["rankedMessages"] = [{**one, "order": order} for order, one in enumerate(messages, start=1)]
        return {
            **self.base(self._uuid(region), tool.name),
            "messageEvaluationTask": {"format": tool.tool, "data": data},
        }

    def _note_of(self, relation: Region, name: str) -> Mapping[str, Any]:
        """What was noted of a relation: in the region where it begins."""
        known = self.relations.get(str(relation.get("from_id")), ()) if relation.get("direction") != "left" else ()
        return next((one for one in known if (one.get("to"), one.get("name")) == (relation.get("to_id"), name)), {})

    def _relation(self, region: Region) -> None:
        ends = [str(region.get("from_id", "")), str(region.get("to_id", ""))]
        missing = [end for end in ends if end not in self.uuids]
        labels = region.get("labels") or [tool.name for tool in self.ontology.tools if tool.tool == "edge"][:1]
        what = f"relation {ends[0]} to {ends[1]}"
        if missing or not labels:
            why = f"region {missing[0]!r} has no row" if missing else "the ontology has no relationship"
            self.dropped.append(f"{what}: {why}.")
            return
        source, target = (self.uuids[end] for end in ends)
        if region.get("direction") == "left":
            source, target = target, source
        notes = self._note_of(region, str(labels[0]))
        body: dict[str, Any] = {
            "source": source,
            "target": target,
            "type": "bidirectional" if region.get("direction") == "bi" else "unidirectional",
        }
        if notes.get("readonly") is not None:
            body["readonly"] = notes["readonly"]
        uuid = str(notes.get("uuid") or derived(source, target, labels[0]))
        self.rows.append({**self.base(uuid, str(labels[0])), "relationship": body})
        if len(labels) > 1:
            self.dropped.append(f"{what}: a row has one label, {', '.join(map(repr, labels[1:]))} was left out.")


def _labels(region: Region, beside: Region | None) -> list[str]:
    """A region's labels: its own, or those of the ``Labels`` result with its id."""
    for one in (region, beside):
        value = (one.get("value") or {}) if one is not None else {}
        for key in (str(one.get("type", "")).lower() if one is not None else "", "labels"):
            if isinstance(value.get(key), list):
                return [str(label) for label in value[key]]
    return []
