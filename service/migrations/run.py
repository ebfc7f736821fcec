"""Migrations on a connection, in its transaction."""

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def upgrade(connection: Connection, branches: Sequence[str]) -> None:
    """Upgrade the branches to their newest revisions."""
    for branch in branches:
        command.upgrade(_config(connection), f"{branch}@head")


def downgrade(connection: Connection, branch: str) -> None:
    """Downgrade a branch and what depends on it to before its first revision."""
    command.downgrade(_config(connection), f"{branch}@base")


def revisions(connection: Connection) -> frozenset[str]:
    """Return the current revisions; empty before the first migration."""
    return frozenset(MigrationContext.configure(connection).get_current_heads())


def has_branch(connection: Connection, branch: str) -> bool:
    scripts = ScriptDirectory.from_config(_config(connection))
    return any(branch in scripts.get_revision(revision).branch_labels for revision in revisions(connection))


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
