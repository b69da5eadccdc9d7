"""The journal of the provider that moves no money."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    NullPool,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
    create_engine,
)

from agent_store.kernel.sql import UtcTime

revision = "payments_0002"
down_revision = "payments_0001"
branch_labels = None


def upgrade() -> None:
    op.create_table(
        "payments_provider_movements",
        Column("key", Text, nullable=False),
        Column("kind", String(8), nullable=False),
        Column("subject", Text, nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        Column("currency", String(3), nullable=False),
        Column("failure", String(24)),
        Column("reference", Text, nullable=False),
        Column("at", UtcTime, nullable=False),
        Column("asked", Integer, nullable=False),
        CheckConstraint("kind IN ('charge', 'refund')", name="payments_provider_kind"),
        CheckConstraint("amount_minor > 0", name="payments_provider_amount_positive"),
        PrimaryKeyConstraint("key"),
        UniqueConstraint("reference", name="payments_provider_reference_once"),
    )
    if op.get_context().dialect.name == "sqlite" and not op.get_context().as_sql:
        _carry_over()


def _carry_over() -> None:
    """The provider had its journal in a file of its own beside the store's: what was paid then can be refunded still."""
    (_, _, store), *_ = op.get_bind().exec_driver_sql("PRAGMA database_list")
    old = Path(store).with_name("payments.sqlite3")
    if not old.is_file():
        return
    columns = "key, kind, subject, amount_minor, currency, failure, reference, at, asked"
    with create_engine(f"sqlite:///{old}", poolclass=NullPool).connect() as journal:
        rows = [tuple(row) for row in journal.exec_driver_sql(f"SELECT {columns} FROM movements")]  # noqa: S608  # ours
    if rows:
        into = f"INSERT INTO payments_provider_movements ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        op.get_bind().exec_driver_sql(into, rows)


def downgrade() -> None:
    op.drop_table("payments_provider_movements")
