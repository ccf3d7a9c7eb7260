"""The database behind the registry: opened, guarded and brought to the schema of this version.

SQLite for one node, PostgreSQL for more. Whatever a driver raises is turned into a fault of ours here, and never goes
further up: drivers quote statements and what stands in them.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from number_verification.domain.faults import StoreFull, StoreUnavailable
from number_verification.registry.hope import Hope
from number_verification.registry.patience import PATIENCE_SECONDS, PatientConnection

CONNECTIONS = 8
"""How many connections a process keeps. Transactions are short: who finds none free waits for one."""

WAIT_SECONDS = 3
"""How long to wait for a free connection, and for PostgreSQL to accept one."""

BUSY_SECONDS = 5
"""How long a transaction of SQLite waits for another one."""

_STATEMENT_MILLISECONDS = (PATIENCE_SECONDS - 1) * 1_000
"""How long PostgreSQL may work on one statement: it tells so before we give up."""

_LOCK_MILLISECONDS = _STATEMENT_MILLISECONDS - 1_000
"""How long one may wait for a lock of it: it tells so before the statement is ended for its length."""

_IDLE_MILLISECONDS = 10_000
"""How long a transaction may do nothing: a node that hangs in the middle of one must not stop the others for good."""

_WAL_BYTES = 16 << 20
"""What is left of SQLite's log once it was copied back."""

_WRITES = "writes"

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
    except (ArgumentError, ValueError):
        raise StoreUnavailable("the registry's URL cannot be read") from None
    if parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:") and not parsed.query:
        return _sqlite(parsed)
    if parsed.drivername == "postgresql+psycopg":
        return _postgresql(parsed.set(password=password) if password else parsed)
    raise StoreUnavailable("the registry's URL must begin with sqlite:///PATH or postgresql+psycopg://")


def _sqlite(url: URL) -> Engine:
    path, making = Path(url.database or ""), threading.Lock()
    engine = sqlalchemy.create_engine(
        url,
        hide_parameters=True,
        # Statements that were made text take their parameters by name, as PostgreSQL's do.
        paramstyle="named",
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=WAIT_SECONDS,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "do_connect")
    def make(*_: object) -> None:
        # One at a time: who makes the file closes it again, and with it would go the locks of another (see below).
        with making:
            _make_private(path)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        # The driver would begin transactions by itself, and not around DDL. SQLAlchemy's `begin` event does it below.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", f"journal_size_limit={_WAL_BYTES}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITES):
            # What was committed is on disk: a suspension or a withdrawal must not come undone by a power cut.
            connection.exec_driver_sql("PRAGMA synchronous=FULL")
            # A transaction that begins as a reader cannot become a writer once another one has written.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def _make_private(path: Path) -> None:
    """Make the file where there is none. SQLite gives those beside it the same mode."""
    try:
        if not path.exists():
            # Another process may make it in this moment, in the same way.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        elif path.is_file():
            # By name: to open and close the file would take SQLite's locks from this process (fcntl(2)).
            path.chmod(0o600)
        else:
            raise StoreUnavailable(f"registry: {path} is not a file")
    except OSError as error:
        raise StoreUnavailable(f"registry: {path} cannot be opened: {error.strerror}") from None


def _postgresql(url: URL) -> Engine:
    settings = {
        "statement_timeout": _STATEMENT_MILLISECONDS,
        "lock_timeout": _LOCK_MILLISECONDS,
        "idle_in_transaction_session_timeout": _IDLE_MILLISECONDS,
    }
    engine = sqlalchemy.create_engine(
        url,
        hide_parameters=True,
        # Whatever the server's own default is: a writer sees what the one before it wrote, once it has the lock.
        isolation_level="READ COMMITTED",
        # A connection that was cut is found when it is taken, and not by the transaction that needs it.
        pool_pre_ping=True,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=WAIT_SECONDS,
        connect_args={
            "connect_timeout": WAIT_SECONDS,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        },
    )

    hope = Hope()

    @event.listens_for(engine, "do_connect")
    def connect(_: object, __: object, arguments: Any, keywords: Any) -> psycopg.Connection[Any]:
        with hope.of_an_answer():
            return PatientConnection.connect(*arguments, **keywords)

    return engine


def migrate(engine: Engine) -> None:
    """See `migration.migrate`, for which Alembic is imported: that takes longer than all there is to do."""
    from number_verification.registry import migration

    migration.migrate(engine)


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


@contextmanager
def counting(engine: Engine) -> Iterator[Any]:
    """A cursor of the driver's own, in a transaction like that of `writing`.

    For short work that every request waits for. What SQLite has committed here survives every death of a process, but
    of the last moments before a power cut some may be lost.

    Raises:
        StoreUnavailable: it cannot be written, and nothing was.
    """
    with faults_told():
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            if engine.dialect.name == "sqlite":
                cursor.execute("PRAGMA synchronous=NORMAL")
                cursor.execute("BEGIN IMMEDIATE")
            yield cursor
            connection.commit()
        finally:
            # Rolls back what was not committed.
            connection.close()


def fetch(engine: Engine, sql: str, parameters: Sequence[object]) -> list[Any]:
    """All rows of one SELECT, by the driver itself: for look-ups that every request waits for.

    Args:
        engine: of the database.
        sql: its parameters are written as `?`.
        parameters: in their order.

    Raises:
        StoreUnavailable: they cannot be had.
    """
    if engine.dialect.name != "sqlite":
        sql = sql.replace("?", "%s")
    with faults_told():
        connection = engine.raw_connection()
        try:
            rows: list[Any] = connection.cursor().execute(sql, parameters).fetchall()
        finally:
            connection.close()
    return rows


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
        raise _fault(error.orig if isinstance(error, DBAPIError) and error.orig else error) from None
    except (sqlite3.Error, psycopg.Error) as error:
        raise _fault(error) from None


def _fault(error: BaseException) -> StoreUnavailable:
    """What is told of an error: what the database calls it, and nothing of what was asked."""
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        if name == "SQLITE_FULL":
            return StoreFull("registry: the disk is full")
        return StoreUnavailable(f"registry: {name}")
    state = getattr(error, "sqlstate", None)
    if state in _DISK_FULL:
        return StoreFull(f"registry: PostgreSQL has no room ({state})")
    if isinstance(error, psycopg.OperationalError) and state is None:
        return StoreUnavailable("registry: PostgreSQL cannot be reached, refuses us or does not answer")
    if isinstance(error, PoolTimeout):
        return StoreUnavailable(f"registry: all {CONNECTIONS} connections are in use")
    return StoreUnavailable(f"registry: {type(error).__name__} {state or ''}".rstrip())
