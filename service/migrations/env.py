"""The Alembic environment: runs on the caller's connection, or from Alembic's command line on `DATABASE_URL`."""

import asyncio

from alembic import context
from sqlalchemy import Connection, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from service.core.database_url import is_embedded, parsed
from service.core.models import Base
from service.settings import Settings


def migrate(connection: Connection) -> None:
    """Run the requested migrations in the connection's transaction."""
    context.configure(connection=connection, target_metadata=Base.metadata)
    context.run_migrations()


async def migrate_from_the_command_line() -> None:
    """Run the migrations on the primary, which has to be a server: embedded databases are loaded again instead."""
    url = Settings.from_environ().database_url
    if is_embedded(parsed(url)):
        raise SystemExit("set DATABASE_URL to the PostgreSQL database to migrate")
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


connection: Connection | None = context.config.attributes.get("connection")
if connection is not None:
    migrate(connection)
else:
    asyncio.run(migrate_from_the_command_line())
