"""Models, model runs, connections, the predictions' ledger, chunks, jobs and leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "models",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "model_runs",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("model_id", BigId, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "connections",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("instance", sa.String(512), nullable=False),
        sa.Column("project", sa.BigInteger, nullable=False),
        sa.Column("model_id", BigId, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("label_config", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("extra_params", sa.Text, nullable=False),
        sa.Column("connected", sa.Boolean, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.UniqueConstraint("instance", "project", "model_id", name="uq_connections_instance_project_model"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("connection_id", BigId, sa.ForeignKey("connections.id"), nullable=False),
        sa.Column("run_id", BigId, sa.ForeignKey("model_runs.id"), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("listed", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("finished_at", sa.Float),
    )
    op.create_index("ix_jobs_created_at", "jobs", ["created_at"])
    op.create_table(
        "chunks",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("connection_id", BigId, sa.ForeignKey("connections.id"), nullable=False),
        sa.Column("run_id", BigId, sa.ForeignKey("model_runs.id"), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("sent_at", sa.Float, nullable=False),
        sa.Column("finished_at", sa.Float),
        sa.Column("verify_at", sa.Float),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("ix_chunks_state", "chunks", ["state"])
    op.create_index("ix_chunks_verify_at", "chunks", ["verify_at"])
    op.create_table(
        "predictions",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("run_id", BigId, sa.ForeignKey("model_runs.id"), nullable=False),
        sa.Column("connection_id", BigId, sa.ForeignKey("connections.id"), nullable=False),
        sa.Column("task", sa.BigInteger, nullable=False),
        sa.Column("content_hash", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("job_id", sa.String(64), sa.ForeignKey("jobs.id")),
        sa.Column("chunk_id", BigId, sa.ForeignKey("chunks.id")),
        sa.Column("data", sa.Text),
        sa.Column("payload", sa.Text),
        sa.Column("score", sa.Float),
        sa.Column("error", sa.Text),
        sa.Column("verify", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.UniqueConstraint("run_id", "connection_id", "task", name="uq_predictions_run_connection_task"),
    )
    op.create_index("ix_predictions_job_state", "predictions", ["job_id", "state"])
    op.create_index("ix_predictions_connection_state", "predictions", ["connection_id", "state"])
    op.create_index("ix_predictions_chunk", "predictions", ["chunk_id"])
    op.create_table(
        "leases",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )


def downgrade() -> None:
    """Drop every table."""
    for name in ("leases", "predictions", "chunks", "jobs", "connections", "model_runs", "models"):
        op.drop_table(name)
