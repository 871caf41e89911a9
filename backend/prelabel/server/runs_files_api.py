"""What a run tells that may be as large as the run, over HTTP: files, and lines that are sent as they are read.

```
GET /api/v1/runs/{run}/export             a file; ?format= &role= &split= &splits=
GET /api/v1/runs/{run}/slice              NDJSON: data rows for which ?condition= holds; ?order= &limit=
GET /api/v1/runs/{run}/corrections/lines  NDJSON: each prediction and what people did to it
GET /api/v1/runs/{run}/matches            all that overlaps, in blocks of some thousand data rows
```
"""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, cast

from flask import Blueprint, Response, request

from prelabel.errors import RequestError
from prelabel.runs.held import Split
from prelabel.server import runs_answers as answers
from prelabel.server import runs_forms as forms
from prelabel.server.operations import Operation, Query, operation, read_query
from prelabel.server.runs_access import Runs

CHUNK = 1 << 18
"""Bytes of a file that are sent at once."""
TOGETHER = 500
"""Lines that are sent at once."""
NDJSON = "application/x-ndjson"
BLOCKS = "application/octet-stream"
FILES = {
    "ndjson": (NDJSON, "ndjson"),
    "labelstudio": ("application/json", "json"),
    "coco": ("application/json", "json"),
    "parquet": ("application/vnd.apache.parquet", "parquet"),
}
"""Media type and file name's ending of each export format."""
WRITTEN = "X-Prelabel-Written"
"""Header of an export: how many things are in it."""
BLOCK_HEAD = struct.Struct("<Q")
"""Before each block of matches: its length in bytes (`prelabel.runs.blocks` has its form)."""


def files_blueprint(runs: Runs) -> Blueprint:
    """Blueprint ``files``."""
    api = Blueprint("files", __name__, url_prefix="/api/v1")
    _export(api, runs)
    _lines(api, runs)
    _matches(api, runs)
    return api


def _sending(summary: str, query: type[Query], *media_types: str) -> Operation:
    return Operation(summary, query=query, files=media_types, errors=(400, 404, 503))


def _export(api: Blueprint, runs: Runs) -> None:
    @api.get("/runs/<run>/export")
    @operation(_sending("Download a run as a file.", forms.ExportQuery, *sorted({kind for kind, _ in FILES.values()})))
    def export(run: str) -> Response:
        at, found = read_query(forms.ExportQuery), runs.run(run)
        media_type, ending = FILES[at.format]
        if at.split is not None and at.splits:
            raise RequestError("give either 'split' or 'splits'.")
        splits = cast("list[Split]", [name for name in (at.split, *at.splits.split(",")) if name])
        if request.method == "HEAD":
            return Response(mimetype=media_type)
        folder = runs.client.registry.spool_dir
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with runs.report(), tempfile.TemporaryDirectory(prefix="export-", dir=folder) as place:
            file = Path(place) / f"run.{ending}"
            written = found.export(at.format, file, splits=splits, role=at.role)
            size, opened = file.stat().st_size, file.open("rb")  # the name goes, the open file stays
        answer = Response(_chunks(opened), mimetype=media_type)
        answer.content_length = size
        answer.headers[WRITTEN] = str(written)
        answer.headers.set("Content-Disposition", "attachment", filename=_file_name(found.name, ending))
        return answer


def _lines(api: Blueprint, runs: Runs) -> None:
    @api.get("/runs/<run>/slice")
    @operation(_sending("Send the data rows for which a condition holds now.", forms.SliceQuery, NDJSON))
    def slice_rows(run: str) -> Response:
        at, found = read_query(forms.SliceQuery), runs.run(run)
        with runs.report():
            rows = found.slice(at.condition, confidence=at.confidence, iou=at.iou, limit=at.limit, order=at.order)
        return _ndjson(answers.data_row_answer(row).model_dump(exclude={"split"}) for row in rows)

    @api.get("/runs/<run>/corrections/lines")
    @operation(_sending("Send each prediction and what people did to it.", forms.MatchesQuery, NDJSON))
    def corrections(run: str) -> Response:
        at, found = read_query(forms.MatchesQuery), runs.run(run)
        with runs.report():
            made = found.corrections(split=at.split)
        return _ndjson(asdict(one) for one in made)


def _matches(api: Blueprint, runs: Runs) -> None:
    @api.get("/runs/<run>/matches")
    @operation(_sending("Send all that overlaps, to be counted elsewhere.", forms.MatchesQuery, BLOCKS))
    def matches(run: str) -> Response:
        from prelabel.runs.blocks import to_bytes  # noqa: PLC0415 (NumPy, for those who ask)

        at, found, registry = read_query(forms.MatchesQuery), runs.run(run), runs.client.registry
        with runs.report():
            found.collect()
            registry.refresh_matches(found.id)

        def blocks() -> Iterator[bytes]:
            for block in registry.matches(found.id, split=at.split):
                packed = to_bytes(block)
                yield BLOCK_HEAD.pack(len(packed))
                yield packed

        return Response(blocks(), mimetype=BLOCKS)


def _ndjson(lines: Iterable[dict[str, Any]]) -> Response:
    def chunks() -> Iterator[bytes]:
        several: list[str] = []
        for line in lines:
            several.append(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")
            if len(several) == TOGETHER:
                yield "".join(several).encode()
                several.clear()
        yield "".join(several).encode()

    return Response(chunks(), mimetype=NDJSON)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


def _file_name(run: str, ending: str) -> str:
    plain = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else "_" for sign in run)
    return f"{plain[:100]}.{ending}"
