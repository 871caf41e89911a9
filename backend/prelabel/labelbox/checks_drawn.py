"""Checks of what is drawn: boxes, polygons, points, lines, entities; on pictures, documents, maps and in texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from prelabel.labelbox.checks import Json, Line, camel, is_number, join, one_of
from prelabel.labelbox.checks_answers import nested
from prelabel.labelbox.checks_masks import mask
from prelabel.labelbox.checks_times import message_id
from prelabel.labelbox.ontology import ToolNode

Limits = tuple[float, float, float, float]
"""Smallest x, smallest y, largest x, largest y."""
TOOLS: Mapping[str, tuple[str, ...]] = {
    "bbox": ("rectangle",),
    "polygon": ("polygon",),
    "point": ("point",),
    "line": ("line",),
    "mask": ("raster-segmentation", "superpixel"),
    "location": ("named-entity",),
    "textSelections": ("named-entity",),
}
"""The tools that draw what stands under a key."""
UNITS = ("INCHES", "PIXELS", "POINTS", "PERCENT")
SLACK = 1e-6
"""Of the picture's size: ``left + width`` may be that much beyond its edge (Labelbox's SDK subtracts and adds)."""
BOX = frozenset({"top", "left", "height", "width"})
CORNER = frozenset({"x", "y"})
FLAT = frozenset({"image", "document", "geospatial"})
WRITTEN = frozenset({"text", "html", "conversational", "llm"})
LEAST = {"polygon": 3, "line": 2}
ROW_KEYS = ("dataRow", "uuid", "name", "schemaId", "confidence", "customMetrics", "classifications",
            "isBenchmarkReferenceLabel")  # fmt: skip


def drawn_row(line: Line, key: str) -> str:
    """A row whose geometry stands under ``key``.

    Returns:
        The tool's name.

    Raises:
        Wrong: something is not right.
    """
    body = line.body
    camel(body)
    more = ("messageId",) if key == "location" else () if key == "textSelections" else ("page", "unit")
    line.keys(body, "", (*ROW_KEYS, key, *more))
    name, node = tool_of(line, TOOLS[key])
    line.attempt(line.scores, body, "")
    line.attempt(CHECKS[key], line, body[key], key)
    if "classifications" in body:
        line.attempt(nested, line, body, "", None if node is None else node.questions)
    return name


def tool_of(line: Line, tools: Collection[str]) -> tuple[str, ToolNode | None]:
    """The tool that the row names, which must be one of ``tools``, and its name; None for an id that nobody knows.

    Raises:
        Wrong: the ontology has no such tool.
    """
    body, ontology = line.body, line.ontology
    name, schema_id = line.named(body, "")
    node = ontology.tool(name, schema_id, tools=tools)
    if node is not None:
        if schema_id is not None:
            line.same(node, body, "")
        return node.name, node
    other = ontology.tool(name, schema_id)
    if other is None and schema_id is not None and name is None:
        line.foreign(schema_id, "")
        return schema_id, None
    key = "name" if schema_id is None else "schemaId"
    if other is not None:
        said = f"is a {other.tool} in the ontology, but the row has a {' or '.join(tools)}"
    elif ontology.classification(name, schema_id) is not None:
        said = "is a question of the ontology, not a tool: it is answered, not drawn"
    else:
        said = "is no tool of the ontology"
    fitting = [one.name for one in ontology.tools if one.tool in tools]
    remedy = f"Use one of {one_of(fitting, str(name))}." if fitting else "Add such a tool to the ontology."
    raise line.wrong("UnknownFeature" if other is None else "WrongTool", key, body[key], said, remedy)


# --- where things may lie
def limits_of(line: Line, where: str) -> Limits | None:
    """Between what the row's coordinates must lie; None where nobody knows.

    Raises:
        Wrong: the data row is nothing to draw on, or ``page`` and ``unit`` are malformed.
    """
    facts, body = line.facts, line.body
    if facts.asset is not None and facts.asset not in FLAT:
        remedy = "Rows of video and DICOM have segments with keyframes." if facts.asset in {"video", "dicom"} else (
            "Draw on images, documents and maps; in a text mark an entity with location."
        )  # fmt: skip
        raise line.wrong("WrongAsset", where, ..., f"cannot be drawn on {facts.asset}", remedy)
    if facts.asset == "document" or "page" in body or "unit" in body:
        return _page_limits(line)
    if facts.asset == "geospatial":
        return facts.bounds or ((-180.0, -90.0, 180.0, 90.0) if facts.epsg == 4326 else None)
    return picture_limits(line)


def picture_limits(line: Line) -> Limits | None:
    """The edges of an image or of a video's picture."""
    facts = line.facts
    if facts.asset is None and facts.width is None and facts.height is None:
        return None
    return 0.0, 0.0, facts.width or math.inf, facts.height or math.inf


