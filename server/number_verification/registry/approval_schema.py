"""The tables of user approval, in the same database as the rest of the registry."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, String, Table, Text, text

from number_verification.registry.schema import NAME, TOKEN, metadata

COUNTER = "approvals"
"""The row of `change_counter` with the number of the last event. Its lock puts writes in order."""

CONSENT, OPT_OUT = 0, 1
"""What an approval is, in `approvals.kind`."""

NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite makes only an INTEGER primary key the row's own number."""

approvals = Table(
    "approvals",
    metadata,
    Column("subscriber", LargeBinary(16), primary_key=True),
    Column("application", NAME, primary_key=True),
    Column("purpose", NAME, primary_key=True),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("change", BigInteger, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("given", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("withdrawn", BigInteger, nullable=False),
    # Clustered by the key: a look-up reads one place, where all that concerns a subscriber stands together.
    sqlite_with_rowid=False,
)
"""What counts now. Scopes are separated by spaces; an application or a purpose that is empty stands for all."""

events = Table(
    "approval_events",
    metadata,
    Column("change", NUMBER, primary_key=True, autoincrement=False),
    Column("action", String(16), nullable=False),
    Column("subscriber", LargeBinary(16), nullable=False),
    Column("application", NAME, nullable=False),
    Column("purpose", NAME, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("recorded", BigInteger, nullable=False, index=True),
    Column("given", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("withdrawn", BigInteger, nullable=False),
    Column("ends_grants", SmallInteger, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("recorded_by", TOKEN, nullable=False),
    Column("request_id", TOKEN, nullable=False),
    Index("ix_approval_events_subscriber", "subscriber", "change"),
    Index(
        "uq_approval_events_request",
        "recorded_by",
        "request_id",
        unique=True,
        sqlite_where=text("request_id <> ''"),
        postgresql_where=text("request_id <> ''"),
    ),
)
"""All that ever was recorded. Rows are added, and never changed or deleted."""
