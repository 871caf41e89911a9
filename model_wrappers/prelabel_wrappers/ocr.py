"""Text on images: lines with their boxes and what they say, by RapidOCR or Tesseract."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from prelabel.adapters.instances import turned
from prelabel.errors import ModelLoadError
from prelabel.model import InputKind, ModelWrapper
from prelabel.options import Share
from prelabel.outputs import Box, Polygon, Text
from prelabel_wrappers.frameworks import missing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

_HINT = 'pip install "prelabel[ocr]" and pip install --no-deps rapidocr-onnxruntime'


class OcrModel(ModelWrapper):
    """Reads images and answers in the engine's own form, which the labeling config turns into what it asks for.

    With boxes (or polygons) in the config there is one for each line (Tesseract: for each word), with its text where a
    ``TextArea`` belongs to it; a config with only a ``TextArea`` gets the whole text, line by line.

    Args:
        label: label of every box. Default: the only one that the control has.
        engine: ``rapidocr`` (PaddleOCR's networks on ONNX Runtime, which come in its package) or ``tesseract`` (the
            program of this name, by pytesseract).
        language: what Tesseract is to read, ``eng+deu``; RapidOCR reads English and Chinese.
        layout: how Tesseract looks at the page (its ``--psm``): 3 finds columns, 6 is one block, 11 scattered words.
        min_score: what is read with less is left out.
        threads: threads of one call of RapidOCR.
    """

    input = InputKind.ARRAY
    outputs = (Box, Polygon, Text)
    adapts = True
    name = "ocr"

    def __init__(
        self,
        *,
        label: str | None = None,
        engine: Literal["rapidocr", "tesseract"] = "rapidocr",
        language: str = "eng",
        layout: int = 3,
        min_score: Share = 0.5,
        threads: int = 1,
    ) -> None:
        self.engine = engine
        self._label = label
        self.labels = (label,) if label else None
        self._language, self._layout, self._min_score, self._threads = language, layout, min_score, threads
        self._reader: Any = None

    def load(self) -> None:
        """Open RapidOCR's networks, or look for Tesseract and its language."""
        if self.engine == "tesseract":
            self._find_tesseract()
            return
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ModuleNotFoundError as error:
            raise ModelLoadError("RapidOCR is not installed.", hint=_HINT) from error
        self._reader = RapidOCR(text_score=self._min_score, intra_op_num_threads=self._threads)

    def _find_tesseract(self) -> None:
        try:
            import pytesseract
        except ModuleNotFoundError as error:
            raise missing("pytesseract", "ocr") from error
        try:
            known = pytesseract.get_languages()
        except (pytesseract.TesseractNotFoundError, OSError) as error:
            raise ModelLoadError(
                "the program tesseract is not installed.", hint="On Debian: apt-get install tesseract-ocr"
            ) from error
        lacking = [name for name in self._language.split("+") if name not in known]
        if lacking:
            raise ModelLoadError(
                f"Tesseract has no language {', '.join(lacking)}.",
                hint=f"It has {', '.join(known)}; on Debian: apt-get install tesseract-ocr-{lacking[0]}",
            )
        self._reader = pytesseract

    def predict(self, batch: Sequence[Image]) -> Sequence[Any]:
        """What the engine returned for each image."""
        read = self._tesseract if self.engine == "tesseract" else self._rapidocr
        found = [read(image) for image in batch]
        if self._label is None:
            return found
        boxes = _word_boxes if self.engine == "tesseract" else _line_boxes
        return [boxes(each, self._label) for each in found]

    def _rapidocr(self, image: Image) -> Any:
        """Lines of four corners, text and score; RapidOCR wants blue first."""
        lines, _ = self._reader(image[:, :, ::-1].copy())
        return lines or []

    def _tesseract(self, image: Image) -> Any:
        read: dict[str, list[Any]] = self._reader.image_to_data(
            image, lang=self._language, config=f"--psm {self._layout}", output_type=self._reader.Output.DICT
        )
        sure = [at for at, conf in enumerate(read["conf"]) if float(conf) / 100 >= self._min_score]
        return {column: [values[at] for at in sure] for column, values in read.items()}

    def unload(self) -> None:
        """Close the networks."""
        self._reader = None

    def fingerprint(self) -> bytes:
        """The engine's package with its version (networks are in it), and the options."""
        package = "pytesseract" if self.engine == "tesseract" else "rapidocr-onnxruntime"
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = ""
        told = (self.engine, self._label, self._language, self._layout, self._min_score)
        return f"{package} {version} {told!r}".encode()


def _line_boxes(lines: Sequence[tuple[Any, str, float]], label: str) -> list[Box]:
    return [turned(corners, label=label, text=text, score=float(score)) for corners, text, score in lines]


def _word_boxes(read: dict[str, list[Any]], label: str) -> list[Box]:
    columns = zip(*(read[name] for name in ("left", "top", "width", "height", "text", "conf")), strict=True)
    return [
        Box(float(left), float(top), float(width), float(height), label, text=text, score=float(conf) / 100)
        for left, top, width, height, text, conf in columns
        if text.strip()
    ]
