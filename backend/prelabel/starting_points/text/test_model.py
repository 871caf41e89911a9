"""Run with `pytest`."""

from __future__ import annotations

from pathlib import Path

from prelabel.checking import check, read_tasks
from prelabel.loader import load_wrapper
from prelabel.settings import load_settings

HERE = Path(__file__).parent


def test_good_words_make_a_positive_text() -> None:
    model = load_wrapper(str(HERE / "model.py"))
    good, bad = model.predict(["What a wonderful, friendly place!", "Slow and rude."])
    assert good["Positive"] > 0.5
    assert bad["Negative"] > 0.5


def test_label_studio_takes_every_prediction_whole() -> None:
    config = (HERE / "label_config.xml").read_text(encoding="utf-8")
    report = check(str(HERE / "model.py"), config, read_tasks(HERE / "tasks.json"), load_settings())
    assert report.ok, report
