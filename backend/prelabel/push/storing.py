"""One bulk import of a run's predictions: sent once, counted, read back where the count differs or is not known."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from prelabel.errors import (
    LabelStudioAuthError,
    LabelStudioError,
    LabelStudioUnavailableError,
    LabelStudioUnreachableError,
)
from prelabel.labelstudio import LabelStudio
from prelabel.push.explaining import explain
from prelabel.push.settling import Findings, Older, delete_surplus, look
from prelabel.runs import Chunk, ChunkRow
from prelabel.settings import Settings

ROWS = 1000
"""Most predictions in one import."""
BYTES = 32 * 2**20
"""Most JSON in one import."""
WATCH_BASE_S = 10.0
WATCH_ROW_S = 0.02
"""A call of n predictions without an answer is watched for base + n times this, at most `Settings.settle_s`."""
SERVER_ERROR = 500
TOO_MUCH = frozenset({400, 413})
GONE = "its task was deleted in Label Studio"


@dataclass(slots=True)
class Stored:
    """Numbers of rows that Label Studio has now, and why it has not the others."""

    stored: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


def store(  # noqa: PLR0917 (whom, how, what, and where the result goes)
    label_studio: LabelStudio, settings: Settings, label_config: str, chunk: Chunk, before: Older, result: Stored
) -> None:
    """Store predictions, no more than `ROWS` in a call.

    Args:
        label_studio: the client.
        settings: ``push_chunk``, ``push_timeout_s``, ``settle_s``.
        label_config: the project's, for the reasons of what Label Studio leaves out.
        chunk: names project and version; its tasks have no prediction of the version but those of ``before``.
        before: ids of predictions by task that go when the new one stands.
        result: gets what is known, also where this ends with an error.

    Raises:
        LabelStudioUnavailableError: Label Studio did not answer, and part of the predictions is not there.
        LabelStudioError: Label Studio refuses for a reason that is not the predictions'.
    """
    storing = _Storing(label_studio, settings, label_config, before, result)
    for rows in _parts(chunk.rows, min(ROWS, settings.push_chunk)):
        storing.send(replace(chunk, rows=tuple(rows)))


@dataclass(slots=True)
class _Storing:
    label_studio: LabelStudio
    settings: Settings
    label_config: str
    before: Older
    result: Stored

    def send(self, chunk: Chunk) -> None:
        body = "[" + ",".join(f'{{"task":{row.task},{row.payload[1:]}' for row in chunk.rows) + "]"
        try:
            created = self.label_studio.import_predictions(
                chunk.connection.project, body.encode(), timeout_s=self.settings.push_timeout_s
            )
        except (LabelStudioUnreachableError, LabelStudioAuthError):
            raise
        except LabelStudioUnavailableError as error:
            self._settle(chunk, self._watched(chunk, error))
        except LabelStudioError as error:
            self._refused(chunk, error)
        else:
            if created == len(chunk.rows) and not any(row.task in self.before for row in chunk.rows):
                self.result.stored += [row.id for row in chunk.rows]
            else:
                self._settle(chunk, look(self.label_studio, chunk, chunk.rows, self.before))

    def _refused(self, chunk: Chunk, error: LabelStudioError) -> None:
        """One prediction can refuse all: it is sought by halving."""
        if error.http_status not in TOO_MUCH:
            raise error
        if len(chunk.rows) == 1:
            self.result.refused[chunk.rows[0].id] = f"Label Studio refused it: {error.message[:500]}"
            return
        half = len(chunk.rows) // 2
        self.send(replace(chunk, rows=chunk.rows[:half]))
        self.send(replace(chunk, rows=chunk.rows[half:]))

    def _settle(self, chunk: Chunk, found: Findings) -> None:
        delete_surplus(self.label_studio, chunk, found.surplus)
        absent, gone = frozenset(found.absent), frozenset(found.gone)
        self.result.stored += found.stored
        if absent:
            self.result.refused |= explain(self.label_config, [row for row in chunk.rows if row.id in absent])
        self.result.refused |= dict.fromkeys(gone, GONE)

    def _watched(self, chunk: Chunk, error: LabelStudioUnavailableError) -> Findings:
        """What came of a call without an answer: Label Studio may be at work on it yet, so it is not repeated here."""
        watch_s = min(self.settings.settle_s, WATCH_BASE_S + WATCH_ROW_S * len(chunk.rows))
        # an answer of 500 is Label Studio's own last word on the call; a proxy's 502 to 504 or silence is not
        until = time.monotonic() + (0.0 if error.http_status == SERVER_ERROR else watch_s)
        pause_s = 0.2
        while True:
            found = look(self.label_studio, chunk, chunk.rows, self.before)
            if not found.absent:
                return found
            if time.monotonic() >= until:
                delete_surplus(self.label_studio, chunk, found.surplus)
                raise LabelStudioUnavailableError(
                    f"{error.message} {len(found.absent)} of {len(chunk.rows)} predictions are not there.",
                    hint="Run it again in some minutes: what is there by then is not sent again.",
                    http_status=error.http_status,
                ) from error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 5.0)


def _parts(rows: Sequence[ChunkRow], most: int) -> Iterator[list[ChunkRow]]:
    part: list[ChunkRow] = []
    size = 0
    for row in rows:
        length = len(row.payload.encode())
        if part and (len(part) == most or size + length > BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part


__all__ = ["ROWS", "Stored", "store"]
