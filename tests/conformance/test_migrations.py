"""Migrations, on both engines: what they make, and what interrupts them."""

import importlib
import pkgutil
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from conformance.databases import open_registry
from conformance.processes import answer, started, together
from number_verification import registry
from number_verification.domain.faults import StoreUnavailable
from number_verification.registry import migration
from number_verification.registry.database import migrate, open_database, reading, writing
from number_verification.registry.schema import metadata
from postgresql import Postgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database in which there is nothing yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry.sqlite"
    server: Postgresql = request.getfixturevalue("postgresql")
    return server.database()


def head() -> str:
    scripts = Path(migration.__file__).parent / "migrations"
    return ScriptDirectory(str(scripts)).get_current_head() or ""


def revision(url: str) -> str | None:
    with reading(open_database(url)) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def tables(url: str) -> list[str]:
    with reading(open_database(url)) as connection:
        return inspect(connection).get_table_names()


def test_the_committed_revisions_make_exactly_the_tables_of_the_schema(url: str) -> None:
    for module in pkgutil.iter_modules(registry.__path__, "number_verification.registry."):
        importlib.import_module(module.name)
    engine = open_database(url)
    migrate(engine)
    with reading(engine) as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        if engine.dialect.name == "postgresql":
            # Autogenerate does not compare these, and names are compared byte by byte.
            declared = {
                (table.name, column.name): getattr(column.type.dialect_impl(engine.dialect), "collation", None)
                for table in metadata.tables.values()
                for column in table.columns
            }
            found = connection.execute(
                text("SELECT table_name, column_name, collation_name FROM information_schema.columns")
            )
            collations = {(row.table_name, row.column_name): row.collation_name for row in found}
            assert {key: collations[key] for key in declared} == declared
        else:
            checks = {name: inspect(connection).get_check_constraints(name) for name in metadata.tables}
            assert any("'suspended'" in check["sqltext"] for check in checks["applications"])
    assert revision(url) == head()


def test_again_is_nothing(url: str) -> None:
    engine = open_database(url)
    migrate(engine)
    before = tables(url)
    migrate(engine)
    assert tables(url) == before


def test_a_migration_that_was_killed_is_made_anew(url: str) -> None:
    with started(_migrate_and_wait, url) as (process, pipe):
        assert "organizations" in answer(pipe)
        process.kill()
        process.join()
    assert tables(url) == []
    migrate(open_database(url))
    assert revision(url) == head()
    open_registry(url).probe()


def test_several_at_once(url: str) -> None:
    assert together(_migrate, [url] * 3) == [head()] * 3
    opened = open_registry(url)
    opened.probe()
    assert opened.change() == 0


def test_a_newer_schema_is_refused(url: str) -> None:
    engine = open_database(url)
    migrate(engine)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable) as refused:
        migrate(engine)
    assert "9999" in str(refused.value)
    assert head() in str(refused.value)
    assert "UPDATE" not in str(refused.value)
    assert revision(url) == "9999"


def test_before_the_first_migration(url: str) -> None:
    opened = open_registry(url)
    asked: tuple[Callable[[], object], ...] = (opened.change, opened.probe, lambda: opened.changes(0))
    for ask in asked:
        with pytest.raises(StoreUnavailable) as refused:
            ask()
        assert "SELECT" not in str(refused.value)
        assert "change_counter" not in str(refused.value)
        assert refused.value.__suppress_context__


def _migrate(url: str, barrier: Barrier) -> str | None:
    engine = open_database(url)
    barrier.wait(30)
    migrate(engine)
    return revision(url)


def _migrate_and_wait(url: str, pipe: Connection) -> None:
    """As `migrate` does it, but for the end."""
    upgrade = command.upgrade

    def stop_short(config: Config, to: str) -> None:
        upgrade(config, to)
        pipe.send(inspect(config.attributes["connection"]).get_table_names())
        threading.Event().wait()

    migration.command.upgrade = stop_short  # type: ignore[assignment]
    migrate(open_database(url))
