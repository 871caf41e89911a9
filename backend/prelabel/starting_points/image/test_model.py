"""Run with `pytest`."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from prelabel.checking import check, read_tasks
from prelabel.loader import load_wrapper
from prelabel.settings import load_settings

HERE = Path(__file__).parent


def test_the_box_is_where_the_object_is() -> None:
    model = load_wrapper(str(HERE / "model.py"))
    picture = Image.new("RGB", (100, 60), "white")
    picture.paste("navy", (20, 10, 50, 40))
    empty = Image.new("RGB", (100, 60), "white")
    (box,), nothing = model.predict([picture, empty])
    assert (box.x, box.y, box.width, box.height) == (20, 10, 30, 30)
    assert nothing == []


def test_label_studio_takes_every_prediction_whole() -> None:
    config = (HERE / "label_config.xml").read_text(encoding="utf-8")
    report = check(str(HERE / "model.py"), config, read_tasks(HERE / "tasks.json"), load_settings())
    assert report.ok, report
