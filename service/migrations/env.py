"""What Alembic runs: on the connection that the caller holds, or from its own command line on `DATABASE_URL`."""

import asyncio

from alembic import context
from sqlalchemy import Connection, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from service.core.database_url import is_embedded, parsed
from service.core.models import Base
from service.settings import Settings


def migrate(connection: Connection) -> None:
    """Run the migrations that were asked for, in the connection's transaction."""
    context.configure(connection=connection, target_metadata=Base.metadata)
    context.run_migrations()


async def migrate_from_the_command_line() -> None:
    """Run them on the primary of the settings, which is a server: embedded databases are made again instead."""
    url = Settings.from_environ().database_url
    if is_embedded(parsed(url)):
        raise SystemExit("set DATABASE_URL to the PostgreSQL database to migrate")
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(migrate_from_the_command_line())
