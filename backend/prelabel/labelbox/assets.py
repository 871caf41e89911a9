"""What conversion must know of a data row: sizes, text, pages, frames, messages, map bounds, text layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from prelabel.errors import DataError
from prelabel.labelbox.config_tags import GROUPS
from prelabel.labelbox.rows import Asset
from prelabel.regions.target import DIGITS
from prelabel.tasks import Facts

DocumentUnit = Literal["INCHES", "PIXELS", "POINTS", "PERCENT"]
POINTS_PER_INCH = 72.0


@dataclass(frozen=True, slots=True)
class Plane:
    """Coordinates of a row to percent of what Label Studio shows (0..100, from the top-left corner), and back.

    The four numbers are the coordinates of the shown picture's edges: an image has ``Plane(0, 0, width, height)``; on
    a map ``top`` is the largest latitude, so above ``bottom``. ``mercator``: y is a latitude in degrees, and the
    picture is drawn in Web Mercator (EPSG:3857), as map tiles are.
    """

    left: float
    top: float
    right: float
    bottom: float
    mercator: bool = False

    def percent(self, x: float, y: float) -> tuple[float, float]:
        """A row's point in percent of the picture."""
        top, bottom, here = (_northing(v) if self.mercator else v for v in (self.top, self.bottom, y))
        return 100.0 * (x - self.left) / (self.right - self.left), 100.0 * (here - top) / (bottom - top)

    def back(self, x: float, y: float) -> tuple[float, float]:
        """A point in percent of the picture in a row's coordinates, with as many digits as percent carry."""
        top, bottom = (_northing(v) if self.mercator else v for v in (self.top, self.bottom))
        there = top + y / 100.0 * (bottom - top)
        across = self.left + x / 100.0 * (self.right - self.left)
        down = _latitude(there) if self.mercator else there
        return _tidy(across, self.right - self.left), _tidy(down, self.bottom - self.top)


def _tidy(number: float, extent: float) -> float:
    """``number`` without the digits below a ten millionth of ``extent``: regions keep five of a percentage."""
    return round(number, -math.ceil(math.log10(abs(extent) * 10.0 ** -(DIGITS + 2))))


def _northing(latitude: float) -> float:
    """Web Mercator's y of a latitude in degrees, in radians."""
    return math.asinh(math.tan(math.radians(max(min(latitude, 89.9), -89.9))))


def _latitude(northing: float) -> float:
    return math.degrees(math.atan(math.sinh(northing)))


