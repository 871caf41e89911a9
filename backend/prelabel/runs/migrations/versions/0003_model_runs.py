"""What a model run holds: ontologies, data rows, items, imports, metric rows, matches; a run's own fields."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(name: str, table: str) -> sa.Column[int]:
    return sa.Column(name, BigId, sa.ForeignKey(f"{table}.id"), primary_key=True)


def upgrade() -> None:
    """Make the tables, and add to models and model runs."""
    op.create_table(
        "ontologies",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("uid", sa.String(25), nullable=False, unique=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("label_config", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.add_column("models", sa.Column("ontology_id", BigId))
    for column in (
        sa.Column("updated_at", sa.Float),
        sa.Column("config", sa.Text, nullable=False, server_default="{}"),
        sa.Column("status", sa.String(32)),
        sa.Column("status_error", sa.Text),
        sa.Column("metadata", sa.Text, nullable=False, server_default="{}"),
        sa.Column("provenance", sa.Text, nullable=False, server_default="{}"),
        sa.Column("stage", sa.String(16), nullable=False, server_default="candidate"),
        sa.Column("promoted_at", sa.Float),
        sa.Column("collected_until", sa.Float),
    ):
        op.add_column("model_runs", column)
    op.create_table(
        "datasets",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "data_rows",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("uid", sa.String(25), nullable=False, unique=True),
        sa.Column("dataset_id", BigId, sa.ForeignKey("datasets.id"), nullable=False),
        sa.Column("global_key", sa.String(200), unique=True),
        sa.Column("row_data", sa.Text, nullable=False),
        sa.Column("media_type", sa.String(32), nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("instance", sa.String(512)),
        sa.Column("project", sa.BigInteger),
        sa.Column("task", sa.BigInteger),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.UniqueConstraint("instance", "project", "task", name="uq_data_rows_place"),
    )
    op.create_index("ix_data_rows_dataset", "data_rows", ["dataset_id", "id"])
    op.create_table(
        "run_data_rows",
        _key("run_id", "model_runs"),
        _key("data_row_id", "data_rows"),
        sa.Column("split", sa.String(16), nullable=False),
        sa.Column("predicted", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("labeled", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("collected_at", sa.Float),
        sa.Column("changed_at", sa.Float),
        sqlite_with_rowid=False,
    )
    _partial_index("ix_run_data_rows_changed", "run_data_rows", ["run_id", "data_row_id"], "changed_at IS NOT NULL")
    op.create_table(
        "imports",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("run_id", BigId, sa.ForeignKey("model_runs.id"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("form", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("read_bytes", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("spool", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.UniqueConstraint("run_id", "name", name="uq_imports_run_name"),
    )
    op.create_table(
        "import_statuses",
        _key("import_id", "imports"),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("data_row", sa.Text, nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("errors", sa.Text),
        sqlite_with_rowid=False,
    )
    _partial_index("ix_import_statuses_failed", "import_statuses", ["import_id", "position"], "errors IS NOT NULL")
    op.create_table(
        "run_items",
        _key("run_id", "model_runs"),
        sa.Column("role", sa.String(12), primary_key=True),
        _key("data_row_id", "data_rows"),
        sa.Column("uuid", sa.String(64), primary_key=True),
        sa.Column("form", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("feature", sa.String(255), nullable=False),
        sa.Column("confidence", sa.Float),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("import_id", BigId),
        sa.Column("updated_at", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_items_confidence", "run_items", ["run_id", "role", "confidence"])
    op.create_table(
        "metric_rows",
        _key("run_id", "model_runs"),
        _key("data_row_id", "data_rows"),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("feature", sa.String(255), primary_key=True),
        sa.Column("subclass", sa.String(255), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("import_id", BigId),
        sa.Column("updated_at", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "match_blocks",
        _key("run_id", "model_runs"),
        sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("matches", sa.LargeBinary, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def downgrade() -> None:
    """Take it all away."""
    for name in (
        "match_blocks",
        "metric_rows",
        "run_items",
        "import_statuses",
        "imports",
        "run_data_rows",
        "data_rows",
        "datasets",
    ):
        op.drop_table(name)
    for column in (
        "collected_until",
        "promoted_at",
        "stage",
        "provenance",
        "metadata",
        "status_error",
        "status",
        "config",
        "updated_at",
    ):
        op.drop_column("model_runs", column)
    op.drop_column("models", "ontology_id")
    op.drop_table("ontologies")
