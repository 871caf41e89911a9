"""What OCR engines read: Tesseract's table, RapidOCR's and EasyOCR's quadrilaterals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prelabel import outputs as o
from prelabel.adapters.menu import Menu
from prelabel.adapters.naming import listed
from prelabel.adapters.values import is_number, numbers, plain

TESSERACT = frozenset({"left", "top", "width", "height", "conf", "text", "line_num", "page_num"})
"""Columns by which ``pytesseract.image_to_data`` is known."""
Read = tuple[o.Box | o.Polygon, str]


def tesseract_rows(text: str) -> dict[str, list[Any]] | None:
    """The tab-separated table that ``image_to_data`` returns by itself, as the dict of it; None for any other text."""
    head, *rows = text.rstrip("\n").split("\n")
    names = head.rstrip("\r").split("\t")
    if not TESSERACT.issubset(names):
        return None
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for row in rows:
        for name, cell in zip(names, row.rstrip("\r").split("\t"), strict=False):
            columns[name].append(cell if name == "text" else float(cell))
    columns["text"] += [""] * (len(rows) - len(columns["text"]))
    return columns


def tesseract(given: Mapping[Any, Any], menu: Menu) -> list[o.Output]:
    """``image_to_data``: the words (``conf`` -1 are layout), or their lines as text where the config has no boxes."""
    columns = [listed(given[key]) or [] for key in ("text", "conf", "left", "top", "width", "height")]
    lines = [listed(given[key]) or [] for key in ("page_num", "block_num", "par_num", "line_num") if key in given]
    pages = [int(page) for page in lines[0]]
    found: list[Any] = []
    for at, (word, conf, *four) in enumerate(zip(*columns, strict=True)):
        text = word if isinstance(word, str) else "" if word is None or word != word else f"{word:g}"  # noqa: PLR0124
        if not text.strip() or float(conf) < 0:  # NaN is an empty cell; a column of numbers alone has lost its strings
            continue
        page = pages[at] - 1 if len(set(pages)) > 1 else None
        line = tuple(column[at] for column in lines)
        found.append((line, text, float(conf) / 100, [float(side) for side in four], page))
    if not _boxes(menu):
        by_line: dict[Any, list[str]] = {}
        for line, text, *_ in found:
            by_line.setdefault(line, []).append(text)
        return _written([" ".join(words) for words in by_line.values()], menu, given)
    name = menu.control_name
    return [
        o.Box(x, y, width, height, text=_said(text, menu), score=menu.share(conf, given), page=page, control=name)
        for _, text, conf, (x, y, width, height), page in found
    ]


def rapidocr_output(value: Any, menu: Menu) -> list[o.Output]:
    """RapidOCR's ``RapidOCROutput``: ``boxes`` [N, 4, 2], ``txts``, ``scores``; all None where nothing was read.

    Where it was told only to detect, or only to read, it returns the like with what there is.
    """
    boxes, texts = getattr(value, "boxes", None), getattr(value, "txts", None)
    if boxes is None:
        return _written([str(text) for text in texts], menu, value) if texts is not None else []
    number = len(boxes)
    scores = value.scores if value.scores is not None else [None] * number
    return lines(list(zip(boxes, texts or [""] * number, scores, strict=True)), menu, value)


def is_rapidocr_rows(rows: Sequence[Any], menu: Menu) -> bool:
    """What ``rapidocr_onnxruntime`` read: lines; or, told not to look where they are, texts with their scores."""
    return is_lines(rows) or bool(rows and menu.takes(o.Text) and all(map(_is_text, rows)))


def rapidocr_rows(rows: Sequence[Any], menu: Menu, raw: Any) -> list[o.Output]:
    """Rows of one of the forms of `is_rapidocr_rows`."""
    return lines(rows, menu, raw) if is_lines(rows) else _written([str(row[0]) for row in rows], menu, raw)


def _is_text(row: Any) -> bool:
    return isinstance(row, list | tuple) and len(row) == 2 and isinstance(row[0], str) and is_number(_score(row[1]))


def is_lines(items: Sequence[Any]) -> bool:
    """Rows of four corners, text and score, as RapidOCR (1.x) and EasyOCR return them."""
    return bool(items) and all(
        isinstance(row, list | tuple)
        and len(row) == 3
        and isinstance(row[1], str)
        and is_number(_score(row[2]))
        and _corners(row[0]) is not None
        for row in items
    )


def _score(value: Any) -> Any:
    """Older RapidOCR has scores as strings."""
    try:
        return float(value) if isinstance(value, str) else plain(value)
    except ValueError:
        return None


def _corners(quad: Any) -> list[list[float]] | None:
    rows = plain(quad)
    rows = rows.tolist() if hasattr(rows, "tolist") else rows
    if not isinstance(rows, list | tuple) or len(rows) != 4:
        return None
    pairs = [numbers(row, 2) for row in rows]
    return [list(map(float, pair)) for pair in pairs if pair is not None] if None not in pairs else None


def reads_text(menu: Menu) -> bool:
    """Whether the config asks what is written inside boxes or polygons (rather than for their labels)."""
    controls = [*menu.takes(o.Box), *menu.takes(o.Polygon)]
    return any(c.tag == "OcrLabels" or menu.config.region_text_control(c) is not None for c in controls)


def lines(rows: Sequence[Sequence[Any]], menu: Menu, raw: Any) -> list[o.Output]:
    """Four corners, text and score each: boxes (turned ones turned), else polygons, else the text of all lines."""
    from prelabel.adapters.instances import turned  # noqa: PLC0415 (NumPy is imported by those who read pictures)

    if not (_boxes(menu) or menu.takes(o.Polygon)):
        return _written([str(row[1]) for row in rows], menu, raw)
    found: list[o.Output] = []
    for quad, text, score in rows:
        corners = _corners(quad)
        if corners is None:
            raise menu.refuse(raw, "has a box that is not four corners")
        said: dict[str, Any] = {
            "text": _said(str(text), menu) or None,
            "score": menu.share(_score(score), raw),
            "control": menu.control_name,
        }
        if _boxes(menu):
            found.append(turned(corners, **said))
        else:
            found.append(o.Polygon(tuple((x, y) for x, y in corners), **said))
    return found


def _boxes(menu: Menu) -> bool:
    return bool(menu.takes(o.Box))


def _said(text: str, menu: Menu) -> str | None:
    return text if reads_text(menu) else None


def _written(read: list[str], menu: Menu, raw: Any) -> list[o.Output]:
    if not menu.takes(o.Text):
        raise menu.refuse(raw, "is text that was read, and the labeling config has neither boxes nor a TextArea")
    return [o.Text("\n".join(read), control=menu.control_name)] if read else []
