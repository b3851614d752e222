"""import files. Imports nothing of the chassis.

Revision 0001, after .
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

__all__: list[str] = []

revision: str = "0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Forwards."""
    op.create_table(
        "chassis_import_files",
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("size", _NUMBER, nullable=False),
        sa.Column("done_bytes", _NUMBER, nullable=False),
        sa.Column("done_lines", _NUMBER, nullable=False),
        sa.Column("stored_rows", _NUMBER, nullable=False),
        sa.Column("rejected_rows", _NUMBER, nullable=False),
        sa.Column("reject_bytes", _NUMBER, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("target", "sha256", name="pk_chassis_import_files"),
    )


def downgrade() -> None:
    """Never run: chassis rooms only go forwards."""
