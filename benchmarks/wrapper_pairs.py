"""What benchmarks/wrappers.py compares: a case of the wrappers' tests and the bare call; and inputs for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from tests.model_wrappers import cases

from prelabel.labeling import parse
from prelabel.model import Item
from prelabel.tasks import Task

BATCH, FEW = 32, 8
Bare = Callable[[], object]
MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
MAIL = (
    "Hello everybody, the meeting on Thursday is moved to the large room on the second floor, since the small one is "
    "being painted. Please bring the numbers of the last quarter, and tell Anna Schmidt in Berlin if you cannot come. "
)


@dataclass(frozen=True)
class Pair:
    """A wrapper with its batch, and what it is compared with.

    ``clock``: ``processor`` is the time of this process with all its threads, ``wall`` what passes, for what another
    process computes. ``embeds``: the wrapper is asked to embed. ``artifact`` is the directory of what it learnt.
    """

    case: cases.Case
    bare: Bare
    clock: Literal["processor", "wall"] = "processor"
    embeds: bool = False
    artifact: Path | None = None
    close: Callable[[], object] = lambda: None


def repeated(items: Sequence[Any]) -> list[Any]:
    """32 items out of some."""
    return [items[at % len(items)] for at in range(BATCH)]


def long_texts() -> list[str]:
    """32 texts of 4 kB, as mails have."""
    return [f"{text}. {MAIL * 19}" for text in repeated(cases.TEXTS)]


def items_of(texts: Sequence[str], config: str) -> list[Item]:
    """Texts as tasks with a labeling config that shows them as ``x``."""
    parsed = parse(config)
    return [Item(Task(at, {"text": text}), parsed, text, {"x": text}) for at, text in enumerate(texts)]


def resized(images: Sequence[Image.Image], size: int) -> np.ndarray[Any, Any]:
    """By hand: ``[n, size, size, 3]``, 0..255."""
    return np.stack([np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)) for image in images])


def normalised(images: Sequence[Image.Image], size: int) -> np.ndarray[Any, Any]:
    """By hand: ``[n, 3, size, size]``, with ImageNet's mean and deviation."""
    pixels = (resized(images, size).astype(np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def estimator_of_texts(into: Path) -> Any:
    """TF-IDF of words and pairs of words and logistic regression, trained, and stored there."""
    import joblib
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    estimator = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression())
    joblib.dump(estimator.fit(cases.TEXTS, cases.FEELINGS), into)
    return estimator
