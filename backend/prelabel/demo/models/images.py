"""Lines of text on images, with their boxes, by RapidOCR (PaddleOCR's models on ONNX Runtime)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prelabel.demo.models import releases
from prelabel.model import InputKind, ModelWrapper
from prelabel.outputs import Box


class Images(ModelWrapper):
    """One box per line of text, with what it says."""

    name = "ocr"
    input = InputKind.ARRAY
    outputs = (Box,)
    labels = ("Text",)
    max_batch_size = 4

    def load(self) -> None:
        from rapidocr_onnxruntime import RapidOCR

        self._ocr: Any = RapidOCR(intra_op_num_threads=1)  # more of them spin and starve the rest of a small machine

    def predict(self, batch: Sequence[NDArray[np.uint8]]) -> list[list[Box]]:
        return [self._read(image) for image in batch]

    def fingerprint(self) -> bytes:
        return releases("rapidocr-onnxruntime", "onnxruntime")

    def _read(self, image: NDArray[np.uint8]) -> list[Box]:
        """RapidOCR wants blue first; it gives four corners, the text and a score for every line."""
        lines, _ = self._ocr(np.ascontiguousarray(image[:, :, ::-1]))
        boxes = []
        for corners, text, score in lines or []:
            xs, ys = zip(*corners, strict=True)
            boxes.append(Box.from_xyxy(min(xs), min(ys), max(xs), max(ys), "Text", text=text, score=float(score)))
        return boxes
