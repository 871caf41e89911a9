"""Who sends a run to a project: one at a time, and no task that a worker or the live server is predicting for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prelabel.errors import LabelStudioAuthError, LabelStudioUnreachableError, OverloadedError
from prelabel.labelstudio import LabelStudio
from prelabel.push.leasing import leased
from prelabel.push.settling import delete_surplus, look
from prelabel.push.storing import WATCH_BASE_S, WATCH_ROW_S, Stored
from prelabel.runs.outbox import send_lease
from prelabel.runs.rows import Chunk, ChunkRow, Connection, config_hash, content_hash, dump
from prelabel.runs.taking import Taking
from prelabel.settings import Settings


@contextmanager
def sole_sender(taking: Taking, instance: str, project: int, *, wait_s: float) -> Iterator[Callable[[], None]]:
    """Inside, nobody else of this registry sends a run to the project; what it gives is to be called before each step.

    Raises:
        OverloadedError: somebody else is at it, and is not done after ``wait_s`` seconds; or, from the step, this
            process stood still for so long that somebody else may have begun.
    """
    until = time.monotonic() + wait_s
    with leased(taking, send_lease(instance, project), lambda: time.monotonic() < until) as lost:
        if lost is None:
            raise OverloadedError(
                f"somebody else is sending to project {project} of {instance}, and is not done after {wait_s:g} s.",
                hint="Run it again later: what is there by then is not sent again.",
            )

        def step() -> None:
            if lost.is_set():
                raise OverloadedError(
                    f"this process stood still while it was sending to project {project} of {instance}.",
                    hint="Run it again: what was sent is not sent again.",
                )

        yield step


@dataclass(frozen=True, slots=True)
class Claims:
    """The ledger's rows of what a sender sends, where the run's model is connected to the project.

    Attributes:
        taking: the ledger.
        label_studio: the client.
        settings: ``settle_s``.
        instance, project: where.
        model, version: the run's.
    """

    taking: Taking
    label_studio: LabelStudio
    settings: Settings
    instance: str
    project: int
    model: str
    version: str

    def settle_left(self) -> None:
        """Find out what became of chunks that earlier senders left in doubt, waiting until their watch is over."""
        for chunk in self.taking.left_apart(self.instance, self.project):
            watch_s = min(self.settings.settle_s, WATCH_BASE_S + WATCH_ROW_S * len(chunk.rows))
            time.sleep(max(chunk.sent_at + watch_s - self.taking.now(), 0))
            found = look(self.label_studio, chunk, chunk.rows, None)
            delete_surplus(self.label_studio, chunk, found.surplus)
            again = found.absent + found.unsure
            self.taking.settle(chunk, stored=found.stored, gone=found.gone, release=again, doubtful=True)

    def take(
        self, ready: Sequence[ChunkRow], contents: Mapping[int, object], older: Mapping[int, object], looked: float
    ) -> Claimed:
        """Claim the tasks of these rows; where nothing is known of the model in this project, all are free.

        Args:
            ready: what is to be sent.
            contents: the tasks' data, by id.
            older: tasks whose prediction of this version is to be replaced.
            looked: the registry's time before what stands there was looked up.
        """
        connection = self.taking.connection(self.project, self.instance, model=self.model)
        if connection is None or not ready:
            return Claimed(self.taking, None, tuple(ready))
        chunk = self._chunk(connection, ready, contents, older, looked)
        free = {row.task for row in chunk.rows}
        return Claimed(self.taking, chunk, tuple(row for row in ready if row.task in free))

    def _chunk(
        self,
        connection: Connection,
        ready: Sequence[ChunkRow],
        contents: Mapping[int, object],
        older: Mapping[int, object],
        looked: float,
    ) -> Chunk:
        config = config_hash(connection.label_config)
        hashes = {row.task: content_hash(dump(contents.get(row.task)), config) for row in ready}
        return self.taking.take(self.version, connection, hashes, older=frozenset(older), looked=looked)


@dataclass(frozen=True, slots=True)
class Claimed:
    """Rows that may be sent; ``chunk`` has their rows in the ledger, None where it has none."""

    taking: Taking
    chunk: Chunk | None
    rows: tuple[ChunkRow, ...]

    @contextmanager
    def sending(self, result: Stored) -> Iterator[None]:
        """Around the sending, which fills ``result`` (by numbers of `rows`): the ledger has it afterwards.

        Where it ends with an error, what is not known to be stored stays in doubt: the next sender or a lane reads it
        back. What was never sent is let go at once.
        """
        try:
            yield
        except (LabelStudioUnreachableError, LabelStudioAuthError):
            self._settle(result, let_go=True)
            raise
        except BaseException:
            self._settle(result, let_go=False)
            raise
        self._settle(result, let_go=True)

    def _settle(self, result: Stored, *, let_go: bool) -> None:
        if self.chunk is None:
            return
        numbers = {row.task: row.id for row in self.chunk.rows}
        ours = {row.id: numbers[row.task] for row in self.rows}
        stored = {ours[number] for number in result.stored}
        refused = {ours[number]: reason for number, reason in result.refused.items()}
        left = set(numbers.values()) - stored - refused.keys() if let_go else ()
        self.taking.settle(self.chunk, stored=stored, refused=refused, release=left)


__all__ = ["Claimed", "Claims", "sole_sender"]
