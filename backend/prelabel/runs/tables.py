"""The registry's tables: models, model runs, connections, predictions (the ledger), chunks, jobs, inbox, leases.

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
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

SCHEMA_HEAD = "0002"
"""Revision that this code needs; `Ledger.open` migrates a database that has another one."""

BigId = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

models = Table(
    "models",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
)

model_runs = Table(
    "model_runs",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("model_id", BigId, ForeignKey("models.id"), nullable=False),
    Column("name", String(255), nullable=False, unique=True),  # the model version, as Label Studio shows it
    Column("created_at", Float, nullable=False),
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