def _page_limits(line: Line) -> Limits:
    facts, body = line.facts, line.body
    if facts.asset not in {None, "document"}:
        key = "page" if "page" in body else "unit"
        raise line.wrong("WrongAsset", key, body[key], f"has no meaning for {facts.asset}", "Leave page and unit out.")
    for key in ("page", "unit"):
        if key not in body:
            raise line.wrong(
                "MissingKey", key, ..., "is missing",
                f'Give "page" (a number) and "unit" ({", ".join(UNITS)}) for what is drawn on documents.',
            )  # fmt: skip
    page, unit = body["page"], body["unit"]
    if unit not in UNITS:
        raise line.wrong("WrongType", "unit", unit, "is no unit", f"Use one of {', '.join(UNITS)}.")
    line.whole(page, "page", 0, "Give the page's number.")
    if facts.pages is not None and page > facts.pages:
        said = f"is beyond the document's {facts.pages} pages"
        raise line.wrong("OutOfRange", "page", page, said, f"Give a page up to {facts.pages}.")
    if unit == "PERCENT":
        return 0.0, 0.0, 100.0, 100.0
    sizes = [size for one in facts.page_sizes if (size := one.size(unit)) is not None]
    if not sizes or len(sizes) < len(facts.page_sizes):
        return 0.0, 0.0, math.inf, math.inf
    return 0.0, 0.0, max(width for width, _ in sizes), max(height for _, height in sizes)


def _inside(line: Line, at: tuple[float, float], limits: Limits, where: str, keys: tuple[str, str]) -> None:
    x, y = at
    left, top, right, bottom = limits
    over_x = SLACK * (right - left) if right < math.inf else SLACK
    over_y = SLACK * (bottom - top) if bottom < math.inf else SLACK
    if left - over_x <= x <= right + over_x and top - over_y <= y <= bottom + over_y:
        return
    wrong_x = not left - over_x <= x <= right + over_x
    key, value, low, high = (keys[0], x, left, right) if wrong_x else (keys[1], y, top, bottom)
    side = f"from {low:g}" + (f" to {high:g}" if high < math.inf else " on")
    raise line.wrong(
        "OutOfRange", join(where, key), value, f"is outside the {line.facts.asset or 'picture'}, which goes {side}",
        "Cut it off at the edge, and check units and the order of x and y.",
    )  # fmt: skip


# --- shapes
def box(line: Line, value: object, where: str) -> None:
    """``{top, left, height, width}``; a map's box with negative height gets its smallest latitude as ``top``.

    Raises:
        Wrong: it is malformed, has no extent or lies outside.
    """
    limits = limits_of(line, where)
    value = _numbers(line, value, where, BOX)
    if value["height"] < 0 and line.facts.asset in {None, "geospatial"}:
        value["top"], value["height"] = value["top"] + value["height"], -value["height"]
    box_within(line, value, where, limits)


def box_within(line: Line, value: Mapping[str, float], where: str, limits: Limits | None) -> None:
    """A box inside of what it is drawn on.

    Raises:
        Wrong: the box has no extent or lies outside.
    """
    for key in ("width", "height"):
        if value[key] <= 0:
            raise line.wrong("OutOfRange", join(where, key), value[key], "is not above 0", f"Give a {key} above 0.")
    if limits is not None:
        left, top = value["left"], value["top"]
        _inside(line, (left, top), limits, where, ("left", "top"))
        far = left + value["width"], top + value["height"]
        _inside(line, far, limits, where, ("left + width", "top + height"))


def _numbers(line: Line, value: object, where: str, keys: frozenset[str]) -> Json:
    if type(value) is not dict or value.keys() != keys:
        if type(value) is not dict:
            want = ", ".join(f'"{key}": ...' for key in sorted(keys))
            raise line.wrong("WrongType", where, value, "is not an object of numbers", f"Give {{{want}}}.")
        value = line.record(value, where, sorted(keys))
    for key, one in value.items():
        if not is_number(one):
            raise line.wrong("NotANumber", join(where, key), one, "is not a finite number", "Give a finite number.")
    return value


def box_numbers(line: Line, value: object, where: str) -> Json:
    """``{top, left, height, width}`` with finite numbers.

    Raises:
        Wrong: it is not that.
    """
    return _numbers(line, value, where, BOX)


def point(line: Line, value: object, where: str) -> None:
    """``{x, y}``.

    Raises:
        Wrong: it is no ``{x, y}`` or lies outside.
    """
    point_within(line, value, where, limits_of(line, where))


def point_within(line: Line, value: object, where: str, limits: Limits | None) -> None:
    """``{x, y}`` inside of what it is drawn on.

    Raises:
        Wrong: it is no ``{x, y}`` or lies outside.
    """
    value = _numbers(line, value, where, CORNER)
    if limits is not None:
        _inside(line, (value["x"], value["y"]), limits, where, ("x", "y"))


