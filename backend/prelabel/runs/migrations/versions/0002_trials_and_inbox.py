"""What may have killed the model, and tasks that were received and are not yet planned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add a column to the ledger, and the inbox."""
    op.add_column("predictions", sa.Column("suspicion", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "inbox",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("job_id", sa.String(64), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("tasks", sa.Text, nullable=False),
    )
    op.create_index("ix_inbox_job", "inbox", ["job_id"])


def downgrade() -> None:
    """Take both away."""
    op.drop_table("inbox")
    with op.batch_alter_table("predictions") as table:
        table.drop_column("suspicion")
