"""Alembic's entry: runs the migrations on the connection, inside the transaction, that `ensure_schema` opened."""

from alembic import context

from gateway.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
