"""What to label next: distributions of items, embeddings of data rows, and what was chosen by whom."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables and the column."""
    op.add_column("run_items", sa.Column("distribution", sa.Text))
    op.create_table(
        "embeddings",
        sa.Column("encoder", sa.String(255), primary_key=True),
        sa.Column("data_row_id", BigId, sa.ForeignKey("data_rows.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("content", sa.String(32), nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
    )
    op.create_table(
        "selections",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("run_id", BigId, sa.ForeignKey("model_runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("project", sa.BigInteger, nullable=False),
        sa.Column("strategy", sa.String(64), nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_index("ix_selections_run", "selections", ["run_id"])
    op.create_table(
        "picks",
        sa.Column("selection_id", BigId, sa.ForeignKey("selections.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("data_row_id", BigId, sa.ForeignKey("data_rows.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("arm", sa.String(64), nullable=False),
        sa.Column("priority", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("picks")
    op.drop_table("selections")
    op.drop_table("embeddings")
    op.drop_column("run_items", "distribution")
