"""User approval: what subscribers agreed and objected to."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NAME = sa.String(160).with_variant(sa.String(160, collation="C"), "postgresql")
_TOKEN = sa.String(256).with_variant(sa.String(256, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "approvals",
        sa.Column("subscriber", sa.LargeBinary(16), nullable=False),
        sa.Column("application", _NAME, nullable=False),
        sa.Column("purpose", _NAME, nullable=False),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("given", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subscriber", "application", "purpose", "kind", name="pk_approvals"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "approval_events",
        sa.Column(
            "change",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("subscriber", sa.LargeBinary(16), nullable=False),
        sa.Column("application", _NAME, nullable=False),
        sa.Column("purpose", _NAME, nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.Column("given", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn", sa.BigInteger(), nullable=False),
        sa.Column("ends_grants", sa.SmallInteger(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("recorded_by", _TOKEN, nullable=False),
        sa.Column("request_id", _TOKEN, nullable=False),
        sa.PrimaryKeyConstraint("change", name="pk_approval_events"),
    )
    op.create_index("ix_approval_events_recorded", "approval_events", ["recorded"], unique=False)
    op.create_index("ix_approval_events_subscriber", "approval_events", ["subscriber", "change"], unique=False)
    op.create_index(
        "uq_approval_events_request",
        "approval_events",
        ["recorded_by", "request_id"],
        unique=True,
        sqlite_where=sa.text("request_id <> ''"),
        postgresql_where=sa.text("request_id <> ''"),
    )
    op.execute("INSERT INTO change_counter (name, value) VALUES ('approvals', 0)")
