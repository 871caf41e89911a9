"""What ``/api/v1`` takes for models and runs: query parameters and bodies. Answers: `prelabel.server.runs_answers`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from prelabel.analysis import View
from prelabel.errors import RequestError
from prelabel.runs.held import SPLITS, Form, Role, Split, Status
from prelabel.server.operations import LARGEST, MOST_LISTED, Body, Json, Object, Place, Query, Text, Word

Ratio = Annotated[float, Field(ge=0, le=1)]
Limit = Annotated[int, Field(ge=1, le=MOST_LISTED, description="Most entries in the answer.")]
Key = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
Number = Annotated[int, Field(ge=1, le=LARGEST)]


def _splits(said: str) -> str:
    for split in said.split(",") if said else ():
        if split not in SPLITS:
            raise ValueError(f"{split!r} is no split; there are {', '.join(SPLITS)}")
    return said


Splits = Annotated[str, AfterValidator(_splits)]


def _media_type(said: str) -> str:
    from prelabel.runs.facts import media_type  # noqa: PLC0415 (loaded by those who write data rows)

    try:
        return media_type(said)
    except RequestError as error:
        raise ValueError(f"{error.message} {error.hint}") from error


def refuse_dataset(name: str) -> None:
    """Refuse what a dataset cannot be called.

    Raises:
        RequestError: it is too long or cannot be printed.
    """
    if not name.isprintable() or len(name) > 255:
        raise RequestError("a dataset's name has at most 255 printable signs.")


# -- query parameters


class Page(Query):
    """Pages by rising number."""

    after: Place = Field(0, description="The `after` of the page before.")
    limit: Limit = 100


class Names(Query):
    """Pages by name."""

    name: Text | None = Field(None, description="Only the one of this name.")
    after: str = Field("", description="The `after` of the page before.")
    limit: Limit = 100


class RunsPage(Query):
    """Which runs, newest first."""

    model: Text | None = Field(None, description="Only runs of this model.")
    name: Text | None = Field(None, description="Only the one of this name.")
    after: Place | None = Field(None, description="The `after` of the page before.")
    limit: Limit = 100


class RowsPage(Page):
    """Which data rows of a run."""

    split: Split | None = Field(None, description="Only data rows in this split.")


class StatusPage(Query):
    """Which statuses of an import."""

    failed: bool = Field(False, description="Only lines that were refused.")
    after: int = Field(-1, ge=-1, le=2**63 - 1, description="The `after` of the page before.")
    limit: Limit = 100


class ItemsPage(Query):
    """Which items of a run."""

    role: Role = Field("prediction", description="Predictions or annotations.")
    order: Literal["data_row", "confidence"] = Field("data_row", description="`confidence`: the least sure first.")
    feature: Word | None = Field(None, description="Only this class.")
    split: Split | None = Field(None, description="Only of data rows in this split.")
    after: str | None = Field(None, description="The `after` of the page before.")
    limit: Limit = 100


class ImportName(Query):
    """How an import is called."""

    name: Word | None = Field(None, description="Unique in the run; made up when it is not given.")
    form: Form = Field("labelbox", description="What the lines are: Labelbox's rows, or Label Studio's regions.")


class Thresholds(Query):
    """What counts as a match."""

    confidence: Ratio = Field(0.5, description="Predictions below it are ignored.")
    iou: Ratio = Field(0.5, description="A prediction matches an annotation of its class above this IoU.")
    split: Split | None = Field(None, description="Only data rows in this split.")


class WorstQuery(Thresholds):
    """Which data rows to look at first."""

    view: View = Field("low_f1", description="What the data rows are ranked by.")
    limit: Limit = 20


class MistakesQuery(Thresholds):
    """Which mistakes."""

    foreground: Ratio | None = Field(None, description="Overlap from which on something is no background; spans: 0.")


class CompareQuery(Thresholds):
    """With which run."""

    other: Word = Field(description="Name of the other run.")
    metric: Literal["f1", "precision", "recall"] = "f1"


class CheckQuery(Thresholds):
    """Which condition."""

    condition: str = Field(max_length=2000, description="For instance `f1 >= v2.f1 and recall[Cat] > 0.8`.")


class CorrectionsQuery(Query):
    """What is wanted of the corrections."""

    precision: Ratio = Field(0.95, description="For which a confidence threshold is looked for, class by class.")
    split: Split | None = Field(None, description="Only data rows in this split.")


class ExportQuery(Query):
    """Which file."""

    format: Literal["ndjson", "labelstudio", "coco", "parquet"] = Field("ndjson", description="The file's format.")
    role: Role = Field("prediction", description="Predictions or annotations; Label Studio's form has both.")
    split: Split | None = Field(None, description="Only data rows in this split.")
    splits: Splits = Field("", description="Or in any of these splits, with commas between them.")


class SliceQuery(Query):
    """Which data rows."""

    condition: str = Field(max_length=2000, description="A condition, or the name of a slice.")
    confidence: Ratio = Field(0.5, description="Predictions below it are ignored.")
    iou: Ratio = Field(0.5, description="A prediction matches an annotation of its class above this IoU.")
    order: str | None = Field(None, max_length=300, description="For instance `f1` or `fp[Cat] desc`.")
    limit: Place | None = Field(None, description="How many at most.")


class MatchesQuery(Query):
    """Of which data rows."""

    split: Split | None = Field(None, description="Only data rows in this split.")


class SliceName(Query):
    """Which saved slice."""

    name: Word


# -- bodies


class NewOntology(Body):
    """What may be said: from a labeling config, an ontology, or a project of Label Studio."""

    name: Text = ""
    label_config: str | None = Field(None, description="Label Studio's labeling config (XML).")
    ontology: Object | None = Field(None, description="Or Labelbox's ontology JSON.")
    project: Number | None = Field(None, description="Or the id of a Label Studio project.")


class NewModel(Body):
    """A model and what it may say: a labeling config, an ontology, or one that is here already."""

    name: Word
    label_config: str | None = Field(None, description="Label Studio's labeling config (XML).")
    ontology: Object | None = Field(None, description="Or Labelbox's ontology JSON.")
    ontology_id: Number | None = Field(None, description="Or the number of one made before; null: none.")


class NewRun(Body):
    """A run of a model."""

    model: Word
    name: Word = Field(description="The model version in Label Studio; no other run may have it.")
    config: Object | None = Field(None, description="Free, such as training parameters.")


class RunChange(Body):
    """What is to change; `config`, `metadata` and `provenance` are merged into what is there."""

    status: Status | None = None
    error_message: Text | None = Field(None, description="Beside a status.")
    config: Object | None = None
    reset_config: bool = Field(False, description="Empty the config first.")
    metadata: Object | None = None
    provenance: Object | None = None


class DataRowLine(Body):
    """A line of a data rows upload; a global key that is known overwrites its data row."""

    row_data: Json = Field(description="An address, the text itself, or an object.")
    id: Annotated[Text, StringConstraints(min_length=1, max_length=25)] | None = Field(
        None, description="One that it has elsewhere, such as Labelbox's."
    )
    global_key: Key | None = None
    media_type: Annotated[str, AfterValidator(_media_type)] | None = None
    metadata: Object | None = None
    facts: Object | None = Field(None, description="What is known of it: width, height, text, pages ...")


class ChosenRows(Body):
    """Data rows by global key or by id, or all of a dataset."""

    global_keys: list[Key] = Field(default_factory=list)
    data_row_ids: list[Key] = Field(default_factory=list)
    dataset: Word | None = None
    split: Split | None = Field(None, description="The split that they get.")


class NamedRows(Body):
    """Data rows by global key or by id."""

    global_keys: list[Key] = Field(default_factory=list)
    data_row_ids: list[Key] = Field(default_factory=list)


class KeyedRows(Body):
    """Data rows by global key."""

    global_keys: list[Key] = Field(max_length=MOST_LISTED)


class SplitRows(Body):
    """Data rows of the run and their split."""

    split: Split
    global_keys: list[Key] = Field(default_factory=list)
    data_row_ids: list[Key] = Field(default_factory=list)


class ImportLine(Body):
    """A line of predictions or labels: Labelbox's NDJSON. Each line that is refused has its own status."""

    model_config = ConfigDict(extra="allow")

    uuid: str | None = None
    dataRow: Object = Field(description="`id` or `globalKey` of the data row.")  # noqa: N815 - Labelbox's word
    name: str | None = Field(None, description="The feature; or `schemaId`.")
    confidence: Ratio | None = None


class RegionProblem(Body):
    """Why a data row's output could not be said in regions."""

    name: Text
    message: Text
    additional_info: Text | None = None


class RegionLine(Body):
    """A line of Label Studio's regions: what was said of one data row, or why that could not be."""

    dataRow: Object = Field(description="`id` or `globalKey` of the data row.")  # noqa: N815 - Labelbox's word
    uuid: Text | None = None
    result: list[Object] | None = Field(None, description="Regions, as in a prediction.")
    distributions: Object | None = Field(None, description="Probabilities of all answers, by question.")
    error: RegionProblem | None = None


class SavedCondition(Body):
    """A slice to be saved for all runs of a model."""

    name: Word
    condition: Text = Field(max_length=2000)


class Comparison(Body):
    """With which run, and in which slices beside the whole."""

    other: Word = Field(description="Name of the other run.")
    metric: Literal["f1", "precision", "recall"] = "f1"
    confidence: Ratio = 0.5
    iou: Ratio = 0.5
    split: Split | None = None
    slices: dict[Text, Text | list[Key]] = Field(
        default_factory=dict, description="By name: ids of data rows, or a condition on this run's data rows."
    )
