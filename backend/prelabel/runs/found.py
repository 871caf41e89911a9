"""The data rows that a batch of lines names: those that are in the run, and why others are not."""

from __future__ import annotations

from collections.abc import Mapping

from prelabel.labelbox.rows import DataRowRef
from prelabel.runs.held import DataRow, RowError


class Found:
    """Data rows of the run by global key and uid, and what is a data row but not in the run."""

    def __init__(self, rows: Mapping[str, DataRow], outside: set[str]) -> None:
        self.rows = rows
        self.outside = outside

    def row(self, data_row: DataRowRef) -> DataRow | None:
        """The data row of the run; None where it is not in it."""
        return self.rows.get(data_row.global_key if data_row.global_key is not None else data_row.id or "")

    @staticmethod
    def named(key: str | None, uid: str | None) -> dict[str, str]:
        """How the line named its data row."""
        return ({"globalKey": key} if key is not None else {}) | ({"id": uid} if uid is not None else {})

    def error(self, key: str | None, uid: str | None) -> RowError:
        """Why there is no data row for a line."""
        field, value = ("globalKey", key) if key is not None else ("id", uid)
        if value is None:
            return RowError("InvalidRow", "dataRow is missing.", 'Give {"dataRow": {"globalKey": "..."}}.')
        if value in self.outside:
            return RowError(
                "DataRowNotInRun",
                f"dataRow.{field} {value!r} is a data row, but not of this run.",
                "Put it in with `run.upsert_data_rows`, or `prelabel runs import-rows DATASET FILE --run RUN`.",
            )
        return RowError(
            "DataRowNotFound",
            f"dataRow.{field} {value!r} is no data row.",
            "Make it with `client.import_data_rows`, then `run.upsert_data_rows`; or `prelabel runs import-rows "
            "DATASET FILE --run RUN`.",
        )
