"""Families of refresh tokens. A released revision is never changed. Imports nothing of the chassis.

Revision 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Forwards."""
    op.create_table(
        "chassis_auth_refresh_families",
        sa.Column("id", sa.String(22), primary_key=True),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("scopes", sa.String(4096), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("current", sa.LargeBinary(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("ix_chassis_auth_refresh_families_expires_at", "chassis_auth_refresh_families", ["expires_at"])
    op.create_index("ix_chassis_auth_refresh_families_subject", "chassis_auth_refresh_families", ["subject"])


def downgrade() -> None:
    """Back."""
    op.drop_table("chassis_auth_refresh_families")
