"""Kept answers. A released revision is never changed. Imports nothing of the chassis.

Revision 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Forwards."""
    op.create_table(
        "chassis_idempotency_keys",
        sa.Column("scope", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_chassis_idempotency_keys_kept_at", "chassis_idempotency_keys", ["kept_at"])


def downgrade() -> None:
    """Back."""
    op.drop_table("chassis_idempotency_keys")
