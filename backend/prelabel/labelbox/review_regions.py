"""NDJSON rows of one data row to one Label Studio result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prelabel import regions
from prelabel.errors import OutputError
from prelabel.labelbox.assets import AssetFacts
from prelabel.labelbox.config_reading import Asked, Bound, answer_controls, read_config
from prelabel.labelbox.ontology import ClassificationNode, Ontology, Tool
from prelabel.labelbox.review_answers import find_asked, outputs_of
from prelabel.labelbox.review_indexed import Indexed, indexed_outputs
from prelabel.labelbox.review_notes import derived, gather, meta, note, notes_of
from prelabel.labelbox.review_objects import TOOLS, Found, Objects, name_of
from prelabel.labelbox.review_said import find_node, read_said
from prelabel.labelbox.review_shapes import Lost
from prelabel.labelbox.rows import Row
from prelabel.labeling import LabelingConfig
from prelabel.outputs import Choices, Output, Preference, Ranking
from prelabel.regions import Conversion

_MESSAGE_KEYS: Mapping[str, str] = {
    "message-multi-selection": "selectedMessages", "message-ranking": "rankedMessages",
}  # fmt: skip


def to_regions(rows: Iterable[Row], ontology: Ontology, config: LabelingConfig, asset_facts: AssetFacts) -> Conversion:
    """One Label Studio result for the rows of one data row.

    A region's ``id`` is its row's uuid, ``score`` its confidence; custom metrics and what only Labelbox knows stay in
    ``meta`` (see `review_notes`). Answers nested in an object have its region's id.

    Args:
        rows: accepted rows, in any order.
        ontology: resolves schema ids to names.
        config: the project's labeling config, made by `to_label_config` or by hand.
        asset_facts: sizes turn pixels, page units and map coordinates into percent; texts bound spans.

    Returns:
        ``result``, JSON-ready, and in ``dropped`` one sentence for each row, or part of one, that has no counterpart.
    """
    bound = read_config(config.xml)
    draft = _Draft(ontology, config, bound, asset_facts, Objects(ontology, bound, asset_facts))
    relations: list[Row] = []
    for row in rows:
        if "relationship" in row.body:
            relations.append(row)
        else:
            draft.add(row)
    gather(draft.result, answer_controls(config))
    for row in relations:
        draft.add_relation(row)
    return Conversion(draft.result, draft.dropped)


@dataclass(slots=True)
class _Draft:
    """The result while it is being written."""

    ontology: Ontology
    config: LabelingConfig
    bound: Bound
    facts: AssetFacts
    objects: Objects
    result: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    """Questions of the whole task that have their answer: Label Studio keeps one."""
    ends: set[str] = field(default_factory=set)
    """Ids of regions that relations may join."""

    def add(self, row: Row) -> None:
        lost: list[str] = []
        found = Found()
        try:
            found = self._convert(row, lost)
            known = self.facts.facts()
            made = regions.to_regions(found.outputs, self.config, dict.fromkeys(self.config.objects, known))
        except Lost as reason:
            lost.append(str(reason))
        except OutputError as error:
            lost.append(error.message.rstrip("."))
        else:
            lost += [one.rstrip(".") for one in made.dropped]
            for region in made.result:
                found.finish(region)
                if found.geometry:
                    self.ends.add(str(region["id"]))
            self.result += made.result
        what = f"row {row.uuid or 'without uuid'} ({row.name or row.kind})"
        self.dropped += [f"{what}: {one}." for one in dict.fromkeys(lost)]

    def _convert(self, row: Row, lost: list[str]) -> Found:
        body = row.body
        region_id = row.uuid or derived(row.data_row.global_key or row.data_row.id, row.name)
        if "metricName" in body or "metricValue" in body:
            raise Lost("metric rows have no counterpart in Label Studio; they stay in the model run")
        if "messageEvaluationTask" in body:
            return Found([self._message_task(row, region_id)])
        if "masks" in body:
            return Found(self.objects.frame_masks(row, region_id, lost), geometry=True)
        if "segments" in body:
            return self.objects.track(row, region_id, lost)
        key = next((key for key in TOOLS if key in body), None)
        if key is None:
            return self._answer(row, region_id, lost)
        drawn = self.objects.drawn(row.name, TOOLS[key])
        outputs = self.objects.object(row, key, drawn, region_id, lost)
        outputs += self.objects.nested(body, self.objects.tool(row.name, TOOLS[key]), drawn, str(outputs[0].id), lost)
        return Found(outputs, geometry=True)

    # --- answers
    def _answer(self, row: Row, region_id: str, lost: list[str]) -> Found:
        node = find_node(self.ontology.classifications, {"name": row.name})
        said = read_said(row.body, node, row.name)
        asked = self._asked(said.name, node)
        if asked is None:
            raise Lost(f"the labeling config has no control for {said.name!r}")
        message = row.body.get("messageId")
        if message is not None:
            index = self.facts.message_index(str(message))
            if index is None:
                raise Lost(f"there is no message {message!r} in the conversation")
            outputs = list(outputs_of(said, asked, region_id, None, lost))
            return Found(outputs, place=self._message_place(index), one_id=region_id, geometry=True)
        indexed = Indexed(self.facts, region_id, row.data_row)
        if asked.node.scope == "index":
            return Found(indexed_outputs(said, asked, indexed, lost), place=None, geometry=True)
        if said.ranges or any(option.ranges for option in (*said.options, *said.texts)):
            lost.append("its frames were left out: the labeling config asks it of the whole task")
        if asked.control.name in self.answered:
            raise Lost(f"another row has answered {said.name!r} already; Label Studio keeps one answer")
        self.answered.add(asked.control.name)
        return Found(list(outputs_of(said, asked, region_id, None, lost)))

    def _asked(self, name: str, node: ClassificationNode | None) -> Asked | None:
        same = [one for one in self.bound.questions if node is None or one.node.scope == node.scope]
        return find_asked(same, name) or find_asked(self.bound.questions, name)

    def _message_place(self, index: int) -> dict[str, Any]:
        text = self.facts.messages[index].text or ""
        place: dict[str, Any] = {
            "start": str(index),
            "end": str(index),
            "startOffset": 0,
            "endOffset": max(len(text), 1),
        }
        return {**place, "text": text} if text else place

    # --- message tasks and relations
    def _message_task(self, row: Row, region_id: str) -> Output:
        task = row.body["messageEvaluationTask"]
        kind, data = str(task["format"]), task["data"]
        tool: Tool = kind  # type: ignore[assignment]  # a tool that is not there is told below
        drawn = self.objects.drawn(row.name, frozenset({tool}))
        chosen = list(data.get(_MESSAGE_KEYS.get(kind, "")) or ([data] if "messageId" in data else ()))
        chosen.sort(key=lambda one: int(one.get("order") or 0))
        ids = tuple(str(one["messageId"]) for one in chosen)
        models = {str(one["messageId"]): one.get("modelConfigName") for one in chosen if one.get("modelConfigName")}
        rest: dict[str, Any] = {
            "control": name_of(drawn.control),
            "id": region_id,
            "meta": meta(parent=data.get("parentMessageId"), models=models),
        }
        control = drawn.control
        if control is not None and control.tag == "Pairwise":
            known = [response.id for response in self.facts.responses]
            if ids[0] not in known[:2]:
                raise Lost(f"message {ids[0]!r} is not one of the two that are compared")
            return Preference("left" if known.index(ids[0]) == 0 else "right", **rest)
        if control is not None and control.tag == "Ranker":
            bucket = control.labels[0] if control.labels else control.name
            return Ranking({bucket: ids}, **rest)
        return Choices(ids, **rest)

    def add_relation(self, row: Row) -> None:
        body = row.body["relationship"]
        what = f"row {row.uuid} ({row.name})"
        source, target = (body.get(end) for end in ("source", "target"))
        if source is None and body.get("sourceOntologyName"):
            self.dropped.append(
                f"{what}: its source is the feature {body['sourceOntologyName']!r}, and relations of Label Studio join"
                " two regions."
            )
            return
        missing = [end for end in (source, target) if end not in self.ends]
        if missing:
            self.dropped.append(f"{what}: there is no region {missing[0]!r} that it could join.")
            return
        region: dict[str, Any] = {
            "type": "relation",
            "from_id": source,
            "to_id": target,
            "direction": "bi" if body.get("type") == "bidirectional" else "right",
        }
        if row.name in self.config.relation_labels:
            region["labels"] = [row.name]
        else:
            self.dropped.append(f"{what}: the relation was kept, but the config has no <Relation value={row.name!r}/>.")
        start = next(one for one in self.result if one.get("id") == source)
        known = notes_of(start).get("relations") or []
        more = {} if body.get("readonly") is None else {"readonly": body["readonly"]}
        note(start, relations=[*known, {"to": target, "name": row.name, "uuid": row.uuid, **more}])
        self.result.append(region)
