"""Matches of many data rows in one binary block: what is stored and read back without a Python loop over rows."""

from __future__ import annotations

import struct

import numpy as np

from prelabel.errors import DataError
from prelabel.metrics.matches import Matches, RowMatches

MAGIC = b"PLMB\x01"
_HEAD = struct.Struct("<5sxxxIQ")


def to_bytes(matches: Matches) -> bytes:
    """Header, data row ids, rows of predictions and annotations (int32), then the columns as `RowMatches` has them."""
    names = "\n".join(matches.row_ids).encode()
    parts = (
        _HEAD.pack(MAGIC, len(matches.row_ids), len(names)),
        names,
        struct.pack("<II", len(matches.prediction_row), len(matches.annotation_row)),
        matches.prediction_row.astype("<i4", copy=False).tobytes(),
        matches.annotation_row.astype("<i4", copy=False).tobytes(),
        matches.columns.to_bytes(),
    )
    return b"".join(parts)


def from_bytes(data: bytes) -> Matches:
    """What `to_bytes` wrote.

    Raises:
        DataError: these are no such bytes.
    """
    try:
        magic, count, length = _HEAD.unpack_from(data)
        at = _HEAD.size
        names = tuple(bytes(data[at : at + length]).decode().split("\n")) if count else ()
        at += length
        predictions, annotations = struct.unpack_from("<II", data, at)
        at += 8
        prediction_row = np.frombuffer(data, "<i4", predictions, at).astype(np.int32, copy=False)
        at += 4 * predictions
        annotation_row = np.frombuffer(data, "<i4", annotations, at).astype(np.int32, copy=False)
        at += 4 * annotations
    except (struct.error, ValueError) as error:
        raise DataError("these bytes are no stored matches.", hint="Compute the run's matches again.") from error
    if magic != MAGIC or len(names) != count:
        raise DataError("these matches were written by another version.", hint="Compute the run's matches again.")
    return Matches(names, RowMatches.from_bytes(data[at:]), prediction_row, annotation_row)


def joined(blocks: list[Matches]) -> Matches:
    """Several blocks as one."""
    if len(blocks) == 1:
        return blocks[0]
    columns = Matches.of({str(place): block.columns for place, block in enumerate(blocks)}).columns
    starts = np.cumsum([0, *(len(block.row_ids) for block in blocks[:-1])]).astype(np.int32)
    return Matches(
        tuple(name for block in blocks for name in block.row_ids),
        columns,
        np.concatenate([block.prediction_row + start for block, start in zip(blocks, starts, strict=True)]),
        np.concatenate([block.annotation_row + start for block, start in zip(blocks, starts, strict=True)]),
    )
