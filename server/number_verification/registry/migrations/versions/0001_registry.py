"""The registry: who is served, and on what terms."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NAME = sa.String(160).with_variant(sa.String(160, collation="C"), "postgresql")
_TOKEN = sa.String(256).with_variant(sa.String(256, collation="C"), "postgresql")
_DAY = sa.String(10).with_variant(sa.String(10, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "allowances",
        sa.Column("client_id", _TOKEN, nullable=False),
        sa.Column("filled", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("day_count", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("month_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_allowances"),
    )
    op.create_table(
        "answers",
        sa.Column("caller", _TOKEN, nullable=False),
        sa.Column("request_id", _TOKEN, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("kept", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "request_id", name="pk_answers"),
    )
    op.create_index("ix_answers_kept", "answers", ["kept"], unique=False)
    op.create_table(
        "change_counter",
        sa.Column("name", _TOKEN, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_change_counter"),
    )
    op.create_table(
        "clients",
        sa.Column("client_id", _TOKEN, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_clients"),
        sa.UniqueConstraint("name", name="uq_clients_name"),
    )
    op.create_table(
        "organizations",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("channel_partner", _NAME, nullable=True),
        sa.CheckConstraint("kind IN ('customer', 'channel_partner')", name="ck_organizations_kind_known"),
        sa.CheckConstraint("state IN ('active', 'suspended', 'closed')", name="ck_organizations_state_known"),
        sa.ForeignKeyConstraint(["channel_partner"], ["organizations.name"], name="fk_organizations_channel_partner"),
        sa.PrimaryKeyConstraint("name", name="pk_organizations"),
    )
    op.create_index("ix_organizations_change", "organizations", ["change"], unique=False)
    op.create_index("ix_organizations_channel_partner", "organizations", ["channel_partner"], unique=False)
    op.create_table(
        "products",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("operations", sa.JSON(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("purposes", sa.JSON(), nullable=False),
        sa.Column("plans", sa.JSON(), nullable=False),
        sa.CheckConstraint("state IN ('offered', 'withdrawn')", name="ck_products_state_known"),
        sa.PrimaryKeyConstraint("name", name="pk_products"),
    )
    op.create_index("ix_products_change", "products", ["change"], unique=False)
    op.create_table(
        "usage",
        sa.Column("day", _DAY, nullable=False),
        sa.Column("application", _NAME, nullable=False),
        sa.Column("customer", _NAME, nullable=False),
        sa.Column("channel_partner", _NAME, nullable=False),
        sa.Column("operation", _TOKEN, nullable=False),
        sa.Column("outcome", _TOKEN, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "application", "customer", "channel_partner", "operation", "outcome", name="pk_usage"
        ),
    )
    op.create_index("ix_usage_channel_partner", "usage", ["channel_partner", "day"], unique=False)
    op.create_index("ix_usage_customer", "usage", ["customer", "day"], unique=False)
    op.create_table(
        "usage_checkpoints",
        sa.Column("segment", _TOKEN, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment", name="pk_usage_checkpoints"),
    )
    op.create_table(
        "applications",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("organization", _NAME, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("client_id", _TOKEN, nullable=False),
        sa.Column("jwks", sa.JSON(), nullable=False),
        sa.Column("jwks_uri", sa.Text(), nullable=False),
        sa.Column("redirect_uris", sa.JSON(), nullable=False),
        sa.Column("flows", sa.JSON(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("purposes", sa.JSON(), nullable=False),
        sa.Column("requires_signed_request", sa.Boolean(), nullable=False),
        sa.Column("requires_dpop", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "state IN ('registered', 'active', 'suspended', 'retired')", name="ck_applications_state_known"
        ),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_applications_client_id"),
        sa.ForeignKeyConstraint(["organization"], ["organizations.name"], name="fk_applications_organization"),
        sa.PrimaryKeyConstraint("name", name="pk_applications"),
    )
    op.create_index("ix_applications_change", "applications", ["change"], unique=False)
    op.create_index("ix_applications_organization", "applications", ["organization"], unique=False)
    op.create_table(
        "people",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("organization", _NAME, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("client_id", _TOKEN, nullable=False),
        sa.Column("jwks", sa.JSON(), nullable=False),
        sa.Column("certificate_names", sa.JSON(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'suspended', 'removed')", name="ck_people_state_known"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_people_client_id"),
        sa.ForeignKeyConstraint(["organization"], ["organizations.name"], name="fk_people_organization"),
        sa.PrimaryKeyConstraint("name", name="pk_people"),
    )
    op.create_index("ix_people_change", "people", ["change"], unique=False)
    op.create_index("ix_people_organization", "people", ["organization"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("organization", _NAME, nullable=False),
        sa.Column("product", _NAME, nullable=False),
        sa.Column("plan", _NAME, nullable=False),
        sa.CheckConstraint(
            "state IN ('requested', 'active', 'suspended', 'ended')", name="ck_subscriptions_state_known"
        ),
        sa.ForeignKeyConstraint(["organization"], ["organizations.name"], name="fk_subscriptions_organization"),
        sa.ForeignKeyConstraint(["product"], ["products.name"], name="fk_subscriptions_product"),
        sa.PrimaryKeyConstraint("name", name="pk_subscriptions"),
    )
    op.create_index("ix_subscriptions_change", "subscriptions", ["change"], unique=False)
    op.create_index("ix_subscriptions_organization", "subscriptions", ["organization"], unique=False)
    op.execute("INSERT INTO change_counter (name, value) VALUES ('registry', 0)")
