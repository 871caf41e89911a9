"""What the ledger hands out and takes in: connections, rows, chunks, jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prelabel.tasks import Task

State = Literal[
    "planned", "pending", "shadow", "sending", "stored", "answered", "silent", "refused", "quarantined", "gone",
    "cancelled",
]  # fmt: skip
"""The state of one ledger row; docs/exactly-once.md draws the ways between them."""

JobState = Literal["queued", "running", "done", "failed", "cancelled"]

ACTIVE_JOBS: tuple[JobState, ...] = ("queued", "running")
OPEN_STATES: tuple[State, ...] = ("planned", "pending", "sending")
DONE_STATES: tuple[State, ...] = (
    "shadow", "stored", "answered", "silent", "refused", "quarantined", "gone", "cancelled",
)  # fmt: skip


def config_hash(label_config: str) -> str:
    """Short name of a labeling config's text."""
    return hashlib.sha256(label_config.encode()).hexdigest()[:16]


def dump(value: object) -> str:
    """JSON of one fixed form, so that equal data has equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_hash(data: str, config: str) -> str:
    """Hash of a task's data (as `dump` writes it) and of the config (as `config_hash` names it)."""
    return hashlib.sha256(f"{config}\n{data}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Connection:
    """One project of one Label Studio and one model, as ``/setup`` or the settings told it.

    ``model`` is the model's name, which all its versions share; ``id`` is the ledger's own number. Not ``connected`` is
    a project of which only a command spoke: its tasks are predicted when somebody asks for it.
    """

    instance: str
    project: int
    label_config: str = ""
    token: str = field(default="", repr=False)
    extra_params: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0
    model: str = ""
    connected: bool = True


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One task of one version that waits to be predicted. ``suspicion``: see `prelabel.jobs.PARTS`."""

    id: int
    task: Task
    version: str
    connection: int
    content_hash: str
    job: str | None = None
    suspicion: int = 0


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """One prediction in a chunk. ``payload`` is JSON without the task, empty where the sender has it; ``verify``: look
    for copies after storing."""

    id: int
    task: int
    payload: str
    verify: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """Predictions of one version for one project that go to Label Studio in one call.

    ``sent_at`` is the registry's time just before the call.
    """

    id: int
    connection: Connection
    version: str
    sent_at: float
    rows: tuple[ChunkRow, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many predictions of one version wait for one project, and since when (registry time)."""

    connection: Connection
    version: str
    rows: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A task whose data or model failed, or whose prediction Label Studio refused."""

    instance: str
    project: int
    task: int
    version: str
    state: State
    error: str
    data: Mapping[str, Any] | None
    updated_at: float
    job: str | None


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job with its rows counted by state. ``listed`` says that no further tasks will be added to it."""

    id: str
    kind: str
    connection: int
    instance: str
    project: int
    model: str
    version: str
    state: JobState
    reason: str
    options: Mapping[str, Any]
    error: str
    listed: bool
    cancel_requested: bool
    created_at: float
    started_at: float | None
    finished_at: float | None
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """Tasks of the job."""
        return sum(self.counts.values())

    @property
    def predicted(self) -> int:
        """Tasks that the model is done with."""
        return self.total - self.counts.get("planned", 0)

    @property
    def stored(self) -> int:
        """Tasks whose prediction stands in Label Studio."""
        return self.counts.get("stored", 0) + self.counts.get("answered", 0)

    @property
    def shadow(self) -> int:
        """Tasks whose prediction waits until its version is shown."""
        return self.counts.get("shadow", 0)

    @property
    def failed(self) -> int:
        """Tasks that are quarantined or whose prediction Label Studio refused."""
        return self.counts.get("quarantined", 0) + self.counts.get("refused", 0)

    @property
    def finished(self) -> int:
        """Tasks for which nothing more will happen."""
        return self.total - sum(self.counts.get(state, 0) for state in OPEN_STATES)
