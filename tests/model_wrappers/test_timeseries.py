"""Windows over series: where segments lie, classes of whole series, and what is refused."""

from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from prelabel.data import DataReader
from prelabel.errors import ModelLoadError, TaskError
from prelabel.labeling import parse
from prelabel.loader import load, load_wrapper
from prelabel.model import Item, ModelWrapper
from prelabel.predictor.local import LocalPredictor
from prelabel.settings import load_settings
from prelabel.tasks import Task

from .cases import SERIES, choices, framework, labels, recordings

CONFIG = labels("TimeSeriesLabels", ["high"], SERIES)


@pytest.fixture
def level(tmp_path: Path) -> Path:
    """Tells windows of 4 samples around 10 from those around 0."""
    rows = np.random.default_rng(0).normal(size=(40, 4)) + np.repeat([0, 10], 20)[:, None]
    joblib.dump(LogisticRegression().fit(rows, np.repeat(["low", "high"], 20)), tmp_path / "level.joblib")
    return tmp_path / "level.joblib"


def made(path: Path, **options: str) -> ModelWrapper:
    wrapper = load_wrapper("timeseries", {"model": str(path), **options})
    load(wrapper)
    return wrapper


def item(values: list[float], config: str = CONFIG, **columns: list[float]) -> Item:
    table = {"timestamp": np.arange(len(values)) * 10.0, "value-0": np.array(values, dtype=float)}
    return Item(Task(7, {}), parse(config), table | {name: np.array(each) for name, each in columns.items()})


def test_a_segment_is_in_the_values_of_the_time_column(level: Path) -> None:
    wrapper = made(level, ignore="low", step="1")
    ((segment,),) = wrapper.predict([item([0.0] * 8 + [10.0] * 8 + [0.0] * 8)])
    assert (segment.start, segment.end, segment.label) == (80, 150, "high")
    assert wrapper.labels == ("high",)


def test_anomalies_of_an_electrocardiogram_are_found_where_they_were_marked(heartbeats: Path) -> None:
    wrapper = made(heartbeats, window="100", ignore="normal", columns="value-0")
    found, nothing, _ = wrapper.predict(recordings(labels("TimeSeriesLabels", ["anomaly"], SERIES)))
    assert nothing == []
    assert found[0].start == pytest.approx(1560, abs=60)
    assert found[-1].end == pytest.approx(1659, abs=60)


def test_a_series_may_be_one_window_with_a_class(level: Path) -> None:
    wrapper = made(level, says="class")
    config = choices(["low", "high"], SERIES)
    assert [said.label for said in wrapper.predict([item([9.0] * 4, config), item([0.0] * 4, config)])] == [
        "high",
        "low",
    ]


def test_a_series_shorter_than_a_window_says_nothing(level: Path) -> None:
    assert made(level).predict([item([10.0] * 3), item([10.0] * 4)])[0] == []


def test_channels_are_named_when_there_are_too_many(level: Path) -> None:
    wrapper = made(level, window="4")
    with pytest.raises(TaskError, match=r"4 samples in 2 channels a window, the classifier wants 4"):
        wrapper.predict([item([1.0] * 9, other=[2.0] * 9)])
    assert len(made(level, columns="value-0").predict([item([1.0] * 9, other=[2.0] * 9)])) == 1


def test_a_missing_column_is_named_with_those_that_are_there(level: Path) -> None:
    with pytest.raises(TaskError, match="no column lead") as refused:
        made(level, columns="lead").predict([item([1.0] * 9)])
    assert "value-0" in refused.value.hint


def test_a_file_without_a_classifier_is_refused(tmp_path: Path) -> None:
    joblib.dump({"a": 1}, tmp_path / "thing.joblib")
    with pytest.raises(ModelLoadError, match="holds dict, which is no classifier"):
        made(tmp_path / "thing.joblib")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_classifiers_of_aeon_get_windows_by_channel(tmp_path: Path) -> None:
    framework("numba")  # without which aeon cannot be imported
    from aeon.classification.feature_based import SummaryClassifier

    windows = np.random.default_rng(0).normal(size=(40, 1, 20)) + np.repeat([0, 10], 20)[:, None, None]
    classifier = SummaryClassifier(random_state=0).fit(windows, np.repeat(["low", "high"], 20))
    joblib.dump(classifier, tmp_path / "summary.joblib")
    with pytest.raises(ModelLoadError, match="how long its windows are") as refused:
        made(tmp_path / "summary.joblib")
    assert "--opt window=" in refused.value.hint
    wrapper = made(tmp_path / "summary.joblib", window="20", ignore="low")
    ((segment,),) = wrapper.predict([item([0.0] * 40 + [10.0] * 60 + [0.0] * 40)])
    assert (segment.start, segment.end) == (pytest.approx(400, abs=60), pytest.approx(990, abs=60))


def test_a_series_in_a_task_becomes_segments_of_its_prediction(level: Path, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    reader = DataReader(settings)
    predictor = LocalPredictor(load_wrapper("timeseries", {"model": str(level), "ignore": "low"}), reader, settings)
    try:
        assert predictor.wait_ready(60)
        series = {"timestamp": list(range(24)), "value-0": [0] * 8 + [10] * 8 + [0] * 8}
        config = parse(CONFIG.replace('valueType="url"', 'valueType="json"'))
        (outcome,) = predictor.predict([Task(1, {"csv": series})], config)
    finally:
        predictor.close()
        reader.close()
    assert outcome.prediction is not None
    (region,) = outcome.prediction.result
    assert region["value"]["timeserieslabels"] == ["high"]
    assert (region["value"]["start"], region["value"]["end"]) == (8, 15)
