"""Create the outbox of status updates."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, empty: earlier changes have been delivered."""
    op.create_table(
        "untold_changes",  # codespell:ignore untold
        sa.Column("change_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Drop it; the undelivered changes stay in the audit trail."""
    op.drop_table("untold_changes")  # codespell:ignore untold
