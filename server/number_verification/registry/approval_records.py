"""The record of approvals in SQL, on SQLite and PostgreSQL."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, and_, delete, insert, select, update

from number_verification.domain.approval import Approval, Consent, OptOut
from number_verification.domain.approval_records import (
    Action,
    Ending,
    Entry,
    RequestIdUsed,
    Standing,
    Statement,
    ends_grants,
    standing_after,
)
from number_verification.domain.clock import Clock, Milliseconds
from number_verification.registry.approval_schema import CONSENT, COUNTER, OPT_OUT, approvals, events
from number_verification.registry.database import fetch, reading, writing
from number_verification.registry.schema import change_counter

_KIND = {Action.GIVEN: CONSENT, Action.WITHDRAWN: CONSENT, Action.OPTED_OUT: OPT_OUT, Action.OPTED_IN: OPT_OUT}

# The look-up in front of every token. Compiled by SQLAlchemy at each execution it would take several times as long.
_CONCERNING = (
    "SELECT kind, application, purpose, scopes, given, expires, withdrawn FROM approvals"
    " WHERE subscriber = ? AND application IN (?, '') AND purpose IN (?, '')"
)


class SqlApprovalRecords:
    """`domain.approval_records.ApprovalRecords`.

    Args:
        engine: of the registry's database. The tables are there.
        clock: which says when something was recorded.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def record(self, statement: Statement) -> Entry:
        """See the Protocol."""
        with writing(self._engine) as connection:
            # First of all: this takes the lock that puts writes in order. What is read after it, the last one left, and
            # instants that are taken after it rise with the numbers as far as clocks agree.
            change = _counted(connection)
            if statement.request_id:
                known = _recorded_before(connection, statement)
                if known is not None:
                    connection.rollback()
                    return known
            return self._noted(connection, change, statement)

    def _noted(self, connection: Connection, change: int, statement: Statement) -> Entry:
        now = self._clock()
        concerned = {"kind": _KIND[statement.action], **_concerned(statement)}
        where = and_(*(approvals.c[name] == value for name, value in concerned.items()))
        before = _standing_in(connection, where)
        standing = standing_after(statement, before, now)
        columns = {**standing._asdict(), "scopes": _text(standing.scopes), "change": change}
        lifted = statement.action is Action.OPTED_IN
        if lifted:
            connection.execute(delete(approvals).where(where))
        elif before is not None:
            connection.execute(update(approvals).where(where).values(columns))
        else:
            connection.execute(insert(approvals).values(**concerned, **columns))
        connection.execute(
            insert(events).values(
                **_concerned(statement),
                **columns,
                action=statement.action.value,
                recorded=now,
                ends_grants=int(ends_grants(statement, before)),
                evidence=statement.evidence,
                recorded_by=statement.recorded_by,
                request_id=statement.request_id,
            )
        )
        return Entry(change, statement, standing, now, current=not lifted)

    def concerning(self, subscriber: bytes, application: str, purpose: str) -> Sequence[Approval]:
        """See the Protocol."""
        rows = fetch(self._engine, _CONCERNING, (subscriber, application, purpose))
        return [
            Consent(row[1], row[2], _scopes(row[3]), row[4], row[5], row[6])
            if row[0] == CONSENT
            else OptOut(row[1], row[2], row[4])
            for row in rows
        ]

    def entries(self, subscriber: bytes, after: int, limit: int, *, current: bool = False) -> Sequence[Entry]:
        """See the Protocol."""
        wanted = _entries(current=current).where(events.c.subscriber == subscriber, events.c.change > after)
        with reading(self._engine) as connection:
            return list(map(_entry, connection.execute(wanted.order_by(events.c.change).limit(limit))))

    def change(self) -> int:
        """See the Protocol."""
        [(change,)] = fetch(self._engine, "SELECT value FROM change_counter WHERE name = ?", (COUNTER,))
        return int(change)

    def endings(self, after: int, until: int, recorded_from: Milliseconds, limit: int) -> Sequence[Ending]:
        """See the Protocol."""
        e = events.c
        wanted = (
            select(e.action, e.subscriber, e.application, e.purpose, e.recorded)
            .where(e.change > after, e.change <= until, e.recorded >= recorded_from, e.ends_grants == 1)
            .order_by(e.change)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [Ending(Action(row[0]), *row[1:]) for row in connection.execute(wanted)]

    def close(self) -> None:
        """See the Protocol."""
        self._engine.dispose()


def _counted(connection: Connection) -> int:
    counter = change_counter.c
    one_more = update(change_counter).where(counter.name == COUNTER).values(value=counter.value + 1)
    return int(connection.execute(one_more.returning(counter.value)).scalar_one())


def _recorded_before(connection: Connection, statement: Statement) -> Entry | None:
    request = and_(events.c.recorded_by == statement.recorded_by, events.c.request_id == statement.request_id)
    row = connection.execute(_entries(current=False).where(request)).one_or_none()
    if row is None:
        return None
    entry = _entry(row)
    if entry.statement != statement:
        raise RequestIdUsed
    return entry


def _standing_in(connection: Connection, where: ColumnElement[bool]) -> Standing | None:
    c = approvals.c
    row = connection.execute(select(c.scopes, c.given, c.expires, c.withdrawn).where(where)).one_or_none()
    return None if row is None else Standing(_scopes(row[0]), *row[1:])


def _concerned(statement: Statement) -> dict[str, Any]:
    return {"subscriber": statement.subscriber, "application": statement.application, "purpose": statement.purpose}


def _entries(*, current: bool) -> Select[Any]:
    a, e = approvals.c, events.c
    # A consent or an opt-out names the event that made it what it is.
    made = and_(
        a.subscriber == e.subscriber, a.application == e.application, a.purpose == e.purpose, a.change == e.change
    )
    return select(events, a.change.is_not(None).label("current")).select_from(
        events.join(approvals, made, isouter=not current)
    )


def _entry(row: Row[Any]) -> Entry:
    given = row.action == Action.GIVEN
    statement = Statement(
        Action(row.action),
        row.subscriber,
        row.application,
        row.purpose,
        row.recorded_by,
        # Of a withdrawal these are the consent's, and no part of what was said.
        _scopes(row.scopes) if given else frozenset(),
        row.expires if given else 0,
        row.evidence,
        row.request_id,
    )
    standing = Standing(_scopes(row.scopes), row.given, row.expires, row.withdrawn)
    return Entry(row.change, statement, standing, row.recorded, bool(row.current))


@lru_cache(1024)
def _scopes(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _text(scopes: frozenset[str]) -> str:
    return " ".join(sorted(scopes))
