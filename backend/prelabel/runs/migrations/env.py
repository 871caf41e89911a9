"""Alembic's entry: migrates over the connection that `prelabel.runs.database` hands in."""

from __future__ import annotations

from alembic import context

from prelabel.runs.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
