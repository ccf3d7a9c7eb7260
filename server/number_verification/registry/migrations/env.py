"""What Alembic runs (`registry/migration.py` calls it): on the connection, and in the transaction, it was given."""

from alembic import context

from number_verification.registry.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
