"""What differs between the database servers that the service supports."""

from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from service.core.database_url import is_embedded, parsed
from service.database.postgres import Postgres
from service.database.sqlite import Sqlite
from service.settings import Settings


class Backend(Protocol):
    """One database, at one URL."""

    def engine(self, settings: Settings) -> AsyncEngine:
        """Return an engine, which connects lazily."""

    async def begin_writing(self, session: AsyncSession) -> None:
        """Begin a transaction that writes."""

    async def begin_snapshot(self, session: AsyncSession) -> None:
        """Begin a transaction in which every read sees the same rows, those of its first."""

    async def schema_is_current(self, session: AsyncSession) -> bool:
        """Return whether the schema is that of this version."""

    @property
    def unreachable_message(self) -> str:
        """The message while the database is unreachable, with what to do about it."""


def backend(url: str, *, indexed: bool) -> Backend:
    """Return the backend for the URL; `indexed` says whether the database has the secondary indexes."""
    address = parsed(url)
    return Sqlite(address) if is_embedded(address) else Postgres(address, indexed=indexed)
