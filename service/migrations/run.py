"""Run migrations on a connection, inside the transaction that it has."""

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def upgrade(connection: Connection, branches: Sequence[str]) -> None:
    """Bring these branches to their newest revision."""
    for branch in branches:
        command.upgrade(_config(connection), f"{branch}@head")


def downgrade(connection: Connection, branch: str) -> None:
    """Take a branch, and what depends on it, back to before its first revision."""
    command.downgrade(_config(connection), f"{branch}@base")


def revisions(connection: Connection) -> frozenset[str]:
    """Return what the database's version table says; nothing when it was never migrated."""
    return frozenset(MigrationContext.configure(connection).get_current_heads())


def has_branch(connection: Connection, branch: str) -> bool:
    """Return whether a revision of this branch is applied."""
    scripts = ScriptDirectory.from_config(_config(connection))
    return any(branch in scripts.get_revision(revision).branch_labels for revision in revisions(connection))


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
