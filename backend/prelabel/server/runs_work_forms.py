"""What ``/api/v1`` takes for long work and for promotions, and what it answers of work."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from prelabel.runs.held import Split
from prelabel.server.operations import Answer, Body, Object, Place, Query, Text, Word
from prelabel.server.runs_forms import Key, Limit, Number, Ratio

Encoder = Annotated[str, Field(pattern=r"^[\w-]+$", max_length=100, description="Name of a wrapper that embeds.")]
"""Files and paths are not taken over HTTP: they would be run."""


class ArmsQuery(Query):
    """Of which rounds."""

    selection: Place | None = Field(None, description="One round's number; all when it is not given.")
    confidence: Ratio = 0.0
    iou: Ratio = 0.5


class WorkPage(Query):
    """How many."""

    limit: Limit = 100


class Promoting(Body):
    """When a run is to be promoted; without a condition, always."""

    condition: Text | None = Field(None, max_length=2000, description="For instance `f1 >= v2.f1`.")
    confidence: Ratio = 0.5
    iou: Ratio = 0.5
    split: Split | None = None


class OfProject(Body):
    """A Label Studio project."""

    project: Number


class LabelsOfProject(OfProject):
    """Whose labels an import brings."""

    name: Word | None = Field(None, description="The import's; made up when it is not given.")


class Sending(OfProject):
    """What of a run becomes predictions of a project, and in which order."""

    confidence: Ratio = 0.0
    splits: list[Split] = Field(default_factory=list)
    limit: Number | None = Field(None, description="Only the first so many predicted data rows.")
    priority: dict[Key, float] | None = Field(None, description="By global key or id: 1 is first, 5 last.")
    order: Word | None = Field(None, description="Or the strategy that ranks them.")
    only_missing: bool = Field(True, description="False: new predictions take the place of this run's.")
    task_field: Text | None = None
    wait_s: float = Field(60.0, ge=0, le=3600, description="How long to wait for another one to end.")


class Selection(OfProject):
    """Which tasks to label first."""

    strategy: Word = "least_confident"
    count: Number = 20
    seed: int = Field(0, ge=0, le=2**32 - 1)
    splits: list[Split] = Field(default_factory=list)
    others: list[Word] = Field(default_factory=list, description="Other runs, for those strategies that ask for some.")
    encoder: Encoder | None = None
    question: Text | None = None
    shares: dict[Word, float] | None = Field(None, description="Of a mix: parts by strategy.")
    show: bool = Field(False, description="Make this run the version that the project shows.")


class Embedding(Body):
    """What embeds a run's data rows."""

    encoder: Encoder
    project: Number | None = Field(None, description="A Label Studio project, whose tasks are read first.")


class Enrichment(OfProject):
    """What is found out about a run's tasks in a project, and written there."""

    encoder: Encoder | None = None
    neighbors: int = Field(10, ge=0, le=1000)
    clusters: Number | None = None
    mislabeling: Literal["embeddings", "run", "no"] | None = None
    question: Text | None = None
    splits: list[Split] = Field(default_factory=list)
    seed: int = Field(0, ge=0, le=2**32 - 1)


class SelectionFields(OfProject):
    """What is written beside this run's predictions."""

    fields: dict[int, Object] = Field(description="By task: `score`, `cluster`, `neighbors`, `mislabeling`.")


# -- answers


class WorkError(Answer):
    """Why a work failed."""

    error: str
    hint: str = ""
    kind: str = ""


class WorkAnswer(Answer):
    """Long work: `done` of `total` (null: not known) things are done; `result` is there when it is `FINISHED`."""

    id: str
    kind: str
    run: str | None
    state: Literal["RUNNING", "FINISHED", "FAILED"]
    done: int
    total: int | None
    result: dict[str, Any] | None
    error: WorkError | None
    created_at: float


class WorksAnswer(Answer):
    """Works since the server's start, the newest first."""

    work: list[WorkAnswer]


class RoundAnswer(Answer):
    """A round of choosing."""

    id: int
    run_id: int
    project: int
    strategy: str
    seed: int
    size: int
    created_at: float


class RoundsAnswer(Answer):
    """All rounds of a run, the oldest first."""

    selections: list[RoundAnswer]


class ArmAnswer(Answer):
    """What became of the picks of one strategy."""

    name: str
    labeled: int
    wrong: int
    rate: float | None
    low: float | None
    high: float | None


class ArmsAnswer(Answer):
    """Whether the strategies found more mistakes than picks by lot; `helps` is null as long as that is not known."""

    strategy: ArmAnswer
    control: ArmAnswer
    arms: list[ArmAnswer]
    difference: float | None
    low: float | None
    high: float | None
    helps: bool | None
