"""The push lane: the only writer of one Label Studio; sends pending predictions and settles what is in doubt."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from prelabel.errors import (
    LabelStudioAuthError,
    LabelStudioError,
    LabelStudioUnavailableError,
    LabelStudioUnreachableError,
    PrelabelError,
)
from prelabel.labelstudio import LabelStudio
from prelabel.push.explaining import explain
from prelabel.push.leasing import LEASE_S, RENEW_S, leased
from prelabel.push.settling import Findings, Older, delete_surplus, look, older
from prelabel.runs import Chunk, Ledger, Waiting
from prelabel.settings import Settings

log = logging.getLogger(__name__)

IDLE_S = 0.05
"""Pause between two looks into the ledger."""
CHUNK_BYTES = 32 * 2**20
"""Most JSON in one bulk import; Label Studio takes up to 250 MiB, proxies before it less."""
PACE = 4.0
"""While more is on its way, the lane pauses this many times its last call's duration: Label Studio recounts at each."""
LONGEST_PACE_S = 30.0
WATCH_BASE_S = 10.0
WATCH_ROW_S = 0.02
"""A doubtful call of n predictions is watched for base + n times this, at most `settle_s`."""
SMALL = 100
"""A smaller chunk waits as long as the last call took, so that single imports do not keep Label Studio busy."""
ATTEMPTS = 3
"""Single predictions that make Label Studio fail are sent this often before they count as refused."""
MOST_ALONE = 3
"""When so many fail alone one after the other, it is Label Studio that fails."""
FORBIDDEN = 403
NOT_FOUND = 404
TOO_MANY = 429
SERVER_ERROR = 500


@dataclass
class LaneReport:
    """What one run of the lane did; numbers are predictions.

    ``busy``: another lane works on this Label Studio. ``due_at``: registry time of the next look at late copies.
    """

    chunks: int = 0
    stored: int = 0
    refused: int = 0
    gone: int = 0
    deleted: int = 0
    call_s: float = 0.0
    busy: bool = False
    due_at: float | None = None


@dataclass
class _Doubt:
    """A chunk of which nobody knows whether Label Studio stored it."""

    chunk: Chunk
    until: float  # registry time
    before: Older | None
    next_look: float = 0.0  # registry time
    pause: float = 0.5
    count: int | None = None


def run_lane(
    ledger: Ledger,
    label_studio: LabelStudio,
    instance: str,
    settings: Settings,
    *,
    stopping: Callable[[], bool] = lambda: False,
    on_step: Callable[[str], None] = lambda _step: None,
) -> LaneReport:
    """Push what is pending for one Label Studio until nothing is left; first settle what earlier lanes left in doubt.

    Only one lane per Label Studio works at a time; another returns with ``busy`` once it knows that the first is alive.

    Args:
        ledger: where predictions wait.
        label_studio: the client, with a token for the instance's projects.
        instance: Label Studio's address as the ledger knows it.
        settings: ``push_chunk``, ``push_wait_s``, ``push_timeout_s``, ``settle_s``.
        stopping: asked between calls; True ends the lane, what is in doubt stays for the next one.
        on_step: told each step's name: ``begun``, ``sent``, ``settled``; tests kill the process there.

    Raises:
        LabelStudioAuthError: the token is refused; nothing is lost.
        LabelStudioUnavailableError: Label Studio is away; nothing is lost, run the lane again later.
        LabelStudioError: Label Studio refuses for a reason that is not the predictions'.
    """
    lane = _Lane(ledger, label_studio, instance.rstrip("/"), settings, stopping, on_step)
    while not stopping():
        with _lease(ledger, f"push:{lane.instance}", stopping) as lost:
            if lost is None:
                lane.report.busy = True
                break
            lane.run(lost)
        # what came after the last look, while the lease still stood
        if all(lane.group(one) in lane.blocked for one in ledger.waiting(lane.instance)):
            break
    lane.report.due_at = ledger.next_due(lane.instance)
    for error in lane.blocked.values():
        raise error
    return lane.report


