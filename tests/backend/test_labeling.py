"""The labeling config: parsing, finding controls, mapping labels, and sentences for what does not fit."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prelabel import outputs as o
from prelabel.errors import LabelingConfigError, OutputError
from prelabel.labeling import TAKES, ControlTag, LabelingConfig, fit, parse, reason_phrase
from prelabel.labeling.tags import NOUNS, READS, labels_of
from prelabel.model import InputKind

RECORDED = sorted(p for p in (Path(__file__).parents[1] / "recordings" / "configs").glob("*.json") if p.stem[0] != "_")


def recorded(name: str) -> LabelingConfig:
    path = Path(__file__).parents[1] / "recordings" / "configs" / f"{name}.json"
    return parse(json.loads(path.read_text())["label_config"])


def config(*tags: str) -> LabelingConfig:
    return parse(f"<View>{''.join(tags)}</View>")


TEXT = '<Text name="text" value="$text"/>'
IMAGE = '<Image name="image" value="$image"/>'
AUDIO = '<Audio name="audio" value="$audio"/>'
SENTIMENT = '<Choices name="sentiment" toName="text"><Choice value="Positive"/><Choice value="Negative"/></Choices>'
NER = '<Labels name="ner" toName="text"><Label value="PER"/><Label value="LOC"/></Labels>'
BOXES = '<RectangleLabels name="rect" toName="image"><Label value="Car"/><Label value="Person"/></RectangleLabels>'


# --- parsing
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_recorded_config_is_parsed_and_takes_its_own_prediction(path: Path) -> None:
    recording = json.loads(path.read_text())
    parsed = parse(recording["label_config"])
    assert parsed.controls
    assert parsed.objects
    for region in recording["prediction"]["result"]:
        if region["type"] == "relation":
            assert set(region["labels"]) <= set(parsed.relation_labels)
            continue
        control = parsed.find_control(o.Raw(region))
        assert control.name == region["from_name"]
        assert parsed.object_for(control).name in region["to_name"].split(",")
        assert all(parsed.object_for(control).value(recording["task_data"]) for control in parsed.controls)


def test_a_config_is_parsed_once_for_the_same_text() -> None:
    assert config(TEXT, SENTIMENT) is config(TEXT, SENTIMENT)


def test_labels_are_the_aliases_where_there_are_any() -> None:
    assert recorded("choices_alias").controls[0].labels == ("pos", "neg")


def test_nested_choices_keep_the_order_of_the_tree_and_know_their_paths() -> None:
    control = recorded("taxonomy").controls[0]
    assert control.labels == ("Animal", "Cat", "Dog", "Plant")
    assert [entry.path for entry in control.entries][1] == ("Animal", "Cat")


def test_choices_inside_layout_tags_belong_to_their_control() -> None:
    parsed = config(
        TEXT, '<Choices name="c" toName="text"><View><Choice value="A"/></View><Choice value="B"/></Choices>'
    )
    assert parsed.controls[0].labels == ("A", "B")


def test_a_rankers_labels_are_its_buckets() -> None:
    assert recorded("ranker_buckets").controls[0].labels == ("best", "worst")


def test_tags_and_attributes_are_known_whatever_their_case() -> None:
    parsed = parse(
        '<view><text name="t" value="$t"/>'
        '<choices name="c" toname="t" perregion="TRUE"><choice value="A"/></choices></view>'
    )
    assert (parsed.controls[0].tag, parsed.controls[0].to_name, parsed.controls[0].per_region) == (
        "Choices",
        ("t",),
        True,
    )


def test_unknown_tags_are_kept_as_controls_and_objects() -> None:
    parsed = config('<Molecule name="m" value="$smiles"/>', '<Bond name="b" toName="m"/>')
    assert parsed.controls[0].tag == "Bond"
    assert parsed.objects["m"].field == "smiles"


def test_a_header_with_data_is_an_object_only_where_it_has_a_name() -> None:
    parsed = config(
        TEXT, SENTIMENT, '<Header value="$title"/>', '<Header name="h" value="$title"/>', "<Style>.a{}</Style>"
    )
    assert set(parsed.objects) == {"text", "h"}


def test_a_constant_text_that_a_control_points_at_is_an_object_without_field() -> None:
    parsed = config('<Text name="text" value="Judge this"/>', SENTIMENT)
    assert parsed.objects["text"].field == ""


@pytest.mark.parametrize(
    ("field", "data", "value"),
    [
        ("$text", {"text": "hi"}, "hi"),
        ("$doc.body", {"doc": {"body": "hi"}}, "hi"),
        ("$doc.body", {"doc.body": "whole", "doc": {"body": "hi"}}, "whole"),
        ("$pages[1].url", {"pages": [{"url": "a"}, {"url": "b"}]}, "b"),
        ("$pages[7].url", {"pages": []}, None),
        ("$absent", {"text": "hi"}, None),
        ("$a.b", {"a": "flat"}, None),
    ],
)
def test_an_object_reads_its_field_from_the_data(field: str, data: dict[str, object], value: object) -> None:
    parsed = config(f'<Text name="text" value="{field}"/>', SENTIMENT)
    assert parsed.objects["text"].field == field[1:]
    assert parsed.objects["text"].value(data) == value


def test_a_value_list_says_that_there_are_many() -> None:
    tag = recorded("image_multipage_item_index").objects["image"]
    assert (tag.field, tag.many) == ("images", True)


def test_the_hash_is_blind_to_layout_and_sees_every_change_of_meaning() -> None:
    one = parse('<View><Text name="text" value="$text"/></View>')
    two = parse('<View>\n  <!-- the text -->\n  <Text value="$text" name="text"></Text>\n</View>')
    other = parse('<View><Text name="text" value="$body"/></View>')
    assert one.hash == two.hash
    assert one.hash != other.hash
    assert len(one.hash) == 16
    assert int(one.hash, 16) >= 0


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "   ",
        "<View>",
        "plain text",
        "<View></View><View></View>",
        '<!DOCTYPE x [<!ENTITY a "b">]><View>&a;</View>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><View/>',
        '<View><Choices name="c" toName="nowhere"/></View>',
        '<View><Text name="t" value="$t"/><Choices toName="t"/></View>',
        '<View><Text name="t" value="$t"/><Choices name="c" toName=""/></View>',
        '<View><Text name="t" value="$t"/><Text name="t" value="$u"/></View>',
        '<View><Text name="t" value="$t"/><Choices name="c" toName="t"/><Rating name="c" toName="t"/></View>',
    ],
)
def test_what_is_no_labeling_config_is_refused_with_a_sentence(xml: str) -> None:
    with pytest.raises(LabelingConfigError) as caught:
        parse(xml)
    assert len(caught.value.message) > 20


def test_something_else_than_text_is_refused() -> None:
    with pytest.raises(LabelingConfigError, match="must be XML text, got dict"):
        parse({"xml": 1})  # type: ignore[arg-type]


@given(st.text(max_size=80))
def test_no_text_whatever_makes_the_parser_fail_otherwise(text: str) -> None:
    with contextlib.suppress(LabelingConfigError):
        parse(text)


def test_a_repeaters_controls_are_found_by_their_filled_in_names() -> None:
    parsed = config(
        '<Repeater on="$pages" indexFlag="{{idx}}">',
        '<Image name="page_{{idx}}" value="$pages[{{idx}}].url"/>',
        '<RectangleLabels name="box_{{idx}}" toName="page_{{idx}}"><Label value="Car"/></RectangleLabels>',
        "</Repeater>",
    )
    control = parsed.find_control(o.Box(1, 2, 3, 4, "Car", page=2))
    assert (control.name, control.to_name) == ("box_2", ("page_2",))
    assert parsed.object_for(control).value({"pages": [{"url": "a"}, {"url": "b"}, {"url": "c"}]}) == "c"
    assert parsed.find_control(o.Box(1, 2, 3, 4, "Car", control="box_1")).to_name == ("page_1",)
    assert parsed.control("box_x") is None


# --- the table
def test_every_output_has_a_name_and_all_but_relations_and_regions_a_row() -> None:
    kinds = {kind for kind in vars(o).values() if isinstance(kind, type) and issubclass(kind, o.Output)} - {o.Output}
    assert set(NOUNS) == kinds
    assert set(TAKES) == kinds - {o.Raw, o.Regions, o.Relation}
    assert set(READS) == set(InputKind)


def test_the_page_about_labeling_configs_names_every_output_with_its_controls() -> None:
    page = (Path(__file__).parents[2] / "docs" / "labeling-configs.md").read_text()
    for kind, row in TAKES.items():
        line = next((line for line in page.splitlines() if line.startswith(f"| `{kind.__name__}`")), "")
        assert line, f"docs/labeling-configs.md lacks {kind.__name__}"
        for takes in row:
            assert f"`{takes.control}`" in line


# --- finding a control
@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        ("choices_single", o.Choice("Positive"), "sentiment"),
        ("taxonomy", o.Choice("Cat"), "tax"),
        ("two_controls_one_task", o.Span(0, 3, "PER"), "ner"),
        ("hypertextlabels", o.Span(0, 3, "PER"), "ner"),
        ("labels_on_rectangle_split", o.Box(0, 0, 1, 1, "Car"), "box"),
        ("ocr_rectangle_transcription", o.Box(0, 0, 1, 1, "Car", text="hello"), "bbox"),
        ("choices_per_region", o.Choice("yes", of="r1"), "occl"),
        ("textarea_per_region", o.Text("blue", of="r1"), "note"),
        ("audio_labels", o.Segment(0, 1, "Speech"), "al"),
        ("timeserieslabels", o.SeriesSegment(1, 2, "Run"), "tsl"),
        ("timelinelabels", o.FrameSpan(1, 2, "Goal"), "tl"),
        ("videorectangle", o.Track((o.TrackBox(1, 0, 0, 1, 1),), "Man"), "box"),
        ("pairwise", o.Preference("left"), "pw"),
        ("chat", o.ChatMessage("hi"), "chat"),
        ("ocrlabels_pdf", o.Box(0, 0, 1, 1, "Title"), "ocr"),
    ],
)
def test_an_output_finds_its_control(name: str, output: o.Output, expected: str) -> None:
    assert recorded(name).find_control(output).name == expected


def test_labels_tell_controls_of_one_kind_apart() -> None:
    parsed = config(
        TEXT, SENTIMENT, '<Choices name="topic" toName="text"><Choice value="Sport"/><Choice value="Art"/></Choices>'
    )
    assert parsed.find_control(o.Choice("art")).name == "topic"
    assert parsed.find_control(o.Choice("Positive")).name == "sentiment"
    assert parsed.find_control(o.Choice("sports"), {"sports": "Sport"}).name == "topic"


def test_a_label_that_two_controls_have_must_name_its_control() -> None:
    same = "<Choice value='Yes'/><Choice value='No'/></Choices>"
    parsed = config(TEXT, f'<Choices name="funny" toName="text">{same}', f'<Choices name="sad" toName="text">{same}')
    with pytest.raises(OutputError, match=r"fits funny or sad alike\. Name one: Choice\(\.\.\., control='funny'\)"):
        parsed.find_control(o.Choice("Yes"))
    assert parsed.find_control(o.Choice("Yes", control="sad")).name == "sad"


def test_of_two_objects_the_first_one_is_meant() -> None:
    parsed = config(
        '<Image name="a" value="$a"/><Image name="b" value="$b"/>',
        '<Rectangle name="ra" toName="a"/><Rectangle name="rb" toName="b"/>',
    )
    assert parsed.find_control(o.Box(0, 0, 1, 1)).name == "ra"


def test_without_a_region_the_control_of_the_whole_task_is_meant() -> None:
    choices = "<Choice value='yes'/></Choices>"
    parsed = config(
        IMAGE,
        f'<Choices name="each" toName="image" perRegion="true">{choices}',
        f'<Choices name="all" toName="image">{choices}',
    )
    assert parsed.find_control(o.Choice("yes")).name == "all"
    assert parsed.find_control(o.Choice("yes", of="r1")).name == "each"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["Polygon", "BrushLabels"], "BrushLabels"),
        (["Rectangle", "Bitmask"], "Bitmask"),
        (["Rectangle", "Polygon"], "Polygon"),
        (["Rectangle"], "Rectangle"),
        (["RectangleLabels"], "RectangleLabels"),
    ],
)
def test_a_mask_goes_to_brush_bitmask_polygon_or_box_whichever_is_there(tags: list[str], expected: str) -> None:
    import numpy as np

    parsed = config(IMAGE, *(f'<{tag} name="{tag}" toName="image"><Label value="Car"/></{tag}>' for tag in tags))
    assert parsed.find_control(o.Mask(np.zeros((2, 2)), "Car")).tag == expected


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (o.Box(0, 0, 1, 1, "Car"), "no control for boxes (Box). Add <RectangleLabels> or <Rectangle>"),
        (o.Choice("Neutral"), "label 'Neutral' is not in Choices 'sentiment', which has Positive, Negative"),
        (o.Choice("Positive", control="mood"), "no control named 'mood'. It has sentiment and ner"),
        (o.Choice("Positive", control="ner"), "Labels 'ner' does not take a class (Choice). Point at a Choices"),
        (o.Relation("a", "b"), "no control for relations (Relation)"),
        (o.Raw({"from_name": "x"}), "no control named 'x'"),
    ],
)
def test_an_output_without_a_place_is_refused_with_the_reason(output: o.Output, message: str) -> None:
    with pytest.raises(OutputError) as caught:
        config(TEXT, SENTIMENT, NER).find_control(output)
    assert message in str(caught.value)


def test_a_span_does_not_go_to_the_labels_of_an_audio() -> None:
    parsed = config(AUDIO, '<Labels name="al" toName="audio"><Label value="PER"/></Labels>', TEXT)
    with pytest.raises(OutputError, match="no control for text spans"):
        parsed.find_control(o.Span(0, 1, "PER"))


# --- the object a model reads
def test_the_model_gets_what_the_control_of_its_outputs_points_at() -> None:
    parsed = config(TEXT, SENTIMENT, IMAGE, BOXES)
    assert parsed.primary_object().name == "text"
    assert parsed.primary_object([o.Box]).name == "image"
    assert parsed.primary_object([o.Mask, o.Choice]).name == "text"
    assert parsed.primary_object(None, InputKind.IMAGE).name == "image"
    assert parsed.primary_object([o.Choice], InputKind.IMAGE).name == "image"


def test_a_per_region_control_is_the_last_to_say_what_the_model_reads() -> None:
    parsed = config(IMAGE, '<TextArea name="note" toName="image" perRegion="true"/>', TEXT, SENTIMENT)
    assert parsed.primary_object().name == "text"


def test_a_config_without_objects_has_none_for_the_model() -> None:
    with pytest.raises(LabelingConfigError, match="shows nothing that the model can read"):
        parse("<View></View>").primary_object()


# --- labels
MAPPED = config(
    TEXT,
    '<Choices name="c" toName="text">'
    '<Choice value="Positive" alias="pos" predicted_values="good, LABEL_1"/>'
    '<Choice value="Very negative" alias="neg"/>'
    '<Choice value="good"/>'
    "</Choices>",
)


@pytest.mark.parametrize(
    ("label", "stored"),
    [
        ("Positive", "pos"),
        ("pos", "pos"),
        ("LABEL_1", "pos"),
        ("label-1", "pos"),
        ("POSITIVE", "pos"),
        ("very_negative", "neg"),
        ("Very  Negative", "neg"),
        ("good", "pos"),
        ("unheard", None),
        ("", None),
    ],
)
def test_a_label_is_mapped_by_predicted_value_value_alias_and_last_without_case(label: str, stored: str | None) -> None:
    assert MAPPED.map_label(MAPPED.controls[0], label) == stored


def test_the_users_label_map_comes_first() -> None:
    assert MAPPED.map_label(MAPPED.controls[0], "good", {"good": "Very negative"}) == "neg"
    assert MAPPED.map_label(MAPPED.controls[0], "nice", {"nice": "positive"}) == "pos"
    assert MAPPED.map_label(MAPPED.controls[0], "nice", {"nice": "unheard"}) is None


def test_an_exact_name_wins_over_one_that_differs_in_case() -> None:
    parsed = config(TEXT, '<Choices name="c" toName="text"><Choice value="us"/><Choice value="US"/></Choices>')
    assert [parsed.map_label(parsed.controls[0], label) for label in ("us", "US", "Us")] == ["us", "US", "us"]


def test_a_nested_label_is_found_by_its_leaf_and_by_its_path() -> None:
    parsed = config(
        TEXT,
        '<Taxonomy name="tax" toName="text"><Choice value="Animal"><Choice value="Other" alias="oa"/></Choice>'
        '<Choice value="Plant"><Choice value="Fern"/><Choice value="Other"/></Choice></Taxonomy>',
    )
    control = parsed.controls[0]
    assert parsed.map_path(control, "fern") == ("Plant", "Fern")
    assert parsed.map_path(control, "Plant/Other") == ("Plant", "Other")
    assert parsed.map_path(control, "Other") == ("Animal", "oa")
    assert parsed.map_path(control, "Animal") == ("Animal",)
    assert parsed.map_path(control, "Stone") is None


def test_labels_that_come_with_the_task_are_all_taken() -> None:
    parsed = config(TEXT, '<Choices name="c" toName="text" value="$classes"/>')
    assert parsed.controls[0].dynamic == "classes"
    assert parsed.map_label(parsed.controls[0], "anything") == "anything"
    assert parsed.find_control(o.Choice("anything")).name == "c"


def test_a_text_areas_preset_is_no_source_of_labels() -> None:
    parsed = config(TEXT, '<TextArea name="c" toName="text" value="$draft"/>')
    assert parsed.controls[0].dynamic == ""


def test_a_bare_rectangle_takes_its_labels_from_the_labels_beside_it() -> None:
    parsed = recorded("ocr_rectangle_transcription")
    box = parsed.find_control(o.Box(0, 0, 1, 1))
    holder, text = parsed.label_control(box), parsed.region_text_control(box)
    assert holder is not None
    assert text is not None
    assert (holder.name, text.name) == ("label", "transcription")
    assert parsed.map_label(box, "car") == "Car"


def test_a_bare_rectangle_alone_has_no_labels() -> None:
    parsed = recorded("rectangle")
    assert parsed.label_control(parsed.controls[0]) is None
    assert parsed.map_label(parsed.controls[0], "Car") is None
    assert parsed.find_control(o.Box(0, 0, 1, 1, "Car")).name == "rect"


def test_a_control_made_by_hand_maps_its_labels_too() -> None:
    control = ControlTag("c", "Choices", ("text",), ("Yes", "No"))
    assert config(TEXT, SENTIMENT).map_label(control, "yes") == "Yes"


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="<>&\"'"), min_size=1), min_size=1, unique=True)
)
def test_every_label_of_a_control_maps_to_itself(labels: list[str]) -> None:
    control = ControlTag("c", "Choices", ("text",), tuple(labels))
    assert [config(TEXT, SENTIMENT).map_label(control, label) for label in labels] == labels


def test_the_labels_of_an_output_are_those_it_carries() -> None:
    assert labels_of(o.Choices(("a", "b"))) == ("a", "b")
    assert labels_of(o.Taxonomy((("a", "b"), ("c",)))) == ("b", "c")
    assert labels_of(o.Box(0, 0, 1, 1)) == ()


# --- does it fit
def test_a_model_that_declares_nothing_fits_any_config_with_a_control() -> None:
    assert fit(config(TEXT, SENTIMENT), outputs=None, labels=None, label_map=None).ok


def test_a_config_without_controls_is_refused() -> None:
    report = fit(parse("<View></View>"))
    assert not report.ok
    assert report.refusal.startswith("The labeling config has no control tag")


def test_labels_that_no_control_has_are_refused_with_what_to_change() -> None:
    report = fit(
        config(TEXT, '<Choices name="topic" toName="text"><Choice value="Sport"/></Choices>'),
        labels=["Positive", "Negative"],
    )
    assert report.refusal == (
        "The model says Positive, Negative, but no Choices control on Text has them (topic has Sport): "
        'add <Choice value="Positive"/> to topic, or set --label-map.'
    )


def test_labels_that_only_partly_fit_connect_and_are_listed() -> None:
    report = fit(config(TEXT, SENTIMENT), outputs=[o.Choice], labels=["positive", "Neutral"])
    assert report.ok
    assert report.dropped == ("label 'Neutral': not in Choices 'sentiment'.",)


def test_many_labels_without_a_place_are_one_sentence() -> None:
    report = fit(config(TEXT, SENTIMENT), labels=["Positive", *(f"class {i}" for i in range(79))])
    (sentence,) = report.dropped
    assert sentence.startswith("79 of 80 labels: not in Choices 'sentiment': 'class 0', 'class 1', ")
    assert sentence.endswith(" and 67 more.")


def test_a_label_map_makes_labels_fit() -> None:
    report = fit(
        config(TEXT, SENTIMENT), labels=["LABEL_0", "LABEL_1"], label_map={"LABEL_0": "Negative", "LABEL_1": "Positive"}
    )
    assert (report.ok, report.dropped) == (True, ())


def test_outputs_without_a_control_are_refused_with_the_tag_to_add() -> None:
    report = fit(config(IMAGE, '<Choices name="c" toName="image"><Choice value="a"/></Choices>'), outputs=[o.Box])
    assert report.refusal == (
        "The model says boxes, but the labeling config has only Choices 'c': "
        'add <RectangleLabels name="rectanglelabels" toName="image"> to it, or connect another model.'
    )


def test_outputs_that_need_another_kind_of_data_say_so() -> None:
    report = fit(config(TEXT, SENTIMENT), outputs=[o.Segment])
    assert "The model says audio segments" in report.refusal
    assert "add <Labels> on an Audio" in report.refusal


def test_outputs_that_only_partly_fit_are_listed() -> None:
    report = fit(config(IMAGE, BOXES), outputs=[o.Box, o.Text], labels=["Car"])
    assert report.ok
    assert report.dropped == ("written text (Text): no control takes them.",)


def test_a_model_of_images_is_refused_by_a_config_of_texts() -> None:
    report = fit(config(TEXT, SENTIMENT), kind=InputKind.IMAGE)
    assert report.refusal.startswith("The model reads images but the labeling config shows only Text: add <Image ")


@pytest.mark.parametrize("kind", [InputKind.TASK, InputKind.ITEM, InputKind.VALUE, InputKind.FILE, InputKind.TEXT])
def test_inputs_that_can_be_read_from_a_text_fit_a_config_of_texts(kind: InputKind) -> None:
    assert fit(config(TEXT, SENTIMENT), kind=kind).ok


def test_unknown_object_tags_are_left_to_the_model() -> None:
    assert fit(config('<Molecule name="m" value="$m"/>', '<Choices name="c" toName="m"/>'), kind=InputKind.IMAGE).ok


def test_a_model_of_boxes_with_labels_fits_a_bare_rectangle() -> None:
    report = fit(recorded("rectangle"), outputs=[o.Box], labels=["Car"])
    assert report.ok


def test_labels_of_the_split_form_are_found() -> None:
    report = fit(recorded("labels_on_rectangle_split"), outputs=[o.Box], labels=["Car", "Bus"])
    assert report.dropped == ("label 'Bus': not in Labels 'lab'.",)


def test_labels_for_choices_that_are_still_empty_are_refused() -> None:
    report = fit(config(TEXT, '<Choices name="c" toName="text"/>'), labels=["Positive"])
    assert 'has them (c has none): add <Choice value="Positive"/> to c' in report.refusal


def test_answers_that_are_asked_about_regions_only_are_refused_from_a_model_that_makes_no_regions() -> None:
    words = '<TextArea name="words" toName="audio" perRegion="true"/>'
    audio = config('<Audio name="audio" value="$audio"/>', words, '<Labels name="l" toName="audio"/>')
    assert "The model says text spans and written text, but" in fit(audio, outputs=[o.Text, o.Span]).refusal
    assert fit(audio, outputs=[o.Segment, o.Text]).ok
    assert fit(audio, outputs=None).ok


def test_classes_for_a_config_without_labels_are_refused() -> None:
    report = fit(config(TEXT, '<Rating name="stars" toName="text"/>'), outputs=[o.Choice], labels=["Positive"])
    assert "add <Choices" in report.refusal


@given(
    st.lists(st.text(min_size=1), min_size=1, max_size=30),
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=400), min_size=1, max_size=10),
)
def test_a_refusal_is_one_printable_line_that_fits_a_reason_phrase(said: list[str], known: list[str]) -> None:
    control = ControlTag("c", "Choices", ("text",), tuple(known))
    base = config(TEXT, SENTIMENT)
    report = fit(LabelingConfig(base.xml, (control,), base.objects, base.hash), labels=said)
    assert report.ok or 20 < len(report.refusal) <= 300
    assert all(character.isprintable() for character in report.refusal)


@given(st.text(max_size=500))
def test_any_sentence_becomes_a_reason_phrase(sentence: str) -> None:
    phrase = reason_phrase(sentence)
    assert len(phrase) <= 300
    phrase.encode()
    assert phrase.isprintable()
