"""Ontology to labeling config and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from prelabel import labeling
from prelabel.errors import LabelingConfigError
from prelabel.labelbox.assets import AssetFacts, Response
from prelabel.labelbox.config import for_asset, holds, to_label_config, to_ontology
from prelabel.labelbox.config_reading import read_config
from prelabel.labelbox.ontology import ClassificationNode, Ontology, Option, Tool, ToolNode
from prelabel.labelbox.rows import Asset

DATA = Path(__file__).parent / "data"
ASSETS: Sequence[Asset] = get_args(Asset)


def node(raw: Mapping[str, Any]) -> ClassificationNode:
    return ClassificationNode(
        name=raw["name"],
        type=raw["type"],
        options=tuple(
            Option(str(o["value"]), str(o["label"]), questions=tuple(map(node, o.get("options", ()))))
            for o in raw["options"]
        ),
        scope=raw.get("scope"),
        required=raw["required"],
        ui_mode=raw.get("uiMode"),
        likert=bool(raw.get("isLikertScale")),
    )


def read(path: Path) -> Ontology:
    raw = json.loads(path.read_text(encoding="utf-8"))
    tools = tuple(
        ToolNode(t["name"], t["tool"], tuple(map(node, t["classifications"])), t["color"]) for t in raw["tools"]
    )
    return Ontology(tools, tuple(map(node, raw["classifications"])))


SAMPLE = read(DATA / "ontology.json")
REFERENCES = json.loads((DATA / "ls_configs.json").read_text(encoding="utf-8"))


def question(node: ClassificationNode) -> tuple[object, ...]:
    """What must come back of a question: name, type, scope, what it requires, options and what is nested in them."""
    options = [(o.value, o.label or o.value, [question(q) for q in o.questions]) for o in node.options]
    return node.name, node.type, node.scope, node.required, node.likert, options


def shape(ontology: Ontology) -> tuple[object, ...]:
    """What must come back of an ontology; controls are grouped by kind, so the order of tools may change."""
    tools = sorted((t.tool, t.name, [question(q) for q in t.questions]) for t in ontology.tools)
    return tools, [question(q) for q in ontology.classifications]


def controls(config: labeling.LabelingConfig) -> dict[str, tuple[object, ...]]:
    """What makes two configs the same to a person: the controls, what they label, their labels and how many."""
    return {
        c.name: (c.tag, c.to_name, c.labels, c.per_region, c.attributes.get("choice"), c.attributes.get("maxRating"))
        for c in config.controls
    }


# --- the sample ontology
@pytest.mark.parametrize("asset", ASSETS)
def test_the_sample_ontology_comes_back_from_the_config_of_every_asset(asset: Asset) -> None:
    xml = to_label_config(SAMPLE, asset)
    assert shape(to_ontology(xml)) == shape(for_asset(SAMPLE, asset))


@pytest.mark.parametrize("asset", ASSETS)
def test_label_studios_own_validator_accepts_the_config_of_every_asset(asset: Asset) -> None:
    LabelInterface(to_label_config(SAMPLE, asset)).validate()


@pytest.mark.parametrize(
    ("asset", "tools", "questions"),
    [
        (
            "image",
            ["bounding_box", "bbox_with_subclasses", "polygon", "point", "polyline", "mask", "mask_with_text_subclass"],
            [],
        ),
        ("geospatial", ["bounding_box", "polygon", "point", "polyline"], []),
        ("document", ["bounding_box", "named_entity"], []),
        ("video", ["bounding_box", "polyline"], ["radio_index"]),
        ("text", ["named_entity", "ner_with_checklist_subclass"], []),
        ("html", [], []),
        ("audio", [], ["radio_index", "text_index"]),
        ("conversational", ["named_entity"], ["radio_index"]),
        ("message_tasks", ["ranking", "multi_selection"], None),
        ("message_single", ["single_selection"], None),
    ],
)
def test_the_config_has_the_controls_of_its_reference(
    asset: str, tools: list[str], questions: list[str] | None
) -> None:
    everywhere = {
        "radio_question", "checklist_question", "free_text", "nested_radio_question", "nested_checklist_question",
        "quality_rating",
    }  # fmt: skip
    asked = set() if questions is None else everywhere | set(questions)
    relations = {"relationship"} if asset in {"image", "document", "text"} else set()
    part = Ontology(
        tuple(t for t in SAMPLE.tools if t.name in set(tools) | relations),
        tuple(q for q in SAMPLE.classifications if q.name in asked),
    )
    ours = labeling.parse(to_label_config(part, "llm" if asset.startswith("message") else asset))  # type: ignore[arg-type]
    theirs = labeling.parse(REFERENCES[asset]["xml"])
    expected = controls(theirs)
    if asset == "image":  # the reference leaves out what is asked of this mask
        expected["mask_with_text_subclass__sub_free_text"] = ("TextArea", ("image",), (), True, None, None)
    if asset == "video":  # the reference draws lines with a tag that the editor of Label Studio 1.23 does not know
        expected.pop("line")
        expected["videoLabels"] = ("Labels", ("video",), ("bounding_box", "polyline"), False, None, None)
    if asset == "audio":  # the reference has texts in regions without a label
        expected["texts"] = ("Labels", ("audio",), ("text_index",), False, None, None)
    assert controls(ours) == expected
    assert ours.relation_labels == theirs.relation_labels
    shown = {name: (tag.tag, tag.field, tag.many) for name, tag in theirs.objects.items()}
    if asset == "message_single":
        shown["prompt"] = ("Text", "prompt", False)
    assert {name: (tag.tag, tag.field, tag.many) for name, tag in ours.objects.items()} == shown


@pytest.mark.parametrize("asset", sorted(set(REFERENCES) - {"message_tasks"}))
def test_the_reference_config_written_by_hand_is_read_as_part_of_the_ontology(asset: str) -> None:
    ontology = to_ontology(REFERENCES[asset]["xml"])
    assert {t.name for t in ontology.tools} <= {t.name for t in SAMPLE.tools}
    known = {q.name: q for q in SAMPLE.classifications}
    for asked in ontology.classifications:
        assert (asked.type, asked.scope) == (known[asked.name].type, known[asked.name].scope)


# --- what a config says beyond names
def test_a_likert_question_becomes_stars_and_a_searchable_one_a_drop_down() -> None:
    config = labeling.parse(to_label_config(SAMPLE, "image"))
    rating, checklist = config.control("quality_rating"), config.control("checklist_question")
    assert rating is not None
    assert checklist is not None
    assert (rating.tag, rating.attributes["maxRating"]) == ("Rating", "5")
    assert checklist.attributes["layout"] == "select"


def test_a_likert_question_whose_options_are_words_keeps_them() -> None:
    options = (Option("bad", "Bad"), Option("good", "Good"))
    ontology = Ontology((), (ClassificationNode("how", "radio", options, scope="global", likert=True),))
    assert shape(to_ontology(to_label_config(ontology, "image"))) == shape(ontology)


def test_an_options_label_is_shown_and_its_value_is_stored() -> None:
    ontology = Ontology((), (ClassificationNode("q", "radio", (Option("cat", "A cat"),), scope="global"),))
    (control,) = labeling.parse(to_label_config(ontology, "text")).controls
    assert control.labels == ("cat",)
    assert control.entries[0].value == "A cat"


def test_the_frame_rate_stands_in_the_config_because_label_studio_would_take_24() -> None:
    xml = to_label_config(SAMPLE, "video", AssetFacts("video", fps=29.97))
    assert 'frameRate="29.97"' in xml


def test_each_series_of_a_dicom_study_has_an_image_of_its_own() -> None:
    config = labeling.parse(to_label_config(SAMPLE, "dicom", AssetFacts("dicom", groups=("axial", "coronal"))))
    assert [(name, tag.field, tag.many) for name, tag in config.objects.items()] == [
        ("axial", "axial", True),
        ("coronal", "coronal", True),
    ]


def test_more_than_two_answers_are_chosen_from_a_list_instead_of_compared() -> None:
    ontology = Ontology((ToolNode("best", "message-single-selection"),))
    two, three = (AssetFacts("llm", responses=tuple(Response(str(i)) for i in range(n))) for n in (2, 3))
    assert [c.tag for c in labeling.parse(to_label_config(ontology, "llm", two)).controls] == ["Pairwise"]
    assert [c.tag for c in labeling.parse(to_label_config(ontology, "llm", three)).controls] == ["Choices"]
    assert shape(to_ontology(to_label_config(ontology, "llm", three))) == shape(ontology)


def test_a_name_that_xml_cannot_carry_is_refused() -> None:
    ontology = Ontology((), (ClassificationNode("a\x00b", "text", scope="global"),))
    with pytest.raises(LabelingConfigError, match="cannot carry"):
        to_label_config(ontology, "image")


# --- names that get in each other's way
@pytest.mark.parametrize("name", ["bbox", "image", "7", "true", "x__y", 'a "quoted" <name> & more', "bbox_2"])
def test_a_question_keeps_its_name_even_where_the_control_needs_another(name: str) -> None:
    ontology = Ontology(
        (ToolNode("car", "rectangle", (ClassificationNode(name, "text"),)),),
        (ClassificationNode(name, "text", scope="global"), ClassificationNode("bbox_2x", "text", scope="global")),
    )
    xml = to_label_config(ontology, "image")
    LabelInterface(xml).validate()
    assert shape(to_ontology(xml)) == shape(ontology)


def test_a_question_named_like_the_path_of_a_nested_one_is_not_taken_for_it() -> None:
    inner = ClassificationNode("c", "text")
    ontology = Ontology(
        (ToolNode("tool", "named-entity", (ClassificationNode("q", "text"),)),),
        (
            ClassificationNode("a", "radio", (Option("b", "b", questions=(inner,)),), scope="global"),
            ClassificationNode("a__b__c", "text", scope="global"),
            ClassificationNode("tool__q", "text", scope="index"),
        ),
    )
    assert shape(to_ontology(to_label_config(ontology, "conversational"))) == shape(ontology)


def test_a_box_and_an_entity_of_one_name_go_to_two_controls_of_a_document() -> None:
    ontology = Ontology((ToolNode("name", "named-entity"), ToolNode("name", "rectangle")))
    config = labeling.parse(to_label_config(ontology, "document"))
    assert [c.name for c in config.controls] == ["bbox", "bbox_2", "ocr"]
    assert shape(to_ontology(config)) == shape(ontology)


def test_in_a_video_tools_of_one_name_have_labels_that_say_their_kind() -> None:
    ontology = Ontology((ToolNode("car", "rectangle"), ToolNode("car", "line", (ClassificationNode("q", "text"),))))
    config = labeling.parse(to_label_config(ontology, "video"))
    labels = config.control("videoLabels")
    assert labels is not None
    assert labels.labels == ("car", "car (line)")
    assert shape(to_ontology(config)) == shape(ontology)


def test_no_condition_names_a_label_with_a_comma_since_label_studio_takes_it_for_two() -> None:
    inner = (ClassificationNode("why", "text"),)
    options = (Option("a, b", "a, b", questions=inner), Option("b", "b"))
    ontology = Ontology(
        (ToolNode("car, red", "rectangle", inner),), (ClassificationNode("q", "radio", options, scope="global"),)
    )
    for asset in ("image", "video"):
        root = ElementTree.fromstring(to_label_config(ontology, asset))
        conditions = [view.get("whenLabelValue") or view.get("whenChoiceValue") or "" for view in root.iter("View")]
        assert not [one for one in conditions if "," in one]
        assert shape(to_ontology(to_label_config(ontology, asset))) == shape(ontology)


def test_every_question_stands_above_its_answers() -> None:
    root = ElementTree.fromstring(to_label_config(SAMPLE, "image"))
    asked = [header.get("value") for header in root.iter("Header")]
    assert {"radio_question", "sub_radio_question", "sub_free_text", "quality_rating"} <= set(asked)
    dollars = Ontology((), (ClassificationNode("how much $price", "text", scope="global"),))
    assert "<Header" not in to_label_config(dollars, "image"), "Label Studio would look for $price in the task"


# --- ontologies that hypothesis makes
names = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=8).filter(
    lambda text: text == text.strip() and not text.startswith("$")
)


def nodes(scopes: Sequence[str | None], depth: int) -> st.SearchStrategy[tuple[ClassificationNode, ...]]:
    """Up to three questions whose options may ask further ones, ``depth`` levels deep."""
    below = nodes([None], depth - 1) if depth else st.just(())
    options = st.lists(
        st.builds(lambda v, q: Option(v, v, questions=q), names, below),
        min_size=1,
        max_size=3,
        unique_by=lambda o: o.value,
    )
    chosen = st.builds(
        lambda name, kind, opts, scope, required: ClassificationNode(name, kind, tuple(opts), scope, required=required),
        names,
        st.sampled_from(["radio", "checklist"]),
        options,
        st.sampled_from(scopes),
        st.booleans(),
    )
    written = st.builds(
        lambda name, scope: ClassificationNode(name, "text", scope=scope), names, st.sampled_from(scopes)
    )
    return st.lists(chosen | written, max_size=3, unique_by=lambda n: n.name).map(tuple)


def tools(kinds: Sequence[Tool]) -> st.SearchStrategy[tuple[ToolNode, ...]]:
    one = st.builds(ToolNode, names, st.sampled_from(kinds), nodes([None], 1))
    return st.lists(one, max_size=4, unique_by=lambda t: (t.tool, t.name)).map(tuple)


@pytest.mark.parametrize(
    ("asset", "kinds", "scopes"),
    [
        ("image", ["rectangle", "polygon", "point", "line", "raster-segmentation", "superpixel"], ["global"]),
        ("document", ["rectangle", "named-entity"], ["global"]),
        ("video", ["rectangle", "line", "point", "raster-segmentation"], ["global", "index"]),
        ("conversational", ["named-entity"], ["global", "index"]),
        ("dicom", ["rectangle", "line"], ["global"]),
        ("audio", None, ["global", "index"]),
    ],
)
def test_any_ontology_comes_back(asset: Asset, kinds: list[Tool] | None, scopes: list[str | None]) -> None:
    @settings(max_examples=60, deadline=None)
    @given(tools(kinds) if kinds else st.just(()), nodes(scopes, 2))
    def holds(drawn: tuple[ToolNode, ...], asked: tuple[ClassificationNode, ...]) -> None:
        ontology = Ontology(drawn, asked)
        xml = to_label_config(ontology, asset)
        LabelInterface(xml).validate()
        assert shape(to_ontology(xml)) == shape(ontology)

    holds()


# --- the table in the documentation
SCOPES = {"": "global", "per frame": "index", "per time": "index", "per message": "index"}


def documented() -> dict[tuple[str, str, Asset], str]:
    """What docs/from-labelbox.md says: kind, scope and asset to tags."""
    page = (Path(__file__).parents[2] / "docs" / "from-labelbox.md").read_text(encoding="utf-8")
    table = page.split("| Labelbox | of | Label Studio | what is lost |")[1].split("\n\n")[0]
    found: dict[tuple[str, str, Asset], str] = {}
    for line in table.splitlines()[2:]:
        what, where, tags, _ = (cell.strip() for cell in line.strip("|").split("|"))
        names, _, scope = what.rpartition("`")
        for name in names.replace("`", "").split(", "):
            for asset in ASSETS if where == "everything" else where.split(", "):
                key: Any = (name, SCOPES[scope.strip()], asset)
                assert key not in found, "the table says it twice"
                found[key] = tags.replace("`", "")
    return found


def written() -> dict[tuple[str, str, Asset], str]:
    """What the configs are: the same, from a config with that one tool or question."""
    found: dict[tuple[str, str, Asset], str] = {}
    for asset in ASSETS:
        for tool in (ToolNode("x", kind) for kind in get_args(Tool)):
            if holds(tool, asset):
                drawn = read_config(to_label_config(Ontology((tool,)), asset)).tools
                (tag,) = {one.control.tag if one.control else "Relations" for one in drawn}
                found[tool.tool, "global", asset] = tag
        for kind in ("radio", "checklist", "text"):
            options = () if kind == "text" else (Option("a", "a"),)
            for scope in ("global", "index"):
                node = ClassificationNode("x", kind, options, scope=scope)
                if holds(node, asset):
                    (asked,) = read_config(to_label_config(Ontology((), (node,)), asset)).questions
                    tags = [asked.control.tag] + ([asked.range_control.tag] if asked.range_control else [])
                    found[kind, scope, asset] = " of ".join(tags)
    return found


def test_the_documentation_has_every_counterpart_and_no_other() -> None:
    assert documented() == written()


# --- configs that people wrote
def test_choices_taxonomy_and_the_rest_become_questions() -> None:
    ontology = to_ontology(
        """<View><Text name="t" value="$t"/>
        <Choices name="one" toName="t"><Choice value="a" alias="A"/><Choice value="b"/></Choices>
        <Choices name="many" toName="t" choice="multiple" required="true"><Choice value="a"/></Choices>
        <Taxonomy name="tree" toName="t"><Choice value="Animal"><Choice value="Cat"/></Choice><Choice value="Plant"/>
        </Taxonomy><Rating name="stars" toName="t" maxRating="3"/><Number name="n" toName="t"/>
        <DateTime name="d" toName="t"/><TextArea name="say" toName="t"/></View>"""
    )
    cat = ("Animal", "checklist", None, False, False, [("Cat", "Cat", [])])
    assert shape(ontology)[1] == [
        ("one", "radio", "global", False, False, [("A", "a", []), ("b", "b", [])]),
        ("many", "checklist", "global", True, False, [("a", "a", [])]),
        ("tree", "checklist", "global", False, False, [("Animal", "Animal", [cat]), ("Plant", "Plant", [])]),
        ("stars", "radio", "global", False, True, [(s, s, []) for s in "123"]),
        ("n", "text", "global", False, False, []),
        ("d", "text", "global", False, False, []),
        ("say", "text", "global", False, False, []),
    ]


def test_labels_become_tools_according_to_what_they_are_drawn_on() -> None:
    ontology = to_ontology(
        """<View><Image name="i" value="$i"/><Labels name="l" toName="i"><Label value="car"/></Labels>
        <Rectangle name="r" toName="i"/><BitmaskLabels name="m" toName="i"><Label value="sky"/></BitmaskLabels>
        <EllipseLabels name="e" toName="i"><Label value="lost"/></EllipseLabels>
        <Text name="t" value="$t"/><Labels name="n" toName="t"><Label value="PER" background="red"/></Labels>
        <Audio name="a" value="$a"/><Labels name="who" toName="a"><Label value="speaker"/></Labels></View>"""
    )
    assert [(t.tool, t.name, t.color) for t in ontology.tools] == [
        ("rectangle", "car", ""),
        ("raster-segmentation", "sky", ""),
        ("named-entity", "PER", "red"),
    ]
    assert [(q.name, q.scope) for q in ontology.classifications] == [("who", "index")]


def test_a_per_region_question_without_a_condition_belongs_to_every_label_of_its_object() -> None:
    ontology = to_ontology(
        """<View><Image name="i" value="$i"/>
        <RectangleLabels name="r" toName="i"><Label value="car"/><Label value="bus"/></RectangleLabels>
        <Choices name="colour" toName="i" perRegion="true"><Choice value="red"/></Choices>
        <TextArea name="plate" toName="i" perRegion="true" whenLabelValue="car"/></View>"""
    )
    assert {t.name: [q.name for q in t.questions] for t in ontology.tools} == {
        "car": ["colour", "plate"],
        "bus": ["colour"],
    }
