"""pandas frames and series: rows of boxes, spans, segments or classes; Tesseract's table; flags over an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prelabel import outputs as o
from prelabel.adapters import ocr
from prelabel.adapters.arrays import corners
from prelabel.adapters.detectors import by_column
from prelabel.adapters.drawn import CORNERS
from prelabel.adapters.flags import STRETCHES, stretches
from prelabel.adapters.values import is_number, plain

if TYPE_CHECKING:
    from prelabel.adapters.reading import Reading

_PLACES = (
    *((keys, "xyxy") for keys in CORNERS),
    *((keys, "xywh") for keys in (("x", "y", "width", "height"), ("left", "top", "width", "height"))),
    *((keys, "cxcywh") for keys in (("xcenter", "ycenter", "width", "height"), ("cx", "cy", "width", "height"))),
)
_LABELS = ("label", "name", "class_name", "category", "class")
_SCORES = ("score", "confidence", "conf", "probability")


def data_frame(value: Any, reading: Reading) -> list[o.Output]:
    """A frame with one row for each region; or one row, or two columns, with classes and their probabilities."""
    if not len(value):
        return []
    columns = {str(name): name for name in value.columns}
    if columns.keys() >= ocr.TESSERACT:
        return ocr.tesseract({name: value[column].tolist() for name, column in columns.items()}, reading)
    for keys, form in _PLACES:
        if columns.keys() >= set(keys) and reading.takes(o.Box) and not columns.keys() & {"text", "rotation", "page"}:
            return _boxes(value, columns, keys, form, reading)
    rows = [{str(name): _known(cell) for name, cell in row.items()} for row in value.to_dict("records")]
    if len(rows) == 1 and not columns.keys() & {"label", "start"} and all(map(is_number, rows[0].values())):
        return reading.outputs(rows[0])
    return reading.outputs(rows)


def _known(cell: Any) -> Any:
    """A cell; None where it is missing."""
    return None if cell is None or (isinstance(cell, float) and cell != cell) else plain(cell)  # noqa: PLR0124 (NaN)


def _boxes(value: Any, columns: dict[str, Any], keys: Any, form: str, reading: Reading) -> list[o.Output]:
    said: dict[str, Any] = {}
    label = next((columns[name] for name in _LABELS if name in columns), None)
    score = next((columns[name] for name in _SCORES if name in columns), None)
    if label is not None:
        said["labels"] = value[label].tolist()
    if score is not None:
        said["scores"] = value[score].to_numpy()
    four = value[[columns[key] for key in keys]].to_numpy()
    return by_column(said, reading, corners(four, form), raw=value)


def series(value: Any, reading: Reading) -> list[o.Output]:
    """Probabilities by class name; flags whose index is the time; or what a column of one or more answers says."""
    if all(isinstance(name, str) for name in value.index):
        return reading.outputs({str(name): _known(cell) for name, cell in value.items()})
    flags = value.dtype.kind == "b" or (value.dtype.kind in "iu" and any(map(reading.takes, STRETCHES)))
    if flags:
        times = None if type(value.index).__name__ == "RangeIndex" and not value.index.name else value.index.to_numpy()
        return stretches(value.to_numpy(), times, reading, value)
    return reading.outputs([_known(cell) for cell in value])
