"""Accepted rows to NDJSON lines."""

from __future__ import annotations

import json

from prelabel.labelbox.rows import Row


def write_row(row: Row) -> str:
    """The row as one compact line of ASCII JSON, without the line's end: its ``body`` in normal form.

    Confidences of 0.0 stay, keys are in camel case at every depth, polygons are closed rings, ``answer`` is never
    ``answers``: what Labelbox takes as a raw row.
    """
    return json.dumps(row.body, separators=(",", ":"), allow_nan=False)
