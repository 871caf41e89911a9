"""One NDJSON line: read, checked against ontology and data row, and written again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from prelabel.labelbox.assets import AssetFacts, Page

Asset = Literal["image", "video", "text", "document", "geospatial", "audio", "conversational", "html", "dicom", "llm"]
Kind = Literal[
    "bbox", "polygon", "point", "polyline", "mask", "entity", "document_entity", "relationship",
    "video_object", "video_mask", "radio", "checklist", "text", "message_task", "metric",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class DataRowRef:
    """Which data row: exactly one of the two is set."""

    global_key: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line that was accepted.

    ``body`` is the line itself in normal form (camelCase, ``answer`` never ``answers``, names and schema ids as given),
    JSON-ready and complete: ``body["dataRow"]``, ``body["bbox"]`` ... Writing a row is writing its ``body``.
    ``name`` is the feature's name as the ontology has it, also where the line gave a ``schemaId``; empty for video
    masks and metric rows that name none. ``confidence`` is the object's or, for a radio, its answer's; None: not given.
    """

    kind: Kind
    data_row: DataRowRef
    name: str
    body: Mapping[str, Any] = field(hash=False)
    uuid: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with a line.

    Attributes:
        name: the kind of mistake, one word for programs: ``UnknownFeature``, ``OutOfRange`` ...
        message: one sentence that names line, uuid, field and value.
        field: where, from the line's top: ``answer.classifications[0].name``.
        value: what stood there, as JSON, cut after 80 characters; empty where nothing stood there.
        remedy: what to do about it, one sentence.
    """

    name: str
    message: str
    field: str
    value: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A line that is right. ``notes`` say what could not be checked; ``line`` counts from 1."""

    row: Row
    line: int = 0
    notes: tuple[RowError, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that is not: its uuid ("" where it has none) and data row (None where it names none), and all errors."""

    uuid: str
    data_row: DataRowRef | None
    errors: tuple[RowError, ...]
    line: int = 0


@dataclass(frozen=True, slots=True)
class DataRowFacts:
    """What is known of a data row when its rows are checked. None: not known, and not checked.

    Attributes:
        asset: what it is.
        width: pixels of the image, the video's picture or a DICOM slice.
        height: as ``width``.
        text_length: characters of the text.
        messages: message ids of a conversation, with the characters of each.
        pages: number of a document's pages.
        page_sizes: the pages' sizes, in order.
        tokens: ids of the text layer's tokens.
        frames_count: number of a video's frames.
        duration_ms: length of an audio.
        epsg: a map's coordinates; 4326 are degrees.
        bounds: a map's edges: smallest x, smallest y, largest x, largest y.
    """

    asset: Asset | None = None
    width: int | None = None
    height: int | None = None
    text_length: int | None = None
    messages: Mapping[str, int | None] | None = field(default=None, hash=False)
    pages: int | None = None
    page_sizes: tuple[Page, ...] = ()
    tokens: frozenset[str] | None = None
    frames_count: int | None = None
    duration_ms: float | None = None
    epsg: int | None = None
    bounds: tuple[float, float, float, float] | None = None

    @classmethod
    def of(cls, asset: AssetFacts) -> DataRowFacts:
        """What conversions know of a data row, as far as checks need it."""
        map_, messages = asset.raster, {one.id: None if one.text is None else len(one.text) for one in asset.messages}
        return cls(
            asset=asset.asset,
            width=asset.width if map_ is None else None,
            height=asset.height if map_ is None else None,
            text_length=None if asset.text is None else len(asset.text),
            messages=messages or None,
            pages=len(asset.pages) or None,
            page_sizes=asset.pages,
            tokens=frozenset(token.id for token in asset.tokens) or None,
            frames_count=asset.frames_count,
            duration_ms=None if asset.duration_s is None else asset.duration_s * 1000.0,
            bounds=None
            if map_ is None
            else (
                min(map_.left, map_.right),
                min(map_.top, map_.bottom),
                max(map_.left, map_.right),
                max(map_.top, map_.bottom),
            ),
        )
