"""What applications have spent, counted in the database.

It is asked for every token that is issued, so the statements are text, made once, and given to the driver itself:
SQLAlchemy's own way takes several times longer than SQLite takes to do the work.
"""

from typing import Any

from sqlalchemy import ClauseElement, Engine, bindparam, select, update

from number_verification.domain import allowance
from number_verification.domain.allowance import Shortage, Spent
from number_verification.domain.application import Limits
from number_verification.domain.clock import Milliseconds
from number_verification.registry import database
from number_verification.registry.schema import allowances


class SqlAllowances:
    """`Allowances` on a database that was migrated. The row of an application is locked while it is worked on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        mine = allowances.c.client_id == bindparam("client")
        columns = [allowances.c[name] for name in Spent._fields]
        self._select = _text(engine, select(*columns).where(mine).with_for_update())
        self._update = _text(engine, update(allowances).where(mine).values({c: bindparam(c.name) for c in columns}))
        # A row that is not there cannot be locked.
        row: dict[str, Any] = {"client_id": bindparam("client")} | {c.name: bindparam(c.name) for c in columns}
        self._begin = _text(engine, database.insert_into(engine, allowances).values(row).on_conflict_do_nothing())

    def spend(self, client_id: str, limits: Limits, now: Milliseconds) -> Shortage | None:
        """See `Allowances.spend`."""
        with database.counting(self._engine) as cursor:
            row = self._locked(cursor, client_id)
            if row is None:
                cursor.execute(self._begin, {"client": client_id, **_NOTHING._asdict()})
                row = self._locked(cursor, client_id)
            spent = Spent(*row)
            outcome = allowance.spend(None if spent == _NOTHING else spent, limits, now)
            if isinstance(outcome, Shortage):
                return outcome
            self._keep(cursor, client_id, outcome)
        return None

    def refund(self, client_id: str, limits: Limits, counted: Milliseconds) -> None:
        """See `Allowances.refund`."""
        with database.counting(self._engine) as cursor:
            row = self._locked(cursor, client_id)
            if row is not None:
                self._keep(cursor, client_id, allowance.refund(Spent(*row), limits, counted))

    def _locked(self, cursor: Any, client_id: str) -> Any:
        """The row of an application, which nobody else changes before this transaction ends; None for none."""
        return cursor.execute(self._select, {"client": client_id}).fetchone()

    def _keep(self, cursor: Any, client_id: str, spent: Spent) -> None:
        cursor.execute(self._update, {"client": client_id, **spent._asdict()})


_NOTHING = Spent(0, 0, 0, 0, 0, 0)


def _text(engine: Engine, statement: ClauseElement) -> str:
    return str(statement.compile(dialect=engine.dialect))
