"""Look-ups that must be fast: statements straight to the driver, on a connection that each thread keeps."""

import threading
import weakref
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from number_verification.registry.database import faults_told


class KeptConnections:
    """Reads by SQL text, without the pool and without compiling.

    Args:
        engine: whose database is read.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._marks_parameters = engine.dialect.name == "sqlite"
        self._own = threading.local()
        # A thread that ends lets go of its connection.
        self._all: weakref.WeakSet[_Kept] = weakref.WeakSet()

    def fetch(self, sql: str, parameters: Sequence[object]) -> list[Any]:
        """All rows of a SELECT, whose parameters are written as `?`.

        Raises:
            StoreUnavailable: they cannot be had.
        """
        if not self._marks_parameters:
            sql = sql.replace("?", "%s")
        kept: _Kept | None = getattr(self._own, "kept", None)
        with faults_told():
            if kept is not None:
                try:
                    return kept.fetch(sql, parameters)
                except self._error:
                    # What was good before may have died with its server; a new one tells whether that is back.
                    self._own.kept = None
                    kept.close()
            kept = _Kept(self._engine)
            self._all.add(kept)
            self._own.kept = kept
            return kept.fetch(sql, parameters)

    def close(self) -> None:
        """Close the connections of all threads."""
        for kept in list(self._all):
            kept.close()


class _Kept:
    """A connection of its own, outside the pool."""

    __slots__ = ("__weakref__", "_execute", "_owner")

    def __init__(self, engine: Engine) -> None:
        self._owner = engine.raw_connection()
        driver: Any = self._owner.driver_connection
        self._owner.detach()
        if engine.dialect.name == "postgresql":
            # No transaction stays open between two look-ups.
            driver.autocommit = True
        self._execute = driver.execute

    def fetch(self, sql: str, parameters: Sequence[object]) -> list[Any]:
        rows: list[Any] = self._execute(sql, parameters).fetchall()
        return rows

    def close(self) -> None:
        self._owner.close()
