"""A run's items as a Parquet table, one row group for some thousands of them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prelabel.errors import SettingsError
from prelabel.runs.held import Item, Role
from prelabel.runs.items import Said

GROUP = 10_000
"""Items in one row group."""
COLUMNS = ("run", "data_row", "global_key", "split", "uuid", "form", "kind", "feature", "confidence", "body")


def write_parquet(path: Path, rows: Iterable[Said], run: str, role: Role) -> int:
    """Write a run's items; ``body`` is JSON. Returns how many those are.

    Raises:
        SettingsError: pyarrow is not installed.
    """
    try:
        pa = importlib.import_module("pyarrow")  # a large library that only this needs
        pq = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise SettingsError("a Parquet export needs pyarrow.", hint='pip install "prelabel[runs]"') from error
    kinds = [(name, pa.float64() if name == "confidence" else pa.string()) for name in COLUMNS]
    schema = pa.schema(kinds)
    count = 0
    group: list[dict[str, Any]] = []
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for said in rows:
            items = said.predictions if role == "prediction" else said.annotations
            group += [_entry(item, run, said.split) for item in items]
            if len(group) >= GROUP:
                writer.write_table(pa.Table.from_pylist(group, schema))
                count, group = count + len(group), []
        writer.write_table(pa.Table.from_pylist(group, schema))
    return count + len(group)


def _entry(item: Item, run: str, split: str) -> dict[str, Any]:
    return {
        "run": run,
        "data_row": item.data_row,
        "global_key": item.global_key,
        "split": split,
        "uuid": item.uuid,
        "form": item.form,
        "kind": item.kind,
        "feature": item.feature,
        "confidence": item.confidence,
        "body": json.dumps(item.body, ensure_ascii=False),
    }
