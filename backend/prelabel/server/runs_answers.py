"""What ``/api/v1`` answers for models and runs, made of what the registry hands out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from prelabel.analysis import View
from prelabel.runs.held import DataRow, Form, ImportKind, ImportRow, ImportState, Role, Split, Stage, Status
from prelabel.server.operations import Answer


class ModelAnswer(Answer):
    """A model; `ontology` is its number, null where nobody gave it one."""

    id: int
    name: str
    created_at: float
    ontology: int | None


class ModelsAnswer(Answer):
    """A page of models."""

    models: list[ModelAnswer]
    after: str | None


class OntologyAnswer(Answer):
    """An ontology: `body` is Labelbox's JSON, `label_config` Label Studio's XML where that is its source."""

    id: int
    uid: str
    name: str
    body: dict[str, Any]
    label_config: str


class ModelInFull(Answer):
    """A model with its ontology."""

    id: int
    name: str
    created_at: float
    ontology: OntologyAnswer | None


class RunAnswer(Answer):
    """A model run. Times are seconds since 1970."""

    id: int
    name: str
    model_id: int
    model: str
    stage: Stage
    status: Status | None
    status_error: str | None
    config: dict[str, Any]
    metadata: dict[str, Any]
    provenance: dict[str, Any]
    created_at: float
    updated_at: float
    promoted_at: float | None


class PromotionAnswer(Answer):
    """What became of a wish to promote; `jobs` bring the run's predictions to connected projects."""

    promoted: bool
    reasons: list[str]
    jobs: list[str]


class ShadowAnswer(Answer):
    """False: the run is promoted, and stays so."""

    shadow: bool


class RolledBack(Answer):
    """The run that is promoted now."""

    run: RunAnswer
    jobs: list[str]


class RunsAnswer(Answer):
    """A page of runs."""

    runs: list[RunAnswer]
    after: int | None


class WrittenAnswer(Answer):
    """How many data rows were written, and how many the dataset has now."""

    dataset: str
    written: int
    data_rows: int


class PlaceAnswer(Answer):
    """Where a data row stands in Label Studio."""

    instance: str
    project: int
    task: int


class DataRowAnswer(Answer):
    """A data row; `split` is its split in the run that was asked for, `number` its place in the registry."""

    id: str
    number: int
    global_key: str | None
    row_data: Any
    media_type: str
    metadata: dict[str, Any]
    facts: dict[str, Any]
    place: PlaceAnswer | None
    split: Split | None = None


class DataRowsAnswer(Answer):
    """A page of data rows; `total` is how many a dataset has."""

    data_rows: list[DataRowAnswer]
    after: int | None
    total: int | None = None


class CountAnswer(Answer):
    """How many data rows took part."""

    data_rows: int


class ImportAnswer(Answer):
    """An import: `position` of `total` lines are done, `failed` of them were refused."""

    id: int
    run: str
    run_id: int
    name: str
    source: str
    kind: ImportKind
    form: Form
    state: ImportState
    progress: str
    position: int
    total: int
    failed: int
    error: str | None
    created_at: float


class ImportsAnswer(Answer):
    """A run's imports, the oldest first."""

    imports: list[ImportAnswer]
    after: int | None


class RowErrorAnswer(Answer):
    """Why a line was refused."""

    name: str
    message: str
    additional_info: str | None


class RowStatusAnswer(Answer):
    """What became of a line; `position` counts from 0."""

    position: int
    uuid: str
    data_row: dict[str, str]
    status: Literal["SUCCESS", "FAILURE"]
    errors: list[RowErrorAnswer]


class StatusesAnswer(Answer):
    """A page of statuses."""

    statuses: list[RowStatusAnswer]
    after: int | None


class ItemAnswer(Answer):
    """A prediction or annotation; `body` is a Labelbox row, or the list of Label Studio's regions of one id."""

    data_row: str
    global_key: str | None
    role: Role
    uuid: str
    form: Form
    kind: str
    feature: str
    confidence: float | None
    body: Any


class ItemsAnswer(Answer):
    """A page of items."""

    items: list[ItemAnswer]
    after: str | None


class WorstRow(Answer):
    """A data row and the number that it was ranked by."""

    id: str
    global_key: str | None
    place: PlaceAnswer | None
    value: float
    data_row: DataRowAnswer


class WorstAnswer(Answer):
    """Data rows, the worst first."""

    view: View
    data_rows: list[WorstRow]


class CheckAnswer(Answer):
    """Whether the condition holds, and for each comparison what stood on both sides."""

    holds: bool
    reasons: list[str]


class FateAnswer(Answer):
    """What people did to a class's predictions."""

    accepted: int
    edited: int
    relabeled: int
    deleted: int
    added: int
    kept: float | None = Field(description="The share whose class people kept.")
    moved: float | None = Field(description="Mean of 1 - IoU over what was edited.")
    trust_from: float | None = Field(description="The lowest confidence from which on that share was kept.")


class SliceAnswer(Answer):
    """A saved slice."""

    model: str
    name: str
    condition: str
    created_at: float
    updated_at: float


class SlicesAnswer(Answer):
    """A model's saved slices by name, and the conditions of those that every model has."""

    slices: list[SliceAnswer]
    ready: dict[str, str]


class CorrectionsAnswer(Answer):
    """Corrections by class."""

    precision: float
    classes: dict[str, FateAnswer]


def data_row_answer(row: DataRow, split: Split | None = None) -> DataRowAnswer:
    """A data row; its ``id`` is what the registry calls uid."""
    return DataRowAnswer(
        id=row.uid,
        number=row.id,
        global_key=row.global_key,
        row_data=row.row_data,
        media_type=row.media_type,
        metadata=dict(row.metadata),
        facts=dict(row.facts),
        place=PlaceAnswer.model_validate(row.place) if row.place is not None else None,
        split=split,
    )


def import_answer(row: ImportRow, run: str) -> ImportAnswer:
    """An import of the run called ``run``."""
    progress = f"{100 * row.position // row.total}%" if row.total else "100%"
    names = (
        "id",
        "run_id",
        "name",
        "source",
        "kind",
        "form",
        "state",
        "position",
        "total",
        "failed",
        "error",
        "created_at",
    )
    return ImportAnswer(run=run, progress=progress, **{name: getattr(row, name) for name in names})


def next_after(numbers: Iterable[int], limit: int) -> int | None:
    """What the next page is asked with: the last of a page's numbers; None when the page is not full."""
    known = list(numbers)
    return known[-1] if len(known) == limit else None
