"""Training: what a run was trained into, and how many annotations a project has had since."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the columns."""
    op.add_column("model_runs", sa.Column("artifact", sa.Text))
    op.add_column("connections", sa.Column("annotated", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Take them away."""
    with op.batch_alter_table("connections") as table:
        table.drop_column("annotated")
    with op.batch_alter_table("model_runs") as table:
        table.drop_column("artifact")