@dataclass(frozen=True, slots=True)
class Page:
    """A document's page: its size in ``unit``, and in pixels where it is shown as an image (``pixels``)."""

    width: float
    height: float
    unit: DocumentUnit = "POINTS"
    pixels: tuple[int, int] | None = None

    def size(self, unit: str) -> tuple[float, float] | None:
        """Width and height in ``unit``; None where they do not follow from what is known."""
        if unit == "PERCENT":
            return 100.0, 100.0
        if unit == self.unit:
            return self.width, self.height
        if unit == "PIXELS":
            return self.pixels
        inches = {"POINTS": POINTS_PER_INCH, "INCHES": 1.0}.get(self.unit)
        if inches is None or unit not in {"POINTS", "INCHES"}:
            return None
        factor = (POINTS_PER_INCH if unit == "POINTS" else 1.0) / inches
        return self.width * factor, self.height * factor

    def shown(self) -> tuple[int, int] | None:
        """Pixels of the page's image; where they are not known, its points, which have the same proportions."""
        size = self.pixels or self.size("PIXELS") or self.size("POINTS")
        return None if size is None else (round(size[0]), round(size[1]))


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a document's text layer. ``page`` counts from 1, the box is in percent of that page."""

    id: str
    page: int
    left: float
    top: float
    width: float
    height: float
    group: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    id: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that message tasks compare; ``model`` is Labelbox's ``modelConfigName``."""

    id: str
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Raster:
    """The picture that stands for a map in Label Studio: its pixels, and the coordinates of its edges.

    ``top`` is the y (for EPSG:4326 the latitude) of the upper edge. ``mercator``: the rows give degrees, and the
    picture is made of Web Mercator tiles.
    """

    width: int
    height: int
    left: float
    top: float
    right: float
    bottom: float
    mercator: bool = False

    @classmethod
    def from_row_data(cls, row_data: Mapping[str, Any], width: int, height: int, *, mercator: bool = False) -> Raster:
        """From a tiled asset's ``row_data``: its ``bounds`` are [lng, lat] in version 2 (taken where none is told),
        [lat, lng] in version 1.

        Raises:
            DataError: there are no bounds of two corners.
        """
        bounds = row_data.get("bounds")
        try:
            (a, b), (c, d) = ((float(corner[0]), float(corner[1])) for corner in bounds or ())
        except (TypeError, ValueError, IndexError) as error:
            raise DataError(
                f"a tiled asset's bounds must be two corners, got {bounds!r}.",
                hint='Give "bounds": [[lng, lat], [lng, lat]] and "version": 2.',
            ) from error
        if int(row_data.get("version") or 2) == 1:
            a, b, c, d = b, a, d, c
        return cls(width, height, min(a, c), max(b, d), max(a, c), min(b, d), mercator)

    def plane(self) -> Plane:
        """Map coordinates to percent of the picture."""
        return Plane(self.left, self.top, self.right, self.bottom, self.mercator)


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """All that is known of one data row; what is not known stays None or empty.

    ``width`` and ``height`` are pixels of the image, the video's picture or a DICOM slice. ``first_box_page`` is the
    page number with which document boxes begin (entities always begin with 1). ``images`` holds the bytes of mask
    images by address: conversion fetches nothing itself. ``text`` is the text or the HTML itself.
    """

    asset: Asset
    width: int | None = None
    height: int | None = None
    text: str | None = None
    pages: tuple[Page, ...] = ()
    first_box_page: int = 0
    tokens: tuple[Token, ...] = ()
    fps: float | None = None
    frames_count: int | None = None
    duration_s: float | None = None
    messages: tuple[Message, ...] = ()
    parent_message: str | None = None
    responses: tuple[Response, ...] = ()
    raster: Raster | None = None
    groups: tuple[str, ...] = GROUPS
    images: Mapping[str, bytes] = field(default_factory=dict)

    def facts(self) -> Facts:
        """What `prelabel.regions` needs of it."""
        shown = [page.shown() for page in self.pages]
        raster = self.raster
        return Facts(
            width=raster.width if raster else self.width,
            height=raster.height if raster else self.height,
            pages=tuple(size for size in shown if size is not None) if None not in shown else (),
            duration_s=self.duration_s,
            frames_count=self.frames_count,
            fps=self.fps,
            text=self.text,
            paragraphs=tuple(m.text or "" for m in self.messages) if all(m.text for m in self.messages) else (),
        )

    def message_index(self, message_id: str) -> int | None:
        """Which paragraph a message is, counted from 0."""
        return next((i for i, message in enumerate(self.messages) if message.id == message_id), None)

    def page_plane(self, index: int, unit: str) -> Plane | None:
        """Coordinates of a document's page (``index`` from 0); None where its size in ``unit`` is not known."""
        if unit == "PERCENT":
            return Plane(0.0, 0.0, 100.0, 100.0)
        size = self.pages[index].size(unit) if index < len(self.pages) else None
        return None if size is None else Plane(0.0, 0.0, *size)

    def plane(self, size: tuple[float, float] | None = None) -> Plane | None:
        """Coordinates of an image, video or map; ``size`` (a region's own) before what is known here."""
        if self.asset == "geospatial":
            return self.raster.plane() if self.raster else None
        if size is None and self.width and self.height:
            size = (self.width, self.height)
        return None if size is None else Plane(0.0, 0.0, *size)


def read_text_layer(layer: Sequence[Mapping[str, Any]]) -> tuple[tuple[Page, ...], tuple[Token, ...]]:
    """Pages and tokens of a document's text-layer JSON (a list of pages with ``groups`` of ``tokens``).

    Raises:
        DataError: a page lacks its size, or a token its id or geometry.
    """
    pages: list[Page] = []
    tokens: list[Token] = []
    try:
        for number, raw in enumerate(layer, start=1):
            percent = raw.get("units") == "PERCENT"
            page = Page(float(raw["width"]), float(raw["height"]), "POINTS" if not percent else "PERCENT")
            pages.append(page)
            fx, fy = (1.0, 1.0) if percent else (100.0 / page.width, 100.0 / page.height)
            for group in raw.get("groups") or ():
                for token in group.get("tokens") or ():
                    box = token["geometry"]
                    tokens.append(
                        Token(
                            id=str(token["id"]),
                            page=int(raw.get("number") or number),
                            left=float(box["left"]) * fx,
                            top=float(box["top"]) * fy,
                            width=float(box["width"]) * fx,
                            height=float(box["height"]) * fy,
                            group=str(group.get("id") or ""),
                            text=str(token.get("content") or ""),
                        )
                    )
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError) as error:
        raise DataError(
            f"the text layer cannot be read: {type(error).__name__}: {error}.",
            hint="Give Labelbox's text-layer JSON: pages with width, height and groups of tokens with geometry.",
        ) from error
    return tuple(pages), tuple(tokens)
