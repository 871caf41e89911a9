"""Real models, trained or loaded once for all tests of wrappers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prelabel import loader
from prelabel.data import decode
from prelabel.model import ModelWrapper
from prelabel.tasks import Task

from .cases import FEELINGS, TEXTS, Bench
from .packaged import ECG_TRAIN, located


@pytest.fixture
def opened() -> Iterator[Callable[[str, Mapping[str, str]], Any]]:
    """Loads wrappers by name and options, and unloads them after the test."""
    made: list[ModelWrapper] = []

    def make(name: str, options: Mapping[str, str]) -> ModelWrapper:
        wrapper = loader.load_wrapper(name, options)
        made.append(wrapper)
        loader.load(wrapper)
        return wrapper

    yield make
    for wrapper in made:
        wrapper.unload()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of models made here: texts, digits, a regression, several labels; as joblib and as ONNX."""
    return make_models(tmp_path_factory.mktemp("models"))


def make_models(made: Path) -> Path:
    """The same for whoever has a directory."""
    import joblib
    from sklearn.datasets import load_digits
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

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

        _onnx_of_columns(made)
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


def _onnx_of_columns(made: Path) -> None:
    """A network with an input for each column: a number, and a name."""
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = pd.DataFrame({"size": [1.0, 2.0, 8.0, 9.0] * 5, "colour": ["red", "red", "blue", "red"] * 5})
    read = ColumnTransformer([("n", StandardScaler(), ["size"]), ("c", OneHotEncoder(), ["colour"])])
    classifier = make_pipeline(read, LogisticRegression()).fit(table, ["small", "small", "big", "big"] * 5)
    inputs = [("size", FloatTensorType([None, 1])), ("colour", StringTensorType([None, 1]))]
    (made / "columns.onnx").write_bytes(to_onnx(classifier, initial_types=inputs).SerializeToString())


@pytest.fixture(scope="session")
def digit_images() -> list[Image.Image]:
    """Ten handwritten digits, 0 to 9, as 8x8 RGB images with the values 0..16 spread over 0..255."""
    return make_digit_images()


def make_digit_images() -> list[Image.Image]:
    """The same."""
    from sklearn.datasets import load_digits

    pixels = load_digits().images[:10]
    return [Image.fromarray((each * 255 / 16).round().astype(np.uint8)).convert("RGB") for each in pixels]


@pytest.fixture(scope="session")
def digit_tasks() -> list[Task]:
    """The same digits as lists of 64 numbers in the field ``pixels``."""
    return make_digit_tasks()


def make_digit_tasks() -> list[Task]:
    """The same."""
    from sklearn.datasets import load_digits

    return [Task(i, {"pixels": row.tolist()}) for i, row in enumerate(load_digits().data[:10])]


@pytest.fixture(scope="session")
def bench(models: Path, digit_images: list[Image.Image], digit_tasks: list[Task]) -> Bench:
    """What cases are made of."""
    return Bench(models, digit_images, digit_tasks)


@pytest.fixture(scope="session")
def heartbeats(models: Path) -> Path:
    """A forest over the spectra of 100 samples, which tells an electrocardiogram's anomalies from what is normal."""
    return make_heartbeats(models)


def make_heartbeats(models: Path) -> Path:
    """The same."""
    import joblib
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    made = models / "ecg.joblib"
    table = decode.table(located(ECG_TRAIN).read_text(encoding="utf-8"))
    windows, marks = (
        np.lib.stride_tricks.sliding_window_view(np.asarray(table[name]), 100)[::4]
        for name in ("value-0", "is_anomaly")
    )
    share = marks.mean(axis=1)
    clear = (share > 0.6) | (share < 0.2)
    forest = RandomForestClassifier(40, random_state=0, class_weight="balanced")
    classifier = make_pipeline(FunctionTransformer(np.fft.rfft), FunctionTransformer(np.abs), forest)
    joblib.dump(classifier.fit(windows[clear], np.where(share[clear] > 0.5, "anomaly", "normal")), made)
    return made
