"""Real models, trained or loaded once for all tests of wrappers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prelabel.tasks import Task

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


def choices(names: Sequence[str], shown: str) -> str:
    """A labeling config with these choices on an object tag given as XML named ``x``."""
    inner = "".join(f'<Choice value="{name}"/>' for name in names)
    return f'<View>{shown}<Choices name="c" toName="x">{inner}</Choices></View>'


TEXT = '<Text name="x" value="$text"/>'
IMAGE = '<Image name="x" value="$image"/>'


@dataclass
class Case:
    """One real model: what the loader makes it of, inputs, a config it fits, what some inputs must give."""

    target: str
    batch: Sequence[Any]
    config: str
    expected: Mapping[int, Any] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""
    """The module without which it cannot be loaded."""
    extra: str = ""
    """The extra of prelabel that brings it."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of models made here: texts, digits, a regression, several labels; as joblib and as ONNX."""
    import joblib
    from sklearn.datasets import load_digits
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    made = tmp_path_factory.mktemp("models")
    texts = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100)).fit(TEXTS, FEELINGS)
    joblib.dump(texts, made / "texts.joblib")
    joblib.dump(make_pipeline(TfidfVectorizer(), LinearSVC()).fit(TEXTS, FEELINGS), made / "margins.joblib")
    digits = load_digits()
    some, names = digits.data[:500], digits.target[:500]
    numbers = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100)).fit(some, names)
    joblib.dump(numbers, made / "digits.joblib")
    joblib.dump(LinearRegression().fit([[0, 1], [1, 1], [2, 3]], [1.0, 2.0, 5.0]), made / "line.joblib")
    both = np.array([[f == "Positive", "film" in t] for t, f in zip(TEXTS, FEELINGS, strict=True)], dtype=int)
    several = make_pipeline(TfidfVectorizer(), OneVsRestClassifier(LogisticRegression(C=100))).fit(TEXTS, both)
    joblib.dump(several, made / "several.joblib")
    # lower case would need the locale en_US.UTF-8 of the machine: ONNX Runtime's StringNormalizer asks for it
    cased = make_pipeline(TfidfVectorizer(lowercase=False), LogisticRegression(C=100)).fit(TEXTS, FEELINGS)
    _onnx(made, cased, numbers, LogisticRegression(max_iter=500).fit(some / 16, names))
    return made


def _onnx(made: Path, texts: Any, numbers: Any, pixels: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import onnx
        from onnx import TensorProto, helper, numpy_helper
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType, StringTensorType

        feed = [("x", FloatTensorType([None, 64]))]
        plain = to_onnx(numbers, initial_types=feed, options={"zipmap": False})
        (made / "digits.onnx").write_bytes(plain.SerializeToString())
        mapped = to_onnx(texts, initial_types=[("x", StringTensorType([None, 1]))])
        (made / "texts.onnx").write_bytes(mapped.SerializeToString())

        weights = numpy_helper.from_array(pixels.coef_.T.astype(np.float32), "w")
        bias = numpy_helper.from_array(pixels.intercept_.astype(np.float32), "b")
        for name, batch, shape in (("images", "n", ["n", 1, 8, 8]), ("pairs", 2, [2, 8, 8, 1])):
            graph = helper.make_graph(
                [helper.make_node("Flatten", ["image"], ["flat"]), helper.make_node("Gemm", ["flat", "w", "b"], ["y"])],
                name,
                [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
                [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 10])],
                [weights, bias],
            )
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
            helper.set_model_props(model, {"names": str({i: f"digit {i}" for i in range(10)})})
            onnx.checker.check_model(model)
            (made / f"{name}.onnx").write_bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def digit_images() -> list[Image.Image]:
    """Ten handwritten digits, 0 to 9, as 8x8 RGB images with the values 0..16 spread over 0..255."""
    from sklearn.datasets import load_digits

    pixels = load_digits().images[:10]
    return [Image.fromarray((each * 255 / 16).round().astype(np.uint8)).convert("RGB") for each in pixels]


@pytest.fixture(scope="session")
def digit_tasks() -> list[Task]:
    """The same digits as lists of 64 numbers in the field ``pixels``."""
    from sklearn.datasets import load_digits

    return [Task(i, {"pixels": row.tolist()}) for i, row in enumerate(load_digits().data[:10])]
