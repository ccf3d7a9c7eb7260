"""The database behind the registry: opened, guarded and brought to the schema of this version.

SQLite for one node, PostgreSQL for more. Whatever a driver raises is turned into a fault of ours here, and never goes
further up: drivers quote statements and what stands in them.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from number_verification.domain.faults import StoreFull, StoreUnavailable
from number_verification.registry.schema import metadata

MIGRATIONS = Path(__file__).parent / "migrations"

BUSY_SECONDS = 5
"""How long a transaction waits for another one of SQLite."""

CONNECT_SECONDS = 3
STATEMENT_MILLISECONDS = 5_000
"""How long PostgreSQL may work on one statement, or one may wait for a lock of it."""

_WRITES = "writes"
_MIGRATION_LOCK = 7_210_431_005
"""Any number, the same for all nodes (PostgreSQL's advisory locks)."""

_UNIQUE_VIOLATION = "23505"
_UNIQUE_CONSTRAINTS = frozenset({"SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"})

_DISK_FULL = frozenset({"53100", "53200"})
"""PostgreSQL: disk_full, out_of_memory."""


def open_database(url: str, password: str = "") -> Engine:
    """Open a database. Nothing is connected to yet.

    Args:
        url: `sqlite:///PATH`, or `postgresql+psycopg://…`.
        password: for PostgreSQL, where the URL holds none.

    Raises:
        StoreUnavailable: the URL is of no database that is supported. The message does not quote it.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreUnavailable("the registry's URL cannot be read") from None
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return _sqlite(parsed)
    if parsed.drivername == "postgresql+psycopg":
        return _postgresql(parsed.set(password=password) if password else parsed)
    raise StoreUnavailable("the registry's URL must begin with sqlite:/// or postgresql+psycopg://")


def _sqlite(url: URL) -> Engine:
    path = Path(url.database or "")
    engine = sqlalchemy.create_engine(
        url,
        hide_parameters=True,
        # Statements that were made text take their parameters by name, as PostgreSQL's do.
        paramstyle="named",
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        path.chmod(0o600)
        # The driver would begin transactions by itself, and not around DDL. SQLAlchemy's `begin` event does it below.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        # A transaction that begins as a reader cannot become a writer once another one has written.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    options = f"-c statement_timeout={STATEMENT_MILLISECONDS} -c lock_timeout={STATEMENT_MILLISECONDS}"
    return sqlalchemy.create_engine(
        url,
        hide_parameters=True,
        # A connection that was cut is found when it is taken, and not by the transaction that needs it.
        pool_pre_ping=True,
        pool_timeout=CONNECT_SECONDS,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "options": options,
            # A server that is gone without a word is given up after some seconds (tcp(7)).
            "tcp_user_timeout": STATEMENT_MILLISECONDS + 1_000,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
        },
    )


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A view of the database that does not change while it is open.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    with faults_told(), engine.connect() as connection:
        # SQLite reads by snapshots anyway.
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction: all of it is kept when it ends, or nothing if it ends with an exception.

    Raises:
        StoreUnavailable: it cannot be written, and nothing was.
    """
    with faults_told(), engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        yield connection


def insert_into(engine: Engine, table: Table) -> "sqlite_dialect.Insert | postgresql_dialect.Insert":
    """An INSERT that can say what is to be done where there is such a row already."""
    if engine.dialect.name == "sqlite":
        return sqlite_dialect.insert(table)
    return postgresql_dialect.insert(table)


@contextmanager
def faults_told() -> Iterator[None]:
    """Turn what the driver raises into a fault of ours.

    Raises:
        StoreUnavailable: StoreFull where there is no room.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise fault(error) from None
    except sqlite3.Error as error:
        raise _sqlite_fault(error) from None


def fault(error: SQLAlchemyError) -> StoreUnavailable:
    """What is told of an error: what the database calls it, and nothing of what was asked."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        return _sqlite_fault(cause)
    state = getattr(cause, "sqlstate", None)
    if state in _DISK_FULL:
        return StoreFull(f"registry: PostgreSQL has no room ({state})")
    return StoreUnavailable(f"registry: {type(cause or error).__name__} {state or ''}".rstrip())


def is_taken(error: IntegrityError) -> bool:
    """Whether what was refused is a second row with the same key."""
    name = getattr(error.orig, "sqlite_errorname", "")
    return getattr(error.orig, "sqlstate", "") == _UNIQUE_VIOLATION or name in _UNIQUE_CONSTRAINTS


def _sqlite_fault(error: sqlite3.Error) -> StoreUnavailable:
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if name == "SQLITE_FULL":
        return StoreFull("registry: the disk is full")
    return StoreUnavailable(f"registry: {name}")


def migrate(engine: Engine) -> None:
    """Bring the schema to this version. Safe to be called by several nodes at once.

    Each step is a transaction of its own: an interrupted migration leaves the step before, and goes on from there.

    Raises:
        StoreUnavailable: the database cannot be used, or its schema is newer than this version.
    """
    scripts = _scripts()
    while True:
        with writing(engine) as connection:
            _lock_out_other_nodes(connection)
            current = MigrationContext.configure(connection).get_current_revision()
            following = _following(scripts, current)
            if following is None:
                return
            _upgrade(scripts, connection, following)


def _following(scripts: ScriptDirectory, current: str | None) -> str | None:
    """The revision after the current one; None after the last."""
    head = scripts.get_current_head() or ""
    if current == head:
        return None
    known = [script.revision for script in scripts.walk_revisions()]
    if current is not None and current not in known:
        raise StoreUnavailable(
            f"registry: the schema is at revision {current}, which this version does not know (it needs {head}); "
            "a newer version has migrated it"
        )
    known.reverse()
    return known[0] if current is None else known[known.index(current) + 1]


def _upgrade(scripts: ScriptDirectory, connection: Connection, revision: str) -> None:
    def steps(current: Any, _: object) -> Any:
        return scripts._upgrade_revs(revision, current)  # noqa: SLF001 - as alembic.command.upgrade does

    with EnvironmentContext(_config(), scripts, fn=steps, destination_rev=revision) as environment:
        environment.configure(connection=connection, target_metadata=metadata)
        environment.run_migrations()


def _lock_out_other_nodes(connection: Connection) -> None:
    # SQLite: the transaction has the database for itself already.
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
