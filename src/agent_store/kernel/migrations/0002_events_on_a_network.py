"""Owners of inbox rows, workers, the stages of dead letters."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from agent_store.kernel.sql import UtcTime

revision = "kernel_0002"
down_revision = "kernel_0001"
branch_labels = None

WAITING = "replayed_at IS NULL AND dropped_at IS NULL"


def upgrade() -> None:
    op.add_column("kernel_inbox", Column("owner", String, comment="the worker that sees to it, on a network bus"))
    _index_open_rows("state NOT IN ('done', 'dead')")

    op.add_column("kernel_order", Column("taken", BigInteger))
    op.execute("UPDATE kernel_order SET taken = last")
    with op.batch_alter_table("kernel_order", copy_from=_order()) as order:
        order.alter_column(
            "taken", existing_type=BigInteger, nullable=False, comment="the highest sequence whose handling has begun"
        )
        order.alter_column("last", existing_type=BigInteger, comment="the highest sequence whose handling has ended")

    op.add_column("kernel_dead", Column("dropped_at", UtcTime))
    op.add_column("kernel_dead", Column("by", String, comment="who has replayed or dropped it"))
    op.add_column("kernel_dead", Column("auto", Boolean))
    op.execute("UPDATE kernel_dead SET auto = false")
    with op.batch_alter_table("kernel_dead", copy_from=_dead()) as dead:
        dead.alter_column(
            "auto", existing_type=Boolean, nullable=False, comment="it never reached its consumer: replayed by itself"
        )
        dead.alter_column(
            "reason",
            existing_type=String,
            comment="permanent, exhausted, timeout, crash, undelivered or unreadable",
            existing_comment="permanent, exhausted or timeout",
        )
    op.create_index(
        "kernel_dead_waiting", "kernel_dead", ["seq"], sqlite_where=text(WAITING), postgresql_where=text(WAITING)
    )

    op.create_table(
        "kernel_workers",
        Column("id", String, nullable=False),
        Column("consumers", Text, nullable=False, comment="JSON list of the consumers that it serves"),
        Column("beat", BigInteger, nullable=False, comment="counted up while it lives; whose stands still is dead"),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "kernel_marks",
        Column("name", String, nullable=False),
        Column("value", BigInteger, nullable=False),
        Column("owner", String, comment="the worker that does this duty now"),
        PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("kernel_marks")
    op.drop_table("kernel_workers")

    op.drop_index("kernel_dead_waiting", "kernel_dead")
    op.drop_column("kernel_dead", "auto")
    op.drop_column("kernel_dead", "by")
    op.drop_column("kernel_dead", "dropped_at")
    op.drop_column("kernel_order", "taken")
    if op.get_context().dialect.name == "postgresql":
        op.execute("COMMENT ON COLUMN kernel_order.last IS NULL")
        op.execute("COMMENT ON COLUMN kernel_dead.reason IS 'permanent, exhausted or timeout'")

    _index_open_rows("state <> 'done'")
    op.drop_column("kernel_inbox", "owner")


def _index_open_rows(where: str) -> None:
    op.drop_index("kernel_inbox_open", "kernel_inbox")
    op.create_index(
        "kernel_inbox_open",
        "kernel_inbox",
        ["consumer", "state"],
        sqlite_where=text(where),
        postgresql_where=text(where),
    )


def _order() -> Table:
    """As it stands in the middle of this step: SQLite can't make a column NOT NULL, the table is written anew."""
    return Table(
        "kernel_order",
        MetaData(),
        Column("consumer", String, nullable=False),
        Column("type", String, nullable=False),
        Column("subject", String, nullable=False),
        Column("last", BigInteger, nullable=False),
        Column("at", UtcTime, nullable=False),
        Column("taken", BigInteger),
        PrimaryKeyConstraint("consumer", "type", "subject"),
        Index("kernel_order_age", "at"),
        sqlite_with_rowid=False,
    )


def _dead() -> Table:
    return Table(
        "kernel_dead",
        MetaData(),
        Column("seq", BigInteger().with_variant(Integer, "sqlite"), autoincrement=True, nullable=False),
        Column("consumer", String, nullable=False),
        Column("source", String, nullable=False),
        Column("id", String, nullable=False),
        Column("type", String, nullable=False),
        Column("reason", String, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("error", Text, nullable=False),
        Column("body", Text, nullable=False),
        Column("at", UtcTime, nullable=False),
        Column("replayed_at", UtcTime),
        Column("dropped_at", UtcTime),
        Column("by", String),
        Column("auto", Boolean),
        PrimaryKeyConstraint("seq"),
        Index("kernel_dead_event", "consumer", "source", "id"),
    )
