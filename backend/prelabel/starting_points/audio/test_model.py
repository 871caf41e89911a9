"""Run with `pytest`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prelabel import Audio
from prelabel.checking import check, read_tasks
from prelabel.loader import load_wrapper
from prelabel.settings import load_settings

HERE = Path(__file__).parent


def test_a_tone_between_silences_is_one_segment() -> None:
    model = load_wrapper(str(HERE / "model.py"))
    tone = np.zeros((8000, 1), dtype=np.float32)
    tone[2000:6000, 0] = np.sin(np.arange(4000) / 5) / 2
    (segment,), nothing = model.predict([Audio(tone, 8000), Audio(np.zeros_like(tone), 8000)])
    assert (segment.start, segment.end) == pytest.approx((0.25, 0.75))
    assert nothing == []


def test_label_studio_takes_every_prediction_whole() -> None:
    config = (HERE / "label_config.xml").read_text(encoding="utf-8")
    report = check(str(HERE / "model.py"), config, read_tasks(HERE / "tasks.json"), load_settings())
    assert report.ok, report
