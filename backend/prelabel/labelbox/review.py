"""Labelbox's NDJSON rows to Label Studio's result regions and back: what a review of predictions needs.

```
Row.body ──to_regions──▶ result regions ──(people look, change, draw)──▶ result regions ──to_rows──▶ NDJSON bodies
```
"""

from __future__ import annotations

from prelabel.labelbox.review_regions import to_regions
from prelabel.labelbox.review_rows import RowsConversion, to_rows
from prelabel.regions import Conversion

__all__ = ["Conversion", "RowsConversion", "to_regions", "to_rows"]
