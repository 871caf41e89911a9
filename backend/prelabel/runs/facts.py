"""What is known of a data row, and what was said of it, from JSON to the forms that conversions take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast, get_args

from prelabel.errors import RequestError
from prelabel.labelbox.assets import AssetFacts, Message, Page, Raster, Response, Token
from prelabel.labelbox.rows import Asset, DataRowRef, Kind, Row
from prelabel.runs.held import DataRow, Item

ASSETS: tuple[str, ...] = get_args(Asset)
_PARTS: Mapping[str, type] = {"pages": Page, "tokens": Token, "messages": Message, "responses": Response}
_PLAIN = frozenset(one.name for one in fields(AssetFacts)) - {*_PARTS, "asset", "raster", "images", "groups"}


def media_type(said: str | None) -> str:
    """One of prelabel's asset kinds for what a person or Labelbox calls it (``IMAGE``, ``DOCUMENT``); empty for None.

    Raises:
        RequestError: there is no such kind.
    """
    if not said:
        return ""
    name = said.strip().lower().rsplit(".", maxsplit=1)[-1]
    name = {
        "pdf": "document",
        "geospatial_tile": "geospatial",
        "tms_geo": "geospatial",
        "tms_simple": "geospatial",
        "conversation": "conversational",
        "llm_prompt_response_creation": "llm",
        "simple_tile": "geospatial",
    }.get(name, name)
    if name not in ASSETS:
        raise RequestError(f"{said!r} is no media type.", hint=f"Use one of {', '.join(ASSETS)}.")
    return name


def asset_facts(row: DataRow, otherwise: str = "image") -> AssetFacts:
    """What is known of a data row; ``otherwise`` is the kind of one that nobody gave a kind.

    Raises:
        RequestError: the facts have not the form of `AssetFacts`.
    """
    asset = cast("Asset", row.media_type or otherwise)
    given: dict[str, Any] = {name: row.facts[name] for name in _PLAIN if row.facts.get(name) is not None}
    try:
        for name, kind in _PARTS.items():
            if row.facts.get(name):
                given[name] = tuple(kind(**_tupled(part)) for part in row.facts[name])
        if row.facts.get("raster"):
            given["raster"] = Raster(**row.facts["raster"])
        elif (
            asset == "geospatial"
            and isinstance(row.row_data, Mapping)
            and row.row_data.get("bounds")
            and {"width", "height"} <= given.keys()
        ):
            given["raster"] = Raster.from_row_data(row.row_data, given["width"], given["height"], mercator=True)
        if row.facts.get("groups"):
            given["groups"] = tuple(row.facts["groups"])
    except TypeError as error:
        raise RequestError(
            f"the facts of data row {row.global_key or row.uid!r} cannot be read: {error}.",
            hint="Their names are those of prelabel.labelbox.assets.AssetFacts.",
        ) from error
    said = row.row_data
    if "text" not in given and asset in {"text", "html"} and isinstance(said, str) and "://" not in said[:10]:
        given["text"] = said
    return AssetFacts(asset=asset, **given)


def row_of(item: Item) -> Row:
    """An item in Labelbox's form as the row that it was."""
    named = item.body["dataRow"]
    return Row(
        kind=cast("Kind", item.kind),
        data_row=DataRowRef(global_key=named.get("globalKey"), id=named.get("id")),
        name=item.feature,
        body=item.body,
        uuid=str(item.body.get("uuid") or ""),
        confidence=item.confidence,
    )


def _tupled(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in part.items()}
