"""Alembic's entry: works on the connection that `migrate` holds, which has the lock."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="schema_versions",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
