"""What was used, summed up by day for billing."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Engine, and_, or_, select, tuple_

from number_verification.domain.usage import Usage, UsageRow
from number_verification.registry import database
from number_verification.registry.schema import usage, usage_checkpoints

_KEY = [usage.c[name] for name in Usage._fields]


class SqlUsage:
    """A `UsageStore` on a database that was migrated, and what reads from it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        adding = database.insert_into(engine, usage)
        self._add = adding.on_conflict_do_update(
            index_elements=_KEY, set_={"count": usage.c.count + adding.excluded.count}
        )
        setting = database.insert_into(engine, usage_checkpoints)
        self._set = setting.on_conflict_do_update(
            index_elements=[usage_checkpoints.c.segment], set_={"position": setting.excluded.position}
        )

    def checkpoints(self) -> Mapping[str, int]:
        """See `UsageStore.checkpoints`."""
        with database.reading(self._engine) as connection:
            rows = connection.execute(select(usage_checkpoints.c.segment, usage_checkpoints.c.position))
            return {row.segment: row.position for row in rows}

    def add(self, counts: Mapping[Usage, int], checkpoints: Mapping[str, int]) -> None:
        """See `UsageStore.add`."""
        with database.writing(self._engine) as connection:
            if counts:
                # In one order everywhere, or two nodes could wait for each other.
                ordered = sorted(counts.items())
                connection.execute(self._add, [{**key._asdict(), "count": count} for key, count in ordered])
            if checkpoints:
                positions = sorted(checkpoints.items())
                connection.execute(self._set, [{"segment": name, "position": to} for name, to in positions])

    def page(
        self,
        *,
        reach: str = "",
        application: str = "",
        first_day: str,
        last_day: str,
        after: Usage | None = None,
        limit: int,
    ) -> Sequence[UsageRow]:
        """Up to `limit` rows in the order of their keys.

        Args:
            reach: only what this customer used, or the customers of this channel partner; empty for all.
            application: only what this application used; empty for any.
            first_day: `YYYY-MM-DD`, included.
            last_day: likewise.
            after: only rows whose key comes after this one.
            limit: at least 1.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        query = select(*_KEY, usage.c.count).where(and_(usage.c.day >= first_day, usage.c.day <= last_day))
        if reach:
            query = query.where(or_(usage.c.customer == reach, usage.c.channel_partner == reach))
        if application:
            query = query.where(usage.c.application == application)
        if after is not None:
            query = query.where(tuple_(*_KEY) > tuple_(*after))
        with database.reading(self._engine) as connection:
            rows = connection.execute(query.order_by(*_KEY).limit(limit))
            return [UsageRow(Usage(*key), times) for *key, times in rows]
