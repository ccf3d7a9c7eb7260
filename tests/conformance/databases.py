"""Databases that are ready for use, and what opens them in any process."""

import shutil
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeAlias

from number_verification.registry.allowances import SqlAllowances
from number_verification.registry.database import migrate, open_database
from number_verification.registry.sql import SqlRegistry
from number_verification.registry.usage import SqlUsage
from postgresql import Postgresql

Databases: TypeAlias = Callable[[], str]
"""Gives the URL of a new, empty database of this version each time it is called."""


def migrated(url: str) -> str:
    """The same database, brought to this version."""
    engine = open_database(url)
    migrate(engine)
    engine.dispose()
    return url


def sqlite_databases(directory: Path) -> Databases:
    """Files in a directory: one is migrated, the others are copies of it."""
    template = directory / "template"
    migrated(f"sqlite:///{template}")
    numbers = count()
    return lambda: f"sqlite:///{shutil.copy(template, directory / str(next(numbers)))}"


def postgresql_databases(server: Postgresql) -> Databases:
    """Databases of a server: one is migrated, the others are copies of it."""
    template = migrated(server.database())
    return partial(server.database, template.partition("?")[0].rpartition("/")[2])


def open_registry(url: str) -> SqlRegistry:
    return SqlRegistry(open_database(url))


def open_allowances(url: str) -> SqlAllowances:
    return SqlAllowances(open_database(url))


def open_usage(url: str) -> SqlUsage:
    return SqlUsage(open_database(url))
