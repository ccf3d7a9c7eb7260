"""Brings the database of the registry to the schema of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from number_verification.domain.faults import StoreUnavailable
from number_verification.registry import database
from number_verification.registry.patience import PatientConnection

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_210_431_005
"""Any number, the same for all nodes (PostgreSQL's advisory locks)."""
_SECONDS = 600
"""How long all of it may take with PostgreSQL, waiting for another node included."""


def migrate(engine: Engine) -> None:
    """Bring the schema to this version. Safe to be called by several nodes at once.

    All of it is one transaction: an interrupted migration leaves what was before.

    Raises:
        StoreUnavailable: the database cannot be used, or its schema is newer than this version.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with database.writing(engine) as connection:
        _lock_out_other_nodes(connection)
        current = MigrationContext.configure(connection).get_current_revision()
        scripts = ScriptDirectory.from_config(config)
        if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
            raise StoreUnavailable(
                f"registry: the schema is at revision {current}, which this version does not know (it needs "
                f"{scripts.get_current_head()}); a newer version has migrated it"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _lock_out_other_nodes(connection: Connection) -> None:
    """Be the only one to migrate until the transaction ends. With SQLite, whoever writes is."""
    driver = connection.connection.driver_connection
    if isinstance(driver, PatientConnection):
        # It is not given to anybody else afterwards.
        connection.detach()
        driver.patience = _SECONDS
        for name in ("lock_timeout", "statement_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {name} = '{_SECONDS}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
