"""Alembic's environment: runs on the connection that the store hands over, in its transaction."""

from alembic import context

from clients.store.schema.tables import Row

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Row.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