def path(line: Line, value: object, where: str) -> None:
    """A polygon or a line; a polygon's ring is closed, as Labelbox's SDK does.

    Raises:
        Wrong: it has too few points, or one of them is malformed or outside.
    """
    path_within(line, value, where, limits_of(line, where), where)


def path_within(line: Line, value: object, where: str, limits: Limits | None, key: str) -> None:
    """As `path`, under the key ``key`` (``polygon`` or ``line``)."""
    points = line.items(value, where, '{"x": ..., "y": ...}', 1)
    for i, one in enumerate(points):
        point_within(line, one, f"{where}[{i}]", limits)
    closed = key == "polygon" and len(points) > 1 and points[0] == points[-1]
    count, least = len(points) - closed, LEAST[key]
    if count < least:
        said = f"has {count} points" + (" beside the one that closes it" if closed else "")
        raise line.wrong("TooFew", where, value, said, f"Give a {key} at least {least} points.")
    if key == "polygon" and not closed:
        points.append(dict(points[0]))


def location(line: Line, value: object, where: str) -> None:
    """``{start, end}`` in characters, both inclusive, counted in the text or in the one message.

    Raises:
        Wrong: it is malformed or beyond the end.
    """
    facts, body = line.facts, line.body
    if facts.asset is not None and facts.asset not in WRITTEN:
        remedy = "Give textSelections, with ids from the text layer." if facts.asset == "document" else (
            "Mark entities in texts and conversations only."
        )  # fmt: skip
        raise line.wrong("WrongAsset", where, value, f"has no meaning for {facts.asset}", remedy)
    value = line.record(value, where, ("start", "end"))
    start = line.whole(value["start"], f"{where}.start", 0, "Give the index of the first character, from 0.")
    end = line.whole(value["end"], f"{where}.end", 0, "Give the index of the last character, from 0.")
    if end < start:
        raise line.wrong(
            "OutOfRange", f"{where}.end", end, f"is before start {start}",
            "Give the index of the last character, inclusive: for one character end equals start.",
        )  # fmt: skip
    length, what = facts.text_length, "text"
    if "messageId" in body:
        message_id(line, body["messageId"])
        length, what = (facts.messages or {}).get(body["messageId"]), "message"
    elif facts.asset == "conversational":
        raise line.wrong("MissingKey", "messageId", ..., "is missing", 'Give "messageId": the message it lies in.')
    if length is not None and end >= length:
        raise line.wrong(
            "OutOfRange", f"{where}.end", end, f"is beyond the {what}, which has {length} characters",
            f"end is inclusive: give {length - 1} at most.",
        )  # fmt: skip


def selections(line: Line, value: object, where: str) -> None:
    """``[{tokenIds, groupId, page}]`` of a document's text layer; ``page`` counts from 1.

    Raises:
        Wrong: it is malformed, or names a token or page that is not there.
    """
    facts = line.facts
    if facts.asset not in {None, "document"}:
        raise line.wrong("WrongAsset", where, ..., f"has no meaning for {facts.asset}", "Give location instead.")
    for i, one in enumerate(line.items(value, where, '{"tokenIds": ..., "groupId": ..., "page": ...}')):
        at = f"{where}[{i}]"
        part = line.record(one, at, ("tokenIds", "groupId", "page"))
        line.string(part["groupId"], f"{at}.groupId", "Give the group's id of the text layer.")
        line.whole(part["page"], f"{at}.page", 1, "Pages of entities count from 1.")
        if facts.pages is not None and part["page"] > facts.pages:
            said = f"is beyond the document's {facts.pages} pages"
            raise line.wrong("OutOfRange", f"{at}.page", part["page"], said, f"Give a page up to {facts.pages}.")
        for j, token in enumerate(line.items(part["tokenIds"], f"{at}.tokenIds", "token ids")):
            line.string(token, f"{at}.tokenIds[{j}]", "Give the token's id of the text layer.")
            if facts.tokens is not None and token not in facts.tokens:
                raise line.wrong(
                    "UnknownToken", f"{at}.tokenIds[{j}]", token, "is no token of the document's text layer",
                    "Take ids from this document's text layer.",
                )  # fmt: skip


def picture_mask(line: Line, value: object, where: str) -> None:
    """A mask of an image, a document's page or a map.

    Raises:
        Wrong: the mask is malformed, or what it lies on is nothing to draw on.
    """
    limits_of(line, where)
    mask(line, value, where)


Check = Callable[[Line, Any, str], None]
CHECKS: Mapping[str, Check] = {
    "bbox": box,
    "polygon": path,
    "point": point,
    "line": path,
    "mask": picture_mask,
    "location": location,
    "textSelections": selections,
}
