"""What the registry hands out of a model run: ontologies, models, runs, data rows, items, imports, statuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Split = Literal["training", "validation", "test", "unassigned"]
SPLITS: tuple[Split, ...] = ("training", "validation", "test", "unassigned")
Role = Literal["prediction", "annotation"]
Form = Literal["labelbox", "labelstudio"]
"""Of an item's body: a Labelbox row, or a list of Label Studio's regions with one id."""
Stage = Literal["candidate", "shadow", "promoted"]
Status = Literal["EXPORTING_DATA", "PREPARING_DATA", "TRAINING_MODEL", "COMPLETE", "FAILED"]
STATUSES: tuple[Status, ...] = ("EXPORTING_DATA", "PREPARING_DATA", "TRAINING_MODEL", "COMPLETE", "FAILED")
ImportState = Literal["RUNNING", "FINISHED", "FAILED"]
ImportKind = Literal["predictions", "annotations"]


@dataclass(frozen=True, slots=True)
class OntologyRow:
    """An ontology: ``body`` is Labelbox's JSON, ``label_config`` Label Studio's XML."""

    id: int
    uid: str
    name: str
    body: Mapping[str, Any] = field(hash=False, repr=False)
    label_config: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model. ``ontology`` is the registry's number, None where nobody gave it one."""

    id: int
    name: str
    created_at: float
    ontology: int | None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A model run, which is a model version. Times are seconds since 1970."""

    id: int
    name: str
    model_id: int
    model: str
    created_at: float
    updated_at: float
    config: Mapping[str, Any] = field(hash=False)
    status: Status | None
    status_error: str | None
    metadata: Mapping[str, Any] = field(hash=False)
    provenance: Mapping[str, Any] = field(hash=False)
    stage: Stage
    promoted_at: float | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a data row stands in Label Studio."""

    instance: str
    project: int
    task: int


def project_name(project: int, instance: str) -> str:
    """What a project is called as the dataset of its tasks, and as the source of its labels."""
    return f"project {project} of {instance}"


@dataclass(frozen=True, slots=True)
class DataRow:
    """One thing to be labeled.

    ``row_data`` is an address, the text itself, a tiled asset's object or a Label Studio task's data; ``facts`` what is
    known of it (``width``, ``height``, ``text``, ``pages`` ..., as `prelabel.labelbox.assets.AssetFacts` names them);
    ``media_type`` one of `prelabel.labelbox.rows.Asset`, or empty where nobody said.
    """

    id: int
    uid: str
    global_key: str | None
    row_data: Any = field(hash=False)
    media_type: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class RunDataRow:
    """A data row of a run and its split."""

    data_row: DataRow
    split: Split


@dataclass(frozen=True, slots=True)
class Item:
    """One prediction or annotation of a run.

    ``body`` is a Labelbox row (``form`` ``"labelbox"``) or the list of regions that share one id (``"labelstudio"``);
    ``confidence`` is None where none was given, ``distribution`` (`prelabel.distributions`) where none was stated.
    """

    data_row: str
    global_key: str | None
    role: Role
    uuid: str
    form: Form
    kind: str
    feature: str
    confidence: float | None
    body: Any = field(hash=False, repr=False)
    distribution: Mapping[str, Any] | None = field(default=None, hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of items; ``after`` is what to ask the next page with, None when this is the last."""

    items: list[Item]
    after: str | None


@dataclass(frozen=True, slots=True)
class ImportRow:
    """An import: ``position`` of ``total`` lines are done, ``failed`` of them were refused."""

    id: int
    run_id: int
    name: str
    kind: ImportKind
    form: Form
    state: ImportState
    position: int
    read_bytes: int
    total: int
    failed: int
    source: str
    spool: str | None
    error: str | None
    created_at: float

    @property
    def is_here(self) -> bool:
        """Whether its lines are on this machine."""
        return self.spool is not None and Path(self.spool).is_file()


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a line was refused."""

    name: str
    message: str
    additional_info: str | None = None


@dataclass(frozen=True, slots=True)
class RowStatus:
    """What became of one line of an import.

    ``position`` counts from 0; ``data_row`` is how the line named it. ``errors`` of a line that was accepted say what
    could not be checked.
    """

    position: int
    uuid: str
    data_row: Mapping[str, str] = field(hash=False)
    status: Literal["SUCCESS", "FAILURE"] = "SUCCESS"
    errors: tuple[RowError, ...] = ()