@dataclass
class _Lane:
    ledger: Ledger
    label_studio: LabelStudio
    instance: str
    settings: Settings
    stopping: Callable[[], bool]
    on_step: Callable[[str], None]
    report: LaneReport = field(default_factory=LaneReport)
    doubts: list[_Doubt] = field(default_factory=list)
    limits: dict[tuple[int, str], int] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    alone: int = 0
    blocked: dict[tuple[int, str], LabelStudioError] = field(default_factory=dict)
    last_call: tuple[float, float] = (0.0, 0.0)  # time.monotonic at its end, duration

    def run(self, lost: threading.Event) -> None:
        """Work until nothing is pending, in doubt or about to come, or the lease is lost."""
        self.doubts = [
            _Doubt(chunk, chunk.sent_at + self._watch_s(chunk), None) for chunk in self.ledger.unsettled(self.instance)
        ]
        idle_since = time.monotonic()
        while not self.stopping() and not lost.is_set():
            worked = self._settle_doubts()
            worked = self._verify_late() or worked
            waiting = [one for one in self.ledger.waiting(self.instance) if self.group(one) not in self.blocked]
            producing = self.ledger.producing(self.instance)
            ready = next((one for one in waiting if self._ready(one, producing)), None)
            if ready is not None:
                self._push(ready)
                worked = True
            if worked:
                idle_since = time.monotonic()
                continue
            if not waiting and not self.doubts:
                lingered = time.monotonic() - idle_since
                if not producing or lingered >= self.settings.push_wait_s:
                    return
            time.sleep(IDLE_S)

    def _ready(self, waiting: Waiting, producing: bool) -> bool:
        """Whether to send now: a full chunk, or the last of it, or long enough waited."""
        ended, took = self.last_call
        rested = time.monotonic() - ended
        if waiting.rows >= self._limit(waiting) or not producing:
            return waiting.rows >= SMALL or rested >= took
        if rested < min(PACE * took, LONGEST_PACE_S):
            return False
        return self.ledger.now() - waiting.oldest >= self.settings.push_wait_s

    # -- sending

    def _push(self, waiting: Waiting) -> None:
        chunk = self.ledger.begin_chunk(waiting, self._limit(waiting), CHUNK_BYTES)
        if chunk is None:
            return
        everything = [row.id for row in chunk.rows]
        try:
            before = older(self.label_studio, chunk)
        except PrelabelError:
            self.ledger.settle(chunk, release=everything)  # nothing was sent
            raise
        self.on_step("begun")
        began = time.monotonic()
        try:
            created = self.label_studio.import_predictions(
                chunk.connection.project, _body(chunk), timeout_s=self.settings.push_timeout_s
            )
        except (LabelStudioUnreachableError, LabelStudioAuthError):
            self.ledger.settle(chunk, release=everything)  # nothing was sent, or nothing was done
            raise
        except LabelStudioUnavailableError as error:
            self._in_doubt(chunk, before, error)
            return
        except LabelStudioError as error:
            self._refused_whole(chunk, before, error)
            return
        finally:
            took = time.monotonic() - began
            self.last_call = (time.monotonic(), took)
            self.report.call_s += took
            self.report.chunks += 1
        self.on_step("sent")
        self.alone = 0
        if created >= len(chunk.rows) and not before:
            self._settle(chunk, Findings(tuple(everything), (), (), ()))
        else:
            self._settle_sent(chunk, before, created)
        self.limits[self._key(chunk)] = self._limit(waiting) * 2
        log.info(
            "project %d: %d predictions of %s sent in %.2f s",
            chunk.connection.project,
            len(chunk.rows),
            chunk.version,
            took,
        )

    def _settle_sent(self, chunk: Chunk, before: Older, created: int) -> None:
        """Label Studio says that it made ``created`` predictions: find out which, and tidy up older copies."""
        short = created < len(chunk.rows)
        asked = chunk.rows if short else [row for row in chunk.rows if row.verify]
        found = look(self.label_studio, chunk, asked, before)
        if not short:
            untouched = tuple(row.id for row in chunk.rows if not row.verify)
            found = Findings(untouched + found.stored, found.absent, found.gone, found.unsure, found.surplus)
        self._settle(chunk, found)

    def _settle(self, chunk: Chunk, found: Findings) -> None:
        """Write down what was found after a call that ended: what is absent then was left out."""
        missing = frozenset(found.absent)
        refused: dict[int, str] = {}
        if missing:
            config = str(self.label_studio.project(chunk.connection.project)["label_config"])
            refused = explain(config, [row for row in chunk.rows if row.id in missing])
            for row in chunk.rows:
                if row.id in missing:
                    log.warning("project %d, task %d: %s", chunk.connection.project, row.task, refused[row.id])
        self.report.deleted += delete_surplus(self.label_studio, chunk, found.surplus)
        self.ledger.settle(
            chunk, stored=found.stored, refused=refused, gone=found.gone, verify_at=self._verify_at(chunk)
        )
        self.on_step("settled")
        self.report.stored += len(found.stored)
        self.report.refused += len(refused)
        self.report.gone += len(found.gone)

    def _refused_whole(self, chunk: Chunk, before: Older, error: LabelStudioError) -> None:
        """Label Studio refused the whole call: unknown tasks are taken out, else the culprit is sought by halving."""
        everything = [row.id for row in chunk.rows]
        if error.http_status == FORBIDDEN or (error.http_status == NOT_FOUND and not self._project_gone(chunk)):
            self.ledger.settle(chunk, release=everything)
            self.blocked[self._key(chunk)] = error  # other projects go on; the error is raised at the end
            return
        if error.http_status == NOT_FOUND:
            self.ledger.settle(chunk, gone=everything, note="the project was deleted")
            self.report.gone += len(everything)
            return
        found = look(self.label_studio, chunk, chunk.rows, before)
        if not found.gone and not found.stored and len(chunk.rows) == 1:
            self.ledger.settle(chunk, refused={chunk.rows[0].id: error.message[:2000]})
            self.report.refused += 1
            return
        if not found.gone and not found.stored:
            self._halve(chunk)
        self.report.deleted += delete_surplus(self.label_studio, chunk, found.surplus)
        self.ledger.settle(chunk, stored=found.stored, gone=found.gone, release=found.absent, note=error.message[:500])
        self.report.stored += len(found.stored)
        self.report.gone += len(found.gone)

    def _project_gone(self, chunk: Chunk) -> bool:
        try:
            self.label_studio.project(chunk.connection.project)
        except LabelStudioError as error:
            if error.http_status != NOT_FOUND:
                raise
            return True
        return False

    # -- doubt

    def _in_doubt(self, chunk: Chunk, before: Older, error: LabelStudioUnavailableError) -> None:
        if error.http_status == TOO_MANY:
            self.ledger.settle(chunk, release=[row.id for row in chunk.rows])
            raise error
        now = self.ledger.now()
        # an answer of 500 is Label Studio's own last word on the call; a proxy's 502 to 504 or silence is not
        until = now if error.http_status == SERVER_ERROR else now + self._watch_s(chunk)
        log.warning(
            "project %d: %d predictions of %s are in doubt: %s",
            chunk.connection.project,
            len(chunk.rows),
            chunk.version,
            error,
        )
        doubt = _Doubt(chunk, until, before, next_look=now)
        if error.http_status == SERVER_ERROR and len(chunk.rows) > 1:
            self._halve(chunk)
        elif error.http_status == SERVER_ERROR and self._fails_alone(chunk, error):
            return
        self.doubts.append(doubt)

    def _fails_alone(self, chunk: Chunk, error: LabelStudioUnavailableError) -> bool:
        """Count the failures of a prediction sent alone; True once it counts as refused."""
        row = chunk.rows[0].id
        self.attempts[row] = self.attempts.get(row, 0) + 1
        if self.attempts[row] < ATTEMPTS:
            time.sleep(IDLE_S * 2 ** self.attempts[row])
            return False
        self.alone += 1
        if self.alone >= MOST_ALONE:
            raise error
        self.ledger.settle(chunk, refused={row: f"{error.message} It was sent alone {ATTEMPTS} times."})
        self.report.refused += 1
        return True

    def _settle_doubts(self) -> bool:
        """Look at doubtful chunks that are due; returns whether one was settled."""
        settled = False
        for doubt in list(self.doubts):
            now = self.ledger.now()
            if now < doubt.next_look and now < doubt.until:
                continue
            if self._settled(doubt, last=now >= doubt.until):
                self.doubts.remove(doubt)
                self.on_step("settled")
                settled = True
            else:
                doubt.pause = min(doubt.pause * 2, 10.0)
                doubt.next_look = self.ledger.now() + doubt.pause
        return settled

    def _settled(self, doubt: _Doubt, *, last: bool) -> bool:
        chunk = doubt.chunk
        count = self.label_studio.model_versions(chunk.connection.project).get(chunk.version, 0)
        if not last and count == doubt.count:
            return False  # nothing came since the last look
        doubt.count = count
        found = look(self.label_studio, chunk, chunk.rows, doubt.before)
        if not last and (found.absent or found.unsure):
            return False
        self.report.deleted += delete_surplus(self.label_studio, chunk, found.surplus)
        again = found.absent + found.unsure
        verify_at = self._verify_at(chunk)
        self.ledger.settle(
            chunk, stored=found.stored, gone=found.gone, release=again, doubtful=True, verify_at=verify_at
        )
        log.info(
            "project %d: doubtful chunk settled: %d stored, %d to be sent again",
            chunk.connection.project,
            len(found.stored),
            len(again),
        )
        self.report.stored += len(found.stored)
        self.report.gone += len(found.gone)
        return True

    def _verify_late(self) -> bool:
        """Look once more at chunks that repeat doubtful ones: the first call may have been carried out after all."""
        late = self.ledger.to_verify(self.instance)
        for chunk in late:
            found = look(self.label_studio, chunk, [row for row in chunk.rows if row.verify], {})
            self.report.deleted += delete_surplus(self.label_studio, chunk, found.surplus)
            self.ledger.verified(chunk)
        return bool(late)

    def _verify_at(self, chunk: Chunk) -> float | None:
        return self.ledger.now() + self.settings.settle_s if any(row.verify for row in chunk.rows) else None

    # -- sizes

    def _watch_s(self, chunk: Chunk) -> float:
        return min(self.settings.settle_s, WATCH_BASE_S + WATCH_ROW_S * len(chunk.rows))

    def _limit(self, waiting: Waiting) -> int:
        limit = self.limits.get(self.group(waiting), self.settings.push_chunk)
        return max(1, min(limit, self.settings.push_chunk))

    def _halve(self, chunk: Chunk) -> None:
        self.limits[self._key(chunk)] = max(1, len(chunk.rows) // 2)

    @staticmethod
    def group(waiting: Waiting) -> tuple[int, str]:
        """What is sent together: a project and a version."""
        return (waiting.connection.id, waiting.version)

    @staticmethod
    def _key(chunk: Chunk) -> tuple[int, str]:
        return (chunk.connection.id, chunk.version)


def _body(chunk: Chunk) -> bytes:
    """The bulk import's JSON, made from the stored payloads without reading them."""
    return ("[" + ",".join(f'{{"task":{row.task},{row.payload[1:]}' for row in chunk.rows) + "]").encode()


def _lease(ledger: Ledger, name: str, stopping: Callable[[], bool]) -> AbstractContextManager[threading.Event | None]:
    """The lease as the event that it was lost; None when another lane holds it and renews it, so is alive."""
    first: list[float | None] = []

    def unsure() -> bool:
        until = ledger.lease_until(name)
        first.append(until)
        return not stopping() and until in {first[0], None}

    return leased(ledger, name, unsure, lease_s=LEASE_S, renew_s=RENEW_S, idle_s=IDLE_S)
