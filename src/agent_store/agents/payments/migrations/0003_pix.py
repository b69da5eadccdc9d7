"""Pix: the charge of a payment, what has come in, and the charges of the provider that moves no money."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, PrimaryKeyConstraint, String, Text

from agent_store.kernel.sql import UtcTime

revision = "payments_0003"
down_revision = "payments_0002"
branch_labels = None


def upgrade() -> None:
    op.add_column("payments_payments", Column("txid", String(40)))
    op.add_column("payments_payments", Column("pix", Text))
    op.create_index("payments_by_txid", "payments_payments", ["txid"], unique=True)
    op.create_table(
        "payments_receipts",
        Column("reference", String(64), nullable=False),
        Column("payment_id", String(64), nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        Column("outcome", String(16), nullable=False),
        Column("paid_at", UtcTime, nullable=False),
        Column("at", UtcTime, nullable=False),
        PrimaryKeyConstraint("reference"),
    )
    op.create_table(
        "payments_provider_pix",
        Column("txid", String(40), nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        Column("copy_paste", Text, nullable=False),
        Column("expires_at", UtcTime, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("asked", Integer, nullable=False),
        Column("reference", String(64)),
        Column("paid_minor", BigInteger),
        Column("paid_at", UtcTime),
        Column("told_at", UtcTime),
        CheckConstraint("amount_minor > 0", name="payments_provider_pix_positive"),
        CheckConstraint("(reference IS NULL) = (paid_at IS NULL)", name="payments_provider_pix_paid"),
        PrimaryKeyConstraint("txid"),
    )
    op.create_index("payments_provider_pix_untold", "payments_provider_pix", ["told_at", "paid_at"])


def downgrade() -> None:
    op.drop_table("payments_provider_pix")
    op.drop_table("payments_receipts")
    op.drop_index("payments_by_txid", "payments_payments")
    op.drop_column("payments_payments", "pix")
    op.drop_column("payments_payments", "txid")
