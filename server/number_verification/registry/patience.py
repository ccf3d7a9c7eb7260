"""A connection to PostgreSQL that does not wait for ever.

The server's own timeouts help only while it runs, and those of TCP only while nobody acknowledges: a server that is
stopped, or whose disk hangs, still has a kernel that takes what it is sent.
"""

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

PATIENCE_SECONDS = 6

_Result = TypeVar("_Result")


class PatientConnection(psycopg.Connection[Any]):
    """Is closed when the server has not answered for `patience` seconds; the statement fails."""

    patience: float = PATIENCE_SECONDS

    def wait(self, gen: Generator[Any, Any, _Result], *args: Any, **options: Any) -> _Result:
        """See `psycopg.Connection.wait`, through which everything goes that is sent."""
        return super().wait(self._bounded(gen), *args, **options)

    def _bounded(self, answering: Generator[Any, Any, _Result]) -> Generator[Any, Any, _Result]:
        deadline = time.monotonic() + self.patience
        try:
            waiting_for = next(answering)
            while True:
                # Several times a second there is nothing ready, and we are asked all the same.
                ready = yield waiting_for
                if not ready and time.monotonic() > deadline:
                    self.close()
                    raise psycopg.OperationalError("no answer in time")
                waiting_for = answering.send(ready)
        except StopIteration as done:
            result: _Result = done.value
            return result
