"""The registry on SQLite or PostgreSQL."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Select, delete, exists, insert, or_, select, update

from number_verification.domain.clock import HOUR, Milliseconds
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.onboarding.entity import Entity, State
from number_verification.registry import database
from number_verification.registry.rows import MAPPED, decoded, encoded
from number_verification.registry.schema import answers, change_counter, clients, organizations
from number_verification.registry.store import AlreadyExists, Answer, Changes, StaleRevision

E = TypeVar("E", bound=Entity)

COUNTER = "registry"
ANSWERS_KEPT: Milliseconds = 48 * HOUR


class SqlRegistry:
    """A `Registry` on a database that was migrated.

    Writers are put in a row by the row of the change counter, which each of them locks first: PostgreSQL lets the next
    one have it when this one has ended, SQLite knows one writer anyway. So the order of commits is the order of the
    counter, and whoever asks for changes after a value misses none.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def reading(self) -> Iterator["SqlReading"]:
        """See `Registry.reading`."""
        with database.reading(self._engine) as connection:
            yield SqlReading(connection)

    @contextmanager
    def writing(self) -> Iterator["SqlWriting"]:
        """See `Registry.writing`."""
        with database.writing(self._engine) as connection:
            # From here on, this is the only writer: what it reads is not changed under its hands.
            change = _change(connection, _COUNTED.with_for_update()) + 1
            writing = SqlWriting(connection, change)
            yield writing
            if writing.has_written:
                connection.execute(update(change_counter).where(change_counter.c.name == COUNTER).values(value=change))

    def change(self) -> int:
        """See `Registry.change`."""
        with database.reading(self._engine) as connection:
            return _change(connection)

    def changes(self, since: int) -> Changes:
        """See `Registry.changes`."""
        entities: list[Entity] = []
        with database.reading(self._engine) as connection:
            change = _change(connection)
            if change > since:
                for kind, mapped in MAPPED.items():
                    rows = connection.execute(select(mapped.table).where(mapped.table.c.change > since))
                    entities += decoded(kind, rows.mappings())
        return Changes(change, entities)

    def probe(self) -> None:
        """See `Registry.probe`."""
        with database.writing(self._engine) as connection:
            connection.execute(update(change_counter).where(change_counter.c.name == COUNTER).values(name=COUNTER))

    def close(self) -> None:
        """See `Registry.close`."""
        self._engine.dispose()


_COUNTED = select(change_counter.c.value).where(change_counter.c.name == COUNTER)


def _change(connection: Connection, counted: Select[Any] = _COUNTED) -> int:
    value: int | None = connection.scalar(counted)
    if value is None:
        raise StoreUnavailable("registry: the change counter is missing")
    return value


def _stamped(entity: E, *, revision: int, created: Milliseconds, updated: Milliseconds) -> E:
    return replace(entity, revision=revision, created=created, updated=updated)


class SqlReading:
    """A `Reading` on an open connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, kind: type[E], name: str) -> E | None:
        """See `Reading.find`."""
        table = MAPPED[kind].table
        found = self._entities(kind, select(table).where(table.c.name == name))
        return found[0] if found else None

    def page(
        self,
        kind: type[E],
        *,
        parent: str = "",
        reach: str = "",
        state: State | None = None,
        after: str = "",
        limit: int,
    ) -> Sequence[E]:
        """See `Reading.page`."""
        table = MAPPED[kind].table
        query = select(table).where(table.c.name > after).order_by(table.c.name).limit(limit)
        owner = table.c.name if table is organizations else table.c.get("organization")
        if owner is not None:
            if parent:
                query = query.where(owner == parent)
            if reach:
                query = query.where(owner.in_(_within(reach)))
        if state is not None:
            query = query.where(table.c.state == state)
        return self._entities(kind, query)

    def _entities(self, kind: type[E], query: Select[Any]) -> list[E]:
        return decoded(kind, self._connection.execute(query).mappings())


def _within(reach: str) -> Any:
    """The names of an organization and of the customers that come through it."""
    return select(organizations.c.name).where(
        or_(organizations.c.name == reach, organizations.c.channel_partner == reach)
    )


class SqlWriting(SqlReading):
    """A `Writing` on an open connection whose transaction may write.

    Args:
        connection: with the row of the counter locked.
        change: the value of the counter for what is written.
    """

    def __init__(self, connection: Connection, change: int) -> None:
        super().__init__(connection)
        self._change = change
        self.has_written = False
        """Whether there is something that the counter has to count."""

    def add(self, entity: E, now: Milliseconds) -> E:
        """See `Writing.add`."""
        stored = _stamped(entity, revision=1, created=now, updated=now)
        table = MAPPED[type(entity)].table
        values = encoded(stored)
        # Nobody else writes now, so that what is free stays free.
        taken = [table.c.name == entity.name]
        if "client_id" in values:
            taken = [*taken, clients.c.client_id == values["client_id"]]
        if any(self._connection.scalar(select(exists().where(condition))) for condition in taken):
            raise AlreadyExists
        if "client_id" in values:
            self._connection.execute(insert(clients).values(client_id=values["client_id"], name=entity.name))
        self._connection.execute(insert(table).values(values | {"change": self._change}))
        self.has_written = True
        return stored

    def replace(self, entity: E, now: Milliseconds) -> E:
        """See `Writing.replace`."""
        stored = _stamped(entity, revision=entity.revision + 1, created=entity.created, updated=now)
        table = MAPPED[type(entity)].table
        values = encoded(stored)
        same = [table.c.name == entity.name, table.c.revision == entity.revision]
        if "client_id" in values:
            # Who has which client id is kept in a table of its own too, and is for ever.
            same = [*same, table.c.client_id == values["client_id"]]
        done = self._connection.execute(update(table).where(*same).values(values | {"change": self._change}))
        if done.rowcount != 1:
            raise StaleRevision
        self.has_written = True
        return stored

    def answer_to(self, caller: str, request_id: str) -> Answer | None:
        """See `Writing.answer_to`."""
        row = self._connection.execute(
            select(answers.c.digest, answers.c.content).where(
                answers.c.caller == caller, answers.c.request_id == request_id
            )
        ).first()
        return Answer(bytes(row.digest), bytes(row.content)) if row is not None else None

    def keep_answer(self, caller: str, request_id: str, answer: Answer, now: Milliseconds) -> None:
        """See `Writing.keep_answer`."""
        self._connection.execute(delete(answers).where(answers.c.kept < now - ANSWERS_KEPT))
        self._connection.execute(
            insert(answers).values(
                caller=caller, request_id=request_id, digest=answer.digest, content=answer.content, kept=now
            )
        )
