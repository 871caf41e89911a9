"""Labelbox's ontology JSON: what comes in goes out, ids are made where there are none, mistakes are explained."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from prelabel.errors import RequestError
from prelabel.labelbox.ontology import ClassificationNode, Ontology, Option, ToolNode

SAMPLE = Path(__file__).parent / "data" / "ontology.json"


@pytest.fixture
def raw() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SAMPLE.read_text(encoding="utf-8"))
    return loaded


def test_the_sample_goes_out_as_it_came_in(raw: dict[str, Any]) -> None:
    assert Ontology.from_json(raw).as_json() == raw


def test_text_and_bytes_are_read_like_the_object(raw: dict[str, Any]) -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    assert Ontology.from_json(text) == Ontology.from_json(text.encode()) == Ontology.from_json(raw)


def test_constraints_prompts_and_likert_scales_are_kept(raw: dict[str, Any]) -> None:
    ontology = Ontology.from_json(raw)
    edge, prompt = ontology.tool("relationship"), ontology.classification("prompt text")
    likert = ontology.classification("quality_rating")
    assert edge is not None
    assert prompt is not None
    assert likert is not None
    assert ("clf0000000000000000000002", "clf0000000000000000000002") in edge.constraints
    assert (prompt.min_characters, prompt.max_characters) == (1, 2000)
    assert likert.likert
    assert [option.value for option in likert.options] == ["1", "2", "3", "4", "5"]
    written = next(one for one in ontology.as_json()["classifications"] if one["name"] == "quality_rating")
    assert [option["value"] for option in written["options"]] == [1, 2, 3, 4, 5]


def test_keys_that_mean_nothing_to_us_are_given_back(raw: dict[str, Any]) -> None:
    raw["name"] = "everything"
    raw["tools"][0]["archived"] = False
    raw["tools"][-1]["definition"]["color"] = "#fff"
    raw["classifications"][0]["options"][0]["note"] = "n"
    assert Ontology.from_json(raw).as_json() == raw


def test_missing_ids_are_made_of_the_path_and_stay_the_same(raw: dict[str, Any]) -> None:
    def without(node: Any) -> Any:
        if isinstance(node, dict):
            ids = {"schemaNodeId", "featureSchemaId"}
            return {key: without(value) for key, value in node.items() if key not in ids}
        return [without(one) for one in node] if isinstance(node, list) else node

    def ids(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node[key] for key in ("schemaNodeId", "featureSchemaId") if key in node]
            return own + [one for value in node.values() for one in ids(value)]
        return [one for value in node for one in ids(value)] if isinstance(node, list) else []

    bare = without(raw)
    made = Ontology.from_json(bare).as_json()
    found = ids(made)
    assert without(made) == bare
    assert made == Ontology.from_json(copy.deepcopy(bare)).as_json()
    assert len(found) == len(set(found)) == len(ids(raw))
    assert {len(one) for one in found} == {25}


def test_ids_are_made_for_an_ontology_built_in_python_too() -> None:
    ontology = Ontology((ToolNode("car", "rectangle"),), (ClassificationNode("q", "radio", (Option("a", "A"),)),))
    read = Ontology.from_json(ontology.as_json())
    tool = read.tool("car")
    assert tool is not None
    assert read.tool(schema_id=tool.schema_id) == tool
    assert read.as_json() == ontology.as_json()


def test_a_tool_and_a_question_may_share_a_name_and_so_may_tools_of_two_kinds() -> None:
    ontology = Ontology.from_json(
        {
            "tools": [{"tool": "rectangle", "name": "car"}, {"tool": "polygon", "name": "car"}],
            "classifications": [{"type": "text", "name": "car"}],
        }
    )
    box, outline, asked = ontology.tool("car"), ontology.tool("car", tools={"polygon"}), ontology.classification("car")
    assert box is not None
    assert outline is not None
    assert asked is not None
    assert (box.tool, outline.tool, asked.type) == ("rectangle", "polygon", "text")
    assert len({box.schema_id, outline.schema_id, asked.schema_id}) == 3
    assert ontology.tool(schema_id=outline.schema_id) == outline
    assert ontology.classification(schema_id=asked.schema_id) == asked
    assert ontology.classification(schema_id=box.schema_id) is None
    assert ontology.tool("bus") is None


RADIO = {"type": "radio", "name": "q", "options": [{"value": "a"}]}


@pytest.mark.parametrize(
    ("malformed", "where", "remedy"),
    [
        ("{", "JSON", "export"),
        ([], "list", "tools"),
        ({}, "nothing", "normalized"),
        ({"tools": {}}, "tools is a dict", "list"),
        ({"tools": ["box"]}, "tools[0]", "object"),
        ({"tools": [{"tool": "box", "name": "a"}]}, "tools[0].tool", "rectangle"),
        ({"tools": [{"tool": "point"}]}, "tools[0].name", "name"),
        ({"tools": [{"tool": "point", "name": "a"}] * 2}, "tools", "Rename"),
        ({"tools": [{"tool": "edge", "name": "a", "definition": {"constraints": [["x"]]}}]}, "constraints[0]", "pairs"),
        ({"tools": [{"tool": "point", "name": "a", "featureSchemaId": 7}]}, "featureSchemaId", "string"),
        ({"classifications": [{"type": "choice", "name": "a"}]}, "classifications[0].type", "radio"),
        ({"classifications": [{"type": "radio", "name": "a"}]}, "classifications[0].options", "option"),
        ({"classifications": [{**RADIO, "scope": "all"}]}, "scope", "index"),
        ({"classifications": [{**RADIO, "scope": []}]}, "scope", "index"),
        ({"classifications": [RADIO, RADIO]}, "classifications", "Rename"),
        ({"classifications": [{**RADIO, "options": [{"value": ""}]}]}, "options[0].value", "name"),
        ({"classifications": [{**RADIO, "options": [{"value": "a"}] * 2}]}, "options", "Rename"),
        ({"classifications": [{"type": "text", "name": "a", "maxCharacters": -1}]}, "maxCharacters", "characters"),
        ({"classifications": [{"type": "prompt", "name": n} for n in "ab"]}, "classifications", "one prompt"),
    ],
)
def test_malformed_json_says_where_it_is_wrong_and_what_to_do(malformed: Any, where: str, remedy: str) -> None:
    with pytest.raises(RequestError) as caught:
        Ontology.from_json(malformed)
    assert where in caught.value.message
    assert remedy in caught.value.hint


def test_questions_nested_without_end_are_refused() -> None:
    question: dict[str, Any] = dict(RADIO)
    for _ in range(30):
        question = {**RADIO, "options": [{"value": "a", "options": [question]}]}
    with pytest.raises(RequestError, match="too deep"):
        Ontology.from_json({"classifications": [question]})
