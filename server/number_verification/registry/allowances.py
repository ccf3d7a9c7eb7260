"""What applications have spent, counted in the database.

It is asked for every token that is issued, so the statements are text, made once: SQLAlchemy's own way to a cached
statement takes longer than SQLite takes to do it.
"""

from typing import Any

from sqlalchemy import ClauseElement, Connection, Engine, bindparam, select, update

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
        nothing = {"client_id": bindparam("client"), **dict.fromkeys(Spent._fields, 0)}
        self._begin = database.insert_into(engine, allowances).values(nothing).on_conflict_do_nothing()

    def spend(self, client_id: str, limits: Limits, now: Milliseconds) -> Shortage | None:
        """See `Allowances.spend`."""
        with database.writing(self._engine) as connection:
            outcome = allowance.spend(self._locked(connection, client_id), limits, now)
            if isinstance(outcome, Shortage):
                return outcome
            self._keep(connection, client_id, outcome)
        return None

    def refund(self, client_id: str, limits: Limits, now: Milliseconds) -> None:
        """See `Allowances.refund`."""
        with database.writing(self._engine) as connection:
            spent = self._locked(connection, client_id)
            if spent is not None:
                self._keep(connection, client_id, allowance.refund(spent, limits, now))

    def _locked(self, connection: Connection, client_id: str) -> Spent | None:
        """What was spent; None for nothing. Nobody else changes it before this transaction ends."""
        row = self._one(connection, client_id)
        if row is None:
            # A row that is not there cannot be locked.
            connection.execute(self._begin, {"client": client_id})
            row = self._one(connection, client_id)
        spent = Spent(*row)
        return spent if spent.filled else None

    def _one(self, connection: Connection, client_id: str) -> Any:
        return connection.exec_driver_sql(self._select, {"client": client_id}).first()

    def _keep(self, connection: Connection, client_id: str, spent: Spent) -> None:
        connection.exec_driver_sql(self._update, {"client": client_id, **spent._asdict()})


def _text(engine: Engine, statement: ClauseElement) -> str:
    return str(statement.compile(dialect=engine.dialect))
