"""Name the outbox."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OLD_NAME = "untold_changes"  # codespell:ignore untold


def upgrade() -> None:
    """Rename the table; undelivered changes stay in it."""
    op.rename_table(OLD_NAME, "outbox")


def downgrade() -> None:
    """Restore the name that revision 0003 gave it."""
    op.rename_table("outbox", OLD_NAME)
