"""The registry's tables: models, their runs and what these hold; the ledger (predictions, chunks, jobs, inbox, leases).

Times are seconds since 1970 as the registry's own clock says (`Ledger.now`). JSON stands in text columns, so that both
SQLite and PostgreSQL return exactly what was written. The schema is made and changed by the migrations beside this
file; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

SCHEMA_HEAD = "0009"
"""Revision that this code needs; `Ledger.open` migrates a database that has another one."""

BigId = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

ontologies = Table(
    "ontologies",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("uid", String(25), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("body", Text, nullable=False),  # Labelbox's JSON
    Column("label_config", Text, nullable=False),  # Label Studio's XML
    Column("created_at", Float, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("ontology_id", BigId),  # null: nobody gave it one; no foreign key, which SQLite could never drop again
)

model_runs = Table(
    "model_runs",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("model_id", BigId, ForeignKey("models.id"), nullable=False),
    Column("name", String(255), nullable=False, unique=True),  # the model version, as Label Studio shows it
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float),
    Column("config", Text, nullable=False, server_default="{}"),
    Column("status", String(32)),  # Labelbox's: EXPORTING_DATA, PREPARING_DATA, TRAINING_MODEL, COMPLETE, FAILED
    Column("status_error", Text),
    Column("metadata", Text, nullable=False, server_default="{}"),
    Column("provenance", Text, nullable=False, server_default="{}"),
    Column("stage", String(16), nullable=False, server_default="candidate"),  # candidate, shadow, promoted
    Column("promoted_at", Float),
    Column("artifact", Text),  # JSON of `prelabel.artifacts.Artifact`; null: it was not trained here
    Column("collected_until", Float),  # ledger rows written before are in the run's items
)

connections = Table(
    "connections",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("instance", String(512), nullable=False),  # Label Studio's address
    Column("project", BigInteger, nullable=False),
    Column("model_id", BigId, ForeignKey("models.id"), nullable=False),  # several models may be connected to a project
    Column("label_config", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("extra_params", Text, nullable=False),
    Column("connected", Boolean, nullable=False),  # false: only predicted when somebody asks
    Column("annotated", Integer, nullable=False, server_default="0"),  # annotations since the last training
    Column("updated_at", Float, nullable=False),
    UniqueConstraint("instance", "project", "model_id", name="uq_connections_instance_project_model"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("connection_id", BigId, ForeignKey("connections.id"), nullable=False),
    Column("run_id", BigId, ForeignKey("model_runs.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("listed", Boolean, nullable=False, server_default=false()),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Index("ix_jobs_created_at", "created_at"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("connection_id", BigId, ForeignKey("connections.id"), nullable=False),
    Column("run_id", BigId, ForeignKey("model_runs.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("size", Integer, nullable=False),
    Column("sent_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("verify_at", Float),  # when to look once more for copies that arrived late; null: never
    Column("note", Text, nullable=False),
    Index("ix_chunks_state", "state"),
    Index("ix_chunks_verify_at", "verify_at"),
)

predictions = Table(
    "predictions",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("run_id", BigId, ForeignKey("model_runs.id"), nullable=False),
    Column("connection_id", BigId, ForeignKey("connections.id"), nullable=False),
    Column("task", BigInteger, nullable=False),
    Column("content_hash", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("job_id", String(64), ForeignKey("jobs.id")),
    Column("chunk_id", BigId, ForeignKey("chunks.id")),
    Column("data", Text),  # the task's data until it is predicted
    Column("payload", Text),  # the prediction as Label Studio takes it
    Column("score", Float),
    Column("error", Text),
    Column("verify", Boolean, nullable=False, server_default=false()),  # a copy of this version may stand there already
    Column("updated_at", Float, nullable=False),
    # how small a part it is to be tried in: raised while the model has it in hand, so what is raised may have killed it
    Column("suspicion", Integer, nullable=False, server_default="0"),
    UniqueConstraint("run_id", "connection_id", "task", name="uq_predictions_run_connection_task"),
    Index("ix_predictions_job_state", "job_id", "state"),
    Index("ix_predictions_connection_state", "connection_id", "state"),
    Index("ix_predictions_chunk", "chunk_id"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("job_id", String(64), ForeignKey("jobs.id"), nullable=False),
    Column("tasks", Text, nullable=False),  # JSON: [[task id, data], ...]
    Index("ix_inbox_job", "job_id"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("until", Float, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
)

data_rows = Table(
    "data_rows",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("uid", String(25), nullable=False, unique=True),
    Column("dataset_id", BigId, ForeignKey("datasets.id"), nullable=False),
    Column("global_key", String(200), unique=True),
    Column("row_data", Text, nullable=False),  # JSON: an address, a text, or a task's data
    Column("media_type", String(32), nullable=False),  # empty: not said
    Column("metadata", Text, nullable=False),
    Column("facts", Text, nullable=False),  # JSON: size, pages, text ... by object tag name, as `prelabel.tasks.Facts`
    Column("instance", String(512)),  # Label Studio's address, its project and task, where the row stands there
    Column("project", BigInteger),
    Column("task", BigInteger),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("instance", "project", "task", name="uq_data_rows_place"),
    Index("ix_data_rows_dataset", "dataset_id", "id"),
)

run_data_rows = Table(
    "run_data_rows",
    metadata,
    Column("run_id", BigId, ForeignKey("model_runs.id"), primary_key=True),
    Column("data_row_id", BigId, ForeignKey("data_rows.id"), primary_key=True),
    Column("split", String(16), nullable=False),
    Column("predicted", Boolean, nullable=False, server_default=false()),  # also where the model said nothing
    Column("labeled", Boolean, nullable=False, server_default=false()),  # also where there was nothing to label
    Column("collected_at", Float),  # the ledger row's time when its payload was copied
    Column("changed_at", Float),  # items changed since the matches were made; null: the matches are up to date
    Index(
        "ix_run_data_rows_changed",
        "run_id",
        "data_row_id",
        sqlite_where=text("changed_at IS NOT NULL"),
        postgresql_where=text("changed_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

imports = Table(
    "imports",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("run_id", BigId, ForeignKey("model_runs.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("kind", String(16), nullable=False),  # predictions, annotations
    Column("form", String(16), nullable=False),  # of the lines: labelbox, labelstudio
    Column("state", String(16), nullable=False),  # RUNNING, FINISHED, FAILED
    Column("position", BigInteger, nullable=False),  # lines that are done
    Column("read_bytes", BigInteger, nullable=False),  # where the next line begins
    Column("total", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("source", Text, nullable=False),  # for people
    Column("spool", Text),  # the lines: a file on the machine that began it; null once they are all in
    Column("error", Text),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    UniqueConstraint("run_id", "name", name="uq_imports_run_name"),
)

import_statuses = Table(
    "import_statuses",
    metadata,
    Column("import_id", BigId, ForeignKey("imports.id"), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),  # of the line, from 0
    Column("uuid", Text, nullable=False),
    Column("data_row", Text, nullable=False),  # JSON: {"id": ..., "globalKey": ...}
    Column("status", String(8), nullable=False),  # SUCCESS, FAILURE
    Column("errors", Text),  # JSON: [{"name", "message", "additional_info"}]; null: none
    Index(
        "ix_import_statuses_failed",
        "import_id",
        "position",
        sqlite_where=text("errors IS NOT NULL"),
        postgresql_where=text("errors IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

run_items = Table(
    "run_items",
    metadata,
    Column("run_id", BigId, ForeignKey("model_runs.id"), primary_key=True),
    Column("role", String(12), primary_key=True),  # prediction, annotation
    Column("data_row_id", BigId, ForeignKey("data_rows.id"), primary_key=True),
    Column("uuid", String(64), primary_key=True),
    Column("form", String(16), nullable=False),  # of the body: labelbox (a row), labelstudio (a list of regions)
    Column("kind", String(32), nullable=False),
    Column("feature", String(255), nullable=False),
    Column("confidence", Float),
    Column("body", Text, nullable=False),
    Column("import_id", BigId),  # null: collected from the ledger
    Column("updated_at", Float, nullable=False),
    Column("distribution", Text),  # JSON: `prelabel.distributions`; null: the model stated none
    Index("ix_run_items_confidence", "run_id", "role", "confidence"),
    sqlite_with_rowid=False,  # a run's items lie together, by data row
)

metric_rows = Table(
    "metric_rows",
    metadata,
    Column("run_id", BigId, ForeignKey("model_runs.id"), primary_key=True),
    Column("data_row_id", BigId, ForeignKey("data_rows.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),  # scalar, confusion_matrix
    Column("name", String(255), primary_key=True),
    Column("feature", String(255), primary_key=True),  # empty: of the data row
    Column("subclass", String(255), primary_key=True),
    Column("body", Text, nullable=False),
    Column("import_id", BigId),
    Column("updated_at", Float, nullable=False),
    sqlite_with_rowid=False,
)

match_blocks = Table(
    "match_blocks",
    metadata,
    Column("run_id", BigId, ForeignKey("model_runs.id"), primary_key=True),
    Column("block", BigInteger, primary_key=True, autoincrement=False),  # data row numbers divided by a block's size
    Column("matches", LargeBinary, nullable=False),  # `prelabel.runs.blocks`
    Column("updated_at", Float, nullable=False),
    sqlite_with_rowid=False,
)

slices = Table(
    "slices",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("model_id", BigId, ForeignKey("models.id", ondelete="CASCADE"), nullable=False),  # they go with the model
    Column("name", String(255), nullable=False),
    Column("condition", Text, nullable=False),  # `prelabel.analysis.conditions`
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    UniqueConstraint("model_id", "name", name="uq_slices_model_name"),
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("encoder", String(255), primary_key=True),  # name and fingerprint, like a model version
    Column("data_row_id", BigId, ForeignKey("data_rows.id", ondelete="CASCADE"), primary_key=True),
    Column("content", String(32), nullable=False),  # hash of what was embedded
    Column("vector", LargeBinary, nullable=False),  # float32, little-endian
    Column("updated_at", Float, nullable=False),
)

selections = Table(
    "selections",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("run_id", BigId, ForeignKey("model_runs.id", ondelete="CASCADE"), nullable=False),
    Column("project", BigInteger, nullable=False),
    Column("strategy", String(64), nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),  # picks
    Column("created_at", Float, nullable=False),
    Index("ix_selections_run", "run_id"),
)

picks = Table(
    "picks",
    metadata,
    Column("selection_id", BigId, ForeignKey("selections.id", ondelete="CASCADE"), primary_key=True),
    Column("data_row_id", BigId, ForeignKey("data_rows.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, nullable=False),  # in the order in which to label, from 0
    Column("arm", String(64), nullable=False),  # the strategy that chose it
    Column("priority", Float, nullable=False),
    sqlite_with_rowid=False,
)

model_state = Table(
    "model_state",
    metadata,
    Column("model", String(255), primary_key=True),  # a model's name; it may say something before it has a run
    Column("project", String(64), primary_key=True),  # Label Studio's id; empty: none
    Column("key", String(255), primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", Float, nullable=False),
)

model_events = Table(
    "model_events",
    metadata,
    Column("id", BigId, primary_key=True),  # in the order in which they came
    Column("model", String(255), nullable=False),
    Column("project", String(64), nullable=False),  # Label Studio's id; empty: none
    Column("event", String(64), nullable=False),  # its name: ANNOTATION_CREATED, START_TRAINING ...
    Column("body", Text, nullable=False),  # JSON, as it came
    Column("received_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),  # raised before the model has it in hand
    Column("failed_at", Float),  # null: it waits
    Column("error", Text),
    Index("ix_model_events_waiting", "model", "failed_at", "id"),
)
