"""What a server's model runs tell: items, metrics, reports, mistakes, comparison, slices."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prelabel.client_analysis import Analysis, Worst
from prelabel.client_run import ModelRun
from prelabel.errors import RequestError
from prelabel.remote import reading
from prelabel.remote.connection import CHUNK, MEASURE_S, path

if TYPE_CHECKING:
    from prelabel.analysis.comparison import Compared
    from prelabel.analysis.corrections import Correction
    from prelabel.analysis.gate import Verdict
    from prelabel.metrics.bootstrap import Name
    from prelabel.metrics.matches import Matches
    from prelabel.remote.client import RemoteClient
    from prelabel.runs.held import DataRow, ItemPage, Role, Split
    from prelabel.runs.items import Order
    from prelabel.runs.reports import Report
    from prelabel.runs.scores import RunMetrics
    from prelabel.runs.slices import SavedSlice

BLOCK_HEAD = struct.Struct("<Q")
"""Before each block of matches: its length in bytes."""


class Told(ModelRun):
    """A part of `prelabel.remote.runs.RemoteModelRun`."""

    _client: RemoteClient

    def _path(self, *parts: str) -> str:
        return path("runs", f"id:{self.id}", *parts)

    def _get(self, *parts: str, **query: Any) -> Any:
        return self._client.connection.get(self._path(*parts), timeout_s=MEASURE_S, **query)

    def _lines(self, *parts: str, **query: Any) -> Iterator[dict[str, Any]]:
        with self._client.connection.download(self._path(*parts), **query) as answer:
            for line in answer.iter_lines():
                if line:
                    yield json.loads(line)

    # -- what was said, and how good it is

    def items(
        self,
        limit: int = 100,
        after: str | None = None,
        *,
        role: Role = "prediction",
        order: Order = "data_row",
        feature: str | None = None,
        split: Split | None = None,
    ) -> ItemPage:
        return reading.item_page(
            self._get("items", limit=limit, after=after, role=role, order=order, feature=feature, split=split)
        )

    def metrics(self, confidence: float = 0.5, iou: float = 0.5, *, split: Split | None = None) -> RunMetrics:
        return reading.metrics(self._get("metrics", confidence=confidence, iou=iou, split=split))

    def report(self, confidence: float = 0.5, iou: float = 0.5, *, split: Split | None = None) -> Report:
        return reading.report(self._get("report", confidence=confidence, iou=iou, split=split))

    def matches(self, *, split: Split | None = None) -> Matches:
        from prelabel.metrics.matches import Matches  # noqa: PLC0415 (NumPy is loaded by those who measure)
        from prelabel.runs.blocks import from_bytes, joined  # noqa: PLC0415

        with self._client.connection.download(self._path("matches"), split=split) as answer:
            blocks = [from_bytes(block) for block in _blocks(answer.iter_bytes(CHUNK))]
        return joined(blocks) if blocks else Matches.of({})

    def worst(
        self,
        view: str = "low_f1",
        *,
        limit: int = 20,
        confidence: float = 0.5,
        iou: float = 0.5,
        split: Split | None = None,
    ) -> list[Worst]:
        said = self._get("worst", view=view, limit=limit, confidence=confidence, iou=iou, split=split)
        return [Worst(reading.data_row(one["data_row"]), one["value"]) for one in said["data_rows"]]

    def compare(
        self,
        other: Analysis,
        *,
        metric: Name = "f1",
        confidence: float = 0.5,
        iou: float = 0.5,
        split: Split | None = None,
        slices: Mapping[str, Collection[str]] | None = None,
    ) -> list[Compared]:
        if not isinstance(other, Told) or other._client.connection.url != self._client.connection.url:
            raise RequestError("runs of different registries cannot be compared.", hint="Give a run of this server.")
        body = {
            "other": other.name,
            "metric": metric,
            "confidence": confidence,
            "iou": iou,
            "split": split,
            "slices": {name: list(rows) for name, rows in (slices or {}).items()},
        }
        said = self._client.connection.write("POST", self._path("compare"), body, timeout_s=MEASURE_S)
        return [reading.compared(line) for line in said["lines"]]

    def judge(
        self, condition: str, *, confidence: float = 0.5, iou: float = 0.5, split: Split | None = None
    ) -> Verdict:
        from prelabel.analysis.gate import Verdict  # noqa: PLC0415 (as above)

        said = self._get("check", condition=condition, confidence=confidence, iou=iou, split=split)
        return Verdict(said["holds"], tuple(said["reasons"]))

    def corrections(self, *, split: Split | None = None) -> list[Correction]:
        from prelabel.analysis.corrections import Correction  # noqa: PLC0415 (as above)

        return [Correction(**line) for line in self._lines("corrections", "lines", split=split)]

    # -- slices

    def slice(
        self,
        condition: str,
        *,
        confidence: float = 0.5,
        iou: float = 0.5,
        limit: int | None = None,
        order: str | None = None,
    ) -> list[DataRow]:
        lines = self._lines("slice", condition=condition, confidence=confidence, iou=iou, limit=limit, order=order)
        return [reading.data_row(line) for line in lines]

    def slices(self) -> list[SavedSlice]:
        return self._client.get_model(self.model).slices()

    def save_slice(self, name: str, condition: str) -> SavedSlice:
        return self._client.get_model(self.model).save_slice(name, condition)

    def delete_slice(self, name: str) -> None:
        self._client.get_model(self.model).delete_slice(name)


def _blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks, each of which comes after its length."""
    rest = bytearray()
    for chunk in chunks:
        rest += chunk
        while len(rest) >= BLOCK_HEAD.size:
            end = BLOCK_HEAD.size + BLOCK_HEAD.unpack_from(rest)[0]
            if len(rest) < end:
                break
            yield bytes(rest[BLOCK_HEAD.size : end])
            del rest[:end]
    if rest:
        raise RequestError("the server's matches broke off.", hint="Try again.")
