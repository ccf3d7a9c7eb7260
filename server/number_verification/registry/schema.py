"""The tables of the registry, for SQLite and PostgreSQL alike.

Names are compared and ordered byte by byte on both: SQLite does so by itself, PostgreSQL in the collation `C`. Instants
are milliseconds since the epoch. Every row carries the value of the change counter at its last write.
"""

from collections.abc import Iterable

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from number_verification.domain.onboarding.application import ApplicationState
from number_verification.domain.onboarding.entity import State
from number_verification.domain.onboarding.organization import OrganizationKind, OrganizationState
from number_verification.domain.onboarding.person import PersonState
from number_verification.domain.onboarding.product import ProductState
from number_verification.domain.onboarding.subscription import SubscriptionState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

NAME = String(160).with_variant(String(160, collation="C"), "postgresql")
"""A resource name, or a part of one."""
TOKEN = String(256).with_variant(String(256, collation="C"), "postgresql")
"""Any other short text that is looked up."""


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    """That a column holds one of a set of texts."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def _entity(name: str, states: type[State], *columns: Column[object] | CheckConstraint) -> Table:
    """The table of one kind of entity."""
    return Table(
        name,
        metadata,
        Column("name", NAME, primary_key=True),
        Column("revision", Integer, nullable=False),
        Column("created", BigInteger, nullable=False),
        Column("updated", BigInteger, nullable=False),
        Column("change", BigInteger, nullable=False, index=True),
        Column("state", String(16), nullable=False),
        *columns,
        one_of("state", states),
    )


def _organization() -> Column[object]:
    return Column("organization", NAME, ForeignKey("organizations.name"), nullable=False, index=True)


organizations = _entity(
    "organizations",
    OrganizationState,
    Column("kind", String(16), nullable=False),
    Column("display_name", Text, nullable=False),
    Column("channel_partner", NAME, ForeignKey("organizations.name"), index=True),
    one_of("kind", OrganizationKind),
)

clients = Table(
    "clients",
    metadata,
    Column("client_id", TOKEN, primary_key=True),
    Column("name", NAME, nullable=False, unique=True),
)
"""Who has which client id: people and applications share one space of them."""

people = _entity(
    "people",
    PersonState,
    _organization(),
    Column("display_name", Text, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("client_id", TOKEN, ForeignKey("clients.client_id"), nullable=False),
    Column("jwks", JSON, nullable=False),
    Column("certificate_names", JSON, nullable=False),
)

products = _entity(
    "products",
    ProductState,
    Column("display_name", Text, nullable=False),
    Column("operations", JSON, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("purposes", JSON, nullable=False),
    Column("plans", JSON, nullable=False),
)

subscriptions = _entity(
    "subscriptions",
    SubscriptionState,
    _organization(),
    Column("product", NAME, ForeignKey("products.name"), nullable=False),
    Column("plan", NAME, nullable=False),
)

applications = _entity(
    "applications",
    ApplicationState,
    _organization(),
    Column("display_name", Text, nullable=False),
    Column("client_id", TOKEN, ForeignKey("clients.client_id"), nullable=False),
    Column("jwks", JSON, nullable=False),
    Column("jwks_uri", Text, nullable=False),
    Column("redirect_uris", JSON, nullable=False),
    Column("flows", JSON, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("purposes", JSON, nullable=False),
    Column("requires_signed_request", Boolean, nullable=False),
    Column("requires_dpop", Boolean, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("caller", TOKEN, primary_key=True),
    Column("request_id", TOKEN, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("kept", BigInteger, nullable=False, index=True),
)
"""Answers to requests with a request id (AIP-155)."""

change_counter = Table(
    "change_counter",
    metadata,
    Column("name", TOKEN, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""How many transactions have written. A row for each part of the registry that is watched by itself."""

allowances = Table(
    "allowances",
    metadata,
    Column("client_id", TOKEN, primary_key=True),
    Column("filled", BigInteger, nullable=False),
    Column("level", BigInteger, nullable=False),
    Column("day", Integer, nullable=False),
    Column("day_count", BigInteger, nullable=False),
    Column("month", Integer, nullable=False),
    Column("month_count", BigInteger, nullable=False),
)
"""What applications have spent."""

usage = Table(
    "usage",
    metadata,
    Column("day", String(10).with_variant(String(10, collation="C"), "postgresql"), primary_key=True),
    Column("application", NAME, primary_key=True),
    Column("customer", NAME, primary_key=True),
    Column("channel_partner", NAME, primary_key=True),
    Column("operation", TOKEN, primary_key=True),
    Column("outcome", TOKEN, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Index("ix_usage_customer", "customer", "day"),
    Index("ix_usage_channel_partner", "channel_partner", "day"),
)

usage_checkpoints = Table(
    "usage_checkpoints",
    metadata,
    Column("segment", TOKEN, primary_key=True),
    Column("position", BigInteger, nullable=False),
)
"""Up to where each segment of the audit trail was counted."""
