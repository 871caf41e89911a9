"""What a wrapper adds to its framework: a batch of 32 to 32 checked predictions, against the framework's own call.

    python benchmarks/wrappers.py [NAME ...]

The bare call is what somebody would write by hand to get the answer for the same 32 items: the framework's call on the
batch where it takes one, with the images resized and normalised before it. The wrapper is ``predict`` and the
conversion of its 32 results to predictions that Label Studio takes, scores and distributions included; of an encoder it
is ``embed``. Both run in turn, up to ROUNDS times, and are timed by the processor time of the process with all its
threads; where a server in another process answers, by what passes on the clock. The ratio is that of the quickest of
each. All that is what neighbours on the machine disturb least. What takes its items one by one and long gets fewer: 8
(ocr, vad, openai), 2 (whisper).

Results go to benchmarks/wrappers.json, from which `python -m prelabel.cli.reference` makes the column in
docs/wrappers.md. Models and data are those of tests/model_wrappers; what is not installed is left out, and keeps the
numbers that stand there.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import wrapper_encoders as encoders  # noqa: E402
import wrapper_frameworks as frameworks  # noqa: E402
import wrapper_servers as servers  # noqa: E402
from tests.model_wrappers import cases, conftest  # noqa: E402
from wrapper_pairs import Pair  # noqa: E402

from prelabel import loader  # noqa: E402
from prelabel.labeling import parse  # noqa: E402
from prelabel.model import Item, ModelWrapper  # noqa: E402
from prelabel.predictions import make_prediction  # noqa: E402
from prelabel.tasks import Facts  # noqa: E402

ROUNDS, LONGEST_S = 301, 20.0
RESULTS = ROOT / "benchmarks" / "wrappers.json"
CLOCKS: Mapping[str, Callable[[], float]] = {"processor": time.process_time, "wall": time.perf_counter}
PAIRS: Sequence[Callable[[cases.Bench], Pair]] = (
    frameworks.sklearn,
    frameworks.classifier,
    frameworks.spacy,
    frameworks.onnx,
    frameworks.tflite,
    frameworks.timeseries,
    frameworks.vad,
    frameworks.ocr,
    frameworks.torch,
    frameworks.transformers,
    frameworks.whisper,
    frameworks.ultralytics,
    frameworks.ensemble,
    frameworks.label_studio_ml,
    encoders.wordllama,
    encoders.minilm,
    encoders.efficientnet,
    encoders.sentence_transformers,
    servers.openai,
    servers.inference_protocol,
    servers.http,
)


def facts_of(item: Any) -> dict[str, Facts]:
    """What the reader would have said of an input."""
    if isinstance(item, Item) and isinstance(item.value, str):
        return {"x": Facts(text=item.value)}
    return cases.task_and_facts(item)[1]


def opened(pair: Pair) -> ModelWrapper:
    """The wrapper, loaded."""
    wrapper = loader.load_wrapper(pair.case.target, pair.case.options)
    wrapper.artifact = pair.artifact
    loader.load(wrapper)
    return wrapper


def wrapped(pair: Pair, wrapper: ModelWrapper) -> Callable[[], object]:
    """From the batch to checked predictions, or to embeddings."""
    case = pair.case
    config = parse(case.config)
    facts = [facts_of(item) for item in case.batch]

    def predicted() -> object:
        results = wrapper.predict(case.batch)
        return [
            make_prediction(result, config, known, model_version="v", names=wrapper.labels)
            for result, known in zip(results, facts, strict=True)
        ]

    return (lambda: wrapper.embed(case.batch)) if pair.embeds else predicted


def measured(pair: Pair) -> dict[str, Any]:
    """The quickest of both, in milliseconds, and their ratio."""
    clock = CLOCKS[pair.clock]
    wrapper = opened(pair)
    calls = [("bare", pair.bare), ("wrapped", wrapped(pair, wrapper))]
    took: dict[str, list[float]] = {"bare": [], "wrapped": []}
    began = time.monotonic()
    for at in range(ROUNDS + 2):  # the first two warm up
        for name, call in calls[:: 1 if at % 2 else -1]:
            start = clock()
            call()
            took[name].append((clock() - start) * 1000)
        if time.monotonic() - began > LONGEST_S and at > 4:
            break
    wrapper.unload()
    best = {name: min(times[2:]) for name, times in took.items()}
    count = len(pair.case.batch)
    return {
        "items": count,
        "clock": pair.clock,
        "bare_ms": round(best["bare"], 2),
        "wrapped_ms": round(best["wrapped"], 2),
        "ratio": round(best["wrapped"] / best["bare"], 3),
        "added_us": round(max(best["wrapped"] - best["bare"], 0.0) / count * 1000),
        "rounds": len(took["bare"]) - 2,
    }


def write(name: str, told: Mapping[str, Any]) -> None:
    """Put one wrapper's numbers beside what stands in the file."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    RESULTS.write_text(json.dumps({**results, name: told}, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main(names: Sequence[str]) -> None:
    """Measure, print and write."""
    with tempfile.TemporaryDirectory() as directory:
        models = Path(directory)
        conftest.make_models(models)
        bench = cases.Bench(models, conftest.make_digit_images(), conftest.make_digit_tasks())
        for make in PAIRS:
            name = make.__name__
            if names and name not in names:
                continue
            try:
                pair = make(bench)
            except pytest.skip.Exception as reason:
                print(f"{name:22} left out: {reason}", flush=True)
                continue
            try:
                told = measured(pair)
            finally:
                pair.close()
            write(name, told)
            print(
                f"{name:22} {told['bare_ms']:9.2f} ms {told['wrapped_ms']:9.2f} ms  x {told['ratio']:.3f}"
                f"  {told['added_us']:6.0f} us an item, {told['clock']} time",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
